//! The column types of schemas, so that one definition gives the DDL of every dialect.

use sea_orm::sea_query::{
    ColumnDef, Expr, ExprTrait, Index, IndexCreateStatement, IndexOrder, MysqlQueryBuilder,
    SqliteQueryBuilder, Table, TableCreateStatement,
};

use crate::Dialect;

/// A table to add columns to.
pub fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(name).to_owned()
}

/// The table's DDL. `MySQL` compares text by its bytes, as `SQLite` does: ids and codes are case-sensitive.
pub fn create(dialect: Dialect, table: &mut TableCreateStatement) -> String {
    match dialect {
        Dialect::Sqlite => {
            let ddl = table.to_string(SqliteQueryBuilder);
            // A key that is no integer would be an index beside a table by rowid: two trees to write for every row.
            if table.get_indexes().is_empty() { ddl } else { ddl + " WITHOUT ROWID" }
        }
        Dialect::MySql => table
            .engine("InnoDB")
            .character_set("utf8mb4")
            .collate("utf8mb4_bin")
            .to_string(MysqlQueryBuilder),
    }
}

/// An id that the database gives; on `SQLite` it is never given twice.
pub fn auto_id() -> ColumnDef {
    int("id").primary_key().auto_increment().take()
}

/// A whole number, an amount in won, or a time in microseconds since the epoch (`*_at`).
pub fn int(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

/// A whole number that never goes below 0.
pub fn count(name: &'static str) -> ColumnDef {
    int(name).check(Expr::col(name).gte(0)).take()
}

/// Text of at most `length` characters.
pub fn text(name: &'static str, length: u32) -> ColumnDef {
    ColumnDef::new(name).string_len(length).not_null().take()
}

/// Text that no index needs; on `MySQL` up to 16 MiB.
pub fn long_text(dialect: Dialect, name: &'static str) -> ColumnDef {
    match dialect {
        Dialect::Sqlite => ColumnDef::new(name).text().not_null().take(),
        Dialect::MySql => ColumnDef::new(name).custom("mediumtext").not_null().take(),
    }
}

/// Bytes that no index needs; on `MySQL` up to 16 MiB.
pub fn long_bytes(dialect: Dialect, name: &'static str) -> ColumnDef {
    match dialect {
        Dialect::Sqlite => ColumnDef::new(name).blob().not_null().take(),
        Dialect::MySql => ColumnDef::new(name).custom("mediumblob").not_null().take(),
    }
}

/// 16 bytes.
pub fn uuid(name: &'static str) -> ColumnDef {
    bytes(name, 16)
}

/// Exactly `length` bytes.
pub fn bytes(name: &'static str, length: u32) -> ColumnDef {
    ColumnDef::new(name).binary_len(length).not_null().take()
}

/// True or false.
pub fn flag(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).boolean().not_null().take()
}

/// The same column, which may be empty.
pub fn optional(mut column: ColumnDef) -> ColumnDef {
    column.null().take()
}

/// A primary key of several columns, or of one that is no integer.
pub fn primary(columns: &[&'static str]) -> IndexCreateStatement {
    let mut key = Index::create();
    for column in columns {
        key.col(*column);
    }
    key.primary().take()
}

/// A column of an index, and whether it descends.
pub type IndexColumn = (&'static str, IndexOrder);

/// The DDL of an index that speeds a read up.
pub fn index(dialect: Dialect, name: &'static str, table: &'static str, columns: &[IndexColumn]) -> String {
    indexed(dialect, Index::create().name(name).table(table), columns)
}

/// The DDL of an index that refuses a second row.
pub fn unique(dialect: Dialect, name: &'static str, table: &'static str, columns: &[&'static str]) -> String {
    let columns: Vec<IndexColumn> = columns.iter().map(|column| (*column, IndexOrder::Asc)).collect();
    indexed(dialect, Index::create().name(name).table(table).unique(), &columns)
}

fn indexed(dialect: Dialect, index: &mut IndexCreateStatement, columns: &[IndexColumn]) -> String {
    for column in columns {
        index.col(column.clone());
    }
    match dialect {
        Dialect::Sqlite => index.to_string(SqliteQueryBuilder),
        Dialect::MySql => index.to_string(MysqlQueryBuilder),
    }
}

/// The DDL that adds a column to a table that was released without it.
pub fn add_column(dialect: Dialect, table: &'static str, mut column: ColumnDef) -> String {
    let mut change = Table::alter();
    change.table(table).add_column(&mut column);
    match dialect {
        Dialect::Sqlite => change.to_string(SqliteQueryBuilder),
        Dialect::MySql => change.to_string(MysqlQueryBuilder),
    }
}
