use std::collections::VecDeque;

/// Counts what was set aside among the last records of a partition, so that a bad release cannot set a whole topic
/// aside: past the limit the consumer halts instead.
#[derive(Debug, Clone)]
pub struct Quarantine {
    window: i64,
    limit: usize,
    /// Offsets of what was set aside within the window, ascending.
    offsets: VecDeque<i64>,
}

impl Quarantine {
    /// At most `percent` of the last `window` records; `known` are offsets that were set aside before.
    pub fn new(window: u32, percent: u32, known: impl IntoIterator<Item = i64>) -> Self {
        let limit = u64::from(window) * u64::from(percent.min(100)) / 100;
        let mut offsets: Vec<_> = known.into_iter().collect();
        offsets.sort_unstable();
        Self {
            window: i64::from(window),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            offsets: offsets.into(),
        }
    }

    /// How many may be set aside within the window.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Whether the record at `offset` may be set aside; if so it counts from now on. One that counts already may
    /// always.
    pub fn admit(&mut self, offset: i64) -> bool {
        while self.offsets.front().is_some_and(|first| *first <= offset.saturating_sub(self.window)) {
            self.offsets.pop_front();
        }
        if self.offsets.contains(&offset) {
            return true;
        }
        if self.offsets.len() >= self.limit {
            return false;
        }
        // What is read again lies before what is known.
        let place = self.offsets.partition_point(|known| *known < offset);
        self.offsets.insert(place, offset);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_twenty_may_be_set_aside_and_no_more() {
        let mut quarantine = Quarantine::new(1_000, 5, []);
        assert_eq!(quarantine.limit(), 50);
        assert!((0..100_000).step_by(20).all(|offset| quarantine.admit(offset)));
        let mut quarantine = Quarantine::new(1_000, 5, []);
        let admitted = (0..100_000).step_by(19).take_while(|offset| quarantine.admit(*offset)).count();
        assert_eq!(admitted, 50);
    }

    #[test]
    fn a_decoder_that_fails_all_halts_at_the_limit_also_after_a_restart() {
        let mut quarantine = Quarantine::new(1_000, 5, []);
        assert_eq!((0..1_000).take_while(|offset| quarantine.admit(*offset)).count(), 50);
        let mut restarted = Quarantine::new(1_000, 5, 0..50);
        assert!(!restarted.admit(50));
        assert!(restarted.admit(49), "it counts already");
        assert!(restarted.admit(1_000), "the window went on");
    }
}
