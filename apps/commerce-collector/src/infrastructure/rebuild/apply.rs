//! The end of a rebuild: what differs, and putting it right.

use commerce_collector_domain::Tally;
use commerce_database::{Template, WriteTransaction};
use sea_orm::{ConnectionTrait as _, Value};

use super::{TOTAL, clear};
use crate::application::dead_letters::{Hand, Note};
use crate::application::rebuild::Comparison;
use crate::infrastructure::collect::add_tally;
use crate::infrastructure::columns::{Columns, day};
use crate::infrastructure::error::Failure;
use crate::infrastructure::operator_log;

/// A row that only the shadow has differs also where it holds nothing.
const DIFFERENCE: &str = "INSERT INTO rebuild_difference (`date`, product_id, views, likes, orders, quantity, amount) \
     SELECT t.`date`, t.product_id, SUM(t.views), SUM(t.likes), SUM(t.orders), SUM(t.quantity), SUM(t.amount) \
     FROM (SELECT 1 AS side, `date`, product_id, views, likes, orders, quantity, amount FROM rebuild_shadow \
     UNION ALL SELECT 2, `date`, product_id, -views, -likes, -orders, -quantity, -amount FROM rebuild_base) t \
     GROUP BY t.`date`, t.product_id HAVING SUM(t.views) <> 0 OR SUM(t.likes) <> 0 OR SUM(t.orders) <> 0 \
     OR SUM(t.quantity) <> 0 OR SUM(t.amount) <> 0 OR SUM(t.side) = 1";

const COUNTS: &str = "SELECT (SELECT COUNT(*) FROM rebuild_shadow WHERE `date` > {total}), \
     (SELECT COUNT(*) FROM rebuild_difference WHERE `date` > {total}), \
     (SELECT COUNT(*) FROM rebuild_difference WHERE `date` = {total})";

/// In the order of the key.
const PAGE: &str = "SELECT `date`, product_id, views, likes, orders, quantity, amount FROM rebuild_difference \
     WHERE `date` > ? OR (`date` = ? AND product_id > ?) ORDER BY `date`, product_id LIMIT {max}";

/// Rows that nothing in the log speaks for, now that they hold nothing.
const EMPTY_DAYS: &str = "DELETE FROM product_metrics_daily WHERE views = 0 AND likes = 0 AND orders = 0 \
     AND quantity = 0 AND amount = 0 AND EXISTS (SELECT 1 FROM rebuild_difference d \
     WHERE d.`date` = product_metrics_daily.`date` AND d.product_id = product_metrics_daily.product_id) \
     AND NOT EXISTS (SELECT 1 FROM rebuild_shadow s \
     WHERE s.`date` = product_metrics_daily.`date` AND s.product_id = product_metrics_daily.product_id)";

const EMPTY_TOTALS: &str = "DELETE FROM product_metrics WHERE views = 0 AND likes = 0 AND orders = 0 \
     AND quantity = 0 AND amount = 0 AND EXISTS (SELECT 1 FROM rebuild_difference d \
     WHERE d.`date` = {total} AND d.product_id = product_metrics.product_id) \
     AND NOT EXISTS (SELECT 1 FROM product_metrics_daily m WHERE m.product_id = product_metrics.product_id)";

const PAGE_ROWS: i64 = 1_000;
const EXAMPLES: i64 = 10;

pub(super) async fn compare(tx: &WriteTransaction) -> Result<Comparison, Failure> {
    let run = |template: Template, values: Vec<Value>| template.statement(tx.dialect(), values);
    tx.execute_raw(run(Template::new("DELETE FROM rebuild_difference"), Vec::new())).await?;
    tx.execute_raw(run(Template::new(DIFFERENCE), Vec::new())).await?;
    let counts = Template::new(COUNTS).number("total", TOTAL);
    let row = tx.query_one_raw(run(counts, Vec::new())).await?;
    let row = row.ok_or(Failure::Data("an aggregate without a row"))?;
    let mut comparison = Comparison {
        compared: row.try_get_by_index(0)?,
        differing: row.try_get_by_index(1)?,
        totals: row.try_get_by_index(2)?,
        examples: Vec::new(),
    };
    let examples = Template::new(PAGE).number("max", EXAMPLES);
    for row in tx.query_all_raw(run(examples, vec![TOTAL.into(), (-1_i64).into(), 0_i64.into()])).await? {
        let mut row = Columns::of(&row);
        let date = row.take().and_then(day).map_err(Failure::Store)?;
        let product = row.take().map_err(Failure::Store)?;
        comparison.examples.push((date, product, row.metrics().map_err(Failure::Store)?));
    }
    Ok(comparison)
}

pub(super) async fn apply(tx: &WriteTransaction, hand: &Hand) -> Result<(), Failure> {
    let run = |template: Template, values: Vec<Value>| template.statement(tx.dialect(), values);
    let page = || Template::new(PAGE).number("max", PAGE_ROWS);
    let (mut date, mut product, mut rows) = (-1_i64, 0_i64, 0_usize);
    loop {
        let values = vec![date.into(), date.into(), product.into()];
        let found = tx.query_all_raw(run(page(), values)).await?;
        if found.is_empty() {
            break;
        }
        let mut tally = Tally::default();
        for row in &found {
            let mut row = Columns::of(row);
            (date, product) = (row.take().map_err(Failure::Store)?, row.take().map_err(Failure::Store)?);
            let metrics = row.metrics().map_err(Failure::Store)?;
            if date == TOTAL {
                tally.totals.insert(product, metrics);
            } else {
                tally.daily.insert((day(date).map_err(Failure::Store)?, product), metrics);
            }
        }
        rows += found.len();
        add_tally(tx, hand.today, &tally).await?;
    }
    tx.execute_raw(run(Template::new(EMPTY_DAYS), Vec::new())).await?;
    tx.execute_raw(run(Template::new(EMPTY_TOTALS).number("total", TOTAL), Vec::new())).await?;
    let note = Note {
        at_us: hand.at_us,
        actor: hand.actor.clone(),
        action: "METRICS_REBUILT".to_owned(),
        target: "metrics".to_owned(),
        detail: format!("{rows} rows put right"),
    };
    operator_log::write(tx, &[note]).await?;
    // Without a rebuild under way there is nothing to apply: somebody else did, or abandoned it.
    if clear(tx).await? { Ok(()) } else { Err(Failure::Fenced) }
}
