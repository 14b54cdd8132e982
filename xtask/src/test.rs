//! Runs the tests, passes their output on and adds it up.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::servers::Servers;
use crate::{Outcome, console, debian, process};

/// Which tests to run.
pub struct Filter<'a> {
    /// Crates; none is the whole workspace.
    pub packages: &'a [String],
    /// A part of the test's name.
    pub name: Option<&'a str>,
}

impl Filter<'_> {
    /// Whether all tests run.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.name.is_none()
    }

    /// `--workspace`, or the crates one by one.
    pub fn scope(packages: &[String]) -> Vec<&str> {
        if packages.is_empty() {
            return vec!["--workspace"];
        }
        packages.iter().flat_map(|package| ["--package", package]).collect()
    }
}

/// Runs the tests that pass the filter; none at all is an error. All tests share servers that are started before them;
/// of a few, each program starts what it needs.
pub fn run(filter: &Filter, long: bool) -> Outcome {
    let servers = if filter.is_empty() { Servers::start()? } else { Servers::default() };
    console::step("tests", || {
        debian::program("curl", "a test pastes the commands that the banner prints into a shell")?;
        let mut command = process::cargo();
        command.args(["test", "--locked"]).args(Filter::scope(filter.packages)).args(filter.name);
        strict(&mut command, long);
        servers.tell(&mut command);
        let totals = watch(&mut command)?;
        console::line(&format!("\n{totals}"));
        if totals.passed == 0 { Err("no test ran: does the filter name one?".into()) } else { Ok(()) }
    })
}

/// A changed snapshot fails and leaves nothing behind; only `--long` makes tests long.
pub fn strict(command: &mut Command, long: bool) {
    command.env("INSTA_UPDATE", "no").env_remove("INSTA_FORCE_PASS").env_remove("COMMERCE_TEST_LONG");
    if long {
        command.env("COMMERCE_TEST_LONG", "1");
    }
}

/// Runs a command, passes its stdout on line by line and adds the results up.
fn watch(command: &mut Command) -> Outcome<Totals> {
    console::line(&format!("$ {}", process::shown(command)));
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|e| process::cannot_start(command, &e))?;
    let mut totals = Totals::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.map_err(|e| format!("cannot read the tests' output: {e}"))?;
            let line = String::from_utf8_lossy(&line);
            console::line(&line);
            totals.add(&line);
        }
    }
    let status = child.wait().map_err(|e| format!("cannot wait for the tests: {e}"))?;
    process::ended(command, status)?;
    Ok(totals)
}

/// The sum of all `test result:` lines.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: u64,
    failed: u64,
    ignored: u64,
    runs: u64,
}

impl Totals {
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        self.runs += 1;
        for part in result.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let (Some(Ok(count)), Some(what)) = (words.next().map(str::parse::<u64>), words.next()) else {
                continue;
            };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { passed, failed, ignored, runs } = self;
        write!(f, "all tests: {passed} passed, {failed} failed, {ignored} ignored, in {runs} run(s)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up() {
        let mut totals = Totals::default();
        for line in [
            "running 4 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 9 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
            "not a test result: ok. 100 passed;",
        ] {
            totals.add(line);
        }
        assert_eq!(totals, Totals { passed: 12, failed: 2, ignored: 1, runs: 2 });
    }

    #[test]
    fn a_failing_run_is_an_error_and_its_output_is_read() {
        let passing = "echo 'test result: ok. 3 passed; 0 failed; 0 ignored'";
        assert_eq!(watch(Command::new("sh").args(["-c", passing])).unwrap().passed, 3);
        assert!(watch(Command::new("sh").args(["-c", "exit 101"])).is_err());
    }

    #[test]
    fn the_scope_is_the_workspace_or_the_crates() {
        assert_eq!(Filter::scope(&[]), ["--workspace"]);
        assert_eq!(Filter::scope(&["a".into(), "b".into()]), ["--package", "a", "--package", "b"]);
    }
}
