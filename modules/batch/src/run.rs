use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use commerce_runtime::Clock;
use tokio::sync::watch;

use crate::error::BatchError;
use crate::model::{Phase, Shown, SkipRecord};
use crate::runner::{BatchOptions, Observer};
use crate::step::{ChunkStep, Span, Work};
use crate::store::{Checkpoint, Hold, JobStore, StepState};

/// Pause before a chunk is tried again; doubles each time.
const BACKOFF: Duration = Duration::from_millis(20);

/// An execution at work, as a job sees it.
pub struct Run {
    pub(crate) store: Arc<dyn JobStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: BatchOptions,
    pub(crate) hold: Hold,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) stop_requested: AtomicBool,
    pub(crate) observer: Observer,
}

/// How an attempt at a chunk ended.
enum Attempt {
    Committed,
    /// Refused by the writer in a way that may be the fault of one item.
    Refused(&'static str, String),
}

impl Run {
    /// The execution.
    pub const fn execution(&self) -> i64 {
        self.hold.execution
    }

    /// Runs a step by chunks, from where it stands; does nothing where it is done.
    pub async fn chunks<S: ChunkStep>(&self, step: &S) -> Result<(), BatchError> {
        let mut state = self.open(step.name()).await?;
        while !state.completed {
            self.go_on()?;
            let items = self.read(step, state.cursor).await?;
            let last = items.len() < self.options.chunk as usize;
            match self.chunk(step, &state, &items, last).await? {
                Ok(after) => state = after,
                Err(rolled_back) => state = self.one_by_one(step, rolled_back, &items, last).await?,
            }
            (self.observer)(Shown { step: step.name(), counters: state.counters });
        }
        Ok(())
    }

    /// Runs a step of one transaction; does nothing where it is done.
    pub async fn once(&self, step: &'static str, work: Work) -> Result<(), BatchError> {
        let mut state = self.open(step).await?;
        if state.completed {
            return Ok(());
        }
        self.go_on()?;
        let before = state;
        state.completed = true;
        match self.commit(step, &before, &mut state, &[], &work, &|_| None).await? {
            Attempt::Committed => {}
            Attempt::Refused(..) => {
                return Err(BatchError::Data("a step without items has none to leave out"));
            }
        }
        (self.observer)(Shown { step, counters: state.counters });
        Ok(())
    }

    async fn open(&self, step: &'static str) -> Result<StepState, BatchError> {
        self.store.open_step(self.hold, step, self.clock.now_us()).await
    }

    /// The edge of a chunk.
    fn go_on(&self) -> Result<(), BatchError> {
        if *self.stop.borrow() || self.stop_requested.load(Ordering::SeqCst) {
            return Err(BatchError::Stopped);
        }
        Ok(())
    }

    async fn read<S: ChunkStep>(&self, step: &S, after: Option<i64>) -> Result<Vec<S::Item>, BatchError> {
        let mut tries = 0;
        loop {
            let error = match step.read(after, self.options.chunk).await {
                Ok(items) => return Ok(items),
                Err(error) => BatchError::from(error),
            };
            self.pause_or(error, &mut tries).await?;
        }
    }

    /// One chunk; `Err` with the state to go on from where an item of it is refused.
    async fn chunk<S: ChunkStep>(
        &self,
        step: &S,
        state: &StepState,
        items: &[S::Item],
        last: bool,
    ) -> Result<Result<StepState, StepState>, BatchError> {
        let (mut next, mut outputs, mut skips) = (*state, Vec::with_capacity(items.len()), Vec::new());
        for item in items {
            next.counters.read += 1;
            match step.process(item) {
                Ok(Some(output)) => {
                    next.counters.written += 1;
                    outputs.push(output);
                }
                Ok(None) => next.counters.filtered += 1,
                Err(kind) => {
                    next.counters.process_skips += 1;
                    self.may_skip(step.name(), &next, kind)?;
                    skips.push(SkipRecord { key: step.key(item), phase: Phase::Process, kind });
                }
            }
        }
        next.cursor = items.last().map_or(state.cursor, |item| Some(step.key(item)));
        next.completed = last;
        let span = Span { after: state.cursor, through: next.cursor.filter(|_| !last) };
        let work = step.write(span, outputs);
        let skippable = |error: &BatchError| match error {
            BatchError::Database(error) => step.skips(error),
            _ => None,
        };
        match self.commit(step.name(), state, &mut next, &skips, &work, &skippable).await? {
            Attempt::Committed => Ok(Ok(next)),
            Attempt::Refused(kind, detail) if items.len() <= 1 => {
                self.leave_out(step, state, items, last, (kind, detail)).await.map(Ok)
            }
            Attempt::Refused(..) => {
                let mut rolled_back = *state;
                rolled_back.counters.rollbacks = next.counters.rollbacks + 1;
                Ok(Err(rolled_back))
            }
        }
    }

