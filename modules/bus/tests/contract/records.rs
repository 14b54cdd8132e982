//! Publishing and reading.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use commerce_bus::{BusError, Record, TopicSpec};
use tokio::time::Instant;

use crate::support::{Fixture, OTHER, TOPIC, TOPICS, alone, by_key, numbered, publish, read, record, soon};

pub async fn records_of_one_key_keep_their_order_in_one_partition(fixture: &impl Fixture) {
    let bus = fixture.open().await;
    let records: Vec<Record> = (0..300).map(|number| numbered(number % 7, number)).collect();
    let positions = publish(&bus, records).await;
    for key in 0..7 {
        let of_key: Vec<_> = positions.iter().skip(key).step_by(7).collect();
        assert!(of_key.iter().all(|position| position.partition == of_key[0].partition));
        assert!(of_key.is_sorted_by(|a, b| a.offset < b.offset));
    }
    let (_member, mut readers) = alone(&bus, "g").await;
    for (key, numbers) in by_key(&read(&mut readers, 300).await) {
        let expected: Vec<usize> = (key.parse().unwrap()..300).step_by(7).collect();
        assert_eq!(numbers, expected, "key {key}");
    }
}

pub async fn many_publishers_lose_nothing_and_keep_the_order_of_their_keys(fixture: &impl Fixture) {
    let (bus, other_node) = (fixture.open().await, fixture.open().await);
    let publishers = (0..16_usize).map(|key| {
        let bus = if key % 2 == 0 { bus.clone() } else { other_node.clone() };
        tokio::spawn(async move {
            let mut positions = Vec::new();
            for batch in 0..20 {
                let records = (batch * 5..batch * 5 + 5).map(|number| numbered(key, number)).collect();
                positions.extend(publish(&bus, records).await);
            }
            positions
        })
    });
    let mut places = BTreeSet::new();
    for published in futures::future::join_all(publishers).await {
        places.extend(published.unwrap().iter().map(|position| (position.partition, position.offset)));
    }
    assert_eq!(places.len(), 1_600, "two records have one place");
    let (_member, mut readers) = alone(&bus, "g").await;
    let records = read(&mut readers, 1_600).await;
    assert_eq!(records.len(), 1_600);
    for (key, numbers) in by_key(&records) {
        assert_eq!(numbers, (0..100).collect::<Vec<_>>(), "key {key}");
    }
}

pub async fn any_bytes_come_back_as_they_were(fixture: &impl Fixture) {
    let bus = fixture.open().await;
    let all: Vec<u8> = (0..=255).collect();
    let values: Vec<Bytes> = [
        &b""[..],
        b"\0",
        b"{\"a\": \"\\u0000\xff\"}",
        &all,
        "{\"한\": \"글\\n\"}\n".as_bytes(),
        b"\xed\xa0\x80",
        b"'; DROP TABLE log_records; --",
        &vec![b'x'; 100_000],
    ]
    .map(Bytes::copy_from_slice)
    .to_vec();
    let headers = vec![
        ("ce_type".to_owned(), Bytes::from_static(b"OrderPaid")),
        ("twice".to_owned(), Bytes::from_static(b"\xff\0")),
        ("twice".to_owned(), Bytes::new()),
    ];
    let records: Vec<Record> = values
        .iter()
        .map(|value| Record { headers: headers.clone(), ..record("k\"\n", value.clone()) })
        .collect();
    publish(&bus, records).await;
    let (_member, mut readers) = alone(&bus, "g").await;
    let received = read(&mut readers, values.len()).await;
    assert_eq!(received.iter().map(|record| record.value.clone()).collect::<Vec<_>>(), values);
    for record in received {
        assert_eq!((&*record.key, &record.headers, record.topic.as_str()), (&b"k\"\n"[..], &headers, TOPIC));
    }
}

pub async fn a_restart_keeps_everything(fixture: &impl Fixture) {
    let bus = fixture.open().await;
    let before = publish(&bus, (0..50).map(|number| numbered("k", number)).collect()).await;
    {
        let (_member, mut readers) = alone(&bus, "g").await;
        let records = read(&mut readers, 50).await;
        let reader = readers.iter_mut().find(|r| r.assignment().partition == before[0].partition).unwrap();
        reader.commit(records[29].offset + 1).await.unwrap();
    }
    drop(bus);
    let bus = fixture.open().await;
    let after = publish(&bus, vec![numbered("k", 50)]).await;
    assert_eq!(after[0].partition, before[0].partition);
    assert!(after[0].offset > before[49].offset);
    let (_member, mut readers) = alone(&bus, "g").await;
    let numbers = by_key(&read(&mut readers, 21).await).remove("k").unwrap();
    assert_eq!(numbers, (30..51).collect::<Vec<_>>());
}

pub async fn a_record_that_is_refused_holds_back_only_later_ones_of_its_key(fixture: &impl Fixture) {
    let bus = fixture.open().await;
    let large = record("a", vec![b'x'; 64 * 1024 * 1024]);
    let records = vec![numbered("a", 0), numbered("b", 0), large, numbered("a", 1), numbered("b", 1)];
    let outcomes = soon(bus.producer().publish(records)).await;
    assert!(outcomes[0].is_ok() && outcomes[1].is_ok() && outcomes[4].is_ok(), "{outcomes:?}");
    assert!(matches!(outcomes[2], Err(BusError::Refused(_))), "{outcomes:?}");
    assert!(matches!(outcomes[3], Err(BusError::Unavailable(_))), "{outcomes:?}");
    let (_member, mut readers) = alone(&bus, "g").await;
    let numbers = by_key(&read(&mut readers, 3).await);
    assert_eq!((&numbers["a"], &numbers["b"]), (&vec![0], &vec![0, 1]));
}

