use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::{Delta, Metrics};

/// Deltas summed up by product, and by day and product; both sorted by key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Of all days together.
    pub totals: BTreeMap<i64, Metrics>,
    /// By day and product.
    pub daily: BTreeMap<(NaiveDate, i64), Metrics>,
}

impl Tally {
    /// The sum of `deltas`; none where it leaves 64 bits.
    pub fn of<'a>(deltas: impl IntoIterator<Item = &'a Delta>) -> Option<Self> {
        let mut tally = Self::default();
        for delta in deltas {
            let total = tally.totals.entry(delta.product).or_default();
            *total = total.checked_add(delta.metrics)?;
            let of_day = tally.daily.entry((delta.day, delta.product)).or_default();
            *of_day = of_day.checked_add(delta.metrics)?;
        }
        Some(tally)
    }

    /// The days that something was counted on, in order.
    pub fn days(&self) -> Vec<NaiveDate> {
        let mut days: Vec<_> = self.daily.keys().map(|(day, _)| *day).collect();
        days.dedup();
        days
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn delta() -> impl Strategy<Value = Delta> {
        (0_i64..3, 1_i64..4, -5_i64..5, -5_i64..5, -5_i64..5).prop_map(
            |(day, product, views, likes, amount)| {
                let day = NaiveDate::default() + chrono::Days::new(day.unsigned_abs());
                Delta { day, product, metrics: Metrics { views, likes, amount, ..Metrics::ZERO } }
            },
        )
    }

    proptest! {
        #[test]
        fn the_order_of_events_does_not_matter(mut deltas in prop::collection::vec(delta(), 0..30)) {
            let tally = Tally::of(&deltas).unwrap();
            deltas.reverse();
            prop_assert_eq!(Tally::of(&deltas).unwrap(), tally.clone());
            let total: i64 = tally.totals.values().map(|metrics| metrics.views).sum();
            let daily: i64 = tally.daily.values().map(|metrics| metrics.views).sum();
            prop_assert_eq!(total, daily);
            prop_assert!(tally.days().is_sorted());
        }
    }

    #[test]
    fn a_sum_beyond_64_bits_is_told() {
        let most = Metrics { amount: i64::MAX, ..Metrics::ZERO };
        let delta = Delta { day: NaiveDate::default(), product: 1, metrics: most };
        assert!(Tally::of(&[delta]).is_some());
        assert!(Tally::of(&[delta, delta]).is_none());
    }
}
