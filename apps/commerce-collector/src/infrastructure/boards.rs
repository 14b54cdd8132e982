//! Ranking: a day's board is derived from its metrics and can be derived again at any time.

use async_trait::async_trait;
use chrono::NaiveDate;
use commerce_boards::{Board, Period};
use commerce_collector_domain::Weights;
use commerce_database::{Column, Lock, Merge, RowValue, Select, Template, Upsert, WriteTransaction};
use sea_orm::{ConnectionTrait as _, Value};
use uuid::Uuid;

use super::columns::stored_day;
use super::error::{Failure, orm};
use super::store::SqlCollector;
use crate::application::ports::{BoardStore, StoreError};

/// Name of the projector's lease.
const LEASE: &str = "projector";

const LEASES: Select = Select {
    table: "leases",
    columns: &["owner", "fence", "until"],
    keys: &[Column::text("name")],
    order: &[],
};

const HOLD: Upsert = Upsert {
    table: "leases",
    columns: &[Column::text("name"), Column::uuid("owner"), Column::int("fence"), Column::int("until")],
    key: &["name"],
    update: &[("owner", Merge::Set), ("fence", Merge::Set), ("until", Merge::Set)],
};

#[async_trait]
impl BoardStore for SqlCollector {
    async fn hold(&self, owner: Uuid, now_us: i64, until_us: i64) -> Result<bool, StoreError> {
        let held = self.db.write("hold_projector", move |tx| {
            Box::pin(async move { hold(tx, owner, now_us, until_us).await })
        });
        held.await.map_err(Failure::into)
    }

    async fn end_lease(&self) -> Result<(), StoreError> {
        let ended = self.db.write("end_projector_lease", move |tx| {
            Box::pin(async move {
                let statement = Template::new("UPDATE leases SET until = 0 WHERE name = ?");
                tx.execute_raw(statement.statement(tx.dialect(), [LEASE.into()])).await?;
                Ok::<_, Failure>(())
            })
        });
        ended.await.map_err(Failure::into)
    }

    async fn release(&self, owner: Uuid) -> Result<(), StoreError> {
        let released = self.db.write("release_projector", move |tx| {
            Box::pin(async move {
                let statement = Template::new("UPDATE leases SET until = 0 WHERE name = ? AND owner = ?");
                tx.execute_raw(statement.statement(tx.dialect(), [LEASE.into(), owner.into()])).await?;
                Ok::<_, Failure>(())
            })
        });
        released.await.map_err(Failure::into)
    }

    async fn dirty_days(&self, limit: u64) -> Result<Vec<NaiveDate>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let statement = Template::new(DIRTY).number("max", limit);
        let statement = statement.statement(self.db.dialect(), []);
        let rows = self.db.reader_named("dirty_days").query_all_raw(statement).await.map_err(orm)?;
        let mut days = Vec::with_capacity(rows.len());
        for row in rows {
            let name: String = row.try_get_by_index(0).map_err(orm)?;
            let period = Period::parse(&name);
            let period = period.ok_or_else(|| StoreError::Data("a period of no known form".into()))?;
            days.push(period.first());
        }
        Ok(days)
    }

    async fn rank_day(&self, day: NaiveDate, weights: Weights) -> Result<(), StoreError> {
        let ranked = self.db.write("rank_day", move |tx| Box::pin(rank_day(tx, day, weights)));
        ranked.await.map_err(Failure::into)
    }
}

/// Names of days begin with a letter of their own.
const DIRTY: &str = "SELECT period FROM business_periods \
     WHERE period >= 'D' AND period < 'E' AND changed > applied ORDER BY period LIMIT {max}";

