use async_trait::async_trait;
use commerce_api_application::ports::{AuditEntry, AuditTrail, StorageError};
use commerce_database::Database;

use super::query::Failure;
use crate::sql::unit_of_work::records;

/// [`AuditTrail`] on SQL.
#[derive(Debug, Clone)]
pub struct SqlAuditTrail {
    db: Database,
}

impl SqlAuditTrail {
    /// Works on `db`, which has the schema of this code.
    pub const fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl AuditTrail for SqlAuditTrail {
    async fn record(&self, entry: AuditEntry) -> Result<(), StorageError> {
        let written = self.db.write("audit_trail", move |tx| {
            let entry = entry.clone();
            Box::pin(async move { Ok::<_, Failure<StorageError>>(records::audit(tx, &[entry]).await?) })
        });
        written.await.map_err(Failure::into_port)
    }
}
