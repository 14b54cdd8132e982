use async_trait::async_trait;
use chrono::NaiveDate;
use commerce_collector_domain::Metrics;
use commerce_database::Template;
use sea_orm::{ConnectionTrait as _, QueryResult, Value};

use super::columns::{Columns, day, stored_day};
use super::error::orm;
use super::store::{SqlCollector, number};
use crate::application::ports::{CountedTo, LetterState, Queries, StoreError};

const TOTALS: &str =
    "SELECT views, likes, orders, quantity, amount FROM product_metrics WHERE product_id = ?";

const DAILY: &str = "SELECT `date`, views, likes, orders, quantity, amount FROM product_metrics_daily \
     WHERE product_id = ? AND `date` BETWEEN ? AND ? ORDER BY `date`";

impl SqlCollector {
    pub(super) async fn rows(
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

    async fn open_dead_letters(&self) -> Result<i64, StoreError> {
        let count = Template::new("SELECT COUNT(*) FROM dead_letters WHERE state = ?");
        let count = count.statement(self.db.dialect(), [LetterState::Open.name().into()]);
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
