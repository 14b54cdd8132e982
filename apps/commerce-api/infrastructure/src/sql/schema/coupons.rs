//! Coupons and who has them.

use commerce_database::Dialect;
use sea_orm::sea_query::{Expr, ExprTrait};

use super::columns::{auto_id, count, create, int, optional, primary, table, text, uuid};

pub(super) fn coupons(dialect: Dialect) -> String {
    let mut coupons = table("coupons");
    coupons
        .col(auto_id())
        .col(text("code", 64))
        .col(text("name", 200))
        .col(text("kind", 16))
        .col(optional(count("amount")))
        .col(optional(count("basis_points")))
        .col(optional(count("cap")))
        .col(count("minimum_total"))
        .col(int("valid_from"))
        .col(int("valid_until"))
        .col(optional(count("issue_limit")))
        .col(count("issued_count"))
        .col(int("created_at"))
        .check(
            Expr::col("issue_limit").is_null().or(Expr::col("issued_count").lte(Expr::col("issue_limit"))),
        );
    create(dialect, &mut coupons)
}

pub(super) fn issued_coupons(dialect: Dialect) -> String {
    let mut issued = table("issued_coupons");
    issued
        .col(uuid("id"))
        .col(int("coupon_id"))
        .col(int("user_id"))
        .col(text("status", 16))
        .col(optional(uuid("order_id")))
        .col(count("event_seq"))
        .col(int("issued_at"))
        .primary_key(&mut primary(&["id"]));
    create(dialect, &mut issued)
}
