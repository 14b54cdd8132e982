use std::sync::Arc;

use super::{CardBrand, PaymentMethod, PaymentStatus};
use crate::{Money, OrderId, PaymentId, Timestamp, UserId};

/// What happened to a payment. The history is append-only; the payment row is the fold of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentEvent {
    /// Recorded together with its order.
    Created,
    /// No card part: the points paid it.
    PointsPaid,
    /// Attempt `attempt` is about to be sent to the gateway.
    Sent {
        /// 1 for the first attempt.
        attempt: i64,
    },
    /// Proven that the attempt never left.
    NotSent,
    /// The gateway has it under `key`.
    Accepted {
        /// The gateway's transaction key.
        key: Arc<str>,
    },
    /// Sent, no answer.
    OutcomeUnknown,
    /// The gateway does not know our reference; it will be sent again under the same key.
    NotFound,
    /// The gateway captured the card part while the order waited for it.
    Captured {
        /// The gateway's transaction key.
        key: Arc<str>,
    },
    /// The gateway captured the card part after the order had closed.
    CapturedLate {
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
    /// The gateway never recorded it and never will.
    NeverRecorded,
    /// Closed before anything was sent.
    Voided,
    /// The gateway captured once more under our reference, beyond the capture that counts: to be given back.
    DuplicateCaptured {
        /// The gateway's transaction key.
        key: Arc<str>,
    },
    /// A duplicate capture was given back.
    DuplicateRefunded {
        /// The gateway's transaction key.
        key: Arc<str>,
    },
    /// To be given back.
    RefundRequested,
    /// Given back.
    Refunded,
}

impl PaymentEvent {
    /// The stored and published name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::PointsPaid => "POINTS_PAID",
            Self::Sent { .. } => "SENT",
            Self::NotSent => "NOT_SENT",
            Self::Accepted { .. } => "ACCEPTED",
            Self::OutcomeUnknown => "OUTCOME_UNKNOWN",
            Self::NotFound => "NOT_FOUND",
            Self::Captured { .. } => "CAPTURED",
            Self::CapturedLate { .. } => "CAPTURED_LATE",
            Self::Declined { .. } => "DECLINED",
            Self::NeverRecorded => "NEVER_RECORDED",
            Self::Voided => "VOIDED",
            Self::DuplicateCaptured { .. } => "DUPLICATE_CAPTURED",
            Self::DuplicateRefunded { .. } => "DUPLICATE_REFUNDED",
            Self::RefundRequested => "REFUND_REQUESTED",
            Self::Refunded => "REFUNDED",
        }
    }

    /// The event of that name, with the stored attempt, key and reason; none where they do not fit.
    pub fn from_parts(name: &str, attempt: i64, key: Option<&str>, reason: Option<&str>) -> Option<Self> {
        let key = || key.map(Arc::from);
        Some(match name {
            "CREATED" => Self::Created,
            "POINTS_PAID" => Self::PointsPaid,
            "SENT" => Self::Sent { attempt },
            "NOT_SENT" => Self::NotSent,
            "ACCEPTED" => Self::Accepted { key: key()? },
            "OUTCOME_UNKNOWN" => Self::OutcomeUnknown,
            "NOT_FOUND" => Self::NotFound,
            "CAPTURED" => Self::Captured { key: key()? },
            "CAPTURED_LATE" => Self::CapturedLate { key: key()? },
            "DECLINED" => Self::Declined { key: key()?, reason: reason.unwrap_or_default().into() },
            "NEVER_RECORDED" => Self::NeverRecorded,
            "VOIDED" => Self::Voided,
            "DUPLICATE_CAPTURED" => Self::DuplicateCaptured { key: key()? },
            "DUPLICATE_REFUNDED" => Self::DuplicateRefunded { key: key()? },
            "REFUND_REQUESTED" => Self::RefundRequested,
            "REFUNDED" => Self::Refunded,
            _ => return None,
        })
    }

    /// The gateway's transaction key, where the event names one.
    pub const fn gateway_key(&self) -> Option<&Arc<str>> {
        match self {
            Self::Accepted { key }
            | Self::Captured { key }
            | Self::CapturedLate { key }
            | Self::Declined { key, .. }
            | Self::DuplicateCaptured { key }
            | Self::DuplicateRefunded { key } => Some(key),
            _ => None,
        }
    }

    /// The gateway's reason, where the event names one.
    pub const fn reason(&self) -> Option<&Arc<str>> {
        if let Self::Declined { reason, .. } = self { Some(reason) } else { None }
    }
}

/// One row of a payment's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentEventRecord {
    /// Which payment.
    pub payment: PaymentId,
    /// 1 for the first event of the payment.
    pub seq: i64,
    /// What happened.
    pub event: PaymentEvent,
    /// Attempts made so far, this event included.
    pub attempt: i64,
    /// Status after it.
    pub status: PaymentStatus,
    /// When.
    pub at: Timestamp,
}

/// A capture under our reference beyond the one that counts; it is given back whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateCapture {
    /// The gateway's transaction key.
    pub key: Arc<str>,
    /// Whether it was given back.
    pub refunded: bool,
}

