//! Users, sessions, points, and what administrators did.

use commerce_database::Dialect;

use super::columns::{auto_id, bytes, count, create, int, long_text, optional, primary, table, text, uuid};

pub(super) fn users(dialect: Dialect) -> String {
    let mut users = table("users");
    users
        .col(auto_id())
        .col(text("login_id", 64))
        .col(text("email", 320))
        .col(text("password_hash", 255))
        .col(text("role", 16))
        .col(optional(text("birth_date", 10)))
        .col(optional(text("gender", 8)))
        .col(count("balance"))
        .col(int("created_at"));
    create(dialect, &mut users)
}

pub(super) fn sessions(dialect: Dialect) -> String {
    let mut sessions = table("sessions");
    sessions
        .col(bytes("hash", 32))
        .col(int("user_id"))
        .col(text("role", 16))
        .col(int("expires_at"))
        .col(int("touched_at"))
        .col(int("created_at"))
        .primary_key(&mut primary(&["hash"]));
    create(dialect, &mut sessions)
}

pub(super) fn point_ledger(dialect: Dialect) -> String {
    let mut ledger = table("point_ledger");
    ledger
        .col(uuid("id"))
        .col(int("user_id"))
        .col(optional(uuid("order_id")))
        .col(text("kind", 16))
        .col(count("amount"))
        .col(int("signed_amount"))
        .col(count("balance_after"))
        .col(int("at"))
        .primary_key(&mut primary(&["id"]));
    create(dialect, &mut ledger)
}

pub(super) fn audit_log(dialect: Dialect) -> String {
    let mut log = table("audit_log");
    log.col(uuid("id"))
        .col(text("actor", 100))
        .col(text("action", 64))
        .col(text("target", 200))
        .col(long_text(dialect, "detail"))
        .col(int("at"))
        .primary_key(&mut primary(&["id"]));
    create(dialect, &mut log)
}
