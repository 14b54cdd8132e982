//! The project's own commands: `cargo xtask test`, `lint`, `coverage`, `simulate`, `fuzz-api`, `services` and `demo`.

mod console;
mod coverage;
mod debian;
mod demo;
mod fuzz;
mod lint;
mod process;
mod python;
mod servers;
mod services;
mod test;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// What a step can end with: the message says what failed and what to do.
type Outcome<T = ()> = Result<T, String>;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Every lint, every test and 5,000 seeds of the simulation; with a filter, the matching tests only
    Test(TestArguments),
    /// Formatting, clippy, and the checks of dependencies
    Lint,
    /// Coverage of the tests as HTML
    Coverage(CoverageArguments),
    /// Payments and events under every fault, one run a seed; a seed that fails is shown with its shortest trace
    Simulate(SimulateArguments),
    /// Both APIs against their `OpenAPI` documents: no 5xx, no answer that is not documented, clean books
    FuzzApi(FuzzArguments),
    /// The whole platform on real servers: two API nodes, three collectors, a gateway; shown, audited, taken down
    Demo(demo::DemoArguments),
    /// Real servers for development, without Docker
    #[command(subcommand)]
    Services(services::Services),
}

#[derive(Args)]
struct TestArguments {
    /// Only the tests of this crate
    #[arg(short, long, value_name = "CRATE")]
    package: Vec<String>,
    /// Only the tests whose name contains this
    name: Option<String>,
    /// More cases and longer runs (sets `COMMERCE_TEST_LONG=1`)
    #[arg(long)]
    long: bool,
}

#[derive(Args)]
struct CoverageArguments {
    /// Only the tests of this crate, instead of the whole workspace
    #[arg(short, long, value_name = "CRATE")]
    package: Vec<String>,
}

#[derive(Args)]
struct SimulateArguments {
    /// How many seeds
    #[arg(long, value_name = "N", default_value_t = SEEDS)]
    seeds: u64,
    /// The first of them
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// The trace of the seeds as well
    #[arg(long)]
    trace: bool,
}

#[derive(Args)]
struct FuzzArguments {
    /// Cases that are generated for each operation
    #[arg(long, value_name = "N", default_value_t = fuzz::EXAMPLES)]
    examples: u32,
    /// What they are generated from
    #[arg(long, value_name = "S", default_value_t = fuzz::SEED)]
    seed: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let watch = console::Stopwatch::start();
    let outcome = std::env::set_current_dir(root())
        .map_err(|e| format!("cannot enter {}: {e}", root().display()))
        .and_then(|()| match &arguments.command {
            Command::Test(arguments) => run_tests(arguments),
            Command::Lint => lint::run(),
            Command::Coverage(arguments) => coverage::run(&arguments.package),
            Command::Simulate(arguments) => simulate(arguments),
            Command::FuzzApi(FuzzArguments { examples, seed }) => {
                fuzz::run(&fuzz::Amount { examples: *examples, seed: *seed })
            }
            Command::Demo(arguments) => demo::run(arguments),
            Command::Services(services) => services::run(services),
        });
    match outcome {
        Ok(()) => {
            console::line(&format!("\nxtask: all passed in {} s", watch.seconds()));
            ExitCode::SUCCESS
        }
        Err(message) => {
            console::error(&format!("xtask: FAILED after {} s: {message}", watch.seconds()));
            ExitCode::FAILURE
        }
    }
}

fn run_tests(arguments: &TestArguments) -> Outcome {
    let filter = test::Filter { packages: &arguments.package, name: arguments.name.as_deref() };
    if !filter.is_empty() {
        return test::run(&filter, arguments.long);
    }
    lint::run()?;
    test::run(&filter, arguments.long)?;
    let examples = if arguments.long { fuzz::EXAMPLES } else { fuzz::EXAMPLES_SHORT };
    fuzz::run(&fuzz::Amount { examples, seed: fuzz::SEED })?;
    let seeds = if arguments.long { 50_000 } else { SEEDS };
    console::step("simulation", || simulate(&SimulateArguments { seeds, seed: 0, trace: false }))
}

/// So many seeds of the simulation are part of the tests.
const SEEDS: u64 = 5_000;

/// Under a profile of its own: many seeds are many times faster with optimisation, and assertions stay.
fn simulate(arguments: &SimulateArguments) -> Outcome {
    let mut command = process::cargo();
    command.args([
        "run",
        "--locked",
        "--quiet",
        "--package",
        "commerce-simulation",
        "--profile",
        "simulation",
        "--",
    ]);
    command.args(["--seeds", &arguments.seeds.to_string(), "--seed", &arguments.seed.to_string()]);
    if arguments.trace {
        command.arg("--trace");
    }
    process::run(&mut command)
}

/// The workspace's root: the folder above this crate.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or_else(|| here.clone(), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_filter_and_a_flag_are_read_in_any_order() {
        let parsed =
            Arguments::try_parse_from(["xtask", "test", "-p", "commerce-tidy", "sleep", "--long"]).unwrap();
        let Command::Test(arguments) = parsed.command else { panic!("not the test command") };
        assert_eq!(arguments.package, ["commerce-tidy"]);
        assert_eq!(arguments.name.as_deref(), Some("sleep"));
        assert!(arguments.long);
    }
}
