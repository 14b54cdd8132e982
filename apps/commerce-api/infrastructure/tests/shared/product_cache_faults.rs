//! The cache of products that two nodes share, and a Redis that forgets, stalls and is gone.

use commerce_api_infrastructure::redis::SharedProductCache;
use commerce_redis::cmd;

use super::product_cache::{Held, PRODUCT, clock, on, reader, version};
use super::support::{node_of, own_server, redis, until};

#[tokio::test]
async fn a_product_is_read_once_for_all_nodes_and_a_change_is_seen_by_all_within_a_second() {
    let (redis, clock, source) = (redis(), clock(), Held::open());
    let nodes = [(); 2].map(|()| on(&redis, &clock));
    for node in &nodes {
        assert_eq!(version(node, &source).await, 1);
    }
    assert_eq!(source.reads(), 1, "the second node found it");
    source.commit(2);
    nodes[0].product_changed(PRODUCT, 2).await;
    assert_eq!(version(&nodes[0], &source).await, 2, "at once where it was changed");
    clock.advance(SharedProductCache::NEAR_MAX);
    assert_eq!((version(&nodes[1], &source).await, source.reads()), (2, 2));
}

#[tokio::test]
async fn a_slow_reader_of_another_node_never_brings_an_old_value_over_a_newer_tombstone() {
    let (redis, clock, source) = (redis(), clock(), Held::new(0));
    let [here, there] = [(); 2].map(|()| on(&redis, &clock));
    // Version 1 is read, and what reads it is slow.
    let slow = reader(&there, &source);
    until("the slow read", async || source.reads() == 1).await;
    source.commit(2);
    here.product_changed(PRODUCT, 2).await;
    source.answer.add_permits(1);
    assert_eq!(slow.await.unwrap(), 1, "it began before the change");
    clock.advance(SharedProductCache::NEAR_MAX);
    source.answer.add_permits(1);
    assert_eq!(version(&here, &source).await, 2, "not what the slow one brought");
    clock.advance(SharedProductCache::NEAR_MAX);
    assert_eq!((version(&there, &source).await, source.reads()), (2, 2), "and the new one is kept for both");
}

#[tokio::test]
async fn a_slow_reader_brings_nothing_old_over_a_newer_value_either() {
    let (redis, clock, source) = (redis(), clock(), Held::new(0));
    let [here, there] = [(); 2].map(|()| on(&redis, &clock));
    let slow = reader(&there, &source);
    until("the slow read", async || source.reads() == 1).await;
    source.commit(2);
    here.product_changed(PRODUCT, 2).await;
    let quick = reader(&here, &source);
    until("the quick read", async || source.reads() == 2).await;
    source.answer.add_permits(2);
    slow.await.unwrap();
    quick.await.unwrap();
    clock.advance(SharedProductCache::NEAR_MAX);
    for node in [&here, &there] {
        assert_eq!(version(node, &source).await, 2);
    }
    assert_eq!(source.reads(), 2);
}

#[tokio::test]
async fn a_server_that_forgot_its_tombstones_takes_nothing_from_who_read_before() {
    let server = own_server().await;
    let (redis, clock, source) = (node_of(&server), clock(), Held::new(0));
    let [here, there] = [(); 2].map(|()| on(&redis, &clock));
    let slow = reader(&there, &source);
    until("the slow read", async || source.reads() == 1).await;
    source.commit(2);
    here.product_changed(PRODUCT, 2).await;
    redis.run::<()>("flush", &cmd("FLUSHALL")).await.unwrap();
    // Somebody else looks for it after that, so that there is a ticket again, but another one; and brings nothing.
    let next = reader(&here, &source);
    until("the next read", async || source.reads() == 2).await;
    next.abort();
    assert!(next.await.unwrap_err().is_cancelled());
    source.answer.add_permits(1);
    assert_eq!(slow.await.unwrap(), 1);
    clock.advance(SharedProductCache::NEAR_MAX);
    source.answer.add_permits(2);
    for node in [&here, &there] {
        assert_eq!(version(node, &source).await, 2, "not what was read before");
    }
    assert_eq!(source.reads(), 3, "what was read after the change is kept");
}

#[tokio::test]
async fn without_a_server_products_are_read_from_the_database_and_with_one_again_from_it() {
    let mut server = own_server().await;
    let (redis, clock, source) = (node_of(&server), clock(), Held::open());
    let [here, there] = [(); 2].map(|()| on(&redis, &clock));
    assert_eq!(version(&here, &source).await, 1);
    server.kill().await.unwrap();
    for round in 2..20 {
        clock.advance(SharedProductCache::NEAR_MAX);
        assert_eq!(version(&here, &source).await, 1);
        assert_eq!(source.reads(), round, "one read a second");
    }
    server.restart().await.unwrap();
    until("shared again", async || {
        clock.advance(SharedProductCache::NEAR_MAX);
        let _ = version(&here, &source).await;
        let before = source.reads();
        let _ = version(&there, &source).await;
        source.reads() == before
    })
    .await;
}

#[tokio::test]
async fn a_change_that_the_server_could_not_be_told_of_is_told_once_it_answers() {
    let mut server = own_server().await;
    let (clock, source) = (clock(), Held::open());
    let [here, there] = [(); 2].map(|()| on(&node_of(&server), &clock));
    for node in [&here, &there] {
        assert_eq!(version(node, &source).await, 1);
    }
    // It keeps what it has, and answers nobody.
    server.pause().unwrap();
    source.commit(2);
    here.product_changed(PRODUCT, 2).await;
    server.resume().unwrap();
    assert_eq!(version(&here, &source).await, 2, "never the old one where it was changed");
    until("the other node sees it", async || {
        clock.advance(SharedProductCache::NEAR_MAX);
        version(&there, &source).await == 2
    })
    .await;
}

#[tokio::test]
async fn a_change_that_was_not_even_sent_is_told_later() {
    let (clock, source) = (clock(), Held::open());
    let server = own_server().await;
    let (cut_off, connected) = (node_of(&server), node_of(&server));
    let [here, there] = [&cut_off, &connected].map(|redis| on(redis, &clock));
    for node in [&here, &there] {
        assert_eq!(version(node, &source).await, 1);
    }
    cut_off.breakers()[0].force_open();
    source.commit(2);
    here.product_changed(PRODUCT, 2).await;
    assert_eq!(version(&here, &source).await, 2);
    clock.advance(SharedProductCache::NEAR_MAX);
    assert_eq!(version(&there, &source).await, 1, "nobody could tell it");
    cut_off.breakers()[0].reset();
    until("the other node sees it", async || {
        clock.advance(SharedProductCache::NEAR_MAX);
        version(&there, &source).await == 2
    })
    .await;
}
