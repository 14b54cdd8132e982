use std::time::Duration;

use chrono::DateTime;
use commerce_runtime::ManualClock;
use commerce_webhook::{Secret, Unverified};
use pg_simulator::{Capabilities, Options, Range, Simulator, StartError};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::support::{Answer, CARD, OVER_LIMIT, World, options, secret};

impl World {
    async fn refund(&self, key: &str, body: &Value) -> Answer {
        self.client.post(&format!("/api/v1/payments/{key}/cancel"), body).await
    }

    async fn refund_with_key(&self, key: &str, refund_key: &str, body: &Value) -> Answer {
        let request = self.client.request("POST", &format!("/api/v1/payments/{key}/cancel"));
        self.client.send(request.header("Idempotency-Key", refund_key).json(body)).await
    }

    async fn void(&self, order_id: &str) -> Answer {
        self.client.post(&format!("/api/v1/references/{order_id}/void"), &Value::Null).await
    }
}

fn whole() -> Value {
    json!({"reason": "changed my mind"})
}

fn part(amount: i64) -> Value {
    json!({"amount": amount, "reason": "changed my mind"})
}

#[tokio::test]
async fn the_same_key_is_the_same_transaction() {
    let world = World::start().await;
    let body = world.payment("order-1", CARD);
    let key = world.pay_with_key("key-1", &body).await.key();
    assert_eq!(world.pay_with_key("key-1", &body).await.key(), key);
    world.client.decided(&key).await;
    let later = world.pay_with_key("key-1", &body).await;
    assert_eq!((later.key(), &later.data()["status"]), (key, &json!("SUCCESS")));
    let listed = world.client.get("/api/v1/payments?orderId=order-1").await;
    assert_eq!(listed.data()["transactions"].as_array().unwrap().len(), 1);
    let mut moved = body.clone();
    moved["callbackUrl"] = json!("http://localhost:1/moved");
    assert_eq!(world.pay_with_key("key-1", &moved).await.key(), later.key());
    assert_ne!(world.pay_with_key("key-2", &body).await.key(), later.key());
    world.stop().await;
}

#[tokio::test]
async fn the_same_key_with_another_request_is_refused() {
    let world = World::start().await;
    let body = world.payment("order-1", CARD);
    world.pay_with_key("key-1", &body).await.key();
    for (field, value) in [
        ("orderId", json!("order-2")),
        ("cardType", json!("KB")),
        ("cardNo", json!(OVER_LIMIT)),
        ("amount", json!(1)),
    ] {
        let mut other = body.clone();
        other[field] = value;
        assert!(
            world.pay_with_key("key-1", &other).await.refused(400).contains("Idempotency-Key"),
            "{field}"
        );
    }
    assert!(world.pay_with_key(&"k".repeat(256), &body).await.refused(400).contains("1 to 255"));
    world.stop().await;
}

