//! What cannot be counted is kept as it came, and never skipped.

use commerce_collector::Options;
use commerce_collector::application::dead_letters::LetterFilter;
use commerce_collector::application::ports::{DeadLetter, LetterState};
use serde_json::json;

use crate::support::events::{mixed, recount};
use crate::support::{Bench, Counts, Event, halted, number, run};

/// All of them, latest first.
pub async fn dead_letters(bench: &Bench) -> Vec<DeadLetter> {
    let collector = bench.collector().await;
    let desk = collector.dead_letters(bench.clock.clone());
    let letters = desk.list(&LetterFilter::default(), None, 1_000).await;
    collector.close().await;
    letters.unwrap()
}

#[tokio::test]
async fn one_poisoned_record_in_three_thousand_is_set_aside_and_the_rest_counts_once() {
    let bench = Bench::open().await;
    let events = mixed(2_999);
    let poison: Vec<u8> = (0..=255).collect();
    bench.publish(&events[..1_500]).await;
    bench.publish_bytes("order", "poison", &poison).await;
    bench.publish(&events[1_500..]).await;
    let running = bench.start_with(|options| options.consumer.batch_max = 1_000).await;
    let counts = bench.counts_after(running).await;
    assert_eq!(counts, Counts { dead_letters: 1, ..recount(&events) });
    let [letter] = &dead_letters(&bench).await[..] else { panic!("one dead letter") };
    assert_eq!(letter.value, poison);
    assert_eq!(letter.key, "poison");
    assert_eq!(letter.headers, [("ce_id".to_owned(), vec![0_u8, 0xff].into())]);
    assert_eq!((letter.topic.as_str(), letter.cause.as_str(), letter.attempts), ("order", "NOT_JSON", 1));
    assert_eq!((letter.state, letter.set_aside_at_us), (LetterState::Open, crate::support::NOW_US));
}

#[tokio::test]
async fn unknown_versions_types_and_places_are_set_aside_with_what_is_known_of_them() {
    let bench = Bench::open().await;
    let good = Event::viewed(1, 3);
    let publish = async |change: (&str, serde_json::Value), topic: &str| {
        let mut envelope = good.envelope();
        envelope[change.0] = change.1;
        bench.publish_bytes(topic, "3", envelope.to_string().as_bytes()).await;
    };
    publish(("version", json!(9)), "product").await;
    publish(("eventType", json!("ProductSmelled")), "product").await;
    publish(("version", json!(1)), "coupon").await;
    publish(("payload", json!({"productId": "three"})), "product").await;
    bench.publish(std::slice::from_ref(&good)).await;
    let running = bench.start().await;
    let counts = bench.counts_after(running).await;
    assert_eq!((counts.handled, counts.dead_letters), (1, 4));
    let mut letters = dead_letters(&bench).await;
    letters.sort_by(|a, b| a.cause.cmp(&b.cause));
    let causes: Vec<_> = letters.iter().map(|letter| letter.cause.as_str()).collect();
    assert_eq!(causes, ["BAD_PAYLOAD", "UNKNOWN_TYPE", "UNKNOWN_VERSION", "WRONG_TOPIC"]);
    for letter in letters {
        assert_eq!(letter.identity.event_id, Some(good.id));
        assert_eq!(letter.identity.aggregate_id.as_deref(), Some("3"));
        assert_eq!(letter.identity.sequence, Some(0));
        assert!(!letter.detail.contains("three"), "{}", letter.detail);
    }
}

#[tokio::test]
async fn an_event_of_tomorrow_is_set_aside_and_not_counted_for_tomorrow() {
    let bench = Bench::open().await;
    let soon = Event::viewed(1, 3).at("2027-01-15T08:04:59Z");
    let tomorrow = Event::viewed(2, 3).at("2027-01-16T08:00:00Z");
    bench.publish(&[soon.clone(), tomorrow]).await;
    let running = bench.start().await;
    let counts = bench.counts_after(running).await;
    assert_eq!(counts, Counts { dead_letters: 1, ..recount(&[soon]) });
    assert_eq!(dead_letters(&bench).await[0].cause, "FUTURE_DATED");
}

