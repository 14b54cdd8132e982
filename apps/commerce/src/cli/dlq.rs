//! `dlq` on the command line.

use clap::{Args, Subcommand, ValueEnum};
use commerce_collector::application::ports::LetterState;

use super::whole;

/// `dlq`.
#[derive(Debug, Subcommand)]
pub enum Dlq {
    /// List dead letters, latest first
    List(ListLetters),
    /// Show one with its bytes and what was done with it
    Show(ShowLetter),
    /// Count the events of open letters, if this release can read them; each once, however often that is asked
    ///
    /// A letter that still cannot be counted stays open and says why. Exit code 1 if any did.
    Replay(ReplayLetters),
    /// Give open letters up: what they tell is never counted
    Discard(DiscardLetters),
}

/// Which letters.
#[derive(Debug, Clone, Default, Args)]
pub struct Which {
    /// Only of this event type, for example `OrderPaid`
    #[arg(long = "type", value_name = "TYPE", value_parser = word)]
    pub event_type: Option<String>,
    /// Only with this cause, for example `FUTURE_DATED`
    #[arg(long, value_name = "CAUSE", value_parser = word)]
    pub cause: Option<String>,
    /// Only those set aside since then: a day of the shop (2026-11-23), or a time (2026-11-23T09:00:00+09:00)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only those set aside before then
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// `dlq list`.
#[derive(Debug, Clone, Args)]
pub struct ListLetters {
    /// Which state [default: any]
    #[arg(long, value_name = "STATE", value_enum, ignore_case = true)]
    pub state: Option<State>,
    /// Which letters.
    #[command(flatten)]
    pub which: Which,
    /// Letters to list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = whole::<1, 1_000>)]
    pub limit: u32,
    /// Only those with a lower id, to go on where a list ended
    #[arg(long, value_name = "ID")]
    pub before: Option<i64>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// State of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// Nobody has dealt with it.
    Open,
    /// Its event is counted.
    Replayed,
    /// Given up.
    Discarded,
}

impl From<State> for LetterState {
    fn from(state: State) -> Self {
        match state {
            State::Open => Self::Open,
            State::Replayed => Self::Replayed,
            State::Discarded => Self::Discarded,
        }
    }
}

/// `dlq show`.
#[derive(Debug, Clone, Args)]
pub struct ShowLetter {
    /// Its id
    #[arg(value_name = "ID")]
    pub id: i64,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// The letters that something is done with.
#[derive(Debug, Clone, Args)]
pub struct Chosen {
    /// Ids of letters
    #[arg(value_name = "ID", conflicts_with = "all", num_args = 0..=1_000)]
    pub ids: Vec<i64>,
    /// Every open letter
    #[arg(long)]
    pub all: bool,
    /// Which letters.
    #[command(flatten)]
    pub which: Which,
    /// Only tell what would happen
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// `dlq replay`.
#[derive(Debug, Clone, Args)]
pub struct ReplayLetters {
    /// Which letters.
    #[command(flatten)]
    pub chosen: Chosen,
}

/// `dlq discard`.
#[derive(Debug, Clone, Args)]
pub struct DiscardLetters {
    /// Why, for the operator's log; 1 to 200 characters
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: String,
    /// Which letters.
    #[command(flatten)]
    pub chosen: Chosen,
}

fn word(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain && (1..=64).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err("allowed are 1 to 64 letters, digits or '_'".to_owned())
    }
}

fn reason(text: &str) -> Result<String, String> {
    let fits = (1..=200).contains(&text.chars().count()) && !text.trim().is_empty();
    if fits && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("allowed are 1 to 200 characters, none of them a control character".to_owned())
    }
}
