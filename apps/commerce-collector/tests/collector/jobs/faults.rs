//! Storage that fails, or is changed, at one commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use async_trait::async_trait;
use commerce_batch::{Ask, BatchError, Checkpoint, Hold, JobStore, SqlJobs, Status, StepState, Work};
use commerce_database::{Database, DatabaseError, ErrorClass};
use sea_orm::DbErr;

use crate::support::run;

/// What happens at the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    DiesBeforeWrite,
    DiesBeforeCommit,
    DiesAfterCommit,
    /// Nothing fails; this statement is run before.
    Changes(&'static str),
}

pub struct Faulty {
    inner: SqlJobs,
    database: Database,
    fault: Fault,
    countdown: AtomicI64,
    dead: AtomicBool,
}

impl Faulty {
    pub fn new(database: &Database, fault: Fault, after: i64) -> Arc<Self> {
        let (countdown, dead) = (AtomicI64::new(after), AtomicBool::new(false));
        let inner = SqlJobs::new(database.clone());
        Arc::new(Self { inner, database: database.clone(), fault, countdown, dead })
    }

    pub fn died(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    fn alive(&self) -> Result<(), BatchError> {
        if self.died() { Err(BatchError::Database(gone())) } else { Ok(()) }
    }

    fn die(&self) -> BatchError {
        self.dead.store(true, Ordering::SeqCst);
        BatchError::Database(gone())
    }
}

fn gone() -> DatabaseError {
    DatabaseError::Driver { class: ErrorClass::Other, source: DbErr::Custom("the process is gone".into()) }
}

#[async_trait]
impl JobStore for Faulty {
    async fn begin(&self, ask: Ask) -> Result<Hold, BatchError> {
        self.inner.begin(ask).await
    }

    async fn heartbeat(&self, hold: Hold, until_us: i64) -> Result<bool, BatchError> {
        self.alive()?;
        self.inner.heartbeat(hold, until_us).await
    }

    async fn open_step(&self, hold: Hold, step: &'static str, now_us: i64) -> Result<StepState, BatchError> {
        self.alive()?;
        self.inner.open_step(hold, step, now_us).await
    }

    async fn commit(&self, hold: Hold, checkpoint: Checkpoint, work: Work) -> Result<bool, BatchError> {
        self.alive()?;
        if self.countdown.fetch_sub(1, Ordering::SeqCst) != 0 {
            return self.inner.commit(hold, checkpoint, work).await;
        }
        match self.fault {
            Fault::DiesBeforeWrite => Err(self.die()),
            Fault::DiesBeforeCommit => {
                let then_dies: Work = Arc::new(move |tx| {
                    let work = work.clone();
                    Box::pin(async move {
                        work(tx).await?;
                        Err(gone())
                    })
                });
                self.inner.commit(hold, checkpoint, then_dies).await.unwrap_err();
                Err(self.die())
            }
            Fault::DiesAfterCommit => {
                self.inner.commit(hold, checkpoint, work).await?;
                Err(self.die())
            }
            Fault::Changes(sql) => {
                run(&self.database, sql).await;
                self.inner.commit(hold, checkpoint, work).await
            }
        }
    }

    async fn end(
        &self,
        hold: Hold,
        status: Status,
        message: Option<String>,
        now_us: i64,
    ) -> Result<(), BatchError> {
        self.alive()?;
        self.inner.end(hold, status, message, now_us).await
    }
}