pub async fn a_topic_that_does_not_exist_is_refused(fixture: &impl Fixture) {
    let bus = fixture.open().await;
    let lost = Record { topic: "nowhere".into(), ..numbered("a", 0) };
    let outcomes = soon(bus.producer().publish(vec![lost, numbered("a", 0)])).await;
    let Err(BusError::Refused(message)) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert!(message.contains("nowhere"), "{message}");
    assert!(outcomes[1].is_ok());
    assert!(soon(bus.producer().publish(Vec::new())).await.is_empty());
    assert!(matches!(bus.earliest("nowhere", 0).await, Err(BusError::Refused(_))));
}

pub async fn a_topic_that_exists_is_left_as_it_is(fixture: &impl Fixture) {
    let bus = fixture.open().await;
    let more: Vec<TopicSpec> = TOPICS.iter().map(|topic| TopicSpec { partitions: 9, ..*topic }).collect();
    bus.ensure_topics(&more).await.unwrap();
    assert_eq!(bus.lag("g", &[TOPIC, OTHER]).await.unwrap().len(), 5);
}

pub async fn a_reader_is_woken_by_what_is_published(fixture: &impl Fixture) {
    let (bus, other_node) = (fixture.open().await, fixture.open().await);
    let (_member, mut readers) = alone(&bus, "g").await;
    for (number, publisher) in [&bus, &other_node, &bus].into_iter().enumerate() {
        let reading = tokio::spawn(async move {
            let records = read(&mut readers, 1).await;
            (readers, records)
        });
        publish(publisher, vec![numbered("k", number)]).await;
        let (again, records) = soon(reading).await.unwrap();
        readers = again;
        assert_eq!(by_key(&records)["k"], [number]);
    }
}

pub async fn a_reader_waits_for_a_full_batch_no_longer_than_it_was_told_to(fixture: &impl Fixture) {
    let bus = fixture.open().await;
    let at = publish(&bus, vec![numbered("k", 0)]).await[0];
    let (_member, mut readers) = alone(&bus, "g").await;
    let reader = readers.iter_mut().find(|reader| reader.assignment().partition == at.partition).unwrap();
    // Long enough for the test to fail by its bound if the batch did not end it.
    let full = soon(async {
        let (records, ()) = tokio::join!(reader.fetch(2, Duration::from_hours(1)), async {
            publish(&bus, vec![numbered("k", 1), numbered("k", 2)]).await;
        });
        records.unwrap()
    });
    assert_eq!(by_key(&full.await)["k"], [0, 1]);
    let (begun, linger) = (Instant::now(), Duration::from_millis(50));
    let rest = soon(reader.fetch(100, linger)).await.unwrap();
    assert!(begun.elapsed() >= linger);
    assert_eq!(by_key(&rest)["k"], [2]);
}

pub async fn a_fetch_that_is_dropped_loses_nothing(fixture: &impl Fixture) {
    let bus = fixture.open().await;
    let at = publish(&bus, vec![numbered("k", 0), numbered("k", 1)]).await[0];
    let (_member, mut readers) = alone(&bus, "g").await;
    let reader = readers.iter_mut().find(|reader| reader.assignment().partition == at.partition).unwrap();
    for _ in 0..3 {
        let given_up =
            tokio::time::timeout(Duration::from_millis(20), reader.fetch(9, Duration::from_hours(1)));
        assert!(given_up.await.is_err());
    }
    let records = soon(reader.fetch(2, Duration::from_hours(1))).await.unwrap();
    assert_eq!(by_key(&records)["k"], [0, 1]);
}

pub async fn a_reader_goes_where_it_is_told_to(fixture: &impl Fixture) {
    let bus = fixture.open().await;
    let at = publish(&bus, (0..10).map(|number| numbered("k", number)).collect()).await;
    let (_member, mut readers) = alone(&bus, "g").await;
    let reader = readers.iter_mut().find(|reader| reader.assignment().partition == at[0].partition).unwrap();
    assert_eq!(reader.committed().await.unwrap(), None);
    reader.commit(at[4].offset).await.unwrap();
    assert_eq!(reader.committed().await.unwrap(), Some(at[4].offset));
    for from in [7, 0, 3] {
        reader.seek(at[from].offset).await.unwrap();
        let records = soon(reader.fetch(2, Duration::from_hours(1))).await.unwrap();
        assert_eq!(by_key(&records)["k"], [from, from + 1]);
    }
}

pub async fn the_lag_is_what_a_group_did_not_commit(fixture: &impl Fixture) {
    let bus = fixture.open().await;
    assert!(bus.lag("g", &[TOPIC]).await.unwrap().iter().all(|lag| lag.lag == 0));
    let at = publish(&bus, (0..10).map(|number| numbered("k", number)).collect()).await;
    let partition = at[0].partition;
    let lag = async || {
        let lags = bus.lag("g", &[TOPIC]).await.unwrap();
        assert!(lags.iter().all(|lag| lag.topic == TOPIC && (lag.lag == 0 || lag.partition == partition)));
        lags.into_iter().find(|lag| lag.partition == partition).unwrap()
    };
    let behind = lag().await;
    assert_eq!((behind.lag, behind.end - behind.committed), (10, 10));
    let (_member, mut readers) = alone(&bus, "g").await;
    let reader = readers.iter_mut().find(|reader| reader.assignment().partition == partition).unwrap();
    reader.commit(at[6].offset + 1).await.unwrap();
    let behind = lag().await;
    assert_eq!((behind.lag, behind.committed), (3, at[6].offset + 1));
    assert_eq!(bus.earliest(TOPIC, partition).await.unwrap(), at[0].offset);
}
