//! `rebuild` on the command line.

use chrono::NaiveDate;
use clap::{Args, Subcommand};

/// `rebuild`.
#[derive(Debug, Subcommand)]
pub enum Rebuild {
    /// Rank boards anew from what was counted
    Boards(RebuildBoards),
    /// Count metrics anew from the event log, compare them with the live ones, and put right what differs
    ///
    /// The shop goes on counting meanwhile. A rebuild that was cut off goes on by the same command. Days before the start
    /// are kept as they are; a start before the log's first event is refused.
    Metrics(RebuildMetrics),
}

/// `rebuild boards`.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct RebuildBoards {
    /// The boards of this business day
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub date: Option<NaiveDate>,
    /// The boards of every day that has metrics
    #[arg(long)]
    pub all: bool,
}

/// `rebuild metrics`.
#[derive(Debug, Clone, Args)]
pub struct RebuildMetrics {
    /// The first business day to count anew
    #[arg(long, value_name = "YYYY-MM-DD", required_unless_present = "abandon", conflicts_with = "abandon")]
    pub from: Option<NaiveDate>,
    /// Only compare
    #[arg(long, conflicts_with = "abandon")]
    pub dry_run: bool,
    /// Forget a rebuild that was cut off; nothing live has changed
    #[arg(long)]
    pub abandon: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}
