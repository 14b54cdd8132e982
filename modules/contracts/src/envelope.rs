use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Whose sequence an event counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AggregateType {
    /// An order and its payment.
    Order,
    /// A product.
    Product,
    /// Views of a product; not counted in a sequence.
    ProductView,
    /// A product and a user, as `productId:userId`.
    ProductLike,
    /// An issued coupon.
    Coupon,
    /// What a user did; not counted in a sequence.
    Activity,
}

impl AggregateType {
    /// The name in the envelope.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Order => "ORDER",
            Self::Product => "PRODUCT",
            Self::ProductView => "PRODUCT_VIEW",
            Self::ProductLike => "PRODUCT_LIKE",
            Self::Coupon => "COUPON",
            Self::Activity => "ACTIVITY",
        }
    }
}

/// The JSON value of every event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<P> {
    /// Consumers dedupe by it.
    pub event_id: Uuid,
    /// Name of the payload's type.
    pub event_type: String,
    /// Version of the payload's type.
    pub version: u32,
    /// Whose sequence it counts in.
    pub aggregate_type: AggregateType,
    /// Which of them.
    pub aggregate_id: String,
    /// 1 for the first event of the aggregate, without a gap; 0 where nothing is counted.
    pub sequence: i64,
    /// When it happened, RFC 3339 in UTC with microseconds.
    pub occurred_at: String,
    /// What happened.
    pub payload: P,
}
