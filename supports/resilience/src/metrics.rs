//! The names that dashboards for Resilience4j know. The recorder is asked each time: it may be installed after a layer is
//! made, and a call to something remote costs far more.

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::breaker::{BreakerSnapshot, BreakerState};

/// Describes what the layers measure; called once when metrics are set up.
pub fn describe_metrics() {
    describe_gauge!(
        "resilience4j_circuitbreaker_state",
        "1 for the state a circuit breaker is in, 0 for the others"
    );
    describe_histogram!(
        "resilience4j_circuitbreaker_calls_seconds",
        "Calls through a circuit breaker, by kind (successful, failed, ignored, cancelled)"
    );
    describe_counter!(
        "resilience4j_circuitbreaker_not_permitted_calls_total",
        "Calls that a circuit breaker refused"
    );
    describe_gauge!("resilience4j_circuitbreaker_buffered_calls", "Calls in the window, by kind");
    describe_gauge!("resilience4j_circuitbreaker_slow_calls", "Slow calls in the window, by kind");
    describe_gauge!(
        "resilience4j_circuitbreaker_failure_rate",
        "Failed calls in percent; -1 below the minimum of calls"
    );
    describe_gauge!(
        "resilience4j_circuitbreaker_slow_call_rate",
        "Slow calls in percent; -1 below the minimum of calls"
    );
    describe_counter!(
        "resilience4j_retry_calls_total",
        "Calls with retry, by kind (successful or failed, with or without a second attempt)"
    );
    describe_counter!(
        "resilience4j_retry_attempts_total",
        "Attempts of calls with retry, the first ones included"
    );
    describe_counter!(
        "resilience4j_timelimiter_calls_total",
        "Calls with a time limit, by kind (successful, failed, timeout)"
    );
    describe_gauge!("resilience4j_bulkhead_available_concurrent_calls", "Free slots of a bulkhead");
    describe_gauge!("resilience4j_bulkhead_max_allowed_concurrent_calls", "All slots of a bulkhead");
}

pub(crate) fn breaker(name: &Arc<str>, snapshot: &BreakerSnapshot) {
    for state in BreakerState::ALL {
        let is = f64::from(u8::from(state == snapshot.state));
        gauge!("resilience4j_circuitbreaker_state", "name" => name.clone(), "state" => state.label()).set(is);
    }
    let calls = [
        ("failed", snapshot.failed_calls, snapshot.slow_failed_calls),
        (
            "successful",
            snapshot.buffered_calls - snapshot.failed_calls,
            snapshot.slow_calls - snapshot.slow_failed_calls,
        ),
    ];
    for (kind, buffered, slow) in calls {
        gauge!("resilience4j_circuitbreaker_buffered_calls", "name" => name.clone(), "kind" => kind)
            .set(buffered);
        gauge!("resilience4j_circuitbreaker_slow_calls", "name" => name.clone(), "kind" => kind).set(slow);
    }
    gauge!("resilience4j_circuitbreaker_failure_rate", "name" => name.clone()).set(snapshot.failure_rate);
    gauge!("resilience4j_circuitbreaker_slow_call_rate", "name" => name.clone()).set(snapshot.slow_call_rate);
}

pub(crate) fn call(name: &str, kind: &'static str, took: Duration) {
    histogram!("resilience4j_circuitbreaker_calls_seconds", "name" => name.to_owned(), "kind" => kind)
        .record(took);
}

pub(crate) fn refused(name: &Arc<str>) {
    counter!(
        "resilience4j_circuitbreaker_not_permitted_calls_total",
        "name" => name.clone(), "kind" => "not_permitted"
    )
    .increment(1);
}

pub(crate) fn retry(name: &Arc<str>, kind: &'static str) {
    counter!("resilience4j_retry_calls_total", "name" => name.clone(), "kind" => kind).increment(1);
}

pub(crate) fn attempt(name: &Arc<str>) {
    counter!("resilience4j_retry_attempts_total", "name" => name.clone()).increment(1);
}

pub(crate) fn timed(name: &Arc<str>, kind: &'static str) {
    counter!("resilience4j_timelimiter_calls_total", "name" => name.clone(), "kind" => kind).increment(1);
}

pub(crate) fn bulkhead(name: &Arc<str>, available: u32, all: u32) {
    gauge!("resilience4j_bulkhead_available_concurrent_calls", "name" => name.clone()).set(available);
    gauge!("resilience4j_bulkhead_max_allowed_concurrent_calls", "name" => name.clone()).set(all);
}
