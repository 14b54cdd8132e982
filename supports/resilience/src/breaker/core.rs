use std::time::Duration;

use tokio::time::Instant;

use super::event::BreakerEvent;
use super::options::BreakerOptions;
use super::state::BreakerState;
use crate::call::Kind;
use crate::window::{CountWindow, Sample, Tally, Window};

/// Why somebody comes to the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visit {
    /// To make a call.
    Call,
    /// To bring a result, or to look.
    Other,
}

/// What is known of the current state.
#[derive(Debug)]
enum Phase {
    Closed(Window),
    Open {
        until: Instant,
        /// What it opened on, for those who look.
        tally: Tally,
        rates: (f64, f64),
    },
    HalfOpen {
        results: CountWindow,
        /// Permits that are out.
        out: u32,
        /// When the last of them was given.
        admitted_at: Instant,
    },
    ForcedOpen,
}

/// The state machine of a breaker, without locks, clocks or metrics.
#[derive(Debug)]
pub(super) struct Core {
    options: BreakerOptions,
    phase: Phase,
    epoch: u64,
    /// Times it opened without having closed in between.
    opens: u32,
    pub(super) not_permitted: u64,
    pub(super) late: u64,
    pub(super) cancelled: u64,
    /// What happened since somebody took it.
    pub(super) events: Vec<BreakerEvent>,
}

/// The end of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) kind: Kind,
    pub(super) took: Duration,
    pub(super) open_for: Option<Duration>,
}

impl Core {
    pub(super) fn new(options: BreakerOptions, now: Instant) -> Self {
        let mut core = Self {
            options,
            phase: Phase::ForcedOpen,
            epoch: 0,
            opens: 0,
            not_permitted: 0,
            late: 0,
            cancelled: 0,
            events: Vec::new(),
        };
        core.phase = match options.initial {
            BreakerState::Closed => core.closed(now),
            BreakerState::Open => core.open(options.open_wait.wait(0), now),
            BreakerState::HalfOpen => core.half_open(now),
            BreakerState::ForcedOpen => Phase::ForcedOpen,
        };
        core
    }

