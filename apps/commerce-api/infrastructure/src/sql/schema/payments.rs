//! Payments, their history, and what the dispatcher keeps about them.

use commerce_database::Dialect;

use super::columns::{
    add_column, count, create, int, long_bytes, long_text, optional, primary, table, text, uuid,
};

pub(super) fn payments(dialect: Dialect) -> String {
    let mut payments = table("payments");
    payments
        .col(uuid("id"))
        .col(uuid("order_id"))
        .col(int("user_id"))
        .col(text("method", 20))
        .col(count("points_part"))
        .col(count("card_part"))
        .col(optional(text("card_brand", 16)))
        .col(optional(text("card_last_four", 4)))
        .col(text("status", 20))
        .col(optional(text("gateway_key", 128)))
        .col(optional(long_text(dialect, "reason")))
        .col(count("attempt"))
        .col(count("event_seq"))
        .col(int("created_at"))
        .col(int("updated_at"))
        .primary_key(&mut primary(&["id"]));
    create(dialect, &mut payments)
}

/// Captures beyond the one that counts; few payments ever have one, so they have no table.
pub(super) fn payments_duplicates(dialect: Dialect) -> String {
    add_column(dialect, "payments", optional(long_text(dialect, "duplicates")))
}

pub(super) fn payment_events(dialect: Dialect) -> String {
    let mut events = table("payment_events");
    events
        .col(uuid("payment_id"))
        .col(count("seq"))
        .col(text("event", 32))
        .col(count("attempt"))
        .col(optional(text("gateway_key", 128)))
        .col(optional(long_text(dialect, "reason")))
        .col(text("status", 20))
        .col(int("at"))
        .primary_key(&mut primary(&["payment_id", "seq"]));
    create(dialect, &mut events)
}

pub(super) fn payment_checks(dialect: Dialect) -> String {
    let mut checks = table("payment_checks");
    checks
        .col(uuid("payment_id"))
        .col(int("next_check_at"))
        .col(optional(uuid("owner")))
        .col(count("fence").default(0).take())
        .col(optional(int("until")))
        .col(count("tries").default(0).take())
        .primary_key(&mut primary(&["payment_id"]));
    create(dialect, &mut checks)
}

pub(super) fn card_vault(dialect: Dialect) -> String {
    let mut vault = table("card_vault");
    vault
        .col(uuid("payment_id"))
        .col(long_bytes(dialect, "sealed"))
        .primary_key(&mut primary(&["payment_id"]));
    create(dialect, &mut vault)
}

pub(super) fn refunds(dialect: Dialect) -> String {
    let mut refunds = table("refunds");
    refunds
        .col(uuid("payment_id"))
        .col(text("gateway_key", 128))
        .col(text("refund_key", 64))
        .col(count("amount"))
        .col(text("state", 16))
        .col(int("created_at"))
        .col(optional(int("settled_at")))
        .primary_key(&mut primary(&["payment_id", "gateway_key"]));
    create(dialect, &mut refunds)
}

pub(super) fn callback_inbox(dialect: Dialect) -> String {
    let mut inbox = table("callback_inbox");
    inbox
        .col(text("event_id", 128))
        .col(long_text(dialect, "headers"))
        .col(long_bytes(dialect, "body"))
        .col(optional(text("verdict", 32)))
        .col(int("received_at"))
        .primary_key(&mut primary(&["event_id"]));
    create(dialect, &mut inbox)
}

pub(super) fn reconciliation_findings(dialect: Dialect) -> String {
    let mut findings = table("reconciliation_findings");
    findings
        .col(text("date", 10))
        .col(text("finding_key", 128))
        .col(text("kind", 32))
        .col(long_text(dialect, "ours"))
        .col(long_text(dialect, "theirs"))
        .col(text("state", 16))
        .primary_key(&mut primary(&["date", "finding_key", "kind"]));
    create(dialect, &mut findings)
}
