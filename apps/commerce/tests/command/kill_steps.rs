//! Kill -9 at each step of a payment by card (docs/architecture.md), at the exact moment: a wire between the shop and its
//! gateway stops there. The gateway is a process of its own in that it lives on; after the restart everything settles,
//! each order is charged at most once, and what came too late or was cancelled is given back once.

use std::path::Path;

use commerce_webhook::Secret;
use pg_simulator::{Faults, Options, Preset, Range, Simulator};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{DataDir, UP, Up, ask, command, run, wait_until_settled};
use crate::wire::{Caught, Stop, Wire};

const SECRET: &str = "whsec_c3RlcHMgb2YgYSBwYXltZW50IGJ5IGNhcmQsIGtpbGxlZA==";
const CARD: &str = "9417-3355-0000-4242";
const OVER_LIMIT: &str = "9417-3355-0000-0002";
const PRICE: i64 = 1_000;
const CHARGE: &str = "POST /api/v1/payments";
const ASK: &str = "GET /api/v1/payments";
const REFUND: &str = "POST /api/v1/payments/*/cancel";
const VOID: &str = "POST /api/v1/references/*/void";
const CALLBACK: &str = "POST /api/v1/payments/callback";

/// The outside world, which no kill touches: the gateway, and the wires to it and from it.
struct World {
    _runtime: Runtime,
    _gateway: pg_simulator::Running,
    gateway: String,
    /// From the shop to the gateway.
    out: Wire,
    /// From the gateway to the shop.
    back: Wire,
    dir: DataDir,
    _outside: DataDir,
}

impl World {
    fn new() -> Self {
        let (dir, outside) = (DataDir::new(), DataDir::new());
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let mut options = Options::new(outside.join("gateway.sqlite"), Preset::Demo);
        options.port = 0;
        options.faults = Faults { decision_ms: Range { min: 20, max: 20 }, ..Faults::default() };
        options.webhook_secrets = vec![SECRET.parse::<Secret>().unwrap()];
        options.callback_retry.first_ms = 30;
        let running = runtime.block_on(Simulator::start(options)).unwrap();
        let (out, back) = (Wire::new(), Wire::new());
        out.lead_to(Some(running.addr()));
        let gateway = running.addr().to_string();
        Self { _runtime: runtime, _gateway: running, gateway, out, back, dir, _outside: outside }
    }

    /// Starts the shop; where `gateway` is none it finds nobody listening.
    fn start(&self, reaches_gateway: bool) -> Up {
        // A port that was free a moment ago and that nobody was told of.
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let gateway = if reaches_gateway { self.out.addr } else { nobody };
        let mut up = command(self.dir.path(), &UP);
        up.envs([
            ("COMMERCE_GATEWAY__URL", format!("http://{gateway}")),
            ("COMMERCE_GATEWAY__CALLBACK_URL", format!("http://{}/api/v1/payments/callback", self.back.addr)),
            ("COMMERCE_GATEWAY__WEBHOOK_SECRETS", SECRET.to_owned()),
            ("COMMERCE_GATEWAY__RETRY_FIRST_MS", "10".to_owned()),
            // The steps are looked at one by one, and none of them is about a breaker.
            ("COMMERCE_GATEWAY__BREAKER_CALLS_MIN", "10".to_owned()),
            ("COMMERCE_GATEWAY__BREAKER_FAILURE_RATE", "100".to_owned()),
            ("COMMERCE_PAYMENTS__BACKOFF_FIRST_MS", "50".to_owned()),
            ("COMMERCE_PAYMENTS__BACKOFF_MAX_MS", "500".to_owned()),
            ("COMMERCE_RELAY__EVERY_MS", "50".to_owned()),
            ("COMMERCE_COLLECTOR__FLUSH_MS", "20".to_owned()),
        ]);
        let up = Up::of(up);
        self.back.lead_to(Some(up.api.parse().unwrap()));
        up
    }

