use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::call::{CallError, NotPermitted};
use crate::metrics;
use crate::options::{Check, DURATION_MAX, OptionsError};

/// Slots at most.
const CALLS_MAX: u32 = 100_000;

/// How many calls may be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkheadOptions {
    /// Calls at the same time.
    pub calls_max: u32,
    /// How long a call waits for a slot, those before it first; zero refuses at once.
    pub wait: Duration,
}

impl Default for BulkheadOptions {
    fn default() -> Self {
        Self { calls_max: 25, wait: Duration::ZERO }
    }
}

/// What a bulkhead looks like at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkheadSnapshot {
    /// Its name.
    pub name: Arc<str>,
    /// Free slots.
    pub available: u32,
    /// All slots.
    pub calls_max: u32,
}

/// Bounds the calls under way, so that something slow does not take all there is. Clones share their slots.
#[derive(Debug, Clone)]
pub struct Bulkhead(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: Arc<str>,
    options: BulkheadOptions,
    slots: Arc<Semaphore>,
    /// One writes the gauge at a time, so that the last to write has seen everything before.
    gauge: Mutex<()>,
}

impl Bulkhead {
    /// A bulkhead called `name` in metrics.
    pub fn new(name: &str, options: BulkheadOptions) -> Result<Self, OptionsError> {
        let check = Check::of("bulkhead", name)?;
        let good = (1..=CALLS_MAX).contains(&options.calls_max);
        check.that(good, "calls at once", options.calls_max, format_args!("1 to {CALLS_MAX}"))?;
        check.duration("wait", options.wait, Duration::ZERO, DURATION_MAX)?;
        let slots = Arc::new(Semaphore::new(usize::try_from(options.calls_max).unwrap_or(usize::MAX)));
        let bulkhead = Self(Arc::new(Inner { name: check.name(), options, slots, gauge: Mutex::default() }));
        bulkhead.refresh();
        Ok(bulkhead)
    }

    /// A slot: at once, or after the wait that the options allow. Whoever waits longest is first.
    pub async fn acquire(&self) -> Result<Slot, NotPermitted> {
        let slots = self.0.slots.clone();
        let permit = if self.0.options.wait.is_zero() {
            slots.try_acquire_owned().ok()
        } else {
            let slot = tokio::time::timeout(self.0.options.wait, slots.acquire_owned()).await;
            // The semaphore is never closed.
            slot.ok().and_then(Result::ok)
        };
        let permit = permit.ok_or_else(|| self.full())?;
        self.refresh();
        Ok(Slot { permit: Some(permit), bulkhead: self.clone() })
    }

    /// Makes a call in a slot, which is free again when the call has ended or was given up.
    pub async fn run<T, E, F>(&self, call: impl FnOnce() -> F) -> Result<T, CallError<E>>
    where
        F: Future<Output = Result<T, CallError<E>>>,
    {
        let _slot = self.acquire().await?;
        call().await
    }

    /// How it is.
    pub fn snapshot(&self) -> BulkheadSnapshot {
        let available = u32::try_from(self.0.slots.available_permits()).unwrap_or(u32::MAX);
        BulkheadSnapshot { name: self.0.name.clone(), available, calls_max: self.0.options.calls_max }
    }

    /// Writes the gauges anew.
    pub fn refresh(&self) {
        let _one = self.0.gauge.lock().unwrap_or_else(PoisonError::into_inner);
        let BulkheadSnapshot { name, available, calls_max } = self.snapshot();
        metrics::bulkhead(&name, available, calls_max);
    }

    /// The refusal of a call that finds no slot.
    pub(crate) fn full(&self) -> NotPermitted {
        let Inner { name, options, .. } = &*self.0;
        NotPermitted::BulkheadFull { bulkhead: name.clone(), calls_max: options.calls_max }
    }
}

/// A place for one call; it is free again when this is dropped.
#[derive(Debug)]
#[must_use = "a slot that is dropped is free again"]
pub struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    bulkhead: Bulkhead,
}

impl Drop for Slot {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.bulkhead.refresh();
    }
}

#[cfg(test)]
mod tests;
