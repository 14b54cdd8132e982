//! Tables of a rebuild; all of them are empty while there is none. Day 0 stands for all days together.

use commerce_database::Dialect;
use commerce_database::ddl::{create, int, primary, table, text, uuid};

pub fn run(dialect: Dialect) -> String {
    let mut run = table("rebuild_run");
    // There is one at most.
    run.col(int("id").primary_key().take()).col(int("from_day")).col(int("started_at"));
    create(dialect, &mut run)
}

pub fn progress(dialect: Dialect) -> String {
    let mut progress = table("rebuild_progress");
    progress
        .col(text("topic", 64))
        .col(int("partition"))
        .col(int("next"))
        .col(int("until"))
        .primary_key(&mut primary(&["topic", "partition"]));
    create(dialect, &mut progress)
}

pub fn letters(dialect: Dialect) -> String {
    create(dialect, table("rebuild_letters").col(int("id").primary_key().take()))
}

pub fn events(dialect: Dialect) -> String {
    let mut events = table("rebuild_events");
    events.col(uuid("event_id")).col(int("batch")).primary_key(&mut primary(&["event_id"]));
    create(dialect, &mut events)
}

pub fn metrics(dialect: Dialect, name: &'static str) -> String {
    let mut metrics = table(name);
    metrics
        .col(int("date"))
        .col(int("product_id"))
        .col(int("views"))
        .col(int("likes"))
        .col(int("orders"))
        .col(int("quantity"))
        .col(int("amount"))
        .primary_key(&mut primary(&["date", "product_id"]));
    create(dialect, &mut metrics)
}
