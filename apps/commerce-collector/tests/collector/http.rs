//! The HTTP interface over a socket.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use commerce_collector::Running;
use commerce_collector::interfaces::openapi;
use commerce_runtime::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::events::mixed;
use crate::support::{Bench, Event, halted, until};

pub struct Reply {
    pub status: u16,
    head: String,
    text: String,
    pub json: Value,
}

/// A request on a connection of its own.
pub async fn get(addr: SocketAddr, path: &str, token: Option<&str>) -> Reply {
    ask(addr, "GET", path, token, "").await
}

/// One POST by the administrator.
async fn post(addr: SocketAddr, path: &str, body: &Value) -> Reply {
    post_as(addr, path, Some("admin"), body).await
}

/// One POST by somebody.
pub async fn post_as(addr: SocketAddr, path: &str, token: Option<&str>, body: &Value) -> Reply {
    ask(addr, "POST", path, token, &body.to_string()).await
}

/// One request on a connection of its own.
async fn ask(addr: SocketAddr, method: &str, path: &str, token: Option<&str>, body: &str) -> Reply {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let auth = token.map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{auth}connection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let json = serde_json::from_str(body).unwrap_or(Value::Null);
    Reply { status, head: head.to_lowercase(), text: body.to_owned(), json }
}

async fn ok(addr: SocketAddr, path: &str) -> Value {
    let reply = get(addr, path, None).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.json);
    reply.json
}

async fn admin(addr: SocketAddr, path: &str) -> Value {
    let reply = get(addr, path, Some("admin")).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.json);
    reply.json
}

/// A collector that has counted and ranked these.
async fn with(bench: &Bench, events: &[Event]) -> Running {
    bench.publish(events).await;
    let first = bench.start().await;
    bench.counts_after(first).await;
    bench.start().await
}

#[tokio::test]
async fn boards_and_ranks_by_id() {
    let bench = Bench::open().await;
    let events =
        [Event::viewed(1, 7), Event::viewed(2, 7), Event::liked(3, 8, 1), Event::paid(4, 1, &[(9, 1, 5)])];
    let running = with(&bench, &events).await;
    let addr = running.addr();
    assert_eq!(
        ok(addr, "/api/v1/rankings?size=2").await,
        json!({
            "period": "DAILY", "type": "ALL", "date": "20270115", "complete": false, "page": 1, "size": 2,
            "total": 3,
            "items": [
                {"rank": 1, "productId": 9, "score": 6, "previousRank": null, "change": null},
                {"rank": 2, "productId": 7, "score": 2, "previousRank": null, "change": null},
            ],
        })
    );
    let last = ok(addr, "/api/v1/rankings?size=2&page=2").await;
    assert_eq!(last["items"][0]["productId"], 8, "a tie with 7, and the higher id");
    assert_eq!(ok(addr, "/api/v1/rankings?date=20270114").await["items"], json!([]));
    for period in ["WEEKLY", "MONTHLY"] {
        let board = ok(addr, &format!("/api/v1/rankings?period={period}")).await;
        assert_eq!((&board["items"], &board["total"]), (&json!([]), &json!(0)));
    }
    let place = json!({"rank": 2, "score": 2, "previousRank": null, "change": null});
    let view = json!({"rank": 1, "score": 2, "previousRank": null, "change": null});
    assert_eq!(
        ok(addr, "/api/v1/rankings/products/7").await,
        json!({
            "productId": 7, "period": "DAILY", "date": "20270115",
            "ranks": {"all": place, "like": null, "view": view, "order": null},
        })
    );
    running.stop().await;
}

#[tokio::test]
async fn metrics_of_a_product_by_day() {
    let bench = Bench::open().await;
    let events = [
        Event::viewed(1, 7).at("2027-01-14T10:00:00+09:00"),
        Event::viewed(2, 7),
        Event::paid(3, 1, &[(7, 2, 500)]),
        Event::liked(4, 7, 1),
        Event::viewed(5, 7).at("2026-11-01T10:00:00+09:00"),
    ];
    let running = with(&bench, &events).await;
    let addr = running.addr();
    let of = |views, likes, orders, quantity, amount| json!({"views": views, "likes": likes, "orders": orders, "quantity": quantity, "amount": amount});
    let on = |date: &str, mut metrics: Value| {
        metrics["date"] = date.into();
        metrics
    };
    assert_eq!(
        ok(addr, "/api/v1/metrics/products/7").await,
        json!({
            "productId": 7, "from": "20261217", "to": "20270115", "total": of(3, 1, 1, 2, 1_000),
            "items": [on("20270114", of(1, 0, 0, 0, 0)), on("20270115", of(1, 1, 1, 2, 1_000))],
        })
    );
    let one = ok(addr, "/api/v1/metrics/products/7?from=20261101&to=20261101").await;
    assert_eq!(one["items"], json!([on("20261101", of(1, 0, 0, 0, 0))]));
    let none = ok(addr, "/api/v1/metrics/products/99").await;
    assert_eq!((&none["total"], &none["items"]), (&of(0, 0, 0, 0, 0), &json!([])));
    running.stop().await;
}

