//! The circuit breaker. Its rules are in `core`, which knows neither locks nor clocks.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::call::{CallError, Classify, NotPermitted, Outcome};
use crate::environment::Environment;
use crate::metrics;
use crate::options::{Check, OptionsError};

mod core;
mod event;
mod options;
mod permit;
mod snapshot;
mod state;

pub use event::{BreakerEvent, BreakerListener};
pub use options::BreakerOptions;
pub use permit::Permit;
pub use snapshot::BreakerSnapshot;
pub use state::{BreakerState, IllegalTransition};

use self::core::{Core, Visit};

/// A circuit breaker. Clones are the same one.
#[derive(Clone)]
pub struct CircuitBreaker(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    options: BreakerOptions,
    environment: Environment,
    listeners: Vec<Arc<dyn BreakerListener>>,
    core: Mutex<Core>,
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker").field("name", &self.0.name).finish_non_exhaustive()
    }
}

impl CircuitBreaker {
    /// A breaker called `name` in metrics and logs.
    pub fn new(
        name: &str,
        options: BreakerOptions,
        environment: Environment,
        listeners: Vec<Arc<dyn BreakerListener>>,
    ) -> Result<Self, OptionsError> {
        let check = Check::of("circuit breaker", name)?;
        options.check(&check)?;
        let core = Mutex::new(Core::new(options, environment.clock.now()));
        let inner = Inner { name: check.name(), options, environment, listeners, core };
        let breaker = Self(Arc::new(inner));
        breaker.refresh();
        Ok(breaker)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Makes a call, if calls are let through. A refusal from further inside gives the permit back and counts as
    /// nothing.
    pub async fn run<T, E, F>(
        &self,
        classify: &impl Classify<T, E>,
        call: impl FnOnce() -> F,
    ) -> Result<T, CallError<E>>
    where
        F: Future<Output = Result<T, CallError<E>>>,
    {
        let permit = self.try_acquire()?;
        let end = call().await;
        match Outcome::of(&end) {
            Some(outcome) => permit.settle(classify.verdict(&outcome)),
            None => permit.release(),
        }
        end
    }

    /// A permit for one call, if calls are let through.
    pub fn try_acquire(&self) -> Result<Permit, NotPermitted> {
        let now = self.now();
        let mut core = self.lock();
        let admitted = core.admit(now);
        let (state, retry_after) = (core.state(), core.open_for(now));
        self.publish(core, now);
        let Some(epoch) = admitted else {
            metrics::refused(&self.0.name);
            return Err(NotPermitted::BreakerOpen { breaker: self.0.name.clone(), state, retry_after });
        };
        Ok(Permit::new(self.clone(), epoch, now))
    }

    /// Refuses every call until [`reset`](Self::reset) or [`transition`](Self::transition). Once more changes nothing.
    pub fn force_open(&self) {
        // The only refusal is that it is forced open already.
        let _ = self.transition(BreakerState::ForcedOpen);
    }

    /// Closed, with an empty window, from whatever state. Calls that are under way do not count into it.
    pub fn reset(&self) {
        let now = self.now();
        let mut core = self.lock();
        core.reset(now);
        self.publish(core, now);
    }

    /// Goes to a state by the operator's will; only on the ways that [`BreakerState::may_become`] tells.
    pub fn transition(&self, to: BreakerState) -> Result<(), IllegalTransition> {
        let now = self.now();
        let mut core = self.lock();
        core.advance(Visit::Other, now);
        let from = core.state();
        let went = core.go(to, now);
        self.publish(core, now);
        if went { Ok(()) } else { Err(IllegalTransition { breaker: self.0.name.to_string(), from, to }) }
    }

    /// Its state.
    pub fn state(&self) -> BreakerState {
        self.snapshot().state
    }

    /// Everything that an operator wants to see.
    pub fn snapshot(&self) -> BreakerSnapshot {
        let now = self.now();
        let mut core = self.lock();
        core.advance(Visit::Other, now);
        let snapshot = BreakerSnapshot::of(&self.0.name, &self.0.options, &mut core, now);
        self.publish(core, now);
        snapshot
    }

    /// Writes the gauges anew: time alone moves them too.
    pub fn refresh(&self) {
        let now = self.now();
        let mut core = self.lock();
        core.advance(Visit::Other, now);
        self.write_gauges(&mut core, now);
        self.publish(core, now);
    }

    fn now(&self) -> Instant {
        self.0.environment.clock.now()
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.0.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gauges are written under the lock, so that the last one to write has seen everything before.
    fn write_gauges(&self, core: &mut Core, now: Instant) {
        let snapshot = BreakerSnapshot::of(&self.0.name, &self.0.options, core, now);
        metrics::breaker(&self.0.name, &snapshot);
    }

    /// Tells what happened, and lets go of the lock before it tells the listeners.
    fn publish(&self, mut core: MutexGuard<'_, Core>, now: Instant) {
        if core.events.is_empty() {
            return;
        }
        let events = std::mem::take(&mut core.events);
        let forced = core.state() == BreakerState::ForcedOpen;
        // A refusal moves no gauge; this keeps an open breaker quick.
        if events.iter().any(|event| *event != BreakerEvent::NotPermitted) {
            self.write_gauges(&mut core, now);
        }
        drop(core);
        for event in events {
            if forced && !event.is_of_the_state() {
                continue;
            }
            self.log(event);
            for listener in &self.0.listeners {
                listener.heard(&self.0.name, event);
            }
        }
    }

    fn log(&self, event: BreakerEvent) {
        let breaker = self.name();
        match event {
            BreakerEvent::Transition { from, to, epoch } => {
                tracing::warn!(breaker, %from, %to, epoch, "circuit breaker changed its state");
            }
            BreakerEvent::FailureRateExceeded(percent) => {
                tracing::warn!(breaker, percent, "too many calls fail");
            }
            BreakerEvent::SlowCallRateExceeded(percent) => {
                tracing::warn!(breaker, percent, "too many calls are slow");
            }
            BreakerEvent::Reset => tracing::warn!(breaker, "circuit breaker was reset"),
            BreakerEvent::Success(_)
            | BreakerEvent::Error(_)
            | BreakerEvent::Ignored(_)
            | BreakerEvent::Cancelled(_)
            | BreakerEvent::NotPermitted => {}
        }
    }
}

#[cfg(test)]
mod tests;
