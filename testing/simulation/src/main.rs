//! `cargo xtask simulate`: runs seeds until one fails, and shows the least that fails as it does.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use commerce_simulation::{Attention, Fault, Plan, Sweep, run, shrink, sweep};
use tokio::time::Instant;

#[derive(Parser)]
#[command(about = "Deterministic simulation of payments and events")]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads; as many as there are cores where it is not given
    #[arg(long)]
    threads: Option<usize>,
    /// Shows the trace of the first seed, whether it fails or not
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.trace {
        say(&run(&Plan::of(arguments.seed), Attention::CLOSE).trace.join("\n"));
    }
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = arguments.threads.unwrap_or_else(cores);
    let started = Instant::now();
    let end = arguments.seed.saturating_add(arguments.seeds);
    let result = sweep(arguments.seed..end, threads);
    if let Some((seed, wrong)) = &result.failed {
        failed(&Plan::of(*seed), wrong);
        return ExitCode::FAILURE;
    }
    tell(&result);
    let missing = result.missing();
    if !missing.is_empty() {
        say(&format!("never happened, so nothing is known of it: {}", missing.join(", ")));
        return ExitCode::FAILURE;
    }
    let faults: u64 = result.injected.values().sum();
    say(&format!(
        "{} seeds from {}: all held; {faults} faults of {} kinds, in {} s on {threads} thread(s)",
        result.seeds,
        arguments.seed,
        result.injected.len(),
        started.elapsed().as_secs()
    ));
    ExitCode::SUCCESS
}

fn tell(result: &Sweep) {
    for (name, count) in &result.reached {
        say(&format!("{count:>10} {name}"));
    }
    for (fault, count) in &result.injected {
        say(&format!("{count:>10} {fault:?}"));
    }
}

fn failed(plan: &Plan, wrong: &[String]) {
    say(&format!(
        "seed {} FAILED:\n  {}\nlooking for the least that fails ...",
        plan.seed,
        wrong.join("\n  ")
    ));
    let (least, report) = shrink(plan);
    say(&report.trace.join("\n"));
    let faults: Vec<Fault> = least.faults.each().collect();
    say(&format!(
        "seed {}: {} of {} commands, {} node(s), {} collector(s), gateway {:?}, faults {faults:?}:\n  {}",
        least.seed,
        least.commands.len(),
        plan.commands.len(),
        least.nodes,
        least.collectors,
        least.abilities,
        report.wrong.join("\n  ")
    ));
    say(&format!("again: cargo xtask simulate --seeds 1 --seed {}", plan.seed));
}

/// To stdout; where nobody reads it there is nobody to tell.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
