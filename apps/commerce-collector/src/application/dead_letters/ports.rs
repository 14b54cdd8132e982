//! What dealing with dead letters needs of storage.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::NaiveDate;

use crate::application::ports::{Cause, DeadLetter, Item, LetterState, StoreError};

/// Which dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LetterFilter {
    /// In this state.
    pub state: Option<LetterState>,
    /// Of this type, as the record says.
    pub event_type: Option<String>,
    /// Set aside for this cause.
    pub cause: Option<String>,
    /// Set aside at this moment or later, in microseconds since the epoch.
    pub since_us: Option<i64>,
    /// Set aside before this moment, in microseconds since the epoch.
    pub until_us: Option<i64>,
    /// Only these; none means any.
    pub ids: Option<Vec<i64>>,
}

impl LetterFilter {
    /// Whether it takes every letter, of whatever state.
    pub fn is_open_to_all(&self) -> bool {
        *self == Self { state: self.state, ..Self::default() }
    }
}

/// Where a page begins, and in which direction it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The latest first, of those with a lower id.
    Before(i64),
    /// The earliest first, of those with a higher id.
    After(i64),
}

/// A dead letter, and what today's code makes of its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The letter's id.
    pub id: i64,
    /// Its record and the verdict on it.
    pub item: Item,
}

/// Who deals with dead letters, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hand {
    /// `user:7`, or `cli`.
    pub actor: String,
    /// Now, in microseconds since the epoch.
    pub at_us: i64,
    /// Today in the shop's zone.
    pub today: NaiveDate,
    /// A random number: what carries it was inserted by this transaction.
    pub token: i64,
}

/// What became of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its event is counted now.
    Counted,
    /// Its event had been counted already; the letter is dealt with.
    Duplicate,
    /// Its record cannot be counted today either; the letter stays open.
    Refused(Cause),
    /// It was discarded now.
    Discarded,
    /// Somebody had dealt with it before; nothing was done.
    Settled(LetterState),
}

/// Something that was done by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// When, in microseconds since the epoch.
    pub at_us: i64,
    /// Who.
    pub actor: String,
    /// What, as a name of a fixed set.
    pub action: String,
    /// To what: `dead-letter:7`.
    pub target: String,
    /// The reason, or what came of it.
    pub detail: String,
}

/// What was done by hand, for ever.
#[async_trait]
pub trait OperatorLog: Send + Sync + 'static {
    /// Writes it down.
    async fn note(&self, note: Note) -> Result<(), StoreError>;

    /// What was done to `target`, oldest first; at most 1,000.
    async fn notes(&self, target: &str) -> Result<Vec<Note>, StoreError>;
}

/// Dead letters.
#[async_trait]
pub trait DeadLetterStore: OperatorLog {
    /// A page of them.
    async fn letters(
        &self,
        filter: &LetterFilter,
        place: Place,
        limit: u64,
    ) -> Result<Vec<DeadLetter>, StoreError>;

    /// What [`Self::replay`] would come to now, in the order of `letters`. Changes nothing.
    async fn preview(&self, letters: &[Judged]) -> Result<Vec<Outcome>, StoreError>;

    /// Counts the events of letters that are open, each once, and closes those letters; remembers of the others why they
    /// cannot be counted. All of it or nothing, and a line in the operator's log for each.
    async fn replay(&self, letters: Arc<[Judged]>, hand: &Hand) -> Result<Vec<Outcome>, StoreError>;

    /// Closes letters that are open without counting them, with a line in the operator's log for each. An id that does
    /// not exist has no outcome.
    async fn discard(
        &self,
        ids: Arc<[i64]>,
        reason: &str,
        hand: &Hand,
    ) -> Result<Vec<(i64, Outcome)>, StoreError>;
}
