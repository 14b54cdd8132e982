//! Dead letters in SQL: pages, and what is done with them in one transaction.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use commerce_database::{
    Column, Dialect, Lock, RowValue, Select, Template, Update, WriteTransaction, execute_exact,
};
use sea_orm::{ConnectionTrait, QueryResult, Value};
use uuid::Uuid;

use super::collect::{HANDLED_BY, count, insert_new, read_headers};
use super::columns::Columns;
use super::error::{Failure, orm};
use super::operator_log;
use super::store::SqlCollector;
use crate::application::dead_letters::{
    DeadLetterStore, Hand, Judged, LetterFilter, Note, Outcome, Place, target,
};
use crate::application::ports::{
    Cause, CountedEvent, DeadLetter, Identity, LetterState, StoreError, Verdict,
};

const LETTERS: &str = "SELECT id, topic, `partition`, `offset`, kept_at, record_key, headers, value, cause, \
     detail, attempts, event_id, event_type, aggregate_type, aggregate_id, sequence, state, set_aside_at \
     FROM dead_letters WHERE {rules} ORDER BY id {direction} LIMIT {max}";

/// What is known of letters under the lock.
const STATES: Select = Select {
    table: "dead_letters",
    columns: &["id", "state", "attempts"],
    keys: &[Column::int("id")],
    order: &[],
};

/// Letters of the same events: one that was replayed speaks for all, also when the dedupe rows are gone.
const TWINS: Select = Select {
    table: "dead_letters",
    columns: &["event_id", "state"],
    keys: &[Column::uuid("event_id")],
    order: &[],
};

const REPLAYED: Update = Update {
    table: "dead_letters",
    columns: &[
        Column::int("id"),
        Column::text("before"),
        Column::text("state"),
        Column::int("attempts"),
        Column::uuid("event_id"),
        Column::text("event_type"),
        Column::text("aggregate_type"),
        Column::text("aggregate_id"),
        Column::int("sequence"),
    ],
    keys: &["id"],
    set: &["state", "attempts", "event_id", "event_type", "aggregate_type", "aggregate_id", "sequence"],
    expect: &[("state", "before")],
};

const REFUSED: Update = Update {
    table: "dead_letters",
    columns: &[
        Column::int("id"),
        Column::text("before"),
        Column::int("attempts"),
        Column::text("cause"),
        Column::text("detail"),
    ],
    keys: &["id"],
    set: &["attempts", "cause", "detail"],
    expect: &[("state", "before")],
};

const DISCARDED: Update = Update {
    table: "dead_letters",
    columns: &[Column::int("id"), Column::text("before"), Column::text("state")],
    keys: &["id"],
    set: &["state"],
    expect: &[("state", "before")],
};

