//! What is sent, and what is concluded from each way in which a call can fail.

use std::sync::Arc;
use std::time::Duration;

use commerce_api_application::ports::{
    ChargeError, GatewayAbilities, GatewayError, PaymentGateway as _, TransactionState,
};
use commerce_api_domain::Money;
use commerce_api_infrastructure::gateway::HttpGateway;
use futures::future::join_all;
use tokio::net::{TcpSocket, TcpStream};

use crate::scripted::{Does, Scripted};
use crate::support::{CARD, REFERENCE, charge, client, fail, nobody, ok, options, payment, pending};

/// Every way of not answering after the request was read.
fn silences() -> Vec<Does> {
    let long = format!("\"{}\"", "x".repeat(70_000));
    vec![
        Does::Nothing,
        Does::Close,
        Does::BreakOff,
        Does::Drip,
        fail(500, "internal"),
        fail(503, "busy"),
        fail(429, "slow down"),
        Does::Answer(200, "<html>".to_owned()),
        Does::Answer(200, long),
        Does::Answer(404, "no such route".to_owned()),
        Does::Redirect("http://127.0.0.1:1/elsewhere".to_owned()),
    ]
}

#[tokio::test]
async fn a_charge_is_sent_as_the_protocol_says() {
    let server = Scripted::start([pending(), pending()]).await;
    let plain = client(&server.url, GatewayAbilities::NONE).charge(&charge()).await.unwrap();
    assert_eq!((&*plain.key, plain.state), ("20260814:TR:9577c5", TransactionState::Pending));
    client(&server.url, GatewayAbilities::ALL).charge(&charge()).await.unwrap();
    let requests = server.requests();
    for request in &requests {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /api/v1/payments HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("x-user-id: 135135\r\n"), "{head}");
        assert!(head.contains("content-type: application/json\r\n"), "{head}");
        let expected = format!(
            "{{\"orderId\":\"{REFERENCE}\",\"cardType\":\"SAMSUNG\",\"cardNo\":\"{CARD}\",\"amount\":5000,\
             \"callbackUrl\":\"http://localhost:8080/api/v1/payments/callback\"}}"
        );
        assert_eq!(body, expected);
    }
    assert!(!requests[0].contains("idempotency-key"));
    let key = format!("idempotency-key: {}\r\n", charge().idempotency_key());
    assert!(requests[1].contains(&key), "{}", requests[1]);
}

#[tokio::test]
async fn a_connection_that_never_came_about_proves_that_nothing_was_sent() {
    for abilities in [GatewayAbilities::NONE, GatewayAbilities::ALL] {
        let gateway = client(&nobody().await, abilities);
        assert!(matches!(gateway.charge(&charge()).await, Err(ChargeError::NotSent(_))));
        assert!(matches!(gateway.find("k1").await, Err(GatewayError::Unavailable(_))));
    }
    let unresolvable = impatient("http://gateway.invalid").charge(&charge()).await;
    assert!(matches!(unresolvable, Err(ChargeError::NotSent(_))), "{unresolvable:?}");
    // It takes the greeting of TLS for the beginning of a request, and waits for the rest.
    let not_tls = Scripted::start([]).await;
    let refused = impatient(&not_tls.url.replace("http:", "https:")).charge(&charge()).await;
    assert!(matches!(refused, Err(ChargeError::NotSent(_))), "{refused:?}");
}

/// Waits long for answers, and not for connections.
fn impatient(url: &str) -> HttpGateway {
    let mut options = options(url, GatewayAbilities::NONE);
    options.call_timeout = Duration::from_mins(1);
    options.connect_timeout = Duration::from_millis(50);
    HttpGateway::new(options).unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_connection_that_takes_too_long_was_not_sent() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = socket.local_addr().unwrap();
    let _listener = socket.listen(1).unwrap();
    // Nobody accepts: once the backlog is full, the next connections wait.
    let mut waiting = tokio::task::JoinSet::new();
    let mut standing = Vec::new();
    for _ in 0..4 {
        waiting.spawn(TcpStream::connect(addr));
    }
    for _ in 0..2 {
        standing.push(waiting.join_next().await.unwrap().unwrap().unwrap());
    }
    let refused = impatient(&format!("http://{addr}")).charge(&charge()).await;
    assert!(matches!(refused, Err(ChargeError::NotSent(_))), "{refused:?}");
}

#[tokio::test]
async fn every_silence_after_the_request_leaves_a_charge_unknown_and_is_not_repeated() {
    let tried = silences().into_iter().enumerate().map(async |(number, silence)| {
        let server = Scripted::start([silence, pending()]).await;
        let end = client(&server.url, GatewayAbilities::NONE).charge(&charge()).await;
        assert!(matches!(end, Err(ChargeError::Unknown(_))), "{number}: {end:?}");
        assert_eq!(server.requests().len(), 1, "{number}");
    });
    join_all(tried).await;
}

