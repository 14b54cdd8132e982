//! What the stores share: running built statements, pages by key, errors of transactions.

use commerce_api_application::ports::StorageError;
use commerce_database::{Classify, DatabaseError, ErrorClass, Insert, RowSet, WriteTransaction};
use sea_orm::sea_query::{Expr, ExprTrait, IntoColumnRef, Order, SelectStatement, Value};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, StatementBuilder};

use crate::sql::decode::Columns;
use crate::sql::error::{orm, storage};

/// Rows of a statement, decoded.
pub(super) async fn all<T>(
    connection: &impl ConnectionTrait,
    statement: &impl StatementBuilder,
    decode: impl Fn(&mut Columns<'_>) -> Result<T, StorageError>,
) -> Result<Vec<T>, StorageError> {
    let rows = connection.query_all(statement).await.map_err(orm)?;
    decoded(&rows, decode)
}

/// The first row of a statement, decoded.
pub(super) async fn one<T>(
    connection: &impl ConnectionTrait,
    statement: &impl StatementBuilder,
    decode: impl Fn(&mut Columns<'_>) -> Result<T, StorageError>,
) -> Result<Option<T>, StorageError> {
    let row = connection.query_one(statement).await.map_err(orm)?;
    row.map(|row| decode(&mut Columns::of(&row))).transpose()
}

pub(super) fn decoded<T>(
    rows: &[QueryResult],
    decode: impl Fn(&mut Columns<'_>) -> Result<T, StorageError>,
) -> Result<Vec<T>, StorageError> {
    rows.iter().map(|row| decode(&mut Columns::of(row))).collect()
}

/// The columns `names` of the table that goes by `alias`.
pub(super) fn select(statement: &mut SelectStatement, alias: &'static str, names: &[&'static str]) {
    statement.columns(names.iter().map(|name| (alias, *name)));
}

/// Sorts by `column`, ties by `id` in the same direction, and starts after the row that had these values.
pub(super) fn page<C>(
    statement: &mut SelectStatement,
    (column, id): (C, C),
    direction: &Order,
    after: Option<(Value, Value)>,
) where
    C: IntoColumnRef + Copy,
{
    statement.order_by(column, direction.clone()).order_by(id, direction.clone());
    let Some((value, last)) = after else { return };
    let (column, id) = (Expr::col(column), Expr::col(id));
    // (column, id) after (value, last), in a form of which every database makes a range of the index.
    let after = if *direction == Order::Desc {
        column.clone().lte(value.clone()).and(column.lt(value).or(id.lt(last)))
    } else {
        column.clone().gte(value.clone()).and(column.gt(value).or(id.gt(last)))
    };
    statement.and_where(after);
}

/// Why a transaction of a store ended without a commit.
#[derive(Debug)]
pub(super) enum Failure<R> {
    /// It is not to be done.
    Refused(R),
    /// It could not be done.
    Storage(StorageError),
}

impl<R: From<StorageError>> Failure<R> {
    /// The port's error.
    pub(super) fn into_port(self) -> R {
        match self {
            Self::Refused(refused) => refused,
            Self::Storage(error) => error.into(),
        }
    }
}

impl<R> From<StorageError> for Failure<R> {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl<R> From<DatabaseError> for Failure<R> {
    fn from(error: DatabaseError) -> Self {
        Self::Storage(storage(error))
    }
}

impl<R> From<DbErr> for Failure<R> {
    fn from(error: DbErr) -> Self {
        Self::Storage(orm(error))
    }
}

impl<R> Classify for Failure<R> {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Storage(error) if error.is_transient() => ErrorClass::Busy,
            _ => ErrorClass::Other,
        }
    }
}

/// Inserts one row and gives back the id that the database gave it; `taken` where a unique key refuses it.
pub(super) async fn insert_new<R>(
    tx: &WriteTransaction,
    insert: &Insert,
    row: &RowSet,
    taken: R,
) -> Result<i64, Failure<R>> {
    match tx.execute_raw(insert.statement(tx.dialect(), row)).await.map_err(DatabaseError::from) {
        Ok(inserted) => i64::try_from(inserted.last_insert_id())
            .map_err(|error| Failure::Storage(StorageError::Data(error.into()))),
        Err(error) if error.class() == ErrorClass::UniqueViolation => Err(Failure::Refused(taken)),
        Err(error) => Err(error.into()),
    }
}

/// Runs an insert where it has rows.
pub(super) async fn insert_rows<R>(
    tx: &WriteTransaction,
    insert: &Insert,
    rows: &RowSet,
) -> Result<(), Failure<R>> {
    if !rows.is_empty() {
        tx.execute_raw(insert.statement(tx.dialect(), rows)).await?;
    }
    Ok(())
}
