//! What operators do with records that were set aside.

mod ports;

use std::collections::BTreeMap;
use std::sync::Arc;

use commerce_runtime::{Clock, fill_random};

use super::failure::Chain;
use super::intake::{Intake, uncountable};
use super::metrics;
use super::ports::{DeadLetter, LetterState, StoreError, Verdict};

pub use ports::{DeadLetterStore, Hand, Judged, LetterFilter, Note, OperatorLog, Outcome, Place};

/// Letters of one page, and of one transaction.
const PAGE: usize = 100;

/// Deals with dead letters. All of it can be done beside a running consumer, twice, and in any order.
#[derive(Clone)]
pub struct DeadLetterDesk {
    store: Arc<dyn DeadLetterStore>,
    clock: Arc<dyn Clock>,
    intake: Intake,
}

/// Which open letters something is done with, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Which; its state does not count.
    pub filter: LetterFilter,
    /// Only those with a higher id.
    pub after: i64,
    /// At most so many.
    pub max: usize,
    /// Only tells what would happen.
    pub dry_run: bool,
}

/// What became of many letters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Letters that were looked at.
    pub examined: usize,
    /// Events counted now.
    pub counted: usize,
    /// Events that had been counted before.
    pub duplicates: usize,
    /// Letters discarded now.
    pub discarded: usize,
    /// Letters that somebody else dealt with in between.
    pub settled: usize,
    /// Letters that stay open, by cause.
    pub refused: BTreeMap<&'static str, usize>,
    /// Where to go on, if there are more than were asked for.
    pub next_after: Option<i64>,
}

impl Summary {
    fn add(&mut self, outcome: &Outcome) {
        self.examined += 1;
        match outcome {
            Outcome::Counted => self.counted += 1,
            Outcome::Duplicate => self.duplicates += 1,
            Outcome::Discarded => self.discarded += 1,
            Outcome::Settled(_) => self.settled += 1,
            Outcome::Refused(cause) => *self.refused.entry(cause.class).or_default() += 1,
        }
    }
}

impl DeadLetterDesk {
    /// Over this storage; `intake` judges records as the consumer does.
    pub fn new(store: Arc<dyn DeadLetterStore>, clock: Arc<dyn Clock>, intake: Intake) -> Self {
        Self { store, clock, intake }
    }

    /// A page, latest first, of those before `before`.
    pub async fn list(
        &self,
        filter: &LetterFilter,
        before: Option<i64>,
        limit: u64,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.store.letters(filter, Place::Before(before.unwrap_or(i64::MAX)), limit).await
    }

    /// A letter, and what was done with it; none where there is no such letter.
    pub async fn show(&self, id: i64) -> Result<Option<(DeadLetter, Vec<Note>)>, StoreError> {
        let Some(letter) = self.letter(id).await? else { return Ok(None) };
        let notes = self.store.notes(&target(id)).await?;
        Ok(Some((letter, notes)))
    }

    /// Replays one letter; none where there is no such letter.
    pub async fn replay_one(&self, id: i64, actor: &str) -> Result<Option<Outcome>, StoreError> {
        let Some(letter) = self.letter(id).await? else { return Ok(None) };
        if letter.state != LetterState::Open {
            return Ok(Some(Outcome::Settled(letter.state)));
        }
        let judged = self.judge(vec![letter]);
        Ok(self.replay_page(judged, actor).await?.pop())
    }

    /// Discards one letter; none where there is no such letter.
    pub async fn discard_one(
        &self,
        id: i64,
        reason: &str,
        actor: &str,
    ) -> Result<Option<Outcome>, StoreError> {
        let discarded = self.store.discard(Arc::from([id]), reason, &self.hand(actor)).await?;
        Ok(discarded.into_iter().next().map(|(_, outcome)| outcome))
    }

    /// Replays many letters: the events of those that can be counted today are counted, once, under their own ids.
    pub async fn replay(&self, selection: &Selection, actor: &str) -> Result<Summary, StoreError> {
        let mut pages = Pages::of(selection);
        while let Some(letters) = pages.next(&*self.store).await? {
            let judged = self.judge(letters);
            let outcomes = if selection.dry_run {
                self.store.preview(&judged).await?
            } else {
                self.replay_page(judged, actor).await?
            };
            for outcome in &outcomes {
                pages.summary.add(outcome);
            }
        }
        Ok(pages.summary)
    }

