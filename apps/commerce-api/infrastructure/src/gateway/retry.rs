use std::time::Duration;

use commerce_runtime::fill_random;

use super::fault::Fault;

/// Doubling stops here, so that no setting overflows.
const DOUBLINGS_MAX: u32 = 10;

/// The wait after `made` attempts: `first`, doubled each time, a quarter more or less, so that those who failed
/// together do not come back together.
fn wait(first: Duration, made: u32, random: u32) -> Duration {
    let base = base(first, made);
    base * 3 / 4 + (base / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// The longest that the wait after `made` attempts can be.
pub(super) fn longest_wait(first: Duration, made: u32) -> Duration {
    wait(first, made, u32::MAX)
}

fn base(first: Duration, made: u32) -> Duration {
    first.saturating_mul(1 << made.saturating_sub(1).min(DOUBLINGS_MAX))
}

fn random() -> u32 {
    let mut bytes = [0; 4];
    fill_random(&mut bytes);
    u32::from_ne_bytes(bytes)
}

/// Whether a repetition can do no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It only asks: the last answer counts.
    Question,
    /// It does something, at most once however often it is sent.
    Effect,
    /// It does something each time: repeated only where nothing had left.
    Unsafe,
}

/// What follows an attempt that failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another attempt, after so long.
    Again(Duration),
    /// No more: this is what came of it.
    End(Fault),
}

/// The attempts of one call so far.
pub(super) struct Attempts {
    repeat: Repeat,
    max: u32,
    first: Duration,
    made: u32,
    /// The first failure after which an effect may have happened.
    open: Option<Fault>,
}

impl Attempts {
    /// None yet; at most `max`, the second one about `first` after the first.
    pub(super) const fn new(repeat: Repeat, max: u32, first: Duration) -> Self {
        Self { repeat, max, first, made: 0, open: None }
    }

    /// Takes note of an attempt that failed.
    ///
    /// Once an effect may have been sent, a later attempt that was refused or not sent proves nothing of the first: it
    /// stays unknown.
    pub(super) fn failed(&mut self, fault: Fault) -> Next {
        self.made += 1;
        let may_repeat = match self.repeat {
            Repeat::Question | Repeat::Effect => fault.may_pass(),
            Repeat::Unsafe => matches!(fault, Fault::NotSent(_)),
        };
        if self.repeat == Repeat::Effect && matches!(fault, Fault::Unknown(_)) {
            self.open.get_or_insert_with(|| fault.clone());
        }
        if may_repeat && self.made < self.max {
            Next::Again(wait(self.first, self.made, random()))
        } else {
            Next::End(self.open.take().unwrap_or(fault))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(1);

    fn not_sent() -> Fault {
        Fault::NotSent("no connection".to_owned())
    }

    fn unknown() -> Fault {
        Fault::Unknown("silence".to_owned())
    }

    fn refused() -> Fault {
        Fault::Refused { status: 400, text: "no".to_owned() }
    }

    /// How a call ends whose attempts fail like this, and after how many of them.
    fn end(repeat: Repeat, faults: Vec<Fault>) -> (Option<Fault>, usize) {
        let mut attempts = Attempts::new(repeat, 3, FIRST);
        for (made, fault) in faults.into_iter().enumerate() {
            if let Next::End(fault) = attempts.failed(fault) {
                return (Some(fault), made + 1);
            }
        }
        (None, 0)
    }

    #[test]
    fn waits_double_and_differ_by_a_quarter() {
        for (made, base) in [(1, 1_000), (2, 2_000), (3, 4_000)] {
            assert_eq!(wait(FIRST, made, 0).as_millis(), base * 3 / 4);
            assert_eq!(longest_wait(FIRST, made).as_millis(), base * 5 / 4);
        }
        let mut attempts = Attempts::new(Repeat::Question, 3, FIRST);
        for base in [1_000, 2_000] {
            let Next::Again(wait) = attempts.failed(unknown()) else { panic!("no repetition") };
            assert!((base * 3 / 4..=base * 5 / 4).contains(&wait.as_millis()), "{wait:?}");
        }
        assert!(longest_wait(Duration::from_mins(1), u32::MAX) > Duration::from_mins(1));
    }

    #[test]
    fn a_question_is_asked_three_times_and_the_last_answer_counts() {
        let silence = vec![unknown(), unknown(), not_sent(), not_sent()];
        assert_eq!(end(Repeat::Question, silence), (Some(not_sent()), 3));
        assert_eq!(end(Repeat::Question, vec![unknown()]), (None, 0));
        assert_eq!(end(Repeat::Question, vec![unknown(), refused()]), (Some(refused()), 2));
        assert_eq!(end(Repeat::Question, vec![Fault::Full]), (Some(Fault::Full), 1));
    }

    #[test]
    fn an_effect_that_may_have_been_sent_stays_unknown() {
        assert_eq!(end(Repeat::Effect, vec![unknown(), refused()]), (Some(unknown()), 2));
        assert_eq!(end(Repeat::Effect, vec![unknown(), not_sent(), not_sent()]), (Some(unknown()), 3));
        assert_eq!(end(Repeat::Effect, vec![unknown(), Fault::Full]), (Some(unknown()), 2));
        assert_eq!(end(Repeat::Effect, vec![not_sent(), refused()]), (Some(refused()), 2));
        assert_eq!(end(Repeat::Effect, vec![not_sent(), not_sent(), not_sent()]), (Some(not_sent()), 3));
    }

    #[test]
    fn what_must_not_be_done_twice_is_repeated_only_where_nothing_had_left() {
        assert_eq!(end(Repeat::Unsafe, vec![unknown()]), (Some(unknown()), 1));
        assert_eq!(end(Repeat::Unsafe, vec![not_sent(), unknown()]), (Some(unknown()), 2));
        assert_eq!(end(Repeat::Unsafe, vec![not_sent(), not_sent(), not_sent()]), (Some(not_sent()), 3));
    }
}
