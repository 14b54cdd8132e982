use std::sync::Arc;

use crate::{CouponId, IssuedCouponId, Money, OrderId, Timestamp, UserId};

/// What a coupon takes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discount {
    /// A fixed amount.
    Amount(Money),
    /// A share of the total, rounded down to a won.
    Rate {
        /// Hundredths of a percent, 1 to 10,000.
        basis_points: u32,
        /// Never more than this.
        cap: Option<Money>,
    },
}

/// What a coupon grants and to whom; never changed after it was made, so it is read without a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CouponPolicy {
    /// Which coupon.
    pub id: CouponId,
    /// What customers see.
    pub name: Arc<str>,
    /// What it takes off.
    pub discount: Discount,
    /// Smallest total of an order that may use it.
    pub minimum_total: Money,
    /// First moment it can be issued or used.
    pub valid_from: Timestamp,
    /// First moment it cannot be issued or used any more.
    pub valid_until: Timestamp,
    /// How many can be issued; none: as many as asked for.
    pub issue_limit: Option<i64>,
}

/// Why a coupon does not apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CouponError {
    /// Before or after its validity.
    #[error("the coupon is not valid now")]
    NotValidNow,
    /// The order's total is below the coupon's minimum.
    #[error("the order must total at least {0} won")]
    BelowMinimum(Money),
}

impl CouponPolicy {
    /// Whether it can be issued or used at `now`.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.valid_from <= now && now < self.valid_until
    }

    /// What it takes off an order of `total`: never more than the total.
    pub fn discount_for(&self, total: Money, now: Timestamp) -> Result<Money, CouponError> {
        if !self.is_valid_at(now) {
            return Err(CouponError::NotValidNow);
        }
        if total < self.minimum_total {
            return Err(CouponError::BelowMinimum(self.minimum_total));
        }
        let discount = match self.discount {
            Discount::Amount(amount) => amount,
            Discount::Rate { basis_points, cap } => {
                let share = total.share(basis_points);
                cap.map_or(share, |cap| share.min(cap))
            }
        };
        Ok(discount.min(total))
    }
}

/// A coupon and how many of it were issued, as seen under its lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coupon {
    /// What it grants.
    pub policy: CouponPolicy,
    /// How many customers have it.
    pub issued_count: i64,
}

/// Whether an issued coupon can still be used. EXPIRED is derived from the validity when it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IssuedCouponStatus {
    /// Not used by a live order.
    Usable,
    /// Used by a live order.
    Used,
}

impl IssuedCouponStatus {
    /// The stored and published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usable => "USABLE",
            Self::Used => "USED",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Usable, Self::Used].into_iter().find(|status| status.name() == name)
    }
}

/// A coupon in a customer's hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCoupon {
    /// Row id.
    pub id: IssuedCouponId,
    /// Which coupon.
    pub coupon: CouponId,
    /// Whose.
    pub user: UserId,
    /// Whether a live order uses it.
    pub status: IssuedCouponStatus,
    /// The order that uses it, while USED.
    pub order: Option<OrderId>,
    /// Number of events of this issued coupon so far.
    pub event_seq: i64,
    /// When it was issued.
    pub issued_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn won(won: i64) -> Money {
        Money::new(won).unwrap()
    }

    fn policy(discount: Discount, minimum: i64) -> CouponPolicy {
        CouponPolicy {
            id: CouponId(1),
            name: "welcome".into(),
            discount,
            minimum_total: won(minimum),
            valid_from: Timestamp::from_micros(10),
            valid_until: Timestamp::from_micros(20),
            issue_limit: None,
        }
    }

    const NOW: Timestamp = Timestamp::from_micros(15);

    #[test]
    fn validity_is_half_open() {
        let policy = policy(Discount::Amount(won(5)), 0);
        let at = |micros| policy.discount_for(won(100), Timestamp::from_micros(micros));
        assert_eq!(at(9), Err(CouponError::NotValidNow));
        assert_eq!(at(10), Ok(won(5)));
        assert_eq!(at(19), Ok(won(5)));
        assert_eq!(at(20), Err(CouponError::NotValidNow));
    }

    #[test]
    fn the_minimum_is_of_the_total_before_the_discount() {
        let policy = policy(Discount::Amount(won(60)), 100);
        assert_eq!(policy.discount_for(won(99), NOW), Err(CouponError::BelowMinimum(won(100))));
        assert_eq!(policy.discount_for(won(100), NOW), Ok(won(60)));
    }

    #[test]
    fn a_rate_is_rounded_down_and_capped() {
        let free = policy(Discount::Rate { basis_points: 1_500, cap: None }, 0);
        assert_eq!(free.discount_for(won(999), NOW), Ok(won(149)));
        let capped = policy(Discount::Rate { basis_points: 1_500, cap: Some(won(100)) }, 0);
        assert_eq!(capped.discount_for(won(999), NOW), Ok(won(100)));
    }

    proptest! {
        #[test]
        fn a_discount_is_never_above_the_total(
            total in 0i64..=Money::MAX.won(),
            amount in 0i64..=Money::MAX.won(),
            basis_points in 1u32..=10_000,
            cap in prop::option::of(0i64..=Money::MAX.won()),
        ) {
            for discount in [Discount::Amount(won(amount)), Discount::Rate { basis_points, cap: cap.map(won) }] {
                let off = policy(discount, 0).discount_for(won(total), NOW).unwrap();
                prop_assert!(off <= won(total));
                if let (Discount::Rate { .. }, Some(cap)) = (discount, cap) {
                    prop_assert!(off.won() <= cap);
                }
            }
        }
    }
}
