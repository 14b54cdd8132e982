//! Settlement reports of the gateway, what came of comparing them, and nightly audits.

use commerce_database::Dialect;
use sea_orm::sea_query::{MysqlQueryBuilder, SqliteQueryBuilder, Table};

use super::columns::{count, create, int, long_text, optional, primary, table, text, uuid};

/// The table of step 48 was never written to; the one that takes its place has an id, and both sides apart.
pub(super) fn unused_findings(dialect: Dialect) -> String {
    let drop = Table::drop().table("reconciliation_findings").if_exists().take();
    match dialect {
        Dialect::Sqlite => drop.to_string(SqliteQueryBuilder),
        Dialect::MySql => drop.to_string(MysqlQueryBuilder),
    }
}

pub(super) fn findings(dialect: Dialect) -> String {
    let mut findings = table("reconciliation_findings");
    findings
        .col(uuid("id"))
        .col(text("date", 10))
        .col(text("finding_key", 128))
        .col(text("kind", 16))
        .col(text("movement", 16))
        .col(text("reference", 128))
        .col(optional(uuid("payment_id")))
        .col(optional(int("our_amount")))
        .col(optional(text("our_status", 20)))
        .col(optional(int("their_amount")))
        .col(optional(int("their_at")))
        .col(text("action", 20))
        .col(text("state", 16))
        .col(int("found_at"))
        .col(int("seen_at"))
        .col(optional(int("resolved_at")))
        .col(optional(text("resolved_how", 16)))
        .col(optional(long_text(dialect, "reason")))
        .primary_key(&mut primary(&["id"]));
    create(dialect, &mut findings)
}

pub(super) fn settlement_entries(dialect: Dialect) -> String {
    let mut entries = table("settlement_entries");
    entries
        .col(text("date", 10))
        .col(count("place"))
        .col(text("movement", 16))
        .col(text("gateway_key", 128))
        .col(text("reference", 128))
        .col(count("amount"))
        .col(int("at"))
        .primary_key(&mut primary(&["date", "place"]));
    create(dialect, &mut entries)
}

pub(super) fn reconciled_days(dialect: Dialect) -> String {
    let mut days = table("reconciled_days");
    days.col(text("date", 10))
        .col(optional(int("requested_at")))
        .col(optional(int("fetched_at")))
        .col(count("entries").default(0).take())
        .col(optional(int("compared_at")))
        .col(count("ours").default(0).take())
        .col(count("asked").default(0).take())
        .col(optional(int("failed_at")))
        .col(optional(long_text(dialect, "error")))
        .primary_key(&mut primary(&["date"]));
    create(dialect, &mut days)
}

pub(super) fn nightly_audits(dialect: Dialect) -> String {
    let mut audits = table("nightly_audits");
    audits
        .col(text("name", 32))
        .col(int("at"))
        .col(count("violated"))
        .col(count("pending"))
        .primary_key(&mut primary(&["name"]));
    create(dialect, &mut audits)
}
