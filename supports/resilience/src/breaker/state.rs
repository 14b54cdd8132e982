use std::fmt;

/// The state of a circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls pass and are counted.
    Closed,
    /// Calls are refused for a while.
    Open,
    /// A few calls pass and decide.
    HalfOpen,
    /// The operator refuses all calls, until the operator says otherwise.
    ForcedOpen,
}

impl BreakerState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Closed, Self::Open, Self::HalfOpen, Self::ForcedOpen];

    /// As Resilience4j's actuator writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Open => "OPEN",
            Self::HalfOpen => "HALF_OPEN",
            Self::ForcedOpen => "FORCED_OPEN",
        }
    }

    /// As a label of metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
        }
    }

    /// Whether a breaker may go from this state to `to`. Probing begins only where calls were refused before.
    pub const fn may_become(self, to: Self) -> bool {
        matches!(
            (self, to),
            (Self::Closed, Self::Open | Self::ForcedOpen)
                | (Self::Open, Self::Closed | Self::HalfOpen | Self::ForcedOpen)
                | (Self::HalfOpen, Self::Closed | Self::Open | Self::ForcedOpen)
                | (Self::ForcedOpen, Self::Closed | Self::Open | Self::HalfOpen)
        )
    }
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A breaker cannot go from one state to the other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("circuit breaker `{breaker}` cannot go from {from} to {to}")]
pub struct IllegalTransition {
    /// Its name.
    pub breaker: String,
    /// Where it is.
    pub from: BreakerState,
    /// Where it was to go.
    pub to: BreakerState,
}
