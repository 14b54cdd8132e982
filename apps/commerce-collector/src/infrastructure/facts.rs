use std::collections::BTreeMap;
use std::fmt;

use chrono::NaiveDate;
use commerce_boards::{Board, Period, PeriodKind};
use commerce_collector_domain::Metrics;
use commerce_database::{Column, Database, Lock, ReadTransaction, RowValue, Select, Template};
use sea_orm::{ConnectionTrait as _, QueryResult, Value};

use super::columns::{Columns, day, stored_day};
use super::error::orm;
use crate::application::GROUP;
use crate::application::ports::{CountedTo, LetterState, StoreError};
use crate::audit::{Daily, HandledRange, OpenDeadLetter, Ranked};

/// One state of the OLAP database for all questions of an audit.
pub struct Facts {
    tx: ReadTransaction,
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts").finish_non_exhaustive()
    }
}

const HANDLED: &str = "SELECT aggregate_id, COUNT(DISTINCT sequence), MIN(sequence), MAX(sequence) \
     FROM event_handled WHERE consumer = ? AND aggregate_type = ? GROUP BY aggregate_id";

const SEQUENCES: Select = Select {
    table: "event_handled",
    columns: &["aggregate_id", "sequence"],
    keys: &[Column::text("consumer"), Column::text("aggregate_type"), Column::text("aggregate_id")],
    order: &["aggregate_id", "sequence"],
};

const LETTERS_IN: &str =
    "SELECT id, cause, aggregate_type, aggregate_id, sequence FROM dead_letters WHERE state = ? ORDER BY id";

const DAILY: &str = "SELECT `date`, product_id, views, likes, orders, quantity, amount \
     FROM product_metrics_daily WHERE `date` >= ? AND `date` <= ?";

const OFFSETS: &str = "SELECT topic, `partition`, next_offset FROM consumer_offsets \
     WHERE consumer = ? AND next_offset >= 0 ORDER BY topic, `partition`";

const LIKES: &str = "SELECT product_id, likes FROM product_metrics WHERE likes <> 0";

const DAYS: &str =
    "SELECT period, changed > applied FROM business_periods WHERE period >= 'D' AND period < 'E'";

/// Names of months and weeks come after those of days.
const PERIODS: &str = "SELECT period, changed > applied, `through` FROM business_periods WHERE period >= 'E'";

const SUMS: &str = "SELECT product_id, CAST(SUM(views) AS SIGNED), CAST(SUM(likes) AS SIGNED), \
     CAST(SUM(orders) AS SIGNED), CAST(SUM(quantity) AS SIGNED), CAST(SUM(amount) AS SIGNED) \
     FROM product_metrics_daily WHERE `date` >= ? AND `date` <= ? GROUP BY product_id";

const WEEKLY: &str =
    "SELECT product_id, views, likes, orders, quantity, amount FROM product_metrics_weekly WHERE period = ?";

const MONTHLY: &str =
    "SELECT product_id, views, likes, orders, quantity, amount FROM product_metrics_monthly WHERE period = ?";

const BOARD: &str =
    "SELECT `type`, `rank`, product_id, score, previous_rank FROM ranking_board WHERE period = ?";

const DIFFERENT_TOTALS: &str = "SELECT d.product_id, COALESCE(m.views, 0), COALESCE(m.likes, 0), \
     COALESCE(m.orders, 0), COALESCE(m.quantity, 0), COALESCE(m.amount, 0), \
     d.views, d.likes, d.orders, d.quantity, d.amount FROM \
     (SELECT product_id, CAST(SUM(views) AS SIGNED) AS views, CAST(SUM(likes) AS SIGNED) AS likes, \
     CAST(SUM(orders) AS SIGNED) AS orders, CAST(SUM(quantity) AS SIGNED) AS quantity, \
     CAST(SUM(amount) AS SIGNED) AS amount FROM product_metrics_daily GROUP BY product_id) d \
     LEFT JOIN product_metrics m ON m.product_id = d.product_id WHERE m.product_id IS NULL \
     OR m.views <> d.views OR m.likes <> d.likes OR m.orders <> d.orders \
     OR m.quantity <> d.quantity OR m.amount <> d.amount ORDER BY d.product_id LIMIT 100";