async fn hold(tx: &WriteTransaction, owner: Uuid, now_us: i64, until_us: i64) -> Result<bool, Failure> {
    let statement = LEASES.by_rows(tx.dialect(), Lock::Update, [[RowValue::from(LEASE)]]);
    let fence = match tx.query_one_raw(statement).await? {
        None => 1,
        Some(row) => {
            let holder: Uuid = row.try_get_by_index(0)?;
            let (fence, until): (i64, i64) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
            match (holder == owner, now_us < until) {
                (true, true) => fence,
                (false, true) => return Ok(false),
                (_, false) => fence + 1,
            }
        }
    };
    let mut row = HOLD.rows();
    row.push([LEASE.into(), owner.into(), fence.into(), until_us.into()]);
    tx.execute_raw(HOLD.statement(tx.dialect(), &row)).await?;
    Ok(true)
}

const CHANGES: &str = "SELECT changed FROM business_periods WHERE period = ?";

const CLEAR: &str = "DELETE FROM ranking_board WHERE period = ?";

/// All boards of a day at once, each numbered for itself. The version is the number of changes that the day had seen.
const RANK: &str = "INSERT INTO ranking_board \
     (period, `type`, `rank`, product_id, score, previous_rank, version) \
     SELECT ?, s.board, ROW_NUMBER() OVER (PARTITION BY s.board ORDER BY s.score DESC, s.product_id), \
     s.product_id, s.score, p.`rank`, ? FROM ({scores}) s \
     LEFT JOIN ranking_board p ON p.period = ? AND p.`type` = s.board AND p.product_id = s.product_id \
     WHERE s.score > 0";

const SCORES: &str =
    "SELECT {board} AS board, product_id, {score} AS score FROM product_metrics_daily WHERE `date` = {day}";

const APPLIED: &str = "UPDATE business_periods SET applied = ? WHERE period = ? AND applied < ?";

const FOLLOWED: &str = "SELECT 1 FROM ranking_board WHERE period = ? LIMIT 1";

/// Ranks a day, and the day after it where that has boards: its previous ranks were those of this day. What is ranked
/// is read under the write lock, so that no later rank is older.
async fn rank_day(tx: &WriteTransaction, day: NaiveDate, weights: Weights) -> Result<(), Failure> {
    rank(tx, day, weights).await?;
    let Some(next) = day.succ_opt() else { return Ok(()) };
    let followed = Template::new(FOLLOWED).statement(tx.dialect(), [Period::day(next).to_string().into()]);
    if tx.query_one_raw(followed).await?.is_some() {
        rank(tx, next, weights).await?;
    }
    Ok(())
}

async fn rank(tx: &WriteTransaction, day: NaiveDate, weights: Weights) -> Result<(), Failure> {
    let period = Period::day(day);
    let (name, before) = (period.to_string(), period.previous().to_string());
    let statement =
        |sql: &'static str, values: Vec<Value>| Template::new(sql).statement(tx.dialect(), values);
    let changes = tx.query_one_raw(statement(CHANGES, vec![name.clone().into()])).await?;
    let version: i64 = changes.map_or(Ok(0), |row| row.try_get_by_index(0))?;
    tx.execute_raw(statement(CLEAR, vec![name.clone().into()])).await?;
    let scores = Board::ALL.map(|board| scores(board, day, weights));
    let ranked = Template::new(RANK).fragments("scores", " UNION ALL ", scores);
    let values = [name.clone().into(), version.into(), before.into()];
    tx.execute_raw(ranked.statement(tx.dialect(), values)).await?;
    tx.execute_raw(statement(APPLIED, vec![version.into(), name.into(), version.into()])).await?;
    Ok(())
}

fn scores(board: Board, day: NaiveDate, weights: Weights) -> Template {
    let score = match board {
        Board::All => Template::new("{like} * likes + {view} * views + {order} * orders")
            .number("like", weights.like)
            .number("view", weights.view)
            .number("order", weights.order),
        Board::Like => Template::new("likes"),
        Board::View => Template::new("views"),
        Board::Order => Template::new("orders"),
    };
    let scores = Template::new(SCORES).names("board", [board.name()]).fragment("score", score);
    scores.number("day", stored_day(day))
}