#[async_trait]
impl DeadLetterStore for SqlCollector {
    async fn letters(
        &self,
        filter: &LetterFilter,
        place: Place,
        limit: u64,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        if filter.ids.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let (rules, values) = rules(filter, place);
        let direction = match place {
            Place::Before(_) => "DESC",
            Place::After(_) => "ASC",
        };
        let statement = Template::new(LETTERS)
            .fragments("rules", " AND ", rules)
            .fragment("direction", direction)
            .number("max", i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = self.rows("dead_letters", statement, values).await?;
        rows.iter().map(dead_letter).collect()
    }

    async fn preview(&self, letters: &[Judged]) -> Result<Vec<Outcome>, StoreError> {
        let reader = self.db.reader_named("preview_dead_letters");
        let ids = countable(letters).map(|event| event.id);
        let mut known = replayed_twins(&reader, self.db.dialect(), ids).await?;
        let keys = countable(letters).map(|event| [RowValue::from(event.id), self.consumer.into()]);
        let handled = HANDLED_BY.by_rows(self.db.dialect(), Lock::None, keys);
        for row in reader.query_all_raw(handled).await.map_err(orm)? {
            known.insert(row.try_get_by_index(0).map_err(orm)?);
        }
        let outcome = |judged: &Judged| match &judged.item.verdict {
            Verdict::SetAside(cause) => Outcome::Refused(cause.clone()),
            Verdict::Count(event) if known.insert(event.id) => Outcome::Counted,
            Verdict::Count(_) => Outcome::Duplicate,
        };
        Ok(letters.iter().map(outcome).collect())
    }

    async fn replay(&self, letters: Arc<[Judged]>, hand: &Hand) -> Result<Vec<Outcome>, StoreError> {
        let (consumer, hand) = (self.consumer, hand.clone());
        let replayed = self.db.write("replay_dead_letters", move |tx| {
            let (letters, hand) = (letters.clone(), hand.clone());
            Box::pin(async move { replay(tx, consumer, &letters, &hand).await })
        });
        replayed.await.map_err(Failure::into)
    }

    async fn discard(
        &self,
        ids: Arc<[i64]>,
        reason: &str,
        hand: &Hand,
    ) -> Result<Vec<(i64, Outcome)>, StoreError> {
        let (reason, hand): (Arc<str>, _) = (reason.into(), hand.clone());
        let discarded = self.db.write("discard_dead_letters", move |tx| {
            let (ids, reason, hand) = (ids.clone(), reason.clone(), hand.clone());
            Box::pin(async move { discard(tx, &ids, &reason, &hand).await })
        });
        discarded.await.map_err(Failure::into)
    }
}

fn rules(filter: &LetterFilter, place: Place) -> (Vec<Template>, Vec<Value>) {
    let (rule, id) = match place {
        Place::Before(id) => ("id < ?", id),
        Place::After(id) => ("id > ?", id),
    };
    let LetterFilter { state, event_type, cause, since_us, until_us, ids } = filter;
    let optional: [(&'static str, Option<Value>); 5] = [
        ("state = ?", state.map(|state| state.name().into())),
        ("event_type = ?", event_type.clone().map(Value::from)),
        ("cause = ?", cause.clone().map(Value::from)),
        ("set_aside_at >= ?", since_us.map(Value::from)),
        ("set_aside_at < ?", until_us.map(Value::from)),
    ];
    let (mut rules, mut values) = (vec![Template::new(rule)], vec![id.into()]);
    for (rule, value) in optional {
        if let Some(value) = value {
            rules.push(Template::new(rule));
            values.push(value);
        }
    }
    if let Some(ids) = ids {
        let ids = ids.iter().map(|id| Template::new("{id}").number("id", *id));
        rules.push(Template::new("id IN ({ids})").fragments("ids", ", ", ids));
    }
    (rules, values)
}

fn countable(letters: &[Judged]) -> impl Iterator<Item = &CountedEvent> {
    letters.iter().filter_map(|judged| match &judged.item.verdict {
        Verdict::Count(event) => Some(event),
        Verdict::SetAside(_) => None,
    })
}

async fn replayed_twins(
    connection: &impl ConnectionTrait,
    dialect: Dialect,
    ids: impl Iterator<Item = Uuid>,
) -> Result<HashSet<Uuid>, StoreError> {
    let mut replayed = HashSet::new();
    for row in connection.query_all_raw(TWINS.by_uuids(dialect, Lock::None, ids)).await.map_err(orm)? {
        let mut row = Columns::of(&row);
        let (id, state): (Uuid, String) = (row.take()?, row.take()?);
        if state == LetterState::Replayed.name() {
            replayed.insert(id);
        }
    }
    Ok(replayed)
}

/// State and attempts of letters, which nobody else changes until the transaction ends.
async fn lock(
    tx: &WriteTransaction,
    ids: impl Iterator<Item = i64>,
) -> Result<BTreeMap<i64, (LetterState, i64)>, Failure> {
    let mut states = BTreeMap::new();
    for row in tx.query_all_raw(STATES.by_ints(tx.dialect(), Lock::Update, ids)).await? {
        let (id, state): (i64, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let state = LetterState::parse(&state).ok_or(Failure::Data("a dead letter in no known state"))?;
        states.insert(id, (state, row.try_get_by_index(2)?));
    }
    Ok(states)
}

/// Counting, the dedupe rows and the letters' states are one transaction: whoever replays a letter at the same moment
/// finds it dealt with.
async fn replay(
    tx: &WriteTransaction,
    consumer: &'static str,
    letters: &[Judged],
    hand: &Hand,
) -> Result<Vec<Outcome>, Failure> {
    if tx.dialect() == Dialect::MySql {
        // A rebuild that begins reads what was counted and replayed under the same lock.
        let offsets = Template::new("SELECT `partition` FROM consumer_offsets WHERE consumer = ? FOR UPDATE");
        tx.query_all_raw(offsets.statement(tx.dialect(), [consumer.into()])).await?;
    }
    let states = lock(tx, letters.iter().map(|judged| judged.id)).await?;
    let is_open = |judged: &Judged| matches!(states.get(&judged.id), Some((LetterState::Open, _)));
    let ids = countable(letters).map(|event| event.id);
    let mut known = replayed_twins(tx, tx.dialect(), ids).await.map_err(Failure::Store)?;
    let mut events = Vec::new();
    for judged in letters.iter().filter(|judged| is_open(judged)) {
        if let Verdict::Count(event) = &judged.item.verdict
            && known.insert(event.id)
        {
            events.push(event);
        }
    }
    let new = insert_new(tx, consumer, (hand.token, hand.at_us), &events).await?;
    count(tx, hand.today, &new).await?;
    let mut new: HashSet<Uuid> = new.iter().map(|event| event.id).collect();
    let outcome = |judged: &Judged| match (&judged.item.verdict, states.get(&judged.id)) {
        (_, Some((state @ (LetterState::Replayed | LetterState::Discarded), _))) => Outcome::Settled(*state),
        (_, None) => Outcome::Settled(LetterState::Discarded),
        (Verdict::SetAside(cause), _) => Outcome::Refused(cause.clone()),
        // The first letter of an event counts, its twins in the same page do not.
        (Verdict::Count(event), _) if new.remove(&event.id) => Outcome::Counted,
        (Verdict::Count(_), _) => Outcome::Duplicate,
    };
    let outcomes: Vec<Outcome> = letters.iter().map(outcome).collect();
    settle(tx, letters, &outcomes, &states).await?;
    let notes: Vec<Note> = letters
        .iter()
        .zip(&outcomes)
        .filter_map(|(judged, outcome)| note(judged.id, outcome, hand))
        .collect();
    operator_log::write(tx, &notes).await?;
    Ok(outcomes)
}

/// Writes what became of the letters.
async fn settle(
    tx: &WriteTransaction,
    letters: &[Judged],
    outcomes: &[Outcome],
    states: &BTreeMap<i64, (LetterState, i64)>,
) -> Result<(), Failure> {
    let (mut replayed, mut refused) = (REPLAYED.rows(), REFUSED.rows());
    let (mut replayed_count, mut refused_count) = (0, 0);
    let open = LetterState::Open.name();
    for (judged, outcome) in letters.iter().zip(outcomes) {
        let attempts = states.get(&judged.id).map_or(1, |(_, attempts)| attempts + 1);
        match (outcome, &judged.item.verdict) {
            (Outcome::Counted | Outcome::Duplicate, Verdict::Count(event)) => {
                replayed_count += 1;
                replayed.push([
                    judged.id.into(),
                    open.into(),
                    LetterState::Replayed.name().into(),
                    attempts.into(),
                    event.id.into(),
                    event.event_type.into(),
                    event.aggregate_type.into(),
                    (&event.aggregate_id).into(),
                    event.sequence.into(),
                ]);
            }
            (Outcome::Refused(Cause { class, detail, .. }), _) => {
                refused_count += 1;
                refused.push([
                    judged.id.into(),
                    open.into(),
                    attempts.into(),
                    (*class).into(),
                    detail.into(),
                ]);
            }
            _ => {}
        }
    }
    if replayed_count > 0 {
        execute_exact(tx, REPLAYED.statement(tx.dialect(), &replayed), replayed_count).await?;
    }
    if refused_count > 0 {
        execute_exact(tx, REFUSED.statement(tx.dialect(), &refused), refused_count).await?;
    }
    Ok(())
}

fn note(id: i64, outcome: &Outcome, hand: &Hand) -> Option<Note> {
    let (action, detail) = match outcome {
        Outcome::Counted => ("DEAD_LETTER_REPLAYED", "its event is counted".to_owned()),
        Outcome::Duplicate => ("DEAD_LETTER_REPLAYED", "its event had been counted already".to_owned()),
        Outcome::Refused(cause) => ("DEAD_LETTER_REFUSED", format!("{}: {}", cause.class, cause.detail)),
        Outcome::Discarded | Outcome::Settled(_) => return None,
    };
    let (action, target) = (action.to_owned(), target(id));
    Some(Note { at_us: hand.at_us, actor: hand.actor.clone(), action, target, detail })
}

async fn discard(
    tx: &WriteTransaction,
    ids: &[i64],
    reason: &str,
    hand: &Hand,
) -> Result<Vec<(i64, Outcome)>, Failure> {
    let states = lock(tx, ids.iter().copied()).await?;
    let mut rows = DISCARDED.rows();
    let (mut outcomes, mut notes) = (Vec::with_capacity(states.len()), Vec::new());
    for (id, (state, _)) in states {
        if state != LetterState::Open {
            outcomes.push((id, Outcome::Settled(state)));
            continue;
        }
        rows.push([id.into(), state.name().into(), LetterState::Discarded.name().into()]);
        notes.push(Note {
            at_us: hand.at_us,
            actor: hand.actor.clone(),
            action: "DEAD_LETTER_DISCARDED".to_owned(),
            target: target(id),
            detail: reason.to_owned(),
        });
        outcomes.push((id, Outcome::Discarded));
    }
    if !notes.is_empty() {
        let expected = u64::try_from(notes.len()).unwrap_or(u64::MAX);
        execute_exact(tx, DISCARDED.statement(tx.dialect(), &rows), expected).await?;
        operator_log::write(tx, &notes).await?;
    }
    Ok(outcomes)
}

pub(super) fn dead_letter(row: &QueryResult) -> Result<DeadLetter, StoreError> {
    let mut row = Columns::of(row);
    Ok(DeadLetter {
        id: row.take()?,
        topic: row.take()?,
        partition: row.partition()?,
        offset: row.take()?,
        kept_at_us: row.take()?,
        key: row.take::<Vec<u8>>()?.into(),
        headers: {
            let json: String = row.take()?;
            read_headers(&json).ok_or_else(|| StoreError::Data("headers of a dead letter".into()))?
        },
        value: row.take::<Vec<u8>>()?.into(),
        cause: row.take()?,
        detail: row.take()?,
        attempts: u32::try_from(row.take::<i64>()?).unwrap_or(u32::MAX),
        identity: Identity {
            event_id: row.take()?,
            event_type: row.take()?,
            aggregate_type: row.take()?,
            aggregate_id: row.take()?,
            sequence: row.take()?,
        },
        state: {
            let name: String = row.take()?;
            let state = LetterState::parse(&name);
            state.ok_or_else(|| StoreError::Data("a dead letter in no known state".into()))?
        },
        set_aside_at_us: row.take()?,
    })
}
