//! The audit finds what was lost or counted twice between the shop and the collector.

use commerce_database::{Database, SqliteOptions};
use sea_orm::ConnectionTrait as _;

use crate::support::{DataDir, Ended, Up, run};

/// Runs `sql` on a file of the data directory; rows changed.
fn change(dir: &DataDir, file: &str, sql: &str) -> u64 {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let database = Database::open_sqlite(SqliteOptions::new(dir.join(file))).await.unwrap();
        let transaction = database.begin_write("break").await.unwrap();
        let changed = transaction.execute_unprepared(sql).await.unwrap().rows_affected();
        transaction.commit().await.unwrap();
        database.close().await;
        changed
    })
}

fn audit(dir: &DataDir, code: i32) -> Ended {
    run(dir.path(), &["audit", "--settled"]).expect(code)
}

#[test]
fn every_difference_between_what_was_done_and_what_was_counted_is_found() {
    let dir = DataDir::new();
    let up = Up::start(dir.path());
    let url = up.url();
    run(dir.path(), &["flash-sale", "--url", &url, "--buyers", "6", "--stock", "6"]).expect(0);
    up.terminate();
    audit(&dir, 0);
    let breaks = [
        // An event that was never counted, and one that the shop does not know.
        (
            "collector.sqlite",
            "UPDATE event_handled SET sequence = sequence + 40 WHERE aggregate_id = \
             (SELECT aggregate_id FROM event_handled WHERE aggregate_type = 'ORDER' ORDER BY id LIMIT 1)",
            "UPDATE event_handled SET sequence = sequence - 40 WHERE sequence > 40",
            "order:",
        ),
        (
            "collector.sqlite",
            "UPDATE product_metrics_daily SET amount = amount + 1 WHERE orders > 0",
            "UPDATE product_metrics_daily SET amount = amount - 1 WHERE orders > 0",
            "counted: 6 orders, 6 pieces",
        ),
        (
            "collector.sqlite",
            "UPDATE product_metrics SET likes = likes + 1",
            "UPDATE product_metrics SET likes = likes - 1",
            "0 likes; counted: 1",
        ),
        (
            "collector.sqlite",
            "UPDATE ranking_board SET score = score + 1 WHERE type = 'ORDER'",
            "UPDATE ranking_board SET score = score - 1 WHERE type = 'ORDER'",
            "board:D",
        ),
        // Events that are still to come.
        (
            "events.sqlite",
            "UPDATE log_partitions SET next_offset = next_offset + 3 WHERE topic = 'product'",
            "UPDATE log_partitions SET next_offset = next_offset - 3 WHERE topic = 'product'",
            "log:product/",
        ),
    ];
    for (file, harm, mend, told) in breaks {
        assert!(change(&dir, file, harm) > 0, "{harm}");
        let text = audit(&dir, 1).stdout;
        assert!(text.contains("VIOLATED invariant 5") && text.contains(told), "{harm}: {text}");
        change(&dir, file, mend);
        audit(&dir, 0);
    }
    // What only lags is not wrong, unless it should have settled.
    change(&dir, "events.sqlite", "UPDATE log_partitions SET next_offset = next_offset + 3");
    let text = run(dir.path(), &["audit"]).expect(0).stdout;
    assert!(text.contains("PENDING invariant 5: log:order/0: 3 events are not counted yet"), "{text}");
}
