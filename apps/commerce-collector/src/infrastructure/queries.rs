use async_trait::async_trait;
use chrono::NaiveDate;
use commerce_collector_domain::Metrics;
use commerce_database::Template;
use sea_orm::{ConnectionTrait as _, QueryResult, Value};

use super::collect::{OPEN, read_headers};
use super::columns::{Columns, day, stored_day};
use super::error::orm;
use super::store::{SqlCollector, number};
use crate::application::ports::{CountedTo, DeadLetter, Identity, Queries, StoreError};

const TOTALS: &str =
    "SELECT views, likes, orders, quantity, amount FROM product_metrics WHERE product_id = ?";

const DAILY: &str = "SELECT `date`, views, likes, orders, quantity, amount FROM product_metrics_daily \
     WHERE product_id = ? AND `date` BETWEEN ? AND ? ORDER BY `date`";

const DEAD_LETTERS: &str = "SELECT id, topic, `partition`, `offset`, kept_at, record_key, headers, value, cause, \
     detail, attempts, event_id, event_type, aggregate_type, aggregate_id, sequence, state, set_aside_at \
     FROM dead_letters WHERE id < ? {of_state} ORDER BY id DESC LIMIT {max}";

impl SqlCollector {
    async fn rows(
        &self,
        name: &'static str,
        statement: Template,
        values: Vec<Value>,
    ) -> Result<Vec<QueryResult>, StoreError> {
        let statement = statement.statement(self.db.dialect(), values);
        self.db.reader_named(name).query_all_raw(statement).await.map_err(orm)
    }
}

#[async_trait]
impl Queries for SqlCollector {
    async fn metrics(
        &self,
        product: i64,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<(Metrics, Vec<(NaiveDate, Metrics)>), StoreError> {
        let rows = self.rows("product_metrics", Template::new(TOTALS), vec![product.into()]).await?;
        let totals = rows.first().map_or(Ok(Metrics::ZERO), |row| Columns::of(row).metrics())?;
        let values = vec![product.into(), stored_day(from).into(), stored_day(to).into()];
        let rows = self.rows("product_metrics", Template::new(DAILY), values).await?;
        let daily = rows.iter().map(|row| {
            let mut row = Columns::of(row);
            Ok((day(row.take()?)?, row.metrics()?))
        });
        Ok((totals, daily.collect::<Result<_, StoreError>>()?))
    }

    async fn dead_letters(
        &self,
        state: Option<&str>,
        before: Option<i64>,
        limit: u64,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let mut values: Vec<Value> = vec![before.unwrap_or(i64::MAX).into()];
        let of_state = match state {
            Some(state) => {
                values.push(state.into());
                Template::new("AND state = ?")
            }
            None => Template::new(""),
        };
        let statement = Template::new(DEAD_LETTERS)
            .fragment("of_state", of_state)
            .number("max", i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = self.rows("dead_letters", statement, values).await?;
        rows.iter().map(dead_letter).collect()
    }

    async fn open_dead_letters(&self) -> Result<i64, StoreError> {
        let count = Template::new("SELECT COUNT(*) FROM dead_letters WHERE state = ?");
        let count = count.statement(self.db.dialect(), [OPEN.into()]);
        number(&self.db.reader_named("open_dead_letters"), count).await
    }

    async fn counted_to(&self) -> Result<Vec<CountedTo>, StoreError> {
        let sql = "SELECT topic, `partition`, next_offset FROM consumer_offsets WHERE consumer = ? \
                   AND next_offset >= 0 ORDER BY topic, `partition`";
        let rows = self.rows("counted_to", Template::new(sql), vec![self.consumer.into()]).await?;
        let counted = rows.iter().map(|row| {
            let mut row = Columns::of(row);
            let (topic, partition) = (row.take()?, row.partition()?);
            Ok(CountedTo { topic, partition, next: row.take()? })
        });
        counted.collect()
    }
}

fn dead_letter(row: &QueryResult) -> Result<DeadLetter, StoreError> {
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
        state: row.take()?,
        set_aside_at_us: row.take()?,
    })
}
