use commerce_resilience::{CallError, NotPermitted};
use tokio::time::Instant;

use super::fault::Fault;

const CALLS: &str = "commerce_gateway_calls_total";
const SECONDS: &str = "commerce_gateway_call_seconds";

/// Describes what the gateway client measures; called once when metrics are set up.
pub fn describe_gateway_metrics() {
    metrics::describe_counter!(
        CALLS,
        "Calls to the payment gateway, by call and result (ok, refused, not_sent, unknown; not begun: open, full, late)"
    );
    metrics::describe_histogram!(
        SECONDS,
        "From the start of a call to the payment gateway to its end, by call"
    );
    commerce_resilience::describe_metrics();
}

/// One call that is under way. Given up, its result is unknown.
pub(super) struct UnderWay {
    call: &'static str,
    result: &'static str,
    started_at: Instant,
}

impl UnderWay {
    pub(super) fn begin(call: &'static str) -> Self {
        Self { call, result: "unknown", started_at: Instant::now() }
    }

    pub(super) fn end<T>(mut self, end: &Result<T, Fault>) {
        self.result = end.as_ref().err().map_or("ok", Fault::name);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let Self { call, result, started_at } = *self;
        metrics::counter!(CALLS, "call" => call, "result" => result).increment(1);
        metrics::histogram!(SECONDS, "call" => call).record(started_at.elapsed());
    }
}

/// Counts a call of which nothing was sent because it was not let through.
pub(super) fn not_begun<E>(call: &'static str, error: &CallError<E>) {
    let result = match error.not_permitted() {
        Some(NotPermitted::BreakerOpen { .. }) => "open",
        Some(NotPermitted::BulkheadFull { .. }) => "full",
        Some(NotPermitted::DeadlinePassed) => "late",
        None => return,
    };
    metrics::counter!(CALLS, "call" => call, "result" => result).increment(1);
}
