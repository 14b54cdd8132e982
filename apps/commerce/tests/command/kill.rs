//! Kill -9 in the middle of a flash sale, over and over: nothing that was answered is lost, nothing is sold twice.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};

use crate::support::{DataDir, Up, ask, run, wait_until_settled};
use serde_json::{Value, json};

const BUYERS: usize = 120;
const STOCK: usize = 60;
/// How many commands a batch of the killed shop may have: from one commit an order to all in a few.
const BATCHES: [&str; 4] = ["1", "3", "16", "512"];

struct Sale {
    product: i64,
    tokens: Vec<String>,
    /// One key a buyer, the same before and after the crash.
    round: usize,
}

impl Sale {
    fn prepare(up: &Up, round: usize) -> Self {
        let log_in = json!({ "loginId": "admin", "password": "admin-demo" });
        let (_, session) = up.post("/api/v1/sessions", None, None, &log_in);
        let token = session["token"].as_str().unwrap();
        let product = json!({
            "code": format!("KILL-{round}"), "name": "Last ones", "description": "", "brandId": 1, "price": 1_000,
            "stock": STOCK,
        });
        let (status, product) = up.post("/api/v1/products", Some(token), None, &product);
        assert_eq!(status, 201, "{product}");
        let buyers = json!({ "count": BUYERS, "points": 1_000 });
        let (status, buyers) = up.post("/api/v1/demo/buyers", Some(token), None, &buyers);
        assert_eq!(status, 201, "{buyers}");
        let token = |buyer: &Value| buyer["token"].as_str().unwrap().to_owned();
        let tokens = buyers["buyers"].as_array().unwrap().iter().map(token).collect();
        Self { product: product["id"].as_i64().unwrap(), tokens, round }
    }

    fn order(&self, api: &str, buyer: usize) -> Option<(u16, Value)> {
        let body = json!({ "lines": [{ "productId": self.product, "quantity": 1 }], "payment": {} });
        let key = format!("round-{}", self.round);
        ask(api, "POST /api/v1/orders", Some(&self.tokens[buyer]), Some(&key), &body.to_string())
    }

    /// All buyers at once, until the shop is killed after `answers` orders were answered; what each was told.
    fn run_and_kill(self: &Arc<Self>, up: Up, answers: usize) -> Vec<Option<(u16, Value)>> {
        let barrier = Arc::new(Barrier::new(BUYERS));
        let answered = Arc::new(AtomicUsize::new(0));
        let (now, kill) = mpsc::channel();
        let buyers: Vec<_> = (0..BUYERS)
            .map(|buyer| {
                let (sale, barrier, answered, now) =
                    (self.clone(), barrier.clone(), answered.clone(), now.clone());
                let api = up.api.clone();
                std::thread::spawn(move || {
                    barrier.wait();
                    let told = sale.order(&api, buyer);
                    if told.is_some() && answered.fetch_add(1, Ordering::SeqCst) + 1 == answers {
                        let _ = now.send(());
                    }
                    told
                })
            })
            .collect();
        kill.recv().unwrap();
        drop(up); // SIGKILL
        buyers.into_iter().map(|buyer| buyer.join().unwrap()).collect()
    }
}

fn is_paid(told: &(u16, Value)) -> bool {
    told.0 == 201 && told.1["status"] == "PAID"
}

fn is_refused(told: &(u16, Value)) -> bool {
    told.0 == 409 && told.1["code"] == "OUT_OF_STOCK"
}

/// After the crash: the books are sound, who was told PAID has the order, and who was told nothing asks again.
fn check_after(sale: &Sale, up: &Up, told: &[Option<(u16, Value)>], label: &str) {
    let mut sold = 0;
    for (buyer, told) in told.iter().enumerate() {
        match told {
            Some(told) if is_paid(told) => {
                let request = format!("GET /api/v1/orders/{}", told.1["id"].as_str().unwrap());
                let (status, order) = ask(&up.api, &request, Some(&sale.tokens[buyer]), None, "").unwrap();
                assert_eq!((status, &order["status"]), (200, &json!("PAID")), "{label}: {order}");
                assert_eq!(sale.order(&up.api, buyer).as_ref(), Some(told), "{label}: the same answer again");
                sold += 1;
            }
            Some(told) => assert!(is_refused(told), "{label}: {told:?}"),
            None => {
                let again = sale.order(&up.api, buyer).unwrap();
                assert!(is_paid(&again) || is_refused(&again), "{label}: {again:?}");
                sold += usize::from(is_paid(&again));
            }
        }
    }
    assert_eq!(sold, STOCK, "{label}: exactly what there was");
}

#[test]
fn a_shop_killed_in_the_middle_of_a_sale_loses_and_doubles_nothing() {
    let dir = DataDir::new();
    let mut cut_off = 0;
    for round in 0..24 {
        let batch_max = BATCHES[round % BATCHES.len()];
        let answers = 1 + round * 2;
        let label = format!("round {round}, batches of {batch_max}, killed after {answers} answers");
        let up = Up::start_with(dir.path(), &[("COMMERCE_DESK__BATCH_MAX", batch_max)]);
        let sale = Arc::new(Sale::prepare(&up, round));
        let told = sale.run_and_kill(up, answers);
        cut_off += told.iter().filter(|told| told.is_none()).count();
        let up = Up::start(dir.path());
        run(dir.path(), &["audit"]).expect(0);
        check_after(&sale, &up, &told, &label);
        drop(up);
    }
    // What was sold last is still to be counted.
    let up = Up::start(dir.path());
    wait_until_settled(dir.path());
    drop(up);
    println!("{cut_off} buyers were cut off");
    assert!(cut_off > 24, "the kills came too late to prove anything: {cut_off}");
}