/// The payment of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Which payment; our reference at the gateway.
    pub id: PaymentId,
    /// Its order.
    pub order: OrderId,
    /// Whose order.
    pub user: UserId,
    /// How it is paid.
    pub method: PaymentMethod,
    /// Paid by points.
    pub points_part: Money,
    /// To be paid by card.
    pub card_part: Money,
    /// Brand and last four digits of the card; never more of it.
    pub card: Option<(CardBrand, Arc<str>)>,
    /// Where it stands.
    pub status: PaymentStatus,
    /// The gateway's key of the transaction that counts.
    pub gateway_key: Option<Arc<str>>,
    /// Captures beyond that one, in the order they became known.
    pub duplicates: Vec<DuplicateCapture>,
    /// Why it was declined.
    pub reason: Option<Arc<str>>,
    /// Attempts sent so far.
    pub attempt: i64,
    /// Events so far.
    pub event_seq: i64,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A history that no sequence of decisions could have written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {seq} {event} does not follow {from}")]
pub struct PaymentFoldError {
    /// Number of the event.
    pub seq: i64,
    /// Name of the event.
    pub event: &'static str,
    /// Name of the status before it.
    pub from: &'static str,
}

impl Payment {
    /// The status after `event` in `from`; none where the event cannot happen there.
    const fn next_status(from: Option<PaymentStatus>, event: &PaymentEvent) -> Option<PaymentStatus> {
        use PaymentEvent as E;
        use PaymentStatus as S;
        Some(match (from, event) {
            (None, E::Created) | (Some(S::Requesting), E::NotSent) | (Some(S::Unknown), E::NotFound) => {
                S::Pending
            }
            (Some(S::Pending), E::Sent { .. }) => S::Requesting,
            (Some(S::Pending), E::PointsPaid)
            | (Some(S::Pending | S::Requesting | S::Processing | S::Unknown), E::Captured { .. }) => {
                S::Success
            }
            (Some(S::Pending | S::Requesting | S::Unknown), E::Accepted { .. }) => S::Processing,
            (Some(S::Requesting), E::OutcomeUnknown) => S::Unknown,
            (Some(S::Pending | S::Requesting | S::Processing | S::Unknown), E::Declined { .. })
            | (Some(S::Unknown), E::NeverRecorded) => S::Failed,
            (Some(S::Pending), E::Voided) => S::Voided,
            (
                Some(S::Requesting | S::Processing | S::Unknown | S::Failed | S::Voided),
                E::CapturedLate { .. },
            )
            | (Some(S::Success), E::RefundRequested) => S::RefundPending,
            (Some(S::RefundPending), E::Refunded) => S::Refunded,
            // A duplicate changes nothing of the payment that counts.
            (
                Some(status @ (S::Success | S::RefundPending | S::Refunded)),
                E::DuplicateCaptured { .. } | E::DuplicateRefunded { .. },
            ) => status,
            _ => return None,
        })
    }

    /// Whether the gateway's transaction `key` is a known duplicate, and if so whether it was given back.
    pub fn duplicate(&self, key: &str) -> Option<&DuplicateCapture> {
        self.duplicates.iter().find(|known| &*known.key == key)
    }

    /// This payment after `event` at `at`.
    pub fn apply(
        &mut self,
        event: PaymentEvent,
        at: Timestamp,
    ) -> Result<PaymentEventRecord, PaymentFoldError> {
        let from = (self.event_seq > 0).then_some(self.status);
        let status = Self::next_status(from, &event).ok_or_else(|| PaymentFoldError {
            seq: self.event_seq + 1,
            event: event.name(),
            from: from.map_or("NEW", PaymentStatus::name),
        })?;
        self.status = status;
        self.event_seq += 1;
        self.updated_at = at;
        if let PaymentEvent::Sent { attempt } = &event {
            self.attempt = *attempt;
        }
        match &event {
            PaymentEvent::DuplicateCaptured { key } => {
                self.duplicates.push(DuplicateCapture { key: key.clone(), refunded: false });
            }
            PaymentEvent::DuplicateRefunded { key } => {
                self.duplicates
                    .iter_mut()
                    .filter(|known| known.key == *key)
                    .for_each(|known| known.refunded = true);
            }
            _ => {
                if let Some(key) = event.gateway_key() {
                    self.gateway_key = Some(key.clone());
                }
            }
        }
        if let Some(reason) = event.reason() {
            self.reason = Some(reason.clone());
        }
        Ok(PaymentEventRecord {
            payment: self.id,
            seq: self.event_seq,
            event,
            attempt: self.attempt,
            status,
            at,
        })
    }

    /// The payment that `events` lead to, starting from the parts of `self` that never change.
    pub fn refold<'a>(
        &self,
        events: impl IntoIterator<Item = &'a PaymentEventRecord>,
    ) -> Result<Self, PaymentFoldError> {
        let mut folded = Self {
            status: PaymentStatus::Pending,
            gateway_key: None,
            duplicates: Vec::new(),
            reason: None,
            attempt: 0,
            event_seq: 0,
            updated_at: self.created_at,
            ..self.clone()
        };
        for record in events {
            folded.apply(record.event.clone(), record.at)?;
        }
        Ok(folded)
    }
}
