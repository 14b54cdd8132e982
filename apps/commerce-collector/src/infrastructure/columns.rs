//! Between columns and values.

use chrono::{Datelike as _, NaiveDate};
use commerce_collector_domain::Metrics;
use sea_orm::{QueryResult, TryGetable};

use super::error::orm;
use crate::application::ports::StoreError;

/// A business day as it is stored: `yyyymmdd`.
pub(super) fn stored_day(day: NaiveDate) -> i64 {
    i64::from(day.year()) * 10_000 + i64::from(day.month()) * 100 + i64::from(day.day())
}

/// The business day of a stored number.
pub(super) fn day(stored: i64) -> Result<NaiveDate, StoreError> {
    let part = |number: i64| u32::try_from(number).ok();
    i32::try_from(stored / 10_000)
        .ok()
        .zip(part(stored / 100 % 100).zip(part(stored % 100)))
        .and_then(|(year, (month, day))| NaiveDate::from_ymd_opt(year, month, day))
        .ok_or_else(|| StoreError::Data(UnknownDay(stored).into()))
}

#[derive(Debug, thiserror::Error)]
#[error("the database holds {0} as a business day")]
struct UnknownDay(i64);

/// The columns of a row, taken in the order of the SELECT.
pub(super) struct Columns<'a> {
    row: &'a QueryResult,
    next: usize,
}

impl<'a> Columns<'a> {
    pub(super) const fn of(row: &'a QueryResult) -> Self {
        Self { row, next: 0 }
    }

    /// The next column.
    pub(super) fn take<T: TryGetable>(&mut self) -> Result<T, StoreError> {
        let index = self.next;
        self.next += 1;
        self.row.try_get_by_index(index).map_err(orm)
    }

    /// A partition's number.
    pub(super) fn partition(&mut self) -> Result<i32, StoreError> {
        let stored: i64 = self.take()?;
        i32::try_from(stored).map_err(|error| StoreError::Data(error.into()))
    }

    /// The columns `views, likes, orders, quantity, amount`.
    pub(super) fn metrics(&mut self) -> Result<Metrics, StoreError> {
        Ok(Metrics {
            views: self.take()?,
            likes: self.take()?,
            orders: self.take()?,
            quantity: self.take()?,
            amount: self.take()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_numbers_that_people_can_read() {
        let leap: NaiveDate = "2028-02-29".parse().unwrap();
        assert_eq!(stored_day(leap), 20_280_229);
        assert_eq!(day(20_280_229).unwrap(), leap);
        for bad in [0, 20_270_229, -1, i64::MAX] {
            assert!(matches!(day(bad), Err(StoreError::Data(_))), "{bad}");
        }
    }
}
