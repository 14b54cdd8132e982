//! What makes requests, events and tasks happen once.

use commerce_database::Dialect;

use super::columns::{
    auto_id, bytes, count, create, int, long_bytes, long_text, optional, primary, table, text, uuid,
};

pub(super) fn idempotency_keys(dialect: Dialect) -> String {
    let mut keys = table("idempotency_keys");
    keys.col(int("user_id"))
        .col(text("route", 64))
        .col(text("idem_key", 255))
        .col(bytes("fingerprint", 32))
        .col(int("status"))
        .col(optional(text("location", 255)))
        .col(long_bytes(dialect, "body"))
        .col(int("expires_at"))
        .col(int("created_at"))
        .primary_key(&mut primary(&["user_id", "route", "idem_key"]));
    create(dialect, &mut keys)
}

pub(super) fn outbox(dialect: Dialect) -> String {
    let mut outbox = table("outbox");
    outbox
        .col(auto_id())
        .col(uuid("event_id"))
        .col(text("aggregate_type", 16))
        .col(text("aggregate_id", 64))
        .col(count("sequence"))
        .col(text("topic", 64))
        .col(long_text(dialect, "headers"))
        .col(long_text(dialect, "payload"))
        .col(count("shard"))
        .col(int("at"));
    create(dialect, &mut outbox)
}

pub(super) fn leases(dialect: Dialect) -> String {
    let mut leases = table("leases");
    leases
        .col(text("name", 64))
        .col(uuid("owner"))
        .col(count("fence"))
        .col(int("until"))
        .primary_key(&mut primary(&["name"]));
    create(dialect, &mut leases)
}
