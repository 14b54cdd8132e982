//! Looks at the rows after commits: what must hold at every instant, and which events were written.

use std::collections::BTreeMap;
use std::sync::Mutex;

use commerce_api_application::ports::OutboxRecord;
use commerce_api_infrastructure::memory::violations;
use uuid::Uuid;

use crate::database::Database;
use crate::world::locked;

/// An event that was committed.
#[derive(Debug, Clone)]
pub struct Written {
    /// Topic and aggregate.
    pub stream: (&'static str, String),
    /// Its place among the events of the aggregate.
    pub sequence: i64,
    /// The envelope as JSON.
    pub payload: String,
}

#[derive(Default)]
struct Seen {
    last: i64,
    commits: u64,
    written: BTreeMap<Uuid, Written>,
    /// The last sequence of each aggregate.
    sequences: BTreeMap<(&'static str, String), i64>,
}

/// What was seen.
pub struct Witness {
    seen: Mutex<Seen>,
    /// The rows are recounted after every so many commits.
    every: u64,
}

impl Witness {
    /// Recounts after every so many commits.
    pub fn new(every: u64) -> Self {
        Self { seen: Mutex::default(), every: every.max(1) }
    }

    /// Something may have been committed.
    pub fn committed(&self, database: &Database) {
        let mut seen = locked(&self.seen);
        for (number, record) in database.rows.outbox_after(seen.last) {
            seen.last = number;
            note(&mut seen, database, &record);
        }
        seen.commits += 1;
        if seen.commits.is_multiple_of(self.every) {
            drop(seen);
            recount(database);
        }
    }

    /// Every event that was committed.
    pub fn written(&self) -> BTreeMap<Uuid, Written> {
        locked(&self.seen).written.clone()
    }

    /// The last sequence of each aggregate.
    pub fn sequences(&self) -> BTreeMap<(&'static str, String), i64> {
        locked(&self.seen).sequences.clone()
    }
}

/// Counts again what must hold at every instant.
pub fn recount(database: &Database) {
    for violation in violations(&database.rows.state()) {
        database.world.wrong(format!("invariant {violation}"));
    }
}

fn note(seen: &mut Seen, database: &Database, record: &OutboxRecord) {
    let world = &database.world;
    let stream = (record.topic, record.aggregate_id.clone());
    let expected = seen.sequences.get(&stream).map_or(1, |last| last + 1);
    if record.sequence != expected {
        world.wrong(format!("the event {} of {stream:?} follows {}", record.sequence, expected - 1));
    }
    world.note(|| format!("event {} {}:{} #{}", kind(&record.payload), stream.0, stream.1, record.sequence));
    seen.sequences.insert(stream.clone(), record.sequence);
    let written = Written { stream, sequence: record.sequence, payload: record.payload.clone() };
    if seen.written.insert(record.event_id, written).is_some() {
        world.wrong(format!("the event {} was written twice", record.event_id));
    }
}

/// The type of an envelope.
fn kind(payload: &str) -> String {
    let envelope: serde_json::Value = serde_json::from_str(payload).unwrap_or_default();
    envelope.get("eventType").and_then(serde_json::Value::as_str).unwrap_or("?").to_owned()
}
