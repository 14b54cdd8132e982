//! Measures the weekly job: `cargo run --release -p commerce-collector --example weekly -- 100000` makes so many products
//! with seven days each in a temporary directory, closes the week durably, and tells seconds, rows and memory.

#![expect(clippy::print_stdout, reason = "its output is the figures")]

use std::error::Error;
use std::sync::Arc;

use commerce_boards::Period;
use commerce_collector::{Collector, Options};
use commerce_database::Template;
use commerce_runtime::SystemClock;
use sea_orm::ConnectionTrait as _;
use tokio::sync::watch;
use tokio::time::Instant;

const DAYS: &str = "WITH RECURSIVE p(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM p WHERE id < {products}), \
     d(day) AS (SELECT 20240101 UNION ALL SELECT day + 1 FROM d WHERE day < 20240107) \
     INSERT INTO product_metrics_daily (product_id, `date`, views, likes, orders, quantity, amount) \
     SELECT id, day, (id * 31 + day) % 97, id % 5, id % 3, id % 7, id * 10 FROM p, d";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let products: u32 = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let dir = tempfile::tempdir()?;
    let collector =
        Collector::open(Options::new(dir.path().join(Options::DATABASE_FILE)), &SystemClock).await?;
    let tx = collector.database.begin_write("days").await?;
    tx.execute_raw(Template::new(DAYS).number("products", products).statement(tx.dialect(), [])).await?;
    tx.commit().await?;
    let jobs = collector.jobs(Arc::new(SystemClock), watch::channel(false).1);
    let week = Period::parse("W202401").ok_or("no week")?;
    let aggregated = watch::Sender::new(None);
    let (started_at, seen) = (Instant::now(), aggregated.clone());
    let observer = Arc::new(move |shown: commerce_collector::application::jobs::Shown| {
        if shown.step == "aggregate" {
            seen.send_replace(Some(Instant::now()));
        }
    });
    jobs.run(week, false, observer).await?;
    let whole = started_at.elapsed();
    let chunks = aggregated.borrow().map_or(whole, |at| at - started_at);
    let rows = f64::from(products) * 7.0;
    println!(
        "{products} products x 7 days: {:.2} s, of which chunks {:.2} s",
        whole.as_secs_f64(),
        chunks.as_secs_f64()
    );
    println!(
        "{:.0} daily rows/s, {:.0} products/s",
        rows / whole.as_secs_f64(),
        rows / 7.0 / whole.as_secs_f64()
    );
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status.lines().filter(|line| line.starts_with("VmHWM")) {
        println!("{line}");
    }
    collector.close().await;
    Ok(())
}
