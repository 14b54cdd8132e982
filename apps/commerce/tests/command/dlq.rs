//! Dead letters and rebuilds from the command line, beside a running shop.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use commerce_bus::{EmbeddedLog, EmbeddedOptions, EventBus as _, Record};
use commerce_contracts::time::rfc3339;
use commerce_database::{Database, SqliteOptions};
use commerce_runtime::{BusinessZone, Clock as _, SystemClock};
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::support::{DataDir, Ended, Up, run};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

/// Publishes values to the shop's log, which nobody else has open.
fn publish(dir: &DataDir, values: &[String]) {
    runtime().block_on(async {
        let options = EmbeddedOptions::new(dir.join("events.sqlite"));
        let log = EmbeddedLog::open(options, Arc::new(SystemClock)).await.unwrap();
        let record = |value: &String| Record {
            topic: "product".to_owned(),
            key: "7".to_owned(),
            headers: Vec::new(),
            value: Bytes::copy_from_slice(value.as_bytes()),
        };
        for result in log.producer().publish(values.iter().map(record).collect()).await {
            result.unwrap();
        }
        log.close().await;
    });
}

fn change(dir: &DataDir, sql: &str) {
    runtime().block_on(async {
        let database = Database::open_sqlite(SqliteOptions::new(dir.join("collector.sqlite"))).await.unwrap();
        let transaction = database.begin_write("mend").await.unwrap();
        transaction.execute_unprepared(sql).await.unwrap();
        transaction.commit().await.unwrap();
        database.close().await;
    });
}

fn dlq(dir: &DataDir, arguments: &[&str]) -> Ended {
    run(dir.path(), &[&["dlq"], arguments].concat())
}

fn viewed(version: u32) -> String {
    json!({
        "eventId": uuid::Uuid::from_u128(0x77), "eventType": "ProductViewed", "version": version,
        "aggregateType": "PRODUCT_VIEW", "aggregateId": "7", "sequence": 0,
        "occurredAt": rfc3339(SystemClock.now_us()), "payload": {"productId": 7},
    })
    .to_string()
}

#[test]
fn dead_letters_are_listed_shown_replayed_and_discarded_beside_the_running_shop() {
    let dir = DataDir::new();
    dlq(&dir, &["list"]).expect(2);
    Up::start(dir.path()).terminate();
    publish(&dir, &["junk 4111-1111-1111-1111".to_owned(), viewed(9)]);
    let up = Up::start(dir.path());
    let mut letters = Vec::new();
    for _ in 0..600 {
        letters = dlq(&dir, &["list", "--json"]).expect(0).json()["items"].as_array().unwrap().clone();
        if letters.len() == 2 {
            break;
        }
        std::thread::sleep(Duration::from_millis(100)); // tidy: sleep between looks at what is being counted
    }
    let [version, junk] = &letters[..] else { panic!("two letters: {letters:?}") };
    assert_eq!((&version["cause"], &junk["cause"]), (&json!("UNKNOWN_VERSION"), &json!("NOT_JSON")));
    let id = version["id"].to_string();
    let shown = dlq(&dir, &["show", &junk["id"].to_string(), "--json"]).expect(0).json();
    assert_eq!(shown["value"], json!({"encoding": "TEXT", "content": "junk ****-****-****-1111"}));
    dlq(&dir, &["show", "99"]).expect(2);
    dlq(&dir, &["replay"]).expect(2);
    dlq(&dir, &["replay", "--all", "--since", "yesterday"]).expect(2);

    let refused = dlq(&dir, &["replay", "--all", "--dry-run", "--json"]).expect(1).json();
    assert_eq!(refused["refused"], json!({"NOT_JSON": 1, "UNKNOWN_VERSION": 1}));
    // A release that knows version 9 would read it; here the letter is written anew by hand.
    let mend = "UPDATE dead_letters SET value = CAST(REPLACE(CAST(value AS TEXT), '\"version\":9', \
                '\"version\":1') AS BLOB)";
    change(&dir, mend);
    let replayed = dlq(&dir, &["replay", &id]).expect(0);
    assert_eq!(replayed.stdout, "1 open letters: 1 counted.\n");
    let again = dlq(&dir, &["replay", &id]).expect(0);
    assert_eq!(again.stdout, "0 open letters: nothing to do.\n");
    let of_type = ["discard", "--cause", "NOT_JSON", "--reason", "a test", "--json"];
    let told = dlq(&dir, &[&of_type[..], &["--dry-run"]].concat()).expect(0).json();
    assert_eq!((&told["discarded"], &told["dryRun"]), (&json!(1), &json!(true)));
    assert_eq!(dlq(&dir, &of_type).expect(0).json()["discarded"], json!(1));
    let shown = dlq(&dir, &["show", &junk["id"].to_string(), "--json"]).expect(0).json();
    let history: Vec<&Value> = shown["history"].as_array().unwrap().iter().collect();
    let [note] = &history[..] else { panic!("one note: {history:?}") };
    assert_eq!((&note["actor"], &note["detail"]), (&json!("cli"), &json!("a test")));
    assert_eq!(dlq(&dir, &["list", "--state", "open"]).expect(0).stdout, "No dead letters.\n");
    let listed = dlq(&dir, &["list", "--state", "REPLAYED"]).expect(0);
    assert!(listed.stdout.contains("ProductViewed"), "{}", listed.stdout);
    up.terminate();
    run(dir.path(), &["audit", "--settled"]).expect(0);
}

