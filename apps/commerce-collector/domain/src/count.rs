use std::collections::BTreeMap;
use std::time::Duration;

use chrono::NaiveDate;

use crate::Metrics;

/// What an event tells, as far as it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A product was looked at.
    Viewed {
        /// Which.
        product: i64,
    },
    /// A user likes a product.
    Liked {
        /// Which.
        product: i64,
    },
    /// A user likes a product no more.
    Unliked {
        /// Which.
        product: i64,
    },
    /// An order was paid.
    Paid {
        /// What was bought.
        lines: Vec<Line>,
    },
    /// An order was cancelled.
    Canceled {
        /// What was bought.
        lines: Vec<Line>,
        /// When it had been paid, in microseconds since the epoch; none if it never was.
        paid_at_us: Option<i64>,
    },
    /// Nothing that is counted.
    Uncounted,
}

/// A line of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The product.
    pub product: i64,
    /// Pieces.
    pub quantity: i64,
    /// Price of one, won.
    pub price: i64,
}

/// What is added to a product's metrics, on which day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delta {
    /// Business day.
    pub day: NaiveDate,
    /// The product.
    pub product: i64,
    /// What is added.
    pub metrics: Metrics,
}

/// Why an event that can be read cannot be counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCountable {
    /// A moment beyond the calendar.
    #[error("the time {0} µs lies beyond the calendar")]
    BeyondCalendar(i64),
    /// Quantity or price is negative, or their product exceeds what the platform can sell.
    #[error("quantity {quantity} at price {price} of product {product} is out of range")]
    OutOfRange {
        /// The product.
        product: i64,
        /// Pieces.
        quantity: i64,
        /// Price of one, won.
        price: i64,
    },
}

/// The largest amount of one line, won: what the shop's own money can hold. Sums of a batch stay far below 64 bits.
const AMOUNT_MAX: i64 = (1 << 53) - 1;

/// What `fact`, which happened at `occurred_at_us`, adds; `day_of` gives the business day of a moment.
///
/// A paid order counts on the day it was paid. A cancelled one is taken back from the day it had been paid on, so that
/// a day tells what was sold and kept; a like that is removed counts −1 on the day it was removed.
pub fn count(
    fact: &Fact,
    occurred_at_us: i64,
    day_of: impl Fn(i64) -> Option<NaiveDate>,
) -> Result<Vec<Delta>, NotCountable> {
    let day = |at_us| day_of(at_us).ok_or(NotCountable::BeyondCalendar(at_us));
    let one = |product, metrics| Ok(vec![Delta { day: day(occurred_at_us)?, product, metrics }]);
    match fact {
        Fact::Viewed { product } => one(*product, Metrics::VIEW),
        Fact::Liked { product } => one(*product, Metrics::LIKE),
        Fact::Unliked { product } => one(*product, Metrics { likes: -1, ..Metrics::ZERO }),
        Fact::Paid { lines } => sales(lines, day(occurred_at_us)?, 1),
        Fact::Canceled { lines, paid_at_us: Some(paid_at_us) } => sales(lines, day(*paid_at_us)?, -1),
        Fact::Canceled { paid_at_us: None, .. } | Fact::Uncounted => {
            // Nothing is counted, but a moment that is none is told all the same.
            day(occurred_at_us).map(|_| Vec::new())
        }
    }
}

/// Whether something that happened at `occurred_at_us` lies further in the future than clocks may differ.
pub fn is_future(occurred_at_us: i64, now_us: i64, bound: Duration) -> bool {
    let bound = i64::try_from(bound.as_micros()).unwrap_or(i64::MAX);
    occurred_at_us > now_us.saturating_add(bound)
}

