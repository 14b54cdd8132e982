use std::time::Duration;

use commerce_webhook::Unverified;
use pg_simulator::{CallbackRetry, Capabilities, Chance, Faults, Preset, Range};
use serde_json::{Value, json};

use crate::support::{CARD, OVER_LIMIT, World, manual_clock, secret};

const HOUR: Duration = Duration::from_hours(1);
const HOUR_MS: u64 = 3_600_000;

fn hour() -> Value {
    json!({"min": HOUR_MS, "max": HOUR_MS})
}

#[tokio::test]
async fn a_failure_before_recording_records_nothing() {
    let world = World::start().await;
    world.faults(json!({"failBefore": {"next": 1}})).await;
    assert!(world.pay("order-1", CARD).await.refused(500).contains("nothing was recorded"));
    assert_eq!(world.client.get("/api/v1/payments?orderId=order-1").await.status, 404);
    world.pay("order-1", CARD).await.key();
    world.stop().await;
}

#[tokio::test]
async fn a_failure_after_recording_loses_the_answer_only() {
    let world = World::start().await;
    world.faults(json!({"failAfter": {"next": 1}})).await;
    world.pay("order-1", CARD).await.refused(500);
    let listed = world.client.get("/api/v1/payments?orderId=order-1").await;
    let key = listed.data()["transactions"][0]["transactionKey"].as_str().unwrap().to_owned();
    assert_eq!(world.client.decided(&key).await.data()["status"], "SUCCESS");
    assert_eq!(world.receiver.wait_for(1).await[0].key(), key);
    world.stop().await;
}

