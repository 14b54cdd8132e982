//! Dead letters that operators deal with: each event counts once, whenever and however often that happens.

use std::sync::Arc;

use commerce_collector::application::DeadLetterDesk;
use commerce_collector::application::dead_letters::{LetterFilter, Outcome, Selection, Summary};
use commerce_collector::application::ports::LetterState;
use commerce_collector::{Collector, Status};
use serde_json::json;

use crate::dead_letters::dead_letters;
use crate::support::events::{mixed, recount};
use crate::support::{Bench, Counts, Event, halted, number, run, until};

fn all() -> Selection {
    Selection { filter: LetterFilter::default(), after: i64::MIN, max: 10_000, dry_run: false }
}

async fn with_desk<T>(bench: &Bench, work: impl AsyncFnOnce(&DeadLetterDesk, &Collector) -> T) -> T {
    let collector = bench.collector().await;
    let done = work(&collector.dead_letters(bench.clock.clone()), &collector).await;
    collector.close().await;
    done
}

/// Counted, and as many letters as are left open.
async fn counts(bench: &Bench) -> (Counts, i64) {
    let collector = bench.collector().await;
    let counts = Counts::read(&collector.database).await;
    let open = number(&collector.database, "SELECT COUNT(*) FROM dead_letters WHERE state = 'OPEN'").await;
    collector.close().await;
    (counts, open)
}

/// Events of tomorrow, at their time.
fn tomorrow(numbers: std::ops::Range<u128>) -> Vec<Event> {
    numbers.map(|n| Event::viewed(n, 3).at("2027-01-16T08:00:00Z")).collect()
}

async fn counted(bench: &Bench, events: &[Event]) {
    bench.publish(events).await;
    let running = bench.start().await;
    bench.counts_after(running).await;
}

#[tokio::test]
async fn events_of_the_future_are_replayed_when_their_time_has_come_and_not_before() {
    let bench = Bench::open().await;
    let (now, later) = (mixed(60), tomorrow(1_000..1_003));
    counted(&bench, &[&now[..], &later[..]].concat()).await;
    let early = with_desk(&bench, async |desk, _| desk.replay(&all(), "cli").await.unwrap()).await;
    assert_eq!((early.counted, early.refused.get("FUTURE_DATED")), (0, Some(&3)));
    let letters = dead_letters(&bench).await;
    assert!(letters.iter().all(|letter| letter.attempts == 2 && letter.state == LetterState::Open));

    bench.clock.advance(std::time::Duration::from_hours(24));
    let done = with_desk(&bench, async |desk, _| desk.replay(&all(), "cli").await.unwrap()).await;
    assert_eq!(done, Summary { examined: 3, counted: 3, ..Summary::default() });
    let expected = recount(&[now, later].concat());
    assert_eq!(counts(&bench).await, (Counts { dead_letters: 3, ..expected }, 0));
}

#[tokio::test]
async fn replayed_twice_before_and_after_newer_events_counts_once() {
    let bench = Bench::open().await;
    let (first, later, newer) = (mixed(40), tomorrow(1_000..1_004), tomorrow(2_000..2_050));
    counted(&bench, &[&first[..], &later[..]].concat()).await;
    bench.clock.advance(std::time::Duration::from_hours(24));
    let half = Selection { max: 2, ..all() };
    let begun = with_desk(&bench, async |desk, _| desk.replay(&half, "cli").await.unwrap()).await;
    assert_eq!((begun.counted, begun.next_after.is_some()), (2, true));
    // The relay publishes them again, as it may: now they are counted by the consumer, or were.
    counted(&bench, &[&newer[..], &later[..]].concat()).await;
    for round in [2, 0, 0] {
        let again = with_desk(&bench, async |desk, _| desk.replay(&all(), "cli").await.unwrap()).await;
        assert_eq!((again.counted, again.duplicates), (0, round));
    }
    let expected = recount(&[first, later, newer].concat());
    assert_eq!(counts(&bench).await, (Counts { dead_letters: 4, ..expected }, 0));
}