    fn faults(&self, script: &Value) {
        let (status, answer) =
            ask(&self.gateway, "PUT /admin/faults", None, None, &script.to_string()).unwrap();
        assert_eq!(status, 200, "{answer}");
    }

    /// What the gateway has under this reference: transactions, won taken, won given back.
    fn booked(&self, payment: &str) -> (usize, i64, i64) {
        let path = format!("GET /admin/transactions?orderId={payment}");
        let (_, page) = ask(&self.gateway, &path, None, None, "").unwrap();
        let all = page["transactions"].as_array().unwrap();
        let sum = |name: &str, of: &[&Value]| of.iter().map(|one| one[name].as_i64().unwrap()).sum::<i64>();
        let captured: Vec<_> = all.iter().filter(|one| one["status"] == "SUCCESS").collect();
        (all.len(), sum("amount", &captured), sum("refunded", &captured))
    }
}

/// The shop as the test's customer sees it.
struct Customer {
    token: String,
    product: i64,
}

impl Customer {
    fn of(up: &Up) -> Self {
        let session = |name: &str| {
            let body = json!({ "loginId": name, "password": format!("{name}-demo") });
            up.post("/api/v1/sessions", None, None, &body).1["token"].as_str().unwrap().to_owned()
        };
        let product = json!({
            "code": "STEPS", "name": "Step by step", "description": "", "brandId": 1, "price": PRICE, "stock": 100,
        });
        let (status, product) = up.post("/api/v1/products", Some(&session("admin")), None, &product);
        assert_eq!(status, 201, "{product}");
        Self { token: session("shopper"), product: product["id"].as_i64().unwrap() }
    }

    fn ask(&self, up: &Up, request: &str, key: Option<&str>, body: &str) -> (u16, Value) {
        ask(&up.api, request, Some(&self.token), key, body).unwrap()
    }

    /// Places an order of one piece; its id and its payment's.
    fn order(&self, up: &Up, key: &str, card: &str) -> Order {
        let card = json!({ "card": { "type": "KB", "number": card } });
        let body = json!({ "lines": [{ "productId": self.product, "quantity": 1 }], "payment": card });
        let (status, order) = self.ask(up, "POST /api/v1/orders", Some(key), &body.to_string());
        assert_eq!(status, 202, "{order}");
        let text = |pointer: &str| order.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        Order { id: text("/id"), payment: text("/payment/id") }
    }

    fn cancel(&self, up: &Up, order: &Order, key: &str) -> u16 {
        self.ask(up, &format!("POST /api/v1/orders/{}/cancel", order.id), Some(key), "").0
    }

    /// State of the order and of its payment.
    fn state(&self, up: &Up, order: &Order) -> String {
        let (_, found) = self.ask(up, &format!("GET /api/v1/orders/{}", order.id), None, "");
        format!("{} {}", found["status"].as_str().unwrap(), found["payment"]["status"].as_str().unwrap())
    }

    fn until(&self, up: &Up, order: &Order, state: &str, label: &str) {
        for _ in 0..3_000 {
            if self.state(up, order) == state {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20)); // tidy: sleep between two looks at a payment
        }
        panic!("{label}: {} instead of {state}", self.state(up, order));
    }

    fn history(&self, up: &Up, order: &Order) -> Vec<String> {
        let path = format!("GET /api/v1/payments/{}/history?limit=100", order.payment);
        let (_, events) = self.ask(up, &path, None, "");
        let events = events["items"].as_array().unwrap();
        events.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
    }

    fn stock(&self, up: &Up) -> i64 {
        up.get(&format!("/api/v1/products/{}", self.product)).1["stock"].as_i64().unwrap()
    }
}

struct Order {
    id: String,
    payment: String,
}

