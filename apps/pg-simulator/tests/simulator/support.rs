use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use commerce_runtime::{Clock as _, ManualClock, SystemClock};
use commerce_webhook::{
    Headers, ID_HEADER, SIGNATURE_HEADER, Secret, TIMESTAMP_HEADER, TOLERANCE, Unverified, verify,
};
use pg_simulator::{CallbackRetry, Faults, Options, Preset, Running, Simulator};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;

/// Longest wait for anything; reached by a broken simulator only.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const CARD: &str = "1111-2222-3333-4444";
pub const OVER_LIMIT: &str = "1111-2222-3333-0002";

pub fn secret() -> Secret {
    Secret::new(b"the merchant's secret of the tests")
}

/// A callback as it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub id: Option<String>,
    pub timestamp: Option<String>,
    pub signature: Option<String>,
    pub raw: Vec<u8>,
    pub body: Value,
}

impl Received {
    pub fn check(&self, secrets: &[Secret]) -> Result<(), Unverified> {
        let headers = Headers {
            id: self.id.as_deref(),
            timestamp: self.timestamp.as_deref(),
            signature: self.signature.as_deref(),
        };
        verify(secrets, headers, &self.raw, SystemClock.now_us() / 1_000_000, TOLERANCE).map(drop)
    }

    pub fn key(&self) -> &str {
        self.body["transactionKey"].as_str().unwrap()
    }
}

#[derive(Clone)]
struct Inbox {
    received: Arc<watch::Sender<Vec<Received>>>,
    /// Statuses of the next answers; 200 after them.
    answers: Arc<Mutex<VecDeque<StatusCode>>>,
}

/// A shop's end of the callbacks.
pub struct Receiver {
    pub url: String,
    inbox: Inbox,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Receiver {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub async fn start_at(addr: SocketAddr) -> Self {
        let inbox = Inbox { received: Arc::new(watch::Sender::new(Vec::new())), answers: Arc::default() };
        let listener = tokio::net::TcpListener::bind(addr).await.unwrap();
        let url = format!("http://{}/callback", listener.local_addr().unwrap());
        let router = Router::new().route("/callback", post(receive)).with_state(inbox.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, inbox, server }
    }

    pub fn answer_next(&self, statuses: &[u16]) {
        let statuses = statuses.iter().map(|status| StatusCode::from_u16(*status).unwrap());
        self.inbox.answers.lock().unwrap().extend(statuses);
    }

    pub fn received(&self) -> Vec<Received> {
        self.inbox.received.borrow().clone()
    }

    /// Waits until there are that many callbacks.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let mut received = self.inbox.received.subscribe();
        let enough = tokio::time::timeout(PATIENCE, received.wait_for(|all| all.len() >= count)).await;
        enough.expect("callbacks in time").unwrap().clone()
    }
}

async fn receive(State(inbox): State<Inbox>, headers: HeaderMap, raw: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("content-type").as_deref(), Some("application/json"));
    let received = Received {
        id: header(ID_HEADER),
        timestamp: header(TIMESTAMP_HEADER),
        signature: header(SIGNATURE_HEADER),
        body: serde_json::from_slice(&raw).unwrap(),
        raw: raw.to_vec(),
    };
    inbox.received.send_modify(|all| all.push(received));
    inbox.answers.lock().unwrap().pop_front().unwrap_or(StatusCode::OK)
}

/// An answer of the simulator.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub text: String,
    pub body: Value,
}

impl Answer {
    #[track_caller]
    pub fn data(&self) -> &Value {
        assert_eq!((self.status, &self.body["meta"]["result"]), (200, &json!("SUCCESS")), "{}", self.text);
        &self.body["data"]
    }

    #[track_caller]
    pub fn key(&self) -> String {
        self.data()["transactionKey"].as_str().unwrap().to_owned()
    }

    /// The message of a failed call.
    #[track_caller]
    pub fn refused(&self, status: u16) -> String {
        assert_eq!((self.status, &self.body["meta"]["result"]), (status, &json!("FAIL")), "{}", self.text);
        assert!(self.body["data"].is_null() && self.body["meta"]["errorCode"].is_string(), "{}", self.text);
        self.body["meta"]["message"].as_str().unwrap().to_owned()
    }
}

/// A simulator, its receiver and a client.
pub struct World {
    pub running: Running,
    pub receiver: Receiver,
    pub client: Client,
    pub dir: TempDir,
}

/// Calls a simulator as its merchant.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    pub base: String,
}

/// A simulator that answers and decides at once and without faults.
pub fn options(file: &Path) -> Options {
    Options {
        port: 0,
        webhook_secrets: vec![secret()],
        faults: Faults::default(),
        callback_retry: CallbackRetry { first_ms: 10, max_ms: 40, attempts_max: 10 },
        seed: 42,
        ..Options::new(file, Preset::Demo)
    }
}

impl World {
    pub async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(&dir.path().join("gateway.sqlite"));
        change(&mut options);
        let running = Simulator::start(options).await.unwrap();
        let client = Client::of(running.addr());
        Self { running, receiver: Receiver::start().await, client, dir }
    }

    /// The body of a payment of 5,000 won.
    pub fn payment(&self, order_id: &str, card_no: &str) -> Value {
        json!({
            "orderId": order_id, "cardType": "SAMSUNG", "cardNo": card_no, "amount": 5_000,
            "callbackUrl": self.receiver.url,
        })
    }

    pub async fn pay(&self, order_id: &str, card_no: &str) -> Answer {
        self.client.post("/api/v1/payments", &self.payment(order_id, card_no)).await
    }

    pub async fn pay_with_key(&self, key: &str, body: &Value) -> Answer {
        self.client
            .send(self.client.request("POST", "/api/v1/payments").header("Idempotency-Key", key).json(body))
            .await
    }

    /// Pays, and waits until it is decided.
    pub async fn pay_and_settle(&self, order_id: &str, card_no: &str) -> String {
        let key = self.pay(order_id, card_no).await.key();
        self.client.decided(&key).await;
        key
    }

    pub async fn faults(&self, changes: Value) {
        let answer = self.client.put("/admin/faults", &changes).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }

    pub async fn stop(self) {
        self.running.stop().await;
    }
}

impl Client {
    pub fn of(addr: SocketAddr) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { http, base: format!("http://{addr}") }
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().unwrap();
        self.http.request(method, format!("{}{path}", self.base)).header("X-USER-ID", "135135")
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"));
        Answer { status, text, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request("POST", path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request("PUT", path).json(body)).await
    }

    /// Asks until the answer is as wanted.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let asking = async {
            loop {
                let answer = self.get(path).await;
                if wanted(&answer) {
                    return answer;
                }
                // tidy: sleep between two looks at what another process does
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{path} in time"))
    }

    /// Waits until that transaction is decided.
    pub async fn decided(&self, key: &str) -> Answer {
        self.until(&format!("/api/v1/payments/{key}"), |answer| answer.data()["status"] != "PENDING").await
    }
}

/// A clock that shows the present and moves only when it is told to.
pub fn manual_clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(SystemClock.now_us()))
}
