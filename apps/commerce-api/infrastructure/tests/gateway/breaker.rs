//! What is not even sent while the gateway is down.

use std::time::Duration;

use commerce_api_application::ports::{ChargeError, GatewayAbilities, GatewayError, PaymentGateway as _};
use commerce_api_domain::Money;
use commerce_api_infrastructure::gateway::{GatewayOptions, HttpGateway};
use commerce_resilience::BreakerState;
use tokio::time::{Instant, sleep};

use crate::scripted::{Does, Scripted};
use crate::support::{REFERENCE, charge, client, fail, nobody, ok, options, payment, pending};

fn state(gateway: &HttpGateway, breaker: &str) -> BreakerState {
    gateway.breakers().get(breaker).unwrap().state()
}

fn down() -> Does {
    fail(503, "down")
}

fn no_transactions() -> Does {
    ok(&format!(r#"{{"orderId":"{REFERENCE}","transactions":[]}}"#))
}

fn with(url: &str, abilities: GatewayAbilities, change: impl FnOnce(&mut GatewayOptions)) -> HttpGateway {
    let mut options = options(url, abilities);
    change(&mut options);
    HttpGateway::new(options).unwrap()
}

/// Five charges whose outcome stays open; the breaker of charges is open then.
async fn five_unknown(gateway: &HttpGateway) {
    for number in 0..5 {
        assert_eq!(state(gateway, "gateway-charge"), BreakerState::Closed, "{number}");
        let end = gateway.charge(&charge()).await;
        assert!(matches!(end, Err(ChargeError::Unknown(_))), "{number}: {end:?}");
    }
    assert_eq!(state(gateway, "gateway-charge"), BreakerState::Open);
}

#[tokio::test]
async fn five_failures_open_the_breaker_and_no_charge_reaches_the_gateway() {
    let script = vec![down(), down(), down(), down(), down(), no_transactions()];
    let server = Scripted::start(script).await;
    let gateway = client(&server.url, GatewayAbilities::NONE);
    five_unknown(&gateway).await;
    for _ in 0..20 {
        let end = gateway.charge(&charge()).await;
        let text = "circuit breaker `gateway-charge` is OPEN".to_owned();
        assert_eq!(end, Err(ChargeError::NotSent(text)));
    }
    assert_eq!(server.requests().len(), 5);
    // Asking goes on: it is how what is open becomes known.
    assert_eq!(gateway.find_by_reference(payment()).await, Ok(Vec::new()));
    assert_eq!(server.requests().len(), 6);
    assert_eq!(state(&gateway, "gateway-query"), BreakerState::Closed);
}

#[tokio::test]
async fn queries_and_refunds_that_fail_stop_no_charge() {
    let server = Scripted::start(std::iter::repeat_n(down(), 10).chain([pending()])).await;
    let gateway = with(&server.url, GatewayAbilities::ALL, |options| options.attempts_max = 1);
    for _ in 0..5 {
        gateway.find("k1").await.unwrap_err();
        gateway.refund("k1", Money::new(1).unwrap(), "r-1").await.unwrap_err();
    }
    let refused = gateway.find("k1").await;
    assert!(matches!(&refused, Err(GatewayError::Unavailable(why)) if why.contains("OPEN")), "{refused:?}");
    let refused = gateway.void(payment()).await;
    assert!(matches!(&refused, Err(GatewayError::Unavailable(why)) if why.contains("OPEN")), "{refused:?}");
    gateway.charge(&charge()).await.unwrap();
    assert_eq!(server.requests().len(), 11);
}

#[tokio::test]
async fn half_open_two_good_calls_close_the_breaker_again() {
    let script = std::iter::repeat_n(down(), 5).chain([pending(), pending(), pending()]);
    let server = Scripted::start(script).await;
    let gateway = with(&server.url, GatewayAbilities::NONE, |options| {
        options.breaker.open_wait = Duration::from_millis(50);
    });
    five_unknown(&gateway).await;
    let give_up_at = Instant::now() + Duration::from_secs(20);
    loop {
        match gateway.charge(&charge()).await {
            Ok(_) => break,
            Err(error) => assert!(matches!(error, ChargeError::NotSent(_)), "{error:?}"),
        }
        assert!(Instant::now() < give_up_at, "it stays open");
        // tidy: sleep between two looks, each of which is bounded by the test's patience
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(state(&gateway, "gateway-charge"), BreakerState::HalfOpen);
    gateway.charge(&charge()).await.unwrap();
    assert_eq!(state(&gateway, "gateway-charge"), BreakerState::Closed);
    gateway.charge(&charge()).await.unwrap();
    assert_eq!(server.requests().len(), 8);
}

#[tokio::test]
async fn a_gateway_that_hangs_opens_the_breaker() {
    let server = Scripted::start([]).await;
    let gateway = with(&server.url, GatewayAbilities::NONE, |options| {
        options.call_timeout = Duration::from_millis(50);
    });
    five_unknown(&gateway).await;
    let end = gateway.charge(&charge()).await;
    assert!(matches!(end, Err(ChargeError::NotSent(_))), "{end:?}");
    assert_eq!(server.requests().len(), 5);
}

#[tokio::test]
async fn a_gateway_that_is_slow_opens_the_breaker_although_it_answers() {
    let Does::Answer(_, body) = pending() else { unreachable!("it answers") };
    let late = Does::Late(Duration::from_millis(30), body);
    let server = Scripted::start(std::iter::repeat_n(late, 6)).await;
    let gateway = with(&server.url, GatewayAbilities::NONE, |options| {
        options.breaker.slow_call = Duration::from_millis(10);
    });
    for _ in 0..5 {
        gateway.charge(&charge()).await.unwrap();
    }
    let end = gateway.charge(&charge()).await;
    assert!(matches!(end, Err(ChargeError::NotSent(_))), "{end:?}");
    assert_eq!(server.requests().len(), 5);
}

#[tokio::test]
async fn what_may_have_left_stays_unknown_when_the_breaker_opens_in_between() {
    let server = Scripted::start([down(), pending()]).await;
    let hasty = |options: &mut GatewayOptions| options.breaker.calls_min = 1;
    let gateway = with(&server.url, GatewayAbilities::ALL, hasty);
    let end = gateway.charge(&charge()).await;
    assert!(matches!(&end, Err(ChargeError::Unknown(why)) if why.contains("503")), "{end:?}");
    assert_eq!(server.requests().len(), 1);
    // Nothing of this one left, neither before the breaker opened nor after.
    let gateway = with(&nobody().await, GatewayAbilities::ALL, hasty);
    let end = gateway.charge(&charge()).await;
    assert!(matches!(end, Err(ChargeError::NotSent(_))), "{end:?}");
}

#[tokio::test]
async fn who_says_no_is_not_down() {
    let server = Scripted::start(std::iter::repeat_n(fail(404, "none"), 30)).await;
    let gateway = client(&server.url, GatewayAbilities::ALL);
    for _ in 0..10 {
        assert_eq!(gateway.find("k1").await, Ok(None));
        gateway.void(payment()).await.unwrap_err();
    }
    for breaker in ["gateway-query", "gateway-refund"] {
        assert_eq!(state(&gateway, breaker), BreakerState::Closed, "{breaker}");
    }
    assert_eq!(server.requests().len(), 20);
}

#[tokio::test]
async fn options_that_mean_nothing_are_refused() {
    let mut options = options("http://127.0.0.1:1", GatewayAbilities::ALL);
    options.breaker.failure_rate = 101;
    let error = HttpGateway::new(options).unwrap_err().to_string();
    assert!(
        error.contains("gateway-charge") && error.contains("101") && error.contains("1 to 100"),
        "{error}"
    );
}