#[tokio::test]
async fn bad_parameters_are_refused_by_name() {
    let bench = Bench::open().await;
    let running = bench.start().await;
    for (path, pointer) in [
        ("/api/v1/rankings?period=YEARLY", "/period"),
        ("/api/v1/rankings?type=SALES", "/type"),
        ("/api/v1/rankings?date=20271301", "/date"),
        ("/api/v1/rankings?page=0", "/page"),
        ("/api/v1/rankings?size=101", "/size"),
        ("/api/v1/rankings?limit=1", "/limit"),
        ("/api/v1/rankings/products/x", "/id"),
        ("/api/v1/metrics/products/0", "/id"),
        ("/api/v1/metrics/products/7?from=20270115&to=20270114", "/from"),
        ("/api/v1/metrics/products/7?from=20250101&to=20270114", "/from"),
    ] {
        let reply = get(running.addr(), path, None).await;
        assert_eq!((reply.status, &reply.json["errors"][0]["pointer"]), (400, &json!(pointer)), "{path}");
    }
    let unknown = get(running.addr(), "/api/v1/nothing", None).await;
    assert_eq!((unknown.status, &unknown.json["code"]), (404, &json!("ROUTE_NOT_FOUND")));
    running.stop().await;
}

#[tokio::test]
async fn every_operation_admits_whom_its_policy_says() {
    let bench = Bench::open().await;
    let running = bench.start().await;
    let document = serde_json::to_value(openapi()).unwrap();
    let mut policies = BTreeSet::new();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| (path, method, operation))
    });
    for (path, method, operation) in operations {
        let policy = operation["x-policy"].as_str().unwrap();
        policies.insert(policy.to_owned());
        for who in [None, Some("customer"), Some("admin"), Some("stranger")] {
            let (method, path) = (method.to_uppercase(), path.replace("{id}", "7"));
            let reply = ask(running.addr(), &method, &path, who, "").await;
            let expected = match (policy, who) {
                (_, Some("stranger")) | ("ADMIN", None) => 401,
                ("ADMIN", Some("customer")) => 403,
                _ => 200,
            };
            let refused = matches!(reply.status, 401 | 403);
            assert_eq!(if refused { reply.status } else { 200 }, expected, "{method} {path} {who:?}");
            assert!(reply.status < 500, "{method} {path} {who:?}: {}", reply.status);
            assert!(reply.head.contains("x-content-type-options: nosniff"), "{path}");
            let cached = reply.head.contains("cache-control: public, max-age=1");
            assert_eq!(cached, policy == "ANYONE" && expected == 200, "{method} {path} {who:?}");
        }
    }
    assert_eq!(policies.into_iter().collect::<Vec<_>>(), ["ADMIN", "ANYONE"]);
    running.stop().await;
}

#[tokio::test]
async fn dead_letters_are_listed_latest_first_without_card_numbers() {
    let bench = Bench::open().await;
    for number in 0..3 {
        let junk = format!("junk {number}: 4111-1111-1111-1111");
        bench.publish_bytes("order", "k", junk.as_bytes()).await;
    }
    let running = with(&bench, &[]).await;
    let list = "/api/v1/dead-letters?state=OPEN&limit=2";
    let page = admin(running.addr(), list).await;
    let letter = &page["items"][0];
    assert_eq!(letter["value"], json!({"encoding": "TEXT", "content": "junk 2: ****-****-****-1111"}));
    assert_eq!(
        letter["headers"],
        json!([{"name": "ce_id", "value": {"encoding": "BASE64", "content": "AP8="}}])
    );
    assert_eq!((&letter["cause"], &letter["state"]), (&json!("NOT_JSON"), &json!("OPEN")));
    assert_eq!(letter["setAsideAt"], "2027-01-15T08:00:00.000000Z");
    let cursor = page["nextCursor"].as_str().unwrap();
    let rest = admin(running.addr(), &format!("{list}&cursor={cursor}")).await;
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["nextCursor"]), (1, &Value::Null));
    assert!(rest["items"][0]["value"]["content"].as_str().unwrap().starts_with("junk 0"));
    let forged = get(running.addr(), "/api/v1/dead-letters?cursor=zzz", Some("admin")).await;
    assert_eq!(forged.json["code"], "INVALID_CURSOR");
    running.stop().await;
}

