//! Products as lists show them.

use commerce_api_application::ports::{
    ProductCounts, ProductPosition, ProductQuery, ProductSort, ProductView, StorageError,
};
use commerce_api_domain::{BrandId, ProductId, ProductStatus};
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Func, JoinType, Order, Query, SelectStatement};

use super::query::{all, one, page, select};
use crate::sql::decode::{Columns, undecodable};

/// Products `p` with their brands `b` and view counts; the columns of [`view`].
pub(super) fn views() -> SelectStatement {
    let mut statement = Query::select();
    select(&mut statement, "p", &["id", "code", "name", "description", "brand_id"]);
    select(&mut statement, "b", &["name"]);
    select(&mut statement, "p", &["price", "stock", "like_count"]);
    statement.expr(view_count());
    select(&mut statement, "p", &["status", "purchase_limit", "version", "created_at", "updated_at"]);
    statement.from_as("products", "p").join_as(
        JoinType::InnerJoin,
        "brands",
        "b",
        Expr::col(("b", "id")).equals(("p", "brand_id")),
    );
    join_view_counts(&mut statement);
    statement
}

fn view_count() -> Expr {
    Func::coalesce([Expr::col(("v", "views")), Expr::val(0)]).into()
}

/// View counts `v` of the products `p`; not every product has a row.
fn join_view_counts(statement: &mut SelectStatement) {
    let same = Expr::col(("v", "product_id")).equals(("p", "id"));
    statement.join_as(JoinType::LeftJoin, "product_views", "v", same);
}

/// Stock, likes and views of one product.
pub(super) async fn counts(
    connection: &impl ConnectionTrait,
    id: ProductId,
) -> Result<Option<ProductCounts>, StorageError> {
    let mut statement = Query::select();
    select(&mut statement, "p", &["stock", "like_count"]);
    statement.expr(view_count()).from_as("products", "p");
    join_view_counts(&mut statement);
    statement.and_where(Expr::col(("p", "id")).eq(id.0));
    let decode = |row: &mut Columns<'_>| {
        Ok(ProductCounts { stock: row.take()?, like_count: row.take()?, view_count: row.take()? })
    };
    one(connection, &statement, decode).await
}

/// The columns of [`views`].
pub(super) fn view(row: &mut Columns<'_>) -> Result<ProductView, StorageError> {
    Ok(ProductView {
        id: ProductId(row.take()?),
        code: row.take()?,
        name: row.take()?,
        description: row.take()?,
        brand: BrandId(row.take()?),
        brand_name: row.take()?,
        price: row.money("price")?,
        stock: row.take()?,
        like_count: row.take()?,
        view_count: row.take()?,
        status: row.named("product status", ProductStatus::parse)?,
        purchase_limit: row.quantity("purchase limit")?,
        version: row.take()?,
        created_at: row.time()?,
        updated_at: row.time()?,
    })
}

pub(super) async fn by_id(
    connection: &impl ConnectionTrait,
    id: ProductId,
) -> Result<Option<ProductView>, StorageError> {
    one(connection, views().and_where(Expr::col(("p", "id")).eq(id.0)), view).await
}

pub(super) async fn by_ids(
    connection: &impl ConnectionTrait,
    ids: &[ProductId],
) -> Result<Vec<ProductView>, StorageError> {
    let ids = ids.iter().map(|id| id.0);
    all(connection, views().and_where(Expr::col(("p", "id")).is_in(ids)), view).await
}

pub(super) async fn list(
    connection: &impl ConnectionTrait,
    query: &ProductQuery,
) -> Result<Vec<ProductView>, StorageError> {
    all(connection, &statement(query)?, view).await
}

/// The page that `query` asks for.
fn statement(query: &ProductQuery) -> Result<SelectStatement, StorageError> {
    let mut statement = views();
    statement.and_where_option(query.brand.map(|brand| Expr::col(("p", "brand_id")).eq(brand.0)));
    if let Some(search) = &query.search {
        // A substring, not a pattern: nothing in it is special.
        let search = search.to_lowercase();
        let names = |alias| Func::cust("INSTR").arg(Expr::col((alias, "name_key"))).arg(search.clone());
        statement.and_where(Expr::from(names("p")).gt(0).or(Expr::from(names("b")).gt(0)));
    }
    let (column, direction) = match query.sort {
        ProductSort::Latest => ("created_at", Order::Desc),
        ProductSort::PriceAsc => ("price", Order::Asc),
        ProductSort::PriceDesc => ("price", Order::Desc),
        ProductSort::LikesDesc => ("like_count", Order::Desc),
        ProductSort::Name => ("name_key", Order::Asc),
    };
    let after = match (&query.after, query.sort == ProductSort::Name) {
        (None, _) => None,
        (Some(ProductPosition::Number(value, id)), false) => Some(((*value).into(), id.0.into())),
        (Some(ProductPosition::Text(value, id)), true) => Some((value.to_lowercase().into(), id.0.into())),
        (Some(position), _) => return Err(undecodable("position of another sort", format!("{position:?}"))),
    };
    page(&mut statement, (("p", column), ("p", "id")), &direction, after);
    statement.limit(query.limit);
    Ok(statement)
}

#[cfg(test)]
mod tests {
    use commerce_api_domain::Timestamp;
    use commerce_database::{Database, SqliteOptions};
    use sea_orm::{ConnectionTrait, DbBackend, StatementBuilder};

    use super::*;
    use crate::sql::schema::migrate;

    async fn plan(db: &Database, query: &ProductQuery) -> String {
        let mut explained = StatementBuilder::build(&statement(query).unwrap(), &DbBackend::Sqlite);
        explained.sql = format!("EXPLAIN QUERY PLAN {}", explained.sql);
        let rows = db.reader().query_all_raw(explained).await.unwrap();
        let detail = |row: &sea_orm::QueryResult| row.try_get::<String>("", "detail").unwrap();
        rows.iter().map(detail).collect::<Vec<_>>().join("\n")
    }

    #[tokio::test]
    async fn every_sort_walks_an_index_and_starts_at_the_position() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open_sqlite(SqliteOptions::new(dir.path().join("oltp.db"))).await.unwrap();
        migrate(&db, Timestamp::default()).await.unwrap();
        let number = ProductPosition::Number(5, ProductId(9));
        let sorts = [
            (ProductSort::Latest, "idx_products_created", "created_at<?", number.clone()),
            (ProductSort::PriceAsc, "idx_products_price", "price>?", number.clone()),
            (ProductSort::PriceDesc, "idx_products_price", "price<?", number.clone()),
            (ProductSort::LikesDesc, "idx_products_likes", "like_count<?", number),
            (
                ProductSort::Name,
                "idx_products_name",
                "name_key>?",
                ProductPosition::Text("b".into(), ProductId(9)),
            ),
        ];
        for (sort, index, start, after) in sorts {
            let query = ProductQuery { sort, after: Some(after), limit: 20, ..ProductQuery::default() };
            let plan = plan(&db, &query).await;
            assert!(plan.contains(index) && plan.contains(start), "{sort:?}: {plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{sort:?}: {plan}");
        }
        let liked = ProductQuery {
            brand: Some(BrandId(1)),
            sort: ProductSort::LikesDesc,
            limit: 20,
            ..ProductQuery::default()
        };
        let plan = plan(&db, &liked).await;
        assert!(plan.contains("idx_products_brand_likes") && !plan.contains("TEMP B-TREE"), "{plan}");
        db.close().await;
    }
}