    pub(super) const fn state(&self) -> BreakerState {
        match self.phase {
            Phase::Closed(_) => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
            Phase::ForcedOpen => BreakerState::ForcedOpen,
        }
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Goes where time alone leads.
    pub(super) fn advance(&mut self, visit: Visit, now: Instant) {
        match &self.phase {
            Phase::Open { until, .. } if now >= *until => {
                if visit == Visit::Call || self.options.half_open_automatically {
                    let phase = self.half_open(now);
                    self.enter(phase);
                }
            }
            Phase::HalfOpen { out, admitted_at, .. } if *out > 0 => {
                let waited = now.saturating_duration_since(*admitted_at);
                if self.options.half_open_wait_max.is_some_and(|max| waited >= max) {
                    let phase = self.open(self.options.open_wait.wait(self.opens), now);
                    self.enter(phase);
                }
            }
            Phase::Closed(_) | Phase::Open { .. } | Phase::HalfOpen { .. } | Phase::ForcedOpen => {}
        }
    }

    /// Lets a call through and tells the epoch that it belongs to.
    pub(super) fn admit(&mut self, now: Instant) -> Option<u64> {
        self.advance(Visit::Call, now);
        let admitted = match &mut self.phase {
            Phase::Closed(_) => true,
            Phase::HalfOpen { results, out, admitted_at } => {
                let free = results.tally().calls + *out < self.options.half_open_permits;
                if free {
                    *out += 1;
                    *admitted_at = now;
                }
                free
            }
            Phase::Open { .. } | Phase::ForcedOpen => false,
        };
        if !admitted {
            self.not_permitted += 1;
            self.events.push(BreakerEvent::NotPermitted);
        }
        admitted.then_some(self.epoch)
    }

    /// Takes a permit back whose call says nothing.
    pub(super) fn give_back(&mut self, epoch: u64, now: Instant) {
        self.advance(Visit::Other, now);
        if let Phase::HalfOpen { out, .. } = &mut self.phase
            && epoch == self.epoch
        {
            *out -= 1;
        }
    }

    /// Takes the end of a call that was let through in `epoch`. A call of an earlier epoch has no vote.
    pub(super) fn settle(&mut self, epoch: u64, end: End, now: Instant) {
        self.give_back(epoch, now);
        self.events.push(match end.kind {
            Kind::Success => BreakerEvent::Success(end.took),
            Kind::Failure => BreakerEvent::Error(end.took),
            Kind::Ignored => BreakerEvent::Ignored(end.took),
        });
        if epoch != self.epoch {
            self.late += 1;
            return;
        }
        let slow = end.took > self.options.slow_call;
        let next = match end.kind {
            Kind::Success => self.count(Sample { failed: false, slow }, now),
            Kind::Failure => self.count(Sample { failed: true, slow }, now),
            Kind::Ignored => None,
        };
        let asked = end.open_for.map(|asked| asked.min(self.options.asked_wait_max));
        let phase = match (next, asked) {
            (Some(BreakerState::Open), asked) => {
                let wait = self.options.open_wait.wait(self.opens);
                self.open(asked.map_or(wait, |asked| asked.max(wait)), now)
            }
            (_, Some(asked)) => self.open(asked, now),
            (Some(_), None) => self.closed(now),
            (None, None) => return,
        };
        self.enter(phase);
    }

    /// Counts a result, and says to which state it leads.
    fn count(&mut self, sample: Sample, now: Instant) -> Option<BreakerState> {
        match &mut self.phase {
            Phase::Closed(window) => {
                window.record(sample, now);
                let tally = window.tally(now);
                let decides = tally.calls >= self.options.calls_needed();
                (decides && self.breaches(tally)).then_some(BreakerState::Open)
            }
            Phase::HalfOpen { results, .. } => {
                results.record(sample);
                let tally = results.tally();
                if tally.calls < self.options.half_open_permits {
                    return None;
                }
                Some(if self.breaches(tally) { BreakerState::Open } else { BreakerState::Closed })
            }
            Phase::Open { .. } | Phase::ForcedOpen => None,
        }
    }

    /// Where an operator wants it; `false` where there is no way.
    pub(super) fn go(&mut self, to: BreakerState, now: Instant) -> bool {
        let phase = match to {
            _ if !self.state().may_become(to) => return false,
            BreakerState::Closed => self.closed(now),
            BreakerState::Open => self.open(self.options.open_wait.wait(self.opens), now),
            BreakerState::HalfOpen => self.half_open(now),
            BreakerState::ForcedOpen => {
                self.opens = 0;
                Phase::ForcedOpen
            }
        };
        self.enter(phase);
        true
    }

    /// Closed, with an empty window, from wherever it is. What is under way does not count into it.
    pub(super) fn reset(&mut self, now: Instant) {
        let phase = self.closed(now);
        if matches!(self.phase, Phase::Closed(_)) {
            self.phase = phase;
            self.epoch += 1;
        } else {
            self.enter(phase);
        }
        self.events.push(BreakerEvent::Reset);
    }

    /// What the window of the current state holds.
    pub(super) fn tally(&mut self, now: Instant) -> Tally {
        match &mut self.phase {
            Phase::Closed(window) => window.tally(now),
            Phase::Open { tally, .. } => *tally,
            Phase::HalfOpen { results, .. } => results.tally(),
            Phase::ForcedOpen => Tally::default(),
        }
    }

    /// Failed and slow calls in percent; −1 while there are too few for a verdict.
    pub(super) fn rates(&mut self, now: Instant) -> (f64, f64) {
        let needed = match self.phase {
            Phase::Open { rates, .. } => return rates,
            Phase::HalfOpen { .. } => self.options.half_open_permits,
            Phase::Closed(_) | Phase::ForcedOpen => self.options.calls_needed(),
        };
        let tally = self.tally(now);
        if tally.calls < needed {
            return (-1.0, -1.0);
        }
        (percent(tally.failed, tally.calls), percent(tally.slow, tally.calls))
    }

    /// How long it still refuses everything; none where time alone does not end it.
    pub(super) fn open_for(&self, now: Instant) -> Option<Duration> {
        match self.phase {
            Phase::Open { until, .. } => Some(until.saturating_duration_since(now)),
            Phase::Closed(_) | Phase::HalfOpen { .. } | Phase::ForcedOpen => None,
        }
    }

    fn breaches(&mut self, tally: Tally) -> bool {
        let BreakerOptions { failure_rate, slow_call_rate, .. } = self.options;
        let failed = reaches(tally.failed, tally.calls, failure_rate);
        let slow = reaches(tally.slow, tally.calls, slow_call_rate);
        if failed {
            self.events.push(BreakerEvent::FailureRateExceeded(percent(tally.failed, tally.calls)));
        }
        if slow {
            self.events.push(BreakerEvent::SlowCallRateExceeded(percent(tally.slow, tally.calls)));
        }
        failed || slow
    }

    fn closed(&mut self, now: Instant) -> Phase {
        self.opens = 0;
        Phase::Closed(Window::new(self.options.window, now))
    }

    fn open(&mut self, wait: Duration, now: Instant) -> Phase {
        let (tally, rates) = (self.tally(now), self.rates(now));
        self.opens = self.opens.saturating_add(1);
        Phase::Open { until: now + wait, tally, rates }
    }

    fn half_open(&self, now: Instant) -> Phase {
        Phase::HalfOpen {
            results: CountWindow::new(self.options.half_open_permits),
            out: 0,
            admitted_at: now,
        }
    }

    fn enter(&mut self, phase: Phase) {
        let from = self.state();
        self.phase = phase;
        self.epoch += 1;
        self.events.push(BreakerEvent::Transition { from, to: self.state(), epoch: self.epoch });
    }
}

/// In whole numbers, so that exactly the threshold reaches it.
fn reaches(part: u32, calls: u32, threshold: u8) -> bool {
    u64::from(part) * 100 >= u64::from(calls) * u64::from(threshold)
}

fn percent(part: u32, calls: u32) -> f64 {
    f64::from(part) * 100.0 / f64::from(calls)
}