#[tokio::test]
async fn a_letter_is_replayed_once_also_when_its_dedupe_row_is_gone() {
    let bench = Bench::open().await;
    // The same event twice in the log, both set aside.
    let [event] = &tomorrow(1..2)[..] else { panic!("one event") };
    counted(&bench, &[event.clone(), event.clone()]).await;
    bench.clock.advance(std::time::Duration::from_hours(24));
    let [second, first] = &dead_letters(&bench).await[..] else { panic!("two letters") };
    with_desk(&bench, async |desk, collector| {
        assert_eq!(desk.replay_one(first.id, "user:1").await.unwrap(), Some(Outcome::Counted));
        run(&collector.database, "DELETE FROM event_handled").await;
        let again = desk.replay_one(first.id, "user:1").await.unwrap();
        assert_eq!(again, Some(Outcome::Settled(LetterState::Replayed)));
        assert_eq!(desk.replay_one(second.id, "user:1").await.unwrap(), Some(Outcome::Duplicate));
        assert_eq!(desk.replay_one(99, "user:1").await.unwrap(), None);
        assert_eq!(
            number(&collector.database, "SELECT CAST(SUM(views) AS SIGNED) FROM product_metrics").await,
            1
        );
        let (_, notes) = desk.show(first.id).await.unwrap().unwrap();
        let notes: Vec<_> = notes.iter().map(|note| (note.actor.as_str(), note.action.as_str())).collect();
        assert_eq!(notes, [("user:1", "DEAD_LETTER_REPLAYED")]);
    })
    .await;
}