#[tokio::test]
async fn records_set_aside_and_read_again_stay_one_dead_letter() {
    let bench = Bench::open().await;
    bench.publish_bytes("order", "a", b"junk").await;
    bench.publish_bytes("order", "b", b"junk").await;
    let running = bench.start().await;
    assert_eq!(bench.counts_after(running).await.dead_letters, 2);
    let collector = bench.collector().await;
    run(&collector.database, "DELETE FROM consumer_offsets").await;
    collector.close().await;
    let running = bench.start().await;
    assert_eq!(bench.counts_after(running).await.dead_letters, 2);
}

#[tokio::test]
async fn an_event_that_storage_refuses_alone_is_set_aside_after_three_attempts() {
    let bench = Bench::on_sqlite().await;
    let collector = bench.collector().await;
    run(
        &collector.database,
        "CREATE TRIGGER refuse BEFORE INSERT ON product_metrics WHEN NEW.product_id = 666 \
         BEGIN SELECT RAISE(ABORT, 'not this product'); END",
    )
    .await;
    collector.close().await;
    let events = mixed(400);
    let bad = Event::viewed(1_000_000, 666);
    bench.publish(&events[..200]).await;
    bench.publish(std::slice::from_ref(&bad)).await;
    bench.publish(&events[200..]).await;
    let running = bench.start().await;
    let counts = bench.counts_after(running).await;
    assert_eq!(counts, Counts { dead_letters: 1, ..recount(&events) });
    let [letter] = &dead_letters(&bench).await[..] else { panic!("one dead letter") };
    assert_eq!((letter.cause.as_str(), letter.attempts), ("STORE_REFUSED", 3));
    assert_eq!(letter.value, bad.record().value);
    assert_eq!(letter.identity.event_id, Some(bad.id));
}

#[tokio::test]
async fn a_decoder_that_fails_all_halts_at_the_limit_and_again_after_a_restart() {
    let bench = Bench::open().await;
    for number in 0..300 {
        bench.publish_bytes("order", "one key, one partition", format!("junk {number}").as_bytes()).await;
    }
    for _ in 0..2 {
        let running = bench.start().await;
        let reason = halted(&running).await;
        assert!(reason.starts_with("50 of the last 1000 records of order/"), "{reason}");
        assert!(reason.contains("NOT_JSON"), "{reason}");
        running.stop().await;
        assert_eq!(dead_letters(&bench).await.len(), 50);
        let collector = bench.collector().await;
        let next = "SELECT MAX(next_offset) FROM consumer_offsets";
        assert_eq!(number(&collector.database, next).await, 50, "nothing is skipped");
        collector.close().await;
    }
    // With a decoder that is mended, or a limit that is lifted, it goes on where it stood.
    let running = bench.start_with(|options: &mut Options| options.consumer.dead_letter_percent = 100).await;
    assert_eq!(bench.counts_after(running).await.dead_letters, 300);
}

#[tokio::test]
async fn without_its_dead_letters_the_consumer_halts_and_loses_nothing() {
    let bench = Bench::on_sqlite().await;
    let collector = bench.collector().await;
    run(
        &collector.database,
        "CREATE TRIGGER refuse BEFORE INSERT ON dead_letters BEGIN SELECT RAISE(ABORT, 'full'); END",
    )
    .await;
    let orders: Vec<_> = (1..=20).map(|n| Event::paid(n, 7, &[(3, 1, 100)])).collect();
    let order = orders[0].key.clone();
    bench.publish(&orders[..10]).await;
    bench.publish_bytes("order", &order, b"junk").await;
    bench.publish(&orders[10..]).await;
    let running = bench.start().await;
    let reason = halted(&running).await;
    assert!(reason.contains("can be neither counted nor set aside"), "{reason}");
    running.stop().await;
    let counts = Counts::read(&collector.database).await;
    assert_eq!((counts.handled, counts.dead_letters), (10, 0), "what came before it is counted");
    run(&collector.database, "DROP TRIGGER refuse").await;
    collector.close().await;
    let running = bench.start().await;
    let counts = bench.counts_after(running).await;
    assert_eq!(counts, Counts { dead_letters: 1, ..recount(&orders) });
}
