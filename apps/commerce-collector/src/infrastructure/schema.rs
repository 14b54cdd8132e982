//! The OLAP schema as forward-only steps, one DDL statement each.
//!
//! Times (`*_at`) are microseconds since the epoch in UTC, business days are whole numbers as `yyyymmdd`, money is
//! whole won. Counts have no lower bound: what is taken back may come before what it takes back.

use commerce_batch::schema as batch;
use commerce_boards::schema as boards;
use commerce_database::ddl::{
    add_column, auto_id, create, index, int, long_bytes, long_text, optional, primary, table, text, unique,
    uuid,
};
use commerce_database::{Database, DatabaseError, Dialect, MigrationReport, Step};
use sea_orm::sea_query::IndexOrder::Asc;
use sea_orm::sea_query::TableCreateStatement;

use super::rebuild::schema as rebuild;

const fn step(id: u32, name: &'static str, statement: fn(Dialect) -> String) -> Step {
    Step { id, name, statement }
}

/// Every step of the schema. A step that was released is never changed; a change of the schema is a new step.
pub const MIGRATIONS: &[Step] = &[
    step(1, "event_handled", event_handled),
    step(2, "idx_event_handled_event_id", |d| {
        unique(d, "idx_event_handled_event_id", "event_handled", &["event_id", "consumer"])
    }),
    step(3, "consumer_offsets", consumer_offsets),
    step(4, "product_metrics", product_metrics),
    step(5, "product_metrics_daily", product_metrics_daily),
    step(6, "idx_product_metrics_daily_date_product", |d| {
        let name = "idx_product_metrics_daily_date_product";
        unique(d, name, "product_metrics_daily", &["date", "product_id"])
    }),
    step(7, boards::TABLE, boards::ranking_board),
    step(8, "uq_ranking_board_product", boards::product_index),
    step(9, boards::PERIODS, boards::business_periods),
    step(10, "dead_letters", dead_letters),
    step(11, "uq_dead_letters_record", |d| {
        unique(d, "uq_dead_letters_record", "dead_letters", &["topic", "partition", "offset", "kept_at"])
    }),
    step(12, "idx_dead_letters_state", |d| {
        index(d, "idx_dead_letters_state", "dead_letters", &[("state", Asc), ("id", Asc)])
    }),
    step(13, "leases", leases),
    step(14, "product_metrics_weekly", |d| metrics_of_periods(d, "product_metrics_weekly")),
    step(15, "product_metrics_monthly", |d| metrics_of_periods(d, "product_metrics_monthly")),
    // The last day that a week or month was aggregated with.
    step(16, "business_periods_through", |d| add_column(d, boards::PERIODS, optional(int("through")))),
    step(17, "job_instance", batch::job_instance),
    step(18, "uq_job_instance", batch::job_instance_key),
    step(19, "job_execution", batch::job_execution),
    step(20, "idx_job_execution_instance", batch::job_execution_instance),
    step(21, "step_execution", batch::step_execution),
    step(22, "step_skip", batch::step_skip),
    step(23, "operator_log", operator_log),
    step(24, "idx_operator_log_target", |d| {
        index(d, "idx_operator_log_target", "operator_log", &[("target", Asc), ("id", Asc)])
    }),
    step(25, "idx_dead_letters_event_id", |d| {
        index(d, "idx_dead_letters_event_id", "dead_letters", &[("event_id", Asc)])
    }),
    step(26, "rebuild_run", rebuild::run),
    step(27, "rebuild_progress", rebuild::progress),
    step(28, "rebuild_letters", rebuild::letters),
    step(29, "rebuild_events", rebuild::events),
    step(30, "rebuild_shadow", |d| rebuild::metrics(d, "rebuild_shadow")),
    step(31, "rebuild_base", |d| rebuild::metrics(d, "rebuild_base")),
    step(32, "rebuild_difference", |d| rebuild::metrics(d, "rebuild_difference")),
];

/// Brings the database to the schema of this code; does nothing where it is there already. `now_us`: microseconds
/// since the epoch.
pub async fn migrate(db: &Database, now_us: i64) -> Result<MigrationReport, DatabaseError> {
    commerce_database::migrate(db, MIGRATIONS, now_us).await
}

fn event_handled(dialect: Dialect) -> String {
    let mut handled = table("event_handled");
    handled
        .col(auto_id())
        .col(uuid("event_id"))
        .col(text("consumer", 64))
        .col(text("event_type", 64))
        .col(text("aggregate_type", 16))
        .col(text("aggregate_id", 64))
        .col(int("sequence"))
        // Made anew by every transaction: what carries it was inserted by it and not by another.
        .col(int("batch"))
        .col(int("handled_at"));
    create(dialect, &mut handled)
}

fn consumer_offsets(dialect: Dialect) -> String {
    let mut offsets = table("consumer_offsets");
    offsets
        .col(text("consumer", 64))
        .col(text("topic", 64))
        .col(int("partition"))
        .col(int("epoch"))
        .col(int("next_offset"))
        .primary_key(&mut primary(&["consumer", "topic", "partition"]));
    create(dialect, &mut offsets)
}

fn with_metrics(metrics: &mut TableCreateStatement) -> &mut TableCreateStatement {
    metrics.col(int("views")).col(int("likes")).col(int("orders")).col(int("quantity")).col(int("amount"))
}

fn product_metrics(dialect: Dialect) -> String {
    let mut metrics = table("product_metrics");
    metrics.col(int("product_id").primary_key().take());
    create(dialect, with_metrics(&mut metrics))
}

fn product_metrics_daily(dialect: Dialect) -> String {
    let mut metrics = table("product_metrics_daily");
    metrics.col(int("product_id")).col(int("date"));
    // By product for its history; the unique index goes by day, for the boards.
    with_metrics(&mut metrics).primary_key(&mut primary(&["product_id", "date"]));
    create(dialect, &mut metrics)
}

fn metrics_of_periods(dialect: Dialect, name: &'static str) -> String {
    let mut metrics = table(name);
    metrics.col(text("period", 16)).col(int("product_id"));
    with_metrics(&mut metrics).primary_key(&mut primary(&["period", "product_id"]));
    create(dialect, &mut metrics)
}

fn dead_letters(dialect: Dialect) -> String {
    let mut letters = table("dead_letters");
    letters
        .col(auto_id())
        .col(text("topic", 64))
        .col(int("partition"))
        .col(int("offset"))
        .col(int("kept_at"))
        .col(long_bytes(dialect, "record_key"))
        .col(long_text(dialect, "headers"))
        .col(long_bytes(dialect, "value"))
        .col(text("cause", 32))
        .col(long_text(dialect, "detail"))
        .col(int("attempts"))
        .col(optional(uuid("event_id")))
        .col(optional(text("event_type", 64)))
        .col(optional(text("aggregate_type", 16)))
        .col(optional(text("aggregate_id", 64)))
        .col(optional(int("sequence")))
        .col(text("state", 16))
        .col(int("set_aside_at"));
    create(dialect, &mut letters)
}

/// What was done by hand, append-only.
fn operator_log(dialect: Dialect) -> String {
    let mut log = table("operator_log");
    log.col(auto_id())
        .col(int("at"))
        .col(text("actor", 64))
        .col(text("action", 32))
        .col(text("target", 64))
        .col(long_text(dialect, "detail"));
    create(dialect, &mut log)
}

fn leases(dialect: Dialect) -> String {
    let mut leases = table("leases");
    leases
        .col(text("name", 64))
        .col(uuid("owner"))
        .col(int("fence"))
        .col(int("until"))
        .primary_key(&mut primary(&["name"]));
    create(dialect, &mut leases)
}
