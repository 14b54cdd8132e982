//! Formatting, clippy, and the checks of dependencies.

use std::path::Path;
use std::process::Command;

use crate::{Outcome, console, process, tools};

/// Runs all lints; the first that fails ends the run.
pub fn run() -> Outcome {
    console::step("format", || process::run(process::cargo().args(["fmt", "--all", "--check"])))?;
    console::step("clippy", || {
        let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
        process::run(process::cargo().args(arguments))
    })?;
    let deny = console::step("cargo-deny", || tools::CARGO_DENY.path())?;
    console::step("dependencies", || {
        process::run(command(&deny).args(["check", "bans", "licenses", "sources"]))
    })?;
    console::step("advisories", || advisories(&deny))
}

/// Findings fail; a database that cannot be fetched is said and passed over, since the machine may be offline.
fn advisories(deny: &Path) -> Outcome {
    let mut fetch = command(deny);
    fetch.args(["fetch", "db"]);
    let output = fetch.output().map_err(|e| process::cannot_start(&fetch, &e))?;
    if !output.status.success() {
        let reason = last_line(&String::from_utf8_lossy(&output.stderr));
        console::line(&format!("advisories NOT checked: their database cannot be fetched ({reason})"));
        return Ok(());
    }
    process::run(command(deny).args(["check", "--disable-fetch", "advisories"]))
}

/// cargo-deny with errors only: the warnings are duplicate versions that others' manifests cause.
fn command(deny: &Path) -> Command {
    let mut command = process::program(deny);
    command.args(["--workspace", "--locked", "--log-level", "error"]);
    command
}

fn last_line(text: &str) -> String {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("no reason given").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_line_with_text() {
        assert_eq!(last_line("ERROR clone\nfatal: no host\n\n"), "fatal: no host");
        assert_eq!(last_line(""), "no reason given");
    }
}
