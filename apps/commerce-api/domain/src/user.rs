use crate::{Money, UserId};

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Buys.
    Customer,
    /// Runs the shop.
    Admin,
}

impl Role {
    /// The stored and published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customer => "CUSTOMER",
            Self::Admin => "ADMIN",
        }
    }

    /// The role of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Customer, Self::Admin].into_iter().find(|role| role.name() == name)
    }
}

/// A user's account as the order desk sees it under its lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Whose account.
    pub id: UserId,
    /// Points that can be spent; equals the sum of the ledger.
    pub balance: Money,
    /// Sum of charges since the business day began; loaded only for batches that charge.
    pub charged_today: Money,
}
