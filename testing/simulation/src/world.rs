//! What all parts of a run share: time, chance, the trace, and what was found wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::NaiveDate;
use commerce_api_application::ports::Clock;
use commerce_api_domain::Timestamp;
use commerce_runtime::BusinessZone;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::fault::{Fault, Faults};
use crate::rng::Rng;

/// Takes a lock. The run has one thread, so nobody ever waits; a panic leaves plain values behind.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The simulated clock: it follows tokio's, which moves only when nothing else can.
#[derive(Debug, Clone, Copy)]
pub struct SimClock {
    start: Instant,
    start_us: i64,
    zone: BusinessZone,
}

impl SimClock {
    /// Shows `start_us` now.
    pub fn new(start_us: i64) -> Self {
        Self { start: Instant::now(), start_us, zone: BusinessZone::default() }
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// The shop's zone.
    pub const fn zone(&self) -> BusinessZone {
        self.zone
    }
}

impl commerce_runtime::Clock for SimClock {
    fn now_us(&self) -> i64 {
        self.start_us.saturating_add(i64::try_from(self.elapsed().as_micros()).unwrap_or(i64::MAX))
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(commerce_runtime::Clock::now_us(self))
    }

    fn business_day_start(&self, at: Timestamp) -> Timestamp {
        Timestamp::from_micros(self.zone.day_start(at.as_micros()))
    }

    fn business_day(&self, at: Timestamp) -> NaiveDate {
        self.zone.day(at.as_micros()).unwrap_or_default()
    }
}

#[derive(Debug)]
struct Chance {
    faults: Faults,
    /// Each kind has its own numbers, so that leaving one out does not move the others.
    of_fault: Vec<Rng>,
    delays: Rng,
    draws: Rng,
    injected: BTreeMap<Fault, u64>,
}

/// What a run shares.
#[derive(Debug)]
pub struct World {
    /// Time.
    pub clock: SimClock,
    /// A process died at a call.
    pub deaths: Notify,
    chance: Mutex<Chance>,
    trace: Mutex<Option<Vec<String>>>,
    wrong: Mutex<Vec<String>>,
}

impl World {
    /// Of `seed`; keeps a trace only where it is asked to.
    pub fn new(seed: u64, faults: Faults, start_us: i64, traced: bool) -> Arc<Self> {
        let of_fault = (0..Fault::ALL.len()).map(|kind| Rng::of(seed, 1_000 + kind as u64)).collect();
        let (delays, draws) = (Rng::of(seed, 2), Rng::of(seed, 3));
        Arc::new(Self {
            clock: SimClock::new(start_us),
            deaths: Notify::new(),
            chance: Mutex::new(Chance { faults, of_fault, delays, draws, injected: BTreeMap::new() }),
            trace: Mutex::new(traced.then(Vec::new)),
            wrong: Mutex::default(),
        })
    }

    /// Whether `fault` happens here and now.
    pub fn strikes(&self, fault: Fault) -> bool {
        let mut chance = locked(&self.chance);
        if !chance.faults.has(fault) {
            return false;
        }
        let strikes = chance.of_fault.get_mut(fault as usize).is_some_and(|rng| rng.chance(fault.permille()));
        if strikes {
            *chance.injected.entry(fault).or_default() += 1;
            drop(chance);
            self.note(|| format!("FAULT {fault:?}"));
        }
        strikes
    }

    /// No more faults from now on.
    pub fn calm(&self) {
        locked(&self.chance).faults = Faults::default();
        self.note(|| "no more faults".to_owned());
    }

    /// Faults injected, by kind.
    pub fn injected(&self) -> BTreeMap<Fault, u64> {
        locked(&self.chance).injected.clone()
    }

    /// A number from `low` to below `high`.
    pub fn draw(&self, low: u64, high: u64) -> u64 {
        locked(&self.chance).draws.between(low, high)
    }

    /// A time from `low` to below `high` milliseconds.
    pub fn span(&self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.draw(low, high))
    }

    /// Waits as long as chance has it, mostly not at all: so tasks overtake each other.
    pub async fn delay(&self) {
        let (kind, ms) = {
            let mut chance = locked(&self.chance);
            (chance.delays.below(100), chance.delays.between(1, 30))
        };
        match kind {
            0..70 => {}
            70..85 => tokio::task::yield_now().await,
            // tidy: sleep simulated time
            _ => tokio::time::sleep(Duration::from_millis(ms)).await,
        }
    }

    /// Adds a line to the trace, where there is one.
    pub fn note(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = locked(&self.trace).as_mut() {
            let at = self.clock.elapsed();
            trace.push(format!("{:>4}.{:03} {}", at.as_secs(), at.subsec_millis(), line()));
        }
    }

    /// Something is wrong.
    pub fn wrong(&self, what: String) {
        self.note(|| format!("WRONG {what}"));
        let mut wrong = locked(&self.wrong);
        // One broken rule shows again and again.
        if wrong.len() < 20 && !wrong.contains(&what) {
            wrong.push(what);
        }
    }

    /// Whether something was found wrong.
    pub fn is_wrong(&self) -> bool {
        !locked(&self.wrong).is_empty()
    }

    /// What was found wrong, and the trace.
    pub fn found(&self) -> (Vec<String>, Vec<String>) {
        (std::mem::take(&mut *locked(&self.wrong)), locked(&self.trace).take().unwrap_or_default())
    }
}
