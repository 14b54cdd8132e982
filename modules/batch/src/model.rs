/// How an execution or a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// At work, or left so by a runner that died.
    Started,
    /// Done.
    Completed,
    /// Stopped at the edge of a chunk when it was asked to; goes on when it is started again.
    Stopped,
    /// Ended by an error; goes on when it is started again.
    Failed,
    /// Ended while it was not known whether its last chunk was committed; the next start finds out by the checkpoint.
    Unknown,
    /// Its runner died, and another has taken over.
    Abandoned,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 6] =
        [Self::Started, Self::Completed, Self::Stopped, Self::Failed, Self::Unknown, Self::Abandoned];

    /// The name in the tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "STARTED",
            Self::Completed => "COMPLETED",
            Self::Stopped => "STOPPED",
            Self::Failed => "FAILED",
            Self::Unknown => "UNKNOWN",
            Self::Abandoned => "ABANDONED",
        }
    }

    /// The status of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// What a step has done so far, restarts included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Items read.
    pub read: i64,
    /// Items written.
    pub written: i64,
    /// Items that needed no writing.
    pub filtered: i64,
    /// Items that could not be processed and were left out.
    pub process_skips: i64,
    /// Items that could not be written and were left out.
    pub write_skips: i64,
    /// Chunks committed.
    pub commits: i64,
    /// Chunks rolled back.
    pub rollbacks: i64,
}

impl Counters {
    /// Items left out.
    pub const fn skips(&self) -> i64 {
        self.process_skips + self.write_skips
    }
}

/// What an item could not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The processor.
    Process,
    /// The writer.
    Write,
}

impl Phase {
    /// The name in the tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => "PROCESS",
            Self::Write => "WRITE",
        }
    }
}

/// An item that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkipRecord {
    /// The item's key.
    pub key: i64,
    /// What it could not pass.
    pub phase: Phase,
    /// A name of a fixed set.
    pub kind: &'static str,
}

/// How far a step is, for those who watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Which step.
    pub step: &'static str,
    /// What it has done.
    pub counters: Counters,
}

/// An execution, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionView {
    /// Its id; ascends.
    pub id: i64,
    /// The job.
    pub job: String,
    /// What the instance is of.
    pub parameters: String,
    /// How it is. A `STARTED` one whose lease has run out belongs to a runner that died.
    pub status: Status,
    /// True where its runner's lease has run out.
    pub lease_over: bool,
    /// The state of the input it works on.
    pub input: String,
    /// How often the instance was given to a runner when this one got it.
    pub fence: i64,
    /// Started, in microseconds since the epoch.
    pub started_at_us: i64,
    /// Ended, in microseconds since the epoch.
    pub ended_at_us: Option<i64>,
    /// Why it ended as it did.
    pub message: Option<String>,
    /// Somebody asked it to stop.
    pub stop_requested: bool,
}

/// A step of an execution, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepView {
    /// Its name.
    pub step: String,
    /// How it is.
    pub status: Status,
    /// Key of the last item that is done with.
    pub cursor: Option<i64>,
    /// What it has done.
    pub counters: Counters,
    /// Items left out: key, phase and kind; the first 100.
    pub skips: Vec<(i64, String, String)>,
}