    /// Discards many letters.
    pub async fn discard(
        &self,
        selection: &Selection,
        reason: &str,
        actor: &str,
    ) -> Result<Summary, StoreError> {
        let mut pages = Pages::of(selection);
        while let Some(letters) = pages.next(&*self.store).await? {
            let ids: Arc<[i64]> = letters.iter().map(|letter| letter.id).collect();
            if selection.dry_run {
                for _ in &*ids {
                    pages.summary.add(&Outcome::Discarded);
                }
                continue;
            }
            let discarded = self.store.discard(ids, reason, &self.hand(actor)).await?;
            for (_, outcome) in &discarded {
                pages.summary.add(outcome);
            }
        }
        Ok(pages.summary)
    }

    async fn letter(&self, id: i64) -> Result<Option<DeadLetter>, StoreError> {
        let filter = LetterFilter { ids: Some(vec![id]), ..LetterFilter::default() };
        Ok(self.store.letters(&filter, Place::After(i64::MIN), 1).await?.pop())
    }

    fn judge(&self, letters: Vec<DeadLetter>) -> Vec<Judged> {
        let now_us = self.clock.now_us();
        let judged = |letter: DeadLetter| Judged {
            id: letter.id,
            item: self.intake.judge(letter.into_record(), now_us),
        };
        letters.into_iter().map(judged).collect()
    }

    /// A page in one transaction. Where storage refuses it as a whole, each letter is tried alone, and the one that is
    /// refused alone stays open with that cause.
    async fn replay_page(&self, judged: Vec<Judged>, actor: &str) -> Result<Vec<Outcome>, StoreError> {
        let judged: Arc<[Judged]> = judged.into();
        let refused = match self.store.replay(judged.clone(), &self.hand(actor)).await {
            Ok(outcomes) => {
                outcomes.iter().for_each(metrics::letter);
                return Ok(outcomes);
            }
            Err(error @ StoreError::Data(_)) => error,
            Err(error) => return Err(error),
        };
        if let [only] = &*judged
            && matches!(only.item.verdict, Verdict::Count(_))
        {
            tracing::warn!(letter = only.id, error = %Chain(&refused), "a dead letter is refused by storage again");
            let item = uncountable(&only.item, &Chain(&refused).to_string(), 1);
            let outcomes =
                self.store.replay(Arc::from([Judged { id: only.id, item }]), &self.hand(actor)).await?;
            outcomes.iter().for_each(metrics::letter);
            return Ok(outcomes);
        }
        if judged.len() < 2 {
            return Err(refused);
        }
        let mut outcomes = Vec::with_capacity(judged.len());
        for one in &*judged {
            outcomes.extend(Box::pin(self.replay_page(vec![one.clone()], actor)).await?);
        }
        Ok(outcomes)
    }

    fn hand(&self, actor: &str) -> Hand {
        let at_us = self.clock.now_us();
        let mut token = [0; 8];
        fill_random(&mut token);
        Hand {
            actor: actor.to_owned(),
            at_us,
            today: self.intake.zone.day(at_us).unwrap_or_default(),
            token: i64::from_le_bytes(token),
        }
    }
}

/// The letter's name in the operator's log.
pub(crate) fn target(id: i64) -> String {
    format!("dead-letter:{id}")
}

/// Pages of open letters, each only once.
struct Pages {
    filter: LetterFilter,
    after: i64,
    left: usize,
    summary: Summary,
}

impl Pages {
    fn of(selection: &Selection) -> Self {
        let filter = LetterFilter { state: Some(LetterState::Open), ..selection.filter.clone() };
        Self { filter, after: selection.after, left: selection.max, summary: Summary::default() }
    }

    async fn next(&mut self, store: &dyn DeadLetterStore) -> Result<Option<Vec<DeadLetter>>, StoreError> {
        let size = PAGE.min(self.left);
        // One more tells whether there are more than were asked for.
        let limit = u64::try_from(size + 1).unwrap_or(u64::MAX);
        let mut letters = store.letters(&self.filter, Place::After(self.after), limit).await?;
        let more = letters.len() > size;
        letters.truncate(size);
        if let Some(last) = letters.last() {
            self.after = last.id;
        }
        self.left -= letters.len();
        if self.left == 0 && more {
            self.summary.next_after = Some(self.after);
        }
        Ok(Some(letters).filter(|letters| !letters.is_empty()))
    }
}
