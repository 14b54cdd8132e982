//! The event bus: topics of partitions that keep what was published for a while, and groups of consumers that share the
//! partitions out among their members.
//!
//! [`EventBus`] is the port. The durable log embedded in `SQLite` implements it for one machine; a Kafka cluster is to
//! implement it for many. What holds everywhere: records of one key go to one partition and stay in the order they were
//! published in; a record that was acknowledged is not lost while the topic keeps it; it may be delivered again.

mod embedded;
mod partition;
mod port;

pub use embedded::{EmbeddedLog, EmbeddedOptions, LogFile, PartitionEnd, describe_metrics};
pub use partition::partition_of;
pub use port::{
    Assignment, BoxError, BusError, EventBus, GroupConsumer, LogReader, PartitionConsumer, PartitionLag,
    Position, Producer, Reach, Received, Record, TopicSpec,
};