#[tokio::test]
async fn retention_leaves_what_an_open_letter_may_need() {
    let bench = Bench::open().await;
    let later = tomorrow(1_000..1_002);
    counted(&bench, &later).await;
    bench.clock.advance(std::time::Duration::from_hours(24));
    // One of the two is published again and counted; its letter is open still.
    counted(&bench, &later[..1]).await;
    counted(&bench, &mixed(20)).await;
    bench.clock.advance(std::time::Duration::from_hours(20 * 24));
    with_desk(&bench, async |desk, collector| {
        let jobs = collector.jobs(bench.clock.clone(), tokio::sync::watch::channel(false).1);
        assert!(jobs.forget().await.unwrap());
        let forgotten = number(&collector.database, "SELECT 21 - COUNT(*) FROM event_handled").await;
        assert!(forgotten >= 19, "{forgotten}");
        let done = desk.replay(&all(), "cli").await.unwrap();
        assert_eq!((done.counted, done.duplicates), (1, 1));
    })
    .await;
    let (counts, open) = counts(&bench).await;
    assert_eq!((counts.totals, open), (recount(&[later, mixed(20)].concat()).totals, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_and_a_consumer_at_once_count_every_event_once() {
    let bench = Bench::open().await;
    let (first, later) = (mixed(100), tomorrow(10_000..10_300));
    bench.publish(&[&first[..], &later[..]].concat()).await;
    let lifted = |options: &mut commerce_collector::Options| options.consumer.dead_letter_percent = 100;
    let running = bench.start_with(lifted).await;
    bench.counts_after(running).await;
    bench.clock.advance(std::time::Duration::from_hours(24));
    bench.publish(&later).await;
    let collectors = [bench.collector().await, bench.collector().await];
    let running = bench.start_with(|options| options.consumer.batch_max = 10).await;
    let desks = collectors.each_ref().map(|collector| collector.dead_letters(bench.clock.clone()));
    let everything = all();
    let (left, right) =
        tokio::join!(desks[0].replay(&everything, "user:1"), desks[1].replay(&everything, "user:2"));
    let (left, right) = (left.unwrap(), right.unwrap());
    assert_eq!(left.counted + left.duplicates + right.counted + right.duplicates, 300);
    bench.counts_after(running).await;
    for collector in collectors {
        collector.close().await;
    }
    let expected = recount(&[first, later].concat());
    assert_eq!(counts(&bench).await, (Counts { dead_letters: 300, ..expected }, 0));
}

#[tokio::test]
async fn a_dry_run_tells_what_would_happen_and_changes_nothing() {
    let bench = Bench::open().await;
    let (known, later) = (Event::viewed(1, 3), tomorrow(10..13));
    counted(&bench, &[vec![known.clone()], later.clone(), vec![later[0].clone()]].concat()).await;
    bench.publish_bytes("order", "k", b"junk").await;
    counted(&bench, &[]).await;
    bench.clock.advance(std::time::Duration::from_hours(24));
    let before = counts(&bench).await;
    let told = with_desk(&bench, async |desk, _| {
        desk.replay(&Selection { dry_run: true, ..all() }, "cli").await.unwrap()
    })
    .await;
    let refused = [("NOT_JSON", 1)].into_iter().collect();
    assert_eq!(told, Summary { examined: 5, counted: 3, duplicates: 1, refused, ..Summary::default() });
    assert_eq!(counts(&bench).await, before);
    assert!(dead_letters(&bench).await.iter().all(|letter| letter.attempts == 1));
    let done = with_desk(&bench, async |desk, _| desk.replay(&all(), "cli").await.unwrap()).await;
    assert_eq!(done, told);
    let discard = Selection { dry_run: true, ..all() };
    let told = with_desk(&bench, async |desk, _| desk.discard(&discard, "junk", "cli").await.unwrap()).await;
    assert_eq!((told.discarded, counts(&bench).await.1), (1, 1));
}

#[tokio::test]
async fn what_a_mended_decoder_can_read_counts_and_what_it_cannot_says_why() {
    let bench = Bench::on_sqlite().await;
    // Written by a release of tomorrow: what this one knows of it is made readable by hand, as if it had learnt it.
    let event = Event::viewed(1, 3);
    let mut envelope = event.envelope();
    envelope["version"] = json!(9);
    bench.publish_bytes("product", "3", envelope.to_string().as_bytes()).await;
    bench.publish_bytes("product", "3", b"junk").await;
    counted(&bench, &[]).await;
    let collector = bench.collector().await;
    let mended = "UPDATE dead_letters SET value = CAST(REPLACE(CAST(value AS TEXT), '\"version\":9', \
                  '\"version\":1') AS BLOB)";
    run(&collector.database, mended).await;
    collector.close().await;
    let done = with_desk(&bench, async |desk, _| desk.replay(&all(), "user:7").await.unwrap()).await;
    assert_eq!((done.counted, done.refused.get("NOT_JSON")), (1, Some(&1)));
    assert_eq!(counts(&bench).await, (Counts { dead_letters: 2, ..recount(&[event]) }, 1));
    let [junk, read] = &dead_letters(&bench).await[..] else { panic!("two letters") };
    assert_eq!((junk.state, junk.attempts, junk.value.as_ref()), (LetterState::Open, 2, &b"junk"[..]));
    assert_eq!((read.state, read.attempts), (LetterState::Replayed, 2));
    assert_eq!(read.identity.event_type.as_deref(), Some("ProductViewed"));
}

#[tokio::test]
async fn letters_are_chosen_by_type_cause_time_and_id() {
    let bench = Bench::open().await;
    counted(&bench, &tomorrow(1..3)).await;
    bench.clock.advance(std::time::Duration::from_hours(1));
    let like = Event::liked(9, 5, 1).at("2027-01-20T00:00:00Z");
    bench.publish_bytes("order", "k", b"junk").await;
    counted(&bench, &[like]).await;
    let ids: Vec<i64> = dead_letters(&bench).await.iter().map(|letter| letter.id).collect();
    let filters = [
        (LetterFilter { event_type: Some("LikeAdded".into()), ..LetterFilter::default() }, 1),
        (LetterFilter { cause: Some("FUTURE_DATED".into()), ..LetterFilter::default() }, 3),
        (LetterFilter { until_us: Some(crate::support::NOW_US + 1), ..LetterFilter::default() }, 2),
        (LetterFilter { since_us: Some(crate::support::NOW_US + 1), ..LetterFilter::default() }, 2),
        (LetterFilter { ids: Some(ids[..1].to_vec()), ..LetterFilter::default() }, 1),
        (LetterFilter { ids: Some(Vec::new()), ..LetterFilter::default() }, 0),
        (LetterFilter { state: Some(LetterState::Replayed), ..LetterFilter::default() }, 0),
    ];
    with_desk(&bench, async |desk, _| {
        for (filter, expected) in filters {
            assert_eq!(desk.list(&filter, None, 100).await.unwrap().len(), expected, "{filter:?}");
            let dry = Selection { filter: filter.clone(), dry_run: true, ..all() };
            let examined = desk.replay(&dry, "cli").await.unwrap().examined;
            // Only open letters are ever replayed, whatever state is asked for.
            assert_eq!(examined, if filter.state.is_some() { 4 } else { expected }, "{filter:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_discarded_letter_keeps_its_reason_and_is_never_counted() {
    let bench = Bench::open().await;
    counted(&bench, &tomorrow(1..2)).await;
    let id = dead_letters(&bench).await[0].id;
    bench.clock.advance(std::time::Duration::from_hours(24));
    with_desk(&bench, async |desk, _| {
        let discarded = desk.discard_one(id, "a load test", "user:1").await.unwrap();
        assert_eq!(discarded, Some(Outcome::Discarded));
        let settled = Some(Outcome::Settled(LetterState::Discarded));
        assert_eq!(desk.discard_one(id, "again", "user:2").await.unwrap(), settled);
        assert_eq!(desk.replay_one(id, "user:2").await.unwrap(), settled);
        assert_eq!(desk.discard_one(99, "none", "user:2").await.unwrap(), None);
        let (letter, notes) = desk.show(id).await.unwrap().unwrap();
        assert_eq!(letter.state, LetterState::Discarded);
        let [note] = &notes[..] else { panic!("one note: {notes:?}") };
        assert_eq!((note.actor.as_str(), note.detail.as_str()), ("user:1", "a load test"));
    })
    .await;
    assert_eq!(counts(&bench).await, (Counts { dead_letters: 1, ..Counts::default() }, 0));
}

#[tokio::test]
async fn one_letter_that_storage_refuses_does_not_hold_the_others_back() {
    let bench = Bench::on_sqlite().await;
    let mut later = tomorrow(1..40);
    let bad = Event::viewed(666, 666).at("2027-01-16T08:00:00Z");
    later.insert(20, bad);
    counted(&bench, &later).await;
    bench.clock.advance(std::time::Duration::from_hours(24));
    with_desk(&bench, async |desk, collector| {
        let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON product_metrics WHEN NEW.product_id = 666 \
                      BEGIN SELECT RAISE(ABORT, 'not this product'); END";
        run(&collector.database, refuse).await;
        let done = desk.replay(&all(), "cli").await.unwrap();
        assert_eq!((done.examined, done.counted, done.refused.get("STORE_REFUSED")), (40, 39, Some(&1)));
        run(&collector.database, "DROP TRIGGER refuse").await;
        let done = desk.replay(&all(), "cli").await.unwrap();
        assert_eq!((done.examined, done.counted), (1, 1));
    })
    .await;
    assert_eq!(counts(&bench).await, (Counts { dead_letters: 40, ..recount(&later) }, 0));
}

#[tokio::test]
async fn a_halted_consumer_goes_on_once_its_letters_are_dealt_with() {
    let bench = Bench::open().await;
    for number in 0..80 {
        bench.publish_bytes("order", "one partition", format!("junk {number}").as_bytes()).await;
    }
    let good = mixed(30);
    bench.publish(&good).await;
    let running = bench.start().await;
    halted(&running).await;
    with_desk(&bench, async |desk, _| {
        let some = Selection { max: 49, ..all() };
        assert_eq!(desk.discard(&some, "a bad producer", "cli").await.unwrap().discarded, 49);
        assert!(matches!(running.consumer().status(), Status::Halted(_)), "one is left");
        assert_eq!(desk.discard(&all(), "a bad producer", "cli").await.unwrap().discarded, 1);
    })
    .await;
    let counts = bench.counts_after(running).await;
    assert_eq!(counts, Counts { dead_letters: 80, ..recount(&good) });
}

#[tokio::test]
async fn an_operator_resumes_a_consumer_that_halted_for_another_reason() {
    let bench = Bench::on_sqlite().await;
    let collector = bench.collector().await;
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON dead_letters BEGIN SELECT RAISE(ABORT, 'full'); END";
    run(&collector.database, refuse).await;
    bench.publish_bytes("order", "k", b"junk").await;
    let running = bench.start().await;
    assert!(!running.consumer().resume(), "it has not halted");
    halted(&running).await;
    run(&collector.database, "DROP TRIGGER refuse").await;
    assert!(running.consumer().resume());
    until("it runs", async || running.consumer().status() == Status::Running).await;
    assert_eq!(bench.counts_after(running).await.dead_letters, 1);
    collector.close().await;
}

/// Rule 25: a group's offsets may expire while nobody runs; the collector's own do not.
#[tokio::test]
async fn a_group_that_stood_still_for_eight_days_goes_on_from_the_offset_in_storage() {
    let bench = Bench::open().await;
    let events = mixed(600);
    counted(&bench, &events[..300]).await;
    // Eight days later the bus has forgotten the group, and the dedupe rows are not what saves us.
    bench.clock.advance(std::time::Duration::from_hours(8 * 24));
    let log = bench.log.database();
    run(log, "DELETE FROM group_partitions").await;
    run(log, "DELETE FROM group_members").await;
    let collector = bench.collector().await;
    run(&collector.database, "DELETE FROM event_handled").await;
    collector.close().await;
    bench.publish(&events[300..]).await;
    let running = bench.start_on(Arc::new(bench.log.clone()), bench.options()).await;
    let counts = bench.counts_after(running).await;
    assert_eq!(counts, Counts { handled: 300, ..recount(&events) });
}
