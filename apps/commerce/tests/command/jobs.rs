//! Jobs and reports from the command line, and a job that is killed.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use commerce_collector::{Collector, Options};
use commerce_database::{Database, DatabaseError, SqliteOptions, Template};
use commerce_runtime::SystemClock;
use sea_orm::ConnectionTrait as _;
use tokio::time::Instant;

use crate::support::{DataDir, Ended, command, run};

/// A week that is over wherever this runs.
const WEEK: [&str; 5] = ["job", "run", "weekly", "--week", "2024-W01"];

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work)
}

/// A collector that has counted so many products on each day of the week.
fn counted(dir: &Path, products: i64) {
    block_on(async {
        let options = Options::new(dir.join(Options::DATABASE_FILE));
        let collector = Collector::open(options, &SystemClock).await.unwrap();
        let days = Template::new(
            "WITH RECURSIVE p(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM p WHERE id < {products}), \
             d(day) AS (SELECT 20240101 UNION ALL SELECT day + 1 FROM d WHERE day < 20240107) \
             INSERT INTO product_metrics_daily (product_id, date, views, likes, orders, quantity, amount) \
             SELECT id, day, (id * 31 + day) % 97, id % 5, id % 3, id % 7, id * 10 FROM p, d",
        );
        let totals = "INSERT INTO product_metrics (product_id, views, likes, orders, quantity, amount) \
             SELECT product_id, SUM(views), SUM(likes), SUM(orders), SUM(quantity), SUM(amount) \
             FROM product_metrics_daily GROUP BY product_id";
        let tx = collector.database.begin_write("test").await.unwrap();
        let days = days.number("products", products).statement(tx.dialect(), []);
        let written: Result<_, DatabaseError> = tx.execute_raw(days).await.map_err(Into::into);
        written.unwrap();
        tx.execute_unprepared(totals).await.unwrap();
        tx.commit().await.unwrap();
        collector.close().await;
    });
}

/// The only number of a query on the collector's database, beside whoever writes it.
fn number(dir: &Path, sql: &'static str) -> i64 {
    block_on(async {
        let file = SqliteOptions::new(dir.join(Options::DATABASE_FILE));
        let database = Database::open_sqlite_read_only(&file).await.unwrap().unwrap();
        let statement = Template::new(sql).statement(database.dialect(), []);
        let row = database.reader_named("test").query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    })
}

/// Sums that differ where a row of the table or of its boards does.
fn fingerprint(dir: &Path) -> [i64; 3] {
    [
        "SELECT COALESCE(SUM((product_id * 1000003 + views * 101 + likes * 103 + orders * 107 + quantity * 109 + \
         amount) % 1000000007), 0) FROM product_metrics_weekly WHERE period = 'W202401'",
        "SELECT COALESCE(SUM((product_id * 1000003 + rank * 1009 + score * 10007 + version) % 1000000007), 0) \
         FROM ranking_board WHERE period = 'W202401'",
        "SELECT COUNT(*) FROM ranking_board WHERE period = 'W202401'",
    ]
    .map(|sql| number(dir, sql))
}

#[test]
fn a_job_killed_in_the_middle_is_taken_over_and_ends_as_a_clean_one() {
    const PRODUCTS: i64 = 5_000;
    let (clean, killed) = (DataDir::new(), DataDir::new());
    counted(clean.path(), PRODUCTS);
    counted(killed.path(), PRODUCTS);
    run(clean.path(), &WEEK).expect(0);
    let mut child = command(killed.path(), &WEEK)
        .env("COMMERCE_COLLECTOR__JOB_LEASE_S", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let patience = Instant::now() + Duration::from_mins(1);
    while number(killed.path(), "SELECT COALESCE(MAX(commit_count), 0) FROM step_execution") < 3 {
        assert!(
            Instant::now() < patience && child.try_wait().unwrap().is_none(),
            "it never was in the middle"
        );
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let done = number(killed.path(), "SELECT read_count FROM step_execution WHERE step = 'aggregate'");
    assert!((300..PRODUCTS).contains(&done), "killed after {done}");
    assert_eq!(number(killed.path(), "SELECT COUNT(*) FROM ranking_board"), 0);
    // While the dead one's lease lasts it is refused; then it is taken over, from where it stood.
    let ended = loop {
        let ended: Ended = command(killed.path(), &WEEK)
            .env("COMMERCE_COLLECTOR__JOB_LEASE_S", "1")
            .output()
            .unwrap()
            .into();
        if ended.code == 0 {
            break ended;
        }
        assert!(ended.stderr.contains("already running, as execution 1"), "{}", ended.stderr);
        assert!(Instant::now() < patience, "it is never taken over");
    };
    assert!(ended.stdout.contains("W202401: COMPLETED as execution 2; 5000 products"), "{}", ended.stdout);
    assert_eq!(fingerprint(killed.path()), fingerprint(clean.path()));
    let list = run(killed.path(), &["job", "list"]).expect(0).stdout;
    assert!(list.contains("ABANDONED") && list.contains("COMPLETED"), "{list}");
}

#[test]
fn jobs_are_run_listed_shown_and_refused() {
    let dir = DataDir::new();
    let none = run(dir.path(), &["job", "list"]).expect(2);
    assert!(none.stderr.contains("there is no database"), "{}", none.stderr);
    run(dir.path(), &["migrate"]).expect(0);
    run(dir.path(), &["seed", "--products", "3"]).expect(0);
    counted(dir.path(), 5);
    assert!(run(dir.path(), &["job", "list"]).expect(0).stdout.contains("no job was run yet"));
    let weekly = run(dir.path(), &["job", "run", "weekly", "--date", "2024-01-04"]).expect(0).stdout;
    assert!(weekly.starts_with("W202401: COMPLETED as execution 1; 5 products, 0 left out"), "{weekly}");
    let again = run(dir.path(), &WEEK).expect(1);
    assert!(again.stderr.contains("already complete, by execution 1"), "{}", again.stderr);
    run(dir.path(), &[&WEEK[..], &["--force"]].concat()).expect(0);
    run(dir.path(), &["job", "run", "monthly", "--month", "2024-01"]).expect(0);
    let shown = run(dir.path(), &["job", "show", "1"]).expect(0).stdout;
    assert!(shown.contains("weekly W202401: COMPLETED") && shown.contains("aggregate"), "{shown}");
    for (arguments, told) in [
        (vec!["job", "stop", "1"], "execution 1 is not running"),
        (vec!["job", "show", "77"], "there is no execution 77"),
        (vec!["job", "run", "monthly", "--date", "9000-01-01"], "M900001 has no day that is over yet"),
    ] {
        let refused = run(dir.path(), &arguments).expect(1);
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
    }
    for wrong in [
        vec!["job", "run", "monthly", "--week", "2024-W01"],
        vec!["job", "run", "weekly", "--week", "2021-W53"],
        vec!["job", "run", "weekly", "--week", "2024-W01", "--date", "2024-01-01"],
        vec!["job", "run", "yearly"],
        vec!["report", "--period", "weekly", "--top", "0"],
    ] {
        run(dir.path(), &wrong).expect(2);
    }
    let report =
        run(dir.path(), &["report", "--period", "weekly", "--date", "2024-01-07", "--type", "order"]);
    let report = report.expect(0).stdout;
    assert!(report.starts_with("2024-W01 by orders: 4 products, complete"), "{report}");
    assert!(report.contains("rank") && report.contains("price"), "{report}");
    let empty = run(dir.path(), &["report", "--period", "monthly", "--date", "2023-06-01"]).expect(0).stdout;
    assert!(empty.contains("0 products"), "{empty}");
}
