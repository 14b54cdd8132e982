use super::*;
use crate::testing::{End, Fault, SECOND, measured, ms};

fn bulkhead(calls_max: u32, wait: Duration) -> Bulkhead {
    Bulkhead::new("gateway", BulkheadOptions { calls_max, wait }).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_call_more_than_there_are_slots_is_refused_at_once() {
    assert_eq!(BulkheadOptions::default().wait, Duration::ZERO);
    let bulkhead = bulkhead(2, Duration::ZERO);
    let slots = [bulkhead.acquire().await.unwrap(), bulkhead.acquire().await.unwrap()];
    let began = tokio::time::Instant::now();
    let refusal = bulkhead.acquire().await.unwrap_err();
    assert_eq!(refusal, NotPermitted::BulkheadFull { bulkhead: "gateway".into(), calls_max: 2 });
    assert_eq!(refusal.to_string(), "bulkhead `gateway` is full: 2 calls are under way");
    assert_eq!(began.elapsed(), Duration::ZERO);
    drop(slots);
    assert_eq!(bulkhead.snapshot().available, 2);
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_free_again_after_success_error_cancellation_and_panic() {
    let bulkhead = bulkhead(1, Duration::ZERO);
    let answered: End = bulkhead.run(|| async { Ok(1) }).await;
    answered.unwrap();
    assert_eq!(bulkhead.snapshot().available, 1);
    let failed: End = bulkhead.run(|| async { Err(CallError::Inner(Fault::Lost)) }).await;
    failed.unwrap_err();
    assert_eq!(bulkhead.snapshot().available, 1);
    let hangs = bulkhead.run(std::future::pending::<End>);
    tokio::time::timeout(SECOND, hangs).await.unwrap_err();
    assert_eq!(bulkhead.snapshot().available, 1);
    let there = bulkhead.clone();
    let panics = tokio::spawn(async move { there.run(|| async { panic!("on purpose") as End }).await });
    assert!(panics.await.unwrap_err().is_panic());
    assert_eq!(bulkhead.snapshot().available, 1);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_get_slots_in_the_order_they_came() {
    let bulkhead = bulkhead(1, 10 * SECOND);
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let slot = bulkhead.acquire().await.unwrap();
    for i in 0..5 {
        let (bulkhead, tell) = (bulkhead.clone(), tell.clone());
        tokio::spawn(async move {
            let _slot = bulkhead.acquire().await.unwrap();
            tell.send(i).unwrap();
        });
        tokio::task::yield_now().await;
    }
    drop(slot);
    for i in 0..5 {
        assert_eq!(told.recv().await, Some(i));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_in_a_refusal() {
    let bulkhead = bulkhead(1, ms(20));
    let slot = bulkhead.acquire().await.unwrap();
    let began = tokio::time::Instant::now();
    assert!(bulkhead.acquire().await.is_err());
    assert!(began.elapsed() >= ms(20) && began.elapsed() < ms(30));
    drop(slot);
    assert!(bulkhead.acquire().await.is_ok(), "who has stopped waiting takes no slot");
}

#[test]
fn the_gauges_show_free_slots_and_all() {
    measured(|value| {
        let bulkhead = bulkhead(3, Duration::ZERO);
        let available = || value("resilience4j_bulkhead_available_concurrent_calls{name=\"gateway\"}");
        assert_eq!(value("resilience4j_bulkhead_max_allowed_concurrent_calls{name=\"gateway\"}"), Some(3.0));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let slot = runtime.block_on(bulkhead.acquire()).unwrap();
        assert_eq!(available(), Some(2.0));
        drop(slot);
        assert_eq!(available(), Some(3.0));
    });
}

#[test]
fn an_option_that_means_nothing_is_named() {
    let error = Bulkhead::new("gateway", BulkheadOptions { calls_max: 0, wait: Duration::ZERO }).unwrap_err();
    assert_eq!(error.to_string(), "bulkhead `gateway`: `calls at once` is 0; expected 1 to 100000");
    assert!(Bulkhead::new("gateway", BulkheadOptions { calls_max: 1, wait: Duration::MAX }).is_err());
}
