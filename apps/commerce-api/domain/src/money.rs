use std::fmt;

/// An amount of whole won: never negative, never above [`Money::MAX`], never a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(i64);

/// Why an amount is not money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Below zero.
    #[error("an amount cannot be negative")]
    Negative,
    /// Above [`Money::MAX`].
    #[error("the amount is too large")]
    TooLarge,
}

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount, 2^53 − 1 won: every JSON reader, `JavaScript` included, holds it exactly.
    pub const MAX: Self = Self(9_007_199_254_740_991);

    /// `won` whole won.
    pub const fn new(won: i64) -> Result<Self, MoneyError> {
        if won < 0 {
            Err(MoneyError::Negative)
        } else if won > Self::MAX.0 {
            Err(MoneyError::TooLarge)
        } else {
            Ok(Self(won))
        }
    }

    /// Whole won.
    pub const fn won(self) -> i64 {
        self.0
    }

    /// Whether this is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum.
    pub const fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        // Both are at most 2^53, so the sum cannot overflow an i64.
        Self::new(self.0 + other.0)
    }

    /// The difference; [`MoneyError::Negative`] where `other` is larger.
    pub const fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        Self::new(self.0 - other.0)
    }

    /// The amount `times` over.
    pub const fn checked_mul(self, times: i64) -> Result<Self, MoneyError> {
        match self.0.checked_mul(times) {
            Some(won) => Self::new(won),
            None if times < 0 => Err(MoneyError::Negative),
            None => Err(MoneyError::TooLarge),
        }
    }

    /// `basis_points` hundredths of a percent of this amount, rounded down to a won.
    #[must_use]
    pub fn share(self, basis_points: u32) -> Self {
        let share = i128::from(self.0) * i128::from(basis_points) / 10_000;
        Self(i64::try_from(share).unwrap_or(i64::MAX).min(Self::MAX.0))
    }

    /// The sum of many amounts.
    pub fn sum(amounts: impl IntoIterator<Item = Self>) -> Result<Self, MoneyError> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_money() -> impl Strategy<Value = Money> {
        (0..=Money::MAX.won()).prop_map(|won| Money::new(won).unwrap())
    }

    #[test]
    fn limits_are_refused_by_name() {
        assert_eq!(Money::new(-1), Err(MoneyError::Negative));
        assert_eq!(Money::new(i64::MIN), Err(MoneyError::Negative));
        assert_eq!(Money::new(Money::MAX.won() + 1), Err(MoneyError::TooLarge));
        assert_eq!(Money::MAX.checked_add(Money(1)), Err(MoneyError::TooLarge));
        assert_eq!(Money::ZERO.checked_sub(Money(1)), Err(MoneyError::Negative));
        assert_eq!(Money::MAX.checked_mul(i64::MAX), Err(MoneyError::TooLarge));
        assert_eq!(Money::MAX.checked_mul(i64::MIN), Err(MoneyError::Negative));
    }

    proptest! {
        #[test]
        fn addition_and_subtraction_undo_each_other(a in any_money(), b in any_money()) {
            match a.checked_add(b) {
                Ok(sum) => {
                    prop_assert_eq!(sum.checked_sub(b), Ok(a));
                    prop_assert_eq!(b.checked_add(a), Ok(sum));
                }
                Err(error) => {
                    prop_assert_eq!(error, MoneyError::TooLarge);
                    prop_assert!(i128::from(a.won()) + i128::from(b.won()) > i128::from(Money::MAX.won()));
                }
            }
        }

        #[test]
        fn multiplication_agrees_with_wide_integers(a in any_money(), times in any::<i64>()) {
            let exact = i128::from(a.won()) * i128::from(times);
            match a.checked_mul(times) {
                Ok(product) => prop_assert_eq!(i128::from(product.won()), exact),
                Err(MoneyError::Negative) => prop_assert!(exact < 0),
                Err(MoneyError::TooLarge) => prop_assert!(exact > i128::from(Money::MAX.won())),
            }
        }

        #[test]
        fn a_share_is_rounded_down_and_never_above_the_whole(a in any_money(), basis_points in 0u32..=10_000) {
            let share = a.share(basis_points);
            prop_assert!(share <= a);
            let scaled = i128::from(a.won()) * i128::from(basis_points);
            prop_assert!(i128::from(share.won()) * 10_000 <= scaled);
            prop_assert!((i128::from(share.won()) + 1) * 10_000 > scaled);
        }
    }
}
