//! Which periods are to be worked, by the shop's calendar.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};
use commerce_boards::{Period, PeriodKind};

/// What is known of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeriodState {
    /// Which.
    pub period: Period,
    /// It has changed since it was ranked.
    pub dirty: bool,
    /// The last day that it was aggregated with; none for a day, and for what never was.
    pub through: Option<NaiveDate>,
    /// It is over, and was ranked then.
    pub closed: bool,
}

/// Something to be worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// A day that is over is checked, ranked and closed.
    Close(NaiveDate),
    /// A week or month is aggregated and ranked, its days up to `through` counted in.
    Aggregate {
        /// Which.
        period: Period,
        /// The last day that is counted in.
        through: NaiveDate,
    },
    /// What is older than it is kept is deleted.
    Forget {
        /// The day it is done on.
        day: NaiveDate,
        /// Dedupe rows from before this moment go, in microseconds since the epoch.
        handled_before_us: i64,
        /// Executions of jobs from before this moment go.
        executions_before_us: i64,
    },
}

/// The last day of a period that is over on the day `today`; none where none is.
pub fn through(period: Period, today: NaiveDate) -> Option<NaiveDate> {
    let yesterday = today.pred_opt()?;
    (period.first() <= yesterday).then(|| period.last().min(yesterday))
}

/// What is to be worked on the day `today`, in its order: days that are over and not closed, then weeks, then months,
/// which are dirty or lack a day. What was missed is caught up with for `bound` days; what is dirty, always.
pub fn due(today: NaiveDate, states: &[PeriodState], bound: Days) -> Vec<Task> {
    let Some(yesterday) = today.pred_opt() else { return Vec::new() };
    let since = today.checked_sub_days(bound).unwrap_or(NaiveDate::MIN);
    let known: BTreeMap<Period, &PeriodState> = states.iter().map(|state| (state.period, state)).collect();
    let counted = states.iter().map(|state| state.period).filter(|period| period.kind() == PeriodKind::Daily);
    let mut days: BTreeSet<NaiveDate> =
        counted.map(Period::first).filter(|day| (since..=yesterday).contains(day)).collect();
    // A day without an event is closed as well.
    days.insert(yesterday);
    let is_closed = |day: &NaiveDate| known.get(&Period::day(*day)).is_some_and(|state| state.closed);
    let mut tasks: Vec<Task> =
        days.iter().filter(|day| !is_closed(day)).map(|day| Task::Close(*day)).collect();
    for kind in [PeriodKind::Weekly, PeriodKind::Monthly] {
        let dirty = states.iter().filter(|state| state.dirty && state.period.kind() == kind);
        let mut periods: BTreeSet<Period> = dirty.map(|state| state.period).collect();
        periods.extend(days.iter().map(|day| Period::of(kind, *day)));
        for period in periods {
            let Some(through) = through(period, today) else { continue };
            let lacks_nothing = known
                .get(&period)
                .is_some_and(|state| !state.dirty && state.through.is_some_and(|done| done >= through));
            if !lacks_nothing {
                tasks.push(Task::Aggregate { period, through });
            }
        }
    }
    tasks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn closed(on: &str) -> PeriodState {
        PeriodState { period: Period::day(day(on)), dirty: false, through: None, closed: true }
    }

    fn aggregated(name: &str, through: &str) -> PeriodState {
        let period = Period::parse(name).unwrap();
        let through = day(through);
        PeriodState { period, dirty: false, through: Some(through), closed: through == period.last() }
    }

    fn names(tasks: &[Task]) -> Vec<String> {
        let name = |task: &Task| match task {
            Task::Close(day) => format!("close {day}"),
            Task::Aggregate { period, through } => format!("{period} to {through}"),
            Task::Forget { .. } => "forget".into(),
        };
        tasks.iter().map(name).collect()
    }

    const BOUND: Days = Days::new(400);

    #[test]
    fn after_midnight_yesterday_is_closed_and_the_running_week_and_month_take_it_in() {
        let tasks = due(day("2026-11-25"), &[], BOUND);
        assert_eq!(names(&tasks), ["close 2026-11-24", "W202648 to 2026-11-24", "M202611 to 2026-11-24"]);
        let done =
            [closed("2026-11-24"), aggregated("W202648", "2026-11-24"), aggregated("M202611", "2026-11-24")];
        assert!(due(day("2026-11-25"), &done, BOUND).is_empty());
        let next = due(day("2026-11-26"), &done, BOUND);
        assert_eq!(names(&next), ["close 2026-11-25", "W202648 to 2026-11-25", "M202611 to 2026-11-25"]);
    }

    #[test]
    fn on_monday_the_past_week_is_due_and_on_the_first_the_past_month() {
        let done = [
            closed("2026-11-28"),
            closed("2026-11-29"),
            aggregated("W202648", "2026-11-28"),
            aggregated("M202611", "2026-11-28"),
        ];
        let monday = due(day("2026-11-30"), &done, BOUND);
        assert_eq!(names(&monday), ["W202648 to 2026-11-29", "M202611 to 2026-11-29"]);
        let first = due(day("2026-12-01"), &done, BOUND);
        assert!(names(&first).contains(&"M202611 to 2026-11-30".to_owned()), "{first:?}");
    }

    #[test]
    fn what_was_missed_is_caught_up_with_in_order_and_bounded() {
        let counted = |on: &str| PeriodState { closed: false, dirty: true, ..closed(on) };
        let states = [counted("2026-11-20"), counted("2026-11-10"), counted("2025-01-01")];
        let tasks = due(day("2026-11-25"), &states, BOUND);
        assert_eq!(
            names(&tasks),
            [
                "close 2026-11-10",
                "close 2026-11-20",
                "close 2026-11-24",
                "W202646 to 2026-11-15",
                "W202647 to 2026-11-22",
                "W202648 to 2026-11-24",
                "M202611 to 2026-11-24",
            ]
        );
    }

    #[test]
    fn a_dirty_week_is_due_however_old_it_is() {
        let old = PeriodState { dirty: true, ..aggregated("W202053", "2021-01-03") };
        let tasks = due(day("2026-11-25"), &[old], BOUND);
        assert_eq!(names(&tasks)[1], "W202053 to 2021-01-03");
    }

    #[test]
    fn of_every_iso_week_from_2019_to_2028_all_days_are_counted_in_once_it_is_over() {
        let mut today = day("2019-01-01");
        while today <= day("2029-01-02") {
            for task in due(today, &[], BOUND) {
                let Task::Aggregate { period, through } = task else { continue };
                assert_eq!(through, today.pred_opt().unwrap());
                assert!((period.first()..=period.last()).contains(&through), "{period} {today}");
                let is_last = period.last() == through;
                let begins_anew = match period.kind() {
                    PeriodKind::Weekly => today.format("%u").to_string() == "1",
                    _ => today.format("%d").to_string() == "01",
                };
                assert_eq!(is_last, begins_anew, "{period} on {today}");
                if period.kind() == PeriodKind::Weekly {
                    assert_eq!(period.to_string(), through.format("W%G%V").to_string());
                }
            }
            today = today.succ_opt().unwrap();
        }
        let week = |on: &str| Period::of(PeriodKind::Weekly, day(on)).to_string();
        assert_eq!(week("2021-01-01"), "W202053");
        assert_eq!(week("2024-12-30"), "W202501");
    }
}
