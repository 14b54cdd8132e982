use chrono::NaiveDate;
use commerce_contracts::gateway::{Transaction, TransactionStatus, TransactionSummary};
use serde::{Deserialize, Serialize};

/// Reason of what was captured.
pub(crate) const APPROVED: &str = "approved";
/// Reason of a card that is over its limit.
pub(crate) const LIMIT_EXCEEDED: &str = "limit exceeded";
/// Reason of a card that is none.
pub(crate) const INVALID_CARD: &str = "invalid card";

/// A span of milliseconds, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// At least.
    pub min: u64,
    /// At most.
    pub max: u64,
}

/// How a payment ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Approved,
    Declined(String),
}

impl Outcome {
    pub(crate) fn status(&self) -> TransactionStatus {
        match self {
            Self::Approved => TransactionStatus::Success,
            Self::Declined(_) => TransactionStatus::Failed,
        }
    }

    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Approved => APPROVED,
            Self::Declined(reason) => reason,
        }
    }
}

/// How a payment by that card ends: by its last digits where they count, else by `chance`.
pub(crate) fn decide(card_no: &str, endings_count: bool, chance: impl FnOnce() -> Option<String>) -> Outcome {
    let by_ending = match card_no.get(card_no.len().saturating_sub(4)..) {
        Some("0002") if endings_count => Some(LIMIT_EXCEEDED.to_owned()),
        Some("0005") if endings_count => Some(INVALID_CARD.to_owned()),
        _ => None,
    };
    by_ending.or_else(chance).map_or(Outcome::Approved, Outcome::Declined)
}

/// A transaction with what only the gateway knows of it.
#[derive(Clone)]
pub(crate) struct Recorded {
    pub transaction: Transaction,
    pub callback_url: String,
    /// Won given back so far.
    pub refunded: i64,
    /// When it was recorded, in microseconds since the epoch.
    pub created_at: i64,
    /// When it is to be decided.
    pub due_at: i64,
    /// When it was.
    pub decided_at: Option<i64>,
}

impl Recorded {
    pub(crate) fn summary(&self) -> TransactionSummary {
        TransactionSummary {
            transaction_key: self.transaction.transaction_key.clone(),
            status: self.transaction.status,
            reason: self.transaction.reason.clone(),
        }
    }
}

/// The name of a status in the protocol.
pub(crate) const fn status_name(status: TransactionStatus) -> &'static str {
    match status {
        TransactionStatus::Pending => "PENDING",
        TransactionStatus::Success => "SUCCESS",
        TransactionStatus::Failed => "FAILED",
    }
}

/// `yyyyMMdd:TR:xxxxxx`, of 24 random bits.
pub(crate) fn transaction_key(day: NaiveDate, bits: u32) -> String {
    format!("{}:TR:{:06x}", day.format("%Y%m%d"), bits >> 8)
}

/// The card with all but its last four digits hidden.
pub(crate) fn masked(card_no: &str) -> String {
    let last = card_no.get(card_no.len().saturating_sub(4)..).unwrap_or_default();
    format!("****-****-****-{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_day_and_six_hex_digits() {
        let day = NaiveDate::from_ymd_opt(2026, 3, 2).unwrap();
        assert_eq!(transaction_key(day, u32::MAX), "20260302:TR:ffffff");
        assert_eq!(transaction_key(day, 0xabc_d00), "20260302:TR:00abcd");
    }

    #[test]
    fn the_last_digits_decide_where_they_count() {
        let declined = |reason: &str| Outcome::Declined(reason.to_owned());
        assert_eq!(decide("1111-2222-3333-0002", true, || None), declined(LIMIT_EXCEEDED));
        assert_eq!(decide("1111-2222-3333-0005", true, || None), declined(INVALID_CARD));
        assert_eq!(decide("1111-2222-3333-4444", true, || None), Outcome::Approved);
        assert_eq!(decide("1111-2222-3333-0002", false, || None), Outcome::Approved);
        assert_eq!(decide("1111-2222-3333-4444", true, || Some("no".to_owned())), declined("no"));
    }

    #[test]
    fn a_masked_card_shows_its_last_digits_only() {
        assert_eq!(masked("1111-2222-3333-4444"), "****-****-****-4444");
        assert_eq!(masked("4"), "****-****-****-4");
    }
}
