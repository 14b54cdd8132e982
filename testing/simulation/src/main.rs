//! `cargo xtask simulate`: runs seeds until one fails, and shows the least that fails as it does.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use commerce_simulation::{Attention, Fault, Plan, run, shrink};

#[derive(Parser)]
#[command(about = "Deterministic simulation of payments and events")]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Shows the trace of the first seed, whether it fails or not
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut injected: BTreeMap<Fault, u64> = BTreeMap::new();
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.seeds) {
        let plan = Plan::of(seed);
        let attention = if arguments.trace { Attention::CLOSE } else { Attention::FAST };
        let report = run(&plan, attention);
        if arguments.trace {
            say(&report.trace.join("\n"));
        }
        if !report.wrong.is_empty() {
            failed(&plan, &report.wrong);
            return ExitCode::FAILURE;
        }
        report.injected.into_iter().for_each(|(fault, count)| *injected.entry(fault).or_default() += count);
    }
    let total: u64 = injected.values().sum();
    say(&format!("{} seeds from {}: all held; {total} faults", arguments.seeds, arguments.seed));
    for (fault, count) in injected {
        say(&format!("{count:>10} {fault:?}"));
    }
    ExitCode::SUCCESS
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
