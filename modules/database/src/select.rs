//! Reads of many rows by key in one statement.

use sea_orm::{
    Statement, Value,
    sea_query::{Alias, Expr, ExprTrait as _, LockType, MysqlQueryBuilder, Order, Query},
};
use uuid::Uuid;

use crate::{
    Column, ColumnKind, Dialect, RowSet, RowValue,
    dialect::{quoted, quoted_list},
    rows::select_rows,
};

/// Whether the rows are locked until the transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// A plain read.
    None,
    /// As [`Dialect::for_update`] does.
    Update,
}

/// `SELECT columns FROM table WHERE keys IN (...) ORDER BY order`. A key given twice finds its rows once;
/// a key that does not exist finds nothing.
#[derive(Debug, Clone, Copy)]
pub struct Select {
    /// The table.
    pub table: &'static str,
    /// The columns of the result.
    pub columns: &'static [&'static str],
    /// The columns that are searched by; an index must begin with them.
    pub keys: &'static [Column],
    /// The order of the result, ascending; empty: by key.
    pub order: &'static [&'static str],
}

impl Select {
    /// By one integer column.
    pub fn by_ints(&self, dialect: Dialect, lock: Lock, keys: impl IntoIterator<Item = i64>) -> Statement {
        self.by_rows(dialect, lock, keys.into_iter().map(|key| [RowValue::Int(key)]))
    }

    /// By one UUID column.
    pub fn by_uuids(&self, dialect: Dialect, lock: Lock, keys: impl IntoIterator<Item = Uuid>) -> Statement {
        self.by_rows(dialect, lock, keys.into_iter().map(|key| [RowValue::Uuid(key)]))
    }

    /// By any number of columns. `MySQL` gets literals where all are integers or UUIDs, since it plans its index
    /// locks by them; text is always bound.
    pub fn by_rows<'a, R>(&self, dialect: Dialect, lock: Lock, keys: impl IntoIterator<Item = R>) -> Statement
    where
        R: IntoIterator<Item = RowValue<'a>>,
    {
        let literal = self.keys.iter().all(|key| matches!(key.kind, ColumnKind::Int | ColumnKind::Uuid));
        if dialect == Dialect::MySql && literal {
            return self.mysql_literal(lock, keys);
        }
        let mut rows = RowSet::new(self.keys);
        for key in keys {
            rows.push(key);
        }
        // It does not reach into the subquery; `OF`, which would say so, `MariaDB` does not know.
        let locking = match lock {
            Lock::Update => dialect.for_update(),
            Lock::None => "",
        };
        let sql = format!(
            "SELECT {} FROM {} WHERE ({}) IN ({}) ORDER BY {}{locking}",
            quoted_list(self.columns.iter().copied()),
            quoted(self.table),
            quoted_list(self.keys.iter().map(|key| key.name)),
            select_rows(dialect, self.keys, false),
            quoted_list(self.ordering()),
        );
        Statement::from_sql_and_values(dialect.backend(), sql, [Value::String(Some(rows.json()))])
    }

    fn ordering(&self) -> Vec<&'static str> {
        if self.order.is_empty() {
            self.keys.iter().map(|key| key.name).collect()
        } else {
            self.order.to_vec()
        }
    }

    fn mysql_literal<'a, R>(&self, lock: Lock, keys: impl IntoIterator<Item = R>) -> Statement
    where
        R: IntoIterator<Item = RowValue<'a>>,
    {
        let keys = keys.into_iter().map(|key| {
            let values: Vec<_> = key.into_iter().map(literal).collect();
            assert_eq!(
                values.len(),
                self.keys.len(),
                "a key of {} has another number of columns",
                self.table
            );
            tuple(values)
        });
        let searched = tuple(self.keys.iter().map(|key| Expr::col(Alias::new(key.name))).collect());
        let mut query = Query::select();
        query
            .columns(self.columns.iter().map(|name| Alias::new(*name)))
            .from(Alias::new(self.table))
            .and_where(searched.is_in(keys));
        for name in self.ordering() {
            query.order_by(Alias::new(name), Order::Asc);
        }
        if lock == Lock::Update {
            query.lock(LockType::Update);
        }
        Statement::from_string(Dialect::MySql.backend(), query.to_string(MysqlQueryBuilder))
    }
}

fn tuple(mut values: Vec<Expr>) -> Expr {
    match values.pop() {
        Some(only) if values.is_empty() => only,
        Some(last) => {
            values.push(last);
            Expr::tuple(values)
        }
        None => panic!("a select needs a key column"),
    }
}

fn literal(value: RowValue<'_>) -> Expr {
    match value {
        RowValue::Int(value) => Expr::val(value),
        // A UUID is a BINARY(16) there, not its text.
        RowValue::Uuid(value) => Expr::val(value.as_bytes().to_vec()),
        other => panic!("only integers and UUIDs are written as literals, got {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY_ID: Select =
        Select { table: "users", columns: &["id", "points"], keys: &[Column::int("id")], order: &[] };

    const BY_ORDER: Select =
        Select { table: "l", columns: &["n"], keys: &[Column::uuid("order_id")], order: &["order_id", "n"] };

    const BOTH: Select = Select { keys: &[Column::int("a"), Column::int("b")], ..BY_ORDER };

    #[test]
    fn mysql_integers_and_uuids_are_literals() {
        let statement = BY_ID.by_ints(Dialect::MySql, Lock::Update, [3, -1]);
        assert_eq!(
            statement.sql,
            "SELECT `id`, `points` FROM `users` WHERE `id` IN (3, -1) ORDER BY `id` ASC FOR UPDATE"
        );
        assert_eq!(statement.values, None);

        assert_eq!(
            BY_ORDER.by_uuids(Dialect::MySql, Lock::None, [Uuid::from_u128(0xab)]).sql,
            "SELECT `n` FROM `l` WHERE `order_id` IN (x'000000000000000000000000000000AB') \
             ORDER BY `order_id` ASC, `n` ASC"
        );

        let keys = [[RowValue::Int(1), RowValue::Int(2)], [RowValue::Int(3), RowValue::Int(4)]];
        assert_eq!(
            BOTH.by_rows(Dialect::MySql, Lock::None, keys).sql,
            "SELECT `n` FROM `l` WHERE (`a`, `b`) IN ((1, 2), (3, 4)) ORDER BY `order_id` ASC, `n` ASC"
        );
    }

    #[test]
    fn mysql_text_is_bound() {
        const SELECT: Select = Select {
            table: "idempotency_keys",
            columns: &["status"],
            keys: &[Column::int("user_id"), Column::text("key")],
            order: &[],
        };
        let statement =
            SELECT.by_rows(Dialect::MySql, Lock::Update, [[RowValue::Int(1), RowValue::from("a' OR 1=1")]]);
        assert_eq!(
            statement.sql,
            "SELECT `status` FROM `idempotency_keys` WHERE (`user_id`, `key`) IN (SELECT r.`user_id`, r.`key` \
             FROM JSON_TABLE(?, '$[*]' COLUMNS (`user_id` BIGINT PATH '$[0]', `key` LONGTEXT PATH '$[1]')) AS r) \
             ORDER BY `user_id`, `key` FOR UPDATE"
        );
        assert_eq!(
            statement.values.map(|values| values.0),
            Some(vec![Value::String(Some("[[1,\"a' OR 1=1\"]]".to_owned()))])
        );
    }
}
