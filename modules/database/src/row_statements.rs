//! Statements that write any number of rows at once.

use sea_orm::{ConnectionTrait, Statement, Value};

use crate::{
    Column, DatabaseError, Dialect, RowSet, Template,
    dialect::{quoted, quoted_list},
    rows::select_rows,
};

fn with_rows(dialect: Dialect, sql: String, columns: &[Column], rows: &RowSet) -> Statement {
    assert_eq!(rows.columns(), columns, "the rows were made for another statement");
    Statement::from_sql_and_values(dialect.backend(), sql, [Value::String(Some(rows.json()))])
}

fn names(columns: &[Column]) -> impl Iterator<Item = &str> {
    columns.iter().map(|column| column.name)
}

/// `INSERT` of rows; a duplicate key is an error.
#[derive(Debug, Clone, Copy)]
pub struct Insert {
    /// The table.
    pub table: &'static str,
    /// Its columns, in the order of the rows' values.
    pub columns: &'static [Column],
}

impl Insert {
    /// An empty row set of this statement.
    pub fn rows(&self) -> RowSet {
        RowSet::new(self.columns)
    }

    /// Renders it.
    pub fn statement(&self, dialect: Dialect, rows: &RowSet) -> Statement {
        let sql = format!(
            "INSERT INTO {} ({}) {}",
            quoted(self.table),
            quoted_list(names(self.columns)),
            select_rows(dialect, self.columns, false)
        );
        with_rows(dialect, sql, self.columns, rows)
    }
}

/// What an upsert does with a column of a row that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// Takes the new value.
    Set,
    /// Adds the new value to the old one.
    Add,
}

/// Insert, or change the row that has the key. Push the rows sorted by key, so that two writers lock in one order.
#[derive(Debug, Clone, Copy)]
pub struct Upsert {
    /// The table.
    pub table: &'static str,
    /// Its columns, in the order of the rows' values.
    pub columns: &'static [Column],
    /// The columns of the unique key that decides.
    pub key: &'static [&'static str],
    /// What changes in a row that exists; empty: nothing, the row stays.
    pub update: &'static [(&'static str, Merge)],
}

impl Upsert {
    /// An empty row set of this statement.
    pub fn rows(&self) -> RowSet {
        RowSet::new(self.columns)
    }

    /// Renders it.
    pub fn statement(&self, dialect: Dialect, rows: &RowSet) -> Statement {
        let sql = match dialect {
            Dialect::Sqlite => self.sqlite(),
            Dialect::MySql => self.mysql(),
        };
        with_rows(dialect, sql, self.columns, rows)
    }

    fn assignments(&self, new: &str) -> String {
        let table = quoted(self.table);
        let assignments: Vec<_> = self
            .update
            .iter()
            .map(|(column, merge)| {
                let column = quoted(column);
                match merge {
                    Merge::Set => format!("{column} = {new}.{column}"),
                    Merge::Add => format!("{column} = {table}.{column} + {new}.{column}"),
                }
            })
            .collect();
        assignments.join(", ")
    }

    fn sqlite(&self) -> String {
        let action = if self.update.is_empty() {
            "NOTHING".to_owned()
        } else {
            format!("UPDATE SET {}", self.assignments("excluded"))
        };
        // Without WHERE the parser would take ON for a join's.
        format!(
            "INSERT INTO {} ({}) {} WHERE true ON CONFLICT ({}) DO {action}",
            quoted(self.table),
            quoted_list(names(self.columns)),
            select_rows(Dialect::Sqlite, self.columns, false),
            quoted_list(self.key.iter().copied()),
        )
    }

    fn mysql(&self) -> String {
        let table = quoted(self.table);
        let columns = quoted_list(names(self.columns));
        let action = match self.key.first() {
            // INSERT IGNORE would hide other errors as well.
            Some(key) if self.update.is_empty() => format!("{0} = {table}.{0}", quoted(key)),
            _ => self.assignments("v"),
        };
        let rows = select_rows(Dialect::MySql, self.columns, true);
        format!(
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM ({rows}) AS v ON DUPLICATE KEY UPDATE {action}"
        )
    }
}