#[tokio::test]
async fn administrators_replay_and_discard_dead_letters() {
    let bench = Bench::open().await;
    let later: Vec<_> = (1..4).map(|n| Event::viewed(n, 3).at("2027-01-16T08:00:00Z")).collect();
    bench.publish_bytes("order", "k", b"junk 4111-1111-1111-1111").await;
    let running = with(&bench, &later).await;
    let addr = running.addr();
    let future = admin(addr, "/api/v1/dead-letters?cause=FUTURE_DATED&type=ProductViewed").await;
    let ids: Vec<i64> =
        future["items"].as_array().unwrap().iter().map(|letter| letter["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), 3);
    let id = ids[0];
    let of = |what: &str| format!("/api/v1/dead-letters/{id}/{what}");
    let early = post(addr, &of("replay"), &json!({})).await;
    assert_eq!(
        (early.status, &early.json["outcome"], &early.json["state"]),
        (200, &json!("REFUSED"), &json!("OPEN"))
    );
    assert_eq!(early.json["cause"], "FUTURE_DATED");

    bench.clock.advance(std::time::Duration::from_hours(24));
    for outcome in ["COUNTED", "UNCHANGED"] {
        let replayed = post(addr, &of("replay"), &json!({})).await;
        assert_eq!(
            (&replayed.json["outcome"], &replayed.json["state"]),
            (&json!(outcome), &json!("REPLAYED"))
        );
    }
    let conflict = post(addr, &of("discard"), &json!({"reason": "too late"})).await;
    assert_eq!((conflict.status, &conflict.json["code"]), (409, &json!("DEAD_LETTER_STATE_CONFLICT")));
    let shown = admin(addr, &format!("/api/v1/dead-letters/{id}")).await;
    assert_eq!((&shown["attempts"], &shown["history"][1]["actor"]), (&json!(3), &json!("user:1")));
    let none = post(addr, "/api/v1/dead-letters/99/replay", &json!({})).await;
    assert_eq!((none.status, &none.json["code"]), (404, &json!("DEAD_LETTER_NOT_FOUND")));

    let dry = json!({"dryRun": true, "cause": "FUTURE_DATED", "limit": 1});
    let told = post(addr, "/api/v1/dead-letters/replay", &dry).await.json;
    assert_eq!((&told["counted"], &told["nextAfter"]), (&json!(1), &json!(ids[2])));
    let done = post(addr, "/api/v1/dead-letters/replay", &json!({})).await.json;
    assert_eq!((&done["counted"], &done["refused"]), (&json!(2), &json!({"NOT_JSON": 1})));
    for (body, status) in [
        (json!({"reason": "everything"}), 400),
        (json!({"cause": "NOT_JSON"}), 400),
        (json!({"cause": "NOT JSON", "reason": "x"}), 400),
        (json!({"cause": "NOT_JSON", "reason": "", "dryRun": true}), 400),
        (json!({"ids": [], "reason": "x"}), 400),
        (json!({"since": "yesterday", "reason": "x"}), 400),
        (json!({"cause": "NOT_JSON", "reason": "a test"}), 200),
    ] {
        let reply = post(addr, "/api/v1/dead-letters/discard", &body).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text);
    }
    assert_eq!(admin(addr, "/api/v1/dead-letters?state=OPEN").await["items"], json!([]));
    assert_eq!(ok(addr, "/api/v1/metrics/products/3").await["total"]["views"], 3);
    let resumed = post(addr, "/api/v1/consumer/resume", &json!({})).await;
    assert_eq!((resumed.status, &resumed.json["code"]), (409, &json!("CONSUMER_NOT_HALTED")));
    running.stop().await;
}

#[tokio::test]
async fn administrators_have_boards_ranked_anew() {
    let bench = Bench::open().await;
    let running = with(&bench, &[Event::viewed(1, 7)]).await;
    let collector = bench.collector().await;
    crate::support::run(&collector.database, "DELETE FROM ranking_board").await;
    collector.close().await;
    let rebuilt = post(running.addr(), "/api/v1/boards/rebuild", &json!({"date": "20270115"})).await;
    assert_eq!((rebuilt.status, &rebuilt.json), (200, &json!({"date": "20270115"})));
    assert_eq!(ok(running.addr(), "/api/v1/rankings").await["total"], 1);
    let wrong = post(running.addr(), "/api/v1/boards/rebuild", &json!({"date": "20271301"})).await;
    assert_eq!(wrong.status, 400);
    running.stop().await;
}

#[tokio::test]
async fn the_lag_and_the_health_tell_of_a_halt() {
    let bench = Bench::open().await;
    bench.publish(&mixed(50)).await;
    let running = with(&bench, &[]).await;
    until("it runs", async || admin(running.addr(), "/api/v1/lag").await["consumer"] == "RUNNING").await;
    let lag = admin(running.addr(), "/api/v1/lag").await;
    assert_eq!((&lag["lag"], &lag["reason"]), (&json!(0), &Value::Null));
    assert_eq!(lag["partitions"].as_array().unwrap().len(), 15);
    let health = get(running.addr(), "/actuator/health", Some("admin")).await;
    assert_eq!((health.status, &health.json["components"]["consumer"]["status"]), (200, &json!("UP")));

    for _ in 0..60 {
        bench.publish_bytes("order", "one partition", b"junk").await;
    }
    halted(&running).await;
    let lag = admin(running.addr(), "/api/v1/lag").await;
    assert_eq!((&lag["consumer"], &lag["lag"]), (&json!("HALTED"), &json!(10)));
    let health = get(running.addr(), "/actuator/health", None).await;
    assert_eq!(health.status, 503);
    let consumer = &health.json["components"]["consumer"]["details"];
    assert!(consumer["error"].as_str().unwrap().contains("were set aside"), "{consumer}");
    let ready = get(running.addr(), "/actuator/health/readiness", None).await;
    assert_eq!(ready.status, 200, "boards are served all the same");
    running.stop().await;
}

#[tokio::test]
async fn records_that_the_log_deleted_before_they_were_counted_are_told_of() {
    let bench = Bench::open().await;
    let events = mixed(60);
    bench.publish(&events[..30]).await;
    let running = bench.start().await;
    bench.counts_after(running).await;
    bench.publish(&events[30..]).await;
    // The log's own clock is the system's.
    let far = SystemClock.now_us() + 30 * 24 * 3_600_000_000;
    bench.log.purge(far).await.unwrap();

    let running = bench.start().await;
    until("all is told of", async || running.consumer().skipped() == 30).await;
    let health = get(running.addr(), "/actuator/health", Some("admin")).await;
    assert_eq!(health.json["components"]["consumer"]["details"]["skipped"], 30);
    let metrics = get(running.addr(), "/actuator/prometheus", Some("admin")).await;
    assert!(metrics.text.contains("commerce_events_skipped_total{"), "{}", metrics.text);
    running.stop().await;
}

#[tokio::test]
async fn figures_of_counting_are_measured() {
    let bench = Bench::open().await;
    let running = with(&bench, &mixed(100)).await;
    let mut socket = TcpStream::connect(running.addr()).await.unwrap();
    let request = "GET /actuator/prometheus HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let figures = [
        "commerce_collector_events_total{type=\"ProductViewed\"}",
        "commerce_collector_duplicates_total",
        "commerce_collector_batch_seconds_bucket",
        "commerce_collector_dead_letters_open",
        "commerce_board_age_seconds",
        "commerce_consumer_lag_records{topic=\"order\",partition=\"0\"}",
    ];
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).await.unwrap();
    for figure in figures {
        assert!(text.contains(figure), "{figure}");
    }
    running.stop().await;
}

#[tokio::test]
async fn the_document_of_the_events_is_as_published() {
    let bench = Bench::open().await;
    let running = bench.start().await;
    let document = ok(running.addr(), "/asyncapi.json").await;
    assert_eq!(document, commerce_contracts::asyncapi::document());
    by_name(|| insta::assert_json_snapshot!("asyncapi", document));
    running.stop().await;
    let hidden = bench.start_with(|options| options.docs = false).await;
    assert_eq!(get(hidden.addr(), "/asyncapi.json", None).await.status, 404);
    hidden.stop().await;
}

#[test]
fn the_document_is_as_published() {
    by_name(|| insta::assert_json_snapshot!("openapi", openapi()));
}

/// The same file for every crate that this is built into.
fn by_name(compare: impl FnOnce()) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(compare);
}
