//! One fault after the other, under load.

use std::collections::BTreeSet;
use std::time::Duration;

use commerce_chaos::Mode;
use serde_json::json;

use crate::cluster::Cluster;
use crate::load::{Load, ask_again};

/// How long a server is gone: seconds, and half a minute in the long run.
fn fault_lasts() -> Duration {
    Duration::from_secs(if is_long() { 30 } else { 2 })
}

fn is_long() -> bool {
    std::env::var_os("COMMERCE_TEST_LONG").is_some()
}

/// Lets a fault last.
fn while_it_lasts() {
    std::thread::sleep(fault_lasts()); // tidy: sleep for how long a server is gone is the subject
}

/// A fault, by its name, which begins and ends while buyers order.
type Fault = (&'static str, fn(&mut Cluster, &Load));

const FAULTS: [Fault; 6] = [
    ("database-cut", |cluster, _| {
        cluster.network(Mode::Cut);
        while_it_lasts();
        cluster.network(Mode::Pass);
    }),
    ("node-killed", |cluster, load| {
        for _ in 0..2 {
            cluster.kill_api();
            load.wait_for_more(10, "with one node");
            cluster.start_api();
        }
    }),
    ("broker-gone", |cluster, load| {
        cluster.kill_kafka();
        while_it_lasts();
        load.wait_for_more(10, "without a broker orders go on");
        cluster.restart_kafka();
    }),
    ("collectors-come-and-go", |cluster, load| {
        for _ in 0..2 {
            cluster.kill_collector();
            cluster.start_collector();
            load.wait_for_more(10, "while collectors change");
            cluster.stop_collector();
            cluster.start_collector();
        }
    }),
    ("redis-gone", |cluster, load| {
        cluster.pause_redis();
        while_it_lasts();
        cluster.resume_redis();
        load.wait_for_more(10, "with Redis back");
    }),
    ("database-reset", |cluster, _| {
        cluster.network(Mode::Reset);
        while_it_lasts();
        cluster.network(Mode::Pass);
    }),
];

/// Lets buyers order while these faults happen one after the other, and compares everything with everything afterwards.
fn under_load(cluster: &mut Cluster, label: &'static str, faults: &[Fault]) {
    let load = Load::start(cluster, label);
    load.wait_for_more(20, label);
    for (name, fault) in faults {
        fault(cluster, &load);
        load.wait_for_more(20, name);
    }
    let told = load.stop();
    let report = cluster.wait_until_settled(label);
    let total = |name: &str| report["totals"][name].as_i64().unwrap();
    assert_eq!(cluster.gateway_books(), (total("captured"), total("refunded")), "{label}: {report}");
    assert_eq!(report["clean"], json!(true), "{label}: {report}");
    let orders: BTreeSet<_> = told
        .1
        .values()
        .filter(|(request, status, _)| request.starts_with("POST /api/v1/orders {") && *status < 300)
        .map(|(_, _, answer)| answer["id"].as_str().unwrap().to_owned())
        .collect();
    assert!(!orders.is_empty(), "{label}");
    ask_again(cluster, &told, label);
}

#[test]
fn whatever_fails_nothing_is_lost_and_nothing_counts_twice() {
    let mut cluster = Cluster::start();
    if is_long() {
        for fault in FAULTS {
            under_load(&mut cluster, fault.0, &[fault]);
        }
    } else {
        under_load(&mut cluster, "all-faults", &FAULTS);
    }
    // Whoever was logged in is not any more; nothing else was kept there alone.
    cluster.kill_redis();
    cluster.restart_redis();
    under_load(&mut cluster, "redis-empty", &[]);
}
