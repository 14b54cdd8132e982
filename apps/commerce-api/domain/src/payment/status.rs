use crate::OrderStatus;

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PaymentStatus {
    /// Recorded; nothing was sent to the gateway.
    Pending,
    /// About to be sent, or sent and unanswered because we died: whoever finds it only asks.
    Requesting,
    /// The gateway has it and has not decided.
    Processing,
    /// Sent, and no answer came.
    Unknown,
    /// Captured, or covered by points.
    Success,
    /// Declined, or proven never recorded.
    Failed,
    /// Closed before anything was sent.
    Voided,
    /// Captured, and to be given back.
    RefundPending,
    /// Captured and given back.
    Refunded,
}

impl PaymentStatus {
    /// Every status.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Requesting,
        Self::Processing,
        Self::Unknown,
        Self::Success,
        Self::Failed,
        Self::Voided,
        Self::RefundPending,
        Self::Refunded,
    ];

    /// The stored and published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Requesting => "REQUESTING",
            Self::Processing => "PROCESSING",
            Self::Unknown => "UNKNOWN",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::Voided => "VOIDED",
            Self::RefundPending => "REFUND_PENDING",
            Self::Refunded => "REFUNDED",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether nobody has to visit the payment any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Voided | Self::Refunded)
    }
}

/// How an order is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaymentMethod {
    /// Points cover all of it.
    Points,
    /// A card pays all of it.
    Card,
    /// Points pay a part, a card the rest.
    PointsAndCard,
}

impl PaymentMethod {
    /// The stored and published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Points => "POINTS",
            Self::Card => "CARD",
            Self::PointsAndCard => "POINTS_AND_CARD",
        }
    }

    /// The method of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Points, Self::Card, Self::PointsAndCard].into_iter().find(|method| method.name() == name)
    }
}

/// Card brands that the gateway's protocol knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CardBrand {
    /// Samsung Card.
    Samsung,
    /// KB Kookmin Card.
    Kb,
    /// Hyundai Card.
    Hyundai,
}

impl CardBrand {
    /// The stored and published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Samsung => "SAMSUNG",
            Self::Kb => "KB",
            Self::Hyundai => "HYUNDAI",
        }
    }

    /// The brand of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Samsung, Self::Kb, Self::Hyundai].into_iter().find(|brand| brand.name() == name)
    }
}

/// Whether an order in `order` may have its payment in `payment`: the table that the audit checks.
pub const fn pair_is_allowed(order: OrderStatus, payment: PaymentStatus) -> bool {
    use PaymentStatus as P;
    match order {
        OrderStatus::PaymentPending => {
            matches!(payment, P::Pending | P::Requesting | P::Processing | P::Unknown)
        }
        OrderStatus::Paid => matches!(payment, P::Success),
        OrderStatus::CancelPending => matches!(payment, P::RefundPending),
        OrderStatus::PaymentFailed => matches!(payment, P::Failed | P::RefundPending | P::Refunded),
        // The payment of a closed order goes on being visited until its end is known.
        OrderStatus::Canceled | OrderStatus::Expired => !matches!(payment, P::Pending | P::Success),
    }
}
