//! Brands, products, likes, and stock that moved by hand.

use commerce_database::Dialect;

use super::columns::{
    add_column, auto_id, count, create, flag, int, long_text, optional, primary, table, text, uuid,
};

pub(super) fn brands(dialect: Dialect) -> String {
    let mut brands = table("brands");
    brands
        .col(auto_id())
        .col(text("name", 200))
        .col(text("name_key", 600))
        .col(long_text(dialect, "description"))
        .col(int("created_at"));
    create(dialect, &mut brands)
}

pub(super) fn products(dialect: Dialect) -> String {
    let mut products = table("products");
    products
        .col(auto_id())
        .col(text("code", 64))
        .col(text("name", 200))
        .col(text("name_key", 600))
        .col(long_text(dialect, "description"))
        .col(int("brand_id"))
        .col(count("price"))
        .col(count("stock"))
        .col(count("like_count"))
        .col(count("event_seq"))
        .col(text("status", 16))
        .col(count("version"))
        .col(int("created_at"))
        .col(int("updated_at"));
    create(dialect, &mut products)
}

/// The most pieces that one customer may hold in live orders.
pub(super) fn products_purchase_limit(dialect: Dialect) -> String {
    add_column(dialect, "products", optional(count("purchase_limit")))
}

pub(super) fn product_views(dialect: Dialect) -> String {
    let mut views = table("product_views");
    views.col(int("product_id").primary_key().take()).col(count("views"));
    create(dialect, &mut views)
}

pub(super) fn stock_movements(dialect: Dialect) -> String {
    let mut movements = table("stock_movements");
    movements
        .col(uuid("id"))
        .col(int("product_id"))
        .col(text("kind", 16))
        .col(int("quantity"))
        .col(count("stock_after"))
        .col(optional(long_text(dialect, "reason")))
        .col(int("at"))
        .primary_key(&mut primary(&["id"]));
    create(dialect, &mut movements)
}

pub(super) fn product_likes(dialect: Dialect) -> String {
    let mut likes = table("product_likes");
    likes
        .col(int("user_id"))
        .col(int("product_id"))
        .col(flag("active"))
        .col(count("event_seq"))
        .col(int("changed_at"))
        .primary_key(&mut primary(&["user_id", "product_id"]));
    create(dialect, &mut likes)
}
