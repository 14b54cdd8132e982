//! Seeds that run with the other tests; `cargo xtask simulate` runs many more.

#![cfg(test)]

use commerce_simulation::{Attention, Fault, Faults, Plan, Report, run, shrink};

/// `COMMERCE_TEST_LONG=1` runs what CI runs by `cargo xtask simulate`.
fn seeds() -> u64 {
    if std::env::var_os("COMMERCE_TEST_LONG").is_some() { 5_000 } else { 300 }
}

#[track_caller]
fn assert_held(plan: &Plan, report: &Report) {
    if report.wrong.is_empty() {
        return;
    }
    let (least, report) = shrink(plan);
    let faults: Vec<Fault> = least.faults.each().collect();
    panic!(
        "seed {}: {} command(s), faults {faults:?}\n{}\n{}\nagain: cargo xtask simulate --seeds 1 --seed {}",
        plan.seed,
        least.commands.len(),
        report.trace.join("\n"),
        report.wrong.join("\n"),
        plan.seed
    );
}

#[test]
fn everything_settles_and_all_books_agree_under_every_seed() {
    let mut injected = std::collections::BTreeMap::new();
    for seed in 0..seeds() {
        let plan = Plan::of(seed);
        let report = run(&plan, Attention::FAST);
        assert_held(&plan, &report);
        report.injected.into_iter().for_each(|(fault, count)| *injected.entry(fault).or_insert(0) += count);
    }
    for fault in Fault::ALL {
        assert!(injected.get(fault).copied().unwrap_or_default() > 0, "{fault:?} never happened");
    }
}

#[test]
fn one_seed_is_one_run_to_the_byte() {
    for seed in 0..25 {
        let plan = Plan::of(seed);
        let (first, second) = (run(&plan, Attention::CLOSE), run(&plan, Attention::CLOSE));
        assert!(first.trace.len() > 50, "seed {seed}: something happens");
        let differs = first.trace.iter().zip(&second.trace).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first, second, "seed {seed}");
    }
}

#[test]
fn without_faults_nothing_is_injected_and_all_is_sold() {
    let plan = Plan { faults: Faults::default(), ..Plan::of(7) };
    let report = run(&plan, Attention::CLOSE);
    assert_held(&plan, &report);
    assert!(report.injected.is_empty());
    assert!(report.trace.iter().any(|line| line.contains("event OrderPaid")), "something was bought");
}
