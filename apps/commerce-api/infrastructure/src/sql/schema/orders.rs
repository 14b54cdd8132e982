//! Orders and their lines.

use commerce_database::Dialect;
use sea_orm::sea_query::{Expr, ExprTrait};

use super::columns::{add_column, count, create, int, optional, primary, table, text, uuid};

pub(super) fn orders(dialect: Dialect) -> String {
    let mut orders = table("orders");
    orders
        .col(uuid("id"))
        .col(int("user_id"))
        .col(text("status", 20))
        .col(count("items_total"))
        .col(count("discount"))
        .col(count("total"))
        .col(count("points_part"))
        .col(count("card_part"))
        .col(optional(uuid("issued_coupon_id")))
        .col(count("points_earned"))
        .col(count("event_seq"))
        .col(int("created_at"))
        .col(optional(int("paid_at")))
        .col(optional(int("expires_at")))
        .col(int("updated_at"))
        .primary_key(&mut primary(&["id"]))
        .check(Expr::col("total").eq(Expr::col("points_part").add(Expr::col("card_part"))))
        .check(Expr::col("total").eq(Expr::col("items_total").sub(Expr::col("discount"))));
    create(dialect, &mut orders)
}

pub(super) fn order_lines(dialect: Dialect) -> String {
    let mut lines = table("order_lines");
    lines
        .col(uuid("order_id"))
        .col(int("product_id"))
        .col(text("name", 200))
        .col(count("unit_price"))
        .col(int("quantity").check(Expr::col("quantity").gt(0)).take())
        .primary_key(&mut primary(&["order_id", "product_id"]));
    create(dialect, &mut lines)
}

/// Whose order it is a line of, so that an index finds what a customer bought of a product.
pub(super) fn order_lines_user(dialect: Dialect) -> String {
    add_column(dialect, "order_lines", optional(int("user_id")))
}

pub(super) fn user_of_old_lines(_: Dialect) -> String {
    "UPDATE order_lines SET user_id = (SELECT o.user_id FROM orders o WHERE o.id = order_lines.order_id) \
     WHERE user_id IS NULL"
        .to_owned()
}

/// The index by product and user begins with the same column.
pub(super) fn drop_index_by_product(dialect: Dialect) -> String {
    match dialect {
        Dialect::Sqlite => "DROP INDEX idx_order_lines_product",
        Dialect::MySql => "DROP INDEX idx_order_lines_product ON order_lines",
    }
    .to_owned()
}
