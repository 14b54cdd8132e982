use std::sync::Arc;

use crate::{Money, MovementId, ProductId, Timestamp};

/// How many pieces of a product a line buys: 1 to [`Quantity::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(i64);

/// Why a number is not a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a quantity is between 1 and {max}", max = Quantity::MAX)]
pub struct QuantityError;

impl Quantity {
    /// The most pieces of one product in one order.
    pub const MAX: i64 = 1_000_000;

    /// `pieces` pieces.
    pub const fn new(pieces: i64) -> Result<Self, QuantityError> {
        if pieces >= 1 && pieces <= Self::MAX { Ok(Self(pieces)) } else { Err(QuantityError) }
    }

    /// Pieces.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Both together; merged lines of one product.
    pub const fn checked_add(self, other: Self) -> Result<Self, QuantityError> {
        Self::new(self.0 + other.0)
    }
}

/// Whether a product can be bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProductStatus {
    /// Shown and sold.
    OnSale,
    /// Shown, not sold.
    Stopped,
}

impl ProductStatus {
    /// The stored and published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OnSale => "ON_SALE",
            Self::Stopped => "STOPPED",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::OnSale, Self::Stopped].into_iter().find(|status| status.name() == name)
    }
}

/// A product as the order desk sees it under its lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Which product.
    pub id: ProductId,
    /// Name now; copied to the lines of new orders.
    pub name: Arc<str>,
    /// Price now; copied to the lines of new orders.
    pub price: Money,
    /// Pieces that can be sold, never below 0.
    pub stock: i64,
    /// Whether it is sold.
    pub status: ProductStatus,
    /// The most pieces that one customer may hold in live orders; none: any number.
    pub purchase_limit: Option<Quantity>,
    /// Number of events of this product so far.
    pub event_seq: i64,
}

impl Product {
    /// Most pieces a product can have; sums of movements stay far from overflow.
    pub const STOCK_MAX: i64 = 1_000_000_000_000;

    /// Takes `quantity` pieces; gives back what is there where it is not enough.
    pub const fn take(&mut self, quantity: Quantity) -> Result<(), i64> {
        if self.stock < quantity.get() {
            return Err(self.stock);
        }
        self.stock -= quantity.get();
        Ok(())
    }

    /// Puts `quantity` pieces back.
    pub const fn give_back(&mut self, quantity: Quantity) {
        self.stock += quantity.get();
    }
}

/// Why stock moved by hand; sales are order lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MovementKind {
    /// Goods came in; the initial stock is one.
    Receipt,
    /// Counted, broken, lost or found.
    Adjustment,
}

impl MovementKind {
    /// The stored and published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receipt => "RECEIPT",
            Self::Adjustment => "ADJUSTMENT",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Receipt, Self::Adjustment].into_iter().find(|kind| kind.name() == name)
    }
}

/// One receipt or adjustment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockMovement {
    /// Row id.
    pub id: MovementId,
    /// Which product.
    pub product: ProductId,
    /// Why.
    pub kind: MovementKind,
    /// Pieces, negative for a loss; a receipt is positive.
    pub quantity: i64,
    /// Stock after it.
    pub stock_after: i64,
    /// What the operator wrote.
    pub reason: Option<Arc<str>>,
    /// When.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn product(stock: i64) -> Product {
        Product {
            id: ProductId(1),
            name: "tea".into(),
            price: Money::ZERO,
            stock,
            status: ProductStatus::OnSale,
            purchase_limit: None,
            event_seq: 0,
        }
    }

    #[test]
    fn a_quantity_has_limits() {
        assert_eq!(Quantity::new(0), Err(QuantityError));
        assert_eq!(Quantity::new(-1), Err(QuantityError));
        assert_eq!(Quantity::new(i64::MAX), Err(QuantityError));
        assert!(Quantity::new(Quantity::MAX).is_ok());
    }

    proptest! {
        #[test]
        fn stock_never_falls_below_zero(stock in 0i64..1_000, takes in prop::collection::vec(1i64..50, 0..100)) {
            let mut product = product(stock);
            let mut taken = 0;
            for pieces in takes {
                let quantity = Quantity::new(pieces).unwrap();
                match product.take(quantity) {
                    Ok(()) => taken += pieces,
                    Err(left) => prop_assert!(left < pieces && left == product.stock),
                }
                prop_assert!(product.stock >= 0);
                prop_assert_eq!(product.stock + taken, stock);
            }
        }
    }
}
