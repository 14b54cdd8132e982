//! Days of the shop's zone, and which reports of the gateway can have a movement, whatever its zone.

use std::time::Duration;

use chrono::NaiveDate;
use commerce_api_domain::{OurMovement, Timestamp};

use crate::ports::Clock;

/// No two zones are further apart, and clocks differ by less than what is added: a moment falls into one of the gateway's days
/// that has the same date as some moment of ours within this.
const APART_MAX: Duration = Duration::from_mins(26 * 60 + 15);
/// A refund may be due for long before it is settled; reports that are older than this are not read for it.
const REPORTS_BACK_MAX: Duration = Duration::from_hours(31 * 24);

/// Days back that can be reconciled.
pub(super) const BACK_MAX: u64 = 400;

/// The first moment of `day`, and of the day after it; none for a day that the zone leaves out.
pub(super) fn span(clock: &dyn Clock, day: NaiveDate) -> Option<(Timestamp, Timestamp)> {
    let from = start(clock, day)?;
    // A day that is left out follows.
    let next = day.iter_days().skip(1).take(3).find_map(|day| start(clock, day))?;
    Some((from, next))
}

/// Somewhere within a day of the date is noon of that date, or of the one before, in UTC.
fn start(clock: &dyn Clock, day: NaiveDate) -> Option<Timestamp> {
    let noon = day.and_hms_opt(12, 0, 0)?.and_utc().timestamp_micros();
    let probes = [0, -1, 1].map(|days| Timestamp::from_micros(noon + days * 86_400_000_000));
    let within = probes.into_iter().find(|at| clock.business_day(*at) == day)?;
    Some(clock.business_day_start(within))
}

/// From when on the report of `day` is complete in any zone of the gateway's.
pub(super) fn closed_everywhere(end: Timestamp) -> Timestamp {
    end.plus(APART_MAX)
}

/// The dates of reports that can have a movement of ours; `now` bounds them, since no report is of the future.
pub(super) fn reports_of(
    clock: &dyn Clock,
    ours: &OurMovement,
    now: Timestamp,
) -> impl Iterator<Item = NaiveDate> {
    let from = ours.from.minus(APART_MAX).max(ours.at.minus(REPORTS_BACK_MAX));
    let (first, last) = (clock.business_day(from), clock.business_day(ours.at.plus(APART_MAX).min(now)));
    first.iter_days().take_while(move |day| *day <= last)
}
