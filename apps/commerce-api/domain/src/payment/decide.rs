use std::sync::Arc;

use super::{Payment, PaymentEvent, PaymentStatus};

/// What the payment dispatcher learned, or is about to do. Cancel and expiry are commands of the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentCommand {
    /// The next attempt is about to be sent.
    Send,
    /// Proven that the attempt never left: a negative conclusion, refused if attempt or fence moved.
    NotSent {
        /// The attempt it speaks of.
        attempt: i64,
        /// The dispatcher's fence when it concluded so.
        fence: i64,
    },
    /// The gateway has it.
    Accepted {
        /// The gateway's transaction key.
        key: Arc<str>,
    },
    /// Sent, no answer.
    OutcomeUnknown {
        /// The attempt it speaks of.
        attempt: i64,
    },
    /// The gateway captured the card part.
    Captured {
        /// The gateway's transaction key.
        key: Arc<str>,
    },
    /// The gateway declined.
    Declined {
        /// The gateway's transaction key.
        key: Arc<str>,
        /// Why, in the gateway's words.
        reason: Arc<str>,
    },
    /// The gateway does not know our reference: a negative conclusion, refused if attempt or fence moved.
    NotRecorded {
        /// The attempt it speaks of.
        attempt: i64,
        /// The dispatcher's fence when it concluded so.
        fence: i64,
        /// What follows from it.
        then: NotRecorded,
    },
    /// The gateway gave the card part back.
    RefundSettled,
    /// The gateway gave a duplicate capture back.
    DuplicateRefunded {
        /// The gateway's transaction key.
        key: Arc<str>,
    },
}

/// What follows when the gateway does not know our reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRecorded {
    /// The gateway honours keys: it may be posted again under the same key, while the order waits.
    SendAgain,
    /// The grace period is over and the reference is void: it failed.
    Failed,
}

impl PaymentCommand {
    /// The name of the move, for messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Send => "SEND",
            Self::NotSent { .. } => "NOT_SENT",
            Self::Accepted { .. } => "ACCEPTED",
            Self::OutcomeUnknown { .. } => "OUTCOME_UNKNOWN",
            Self::Captured { .. } => "CAPTURED",
            Self::Declined { .. } => "DECLINED",
            Self::NotRecorded { .. } => "NOT_RECORDED",
            Self::RefundSettled => "REFUND_SETTLED",
            Self::DuplicateRefunded { .. } => "DUPLICATE_REFUNDED",
        }
    }
}

/// Why a payment does not move.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalMove {
    /// The state does not know this move.
    #[error("a payment in {from} cannot take {command}")]
    State {
        /// Name of the status.
        from: &'static str,
        /// Name of the move.
        command: &'static str,
    },
    /// A negative conclusion about an attempt or fence that has moved on.
    #[error("the conclusion is about attempt {attempt} under fence {fence}, which has moved on")]
    Stale {
        /// The attempt it speaks of.
        attempt: i64,
        /// The fence it speaks of.
        fence: i64,
    },
    /// A fact under a transaction key that is not the one this payment settled with.
    #[error("the payment is {status} under another transaction key")]
    OtherKey {
        /// Name of the status.
        status: &'static str,
    },
}

