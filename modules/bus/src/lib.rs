//! The event bus: topics of partitions that keep what was published for a while, and groups of consumers that share the
//! partitions out among their members.
//!
//! [`EventBus`] is the port. The durable log embedded in `SQLite` implements it for one machine, `KafkaBus` (feature
//! `kafka`) for many. What holds everywhere: records of one key go to one partition and stay in the order they were
//! published in; a record that was acknowledged is not lost while the topic keeps it; it may be delivered again.

mod embedded;
#[cfg(feature = "kafka")]
mod kafka;
mod partition;
mod port;

pub use embedded::{EmbeddedLog, EmbeddedOptions, LogFile, PartitionEnd};
#[cfg(feature = "kafka")]
pub use kafka::{KafkaBus, KafkaOptions, KafkaSecurity, KafkaTopic};
pub use partition::partition_of;
pub use port::{
    Assignment, BoxError, BusError, EventBus, GroupConsumer, LogReader, PartitionConsumer, PartitionLag,
    Position, Producer, Reach, Received, Record, TopicSpec,
};

/// Describes what the buses measure; called once when metrics are set up.
pub fn describe_metrics() {
    embedded::describe_metrics();
    #[cfg(feature = "kafka")]
    kafka::describe_metrics();
}
