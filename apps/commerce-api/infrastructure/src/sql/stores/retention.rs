use async_trait::async_trait;
use commerce_api_application::ports::{Maintenance, StorageError};
use commerce_api_domain::Timestamp;
use commerce_database::Database;
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{DeleteStatement, Expr, ExprTrait, Order, Query};

use super::query::Failure;

/// [`Maintenance`] on SQL.
#[derive(Debug, Clone)]
pub struct SqlMaintenance {
    db: Database,
}

impl SqlMaintenance {
    /// Works on `db`, which has the schema of this code.
    pub const fn new(db: Database) -> Self {
        Self { db }
    }

    async fn purge(&self, name: &'static str, statement: DeleteStatement) -> Result<u64, StorageError> {
        let purged = self.db.write(name, move |tx| {
            let statement = statement.clone();
            Box::pin(
                async move { Ok::<_, Failure<StorageError>>(tx.execute(&statement).await?.rows_affected()) },
            )
        });
        purged.await.map_err(Failure::into_port)
    }
}

/// Deletes the `limit` rows of `table` whose `time` is the earliest, up to `until`. The derived table is for `MySQL`,
/// which takes no LIMIT in a subquery of IN.
fn earliest(
    table: &'static str,
    key: &[&'static str],
    time: &'static str,
    until: Timestamp,
    limit: u64,
) -> DeleteStatement {
    let first = Query::select()
        .columns(key.iter().copied())
        .from(table)
        .and_where(Expr::col(time).lte(until.as_micros()))
        .order_by(time, Order::Asc)
        .limit(limit)
        .take();
    let keys = Query::select().columns(key.iter().copied()).from_subquery(first, "earliest").take();
    let row = Expr::tuple(key.iter().map(|column| Expr::col(*column)));
    Query::delete().from_table(table).and_where(row.in_subquery(keys)).take()
}

#[async_trait]
impl Maintenance for SqlMaintenance {
    async fn purge_idempotency_keys(&self, now: Timestamp, limit: u64) -> Result<u64, StorageError> {
        let key = ["user_id", "route", "idem_key"];
        self.purge("purge_idempotency_keys", earliest("idempotency_keys", &key, "expires_at", now, limit))
            .await
    }

    async fn purge_sessions(&self, now: Timestamp, limit: u64) -> Result<u64, StorageError> {
        self.purge("purge_sessions", earliest("sessions", &["hash"], "expires_at", now, limit)).await
    }
    async fn purge_callbacks(&self, before: Timestamp, limit: u64) -> Result<u64, StorageError> {
        let old = earliest("callback_inbox", &["event_id"], "received_at", before, limit);
        self.purge("purge_callbacks", old).await
    }
}
