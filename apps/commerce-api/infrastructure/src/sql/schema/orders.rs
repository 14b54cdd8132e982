//! Orders and their lines.

use commerce_database::Dialect;
use sea_orm::sea_query::{Expr, ExprTrait};

use super::columns::{count, create, int, optional, primary, table, text, uuid};

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
