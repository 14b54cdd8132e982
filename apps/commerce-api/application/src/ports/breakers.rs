use std::time::Duration;

/// A circuit breaker of this node, at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerView {
    /// Its name.
    pub name: String,
    /// Its state: `CLOSED`, `OPEN`, `HALF_OPEN` or `FORCED_OPEN`.
    pub state: &'static str,
    /// Percent of failed calls; none while there are too few for a verdict. While open: what it opened on.
    pub failure_rate: Option<f64>,
    /// Percent of slow calls; as above.
    pub slow_call_rate: Option<f64>,
    /// Percent of failed calls that opens it.
    pub failure_rate_threshold: u8,
    /// Percent of slow calls that opens it.
    pub slow_call_rate_threshold: u8,
    /// Calls in the window.
    pub buffered_calls: u32,
    /// Of those, failed.
    pub failed_calls: u32,
    /// Of those, slow.
    pub slow_calls: u32,
    /// Calls refused since the start.
    pub not_permitted_calls: u64,
    /// How long it still refuses everything; none where time alone does not end it.
    pub open_for: Option<Duration>,
}

/// What an operator does to a circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerSwitch {
    /// It refuses every call until somebody closes or resets it.
    ForceOpen,
    /// It lets calls through again; one that is closed stays as it is.
    Close,
    /// It is closed and forgets what it counted, from whatever state.
    Reset,
}

impl BreakerSwitch {
    /// The published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ForceOpen => "FORCE_OPEN",
            Self::Close => "CLOSE",
            Self::Reset => "RESET",
        }
    }
}

/// The circuit breakers of this node. Their state is nobody else's, and a restart forgets it.
pub trait CircuitBreakers: Send + Sync + 'static {
    /// All of them, by name.
    fn all(&self) -> Vec<BreakerView>;
    /// Switches the one of this name and shows it; none where there is none.
    fn switch(&self, name: &str, to: BreakerSwitch) -> Option<BreakerView>;
}