#[test]
fn metrics_and_boards_are_rebuilt_beside_the_running_shop() {
    let dir = DataDir::new();
    let rebuild = |arguments: &[&str]| run(dir.path(), &[&["rebuild"], arguments].concat());
    rebuild(&["boards", "--all"]).expect(2);
    Up::start(dir.path()).terminate();
    publish(&dir, &[viewed(1)]);
    let today = || BusinessZone::default().day(SystemClock.now_us()).unwrap();
    let first = today();
    let up = Up::start(dir.path());
    up.terminate();
    change(&dir, "UPDATE product_metrics_daily SET views = views + 4");
    let up = Up::start(dir.path());
    let from = first.to_string();
    let before = first.pred_opt().unwrap().to_string();
    let refused = rebuild(&["metrics", "--from", &before]).expect(2);
    assert!(refused.stderr.contains(&format!("the earliest start is {first}")), "{}", refused.stderr);
    let told = rebuild(&["metrics", "--from", &from, "--dry-run", "--json"]).expect(0).json();
    assert_eq!(
        (&told["differing"], &told["totals"], &told["applied"]),
        (&json!(1), &json!(0), &json!(false))
    );
    let told = rebuild(&["metrics", "--from", &from]).expect(0);
    assert!(told.stdout.contains("put right"), "{}", told.stdout);
    let told = rebuild(&["metrics", "--from", &from]).expect(0);
    assert!(told.stdout.contains("the live metrics are the same"), "{}", told.stdout);
    assert_eq!(rebuild(&["metrics", "--abandon"]).expect(0).stdout, "There was no rebuild.\n");
    assert!(rebuild(&["boards", "--all"]).expect(0).stdout.ends_with("days ranked.\n"));
    assert_eq!(rebuild(&["boards", "--date", &from]).expect(0).stdout, "Boards of 1 days ranked.\n");
    up.terminate();
    run(dir.path(), &["audit", "--settled"]).expect(0);
}

#[test]
fn topics_and_lag_are_told_beside_the_running_shop() {
    let dir = DataDir::new();
    let command = |arguments: &[&str]| run(dir.path(), arguments);
    let absent = command(&["topics"]).expect(2);
    assert!(absent.stderr.contains("events.sqlite"), "{}", absent.stderr);
    command(&["lag"]).expect(2);
    let made = command(&["topics", "--create", "--json"]).expect(0).json();
    let partitions = made["partitions"].as_array().unwrap();
    assert_eq!((partitions.len(), &made["missing"]), (15, &json!([])));
    let first = json!({"topic": "coupon", "partition": 0, "copies": 1, "earliest": 0, "end": 0});
    assert_eq!(partitions[0], first);
    Up::start(dir.path()).terminate();
    publish(&dir, &[viewed(1), viewed(1)]);
    let behind = command(&["lag", "--json"]).expect(0).json();
    assert_eq!(behind["lag"], json!(2));
    let up = Up::start(dir.path());
    let mut told = Value::Null;
    for _ in 0..600 {
        told = command(&["lag", "--json"]).expect(0).json();
        // The bus is told after the database.
        if told["partitions"].as_array().unwrap().iter().all(|of| of["committed"] == of["end"]) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100)); // tidy: sleep between looks at what is being counted
    }
    assert_eq!(told["lag"], json!(0));
    let counted: i64 =
        told["partitions"].as_array().unwrap().iter().map(|of| of["counted"].as_i64().unwrap()).sum();
    assert!(counted >= 2, "{told}");
    let table = command(&["topics"]).expect(0).stdout;
    assert!(table.contains("product.like") && table.contains("earliest"), "{table}");
    assert!(command(&["lag"]).expect(0).stdout.contains("committed"));
    up.terminate();
}
