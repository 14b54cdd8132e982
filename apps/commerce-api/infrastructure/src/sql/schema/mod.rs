//! The OLTP schema as forward-only steps, one statement each.
//!
//! Times (`*_at`, `at`) are microseconds since the epoch in UTC, money is whole won, ids that clients or events carry
//! are UUIDs of 16 bytes, ids of users, products, brands and coupons are given by the database. Every balance and
//! count has a `CHECK (>= 0)`. There are no foreign keys: on `MySQL` they take shared locks on rows that the order desk
//! locks in an order of its own, and the audit checks what they would hold.

mod accounts;
mod catalogue;
mod columns;
mod coupons;
mod delivery;
mod orders;
mod payments;
mod reconciliation;

use commerce_api_domain::Timestamp;
use commerce_database::{Database, DatabaseError, Dialect, MigrationReport, Step};
use sea_orm::sea_query::IndexOrder::{Asc, Desc};

use columns::{index, unique};

const fn step(id: u32, name: &'static str, statement: fn(Dialect) -> String) -> Step {
    Step { id, name, statement }
}

/// Every step of the schema. A step that was released is never changed; a change of the schema is a new step.
pub const MIGRATIONS: &[Step] = &[
    step(1, "users", accounts::users),
    step(2, "uq_users_login_id", |d| unique(d, "uq_users_login_id", "users", &["login_id"])),
    step(3, "uq_users_email", |d| unique(d, "uq_users_email", "users", &["email"])),
    step(4, "sessions", accounts::sessions),
    step(5, "idx_sessions_expires_at", |d| {
        index(d, "idx_sessions_expires_at", "sessions", &[("expires_at", Asc)])
    }),
    step(6, "point_ledger", accounts::point_ledger),
    step(7, "uq_point_ledger_order_kind", |d| {
        unique(d, "uq_point_ledger_order_kind", "point_ledger", &["order_id", "kind"])
    }),
    step(8, "idx_point_ledger_user", |d| {
        index(d, "idx_point_ledger_user", "point_ledger", &[("user_id", Asc), ("id", Asc)])
    }),
    step(9, "brands", catalogue::brands),
    step(10, "uq_brands_name", |d| unique(d, "uq_brands_name", "brands", &["name"])),
    step(11, "products", catalogue::products),
    step(12, "product_code", |d| unique(d, "product_code", "products", &["code"])),
    step(13, "idx_products_likes", |d| {
        index(d, "idx_products_likes", "products", &[("like_count", Asc), ("id", Asc)])
    }),
    step(14, "idx_products_price", |d| {
        index(d, "idx_products_price", "products", &[("price", Asc), ("id", Asc)])
    }),
    step(15, "idx_products_name", |d| {
        index(d, "idx_products_name", "products", &[("name_key", Asc), ("id", Asc)])
    }),
    step(16, "idx_products_brand_likes", |d| {
        index(
            d,
            "idx_products_brand_likes",
            "products",
            &[("brand_id", Asc), ("like_count", Asc), ("id", Asc)],
        )
    }),
    step(17, "idx_products_created", |d| {
        index(d, "idx_products_created", "products", &[("created_at", Asc), ("id", Asc)])
    }),
    step(18, "product_views", catalogue::product_views),
    step(19, "stock_movements", catalogue::stock_movements),
    step(20, "idx_stock_movements_product", |d| {
        index(d, "idx_stock_movements_product", "stock_movements", &[("product_id", Asc), ("id", Asc)])
    }),
    step(21, "product_likes", catalogue::product_likes),
    step(22, "idx_product_likes_product", |d| {
        index(d, "idx_product_likes_product", "product_likes", &[("product_id", Asc)])
    }),
    step(23, "idx_product_likes_changed", |d| {
        index(d, "idx_product_likes_changed", "product_likes", &[("changed_at", Asc)])
    }),
    step(24, "idx_product_likes_user", |d| {
        let columns = [("user_id", Asc), ("active", Asc), ("changed_at", Asc), ("product_id", Asc)];
        index(d, "idx_product_likes_user", "product_likes", &columns)
    }),
    step(25, "coupons", coupons::coupons),
    step(26, "uq_coupons_code", |d| unique(d, "uq_coupons_code", "coupons", &["code"])),
    step(27, "issued_coupons", coupons::issued_coupons),
    step(28, "uq_issued_coupons_user_coupon", |d| {
        unique(d, "uq_issued_coupons_user_coupon", "issued_coupons", &["user_id", "coupon_id"])
    }),
    step(29, "idx_issued_coupons_user", |d| {
        index(d, "idx_issued_coupons_user", "issued_coupons", &[("user_id", Asc), ("id", Asc)])
    }),
    step(30, "orders", orders::orders),
    step(31, "idx_order_user_created", |d| {
        index(d, "idx_order_user_created", "orders", &[("user_id", Asc), ("created_at", Desc), ("id", Desc)])
    }),
    step(32, "idx_orders_status_expires", |d| {
        index(d, "idx_orders_status_expires", "orders", &[("status", Asc), ("expires_at", Asc)])
    }),
    step(33, "idx_orders_created", |d| {
        index(d, "idx_orders_created", "orders", &[("created_at", Asc), ("id", Asc)])
    }),
    step(34, "order_lines", orders::order_lines),
    step(35, "idx_order_lines_product", |d| {
        index(d, "idx_order_lines_product", "order_lines", &[("product_id", Asc)])
    }),
    step(36, "payments", payments::payments),
    step(37, "uq_payments_order", |d| unique(d, "uq_payments_order", "payments", &["order_id"])),
    step(38, "uq_payments_gateway_key", |d| {
        unique(d, "uq_payments_gateway_key", "payments", &["gateway_key"])
    }),
    step(39, "idx_payments_status", |d| index(d, "idx_payments_status", "payments", &[("status", Asc)])),
    step(40, "payment_events", payments::payment_events),
    step(41, "payment_checks", payments::payment_checks),
    step(42, "idx_payment_checks_next", |d| {
        index(d, "idx_payment_checks_next", "payment_checks", &[("next_check_at", Asc)])
    }),
    step(43, "card_vault", payments::card_vault),
    step(44, "refunds", payments::refunds),
    step(45, "callback_inbox", payments::callback_inbox),
    step(46, "idempotency_keys", delivery::idempotency_keys),
    step(47, "idx_idempotency_keys_expires", |d| {
        index(d, "idx_idempotency_keys_expires", "idempotency_keys", &[("expires_at", Asc)])
    }),
    step(48, "reconciliation_findings", payments::reconciliation_findings),
    step(49, "outbox", delivery::outbox),
    step(50, "leases", delivery::leases),
    step(51, "audit_log", accounts::audit_log),
    step(52, "idx_audit_log_at", |d| index(d, "idx_audit_log_at", "audit_log", &[("at", Asc)])),
    step(53, "payments_duplicates", payments::payments_duplicates),
    step(54, "idx_callback_inbox_received", |d| {
        index(d, "idx_callback_inbox_received", "callback_inbox", &[("received_at", Asc)])
    }),
    step(55, "unused_reconciliation_findings", reconciliation::unused_findings),
    step(56, "reconciliation_findings_by_id", reconciliation::findings),
    step(57, "uq_reconciliation_findings", |d| {
        let columns = ["date", "finding_key", "movement", "kind"];
        unique(d, "uq_reconciliation_findings", "reconciliation_findings", &columns)
    }),
    step(58, "idx_reconciliation_findings_found", |d| {
        let columns = [("found_at", Desc), ("id", Desc)];
        index(d, "idx_reconciliation_findings_found", "reconciliation_findings", &columns)
    }),
    step(59, "settlement_entries", reconciliation::settlement_entries),
    step(60, "idx_settlement_entries_key", |d| {
        index(d, "idx_settlement_entries_key", "settlement_entries", &[("gateway_key", Asc)])
    }),
    step(61, "reconciled_days", reconciliation::reconciled_days),
    step(62, "nightly_audits", reconciliation::nightly_audits),
    step(63, "idx_refunds_gateway_key", |d| {
        index(d, "idx_refunds_gateway_key", "refunds", &[("gateway_key", Asc)])
    }),
    step(64, "idx_refunds_settled", |d| index(d, "idx_refunds_settled", "refunds", &[("settled_at", Asc)])),
    step(65, "products_purchase_limit", catalogue::products_purchase_limit),
    step(66, "order_lines_user", orders::order_lines_user),
    step(67, "order_lines_user_of_old_lines", orders::user_of_old_lines),
    step(68, "idx_order_lines_product_user", |d| {
        index(d, "idx_order_lines_product_user", "order_lines", &[("product_id", Asc), ("user_id", Asc)])
    }),
    step(69, "idx_order_lines_product_dropped", orders::drop_index_by_product),
];

/// Brings the database to the schema of this code; does nothing where it is there already.
pub async fn migrate(db: &Database, now: Timestamp) -> Result<MigrationReport, DatabaseError> {
    commerce_database::migrate(db, MIGRATIONS, now.as_micros()).await
}