    /// The items of a chunk that was refused, each in a transaction of its own, whose cursor says what is done.
    async fn one_by_one<S: ChunkStep>(
        &self,
        step: &S,
        mut state: StepState,
        items: &[S::Item],
        last: bool,
    ) -> Result<StepState, BatchError> {
        for (index, item) in items.iter().enumerate() {
            self.go_on()?;
            let last = last && index + 1 == items.len();
            // One item is never scanned again.
            let (Ok(after) | Err(after)) = self.chunk(step, &state, std::slice::from_ref(item), last).await?;
            state = after;
        }
        Ok(state)
    }

    async fn leave_out<S: ChunkStep>(
        &self,
        step: &S,
        state: &StepState,
        items: &[S::Item],
        last: bool,
        (kind, detail): (&'static str, String),
    ) -> Result<StepState, BatchError> {
        let Some(item) = items.first() else { return Err(BatchError::Data("an empty chunk was refused")) };
        let mut next = *state;
        next.counters.read += 1;
        next.counters.rollbacks += 1;
        next.counters.write_skips += 1;
        self.may_skip(step.name(), &next, &detail)?;
        let key = step.key(item);
        next.cursor = Some(key);
        next.completed = last;
        let span = Span { after: state.cursor, through: next.cursor.filter(|_| !last) };
        let skips = [SkipRecord { key, phase: Phase::Write, kind }];
        let work = step.write(span, Vec::new());
        match self.commit(step.name(), state, &mut next, &skips, &work, &|_| None).await? {
            Attempt::Committed => Ok(next),
            Attempt::Refused(..) => Err(BatchError::Data("leaving an item out was refused")),
        }
    }

    fn may_skip(&self, step: &'static str, next: &StepState, detail: &str) -> Result<(), BatchError> {
        let limit = self.options.skip_limit;
        if u64::try_from(next.counters.skips()).is_ok_and(|skips| skips <= limit) {
            return Ok(());
        }
        Err(BatchError::SkipLimit { step, limit, detail: detail.to_owned() })
    }

    /// Commits a chunk: again where storage is busy, and by its checkpoint where the answer to a commit is lost.
    async fn commit(
        &self,
        step: &'static str,
        before: &StepState,
        next: &mut StepState,
        skips: &[SkipRecord],
        work: &Work,
        skippable: &(dyn Fn(&BatchError) -> Option<&'static str> + Sync),
    ) -> Result<Attempt, BatchError> {
        let mut tries = 0;
        next.counters.commits = before.counters.commits + 1;
        loop {
            let now_us = self.clock.now_us();
            let until_us = self.options.until(now_us);
            let checkpoint = Checkpoint { step, state: *next, skips: skips.to_vec(), now_us, until_us };
            let error = match self.store.commit(self.hold, checkpoint, work.clone()).await {
                Ok(shall_stop) => {
                    self.stop_requested.fetch_or(shall_stop, Ordering::SeqCst);
                    return Ok(Attempt::Committed);
                }
                Err(error) => error,
            };
            if error.class() == commerce_database::ErrorClass::OutcomeUnknown {
                if self.found_committed(step, next, error).await? {
                    return Ok(Attempt::Committed);
                }
                if tries == self.options.retries {
                    return Err(BatchError::Data("nothing is kept of what is committed"));
                }
                tracing::warn!(step, "the answer to a commit was lost and nothing was kept; tried again");
                tries += 1;
                continue;
            }
            if let Some(kind) = skippable(&error) {
                return Ok(Attempt::Refused(kind, error_chain(&error)));
            }
            self.pause_or(error, &mut tries).await?;
            next.counters.rollbacks += 1;
        }
    }

    /// Finds out by the checkpoint whether a commit without an answer was done.
    async fn found_committed(
        &self,
        step: &'static str,
        next: &StepState,
        lost: BatchError,
    ) -> Result<bool, BatchError> {
        let mut tries = 0;
        loop {
            let error = match self.open(step).await {
                Ok(found) => return Ok(found.counters.commits == next.counters.commits),
                Err(BatchError::Fenced) => return Err(BatchError::Fenced),
                Err(error) => error,
            };
            if self.pause_or(error, &mut tries).await.is_err() {
                return Err(BatchError::Unknown(lost.into()));
            }
        }
    }

    /// Waits before the next try; gives the error back where there is none.
    async fn pause_or(&self, error: BatchError, tries: &mut u32) -> Result<(), BatchError> {
        if !error.may_pass() || *tries == self.options.retries {
            return Err(error);
        }
        tracing::warn!(error = %error_chain(&error), "a chunk was not committed; tried again");
        tokio::time::sleep(BACKOFF * 2_u32.pow(*tries)).await;
        *tries += 1;
        Ok(())
    }
}

/// An error and its sources in one line.
pub(crate) fn error_chain(error: &BatchError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = [text, cause.to_string()].join(": ");
        source = cause.source();
    }
    text
}
