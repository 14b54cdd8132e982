//! Dead letters as they are shown.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::application::dead_letters::Note;
use crate::application::ports::{self, DeadLetter};
use crate::interfaces::input::time;
use crate::interfaces::mask::Raw;

/// State of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LetterState {
    /// Nobody has dealt with it.
    Open,
    /// Its event is counted.
    Replayed,
    /// An operator gave it up.
    Discarded,
}

impl From<LetterState> for ports::LetterState {
    fn from(state: LetterState) -> Self {
        match state {
            LetterState::Open => Self::Open,
            LetterState::Replayed => Self::Replayed,
            LetterState::Discarded => Self::Discarded,
        }
    }
}

impl From<ports::LetterState> for LetterState {
    fn from(state: ports::LetterState) -> Self {
        match state {
            ports::LetterState::Open => Self::Open,
            ports::LetterState::Replayed => Self::Replayed,
            ports::LetterState::Discarded => Self::Discarded,
        }
    }
}

/// A header of a record.
#[derive(Serialize, ToSchema)]
struct HeaderResponse {
    /// Its name.
    name: String,
    /// Its value.
    value: Raw,
}

/// A record that could not be counted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterResponse {
    /// Ascends in the order of setting aside.
    id: i64,
    /// Where it came from.
    topic: String,
    /// Where it came from.
    partition: i32,
    /// Where it came from.
    offset: i64,
    /// When the bus took it.
    #[schema(format = DateTime)]
    kept_at: String,
    /// When it was set aside.
    #[schema(format = DateTime)]
    set_aside_at: String,
    /// Why, as a name of a fixed set: what was found the last time it was tried.
    #[schema(example = "UNKNOWN_VERSION")]
    cause: String,
    /// Why, for people.
    detail: String,
    /// Times it was tried.
    attempts: u32,
    /// What was made of it.
    state: LetterState,
    /// Its event id, where one can be read.
    #[schema(required = true)]
    event_id: Option<Uuid>,
    /// Its type, where one can be read.
    #[schema(required = true)]
    event_type: Option<String>,
    /// Whose sequence it counts in, where that can be read.
    #[schema(required = true)]
    aggregate_type: Option<String>,
    /// Which of them, where that can be read.
    #[schema(required = true)]
    aggregate_id: Option<String>,
    /// Its place in that sequence, where one can be read.
    #[schema(required = true)]
    sequence: Option<i64>,
    /// Its key.
    key: Raw,
    /// Its headers.
    headers: Vec<HeaderResponse>,
    /// Its value.
    value: Raw,
}

impl From<DeadLetter> for DeadLetterResponse {
    fn from(letter: DeadLetter) -> Self {
        let header = |(name, value): (String, bytes::Bytes)| HeaderResponse { name, value: Raw::of(&value) };
        Self {
            id: letter.id,
            topic: letter.topic,
            partition: letter.partition,
            offset: letter.offset,
            kept_at: time(letter.kept_at_us),
            set_aside_at: time(letter.set_aside_at_us),
            cause: letter.cause,
            detail: letter.detail,
            attempts: letter.attempts,
            state: letter.state.into(),
            event_id: letter.identity.event_id,
            event_type: letter.identity.event_type,
            aggregate_type: letter.identity.aggregate_type,
            aggregate_id: letter.identity.aggregate_id,
            sequence: letter.identity.sequence,
            key: Raw::of(&letter.key),
            headers: letter.headers.into_iter().map(header).collect(),
            value: Raw::of(&letter.value),
        }
    }
}

/// Something that was done by hand.
#[derive(Serialize, ToSchema)]
struct NoteResponse {
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Who: `user:7`, or `cli`.
    #[schema(example = "user:7")]
    actor: String,
    /// What.
    #[schema(example = "DEAD_LETTER_REPLAYED")]
    action: String,
    /// The reason, or what came of it.
    detail: String,
}

impl From<Note> for NoteResponse {
    fn from(note: Note) -> Self {
        Self { at: time(note.at_us), actor: note.actor, action: note.action, detail: note.detail }
    }
}

/// A dead letter, and what was done with it.
#[derive(Serialize, ToSchema)]
pub struct ShownLetterResponse {
    #[serde(flatten)]
    letter: DeadLetterResponse,
    /// What was done with it by hand, oldest first.
    history: Vec<NoteResponse>,
}

impl From<(DeadLetter, Vec<Note>)> for ShownLetterResponse {
    fn from((letter, notes): (DeadLetter, Vec<Note>)) -> Self {
        Self { letter: letter.into(), history: notes.into_iter().map(Into::into).collect() }
    }
}