#[tokio::test]
async fn requests_under_one_key_at_once_are_one_transaction() {
    let world = World::start().await;
    let body = world.payment("order-1", CARD);
    let paid = futures::future::join_all((0..40).map(|_| world.pay_with_key("key-1", &body))).await;
    let keys: std::collections::BTreeSet<_> = paid.iter().map(Answer::key).collect();
    assert_eq!(keys.len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn payments_at_once_have_keys_of_their_own() {
    let world = World::start().await;
    let orders: Vec<_> = (0..100).map(|n| format!("order-{n}")).collect();
    let paid = futures::future::join_all(orders.iter().map(|order| world.pay(order, CARD))).await;
    let keys: std::collections::BTreeSet<_> = paid.iter().map(Answer::key).collect();
    assert_eq!(keys.len(), 100);
    world.receiver.wait_for(100).await;
    let summary = world.client.get("/admin/summary").await;
    assert_eq!(summary.body["captured"], 500_000);
    world.stop().await;
}

#[tokio::test]
async fn a_capture_is_refunded_whole_or_in_parts_and_never_more() {
    let world = World::start().await;
    let key = world.pay_and_settle("order-1", CARD).await;
    let first = world.refund(&key, &part(2_000)).await;
    assert_eq!(first.data(), &json!({"transactionKey": key, "amount": 2_000, "refunded": 2_000}));
    assert!(world.refund(&key, &part(3_001)).await.refused(400).starts_with("3000 won"));
    assert_eq!(world.refund(&key, &whole()).await.data()["amount"], 3_000);
    for body in [whole(), part(1)] {
        assert!(world.refund(&key, &body).await.refused(400).starts_with("0 won"));
    }
    assert_eq!(world.client.get(&format!("/api/v1/payments/{key}")).await.data()["status"], "SUCCESS");
    world.stop().await;
}

#[tokio::test]
async fn what_cannot_be_refunded_says_why() {
    let world = World::start().await;
    assert!(world.refund("20260302:TR:ffffff", &whole()).await.refused(404).contains("no transaction"));
    let declined = world.pay_and_settle("order-1", OVER_LIMIT).await;
    assert!(world.refund(&declined, &whole()).await.refused(400).contains("nothing was captured"));
    world.faults(json!({"decisionMs": {"min": 3_600_000, "max": 3_600_000}})).await;
    let pending = world.pay("order-2", CARD).await.key();
    assert!(world.refund(&pending, &whole()).await.refused(400).contains("nothing was captured"));
    world.faults(json!({})).await;
    let key = world.pay_and_settle("order-3", CARD).await;
    for amount in [0, -1] {
        assert!(world.refund(&key, &part(amount)).await.refused(400).contains("above 0"));
    }
    for body in [json!({}), json!({"reason": " "}), json!({"reason": "a".repeat(501)})] {
        assert!(world.refund(&key, &body).await.refused(400).contains("reason"), "{body}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_refund_under_one_key_is_made_once() {
    let world = World::start().await;
    let key = world.pay_and_settle("order-1", CARD).await;
    let bodies = [part(1_000), part(1_000)];
    let made =
        futures::future::join_all((0..20).map(|n| world.refund_with_key(&key, "refund-1", &bodies[n % 2])))
            .await;
    assert!(made.iter().all(|answer| answer.data()["amount"] == 1_000));
    assert_eq!(world.client.get("/admin/summary").await.body["refunded"], 1_000);
    assert!(
        world.refund_with_key(&key, "refund-1", &part(2_000)).await.refused(400).contains("another refund")
    );
    let other = world.pay_and_settle("order-2", CARD).await;
    assert!(
        world.refund_with_key(&other, "refund-1", &part(1_000)).await.refused(400).contains("another refund")
    );
    assert_eq!(world.refund_with_key(&key, "refund-2", &whole()).await.data()["refunded"], 5_000);
    world.stop().await;
}

#[tokio::test]
async fn refunds_at_once_give_back_what_was_captured_once() {
    let world = World::start().await;
    let key = world.pay_and_settle("order-1", CARD).await;
    let body = whole();
    let made = futures::future::join_all((0..20).map(|_| world.refund(&key, &body))).await;
    assert_eq!(made.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(world.client.get("/admin/summary").await.body["refunded"], 5_000);
    world.stop().await;
}

#[tokio::test]
async fn a_voided_reference_takes_nothing_more_and_tells_what_it_has() {
    let world = World::start().await;
    let body = world.payment("order-1", CARD);
    let key = world.pay_with_key("key-1", &body).await.key();
    world.client.decided(&key).await;
    let voided = world.void("order-1").await;
    let there = json!([{"transactionKey": key, "status": "SUCCESS", "reason": "approved"}]);
    assert_eq!(voided.data(), &json!({"orderId": "order-1", "transactions": there}));
    assert!(world.pay("order-1", CARD).await.refused(400).contains("voided"));
    assert!(world.pay_with_key("key-2", &body).await.refused(400).contains("voided"));
    assert_eq!(world.pay_with_key("key-1", &body).await.key(), key);
    assert_eq!(world.void("order-1").await.data(), voided.data());
    assert_eq!(world.void("order-2").await.data()["transactions"], json!([]));
    assert!(world.pay("order-2", CARD).await.refused(400).contains("voided"));
    world.pay("order-3", CARD).await.key();
    world.stop().await;
}

#[tokio::test]
async fn without_capabilities_it_is_the_plain_protocol() {
    let world = World::with(|options| {
        options.capabilities = Capabilities::NONE;
        options.webhook_secrets.clear();
    })
    .await;
    let body = world.payment("order-1", CARD);
    let (first, second) =
        (world.pay_with_key("key-1", &body).await.key(), world.pay_with_key("key-1", &body).await.key());
    assert_ne!(first, second);
    let unknown = world.client.get("/api/v1/other").await.text;
    assert_eq!(world.refund(&first, &whole()).await.text, unknown);
    assert_eq!(world.void("order-1").await.text, unknown);
    let received = world.receiver.wait_for(2).await;
    let headers = |callback: &crate::support::Received| {
        callback.id.is_some() || callback.timestamp.is_some() || callback.signature.is_some()
    };
    assert!(!received.iter().any(headers));
    world.stop().await;
}

#[tokio::test]
async fn callbacks_are_signed_with_every_secret_while_one_is_replaced() {
    let newer = Secret::new(b"the merchant's next secret");
    let secrets = vec![newer.clone(), secret()];
    let world = World::with(|options| options.webhook_secrets = secrets).await;
    world.pay("order-1", CARD).await.key();
    let received = world.receiver.wait_for(1).await;
    assert_eq!(received[0].check(&[secret()]), Ok(()));
    assert_eq!(received[0].check(&[newer]), Ok(()));
    assert_eq!(received[0].check(&[Secret::new(b"another")]), Err(Unverified::NoMatch));
    world.stop().await;
}

#[tokio::test]
async fn signatures_without_a_secret_and_scripts_that_cannot_be_followed_do_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let good = || options(&dir.path().join("gateway.sqlite"));
    let started = Simulator::start(Options { webhook_secrets: Vec::new(), ..good() }).await;
    assert!(matches!(started.err(), Some(StartError::NoSecret)));
    let mut bad = good();
    bad.faults.latency_ms = Range { min: 2, max: 1 };
    assert!(matches!(Simulator::start(bad).await.err(), Some(StartError::Faults(_))));
    let running = Simulator::start(good()).await.unwrap();
    let taken = Options { port: running.addr().port(), ..good() };
    assert!(matches!(Simulator::start(taken).await.err(), Some(StartError::PortTaken { .. })));
    let nowhere = Options { data_file: dir.path().join("nowhere/gateway.sqlite"), ..good() };
    assert!(matches!(Simulator::start(nowhere).await.err(), Some(StartError::Database { .. })));
    running.stop().await;
}

#[tokio::test]
async fn settlements_list_what_moved_on_a_day_of_the_zone() {
    let late = DateTime::parse_from_rfc3339("2026-03-02T23:59:59+09:00").unwrap().timestamp_micros();
    let clock = Arc::new(ManualClock::new(late));
    let world = World::with(|options| options.clock = clock.clone()).await;
    let first = world.pay_and_settle("order-1", CARD).await;
    let second = world.pay_and_settle("order-2", CARD).await;
    world.pay_and_settle("order-3", OVER_LIMIT).await;
    assert!(first.starts_with("20260302:TR:"), "{first}");
    let after = clock.advance(Duration::from_secs(1));
    world.refund(&first, &part(2_000)).await.data();
    let entry = |kind: &str, key: &str, order: &str, amount: i64, at: i64| json!({"kind": kind, "transactionKey": key, "orderId": order, "amount": amount, "at": at});
    let captures =
        [entry("CAPTURE", &first, "order-1", 5_000, late), entry("CAPTURE", &second, "order-2", 5_000, late)];
    let day = world.client.get("/api/v1/settlements?date=2026-03-02").await;
    let expected =
        json!({"date": "2026-03-02", "captured": 10_000, "refunded": 0, "entries": captures, "next": null});
    assert_eq!(day.data(), &expected);
    let next_day = world.client.get("/api/v1/settlements?date=2026-03-03").await;
    let entries = [entry("REFUND", &first, "order-1", 2_000, after)];
    let expected =
        json!({"date": "2026-03-03", "captured": 0, "refunded": 2_000, "entries": entries, "next": null});
    assert_eq!(next_day.data(), &expected);
    let page = world.client.get("/api/v1/settlements?date=2026-03-02&limit=1").await;
    assert_eq!((&page.data()["captured"], &page.data()["entries"]), (&json!(10_000), &json!([captures[0]])));
    let rest = format!("/api/v1/settlements?date=2026-03-02&after={}", page.data()["next"]);
    assert_eq!(world.client.get(&rest).await.data()["entries"], json!([captures[1]]));
    for query in [
        "",
        "?date=02.03.2026",
        "?date=2026-02-30",
        "?date=2026-03-02&limit=0",
        "?date=2026-03-02&limit=1001",
    ] {
        assert!(
            world
                .client
                .get(&format!("/api/v1/settlements{query}"))
                .await
                .refused(400)
                .contains("yyyy-MM-dd")
        );
    }
    world.stop().await;
}