impl Payment {
    /// The events that `command` leads to; none where it repeats what is known or is older than it.
    ///
    /// `order_waits` says whether the order still waits for the payment, `fence` is the one of the payment's check.
    pub fn decide(
        &self,
        command: &PaymentCommand,
        order_waits: bool,
        fence: Option<i64>,
    ) -> Result<Vec<PaymentEvent>, IllegalMove> {
        match command {
            PaymentCommand::Send => self.decide_send(order_waits),
            PaymentCommand::NotSent { attempt, fence: claimed } => {
                self.check_conclusion(*attempt, *claimed, fence)?;
                self.decide_not_sent(order_waits)
            }
            PaymentCommand::Accepted { key } => self.decide_accepted(key),
            PaymentCommand::OutcomeUnknown { attempt } => self.decide_unknown(*attempt),
            PaymentCommand::Captured { key } => self.decide_captured(key, order_waits),
            PaymentCommand::Declined { key, reason } => self.decide_declined(key, reason),
            PaymentCommand::NotRecorded { attempt, fence: claimed, then } => {
                self.check_conclusion(*attempt, *claimed, fence)?;
                self.decide_not_recorded(*then, order_waits)
            }
            PaymentCommand::RefundSettled => match self.status {
                PaymentStatus::RefundPending => Ok(vec![PaymentEvent::Refunded]),
                PaymentStatus::Refunded => Ok(Vec::new()),
                _ => Err(self.illegal("REFUND_SETTLED")),
            },
            PaymentCommand::DuplicateRefunded { key } => match self.duplicate(key) {
                Some(duplicate) if duplicate.refunded => Ok(Vec::new()),
                Some(_) => Ok(vec![PaymentEvent::DuplicateRefunded { key: key.clone() }]),
                None => Err(self.illegal("DUPLICATE_REFUNDED")),
            },
        }
    }

    const fn illegal(&self, command: &'static str) -> IllegalMove {
        IllegalMove::State { from: self.status.name(), command }
    }

    fn check_conclusion(&self, attempt: i64, claimed: i64, fence: Option<i64>) -> Result<(), IllegalMove> {
        if attempt == self.attempt && fence == Some(claimed) {
            Ok(())
        } else {
            Err(IllegalMove::Stale { attempt, fence: claimed })
        }
    }

    fn has_key(&self, key: &str) -> bool {
        self.gateway_key.as_deref() == Some(key)
    }

    /// Something was sent under our reference at least once, so the gateway may know it.
    const fn was_sent(&self) -> bool {
        self.attempt > 0
    }

    fn decide_send(&self, order_waits: bool) -> Result<Vec<PaymentEvent>, IllegalMove> {
        if self.status == PaymentStatus::Pending && order_waits {
            Ok(vec![PaymentEvent::Sent { attempt: self.attempt + 1 }])
        } else {
            Err(self.illegal("SEND"))
        }
    }

    fn decide_not_sent(&self, order_waits: bool) -> Result<Vec<PaymentEvent>, IllegalMove> {
        match self.status {
            PaymentStatus::Requesting if order_waits => Ok(vec![PaymentEvent::NotSent]),
            // The order closed in between: there is nothing left to send.
            PaymentStatus::Requesting => Ok(vec![PaymentEvent::NotSent, PaymentEvent::Voided]),
            PaymentStatus::Pending if self.was_sent() => Ok(Vec::new()),
            _ => Err(self.illegal("NOT_SENT")),
        }
    }

    fn decide_accepted(&self, key: &Arc<str>) -> Result<Vec<PaymentEvent>, IllegalMove> {
        match self.status {
            PaymentStatus::Requesting | PaymentStatus::Unknown => {
                Ok(vec![PaymentEvent::Accepted { key: key.clone() }])
            }
            PaymentStatus::Pending if self.was_sent() => {
                Ok(vec![PaymentEvent::Accepted { key: key.clone() }])
            }
            PaymentStatus::Processing if self.has_key(key) => Ok(Vec::new()),
            PaymentStatus::Processing => Err(IllegalMove::OtherKey { status: self.status.name() }),
            PaymentStatus::Success
            | PaymentStatus::Failed
            | PaymentStatus::RefundPending
            | PaymentStatus::Refunded
                if self.has_key(key) =>
            {
                Ok(Vec::new())
            }
            _ => Err(self.illegal("ACCEPTED")),
        }
    }

