//! Like counts of products, counted again from the rows.

use commerce_api_application::ports::StorageError;
use commerce_api_domain::Timestamp;
use commerce_database::{Column, Database, Update};
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Query, SelectStatement};

use super::query::{Failure, all};

/// Only the count: version and events of the product are not those of its likes.
const COUNT: Update = Update {
    table: "products",
    columns: &[Column::int("id"), Column::int("like_count")],
    keys: &["id"],
    set: &["like_count"],
    expect: &[],
};

/// Products whose count is not the number of their active likes, with that number.
fn wrong(since: Option<Timestamp>) -> SelectStatement {
    let count = || Expr::col(("l", "user_id")).count();
    let active = Expr::col(("l", "product_id")).equals(("p", "id")).and(Expr::col(("l", "active")).eq(true));
    let mut statement = Query::select();
    statement
        .column(("p", "id"))
        .expr(count())
        .from_as("products", "p")
        .join_as(JoinType::LeftJoin, "product_likes", "l", active)
        .group_by_columns([("p", "id"), ("p", "like_count")])
        .and_having(count().ne(Expr::col(("p", "like_count"))));
    if let Some(since) = since {
        let changed = Query::select()
            .column("product_id")
            .from("product_likes")
            .and_where(Expr::col("changed_at").gte(since.as_micros()))
            .take();
        statement.and_where(Expr::col(("p", "id")).in_subquery(changed));
    }
    statement
}

/// Counts on a reader and writes only what is wrong, so that a full pass does not hold the writer. A like that comes
/// in between is counted by the next run.
pub(super) async fn recount(db: &Database, since: Option<Timestamp>) -> Result<u64, StorageError> {
    let reader = db.reader_named("recount_likes");
    let counts: Vec<(i64, i64)> = all(&reader, &wrong(since), |row| Ok((row.take()?, row.take()?))).await?;
    if counts.is_empty() {
        return Ok(0);
    }
    let mut rows = COUNT.rows();
    for (product, likes) in counts {
        rows.push([product.into(), likes.into()]);
    }
    let statement = COUNT.statement(db.dialect(), &rows);
    let changed = db.write("recount_likes", move |tx| {
        let statement = statement.clone();
        Box::pin(
            async move { Ok::<_, Failure<StorageError>>(tx.execute_raw(statement).await?.rows_affected()) },
        )
    });
    changed.await.map_err(Failure::into_port)
}
