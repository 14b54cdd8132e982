//! What the audit is told.

use commerce_collector::Weights;
use tokio::sync::watch;

use crate::support::events::mixed;
use crate::support::{Bench, Event, run};

#[tokio::test]
async fn the_facts_of_what_was_counted() {
    let bench = Bench::open().await;
    let paid = Event::paid(1, 7, &[(3, 2, 100), (4, 1, 50)]);
    let canceled = Event::canceled(2, &paid, true);
    let created = Event { kind: "PaymentRequested", ..Event::requested(3, 7) };
    bench.publish(&[created, paid.clone(), canceled, Event::paid(4, 8, &[(3, 1, 100)])]).await;
    bench
        .publish(&[
            Event::liked(5, 3, 1),
            Event::liked(6, 3, 2),
            Event::liked(7, 4, 1),
            Event::unliked(8, 4, 1),
        ])
        .await;
    let mut unknown = Event::paid(9, 7, &[]).envelope();
    unknown["version"] = 2.into();
    unknown["sequence"] = 4.into();
    bench.publish_bytes("order", &paid.key, unknown.to_string().as_bytes()).await;
    let running = bench.start().await;
    bench.counts_after(running).await;
    let collector = bench.collector().await;
    let facts = collector.facts().await.unwrap();
    let handled = facts.handled("ORDER").await.unwrap();
    let order = handled[&paid.key];
    assert_eq!((handled.len(), order.count, order.first, order.last), (2, 3, 1, 3));
    let [letter] = &facts.open_dead_letters().await.unwrap()[..] else { panic!("one dead letter") };
    assert_eq!((letter.aggregate_id.as_ref(), letter.sequence), (Some(&paid.key), Some(4)));
    assert_eq!(facts.likes().await.unwrap().into_iter().collect::<Vec<_>>(), [(3, 2)]);
    let daily = facts.daily("2027-01-15".parse().unwrap()).await.unwrap();
    let sold: Vec<_> =
        daily.iter().map(|((_, product), m)| (*product, m.orders, m.quantity, m.amount)).collect();
    assert_eq!(sold, [(3, 1, 1, 100), (4, 0, 0, 0)]);
    assert!(facts.daily("2027-01-16".parse().unwrap()).await.unwrap().is_empty());
    let counted: i64 = facts.counted_to().await.unwrap().iter().map(|counted| counted.next).sum();
    assert_eq!(counted, 9);
    drop(facts);
    collector.close().await;
}

#[tokio::test]
async fn a_board_or_total_that_was_tampered_with_is_found_and_a_dirty_day_is_pending() {
    let bench = Bench::open().await;
    bench.publish(&mixed(500)).await;
    let running = bench.start().await;
    bench.counts_after(running).await;
    let collector = bench.collector().await;
    // What came late made its week and month dirty.
    collector.jobs(bench.clock.clone(), watch::channel(false).1).run_due().await.unwrap();
    let findings = async || {
        let facts = collector.facts().await.unwrap();
        facts.boards(Weights::default()).await.unwrap()
    };
    let clean = findings().await;
    assert_eq!((clean.days, clean.wrong, clean.pending), (3, Vec::new(), Vec::new()));

    run(
        &collector.database,
        "UPDATE ranking_board SET score = score + 1 WHERE period = 'D20270114' AND `rank` = 1",
    )
    .await;
    let wrong: Vec<_> = findings().await.wrong.into_iter().map(|(subject, _)| subject).collect();
    assert_eq!(wrong, ["ALL", "LIKE", "VIEW", "ORDER"].map(|board| format!("board:D20270114:{board}")));
    collector.rebuild_boards("2027-01-14".parse().unwrap()).await.unwrap();
    assert!(findings().await.wrong.is_empty());

    run(&collector.database, "UPDATE product_metrics SET views = views + 1 WHERE product_id = 7").await;
    assert_eq!(findings().await.wrong[0].0, "metrics:7");
    run(&collector.database, "UPDATE product_metrics SET views = views - 1 WHERE product_id = 7").await;

    run(&collector.database, "UPDATE business_periods SET changed = changed + 1 WHERE period = 'D20270113'")
        .await;
    let dirty = findings().await;
    assert_eq!(
        (dirty.days, dirty.wrong, dirty.pending),
        (1, vec![], vec!["D20270113".into(), "D20270114".into()])
    );
    collector.close().await;
}