    fn decide_unknown(&self, attempt: i64) -> Result<Vec<PaymentEvent>, IllegalMove> {
        let known_since = attempt < self.attempt
            || matches!(
                self.status,
                PaymentStatus::Processing
                    | PaymentStatus::Unknown
                    | PaymentStatus::Success
                    | PaymentStatus::Failed
                    | PaymentStatus::RefundPending
                    | PaymentStatus::Refunded
            );
        if attempt < 1 || attempt > self.attempt {
            Err(self.illegal("OUTCOME_UNKNOWN"))
        } else if known_since {
            Ok(Vec::new())
        } else if self.status == PaymentStatus::Requesting {
            Ok(vec![PaymentEvent::OutcomeUnknown])
        } else {
            Err(self.illegal("OUTCOME_UNKNOWN"))
        }
    }

    fn decide_captured(&self, key: &Arc<str>, order_waits: bool) -> Result<Vec<PaymentEvent>, IllegalMove> {
        let late = || Ok(vec![PaymentEvent::CapturedLate { key: key.clone() }]);
        match self.status {
            // A positive fact applies even where we had concluded that nothing was sent.
            PaymentStatus::Pending if order_waits && self.was_sent() => {
                Ok(vec![PaymentEvent::Captured { key: key.clone() }])
            }
            PaymentStatus::Pending => Err(self.illegal("CAPTURED")),
            PaymentStatus::Requesting | PaymentStatus::Processing | PaymentStatus::Unknown if order_waits => {
                Ok(vec![PaymentEvent::Captured { key: key.clone() }])
            }
            PaymentStatus::Requesting
            | PaymentStatus::Processing
            | PaymentStatus::Unknown
            | PaymentStatus::Failed
            | PaymentStatus::Voided => late(),
            PaymentStatus::Success | PaymentStatus::RefundPending | PaymentStatus::Refunded => {
                if self.card_part.is_zero() {
                    Err(self.illegal("CAPTURED"))
                } else if self.has_key(key) || self.duplicate(key).is_some() {
                    Ok(Vec::new())
                } else {
                    // Money that nobody owes us: it goes back, whatever became of the payment.
                    Ok(vec![PaymentEvent::DuplicateCaptured { key: key.clone() }])
                }
            }
        }
    }

    fn decide_declined(&self, key: &Arc<str>, reason: &Arc<str>) -> Result<Vec<PaymentEvent>, IllegalMove> {
        let declined = || Ok(vec![PaymentEvent::Declined { key: key.clone(), reason: reason.clone() }]);
        match self.status {
            // The decline of another transaction says nothing about the one that is followed.
            PaymentStatus::Processing if !self.has_key(key) => Ok(Vec::new()),
            PaymentStatus::Requesting | PaymentStatus::Processing | PaymentStatus::Unknown => declined(),
            PaymentStatus::Pending if self.was_sent() => declined(),
            PaymentStatus::Failed => Ok(Vec::new()),
            PaymentStatus::Voided if self.was_sent() => Ok(Vec::new()),
            // The decline of another transaction says nothing about the one that was captured.
            PaymentStatus::Success | PaymentStatus::RefundPending | PaymentStatus::Refunded
                if self.gateway_key.is_some() && !self.has_key(key) =>
            {
                Ok(Vec::new())
            }
            _ => Err(self.illegal("DECLINED")),
        }
    }

    fn decide_not_recorded(
        &self,
        then: NotRecorded,
        order_waits: bool,
    ) -> Result<Vec<PaymentEvent>, IllegalMove> {
        let conclusion = match then {
            NotRecorded::SendAgain if order_waits => PaymentEvent::NotFound,
            // The order closed in between: nothing is sent again, and it is no proof that nothing will be recorded.
            NotRecorded::SendAgain => {
                return match self.status {
                    PaymentStatus::Unknown | PaymentStatus::Requesting => Ok(Vec::new()),
                    _ => Err(self.illegal("NOT_RECORDED")),
                };
            }
            NotRecorded::Failed => PaymentEvent::NeverRecorded,
        };
        match self.status {
            PaymentStatus::Unknown => Ok(vec![conclusion]),
            PaymentStatus::Requesting => Ok(vec![PaymentEvent::OutcomeUnknown, conclusion]),
            _ => Err(self.illegal("NOT_RECORDED")),
        }
    }
}
