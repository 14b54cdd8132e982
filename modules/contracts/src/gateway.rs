//! The payment gateway's protocol, as the simulator of the reference platform speaks it. Fields and values are facts
//! of that protocol.

use serde::{Deserialize, Serialize};

/// Header that names the merchant.
pub const MERCHANT_HEADER: &str = "X-USER-ID";
/// Header of our extension: equal keys, one transaction.
pub const IDEMPOTENCY_HEADER: &str = "Idempotency-Key";

/// What every answer is wrapped in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// Whether it went well.
    pub meta: Meta,
    /// The answer; null where it did not go well.
    pub data: Option<T>,
}

/// Whether it went well, and why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// `SUCCESS` or `FAIL`.
    pub result: CallResult,
    /// A code for machines; null where it went well.
    pub error_code: Option<String>,
    /// A text for people; null where it went well.
    pub message: Option<String>,
}

/// How a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CallResult {
    /// Well.
    Success,
    /// Not well.
    Fail,
}

/// Card brands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CardType {
    /// Samsung Card.
    Samsung,
    /// KB Kookmin Card.
    Kb,
    /// Hyundai Card.
    Hyundai,
}

/// Where a transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TransactionStatus {
    /// Recorded, not decided.
    Pending,
    /// Captured.
    Success,
    /// Declined.
    Failed,
}

/// Body of `POST /api/v1/payments`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequest {
    /// The merchant's reference, at least 6 characters.
    pub order_id: String,
    /// Brand.
    pub card_type: CardType,
    /// `dddd-dddd-dddd-dddd`.
    pub card_no: String,
    /// Won, above 0.
    pub amount: i64,
    /// Where the outcome is posted to.
    pub callback_url: String,
}

/// The card number is never shown, not even in a debug print.
impl std::fmt::Debug for PaymentRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PaymentRequest")
            .field("order_id", &self.order_id)
            .field("amount", &self.amount)
            .finish_non_exhaustive()
    }
}

/// A transaction, in answers to requests and in lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransactionSummary {
    /// `yyyyMMdd:TR:xxxxxx`.
    pub transaction_key: String,
    /// Where it stands.
    pub status: TransactionStatus,
    /// Why.
    pub reason: Option<String>,
}

/// A transaction, in full: the answer to a query by key, and the body of a callback.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    /// `yyyyMMdd:TR:xxxxxx`.
    pub transaction_key: String,
    /// The merchant's reference.
    pub order_id: String,
    /// Brand.
    pub card_type: CardType,
    /// As it was sent.
    pub card_no: String,
    /// Won.
    pub amount: i64,
    /// Where it stands.
    pub status: TransactionStatus,
    /// Why.
    pub reason: Option<String>,
}

/// The card number is never shown, not even in a debug print.
impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction")
            .field("transaction_key", &self.transaction_key)
            .field("order_id", &self.order_id)
            .field("amount", &self.amount)
            .field("status", &self.status)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// The transactions of one reference, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transactions {
    /// The merchant's reference.
    pub order_id: String,
    /// Newest first.
    pub transactions: Vec<TransactionSummary>,
}

/// Our extension: body of `POST /api/v1/payments/{transactionKey}/cancel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelRequest {
    /// Won to give back; all of it where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// Why.
    pub reason: String,
}

/// Our extension: a refund that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refund {
    /// Of which transaction.
    pub transaction_key: String,
    /// Won given back by it.
    pub amount: i64,
    /// Won given back of the transaction in all.
    pub refunded: i64,
}

/// Our extension: answer of `GET /api/v1/settlements?date=`: what moved on one day of the gateway's zone, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settlements {
    /// The day, `yyyy-MM-dd`.
    pub date: String,
    /// Won captured on it, all pages together.
    pub captured: i64,
    /// Won given back on it, all pages together.
    pub refunded: i64,
    /// One page of it.
    pub entries: Vec<SettlementEntry>,
    /// Where the next page begins, for `after=`; null on the last page.
    pub next: Option<i64>,
}

/// A movement of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettlementEntry {
    /// Which way.
    pub kind: SettlementKind,
    /// Of which transaction.
    pub transaction_key: String,
    /// The merchant's reference.
    pub order_id: String,
    /// Won, above 0.
    pub amount: i64,
    /// When, in microseconds since the epoch.
    pub at: i64,
}

/// Which way money moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SettlementKind {
    /// To the merchant.
    Capture,
    /// Back to the buyer.
    Refund,
}
