use crate::{LedgerId, Money, OrderId, Timestamp, UserId};

/// Why points moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LedgerKind {
    /// Bought or granted.
    Charge,
    /// Spent on an order.
    Use,
    /// Given back because the order ended unpaid or was cancelled.
    Refund,
    /// Earned because the order was paid.
    Earn,
    /// Taken back because the paid order was cancelled.
    Revoke,
}

impl LedgerKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Charge, Self::Use, Self::Refund, Self::Earn, Self::Revoke];

    /// The stored and published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Charge => "CHARGE",
            Self::Use => "USE",
            Self::Refund => "REFUND",
            Self::Earn => "EARN",
            Self::Revoke => "REVOKE",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether the balance goes down.
    pub const fn is_debit(self) -> bool {
        matches!(self, Self::Use | Self::Revoke)
    }
}

/// One row of the append-only ledger; (order, kind) is unique, so nothing is given back twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Row id.
    pub id: LedgerId,
    /// Whose points.
    pub user: UserId,
    /// The order that moved them; none for a charge.
    pub order: Option<OrderId>,
    /// Why they moved.
    pub kind: LedgerKind,
    /// How many, without sign.
    pub amount: Money,
    /// Balance after this row.
    pub balance_after: Money,
    /// When.
    pub at: Timestamp,
}

impl LedgerEntry {
    /// The change of the balance, negative for USE and REVOKE.
    pub const fn signed_amount(&self) -> i64 {
        if self.kind.is_debit() { -self.amount.won() } else { self.amount.won() }
    }
}
