use std::time::Duration;

use commerce_api_domain::{EventKind, OrderStatus, PaymentEvent, WorkingSet};

/// Describes what the desks measure; called once when metrics are set up.
pub fn describe_metrics() {
    metrics::describe_histogram!("commerce_desk_batch_size", "Commands in one batch, by desk");
    metrics::describe_histogram!(
        "commerce_desk_wait_seconds",
        "From submission to the start of the batch, by desk"
    );
    metrics::describe_histogram!(
        "commerce_desk_batch_seconds",
        "From the start of a batch to its commit, by desk"
    );
    metrics::describe_gauge!("commerce_desk_queue_depth", "Commands that wait, by desk");
    metrics::describe_counter!("commerce_desk_retries_total", "Batches that ran again, by desk and cause");
    metrics::describe_counter!(
        "commerce_desk_rejected_total",
        "Commands refused because the queue was full, by desk"
    );
    metrics::describe_counter!("commerce_orders_total", "Orders that came into a state, by status");
    metrics::describe_counter!("commerce_payments_total", "What became of card parts, by result");
    metrics::describe_counter!(
        "commerce_order_refusals_total",
        "Commands of the order desk that were refused"
    );
    metrics::describe_counter!(
        "commerce_idempotent_replays_total",
        "Answers given again for a key, by route"
    );
}

pub(super) fn batch_started(desk: &'static str, size: usize, waits: impl Iterator<Item = Duration>) {
    #[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^52 commands")]
    metrics::histogram!("commerce_desk_batch_size", "desk" => desk).record(size as f64);
    let wait = metrics::histogram!("commerce_desk_wait_seconds", "desk" => desk);
    waits.for_each(|waited| wait.record(waited));
}

pub(super) fn batch_finished(desk: &'static str, took: Duration) {
    metrics::histogram!("commerce_desk_batch_seconds", "desk" => desk).record(took);
}

pub(super) fn batch_retried(desk: &'static str, cause: &'static str) {
    metrics::counter!("commerce_desk_retries_total", "desk" => desk, "cause" => cause).increment(1);
}

/// Shows what seldom happens from the start, at 0: of a counter that begins at 1 no rate tells that it grew.
pub(super) fn started(desk: &'static str) {
    metrics::counter!("commerce_desk_rejected_total", "desk" => desk).increment(0);
}

pub(super) fn queue_full(desk: &'static str) {
    metrics::counter!("commerce_desk_rejected_total", "desk" => desk).increment(1);
}

pub(super) fn queue_depth(desk: &'static str, depth: usize) {
    #[expect(clippy::cast_precision_loss, reason = "a queue is far below 2^52 commands")]
    metrics::gauge!("commerce_desk_queue_depth", "desk" => desk).set(depth as f64);
}

pub(super) fn replayed(route: &'static str) {
    metrics::counter!("commerce_idempotent_replays_total", "route" => route).increment(1);
}

pub(super) fn refused() {
    metrics::counter!("commerce_order_refusals_total").increment(1);
}

/// Counts orders and card parts by what a committed batch brought them to.
pub(super) fn committed(set: &WorkingSet) {
    for event in &set.events {
        let status = match event.kind {
            EventKind::OrderPaid { .. } => OrderStatus::Paid,
            EventKind::OrderExpired { .. } => OrderStatus::Expired,
            EventKind::OrderCanceled { .. } => OrderStatus::Canceled,
            EventKind::OrderPaymentFailed { .. } => OrderStatus::PaymentFailed,
            EventKind::PaymentRequested { .. } => OrderStatus::PaymentPending,
            _ => continue,
        };
        metrics::counter!("commerce_orders_total", "status" => status.name()).increment(1);
    }
    for record in &set.payment_events {
        let result = match record.event {
            PaymentEvent::Captured { .. } => "captured",
            PaymentEvent::CapturedLate { .. } => "captured_late",
            PaymentEvent::DuplicateCaptured { .. } => "duplicate",
            PaymentEvent::Declined { .. } => "declined",
            PaymentEvent::NeverRecorded => "never_recorded",
            _ => continue,
        };
        metrics::counter!("commerce_payments_total", "result" => result).increment(1);
    }
}
