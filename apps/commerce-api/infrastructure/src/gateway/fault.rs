use commerce_api_application::ports::{ChargeError, GatewayError};

/// Why one call brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// Too many calls are under way; this one was not begun.
    Full,
    /// No connection came about: nothing left this machine.
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
            Self::Full => "full",
            Self::NotSent(_) => "not_sent",
            Self::Unknown(_) => "unknown",
            Self::Refused { .. } => "refused",
        }
    }

    /// Whether the same call may have a better end a little later.
    pub(super) const fn may_pass(&self) -> bool {
        matches!(self, Self::NotSent(_) | Self::Unknown(_))
    }

    /// What is told of a charge. Only a 400 says that nothing was recorded: a 404 or 409 may speak of what is there.
    pub(super) fn of_charge(self) -> ChargeError {
        match self {
            Self::Full => ChargeError::NotSent("too many calls to the gateway are under way".to_owned()),
            Self::NotSent(why) => ChargeError::NotSent(why),
            Self::Unknown(why) => ChargeError::Unknown(why),
            Self::Refused { status: 400, text } => ChargeError::Refused(text),
            Self::Refused { status, text } => ChargeError::Unknown(format!("HTTP {status}: {text}")),
        }
    }
}

impl From<Fault> for GatewayError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Full => Self::Unavailable("too many calls to the gateway are under way".to_owned()),
            Fault::NotSent(why) | Fault::Unknown(why) => Self::Unavailable(why),
            Fault::Refused { status, text } => Self::Refused(format!("HTTP {status}: {text}")),
        }
    }
}