#[tokio::test]
async fn under_a_key_that_is_honoured_a_charge_is_repeated_three_times_at_most() {
    let server = Scripted::start([fail(500, "x"), Does::Close, pending()]).await;
    let end = client(&server.url, GatewayAbilities::ALL).charge(&charge()).await.unwrap();
    assert_eq!(&*end.key, "20260814:TR:9577c5");
    let requests = server.requests();
    assert!(requests.len() == 3 && requests.iter().all(|request| request == &requests[0]), "{requests:?}");

    let server = Scripted::start([fail(500, "x"), Does::Close, fail(500, "x"), pending()]).await;
    let end = client(&server.url, GatewayAbilities::ALL).charge(&charge()).await;
    assert!(matches!(end, Err(ChargeError::Unknown(_))), "{end:?}");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_refusal_after_a_silence_proves_nothing() {
    let server = Scripted::start([Does::Close, fail(400, "card"), fail(404, "none")]).await;
    let end = client(&server.url, GatewayAbilities::ALL).charge(&charge()).await;
    assert!(matches!(end, Err(ChargeError::Unknown(_))), "{end:?}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn only_a_400_in_the_gateways_words_refuses_a_charge() {
    let refusal = || fail(400, "cardNo is not a card: 1234-5678-9814-1451");
    let server = Scripted::start([refusal(), fail(404, "none")]).await;
    let end = client(&server.url, GatewayAbilities::ALL).charge(&charge()).await;
    let text = "Bad Request: cardNo is not a card: ****-****-****-1451".to_owned();
    assert_eq!(end, Err(ChargeError::Refused(text)));
    // Nothing is concluded from a refusal where something is recorded, or might be.
    let list = format!(
        r#"{{"orderId":"{REFERENCE}","transactions":[{{"transactionKey":"k1","status":"PENDING","reason":null}}]}}"#
    );
    for then in [ok(&list), fail(500, "x")] {
        let server = Scripted::start([refusal(), then.clone(), then.clone(), then]).await;
        let end = client(&server.url, GatewayAbilities::ALL).charge(&charge()).await;
        assert!(matches!(&end, Err(ChargeError::Unknown(text)) if !text.contains("9814")), "{end:?}");
    }
    for (status, says) in [(404, fail(404, "x")), (409, fail(409, "x"))] {
        let server = Scripted::start([says]).await;
        let end = client(&server.url, GatewayAbilities::NONE).charge(&charge()).await;
        assert!(matches!(end, Err(ChargeError::Unknown(_))), "{status}: {end:?}");
    }
    let server = Scripted::start([Does::Answer(400, "bad gateway".to_owned())]).await;
    let end = client(&server.url, GatewayAbilities::NONE).charge(&charge()).await;
    assert!(matches!(end, Err(ChargeError::Unknown(_))), "{end:?}");
}

#[tokio::test]
async fn a_question_is_repeated_and_only_the_gateway_itself_can_say_not_found() {
    let found = r#"{"transactionKey":"k 1/x","orderId":"other","cardType":"KB","cardNo":"1","amount":7,
        "status":"FAILED","reason":"limit"}"#;
    let key = "20260814:TR:9577c5";
    let server = Scripted::start([Does::Close, ok(&found.replace("k 1/x", key))]).await;
    let transaction = client(&server.url, GatewayAbilities::NONE).find(key).await.unwrap().unwrap();
    assert_eq!((&*transaction.reference, transaction.amount), ("other", 7));
    assert_eq!(transaction.state, TransactionState::Declined("limit".into()));
    assert!(server.requests()[1].starts_with("GET /api/v1/payments/20260814:TR:9577c5 HTTP/1.1\r\n"));

    let server = Scripted::start([fail(404, "none"), fail(404, "none")]).await;
    let gateway = client(&server.url, GatewayAbilities::NONE);
    assert_eq!(gateway.find(key).await, Ok(None));
    assert_eq!(gateway.find_by_reference(payment()).await, Ok(Vec::new()));
    let line = format!("GET /api/v1/payments?orderId={REFERENCE} HTTP/1.1\r\n");
    assert!(server.requests()[1].starts_with(&line));

    let tried = silences().into_iter().map(async |silence| {
        let server = Scripted::start([silence.clone(), silence.clone(), silence]).await;
        let end = client(&server.url, GatewayAbilities::NONE).find_by_reference(payment()).await;
        assert!(matches!(end, Err(GatewayError::Unavailable(_))), "{end:?}");
        assert_eq!(server.requests().len(), 3);
    });
    join_all(tried).await;
}

#[tokio::test]
async fn a_key_from_the_gateway_cannot_lead_to_another_route() {
    let server = Scripted::start([fail(404, "none"), fail(404, "none")]).await;
    let gateway = client(&server.url, GatewayAbilities::ALL);
    assert_eq!(gateway.find("../../admin?x=1#y").await, Ok(None));
    assert!(gateway.refund("a/b", Money::new(1).unwrap(), "r").await.is_err());
    let requests = server.requests();
    assert!(
        requests[0].starts_with("GET /api/v1/payments/..%2F..%2Fadmin%3Fx=1%23y HTTP"),
        "{}",
        requests[0]
    );
    assert!(requests[1].starts_with("POST /api/v1/payments/a%2Fb/cancel HTTP"), "{}", requests[1]);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Scripted::start([pending()]).await;
    let server = Scripted::start([Does::Redirect(format!("{}/api/v1/payments", other.url))]).await;
    let end = client(&server.url, GatewayAbilities::NONE).charge(&charge()).await;
    assert!(matches!(end, Err(ChargeError::Unknown(_))), "{end:?}");
    assert_eq!((server.requests().len(), other.requests().len()), (1, 0));
}

#[tokio::test]
async fn a_refund_is_done_only_where_the_answer_says_so() {
    let refund = |key: &str, refunded: i64| {
        ok(&format!(r#"{{"transactionKey":"{key}","amount":5000,"refunded":{refunded}}}"#))
    };
    let amount = Money::new(5_000).unwrap();
    let server = Scripted::start([Does::Nothing, refund("k1", 5_000)]).await;
    let gateway = client(&server.url, GatewayAbilities::ALL);
    assert_eq!(gateway.refund("k1", amount, "r-1").await, Ok(()));
    let requests = server.requests();
    assert!(requests[0] == requests[1] && requests[0].contains("idempotency-key: r-1\r\n"), "{requests:?}");
    assert!(requests[0].starts_with("POST /api/v1/payments/k1/cancel HTTP"));
    assert!(requests[0].ends_with(r#"{"amount":5000,"reason":"order canceled"}"#), "{}", requests[0]);
    for other in [refund("k2", 5_000), refund("k1", 4_999)] {
        let server = Scripted::start([other.clone(), other.clone(), other]).await;
        let end = client(&server.url, GatewayAbilities::ALL).refund("k1", amount, "r-1").await;
        assert!(matches!(end, Err(GatewayError::Unavailable(_))), "{end:?}");
    }
}

#[tokio::test]
async fn what_a_gateway_cannot_do_it_is_not_asked_for() {
    let server = Scripted::start([]).await;
    let gateway = client(&server.url, GatewayAbilities::NONE);
    let refund = gateway.refund("k1", Money::new(1).unwrap(), "r-1").await;
    assert!(matches!(refund, Err(GatewayError::Refused(_))));
    assert!(matches!(gateway.void(payment()).await, Err(GatewayError::Refused(_))));
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn one_call_too_many_is_refused_before_it_is_sent() {
    let server = Scripted::start([]).await;
    let mut options = options(&server.url, GatewayAbilities::ALL);
    options.bulkhead_max = 1;
    options.call_timeout = Duration::from_mins(1);
    let gateway = Arc::new(HttpGateway::new(options).unwrap());
    let first = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.charge(&charge()).await }
    });
    server.has_read(1).await;
    assert!(matches!(gateway.charge(&charge()).await, Err(ChargeError::NotSent(_))));
    assert!(matches!(gateway.find("k1").await, Err(GatewayError::Unavailable(_))));
    assert_eq!(server.requests().len(), 1);
    first.abort();
    // The place is free again, also for one that was given up.
    let _ = first.await;
    let end = tokio::time::timeout(Duration::from_millis(50), gateway.charge(&charge())).await;
    assert!(end.is_err(), "{end:?}");
    server.has_read(2).await;
}

#[tokio::test]
async fn no_error_and_no_debug_shows_the_card_number() {
    let answers = silences().into_iter().chain([fail(400, CARD), Does::Answer(200, CARD.to_owned())]);
    let tried = answers.map(async |answer| {
        let server = Scripted::start([answer]).await;
        let gateway = client(&server.url, GatewayAbilities::NONE);
        let error = gateway.charge(&charge()).await.unwrap_err();
        format!("{error} {error:?} {gateway:?}")
    });
    let tried = join_all(tried).await.concat();
    let error = client(&nobody().await, GatewayAbilities::NONE).charge(&charge()).await.unwrap_err();
    let shown = format!("{tried} {error} {error:?} {:?}", charge());
    assert!(!shown.contains("9814"), "{shown}");
}

#[tokio::test]
async fn a_settlement_report_is_asked_for_by_day_and_page_and_only_where_there_is_one() {
    let empty = r#"{"date":"2027-01-15","captured":0,"refunded":0,"entries":[],"next":null}"#;
    let server = Scripted::start([ok(empty)]).await;
    let day = "2027-01-15".parse().unwrap();
    let page = client(&server.url, GatewayAbilities::ALL).settlement(day, Some(7)).await.unwrap();
    assert_eq!((page.entries.len(), page.next), (0, None));
    let asked = server.requests();
    assert!(asked[0].contains("GET /api/v1/settlements?date=2027-01-15&limit=1000&after=7 "), "{asked:?}");
    let without = client(&server.url, GatewayAbilities::NONE).settlement(day, None).await;
    assert!(matches!(without, Err(GatewayError::Refused(_))));
    assert_eq!(server.requests().len(), 1, "it is not even asked");
}