#[tokio::test]
async fn a_request_that_hangs_is_recorded_and_ends_when_the_simulator_stops() {
    let world = World::start().await;
    world.faults(json!({"hangAfter": {"next": 1}})).await;
    let (client, body) = (world.client.clone(), world.payment("order-1", CARD));
    let hanging = tokio::spawn(async move { client.post("/api/v1/payments", &body).await });
    assert_eq!(world.receiver.wait_for(1).await[0].body["orderId"], "order-1");
    world.pay_and_settle("order-2", CARD).await;
    assert!(!hanging.is_finished());
    world.stop().await;
    hanging.await.unwrap().refused(500);
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_nothing() {
    let world = World::with(|options| options.faults.latency_ms = Range { min: 1_500, max: 1_500 }).await;
    let request = world.client.request("POST", "/api/v1/payments").json(&world.payment("order-1", CARD));
    let given_up = request.timeout(Duration::from_millis(500)).send().await;
    assert!(given_up.unwrap_err().is_timeout());
    assert_eq!(world.receiver.wait_for(1).await[0].body["orderId"], "order-1");
    world.stop().await;
}

#[tokio::test]
async fn a_late_recording_shows_later_and_is_decided_then() {
    let clock = manual_clock();
    let world = World::with(|options| options.clock = clock.clone()).await;
    world.faults(json!({"lateRecording": {"next": 1}, "lateRecordingMs": hour()})).await;
    assert!(world.pay("order-1", CARD).await.refused(500).contains("may be recorded"));
    assert_eq!(world.client.get("/api/v1/payments?orderId=order-1").await.status, 404);
    clock.advance(HOUR);
    let listed = world.client.get("/api/v1/payments?orderId=order-1").await;
    assert_eq!(listed.data()["transactions"].as_array().unwrap().len(), 1);
    assert_eq!(world.receiver.wait_for(1).await[0].body["status"], "SUCCESS");
    world.stop().await;
}

#[tokio::test]
async fn a_late_recording_shows_at_once_to_who_repeats_it_under_its_key() {
    let clock = manual_clock();
    let world = World::with(|options| options.clock = clock.clone()).await;
    world.faults(json!({"lateRecording": {"next": 1}, "lateRecordingMs": hour()})).await;
    let body = world.payment("order-1", CARD);
    world.pay_with_key("key-1", &body).await.refused(500);
    let key = world.pay_with_key("key-1", &body).await.key();
    assert_eq!(world.client.get(&format!("/api/v1/payments/{key}")).await.data()["status"], "PENDING");
    world.stop().await;
}

#[tokio::test]
async fn a_late_recording_never_comes_after_a_void() {
    let clock = manual_clock();
    let world = World::with(|options| options.clock = clock.clone()).await;
    world.faults(json!({"lateRecording": {"next": 1}, "lateRecordingMs": hour()})).await;
    world.pay("order-1", CARD).await.refused(500);
    let voided = world.client.post("/api/v1/references/order-1/void", &json!({})).await;
    assert_eq!(voided.data()["transactions"], json!([]));
    clock.advance(HOUR);
    assert_eq!(world.client.get("/api/v1/payments?orderId=order-1").await.status, 404);
    assert_eq!(world.client.get("/admin/summary").await.body["transactions"]["PENDING"]["count"], 0);
    world.stop().await;
}

#[tokio::test]
async fn payments_are_declined_by_chance_with_the_reason_of_the_script() {
    let world = World::start().await;
    world.faults(json!({"declines": [{"reason": "stolen card", "next": 1}]})).await;
    let key = world.pay_and_settle("order-1", CARD).await;
    let found = world.client.get(&format!("/api/v1/payments/{key}")).await;
    assert_eq!((&found.data()["status"], &found.data()["reason"]), (&json!("FAILED"), &json!("stolen card")));
    let key = world.pay_and_settle("order-2", CARD).await;
    assert_eq!(world.client.decided(&key).await.data()["status"], "SUCCESS");
    world.stop().await;
}

#[tokio::test]
async fn a_lost_callback_never_comes_and_the_books_know_it() {
    let world = World::start().await;
    world.faults(json!({"callbackLost": {"next": 1}})).await;
    world.pay_and_settle("order-1", CARD).await;
    let second = world.pay_and_settle("order-2", CARD).await;
    assert_eq!(world.receiver.wait_for(1).await[0].key(), second);
    let summary =
        world.client.until("/admin/summary", |summary| summary.body["callbacks"]["DELIVERED"] == 1).await;
    assert_eq!(summary.body["callbacks"], json!({"DELIVERED": 1, "LOST": 1}));
    world.stop().await;
}

#[tokio::test]
async fn a_delayed_callback_comes_when_its_time_has_come() {
    let clock = manual_clock();
    let world = World::with(|options| options.clock = clock.clone()).await;
    world.faults(json!({"callbackDelayed": {"next": 1}, "callbackDelayMs": hour()})).await;
    let first = world.pay_and_settle("order-1", CARD).await;
    let second = world.pay_and_settle("order-2", CARD).await;
    assert_eq!(world.receiver.wait_for(1).await[0].key(), second);
    clock.advance(HOUR);
    assert_eq!(world.receiver.wait_for(2).await[1].key(), first);
    world.stop().await;
}

#[tokio::test]
async fn copies_of_a_callback_have_its_id() {
    let world = World::start().await;
    world.faults(json!({"callbackDuplicated": {"next": 1}, "callbackCopies": 3})).await;
    world.pay("order-1", CARD).await.key();
    let received = world.receiver.wait_for(4).await;
    assert!(received.iter().all(|callback| callback.id == received[0].id && callback.raw == received[0].raw));
    world.stop().await;
}

#[tokio::test]
async fn a_held_callback_goes_after_the_one_that_overtook_it() {
    let world = World::start().await;
    world.faults(json!({"callbackReordered": {"next": 1}, "callbackReorderMs": HOUR_MS})).await;
    let first = world.pay_and_settle("order-1", CARD).await;
    let second = world.pay_and_settle("order-2", CARD).await;
    let keys: Vec<_> =
        world.receiver.wait_for(2).await.iter().map(|callback| callback.key().to_owned()).collect();
    assert_eq!(keys, [second, first]);
    world.stop().await;
}

#[tokio::test]
async fn an_early_callback_is_there_before_the_answer() {
    let world = World::start().await;
    world.faults(json!({"callbackEarly": {"next": 1}, "decisionMs": hour()})).await;
    let answer = world.pay("order-1", CARD).await;
    let received = world.receiver.received();
    assert_eq!(received.len(), 1);
    assert_eq!((received[0].key(), &received[0].body["status"]), (answer.key().as_str(), &json!("SUCCESS")));
    assert_eq!(answer.data()["status"], "PENDING");
    world.stop().await;
}

#[tokio::test]
async fn a_forged_callback_claims_success_and_no_secret_fits_it() {
    let world = World::start().await;
    world.faults(json!({"callbackForged": {"next": 1}})).await;
    world.pay("order-1", OVER_LIMIT).await.key();
    let received = world.receiver.wait_for(2).await;
    let of = |status: &str| received.iter().find(|callback| callback.body["status"] == status).unwrap();
    assert_eq!(of("SUCCESS").check(&[secret()]), Err(Unverified::NoMatch));
    assert_eq!(of("FAILED").check(&[secret()]), Ok(()));
    world.stop().await;
}

#[tokio::test]
async fn a_replayed_callback_has_the_id_and_a_signature_of_long_ago() {
    let world = World::start().await;
    world.faults(json!({"callbackReplayed": {"next": 1}})).await;
    world.pay("order-1", CARD).await.key();
    let received = world.receiver.wait_for(2).await;
    assert_eq!((&received[0].id, &received[0].raw), (&received[1].id, &received[1].raw));
    let mut checks: Vec<_> = received.iter().map(|callback| callback.check(&[secret()])).collect();
    checks.sort_by_key(Result::is_err);
    assert!(matches!(checks[..], [Ok(()), Err(Unverified::TooOld(600..))]), "{checks:?}");
    world.stop().await;
}

#[tokio::test]
async fn a_callback_with_a_wrong_amount_is_signed_all_the_same() {
    let world = World::start().await;
    world.faults(json!({"callbackWrongAmount": {"next": 1}})).await;
    let key = world.pay("order-1", CARD).await.key();
    let received = world.receiver.wait_for(1).await;
    assert_eq!((received[0].check(&[secret()]), &received[0].body["amount"]), (Ok(()), &json!(5_001)));
    assert_eq!(world.client.decided(&key).await.data()["amount"], 5_000);
    world.stop().await;
}

#[tokio::test]
async fn a_slow_query_keeps_nobody_else_waiting() {
    let world = World::start().await;
    let key = world.pay_and_settle("order-1", CARD).await;
    world.faults(json!({"querySlow": {"next": 1}, "querySlowMs": hour()})).await;
    let (client, path) = (world.client.clone(), format!("/api/v1/payments/{key}"));
    let asked = path.clone();
    let slow = tokio::spawn(async move { client.get(&asked).await });
    world.client.until("/admin/faults", |faults| faults.body["querySlow"]["next"] == 0).await;
    world.client.get(&path).await.data();
    assert!(!slow.is_finished());
    slow.abort();
    drop(world.running);
}

#[tokio::test]
async fn queries_fail_and_go_stale_by_the_script() {
    let world = World::start().await;
    let key = world.pay_and_settle("order-1", CARD).await;
    let (one, list) = (format!("/api/v1/payments/{key}"), "/api/v1/payments?orderId=order-1");
    world.faults(json!({"queryFailing": {"next": 2}})).await;
    world.client.get(&one).await.refused(500);
    world.client.get(list).await.refused(500);
    world.faults(json!({"queryStale": {"rate": 1}})).await;
    let stale = world.client.get(&one).await;
    assert_eq!((&stale.data()["status"], &stale.data()["reason"]), (&json!("PENDING"), &Value::Null));
    assert_eq!(world.client.get(list).await.data()["transactions"][0]["status"], "PENDING");
    world.faults(json!({})).await;
    assert_eq!(world.client.get(&one).await.data()["status"], "SUCCESS");
    world.stop().await;
}

#[tokio::test]
async fn a_refund_fails_before_or_after_it_is_made() {
    let world = World::start().await;
    let key = world.pay_and_settle("order-1", CARD).await;
    let path = format!("/api/v1/payments/{key}/cancel");
    let refund = || {
        let request = world.client.request("POST", &path).header("Idempotency-Key", "refund-1");
        world.client.send(request.json(&json!({"reason": "changed my mind"})))
    };
    let refunded = || async { world.client.get("/admin/summary").await.body["refunded"].clone() };
    world.faults(json!({"refundFailBefore": {"next": 1}, "refundFailAfter": {"next": 1}})).await;
    refund().await.refused(500);
    assert_eq!(refunded().await, 0);
    refund().await.refused(500);
    assert_eq!(refunded().await, 5_000);
    assert_eq!(refund().await.data()["refunded"], 5_000);
    assert_eq!(refunded().await, 5_000);
    world.stop().await;
}

#[tokio::test]
async fn the_reference_preset_fails_declines_and_never_calls_back_twice() {
    let world = World::with(|options| {
        let at_once = Range { min: 0, max: 0 };
        options.faults = Faults { latency_ms: at_once, decision_ms: at_once, ..Preset::Reference.faults() };
        options.callback_retry = Preset::Reference.callback_retry();
        options.capabilities = Capabilities::NONE;
    })
    .await;
    world.receiver.answer_next(&[500]);
    let mut recorded = 0;
    for n in 0..200 {
        recorded += usize::from(world.pay(&format!("order-{n}"), OVER_LIMIT).await.status == 200);
    }
    assert!((100..140).contains(&recorded), "{recorded} of 200 recorded; 60 % is the rate");
    assert_eq!(world.receiver.wait_for(recorded).await.len(), recorded);
    let all_tried = |summary: &crate::support::Answer| summary.body["callbacks"]["DELIVERED"] == recorded - 1;
    let summary = world.client.until("/admin/summary", all_tried).await;
    assert_eq!(summary.body["callbacks"], json!({"DELIVERED": recorded - 1, "ABANDONED": 1}));
    let declined = summary.body["transactions"]["FAILED"]["count"].as_u64().unwrap();
    assert!((20..52).contains(&declined), "{declined} of {recorded} declined; 30 % is the rate");
    assert!(world.receiver.received().iter().all(|callback| callback.signature.is_none()));
    world.stop().await;
}

#[tokio::test]
async fn a_seed_repeats_what_happens() {
    let run = async || {
        let world = World::with(|options| options.faults.fail_before = Chance::rate(0.5)).await;
        let mut answers = Vec::new();
        for n in 0..20 {
            let answer = world.pay(&format!("order-{n}"), CARD).await;
            answers.push(answer.body["data"]["transactionKey"].as_str().map(|key| key[12..].to_owned()));
        }
        world.stop().await;
        answers
    };
    let first = run().await;
    assert!(first.contains(&None) && first.iter().any(Option::is_some), "{first:?}");
    assert_eq!(first, run().await);
}

#[tokio::test]
async fn a_callback_is_tried_again_until_it_is_taken_or_given_up() {
    let world = World::with(|options| {
        options.callback_retry = CallbackRetry { first_ms: 1, max_ms: 2, attempts_max: 3 };
    })
    .await;
    world.receiver.answer_next(&[500, 404]);
    world.pay("order-1", CARD).await.key();
    let received = world.receiver.wait_for(3).await;
    assert!(received.iter().all(|callback| callback.id == received[0].id));
    world
        .client
        .until("/admin/summary", |summary| summary.body["callbacks"] == json!({"DELIVERED": 1}))
        .await;
    world.receiver.answer_next(&[500, 302, 503]);
    world.pay("order-2", CARD).await.key();
    let both = json!({"ABANDONED": 1, "DELIVERED": 1});
    world.client.until("/admin/summary", |summary| summary.body["callbacks"] == both).await;
    assert_eq!(world.receiver.received().len(), 6);
    world.stop().await;
}