/// Lines by product: an order counts once for a product, in however many lines it stands.
fn sales(lines: &[Line], day: NaiveDate, sign: i64) -> Result<Vec<Delta>, NotCountable> {
    let mut by_product: BTreeMap<i64, Metrics> = BTreeMap::new();
    for &Line { product, quantity, price } in lines {
        let out_of_range = NotCountable::OutOfRange { product, quantity, price };
        let amount = quantity.checked_mul(price).filter(|amount| *amount <= AMOUNT_MAX);
        let (Some(amount), 0..=AMOUNT_MAX, 0..=AMOUNT_MAX) = (amount, quantity, price) else {
            return Err(out_of_range);
        };
        let sold = Metrics { quantity, amount, ..Metrics::ZERO };
        let metrics = by_product.entry(product).or_insert(Metrics { orders: 1, ..Metrics::ZERO });
        *metrics = metrics
            .checked_add(sold)
            .filter(|sum| sum.amount <= AMOUNT_MAX && sum.quantity <= AMOUNT_MAX)
            .ok_or(out_of_range)?;
    }
    let signed = |metrics: Metrics| Metrics {
        orders: metrics.orders * sign,
        quantity: metrics.quantity * sign,
        amount: metrics.amount * sign,
        ..Metrics::ZERO
    };
    let delta = |(product, metrics)| Delta { day, product, metrics: signed(metrics) };
    Ok(by_product.into_iter().map(delta).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_US: i64 = 86_400_000_000;

    fn utc(at_us: i64) -> Option<NaiveDate> {
        Some(chrono::DateTime::from_timestamp_micros(at_us)?.date_naive())
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn line(product: i64, quantity: i64, price: i64) -> Line {
        Line { product, quantity, price }
    }

    #[test]
    fn a_product_counts_once_per_order_however_many_lines_name_it() {
        let lines = vec![line(7, 2, 100), line(3, 1, 50), line(7, 3, 90)];
        let deltas = count(&Fact::Paid { lines }, 0, utc).unwrap();
        let found: Vec<_> = deltas.iter().map(|delta| (delta.product, delta.metrics)).collect();
        let sold = |quantity, amount| Metrics { orders: 1, quantity, amount, ..Metrics::ZERO };
        assert_eq!(found, [(3, sold(1, 50)), (7, sold(5, 470))]);
    }

    #[test]
    fn a_cancelled_order_is_taken_back_from_the_day_it_was_paid_on() {
        let lines = vec![line(7, 2, 100)];
        let paid = count(&Fact::Paid { lines: lines.clone() }, 5, utc).unwrap();
        let canceled = Fact::Canceled { lines: lines.clone(), paid_at_us: Some(5) };
        let canceled = count(&canceled, 3 * DAY_US, utc).unwrap();
        assert_eq!(canceled[0].day, day("1970-01-01"));
        assert_eq!(paid[0].metrics.checked_add(canceled[0].metrics), Some(Metrics::ZERO));
        let unpaid = Fact::Canceled { lines, paid_at_us: None };
        assert_eq!(count(&unpaid, 5, utc).unwrap(), []);
    }

    #[test]
    fn a_removed_like_counts_less_one_on_its_own_day() {
        let found = count(&Fact::Unliked { product: 9 }, DAY_US, utc).unwrap();
        let metrics = Metrics { likes: -1, ..Metrics::ZERO };
        assert_eq!(found, [Delta { day: day("1970-01-02"), product: 9, metrics }]);
    }

    #[test]
    fn what_no_shop_can_sell_is_refused() {
        for bad in [line(1, -1, 5), line(1, 5, -1), line(1, 1 << 40, 1 << 40), line(1, 1 << 30, 1 << 30)] {
            let refused = count(&Fact::Paid { lines: vec![bad] }, 0, utc);
            assert!(matches!(refused, Err(NotCountable::OutOfRange { product: 1, .. })), "{bad:?}");
        }
        let twice = vec![line(1, 1, AMOUNT_MAX), line(1, 1, AMOUNT_MAX)];
        assert!(count(&Fact::Paid { lines: twice }, 0, utc).is_err());
        assert_eq!(count(&Fact::Uncounted, i64::MAX, utc), Err(NotCountable::BeyondCalendar(i64::MAX)));
    }

    #[test]
    fn clocks_may_differ_by_the_bound_and_no_more() {
        let bound = Duration::from_mins(5);
        assert!(!is_future(300_000_000, 0, bound));
        assert!(is_future(300_000_001, 0, bound));
        assert!(!is_future(i64::MAX, i64::MAX, bound));
    }
}
