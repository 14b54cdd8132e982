//! A job that doubles numbers into a table, and storage that fails when it is told to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use commerce_batch::{
    Ask, BatchError, BatchOptions, Checkpoint, ChunkStep, Counters, Ended, Hold, Job, JobHistory as _,
    JobStore, Run, Runner, Span, SqlJobs, Status, StepState, StepView, Work, schema,
};
use commerce_database::{
    Column, Database, DatabaseError, Dialect, ErrorClass, Insert, SqliteOptions, Step, Template,
    WriteTransaction, ddl,
};
use commerce_runtime::ManualClock;
use sea_orm::{ConnectionTrait as _, DbErr};
use tempfile::TempDir;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

pub const NOW_US: i64 = 1_800_000_000_000_000;

fn doubled(dialect: Dialect) -> String {
    let mut table = ddl::table("doubled");
    // Whoever writes a number twice is refused.
    table.col(ddl::int("id").primary_key().take()).col(ddl::count("value"));
    ddl::create(dialect, &mut table)
}

const STEPS: &[Step] = &[
    Step { id: 1, name: "job_instance", statement: schema::job_instance },
    Step { id: 2, name: "job_instance_key", statement: schema::job_instance_key },
    Step { id: 3, name: "job_execution", statement: schema::job_execution },
    Step { id: 4, name: "job_execution_instance", statement: schema::job_execution_instance },
    Step { id: 5, name: "step_execution", statement: schema::step_execution },
    Step { id: 6, name: "step_skip", statement: schema::step_skip },
    Step { id: 7, name: "doubled", statement: doubled },
];

pub struct Bench {
    pub db: Database,
    pub jobs: SqlJobs,
    pub clock: Arc<ManualClock>,
    _directory: TempDir,
}

impl Bench {
    pub async fn open() -> Self {
        let directory = TempDir::new().unwrap();
        let file =
            SqliteOptions { durable: false, ..SqliteOptions::new(directory.path().join("jobs.sqlite")) };
        let db = Database::open_sqlite(file).await.unwrap();
        commerce_database::migrate(&db, STEPS, 0).await.unwrap();
        let clock = Arc::new(ManualClock::new(NOW_US));
        Self { jobs: SqlJobs::new(db.clone()), db, clock, _directory: directory }
    }

    pub fn runner(&self, store: Arc<dyn JobStore>) -> Runner {
        let options = BatchOptions { chunk: 4, skip_limit: 2, start_limit: 5, ..BatchOptions::default() };
        let stop = watch::channel(false).1;
        let owner = Uuid::from_u128(1);
        Runner { store, clock: self.clock.clone(), options, owner, stop, observer: Arc::new(|_| {}) }
    }

    pub async fn run(&self, job: &dyn Job) -> Result<Ended, BatchError> {
        self.runner(Arc::new(self.jobs.clone())).run(job, false, false).await
    }

    /// Later than any lease.
    pub fn lease_runs_out(&self) {
        self.clock.advance(Duration::from_secs(31));
    }

    /// Number and double of what is in the table.
    pub async fn doubled(&self) -> Vec<(i64, i64)> {
        let rows = Template::new("SELECT id, value FROM doubled ORDER BY id").statement(Dialect::Sqlite, []);
        let rows = self.db.reader().query_all_raw(rows).await.unwrap();
        rows.iter().map(|row| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap())).collect()
    }

    pub async fn show(&self, execution: i64) -> (Status, Vec<StepView>) {
        let found = self.jobs.execution(execution, self.clock_now()).await.unwrap().unwrap();
        (found.0.status, found.1)
    }

    /// Status of every execution, first to last.
    pub async fn statuses(&self) -> Vec<Status> {
        let found = self.jobs.executions(None, 100, self.clock_now()).await.unwrap();
        found.iter().rev().map(|execution| execution.status).collect()
    }

    fn clock_now(&self) -> i64 {
        commerce_runtime::Clock::now_us(&*self.clock)
    }
}

/// What happens to a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Filtered,
    /// The processor refuses it.
    Unprocessable,
    /// The table refuses it.
    Refused,
}

/// Doubles numbers by chunks, then says so in a step of its own.
#[derive(Clone)]
pub struct Doubling {
    pub parameters: &'static str,
    pub input: &'static str,
    pub numbers: Arc<Mutex<Vec<i64>>>,
    pub fates: BTreeMap<i64, Fate>,
    pub skippable: bool,
    /// Runs when a number is processed.
    pub on_process: Arc<dyn Fn(i64) + Send + Sync>,
    /// Reading takes a permit.
    pub pause: Option<Arc<Semaphore>>,
    /// Fails its last step as often.
    pub failures: Arc<AtomicI64>,
}

impl Doubling {
    pub fn of(numbers: impl IntoIterator<Item = i64>) -> Self {
        Self {
            parameters: "one",
            input: "1",
            numbers: Arc::new(Mutex::new(numbers.into_iter().collect())),
            fates: BTreeMap::new(),
            skippable: true,
            on_process: Arc::new(|_| {}),
            pause: None,
            failures: Arc::default(),
        }
    }
}

#[async_trait]
impl Job for Doubling {
    fn name(&self) -> &'static str {
        "doubling"
    }

    fn parameters(&self) -> String {
        self.parameters.to_owned()
    }

    fn input(&self) -> String {
        self.input.to_owned()
    }

    async fn run(&self, run: &Run) -> Result<(), BatchError> {
        run.chunks(self).await?;
        if self.failures.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Err(BatchError::Data("not this time"));
        }
        run.once("tell", Arc::new(|_| Box::pin(async { Ok(()) }))).await
    }
}

