//! All output of xtask, and the time that steps take.

use std::time::{Duration, Instant};

use crate::Outcome;

/// Measures what a step took, for its closing line.
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[expect(
        clippy::disallowed_methods,
        reason = "a build tool: no tokio, and no outcome depends on this clock"
    )]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Whether so long has passed since the start.
    pub fn is_over(&self, limit: Duration) -> bool {
        self.0.elapsed() >= limit
    }

    /// Seconds since the start, with one decimal.
    pub fn seconds(&self) -> String {
        format!("{:.1}", self.0.elapsed().as_secs_f64())
    }
}

/// Prints a line to stdout.
#[expect(clippy::print_stdout, reason = "printing is this tool's job")]
pub fn line(text: &str) {
    println!("{text}");
}

/// Prints a line to stderr.
#[expect(clippy::print_stderr, reason = "printing is this tool's job")]
pub fn error(text: &str) {
    eprintln!("{text}");
}

/// Runs a step under a heading; a failure names the step.
pub fn step<T>(name: &str, run: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    line(&format!("\n== {name}"));
    let watch = Stopwatch::start();
    let value = run().map_err(|message| format!("{name}: {message}"))?;
    line(&format!("== {name}: ok, {} s", watch.seconds()));
    Ok(value)
}
