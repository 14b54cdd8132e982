use commerce_api_application::ports::{ChargeError, GatewayError};
use commerce_resilience::CallError;

/// Why one call brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// No connection came about, or the call was not begun: nothing left this machine.
    NotSent(String),
    /// Something may have left, and no usable answer came.
    Unknown(String),
    /// The gateway understood, and says no.
    Refused {
        /// HTTP status of its answer.
        status: u16,
        /// Its code and message.
        text: String,
    },
}

impl Fault {
    /// The name in metrics.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::NotSent(_) => "not_sent",
            Self::Unknown(_) => "unknown",
            Self::Refused { .. } => "refused",
        }
    }

    /// What is told of a charge. Only a 400 says that nothing was recorded: a 404 or 409 may speak of what is there.
    pub(super) fn of_charge(self) -> ChargeError {
        match self {
            Self::NotSent(why) => ChargeError::NotSent(why),
            Self::Unknown(why) => ChargeError::Unknown(why),
            Self::Refused { status: 400, text } => ChargeError::Refused(text),
            Self::Refused { status, text } => ChargeError::Unknown(format!("HTTP {status}: {text}")),
        }
    }
}

impl From<CallError<Self>> for Fault {
    fn from(error: CallError<Self>) -> Self {
        match error {
            // Told only where no attempt was sent.
            CallError::NotPermitted(refusal) => Self::NotSent(refusal.to_string()),
            CallError::Inner(fault) => fault,
            CallError::TimedOut(limit) => Self::Unknown(format!("no answer within {limit:?}")),
            // Every answer is accepted, so this does not come.
            CallError::NotAccepted { attempts } => Self::Unknown(format!("{attempts} answers are of no use")),
        }
    }
}

impl From<Fault> for GatewayError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NotSent(why) | Fault::Unknown(why) => Self::Unavailable(why),
            Fault::Refused { status, text } => Self::Refused(format!("HTTP {status}: {text}")),
        }
    }
}
