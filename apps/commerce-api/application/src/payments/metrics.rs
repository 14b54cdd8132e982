use std::collections::BTreeMap;

use commerce_api_domain::{PaymentStatus, Timestamp};

use super::visit::Next;
use crate::ports::{PaymentsInState, Verdict};

/// Describes what the dispatcher and the callbacks measure; called once when metrics are set up.
pub fn describe_metrics() {
    metrics::describe_gauge!("commerce_payments_open", "Payments that are not final, by state");
    metrics::describe_gauge!(
        "commerce_payments_open_oldest_age_seconds",
        "Age of the oldest payment that is not final, by state"
    );
    metrics::describe_counter!(
        "commerce_payment_visits_total",
        "Visits of the payment dispatcher, by the payment's state and what follows"
    );
    metrics::describe_counter!(
        "commerce_payment_visit_failures_total",
        "Visits that failed, by kind of failure"
    );
    metrics::describe_counter!("commerce_payment_refunds_total", "Refunds that the gateway made");
    metrics::describe_counter!(
        "commerce_payments_quarantined_total",
        "Facts about payments that were not believed, by cause"
    );
    metrics::describe_counter!("commerce_callbacks_total", "Callbacks, by what became of them");
}

/// Every state that is not final has a value, so that an alert sees it come back to 0.
pub(super) fn open(states: &[PaymentsInState], now: Timestamp) {
    let known: BTreeMap<PaymentStatus, &PaymentsInState> =
        states.iter().map(|state| (state.status, state)).collect();
    for status in PaymentStatus::ALL.into_iter().filter(|status| !status.is_final()) {
        let state = known.get(&status);
        let age = state.and_then(|state| state.oldest_at).map_or(0.0, |at| now.since(at).as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52 payments are open")]
        metrics::gauge!("commerce_payments_open", "state" => status.name())
            .set(state.map_or(0.0, |state| state.count as f64));
        metrics::gauge!("commerce_payments_open_oldest_age_seconds", "state" => status.name()).set(age);
    }
}

pub(super) fn visited(state: &'static str, next: Next) {
    let next = next.name();
    metrics::counter!("commerce_payment_visits_total", "state" => state, "next" => next).increment(1);
}

pub(super) fn failed(kind: &'static str) {
    metrics::counter!("commerce_payment_visit_failures_total", "kind" => kind).increment(1);
}

pub(super) fn refunded() {
    metrics::counter!("commerce_payment_refunds_total").increment(1);
}

pub(super) fn quarantined(cause: Verdict) {
    metrics::counter!("commerce_payments_quarantined_total", "cause" => cause.name()).increment(1);
}

pub(super) fn callback(outcome: &'static str) {
    metrics::counter!("commerce_callbacks_total", "outcome" => outcome).increment(1);
}
