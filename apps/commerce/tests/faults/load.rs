//! Buyers who order through all API nodes at once, and ask again under the same key until they are told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::support::ask;

const BUYERS: usize = 6;
/// How long a buyer waits before it asks again, and how often it does: longer than any fault lasts.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
const TRIES: u32 = 1_200;

/// What the answers to all keys were.
pub type Told = BTreeMap<(usize, String), (String, u16, Value)>;

/// Buyers at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    buyers: Vec<JoinHandle<Told>>,
    /// Sessions of the buyers.
    tokens: Vec<String>,
}

struct Buyer {
    number: usize,
    label: &'static str,
    token: String,
    products: Vec<i64>,
    addresses: Arc<RwLock<Vec<String>>>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
}

impl Load {
    /// Starts them in a cluster whose servers are well; `label` names their keys.
    pub fn start(cluster: &Cluster, label: &'static str) -> Self {
        let (products, tokens) = prepare(&cluster.api(), label);
        let (stop, answered) = (Arc::default(), Arc::default());
        let buyers = tokens.iter().enumerate().map(|(number, token)| {
            let buyer = Buyer {
                number,
                label,
                token: token.clone(),
                products: products.clone(),
                addresses: Arc::clone(&cluster.addresses),
                stop: Arc::clone(&stop),
                answered: Arc::clone(&answered),
            };
            std::thread::spawn(move || buyer.walk())
        });
        let buyers = buyers.collect();
        Self { stop, answered, buyers, tokens }
    }

    /// How many answers came.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// Waits until so many more answers came.
    pub fn wait_for_more(&self, more: usize, label: &str) {
        let enough = self.answered() + more;
        for _ in 0..TRIES {
            if self.answered() >= enough {
                return;
            }
            std::thread::sleep(AGAIN_AFTER); // tidy: sleep between looks at buyers of threads of their own
        }
        panic!("{label}: {} of {enough} answers", self.answered());
    }

    /// Ends the work: everybody is told what came of their last order.
    pub fn stop(self) -> (Vec<String>, Told) {
        self.stop.store(true, Ordering::SeqCst);
        let told = self.buyers.into_iter().flat_map(|buyer| buyer.join().unwrap()).collect();
        (self.tokens, told)
    }
}

/// Products with more stock than is bought, and buyers with points.
fn prepare(api: &str, label: &str) -> (Vec<i64>, Vec<String>) {
    let post = |path: &str, token: Option<&str>, body: &Value| {
        let (status, answer) = ask(api, &format!("POST {path}"), token, None, &body.to_string()).unwrap();
        assert_eq!(status, 201, "{label}: {path}: {answer}");
        answer
    };
    let session = post("/api/v1/sessions", None, &json!({ "loginId": "admin", "password": "admin-demo" }));
    let admin = session["token"].as_str();
    let products = (0..3).map(|number| {
        let product = json!({
            "code": format!("{label}-{number}"), "name": "Everything", "description": "", "brandId": 1,
            "price": 1_000 + 500 * number, "stock": 100_000,
        });
        post("/api/v1/products", admin, &product)["id"].as_i64().unwrap()
    });
    let products = products.collect();
    let buyers = post("/api/v1/demo/buyers", admin, &json!({ "count": BUYERS, "points": 100_000 }));
    let token = |buyer: &Value| buyer["token"].as_str().unwrap().to_owned();
    (products, buyers["buyers"].as_array().unwrap().iter().map(token).collect())
}

impl Buyer {
    fn walk(&self) -> Told {
        let (mut told, mut last) = (Told::new(), None);
        for step in 0.. {
            if self.stop.load(Ordering::SeqCst) {
                break;
            }
            let (request, body) = self.next(step, last.take());
            let key = format!("{}-{step}", self.label);
            let (status, answer) = self.ask_until_told(step, &request, &key, &body);
            if request.ends_with("orders") && matches!(status, 201 | 202) {
                last = answer["id"].as_str().map(str::to_owned);
            }
            told.insert((self.number, key), (format!("{request} {body}"), status, answer));
        }
        told
    }

    /// Orders by points and by card, and cancels.
    fn next(&self, step: usize, last: Option<String>) -> (String, String) {
        let product = self.products[(self.number + step) % self.products.len()];
        match ((self.number + step) % 5, last) {
            (4, Some(order)) => (format!("POST /api/v1/orders/{order}/cancel"), String::new()),
            (kind, _) => {
                let number =
                    format!("9417-3355-{:04}-{}", step % 10_000, if kind == 0 { "0002" } else { "4242" });
                let by_card = json!({ "card": { "type": "KB", "number": number } });
                let payment = if kind % 2 == 1 { json!({}) } else { by_card };
                let order = json!({ "lines": [{ "productId": product, "quantity": 1 }], "payment": payment });
                ("POST /api/v1/orders".to_owned(), order.to_string())
            }
        }
    }

    /// No answer, or one that says that it is not known, is asked for again at another node.
    fn ask_until_told(&self, step: usize, request: &str, key: &str, body: &str) -> (u16, Value) {
        let mut last = None;
        for attempt in 0..TRIES {
            let nodes = self.addresses.read().unwrap().clone();
            let node = &nodes[(self.number + step + attempt as usize) % nodes.len()];
            let told = ask(node, request, Some(&self.token), Some(key), body);
            if let Some((status, answer)) =
                told.as_ref().filter(|(status, _)| *status < 500 && *status != 429)
            {
                assert_ne!(*status, 401, "{}: logged out: {answer}", self.label);
                self.answered.fetch_add(1, Ordering::SeqCst);
                return (*status, answer.clone());
            }
            last = told;
            std::thread::sleep(AGAIN_AFTER); // tidy: sleep as a client does before it asks again
        }
        panic!("{}: never told: {request} under {key}: {last:?}", self.label);
    }
}

/// Everybody is told the same again, by any node.
pub fn ask_again(cluster: &Cluster, (tokens, told): &(Vec<String>, Told), label: &str) {
    let nodes = cluster.addresses.read().unwrap().clone();
    for (number, ((buyer, key), (request, status, answer))) in told.iter().enumerate() {
        if *status >= 300 {
            continue;
        }
        let (line, body) = request.split_at(request.find('{').unwrap_or(request.len()));
        let node = &nodes[number % nodes.len()];
        let again = ask(node, line.trim(), Some(&tokens[*buyer]), Some(key), body);
        assert_eq!(again, Some((*status, answer.clone())), "{label}: {request} under {key}");
    }
}
