//! Many seeds, spread over threads; each run has one of its own.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::fault::Fault;
use crate::plan::Plan;
use crate::run::{Attention, REACHED, Report, run};
use crate::world::locked;

/// From so many seeds on, what never happened in any of them is missing.
const ENOUGH: u64 = 1_000;

/// What came of many seeds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Seeds that ran.
    pub seeds: u64,
    /// Faults injected, by kind.
    pub injected: BTreeMap<Fault, u64>,
    /// What the runs went through, by name.
    pub reached: BTreeMap<String, u64>,
    /// The lowest seed that failed, and what was wrong.
    pub failed: Option<(u64, Vec<String>)>,
}

impl Sweep {
    /// What never happened although there were enough seeds for it: then this is no proof of anything about it.
    pub fn missing(&self) -> Vec<String> {
        if self.seeds < ENOUGH || self.failed.is_some() {
            return Vec::new();
        }
        let faults = Fault::ALL.iter().filter(|fault| !self.injected.contains_key(fault));
        let states = REACHED.iter().filter(|name| !self.reached.contains_key(**name));
        faults.map(|fault| format!("{fault:?}")).chain(states.map(|name| (*name).to_owned())).collect()
    }

    fn add(&mut self, seed: u64, report: Report) {
        self.seeds += 1;
        report
            .injected
            .into_iter()
            .for_each(|(fault, count)| *self.injected.entry(fault).or_default() += count);
        report.reached.into_iter().for_each(|(name, count)| *self.reached.entry(name).or_default() += count);
        if !report.wrong.is_empty() && self.failed.as_ref().is_none_or(|(lowest, _)| seed < *lowest) {
            self.failed = Some((seed, report.wrong));
        }
    }
}

/// Runs `seeds` in so many threads; none that is higher than one that failed is begun after it.
pub fn sweep(seeds: Range<u64>, threads: usize) -> Sweep {
    let (next, sweep) = (AtomicU64::new(seeds.start), Mutex::new(Sweep::default()));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || locked(&sweep).failed.is_some() {
                        return;
                    }
                    let report = run(&Plan::of(seed), Attention::FAST);
                    locked(&sweep).add(seed, report);
                }
            });
        }
    });
    sweep.into_inner().unwrap_or_default()
}