/// When the customer cancels.
#[derive(Clone, Copy)]
enum Cancel {
    Never,
    /// Once order and payment stand there.
    At(&'static str),
    /// While the shop waits for the answer to this request to the gateway.
    During(&'static str),
}

/// One way to die: where, what is committed at that moment, and how it ends.
struct Step {
    name: &'static str,
    /// Which wire stops at which request, and where.
    wire: fn(&World) -> &Wire,
    request: &'static str,
    stop: Stop,
    script: Value,
    card: &'static str,
    /// When the customer cancels.
    cancel: Cancel,
    /// Order and payment at the moment of the kill.
    at: &'static str,
    end: &'static str,
    /// Transactions at the gateway, won taken, won given back.
    booked: (usize, i64, i64),
}

fn out(world: &World) -> &Wire {
    &world.out
}

fn back(world: &World) -> &Wire {
    &world.back
}

const SOLD: (usize, i64, i64) = (1, PRICE, 0);
const GIVEN_BACK: (usize, i64, i64) = (1, PRICE, PRICE);

impl Step {
    /// A payment that is sold in the end.
    fn new(name: &'static str, wire: fn(&World) -> &Wire, request: &'static str, stop: Stop) -> Self {
        let (script, card) = (json!({}), CARD);
        let (at, end, booked) = ("PAYMENT_PENDING REQUESTING", "PAID SUCCESS", SOLD);
        Self { name, wire, request, stop, script, card, cancel: Cancel::Never, at, end, booked }
    }
}

fn steps() -> Vec<Step> {
    use Stop::{BeforeAnswer, BeforeRequest};
    let always = json!({ "rate": 1.0 });
    let (pending, paid) = ("PAYMENT_PENDING PROCESSING", "PAID SUCCESS");
    let refunded = ("CANCELED REFUNDED", GIVEN_BACK);
    vec![
        Step::new("4: REQUESTING is committed, the request never arrives", out, CHARGE, BeforeRequest),
        Step::new("4: the gateway has it, the answer never comes", out, CHARGE, BeforeAnswer),
        Step {
            script: json!({ "failAfter": always, "callbackLost": always }),
            at: "PAYMENT_PENDING UNKNOWN",
            ..Step::new("5: UNKNOWN is committed, nothing was asked yet", out, ASK, BeforeRequest)
        },
        Step {
            script: json!({ "failBefore": { "next": 3 } }),
            at: "PAYMENT_PENDING UNKNOWN",
            ..Step::new(
                "5: nothing was recorded, and the answer that says so never comes",
                out,
                ASK,
                BeforeAnswer,
            )
        },
        Step {
            at: pending,
            ..Step::new("5: PROCESSING, the callback never arrives", back, CALLBACK, BeforeRequest)
        },
        Step {
            at: paid,
            ..Step::new("7: PAID, and the gateway never hears of it", back, CALLBACK, BeforeAnswer)
        },
        Step {
            card: OVER_LIMIT,
            at: "PAYMENT_FAILED FAILED",
            end: "PAYMENT_FAILED FAILED",
            booked: (1, 0, 0),
            ..Step::new(
                "7: declined and given back, and the gateway never hears of it",
                back,
                CALLBACK,
                BeforeAnswer,
            )
        },
        Step {
            script: json!({ "decisionMs": { "min": 1_000, "max": 1_000 } }),
            cancel: Cancel::At(pending),
            at: "CANCELED REFUND_PENDING",
            end: refunded.0,
            booked: refunded.1,
            ..Step::new("7: captured too late, the refund never arrives", out, REFUND, BeforeRequest)
        },
        Step {
            cancel: Cancel::At(paid),
            at: "CANCEL_PENDING REFUND_PENDING",
            end: refunded.0,
            booked: refunded.1,
            ..Step::new("8: the refund is made, and its answer never comes", out, REFUND, BeforeAnswer)
        },
        Step {
            script: json!({ "failBefore": always }),
            cancel: Cancel::During(ASK),
            at: "CANCELED UNKNOWN",
            end: "CANCELED FAILED",
            booked: (0, 0, 0),
            ..Step::new("5: the reference is closed, and its answer never comes", out, VOID, BeforeAnswer)
        },
    ]
}

/// Places the step's order, cancels it where the step says so, and has the wire stop where the shop is to die.
fn place_and_cancel(world: &World, up: &Up, customer: &Customer, step: &Step, key: &str) -> (Order, Caught) {
    let cancel = |order: &Order| {
        let status = customer.cancel(up, order, &format!("cancel-{key}"));
        assert!(matches!(status, 200 | 202), "{}: {status}", step.name);
    };
    let last = || (step.wire)(world).stop_at(step.request, step.stop);
    if let Cancel::During(request) = step.cancel {
        let first = world.out.stop_at(request, Stop::BeforeAnswer);
        let order = customer.order(up, key, step.card);
        first.wait(step.name);
        cancel(&order);
        // Before the first is let go, so that nothing passes in between.
        return (order, last());
    }
    let caught = last();
    let order = customer.order(up, key, step.card);
    if let Cancel::At(state) = step.cancel {
        customer.until(up, &order, state, step.name);
        cancel(&order);
    }
    (order, caught)
}

#[test]
fn a_shop_killed_at_each_step_of_a_payment_settles_it_once() {
    let world = World::new();
    let mut up = world.start(true);
    let customer = Customer::of(&up);
    let mut stock = customer.stock(&up);
    for (number, step) in steps().into_iter().enumerate() {
        let (name, key) = (step.name, format!("step-{number}"));
        world.faults(&step.script);
        let (order, caught) = place_and_cancel(&world, &up, &customer, &step, &key);
        caught.wait(name);
        assert_eq!(customer.state(&up, &order), step.at, "{name}");
        drop(up); // SIGKILL
        world.back.lead_to(None);
        drop(caught);
        world.faults(&json!({}));
        up = world.start(true);
        customer.until(&up, &order, step.end, name);
        wait_until_settled(world.dir.path());
        assert_eq!(world.booked(&order.payment), step.booked, "{name}");
        let history = customer.history(&up, &order);
        let captured = history.iter().filter(|event| event.starts_with("CAPTURED")).count();
        assert_eq!(captured, usize::from(step.booked.1 > 0), "{name}: {history:?}");
        stock -= i64::from(step.end == "PAID SUCCESS");
        assert_eq!(customer.stock(&up), stock, "{name}");
        // The same key is answered as before the kill.
        assert_eq!(customer.order(&up, &key, step.card).id, order.id, "{name}");
    }
    assert_eq!(up.terminate().0, 0);
    run(world.dir.path(), &["audit", "--settled"]).expect(0);
    no_number_is_kept(world.dir.path());
}

/// Step 2: the order, its payment and the sealed number are committed, and no gateway was called.
#[test]
fn a_shop_killed_before_its_gateway_was_ever_reached_sends_the_payment_after_the_restart() {
    let world = World::new();
    let up = world.start(false);
    let customer = Customer::of(&up);
    let order = customer.order(&up, "never-sent", CARD);
    // It tried, and found nobody.
    for _ in 0..3_000 {
        if customer.history(&up, &order).iter().any(|event| event == "NOT_SENT") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20)); // tidy: sleep between two looks at a payment
    }
    customer.until(&up, &order, "PAYMENT_PENDING PENDING", "not sent");
    assert_eq!(world.booked(&order.payment), (0, 0, 0));
    drop(up); // SIGKILL
    let up = world.start(true);
    customer.until(&up, &order, "PAID SUCCESS", "sent after the restart");
    assert_eq!(world.booked(&order.payment), SOLD);
    wait_until_settled(world.dir.path());
    assert_eq!(up.terminate().0, 0);
    no_number_is_kept(world.dir.path());
}

/// Sealed numbers are deleted with the payment that needed them.
fn no_number_is_kept(dir: &Path) {
    let kept = crate::kill_mixed::counts_of(dir, &["SELECT COUNT(*) AS n FROM card_vault"]);
    assert_eq!(kept, [0]);
}
