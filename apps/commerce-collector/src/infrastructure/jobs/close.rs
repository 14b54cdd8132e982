use std::sync::Arc;

use async_trait::async_trait;
use commerce_batch::{BatchError, ChunkStep, Job, Run, Span, Work};
use commerce_boards::Period;
use commerce_collector_domain::{Metrics, Weights};
use commerce_database::{DatabaseError, ReadTransaction, Template, WriteTransaction};
use sea_orm::{ConnectionTrait as _, QueryResult};

use super::periods::publish;
use crate::infrastructure::columns::stored_day;
use crate::infrastructure::ranking::rank_day;

/// Checks the products of a day that is over, ranks it a last time and closes it.
pub(super) struct Close {
    pub(super) state: ReadTransaction,
    pub(super) day: Period,
    pub(super) changed: i64,
    pub(super) weights: Weights,
    pub(super) now_us: i64,
}

/// The next products of the day: their live totals and the sums of their days.
const PRODUCTS: &str = "SELECT p.product_id, m.views, m.likes, m.orders, m.quantity, m.amount, \
     CAST(SUM(d.views) AS SIGNED), CAST(SUM(d.likes) AS SIGNED), CAST(SUM(d.orders) AS SIGNED), \
     CAST(SUM(d.quantity) AS SIGNED), CAST(SUM(d.amount) AS SIGNED) \
     FROM (SELECT product_id FROM product_metrics_daily WHERE `date` = ? AND product_id > ? \
     ORDER BY product_id LIMIT {max}) p \
     JOIN product_metrics_daily d ON d.product_id = p.product_id \
     LEFT JOIN product_metrics m ON m.product_id = p.product_id \
     GROUP BY p.product_id, m.views, m.likes, m.orders, m.quantity, m.amount ORDER BY p.product_id";

#[async_trait]
impl Job for Close {
    fn name(&self) -> &'static str {
        "daily"
    }

    fn parameters(&self) -> String {
        self.day.to_string()
    }

    fn input(&self) -> String {
        format!("{} changes", self.changed)
    }

    async fn run(&self, run: &Run) -> Result<(), BatchError> {
        run.chunks(self).await?;
        let (day, weights, now_us) = (self.day, self.weights, self.now_us);
        let close: Work = Arc::new(move |tx: &WriteTransaction| {
            Box::pin(async move {
                rank_day(tx, day.first(), weights).await?;
                publish(tx, day, None, Some(now_us)).await
            })
        });
        run.once("rank", close).await
    }
}

/// A product: its live total, none where it has none, and the sum of its days.
pub(super) struct Product {
    id: i64,
    total: Option<Metrics>,
    days: Metrics,
}

#[async_trait]
impl ChunkStep for Close {
    type Item = Product;
    type Output = ();

    fn name(&self) -> &'static str {
        "check"
    }

    fn key(&self, product: &Product) -> i64 {
        product.id
    }

    async fn read(&self, after: Option<i64>, max: u32) -> Result<Vec<Product>, DatabaseError> {
        let statement = Template::new(PRODUCTS).number("max", max);
        let values = [stored_day(self.day.first()).into(), after.unwrap_or(i64::MIN).into()];
        let rows = self.state.query_all_raw(statement.statement(self.state.dialect(), values)).await?;
        rows.iter().map(product).collect()
    }

    /// A product whose total is not the sum of its days was counted wrong.
    fn process(&self, product: &Product) -> Result<Option<()>, &'static str> {
        match product.total {
            Some(total) if total == product.days => Ok(None),
            _ => Err("TOTAL_DIFFERS"),
        }
    }

    fn write(&self, _span: Span, _outputs: Vec<()>) -> Work {
        Arc::new(|_| Box::pin(async { Ok(()) }))
    }
}

fn product(row: &QueryResult) -> Result<Product, DatabaseError> {
    let number = |index: usize| row.try_get_by_index::<Option<i64>>(index);
    let metrics = |first: usize| -> Result<Option<Metrics>, DatabaseError> {
        let Some(views) = number(first)? else { return Ok(None) };
        let rest = |offset: usize| number(first + offset).map(Option::unwrap_or_default);
        let (likes, orders, quantity, amount) = (rest(1)?, rest(2)?, rest(3)?, rest(4)?);
        Ok(Some(Metrics { views, likes, orders, quantity, amount }))
    };
    let days = metrics(6)?.unwrap_or_default();
    Ok(Product { id: row.try_get_by_index(0)?, total: metrics(1)?, days })
}
