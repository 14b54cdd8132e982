/// What is counted of a product. A day's values may be negative: what is taken back counts on a day of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Metrics {
    /// Times it was looked at.
    pub views: i64,
    /// Likes added less likes removed.
    pub likes: i64,
    /// Paid orders that contain it.
    pub orders: i64,
    /// Pieces in those orders.
    pub quantity: i64,
    /// Pieces times their prices, before discounts, won.
    pub amount: i64,
}

impl Metrics {
    /// Nothing.
    pub const ZERO: Self = Self { views: 0, likes: 0, orders: 0, quantity: 0, amount: 0 };

    /// One view.
    pub const VIEW: Self = Self { views: 1, ..Self::ZERO };

    /// One like.
    pub const LIKE: Self = Self { likes: 1, ..Self::ZERO };

    /// Both together; none where a sum leaves 64 bits.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self {
            views: self.views.checked_add(other.views)?,
            likes: self.likes.checked_add(other.likes)?,
            orders: self.orders.checked_add(other.orders)?,
            quantity: self.quantity.checked_add(other.quantity)?,
            amount: self.amount.checked_add(other.amount)?,
        })
    }
}
