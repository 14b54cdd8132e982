//! `topics` and `lag` on the command line.

use clap::Args;

/// `topics`.
#[derive(Debug, Clone, Args)]
pub struct Topics {
    /// Make the topics that are missing, as the configuration says; others stay as they are
    #[arg(long)]
    pub create: bool,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

/// `lag`.
#[derive(Debug, Clone, Args)]
pub struct Lag {
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}
