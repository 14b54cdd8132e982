//! Committing offsets: the client waits for the group's answer, so a thread of its own does, and what comes in meanwhile
//! goes out together.

use std::collections::HashMap;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Weak};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::oneshot;

use super::group::{Callbacks, Rebalances};
use super::slot::Slot;

/// Whether an offset was taken.
pub(super) type Answer = Result<(), RDKafkaErrorCode>;

/// An offset that the group is to take.
pub(super) struct Wish {
    pub slot: Arc<Slot>,
    pub next: i64,
    pub answer: Option<oneshot::Sender<Answer>>,
}

/// Runs until nobody can wish any more, or the client is gone.
pub(super) fn serve(
    client: &Weak<BaseConsumer<Callbacks>>,
    wishes: &Receiver<Wish>,
    rebalances: &Rebalances,
) {
    while let Ok(first) = wishes.recv() {
        let mut together = vec![first];
        together.extend(wishes.try_iter());
        // A partition that was lost meanwhile is for its new owner to speak for.
        together.retain(|wish| !wish.slot.is_revoked());
        if together.is_empty() {
            continue;
        }
        let Some(client) = client.upgrade() else { return };
        let code = |error: KafkaError| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        let taken = match rebalances.refusal() {
            Some(refusal) => Err(refusal),
            None => commit(&client, &together).map_err(code),
        };
        for Wish { slot, next, answer } in together {
            if taken.is_ok() {
                slot.committed(next);
            }
            if let Some(answer) = answer {
                // Whoever does not wait any more has gone away.
                let _ = answer.send(taken);
            }
        }
    }
}

fn commit(client: &BaseConsumer<Callbacks>, wishes: &[Wish]) -> KafkaResult<()> {
    let mut latest: HashMap<(&str, i32), i64> = HashMap::new();
    for Wish { slot, next, .. } in wishes {
        // The last wish of a reader counts: it may have gone back.
        latest.insert((slot.name.as_str(), slot.assignment.partition), *next);
    }
    let mut offsets = TopicPartitionList::with_capacity(latest.len());
    for ((topic, partition), next) in latest {
        offsets.add_partition_offset(topic, partition, Offset::Offset(next))?;
    }
    client.commit(&offsets, CommitMode::Sync)
}
