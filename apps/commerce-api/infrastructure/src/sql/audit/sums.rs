//! Sums that hold however large the values are.
//!
//! `SQLite` ends a statement whose integer `SUM` overflows, and the points of a thousand rich users do. So the billions
//! and what is left over are summed apart.

use commerce_api_application::ports::StorageError;
use commerce_database::Template;

use crate::sql::decode::Columns;

const BILLION: i64 = 1_000_000_000;

/// Two columns, for [`take`]: the sum of the billions in `value`, an expression of integers, and that of the rest.
pub(super) fn parts(value: impl Into<Template>) -> Template {
    // Subtracted before, since `/` is an exact division on `MySQL`.
    Template::new(
        "CAST(COALESCE(SUM(({value} - {value} % {billion}) / {billion}), 0) AS SIGNED), \
         CAST(COALESCE(SUM({value} % {billion}), 0) AS SIGNED)",
    )
    .fragment("value", value)
    .number("billion", BILLION)
}

/// The sum in one column, for comparisons and [`number`]. Exact within 64 bits; beyond, arithmetic of `SQLite` goes on
/// as a floating-point number, which equals no balance.
pub(super) fn whole(value: impl Into<Template>) -> Template {
    Template::new(
        "(COALESCE(SUM(({value} - {value} % {billion}) / {billion}), 0) * {billion} \
         + COALESCE(SUM({value} % {billion}), 0))",
    )
    .fragment("value", value)
    .number("billion", BILLION)
}

/// The next two columns, which [`parts`] made.
pub(super) fn take(row: &mut Columns<'_>) -> Result<i128, StorageError> {
    let (billions, rest): (i64, i64) = (row.take()?, row.take()?);
    Ok(i128::from(billions) * i128::from(BILLION) + i128::from(rest))
}

/// The next column, to be shown: a number that may be beyond 64 bits.
pub(super) fn number(row: &mut Columns<'_>) -> Result<String, StorageError> {
    match row.peek::<i64>() {
        Ok(_) => Ok(row.take::<i64>()?.to_string()),
        Err(_) => Ok(format!("about {}", row.take::<f64>()?)),
    }
}

/// As near as a total of a report comes to it.
pub(super) fn saturated(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_end_where_their_numbers_do() {
        assert_eq!(saturated(-5), -5);
        assert_eq!(saturated(i128::from(i64::MAX) + 1), i64::MAX);
        assert_eq!(saturated(i128::from(i64::MIN) - 1), i64::MIN);
    }
}
