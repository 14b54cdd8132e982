use async_trait::async_trait;
use commerce_api_application::ports::{CallbackInbox, InboxEntry, StorageError, Verdict};
use commerce_database::Database;
use sea_orm::sea_query::{Expr, ExprTrait, Query};

use super::query::{Failure, one};
use crate::sql::decode::Columns;
use crate::sql::unit_of_work::records;

/// [`CallbackInbox`] on SQL. What is applied is written by the order desk, in the transaction of its effect.
#[derive(Debug, Clone)]
pub struct SqlCallbacks {
    db: Database,
}

impl SqlCallbacks {
    /// Works on `db`, which has the schema of this code.
    pub const fn new(db: Database) -> Self {
        Self { db }
    }
}

fn verdict(row: &mut Columns<'_>) -> Result<Option<String>, StorageError> {
    row.take()
}

#[async_trait]
impl CallbackInbox for SqlCallbacks {
    async fn verdict(&self, event_id: &str) -> Result<Option<Option<String>>, StorageError> {
        let mut statement = Query::select();
        statement.column("verdict").from("callback_inbox").and_where(Expr::col("event_id").eq(event_id));
        one(&self.db.reader_named("callback_verdict"), &statement, verdict).await
    }

    async fn set_aside(&self, entry: InboxEntry, verdict: Verdict) -> Result<(), StorageError> {
        let kept = self.db.write("set_callback_aside", move |tx| {
            let entry = entry.clone();
            Box::pin(async move {
                records::callbacks(tx, &[(entry, verdict)]).await?;
                Ok::<_, Failure<StorageError>>(())
            })
        });
        kept.await.map_err(Failure::into_port)
    }
}