/// Changes rows that exist, each only while it is as expected. Use [`execute_exact`] to learn of one that is not.
#[derive(Debug, Clone, Copy)]
pub struct Update {
    /// The table.
    pub table: &'static str,
    /// The columns of the rows: keys, new values and expected values, under names of their own.
    pub columns: &'static [Column],
    /// Columns that identify a row, in the table and in the rows.
    pub keys: &'static [&'static str],
    /// Columns that take the row's value, in the table and in the rows.
    pub set: &'static [&'static str],
    /// (table column, row column): the row changes only where both are equal; NULL equals NULL.
    pub expect: &'static [(&'static str, &'static str)],
}

impl Update {
    /// An empty row set of this statement.
    pub fn rows(&self) -> RowSet {
        RowSet::new(self.columns)
    }

    /// Renders it.
    pub fn statement(&self, dialect: Dialect, rows: &RowSet) -> Statement {
        self.rendered(dialect, rows, None)
    }

    /// Renders it with one more condition, on columns of the table by its name and of the rows as `v`:
    /// `leases.expires_at < v.expires_at`.
    pub fn statement_where(&self, dialect: Dialect, rows: &RowSet, condition: &Template) -> Statement {
        self.rendered(dialect, rows, Some(condition.text()))
    }

    fn rendered(&self, dialect: Dialect, rows: &RowSet, condition: Option<String>) -> Statement {
        let table = quoted(self.table);
        let source = select_rows(dialect, self.columns, true);
        let null_safe = match dialect {
            Dialect::Sqlite => "IS",
            Dialect::MySql => "<=>",
        };
        let mut found = vec![equal(&table, self.keys)];
        found.extend(
            self.expect
                .iter()
                .map(|(column, row)| format!("{table}.{} {null_safe} v.{}", quoted(column), quoted(row))),
        );
        found.extend(condition.map(|condition| format!("({condition})")));
        let found = found.join(" AND ");
        let sql = match dialect {
            Dialect::Sqlite => {
                let set: Vec<_> = self.set.iter().map(|name| format!("{0} = v.{0}", quoted(name))).collect();
                format!("UPDATE {table} SET {} FROM ({source}) AS v WHERE {found}", set.join(", "))
            }
            Dialect::MySql => {
                let set: Vec<_> =
                    self.set.iter().map(|name| format!("{table}.{0} = v.{0}", quoted(name))).collect();
                format!("UPDATE {table} JOIN ({source}) AS v ON {found} SET {}", set.join(", "))
            }
        };
        with_rows(dialect, sql, self.columns, rows)
    }
}

/// Deletes rows by key.
#[derive(Debug, Clone, Copy)]
pub struct Delete {
    /// The table.
    pub table: &'static str,
    /// The columns that identify a row, in the table and in the rows.
    pub keys: &'static [Column],
}

impl Delete {
    /// An empty row set of this statement.
    pub fn rows(&self) -> RowSet {
        RowSet::new(self.keys)
    }

    /// Renders it.
    pub fn statement(&self, dialect: Dialect, rows: &RowSet) -> Statement {
        let table = quoted(self.table);
        let sql = match dialect {
            Dialect::Sqlite => format!(
                "DELETE FROM {table} WHERE ({}) IN ({})",
                quoted_list(names(self.keys)),
                select_rows(dialect, self.keys, false)
            ),
            Dialect::MySql => {
                let keys: Vec<_> = names(self.keys).collect();
                let source = select_rows(dialect, self.keys, true);
                format!("DELETE {table} FROM {table} JOIN ({source}) AS v ON {}", equal(&table, &keys))
            }
        };
        with_rows(dialect, sql, self.keys, rows)
    }
}

fn equal(table: &str, keys: &[&str]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| format!("{table}.{0} = v.{0}", quoted(key))).collect();
    keys.join(" AND ")
}

/// Runs a statement that must change exactly `expected` rows; else [`DatabaseError::Conflict`] with the table's
/// name. The rows that did change stay changed until the caller rolls back.
pub async fn execute_exact<C: ConnectionTrait>(
    connection: &C,
    statement: Statement,
    expected: u64,
) -> Result<(), DatabaseError> {
    let table = table_of(&statement.sql).to_owned();
    let affected = connection.execute_raw(statement).await?.rows_affected();
    if affected == expected { Ok(()) } else { Err(DatabaseError::Conflict { table, expected, affected }) }
}

