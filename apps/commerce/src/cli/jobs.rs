//! The command line of jobs and of the report.

use chrono::NaiveDate;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::whole;

/// `job`.
#[derive(Debug, Subcommand)]
pub enum Job {
    /// Close a day, or aggregate and rank a week or month, now
    ///
    /// Goes on where an earlier run stopped or was killed, waits for nobody: a period that another runner has is refused
    /// as running, one that is complete and has not changed as complete. Ctrl-C stops at the edge of a chunk. Exit code
    /// 1 where it is not run to its end.
    Run(RunJob),
    /// List what was run, latest first
    List(ListJobs),
    /// Show an execution and its steps
    Show(ExecutionId),
    /// Ask an execution to stop at the edge of its chunk; the next run goes on from there
    Stop(ExecutionId),
}

/// What a job works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Length {
    /// A business day
    Daily,
    /// An ISO week
    Weekly,
    /// A month
    Monthly,
}

/// `job run`.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("period").args(["date", "week", "month"]))]
pub struct RunJob {
    /// Which job
    pub job: Length,
    /// Any day of the period [default: yesterday]
    #[arg(long, value_name = "2026-11-23", value_parser = date)]
    pub date: Option<NaiveDate>,
    /// ISO week, for `weekly`
    #[arg(long, value_name = "2026-W47", value_parser = week)]
    pub week: Option<NaiveDate>,
    /// Month, for `monthly`
    #[arg(long, value_name = "2026-10", value_parser = month)]
    pub month: Option<NaiveDate>,
    /// Run also what is complete, or failed too often
    #[arg(long)]
    pub force: bool,
}

/// `job list`.
#[derive(Debug, Clone, Args)]
pub struct ListJobs {
    /// Executions to list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = whole::<1, 1_000>)]
    pub limit: u32,
}

/// `job show` and `job stop`.
#[derive(Debug, Clone, Args)]
pub struct ExecutionId {
    /// Id of the execution, as `job list` shows it
    #[arg(value_name = "ID")]
    pub id: i64,
}

/// What a board ranks by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Ranked {
    /// Views, likes and orders, weighted
    All,
    /// Likes
    Like,
    /// Views
    View,
    /// Paid orders
    Order,
}

/// `report`.
#[derive(Debug, Clone, Args)]
pub struct Report {
    /// Length of the period
    #[arg(long, value_name = "PERIOD", default_value = "daily")]
    pub period: Length,
    /// Any day of the period [default: today]
    #[arg(long, value_name = "2026-11-23", value_parser = date)]
    pub date: Option<NaiveDate>,
    /// What is ranked by
    #[arg(long = "type", value_name = "TYPE", default_value = "all")]
    pub ranked: Ranked,
    /// Places to print
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = whole::<1, 100>)]
    pub top: u32,
}

fn date(text: &str) -> Result<NaiveDate, String> {
    let parsed = text.parse().or_else(|_| NaiveDate::parse_from_str(text, "%Y%m%d"));
    parsed.map_err(|_| "a day like 2026-11-23".to_owned())
}

fn week(text: &str) -> Result<NaiveDate, String> {
    let parsed = text.split_once("-W").and_then(|(year, week)| {
        let digits = |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
        let (year, week) = (digits(year, 4) && digits(week, 2)).then_some((year, week))?;
        NaiveDate::from_isoywd_opt(year.parse().ok()?, week.parse().ok()?, chrono::Weekday::Mon)
    });
    parsed.ok_or_else(|| "an ISO week like 2026-W47; not every year has a week 53".to_owned())
}

fn month(text: &str) -> Result<NaiveDate, String> {
    let parsed = NaiveDate::parse_from_str(&[text, "-01"].concat(), "%Y-%m-%d");
    parsed.map_err(|_| "a month like 2026-10".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_and_months_are_named_as_people_write_them() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        assert_eq!(week("2020-W53"), Ok(day("2020-12-28")));
        assert_eq!(week("2025-W01"), Ok(day("2024-12-30")));
        assert_eq!(month("2026-10"), Ok(day("2026-10-01")));
        assert_eq!(date("20261123"), date("2026-11-23"));
        for bad in ["2021-W53", "2026-W00", "2026-47", "2026W47", "W47", "+026-W47", "2026-W4"] {
            assert!(week(bad).is_err(), "{bad}");
        }
        for bad in ["2026-13", "2026", "2026-10-01"] {
            assert!(month(bad).is_err(), "{bad}");
        }
        assert!(date("2026-02-29").is_err());
    }
}