const INSERT: Insert = Insert { table: "doubled", columns: &[Column::int("id"), Column::int("value")] };

#[async_trait]
impl ChunkStep for Doubling {
    type Item = i64;
    type Output = (i64, i64);

    fn name(&self) -> &'static str {
        "double"
    }

    fn key(&self, number: &i64) -> i64 {
        *number
    }

    async fn read(&self, after: Option<i64>, max: u32) -> Result<Vec<i64>, DatabaseError> {
        if let Some(pause) = &self.pause {
            pause.acquire().await.unwrap().forget();
        }
        let mut numbers = self.numbers.lock().unwrap().clone();
        numbers.sort_unstable();
        let after = after.unwrap_or(i64::MIN);
        Ok(numbers.into_iter().filter(|number| *number > after).take(max as usize).collect())
    }

    fn process(&self, number: &i64) -> Result<Option<(i64, i64)>, &'static str> {
        (self.on_process)(*number);
        match self.fates.get(number) {
            Some(Fate::Unprocessable) => Err("UNPROCESSABLE"),
            Some(Fate::Filtered) => Ok(None),
            Some(Fate::Refused) => Ok(Some((*number, -1))),
            None => Ok(Some((*number, 2 * number))),
        }
    }

    fn write(&self, _span: Span, outputs: Vec<(i64, i64)>) -> Work {
        Arc::new(move |tx: &WriteTransaction| {
            let outputs = outputs.clone();
            Box::pin(async move {
                let mut rows = INSERT.rows();
                for (number, double) in outputs {
                    rows.push([number.into(), double.into()]);
                }
                tx.execute_raw(INSERT.statement(tx.dialect(), &rows)).await?;
                Ok(())
            })
        })
    }

    fn skips(&self, error: &DatabaseError) -> Option<&'static str> {
        (self.skippable && error.class() == ErrorClass::CheckViolation).then_some("REFUSED")
    }
}

/// Where a process dies, or what it meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    DiesBeforeWrite,
    DiesBeforeCommit,
    DiesAfterCommit,
    Deadlock,
    /// The answer to the commit is lost; true: after it was done.
    Lost(bool),
    /// The same, and storage is away from then on.
    LostForGood,
}

/// Storage that fails at one commit, and from then on does nothing where the process is dead.
pub struct Faulty {
    pub inner: SqlJobs,
    pub fault: Fault,
    /// Commits before the one that fails.
    pub countdown: AtomicI64,
    pub dead: AtomicBool,
}

impl Faulty {
    pub fn new(inner: &SqlJobs, fault: Fault, after: i64) -> Arc<Self> {
        let (countdown, dead) = (AtomicI64::new(after), AtomicBool::new(false));
        Arc::new(Self { inner: inner.clone(), fault, countdown, dead })
    }

    fn alive(&self) -> Result<(), BatchError> {
        if self.dead.load(Ordering::SeqCst) { Err(failure(ErrorClass::Other)) } else { Ok(()) }
    }

    fn die(&self) -> BatchError {
        self.dead.store(true, Ordering::SeqCst);
        failure(ErrorClass::Other)
    }
}

fn database(class: ErrorClass) -> DatabaseError {
    DatabaseError::Driver { class, source: DbErr::Custom("as the test wants it".into()) }
}

fn failure(class: ErrorClass) -> BatchError {
    BatchError::Database(database(class))
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
        // Also what a dead one is asked for counts.
        let left = self.countdown.fetch_sub(1, Ordering::SeqCst);
        self.alive()?;
        if left != 0 {
            return self.inner.commit(hold, checkpoint, work).await;
        }
        match self.fault {
            Fault::DiesBeforeWrite => Err(self.die()),
            Fault::DiesBeforeCommit => {
                let then_fails: Work = Arc::new(move |tx| {
                    let work = work.clone();
                    Box::pin(async move {
                        work(tx).await?;
                        Err(database(ErrorClass::Other))
                    })
                });
                self.inner.commit(hold, checkpoint, then_fails).await.unwrap_err();
                Err(self.die())
            }
            Fault::DiesAfterCommit => {
                self.inner.commit(hold, checkpoint, work).await?;
                Err(self.die())
            }
            Fault::Deadlock => Err(failure(ErrorClass::Deadlock)),
            Fault::Lost(done) => {
                if done {
                    self.inner.commit(hold, checkpoint, work).await?;
                }
                Err(failure(ErrorClass::OutcomeUnknown))
            }
            Fault::LostForGood => {
                self.inner.commit(hold, checkpoint, work).await?;
                self.dead.store(true, Ordering::SeqCst);
                Err(failure(ErrorClass::OutcomeUnknown))
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
        // Of one that lost its storage for good nothing but its last word gets through.
        if self.fault != Fault::LostForGood {
            self.alive()?;
        }
        self.inner.end(hold, status, message, now_us).await
    }
}

/// Counters of the step that doubles.
pub fn counters(steps: &[StepView]) -> Counters {
    steps.iter().find(|step| step.step == "double").unwrap().counters
}

pub fn expected(numbers: impl IntoIterator<Item = i64>) -> Vec<(i64, i64)> {
    numbers.into_iter().map(|number| (number, 2 * number)).collect()
}
