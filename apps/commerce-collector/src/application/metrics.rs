//! Figures of the collector.

use std::collections::BTreeMap;
use std::time::Duration;

use super::dead_letters::Outcome;
use super::ports::{Collected, Item, Verdict};

const EVENTS: &str = "commerce_collector_events_total";
const DUPLICATES: &str = "commerce_collector_duplicates_total";
const DEAD_LETTERS: &str = "commerce_collector_dead_letters_total";
const DEAD_LETTERS_OPEN: &str = "commerce_collector_dead_letters_open";
const REPLAYS: &str = "commerce_collector_dead_letter_replays_total";
const BATCH: &str = "commerce_collector_batch_seconds";
const BATCH_SIZE: &str = "commerce_collector_batch_size";
const SKIPPED: &str = "commerce_events_skipped_total";
const HALTED: &str = "commerce_collector_halted";
const LAG: &str = "commerce_consumer_lag_records";
const RANKING: &str = "commerce_collector_ranking_seconds";
const BOARD_AGE: &str = "commerce_board_age_seconds";

/// Says what the figures mean.
pub fn describe() {
    metrics::describe_counter!(EVENTS, "Events read, by type, duplicates included");
    metrics::describe_counter!(DUPLICATES, "Events that had been counted before");
    metrics::describe_counter!(DEAD_LETTERS, "Records set aside, by cause");
    metrics::describe_gauge!(DEAD_LETTERS_OPEN, "Records set aside that nobody has dealt with");
    metrics::describe_counter!(REPLAYS, "Dead letters that were replayed, by outcome");
    metrics::describe_histogram!(BATCH, "Time of counting one batch, in seconds");
    metrics::describe_histogram!(BATCH_SIZE, "Records of one batch");
    metrics::describe_counter!(SKIPPED, "Records that the log deleted before they were counted");
    metrics::describe_gauge!(HALTED, "1 while the consumer has halted");
    metrics::describe_gauge!(LAG, "Records that are not counted yet, by topic and partition");
    metrics::describe_histogram!(RANKING, "Time of ranking one day, in seconds");
    metrics::describe_gauge!(
        BOARD_AGE,
        "Time since the boards were last seen to show all that was counted, in seconds"
    );
}

pub(super) fn batch(items: &[Item], collected: Collected, elapsed: Duration) {
    let mut types: BTreeMap<&'static str, u64> = BTreeMap::new();
    for item in items {
        match &item.verdict {
            Verdict::Count(event) => *types.entry(event.event_type).or_default() += 1,
            Verdict::SetAside(cause) => {
                metrics::counter!(DEAD_LETTERS, "cause" => cause.class).increment(1);
            }
        }
    }
    for (event_type, count) in types {
        metrics::counter!(EVENTS, "type" => event_type).increment(count);
    }
    metrics::counter!(DUPLICATES).increment(collected.duplicates as u64);
    metrics::histogram!(BATCH).record(elapsed);
    #[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^52 records")]
    metrics::histogram!(BATCH_SIZE).record(items.len() as f64);
}

pub(super) fn letter(outcome: &Outcome) {
    let outcome = match outcome {
        Outcome::Counted => "counted",
        Outcome::Duplicate => "duplicate",
        Outcome::Refused(_) => "refused",
        Outcome::Discarded | Outcome::Settled(_) => return,
    };
    metrics::counter!(REPLAYS, "outcome" => outcome).increment(1);
}

pub(super) fn skipped(topic: &str, partition: i32, records: u64) {
    metrics::counter!(SKIPPED, "topic" => topic.to_owned(), "partition" => partition.to_string())
        .increment(records);
}

pub(super) fn halted(halted: bool) {
    metrics::gauge!(HALTED).set(if halted { 1.0 } else { 0.0 });
}

#[expect(clippy::cast_precision_loss, reason = "a lag is far below 2^52 records")]
pub(super) fn lag(topic: &str, partition: i32, records: i64) {
    // At 0 from the start: of a counter that begins higher no increase is seen.
    skipped(topic, partition, 0);
    metrics::gauge!(LAG, "topic" => topic.to_owned(), "partition" => partition.to_string())
        .set(records as f64);
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(super) fn dead_letters_open(count: i64) {
    metrics::gauge!(DEAD_LETTERS_OPEN).set(count as f64);
}

pub(super) fn ranked(elapsed: Duration) {
    metrics::histogram!(RANKING).record(elapsed);
}

pub(super) fn board_age(age: Duration) {
    metrics::gauge!(BOARD_AGE).set(age.as_secs_f64());
}
