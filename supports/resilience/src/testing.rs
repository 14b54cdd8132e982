//! What the tests of several layers use.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::{
    Backoff, BreakerEvent, BreakerListener, BreakerOptions, BreakerState, CallError, CircuitBreaker,
    Environment, ManualTime, Outcome, SeededRandomness, Verdict, WindowKind,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The options of the payment gateway's breakers.
pub(crate) fn gateway() -> BreakerOptions {
    BreakerOptions {
        failure_rate: 50,
        slow_call_rate: 70,
        slow_call: SECOND,
        window: WindowKind::Count(10),
        calls_min: 5,
        open_wait: Backoff::constant(10 * SECOND),
        half_open_permits: 2,
        half_open_wait_max: Some(30 * SECOND),
        ..BreakerOptions::default()
    }
}

/// Remembers what it heard.
#[derive(Default)]
pub(crate) struct Heard(Mutex<Vec<BreakerEvent>>);

impl Heard {
    pub(crate) fn take(&self) -> Vec<BreakerEvent> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl BreakerListener for Heard {
    fn heard(&self, _: &str, event: BreakerEvent) {
        self.0.lock().unwrap().push(event);
    }
}

/// A breaker whose time stands still.
pub(crate) struct Bench {
    pub(crate) time: Arc<ManualTime>,
    pub(crate) heard: Arc<Heard>,
    pub(crate) breaker: CircuitBreaker,
}

impl Bench {
    pub(crate) fn new(options: BreakerOptions) -> Self {
        let time = Arc::new(ManualTime::default());
        let heard = Arc::new(Heard::default());
        let environment = Environment { clock: time.clone(), ..environment() };
        let breaker = CircuitBreaker::new("charge", options, environment, vec![heard.clone()]).unwrap();
        Self { time, heard, breaker }
    }

    /// A breaker that has just opened on its first failures.
    pub(crate) fn opened(options: BreakerOptions) -> Self {
        let bench = Self::new(options);
        for _ in 0..options.calls_min {
            bench.fail();
        }
        assert_eq!(bench.breaker.state(), BreakerState::Open);
        bench
    }

    /// One that is half open, with no permit out.
    pub(crate) fn half_open(options: BreakerOptions) -> Self {
        let bench = Self::opened(options);
        bench.time.advance(options.open_wait.first);
        bench.breaker.try_acquire().unwrap().release();
        assert_eq!(bench.breaker.state(), BreakerState::HalfOpen);
        bench
    }

    pub(crate) fn succeed(&self) {
        self.breaker.try_acquire().unwrap().settle(Verdict::success());
    }

    pub(crate) fn fail(&self) {
        self.breaker.try_acquire().unwrap().settle(Verdict::failure());
    }

    /// A call that takes so long.
    pub(crate) fn call(&self, took: Duration, verdict: Verdict) {
        let permit = self.breaker.try_acquire().unwrap();
        self.time.advance(took);
        permit.settle(verdict);
    }

    pub(crate) fn transitions(&self) -> Vec<(BreakerState, BreakerState)> {
        let transition = |event| match event {
            BreakerEvent::Transition { from, to, .. } => Some((from, to)),
            _ => None,
        };
        self.heard.take().into_iter().filter_map(transition).collect()
    }
}

/// Tokio's clock and a seed.
pub(crate) fn environment() -> Environment {
    Environment { randomness: Arc::new(SeededRandomness::new(1)), ..Environment::default() }
}

/// What the calls of the tests end in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing left.
    NotSent,
    /// It may have arrived.
    Lost,
    /// The other side says no.
    Refused,
    /// Come back after so many milliseconds.
    Busy(u64),
}

pub(crate) type End = Result<u32, CallError<Fault>>;

/// As the gateway's client judges. The result 0 asks to be called again.
pub(crate) fn judge(outcome: &Outcome<'_, u32, Fault>) -> Verdict {
    match outcome {
        Outcome::Answered(0) => Verdict::success().retry(),
        Outcome::Answered(_) => Verdict::success(),
        Outcome::Failed(Fault::NotSent) => Verdict::failure().retry(),
        Outcome::Failed(Fault::Lost) | Outcome::TimedOut(_) => Verdict::failure().retry().unknown(),
        Outcome::Failed(Fault::Refused) => Verdict::ignored(),
        Outcome::Failed(Fault::Busy(wait)) => Verdict::failure().retry_after(ms(*wait)),
    }
}

/// Records metrics of this thread until `work` has ended.
pub(crate) fn measured(work: impl FnOnce(&dyn Fn(&str) -> Option<f64>)) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || work(&|series| value(&handle, series)));
}

fn value(handle: &PrometheusHandle, series: &str) -> Option<f64> {
    let text = handle.render();
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}
