//! The column types of the schema.

use commerce_database::Dialect;
pub(super) use commerce_database::ddl::{
    auto_id, bytes, count, create, flag, index, int, long_bytes, long_text, optional, primary, table, text,
    unique, uuid,
};
use sea_orm::sea_query::{ColumnDef, MysqlQueryBuilder, SqliteQueryBuilder, Table};

/// The DDL that adds a column to a table that was released without it.
pub(super) fn add_column(dialect: Dialect, table: &'static str, mut column: ColumnDef) -> String {
    let mut change = Table::alter();
    change.table(table).add_column(&mut column);
    match dialect {
        Dialect::Sqlite => change.to_string(SqliteQueryBuilder),
        Dialect::MySql => change.to_string(MysqlQueryBuilder),
    }
}