impl Facts {
    /// The state of `database`, which has the schema of this code, as it is now.
    pub async fn read(database: &Database) -> Result<Self, StoreError> {
        Ok(Self { tx: database.begin_read("audit").await? })
    }

    async fn rows(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<QueryResult>, StoreError> {
        let statement = Template::new(sql).statement(self.tx.dialect(), values);
        self.tx.query_all_raw(statement).await.map_err(orm)
    }

    /// What was counted of every aggregate of this type (`ORDER`), by its id.
    pub async fn handled(&self, aggregate_type: &str) -> Result<BTreeMap<String, HandledRange>, StoreError> {
        let rows = self.rows(HANDLED, vec![GROUP.into(), aggregate_type.into()]).await?;
        let handled = rows.iter().map(|row| {
            let mut row = Columns::of(row);
            let id = row.take()?;
            Ok((id, HandledRange { count: row.take()?, first: row.take()?, last: row.take()? }))
        });
        handled.collect()
    }

    /// The sequence numbers counted of those aggregates of this type, in order: for the few whose range has gaps.
    pub async fn sequences(
        &self,
        aggregate_type: &str,
        ids: &[String],
    ) -> Result<BTreeMap<String, Vec<i64>>, StoreError> {
        let key = |id| [RowValue::from(GROUP), aggregate_type.into(), id];
        let statement = SEQUENCES.by_rows(self.tx.dialect(), Lock::None, ids.iter().map(|id| key(id.into())));
        let mut sequences: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for row in self.tx.query_all_raw(statement).await.map_err(orm)? {
            let mut row = Columns::of(&row);
            sequences.entry(row.take()?).or_default().push(row.take()?);
        }
        Ok(sequences)
    }

    /// Dead letters that nobody has dealt with.
    pub async fn open_dead_letters(&self) -> Result<Vec<OpenDeadLetter>, StoreError> {
        self.dead_letters(LetterState::Open).await
    }

    /// Dead letters that an operator gave up: that they are not counted is on purpose.
    pub async fn discarded_dead_letters(&self) -> Result<Vec<OpenDeadLetter>, StoreError> {
        self.dead_letters(LetterState::Discarded).await
    }

    async fn dead_letters(&self, state: LetterState) -> Result<Vec<OpenDeadLetter>, StoreError> {
        let rows = self.rows(LETTERS_IN, vec![state.name().into()]).await?;
        let letters = rows.iter().map(|row| {
            let mut row = Columns::of(row);
            Ok(OpenDeadLetter {
                id: row.take()?,
                cause: row.take()?,
                aggregate_type: row.take()?,
                aggregate_id: row.take()?,
                sequence: row.take()?,
            })
        });
        letters.collect()
    }

    /// What was counted on the days from `from` on, by day and product. `orders` counts a paid order once for each of
    /// its products.
    pub async fn daily(&self, from: NaiveDate) -> Result<Daily, StoreError> {
        self.daily_between(stored_day(from), i64::MAX).await
    }

    /// Likes added less likes removed, by product, without those of which none are left.
    pub async fn likes(&self) -> Result<BTreeMap<i64, i64>, StoreError> {
        let rows = self.rows(LIKES, Vec::new()).await?;
        let likes = rows.iter().map(|row| {
            let mut row = Columns::of(row);
            Ok((row.take()?, row.take()?))
        });
        likes.collect()
    }

    /// How far every partition is counted, without those of which nothing ever was: records behind that are pending.
    pub async fn counted_to(&self) -> Result<Vec<CountedTo>, StoreError> {
        let rows = self.rows(OFFSETS, vec![GROUP.into()]).await?;
        let counted = rows.iter().map(|row| {
            let mut row = Columns::of(row);
            Ok(CountedTo { topic: row.take()?, partition: row.partition()?, next: row.take()? })
        });
        counted.collect()
    }

    async fn daily_between(&self, from: i64, to: i64) -> Result<Daily, StoreError> {
        let rows = self.rows(DAILY, vec![from.into(), to.into()]).await?;
        let daily = rows.iter().map(|row| {
            let mut row = Columns::of(row);
            let key = (day(row.take()?)?, row.take()?);
            Ok((key, row.metrics()?))
        });
        daily.collect()
    }

    /// Every day that was counted on, and whether it has changed since it was ranked.
    pub(crate) async fn days(&self) -> Result<BTreeMap<NaiveDate, bool>, StoreError> {
        let mut days = BTreeMap::new();
        for row in self.rows(DAYS, Vec::new()).await? {
            let mut row = Columns::of(&row);
            let (name, dirty): (String, i64) = (row.take()?, row.take()?);
            let period = Period::parse(&name);
            let period = period.ok_or_else(|| StoreError::Data("a period of no known form".into()))?;
            days.insert(period.first(), dirty != 0);
        }
        Ok(days)
    }

    pub(crate) async fn metrics_of(&self, day: NaiveDate) -> Result<BTreeMap<i64, Metrics>, StoreError> {
        let stored = stored_day(day);
        let daily = self.daily_between(stored, stored).await?;
        Ok(daily.into_iter().map(|((_, product), metrics)| (product, metrics)).collect())
    }

    /// Every week and month: whether it has changed since it was ranked, and the last day it was aggregated with.
    pub(crate) async fn periods(&self) -> Result<BTreeMap<Period, (bool, Option<NaiveDate>)>, StoreError> {
        let mut periods = BTreeMap::new();
        for row in self.rows(PERIODS, Vec::new()).await? {
            let mut row = Columns::of(&row);
            let (name, dirty): (String, i64) = (row.take()?, row.take()?);
            let period = Period::parse(&name);
            let period = period.ok_or_else(|| StoreError::Data("a period of no known form".into()))?;
            let through = row.take::<Option<i64>>()?.map(day).transpose()?;
            periods.insert(period, (dirty != 0, through));
        }
        Ok(periods)
    }

    /// The table of a week or month, by product.
    pub(crate) async fn metrics_of_period(
        &self,
        period: Period,
    ) -> Result<BTreeMap<i64, Metrics>, StoreError> {
        let sql = if period.kind() == PeriodKind::Weekly { WEEKLY } else { MONTHLY };
        self.by_product(sql, vec![period.to_string().into()]).await
    }

    /// The sums of the days from `first` to `last`, by product.
    pub(crate) async fn sums(
        &self,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Result<BTreeMap<i64, Metrics>, StoreError> {
        self.by_product(SUMS, vec![stored_day(first).into(), stored_day(last).into()]).await
    }

    async fn by_product(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<BTreeMap<i64, Metrics>, StoreError> {
        let rows = self.rows(sql, values).await?;
        let by_product = rows.iter().map(|row| {
            let mut row = Columns::of(row);
            Ok((row.take()?, row.metrics()?))
        });
        by_product.collect()
    }

    pub(crate) async fn board(&self, period: Period) -> Result<BTreeMap<Board, Ranked>, StoreError> {
        let mut boards: BTreeMap<Board, Ranked> = BTreeMap::new();
        for row in self.rows(BOARD, vec![period.to_string().into()]).await? {
            let mut row = Columns::of(&row);
            let Some(board) = Board::parse(&row.take::<String>()?) else { continue };
            let rank = row.take()?;
            boards.entry(board).or_default().insert(rank, (row.take()?, row.take()?, row.take()?));
        }
        Ok(boards)
    }

    /// Products whose total is not the sum of their days: product, total, sum. At most 100.
    pub(crate) async fn totals_that_differ(&self) -> Result<Vec<(i64, Metrics, Metrics)>, StoreError> {
        let rows = self.rows(DIFFERENT_TOTALS, Vec::new()).await?;
        let differ = rows.iter().map(|row| {
            let mut row = Columns::of(row);
            Ok((row.take()?, row.metrics()?, row.metrics()?))
        });
        differ.collect()
    }
}
