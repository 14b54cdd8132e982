use commerce_database::{Dialect, Step};
use sea_orm::sea_query::{
    ColumnDef, Expr, ExprTrait as _, Index, IndexCreateStatement, MysqlQueryBuilder, SqliteQueryBuilder,
    Table, TableCreateStatement,
};

const fn step(id: u32, name: &'static str, statement: fn(Dialect) -> String) -> Step {
    Step { id, name, statement }
}

/// Every step of the schema. A step that was released is never changed; a change of the schema is a new step.
pub(super) const MIGRATIONS: &[Step] = &[
    step(1, "transactions", transactions),
    step(2, "uq_transactions_key", |dialect| {
        unique(dialect, "uq_transactions_key", "transactions", "transaction_key")
    }),
    step(3, "uq_transactions_idempotency_key", |dialect| {
        unique(dialect, "uq_transactions_idempotency_key", "transactions", "idempotency_key")
    }),
    step(4, "idx_transactions_order", |dialect| {
        index(dialect, "idx_transactions_order", "transactions", &["order_id", "id"])
    }),
    step(5, "idx_transactions_due", |dialect| {
        index(dialect, "idx_transactions_due", "transactions", &["status", "due_at", "id"])
    }),
    step(6, "movements", movements),
    step(7, "uq_movements_refund_key", |dialect| {
        unique(dialect, "uq_movements_refund_key", "movements", "refund_key")
    }),
    step(8, "idx_movements_at", |dialect| index(dialect, "idx_movements_at", "movements", &["at", "id"])),
    step(9, "voids", voids),
    step(10, "callbacks", callbacks),
    step(11, "idx_callbacks_due", |dialect| {
        index(dialect, "idx_callbacks_due", "callbacks", &["state", "due_at", "id"])
    }),
    step(12, "idx_callbacks_transaction", |dialect| {
        index(dialect, "idx_callbacks_transaction", "callbacks", &["transaction_key", "state"])
    }),
];

fn transactions(dialect: Dialect) -> String {
    let mut table = table("transactions");
    table
        .col(auto_id())
        .col(text("transaction_key", 32))
        .col(text("order_id", 128))
        .col(text("card_type", 16))
        .col(text("card_no", 19))
        .col(count("amount"))
        .col(text("status", 16))
        .col(text("reason", 255).null())
        .col(text("planned_status", 16))
        .col(text("planned_reason", 255))
        .col(text("callback_url", 2_048))
        .col(text("idempotency_key", 255).null())
        .col(count("refunded"))
        .col(int("recorded_at"))
        .col(int("visible_at"))
        .col(int("due_at"))
        .col(int("decided_at").null());
    create(dialect, &mut table)
}

fn movements(dialect: Dialect) -> String {
    let mut table = table("movements");
    table
        .col(auto_id())
        .col(text("kind", 16))
        .col(text("transaction_key", 32))
        .col(text("order_id", 128))
        .col(count("amount"))
        .col(text("refund_key", 255).null())
        .col(int("at"));
    create(dialect, &mut table)
}

fn voids(dialect: Dialect) -> String {
    let mut table = table("voids");
    table.col(text("order_id", 128)).col(int("at")).primary_key(Index::create().col("order_id").primary());
    create(dialect, &mut table)
}

fn callbacks(dialect: Dialect) -> String {
    let mut table = table("callbacks");
    table
        .col(auto_id())
        .col(text("event_id", 128))
        .col(text("transaction_key", 32))
        .col(text("variant", 16))
        .col(text("url", 2_048))
        .col(text("body", 4_096))
        .col(text("state", 16))
        .col(ColumnDef::new("held").boolean().not_null())
        .col(count("attempts"))
        .col(int("due_at"))
        .col(int("signed_at").null());
    create(dialect, &mut table)
}

fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(name).to_owned()
}

/// `MySQL` compares text by its bytes, as `SQLite` does: keys are case-sensitive.
fn create(dialect: Dialect, table: &mut TableCreateStatement) -> String {
    match dialect {
        Dialect::Sqlite => table.to_string(SqliteQueryBuilder),
        Dialect::MySql => table
            .engine("InnoDB")
            .character_set("utf8mb4")
            .collate("utf8mb4_bin")
            .to_string(MysqlQueryBuilder),
    }
}

fn auto_id() -> ColumnDef {
    int("id").primary_key().auto_increment().take()
}

fn int(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

/// A whole number that never goes below 0.
fn count(name: &'static str) -> ColumnDef {
    int(name).check(Expr::col(name).gte(0)).take()
}

fn text(name: &'static str, length: u32) -> ColumnDef {
    ColumnDef::new(name).string_len(length).not_null().take()
}

fn unique(dialect: Dialect, name: &'static str, table: &'static str, column: &'static str) -> String {
    indexed(dialect, Index::create().name(name).table(table).col(column).unique())
}

fn index(dialect: Dialect, name: &'static str, table: &'static str, columns: &[&'static str]) -> String {
    let mut index = Index::create();
    index.name(name).table(table);
    for column in columns {
        index.col(*column);
    }
    indexed(dialect, &index)
}

fn indexed(dialect: Dialect, index: &IndexCreateStatement) -> String {
    match dialect {
        Dialect::Sqlite => index.to_string(SqliteQueryBuilder),
        Dialect::MySql => index.to_string(MysqlQueryBuilder),
    }
}
