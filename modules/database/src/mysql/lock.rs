//! A lock by name that one connection holds, for work that no transaction can hold together: a migration's DDL commits
//! whatever is open.

use sqlx::Row as _;

use super::{Held, Pool};
use crate::DatabaseError;

/// Held until it is released, or its connection ends.
pub(crate) struct NamedLock(Held);

/// Longest wait for another node's migration, in seconds.
const WAIT_S: u32 = 60;

impl Pool {
    /// Waits for the lock of `purpose` in this database; at most a minute.
    pub(crate) async fn lock(&self, purpose: &'static str) -> Result<NamedLock, DatabaseError> {
        let mut held = self.connection().await?;
        // Names are the server's, not the database's, and 64 characters at most.
        let sql = "SELECT GET_LOCK(LEFT(CONCAT(?, ':', DATABASE()), 64), ?)";
        let values = [purpose.into(), WAIT_S.into()];
        let statement = sea_orm::Statement::from_sql_and_values(sea_orm::DbBackend::MySql, sql, values);
        let row = held.fetch_optional(statement).await?;
        let granted = row.and_then(|row| {
            row.try_as_mysql_row().and_then(|row| row.try_get::<Option<i64>, _>(0).ok().flatten())
        });
        match granted {
            Some(1) => Ok(NamedLock(held)),
            _ => Err(DatabaseError::WriteWait { name: purpose }),
        }
    }
}

impl NamedLock {
    pub(crate) async fn release(mut self) {
        match self.0.run("DO RELEASE_ALL_LOCKS()").await {
            Ok(()) => self.0.finish(),
            Err(error) => {
                tracing::debug!(%error, "a lock is given back by closing its connection");
                self.0.discard();
            }
        }
    }
}
