//! Groups: who reads what, since when, and who does not any more.

use std::collections::BTreeSet;
use std::time::Duration;

use commerce_bus::{Assignment, BusError, PartitionConsumer, TopicSpec};

use crate::support::{
    Fixture, OTHER, TOPIC, alone, assigned, by_key, numbered, one_batch, publish, read, soon,
};

fn partitions(readers: &[Box<dyn PartitionConsumer>]) -> BTreeSet<i32> {
    readers.iter().map(|reader| reader.assignment().partition).collect()
}

pub async fn what_was_not_committed_is_delivered_again(fixture: &impl Fixture) {
    let bus = fixture.open().await;
    let at = publish(&bus, (0..10).map(|number| numbered("k", number)).collect()).await;
    for (committed, expected) in [(None, 0), (Some(4), 0), (None, 4), (Some(10), 4)] {
        let (member, mut readers) = alone(&bus, "g").await;
        let records = read(&mut readers, 10 - expected).await;
        assert_eq!(by_key(&records)["k"], (expected..10).collect::<Vec<_>>());
        if let Some(committed) = committed {
            let mine =
                |reader: &&mut Box<dyn PartitionConsumer>| reader.assignment().partition == at[0].partition;
            let reader = readers.iter_mut().find(mine).unwrap();
            reader.commit(at[0].offset + committed).await.unwrap();
        }
        member.leave().await.unwrap();
    }
    let (_member, mut readers) = alone(&bus, "g").await;
    publish(&bus, vec![numbered("k", 10)]).await;
    assert_eq!(by_key(&read(&mut readers, 1).await)["k"], [10]);
}

pub async fn groups_do_not_disturb_each_other(fixture: &impl Fixture) {
    let bus = fixture.open().await;
    publish(&bus, (0..10).map(|number| numbered(number, number)).collect()).await;
    let ((_one, mut ones), (_two, mut twos)) = (alone(&bus, "one").await, alone(&bus, "two").await);
    assert_eq!(read(&mut ones, 10).await.len(), 10);
    assert_eq!(read(&mut twos, 10).await.len(), 10);
}

pub async fn two_members_share_the_partitions_and_one_takes_over(fixture: &impl Fixture) {
    let (bus, other_node) = (fixture.open().await, fixture.open().await);
    let (mut first, before) = alone(&bus, "g").await;
    let mut second = soon(other_node.join("g", &[TOPIC])).await.unwrap();
    let given = assigned(&mut second, 1).await;
    let (moved, moved_epoch) = (given[0].assignment().partition, given[0].assignment().epoch);
    for mut reader in before {
        let Assignment { partition, epoch, .. } = reader.assignment().clone();
        if partition == moved {
            assert!(moved_epoch > epoch, "{moved_epoch} after {epoch}");
            assert!(matches!(one_batch(&mut reader).await, Err(BusError::Revoked)));
            assert!(matches!(reader.commit(0).await, Err(BusError::Revoked)));
        } else {
            reader.commit(0).await.unwrap();
        }
    }
    second.leave().await.unwrap();
    let back = assigned(&mut first, 1).await;
    assert_eq!(back[0].assignment().partition, moved);
    assert!(back[0].assignment().epoch > moved_epoch);
    for mut reader in given {
        assert!(matches!(one_batch(&mut reader).await, Err(BusError::Revoked)));
    }
}

pub async fn a_member_that_is_dropped_gives_its_partitions_back(fixture: &impl Fixture) {
    let bus = fixture.open().await;
    let (first, mut readers) = alone(&bus, "g").await;
    drop(first);
    let mut second = soon(bus.join("g", &[TOPIC])).await.unwrap();
    assert_eq!(partitions(&assigned(&mut second, 3).await), BTreeSet::from([0, 1, 2]));
    for reader in &mut readers {
        assert!(matches!(one_batch(reader).await, Err(BusError::Revoked)));
    }
}

pub async fn a_member_that_was_not_heard_of_is_refused_and_its_epoch_is_over(fixture: &impl Fixture) {
    let (silent, bus) = (fixture.open_silent().await, fixture.open().await);
    publish(&bus, (0..30).map(|number| numbered(number, number)).collect()).await;
    let (zombie, mut its) = alone(&silent, "g").await;
    assert!(!one_batch(&mut its[0]).await.unwrap().is_empty());
    fixture.expire_sessions();
    let mut next = soon(bus.join("g", &[TOPIC])).await.unwrap();
    let mut readers = assigned(&mut next, 3).await;
    assert_eq!(partitions(&readers), BTreeSet::from([0, 1, 2]));
    for reader in &mut its {
        let Assignment { partition, epoch, .. } = reader.assignment().clone();
        let now = readers.iter().find(|reader| reader.assignment().partition == partition).unwrap();
        assert!(now.assignment().epoch > epoch);
        reader.seek(0).await.unwrap();
        assert!(matches!(one_batch(reader).await, Err(BusError::Revoked)));
        assert!(matches!(reader.commit(9).await, Err(BusError::Revoked)));
    }
    assert_eq!(read(&mut readers, 30).await.len(), 30);
    drop(zombie);
}

pub async fn members_that_come_and_go_miss_nothing(fixture: &impl Fixture) {
    let bus = fixture.open().await;
    let mut seen = BTreeSet::new();
    for round in 0..6_usize {
        publish(&bus, (0..60).map(|number| numbered(number % 11, round * 60 + number)).collect()).await;
        let mut members = Vec::new();
        for _ in 0..=round % 3 {
            members.push(soon(bus.join("g", &[TOPIC])).await.unwrap());
        }
        // Whoever holds a partition reads it to its end and commits; who loses it stops. Until nothing is left.
        let mut readers = Vec::new();
        while bus.lag("g", &[TOPIC]).await.unwrap().iter().any(|lag| lag.lag > 0) {
            for member in &mut members {
                while let Ok(reader) = tokio::time::timeout(Duration::from_millis(5), member.assigned()).await
                {
                    readers.push(reader.unwrap());
                }
            }
            for reader in &mut readers {
                let fetch = reader.fetch(7, Duration::ZERO);
                let Ok(Ok(records)) = tokio::time::timeout(Duration::from_millis(20), fetch).await else {
                    continue;
                };
                if reader.commit(records[records.len() - 1].offset + 1).await.is_ok() {
                    seen.extend(by_key(&records).into_values().flatten());
                }
            }
        }
        for member in members {
            member.leave().await.unwrap();
        }
    }
    assert_eq!(seen, (0..360).collect());
}

pub async fn a_topic_that_comes_later_is_shared_out_too(fixture: &impl Fixture) {
    let bus = fixture.open().await;
    let mut member = soon(bus.join("g", &[OTHER, "later"])).await.unwrap();
    assigned(&mut member, 2).await;
    bus.ensure_topics(&[TopicSpec { name: "later", partitions: 1 }]).await.unwrap();
    let later = assigned(&mut member, 1).await;
    assert_eq!(later[0].assignment().topic, "later");
}
