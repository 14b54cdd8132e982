use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use pg_simulator::{CallbackRetry, Options, Range, Simulator};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::support::{CARD, Client, PATIENCE, Receiver, World, manual_clock, options, secret};

const HOUR: Duration = Duration::from_hours(1);
const HOUR_MS: u64 = 3_600_000;

#[tokio::test]
async fn a_pending_decision_is_made_after_a_crash() {
    let clock = manual_clock();
    let world = World::with(|options| {
        options.clock = clock.clone();
        options.faults.decision_ms = Range { min: HOUR_MS, max: HOUR_MS };
    })
    .await;
    let key = world.pay("order-1", CARD).await.key();
    let World { running, receiver, dir, .. } = world;
    drop(running);
    clock.advance(HOUR);
    let again = Options { clock, ..options(&dir.path().join("gateway.sqlite")) };
    let running = Simulator::start(again).await.unwrap();
    assert_eq!(receiver.wait_for(1).await[0].key(), key);
    assert_eq!(Client::of(running.addr()).decided(&key).await.data()["status"], "SUCCESS");
    running.stop().await;
}

#[tokio::test]
async fn an_undelivered_callback_is_sent_after_a_crash() {
    let clock = manual_clock();
    let world = World::with(|options| {
        options.clock = clock.clone();
        options.callback_retry = CallbackRetry { first_ms: HOUR_MS, max_ms: HOUR_MS, attempts_max: 5 };
    })
    .await;
    world.receiver.answer_next(&[500]);
    let key = world.pay_and_settle("order-1", CARD).await;
    world.receiver.wait_for(1).await;
    let World { running, receiver, dir, .. } = world;
    drop(running);
    clock.advance(HOUR);
    let again = Options { clock, ..options(&dir.path().join("gateway.sqlite")) };
    let running = Simulator::start(again).await.unwrap();
    let received = receiver.wait_for(2).await;
    assert_eq!((received[1].key(), &received[1].id), (key.as_str(), &received[0].id));
    let client = Client::of(running.addr());
    client.until("/admin/summary", |summary| summary.body["callbacks"] == json!({"DELIVERED": 1})).await;
    running.stop().await;
}

#[tokio::test]
async fn keys_voids_and_refunds_are_known_after_a_restart() {
    let world = World::start().await;
    let body = world.payment("order-1", CARD);
    let key = world.pay_with_key("key-1", &body).await.key();
    world.client.decided(&key).await;
    world.client.post("/api/v1/references/order-2/void", &json!({})).await.data();
    let path = format!("/api/v1/payments/{key}/cancel");
    let refund = async |client: &Client| {
        let request = client.request("POST", &path).header("Idempotency-Key", "refund-1");
        client.send(request.json(&json!({"reason": "changed my mind"}))).await
    };
    refund(&world.client).await.data();
    world.running.stop().await;
    let running = Simulator::start(options(&world.dir.path().join("gateway.sqlite"))).await.unwrap();
    let world = World { client: Client::of(running.addr()), running, ..world };
    assert_eq!(world.pay_with_key("key-1", &body).await.key(), key);
    assert!(world.pay("order-2", CARD).await.refused(400).contains("voided"));
    assert_eq!(refund(&world.client).await.data()["refunded"], 5_000);
    assert_eq!(world.client.get("/admin/summary").await.body["refunded"], 5_000);
    world.stop().await;
}

/// After a restart keys are drawn again from where the number of transactions says, which is too early where a key was
/// drawn in vain.
#[tokio::test]
async fn a_transaction_key_that_is_taken_is_drawn_again() {
    let world = World::start().await;
    let body = world.payment("order-1", CARD);
    world.pay_with_key("key-1", &body).await.key();
    world.pay_with_key("key-1", &body).await.key();
    let second = world.pay("order-2", CARD).await.key();
    world.running.stop().await;
    let running = Simulator::start(options(&world.dir.path().join("gateway.sqlite"))).await.unwrap();
    let world = World { client: Client::of(running.addr()), running, ..world };
    assert_ne!(world.pay("order-3", CARD).await.key(), second);
    world.stop().await;
}

const SECRET_TEXT: &str = "whsec_dGhlIG1lcmNoYW50J3Mgc2VjcmV0IG9mIHRoZSB0ZXN0cw==";

/// The command as a process of its own, with everything logged.
struct Process {
    child: Child,
    stderr: BufReader<tokio::process::ChildStderr>,
    log: String,
    client: Client,
}

impl Process {
    async fn start(file: &Path) -> Self {
        let faults = r#"{"latencyMs":{"min":0,"max":0},"decisionMs":{"min":200,"max":200}}"#;
        let mut child = Command::new(env!("CARGO_BIN_EXE_pg-simulator"))
            .args(["--port", "0", "--log-filter", "trace", "--faults", faults, "--data-file"])
            .arg(file)
            .env("PG_SIMULATOR_WEBHOOK_SECRETS", SECRET_TEXT)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut log = String::new();
        let listening = async {
            loop {
                let mut line = String::new();
                assert_ne!(stderr.read_line(&mut line).await.unwrap(), 0, "it ended: {log}");
                log.push_str(&line);
                if let Some((_, rest)) = line.split_once("listens on http://") {
                    return rest.split_whitespace().next().unwrap().parse().unwrap();
                }
            }
        };
        let addr = tokio::time::timeout(PATIENCE, listening).await.expect("a start in time");
        Self { child, stderr, log, client: Client::of(addr) }
    }

    /// Ends it with SIGKILL and gives back its log.
    async fn kill(mut self) -> String {
        self.child.kill().await.unwrap();
        self.stderr.read_to_string(&mut self.log).await.unwrap();
        self.log
    }
}

#[tokio::test]
async fn a_killed_process_goes_on_where_it_was_and_logs_no_card() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("data/gateway.sqlite");
    let receiver = Receiver::start().await;
    let process = Process::start(&file).await;
    let mut keys = Vec::new();
    for n in 0..10 {
        let body = json!({
            "orderId": format!("order-{n}"), "cardType": "KB", "cardNo": CARD, "amount": 1_000, "callbackUrl": receiver.url,
        });
        keys.push(process.client.post("/api/v1/payments", &body).await.key());
    }
    let mut log = process.kill().await;
    let process = Process::start(&file).await;
    for key in &keys {
        assert_eq!(process.client.decided(key).await.data()["status"], "SUCCESS");
    }
    process
        .client
        .until("/admin/summary", |summary| summary.body["callbacks"] == json!({"DELIVERED": 10}))
        .await;
    let callbacks = receiver.received();
    for key in &keys {
        let callback = callbacks.iter().find(|callback| callback.key() == key).unwrap();
        assert_eq!(callback.check(&[secret()]), Ok(()));
    }
    log += &process.kill().await;
    assert!(log.contains("simulator"), "{log}");
    assert!(!log.contains(CARD) && !log.contains(&CARD.replace('-', "")), "a card number is in the log");
    assert!(!log.contains("dGhlIG1lcmNoYW50"), "a secret is in the log");
}
