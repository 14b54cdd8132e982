//! The tables, as steps of the schema of whoever runs jobs.

use commerce_database::Dialect;
use commerce_database::ddl::{
    auto_id, create, flag, index, int, long_text, optional, primary, table, text, unique, uuid,
};
use sea_orm::sea_query::IndexOrder::Asc;

/// DDL of the instances: who holds one, until when, and how often it was given away.
pub fn job_instance(dialect: Dialect) -> String {
    let mut instances = table("job_instance");
    instances
        .col(auto_id())
        .col(text("job", 64))
        .col(text("parameters", 190))
        .col(optional(uuid("owner")))
        .col(int("fence"))
        .col(int("lease_until"))
        .col(int("created_at"));
    create(dialect, &mut instances)
}

/// DDL of the index by which a job with its parameters is one instance.
pub fn job_instance_key(dialect: Dialect) -> String {
    unique(dialect, "uq_job_instance", "job_instance", &["job", "parameters"])
}

/// DDL of the executions.
pub fn job_execution(dialect: Dialect) -> String {
    let mut message = long_text(dialect, "message");
    let mut executions = table("job_execution");
    executions
        .col(auto_id())
        .col(int("instance_id"))
        .col(text("status", 16))
        .col(text("input", 190))
        .col(int("fence"))
        .col(uuid("owner"))
        .col(int("started_at"))
        .col(optional(int("ended_at")))
        .col(message.null().take())
        .col(flag("stop_requested"));
    create(dialect, &mut executions)
}

/// DDL of the index by which an instance's executions are found.
pub fn job_execution_instance(dialect: Dialect) -> String {
    index(dialect, "idx_job_execution_instance", "job_execution", &[("instance_id", Asc), ("id", Asc)])
}

/// DDL of the steps: cursor and counters of each.
pub fn step_execution(dialect: Dialect) -> String {
    let mut steps = table("step_execution");
    steps
        .col(int("execution_id"))
        .col(text("step", 64))
        .col(text("status", 16))
        .col(optional(int("cursor")))
        .col(int("read_count"))
        .col(int("write_count"))
        .col(int("filter_count"))
        .col(int("process_skip_count"))
        .col(int("write_skip_count"))
        .col(int("commit_count"))
        .col(int("rollback_count"))
        .col(int("started_at"))
        .col(int("updated_at"))
        .primary_key(&mut primary(&["execution_id", "step"]));
    create(dialect, &mut steps)
}

/// DDL of the items that were left out.
pub fn step_skip(dialect: Dialect) -> String {
    let mut skips = table("step_skip");
    skips
        .col(int("execution_id"))
        .col(text("step", 64))
        .col(int("item_key"))
        .col(text("phase", 16))
        .col(text("kind", 64))
        .primary_key(&mut primary(&["execution_id", "step", "item_key"]));
    create(dialect, &mut skips)
}
