use std::fmt;

use chrono::{Datelike as _, Days, NaiveDate};

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeriodKind {
    /// A business day.
    Daily,
    /// An ISO week, Monday to Sunday.
    Weekly,
    /// A month.
    Monthly,
}

/// A business day, ISO week or month. Shown as its name in the tables: `D20261123`, `W202648`, `M202611`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    kind: PeriodKind,
    first: NaiveDate,
}

impl Period {
    /// The period of this kind that `day` falls in.
    pub fn of(kind: PeriodKind, day: NaiveDate) -> Self {
        let back = match kind {
            PeriodKind::Daily => 0,
            PeriodKind::Weekly => day.weekday().num_days_from_monday(),
            PeriodKind::Monthly => day.day0(),
        };
        // Only at the very beginning of the calendar is there no such day.
        let first = day.checked_sub_days(Days::new(back.into())).unwrap_or(day);
        Self { kind, first }
    }

    /// The period of one day.
    pub fn day(day: NaiveDate) -> Self {
        Self::of(PeriodKind::Daily, day)
    }

    /// How long it is.
    pub const fn kind(self) -> PeriodKind {
        self.kind
    }

    /// Its first day.
    pub const fn first(self) -> NaiveDate {
        self.first
    }

    /// Its last day.
    pub fn last(self) -> NaiveDate {
        self.next().first().pred_opt().unwrap_or(self.first)
    }

    /// The period of the same kind before it.
    #[must_use]
    pub fn previous(self) -> Self {
        Self::of(self.kind, self.first.pred_opt().unwrap_or(self.first))
    }

    /// The period of the same kind after it.
    #[must_use]
    pub fn next(self) -> Self {
        let days = match self.kind {
            PeriodKind::Daily => 1,
            PeriodKind::Weekly => 7,
            PeriodKind::Monthly => u64::from(self.first.num_days_in_month()),
        };
        Self::of(self.kind, self.first.checked_add_days(Days::new(days)).unwrap_or(self.first))
    }

    /// The period of this name; none where it is no name of a period.
    pub fn parse(name: &str) -> Option<Self> {
        let digits = name.get(1..).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        let (year, rest) = digits.split_at_checked(4)?;
        let (year, rest_number) = (year.parse().ok()?, rest.parse::<u32>().ok()?);
        let (kind, first) = match (name.chars().next()?, rest.len()) {
            ('D', 4) => {
                (PeriodKind::Daily, NaiveDate::from_ymd_opt(year, rest_number / 100, rest_number % 100)?)
            }
            ('W', 2) => {
                (PeriodKind::Weekly, NaiveDate::from_isoywd_opt(year, rest_number, chrono::Weekday::Mon)?)
            }
            ('M', 2) => (PeriodKind::Monthly, NaiveDate::from_ymd_opt(year, rest_number, 1)?),
            _ => return None,
        };
        Some(Self::of(kind, first))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, week) = (self.first, self.first.iso_week());
        match self.kind {
            PeriodKind::Daily => write!(f, "D{:04}{:02}{:02}", first.year(), first.month(), first.day()),
            PeriodKind::Weekly => write!(f, "W{:04}{:02}", week.year(), week.week()),
            PeriodKind::Monthly => write!(f, "M{:04}{:02}", first.year(), first.month()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(kind: PeriodKind, day: &str) -> String {
        Period::of(kind, day.parse().unwrap()).to_string()
    }

    #[test]
    fn a_day_falls_in_its_iso_week_and_month() {
        assert_eq!(named(PeriodKind::Daily, "2026-11-23"), "D20261123");
        assert_eq!(named(PeriodKind::Weekly, "2026-11-23"), "W202648");
        assert_eq!(named(PeriodKind::Weekly, "2026-11-22"), "W202647");
        assert_eq!(named(PeriodKind::Monthly, "2026-11-30"), "M202611");
    }

    #[test]
    fn iso_weeks_at_the_turn_of_a_year_belong_to_the_year_of_their_thursday() {
        assert_eq!(named(PeriodKind::Weekly, "2027-01-01"), "W202653");
        assert_eq!(named(PeriodKind::Weekly, "2024-12-30"), "W202501");
        let first = Period::of(PeriodKind::Weekly, "2027-01-01".parse().unwrap());
        assert_eq!(first.next().to_string(), "W202701");
        assert_eq!(first.next().previous(), first);
    }

    #[test]
    fn names_are_read_back_and_neighbours_meet() {
        let day: NaiveDate = "2028-02-29".parse().unwrap();
        for kind in [PeriodKind::Daily, PeriodKind::Weekly, PeriodKind::Monthly] {
            let mut period = Period::of(kind, day);
            for _ in 0..60 {
                assert_eq!(Period::parse(&period.to_string()), Some(period));
                assert_eq!(period.next().previous(), period);
                period = period.next();
            }
        }
        for bad in ["", "D", "D2026112", "D20261301", "W202654", "M202613", "X20261123", "D2026112é"] {
            assert_eq!(Period::parse(bad), None, "{bad}");
        }
    }
}
