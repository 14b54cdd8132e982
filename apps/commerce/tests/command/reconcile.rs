//! `reconcile` beside a running shop, with the real simulator.

use chrono::{Days, NaiveDate};
use commerce_database::{Database, SqliteOptions, Template};
use commerce_runtime::{BusinessZone, Clock as _, SystemClock};
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::support::{DataDir, Ended, Up, run};

fn today() -> NaiveDate {
    BusinessZone::default().day(SystemClock.now_us()).unwrap()
}

fn reconcile(dir: &DataDir, date: NaiveDate) -> Ended {
    run(dir.path(), &["reconcile", "--date", &date.to_string(), "--json"])
}

/// The gateway moves money on that day, under a reference that is nobody's.
fn capture_there(dir: &DataDir, date: NaiveDate) {
    let noon_us = BusinessZone::default().start_of(date) + 12 * 3_600_000_000;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let database = Database::open_sqlite(SqliteOptions::new(dir.join("gateway.sqlite"))).await.unwrap();
        let tx = database.begin_write("capture").await.unwrap();
        let capture = Template::new(
            "INSERT INTO movements (kind, transaction_key, order_id, amount, refund_key, at) \
             VALUES ('CAPTURE', 'k1', 'order-1', 700, NULL, ?)",
        );
        tx.execute_raw(capture.statement(tx.dialect(), [noon_us.into()])).await.unwrap();
        tx.commit().await.unwrap();
        database.close().await;
    });
}

fn error_of(ended: Ended) -> String {
    let ended = ended.expect(2);
    let error = ended.json()["error"].as_str().unwrap().to_owned();
    assert!(ended.stderr.contains(&error), "{}", ended.stderr);
    error
}

#[test]
fn a_day_is_reconciled_beside_the_shop_and_a_difference_is_exit_code_1() {
    let dir = DataDir::new();
    let yesterday = today() - Days::new(1);
    assert!(error_of(reconcile(&dir, yesterday)).contains("there is no database"));
    let up = Up::start(dir.path());
    let clean = reconcile(&dir, yesterday).expect(0).json();
    assert_eq!((&clean["entries"], &clean["openFindings"]), (&json!(0), &json!([])));

    capture_there(&dir, yesterday);
    let first = reconcile(&dir, yesterday).expect(1).json();
    let again = reconcile(&dir, yesterday).expect(1).json();
    assert_eq!((&first["new"], &again["new"]), (&json!(1), &json!(0)), "reported once");
    assert_eq!(first["openFindings"], again["openFindings"]);
    let found: &Value = &first["openFindings"][0];
    assert_eq!((&found["kind"], &found["reference"]), (&json!("MISSING_HERE"), &json!("order-1")));
    assert_eq!((&found["theirs"]["amount"], &found["ours"]), (&json!(700), &Value::Null));
    assert_eq!(found["proposedAction"], "FIND_OWNER");
    let text = run(dir.path(), &["reconcile", "--date", &yesterday.to_string()]).expect(1).stdout;
    assert!(
        text.contains("MISSING_HERE CAPTURE k1 of order-1") && text.contains("1 open findings"),
        "{text}"
    );

    assert!(error_of(reconcile(&dir, today())).contains("is not over"));
    run(dir.path(), &["reconcile", "--date", "yesterday"]).expect(2);
    drop(up);
    assert!(error_of(reconcile(&dir, yesterday)).contains("cannot be had"), "the gateway is gone");
}

#[test]
fn a_gateway_without_a_report_is_said() {
    let dir = DataDir::new();
    run(dir.path(), &["migrate"]).expect(0);
    let mut command = crate::support::command(
        dir.path(),
        &["reconcile", "--date", &(today() - Days::new(1)).to_string(), "--json"],
    );
    command.env("COMMERCE_GATEWAY__SETTLEMENT", "false");
    let ended: Ended = command.output().unwrap().into();
    assert!(error_of(ended).contains("`gateway.settlement` is false"));
}