/// The table that a statement changes: the word after INTO, UPDATE or FROM.
fn table_of(sql: &str) -> &str {
    let mut words = sql.split_whitespace();
    let verb =
        words.find(|word| ["INTO", "UPDATE", "FROM"].iter().any(|verb| word.eq_ignore_ascii_case(verb)));
    let name = verb.and_then(|_| words.next()).unwrap_or("?");
    name.trim_matches(|c| matches!(c, '`' | '"' | ';' | '('))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[Column::int("id"), Column::uuid("event"), Column::text("status")];

    const KEYS: &[Column] = &[Column::int("id")];

    fn mysql(statement: impl Fn(Dialect, &RowSet) -> Statement, columns: &'static [Column]) -> String {
        let statement = statement(Dialect::MySql, &RowSet::new(columns));
        assert_eq!(statement.values.map(|values| values.0), Some(vec![Value::String(Some("[]".to_owned()))]));
        statement.sql
    }

    #[test]
    fn mysql_insert() {
        let insert = Insert { table: "t", columns: COLUMNS };
        assert_eq!(
            mysql(|dialect, rows| insert.statement(dialect, rows), COLUMNS),
            "INSERT INTO `t` (`id`, `event`, `status`) SELECT r.`id`, unhex(r.`event`), r.`status` FROM \
             JSON_TABLE(?, '$[*]' COLUMNS (`id` BIGINT PATH '$[0]', `event` CHAR(32) PATH '$[1]', \
             `status` LONGTEXT PATH '$[2]')) AS r"
        );
    }

    #[test]
    fn mysql_upsert() {
        const TWO: &[Column] = &[Column::int("id"), Column::int("n")];
        let upsert = Upsert { table: "t", columns: TWO, key: &["id"], update: &[("n", Merge::Add)] };
        let rows = "SELECT r.`id` AS `id`, r.`n` AS `n` FROM JSON_TABLE(?, '$[*]' COLUMNS \
                    (`id` BIGINT PATH '$[0]', `n` BIGINT PATH '$[1]')) AS r";
        assert_eq!(
            mysql(|dialect, rows| upsert.statement(dialect, rows), TWO),
            format!(
                "INSERT INTO `t` (`id`, `n`) SELECT `id`, `n` FROM ({rows}) AS v \
                 ON DUPLICATE KEY UPDATE `n` = `t`.`n` + v.`n`"
            )
        );
        let ignore = Upsert { update: &[], ..upsert };
        assert!(
            mysql(|dialect, rows| ignore.statement(dialect, rows), TWO)
                .ends_with("ON DUPLICATE KEY UPDATE `id` = `t`.`id`")
        );
    }

    #[test]
    fn mysql_update_and_delete() {
        const ROWS: &[Column] = &[Column::int("id"), Column::text("status"), Column::text("expected")];
        let source = "SELECT r.`id` AS `id`, r.`status` AS `status`, r.`expected` AS `expected` FROM \
                      JSON_TABLE(?, '$[*]' COLUMNS (`id` BIGINT PATH '$[0]', `status` LONGTEXT PATH '$[1]', \
                      `expected` LONGTEXT PATH '$[2]')) AS r";
        let update = Update {
            table: "t",
            columns: ROWS,
            keys: &["id"],
            set: &["status"],
            expect: &[("status", "expected")],
        };
        assert_eq!(
            mysql(|dialect, rows| update.statement(dialect, rows), ROWS),
            format!(
                "UPDATE `t` JOIN ({source}) AS v ON `t`.`id` = v.`id` AND `t`.`status` <=> v.`expected` \
                 SET `t`.`status` = v.`status`"
            )
        );
        let delete = Delete { table: "t", keys: KEYS };
        assert_eq!(
            mysql(|dialect, rows| delete.statement(dialect, rows), KEYS),
            "DELETE `t` FROM `t` JOIN (SELECT r.`id` AS `id` FROM JSON_TABLE(?, '$[*]' COLUMNS \
             (`id` BIGINT PATH '$[0]')) AS r) AS v ON `t`.`id` = v.`id`"
        );
    }

    #[test]
    fn the_table_is_found_in_each_kind_of_statement() {
        assert_eq!(table_of("INSERT INTO `orders` (`id`) SELECT 1"), "orders");
        assert_eq!(table_of("UPDATE `orders` SET `a` = 1"), "orders");
        assert_eq!(table_of("delete from outbox where id = 1"), "outbox");
        assert_eq!(table_of("VACUUM"), "?");
    }
}
