use super::ports::StoreError;

/// Why the consumer halted. Nothing is lost: it goes on where it stood once the cause is mended and it is resumed or started again.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// Too much of a partition cannot be counted: more likely a bad release than bad records.
    #[error(
        "{limit} of the last {window} records of {topic}/{partition} were set aside, and the one at offset {offset} \
         ({cause}) would be one more; look at the dead letters, mend the decoder or the producer, and replay or discard \
         them: then it goes on"
    )]
    TooManyDeadLetters {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The record that was not set aside.
        offset: i64,
        /// What is wrong with it.
        cause: &'static str,
        /// How many may be set aside.
        limit: usize,
        /// Of how many.
        window: u32,
    },
    /// A record cannot be counted, and storage refuses to set it aside.
    #[error(
        "the record at offset {offset} of {topic}/{partition} can be neither counted nor set aside; \
         the offset stays before it; mend the table dead_letters, then resume it or start again"
    )]
    DeadLettersRefused {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The record.
        offset: i64,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The log ends before what was counted of it.
    #[error(
        "{topic}/{partition} ends at offset {end}, but {next} is the next to count: the log was replaced or comes from \
         an older backup than the collector's database; restore both from the same backup"
    )]
    LogReplaced {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The next offset to count.
        next: i64,
        /// Where the log ends.
        end: i64,
    },
}

/// An error and its sources in one line.
pub struct Chain<'a>(pub &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        std::iter::successors(self.0.source(), |&error| error.source())
            .try_for_each(|error| write!(f, ": {error}"))
    }
}
