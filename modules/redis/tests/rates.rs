//! Buckets in Redis say what buckets in the process say.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::mpsc;
use std::time::Duration;

use commerce_http::limit::{Allowance, Buckets, Taken};
use commerce_redis::{Rate, Redis, RedisOptions};
use commerce_servers::{ServerKind, shared};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

const START_US: u64 = 1_800_000_000_000_000;

/// A step: so much later, somebody takes one.
type Step = (u64, u8);

/// What buckets in the process say, on a clock that goes by the steps alone.
fn in_process(allowance: Allowance, steps: &[Step]) -> Vec<Taken> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let buckets = Buckets::new("test", allowance);
        let mut taken = Vec::new();
        for (later_us, key) in steps {
            tokio::time::advance(Duration::from_micros(*later_us)).await;
            taken.push(buckets.take((*key).into()));
        }
        taken
    })
}

/// The same in Redis, by turns on two nodes.
async fn in_redis(nodes: &[Redis; 2], run: u64, allowance: Allowance, steps: &[Step]) -> Vec<Taken> {
    let (mut now, mut said) = (START_US, Vec::new());
    let rate = Rate { interval: allowance.interval(), burst: allowance.burst };
    for (turn, (later_us, key)) in steps.iter().enumerate() {
        now += later_us;
        let key = nodes[0].key("rate", format_args!("{run}:{key}"));
        let taken = nodes[turn % 2].take_at(&key, rate, Some(now)).await.unwrap();
        said.push(Taken { remaining: taken.remaining, wait: taken.wait });
    }
    said
}

fn cases() -> impl Strategy<Value = (Allowance, Vec<Step>)> {
    // Rates whose interval is whole microseconds, as those of the settings are.
    let per_minute = prop::sample::select(vec![1, 6, 10, 60, 600, 12_000, 60_000]);
    let steps = prop_oneof![Just(0), 0..2_000_u64, 0..20_000_000_u64];
    let allowance = (per_minute, 1..20_u32).prop_map(|(per_minute, burst)| Allowance { per_minute, burst });
    (allowance, prop::collection::vec((steps, 0..2_u8), 1..60))
}

#[test]
fn buckets_in_redis_say_what_buckets_in_the_process_say() {
    let prefix = format!("rates-{}", std::process::id());
    let options = RedisOptions { prefix, ..RedisOptions::new(shared(ServerKind::Redis).url()) };
    // Real connections do not go with a paused clock: they have a runtime of their own.
    let (ask, asked) = mpsc::channel::<(u64, Allowance, Vec<Step>)>();
    let (say, said) = mpsc::channel();
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let nodes = [(); 2].map(|()| Redis::open(&options).unwrap());
        for (run, allowance, steps) in asked {
            say.send(runtime.block_on(in_redis(&nodes, run, allowance, &steps))).unwrap();
        }
    });
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    let run = std::cell::Cell::new(0);
    TestRunner::new(config)
        .run(&cases(), |(allowance, steps)| {
            run.set(run.get() + 1);
            ask.send((run.get(), allowance, steps.clone())).unwrap();
            prop_assert_eq!(said.recv().unwrap(), in_process(allowance, &steps));
            Ok(())
        })
        .unwrap();
    drop(ask);
    asking.join().unwrap();
}
