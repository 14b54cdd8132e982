//! What the gateway tells by itself, and what others would like it to tell.

use commerce_webhook::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use serde_json::{Value, json};

use crate::support::{CARD, Callback, Mode, Reply, SECRETS, Shop, User};

const PATH: &str = "/api/v1/payments/callback";

/// An order by card that was sent to the gateway.
struct Waiting {
    shop: Shop,
    shopper: User,
    product: i64,
    order: String,
    payment: String,
}

impl Waiting {
    async fn open() -> Self {
        Self::open_in(Mode::default()).await
    }

    async fn open_in(mode: Mode) -> Self {
        let shop = Shop::open_in(mode).await;
        let admin = shop.admin().await;
        let brand = shop.brand(&admin, "Boseong").await;
        let product = shop.product(&admin, brand, "TEA-1", 5_000, 10).await;
        let shopper = shop.customer("shopper", 1_000).await;
        let placed = shop.order_by_card(&shopper, product, 1).await;
        let (order, payment) = (placed.text("id"), payment_of(&placed));
        shop.send_to_gateway(&order).await;
        Self { shop, shopper, product, order, payment }
    }

    /// That it was captured.
    fn callback(&self) -> Callback {
        Callback::of(&self.payment, 5_000)
    }

    async fn order(&self) -> Reply {
        self.shop.get(&format!("/api/v1/orders/{}", self.order)).by(&self.shopper).send().await.expect(200)
    }

    async fn status(&self) -> String {
        self.order().await.text("status")
    }

    async fn events(&self) -> Vec<Value> {
        let path = format!("/api/v1/payments/{}/history", self.payment);
        self.shop.get(&path).by(&self.shopper).send().await.expect(200).items("event")
    }
}

fn payment_of(order: &Reply) -> String {
    order["payment"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_signed_callback_settles_the_order() {
    let waiting = Waiting::open().await;
    assert_eq!(waiting.callback().outcome(&waiting.shop).await, "APPLIED");
    let order = waiting.order().await;
    assert_eq!((order.text("status"), &order["pointsEarned"]), ("PAID".to_owned(), &json!(50)));
    assert_eq!(waiting.events().await, ["CREATED", "SENT", "CAPTURED"]);
}

#[tokio::test]
async fn a_declined_card_gives_everything_back() {
    let waiting = Waiting::open().await;
    let mut declined = waiting.callback();
    declined.told["status"] = json!("FAILED");
    declined.told["reason"] = json!(format!("{CARD} is over its limit"));
    assert_eq!(declined.outcome(&waiting.shop).await, "APPLIED");
    assert_eq!(waiting.status().await, "PAYMENT_FAILED");
    assert_eq!(waiting.shop.stock(waiting.product).await, 10);
    let path = format!("/api/v1/payments/{}", waiting.payment);
    let payment = waiting.shop.get(&path).by(&waiting.shopper).send().await.expect(200);
    assert_eq!(payment.text("reason"), "****-****-****-1451 is over its limit");
}

#[tokio::test]
async fn no_card_number_reaches_a_file() {
    let waiting = Waiting::open().await;
    waiting.callback().outcome(&waiting.shop).await;
    let mut unknown = waiting.callback();
    (unknown.id, unknown.told["orderId"]) = ("msg-2".to_owned(), json!("nobody's"));
    unknown.told["cardNo"] = json!("1234567898141451");
    assert_eq!(unknown.outcome(&waiting.shop).await, "UNKNOWN_REFERENCE");
    let files = waiting.shop.files();
    let has = |text: &str| files.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("****-****-****-1451") && has("************1451"));
    assert!(!has("9814"), "a card number in the clear");
}

/// A callback of somebody else: its headers, as far as it has them, and its body.
struct Forged {
    what: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// Each way of not being signed by the gateway.
fn forgeries(good: &Callback) -> Vec<Forged> {
    let headers = |id: &str, at_s: i64, signature: String| {
        vec![(ID_HEADER, id.to_owned()), (TIMESTAMP_HEADER, at_s.to_string()), (SIGNATURE_HEADER, signature)]
    };
    let of = |callback: &Callback| headers(&callback.id, callback.at_s, callback.signature());
    let signed = |signature: String| headers(&good.id, good.at_s, signature);
    let without = |name: &str| of(good).into_iter().filter(|(header, _)| *header != name).collect();
    let at = |seconds: i64| of(&Callback { at_s: good.at_s + seconds, ..good.clone() });
    let twice = [of(good), vec![(SIGNATURE_HEADER, good.signature())]].concat();
    let (signature, body) = (good.signature(), good.body());
    let cut = signature[..signature.len() - 4].to_owned();
    let cheaper = body.replace("5000", "1");
    let spaced = body.replace(':', ": ");
    let forged = |what, headers, body: &str| Forged { what, headers, body: body.to_owned() };
    vec![
        forged("no header at all", Vec::new(), &body),
        forged("no signature", without(SIGNATURE_HEADER), &body),
        forged("no id", without(ID_HEADER), &body),
        forged("no time", without(TIMESTAMP_HEADER), &body),
        forged("another secret", of(&Callback { key: b"somebody else's secret", ..good.clone() }), &body),
        forged("a signature cut short", signed(cut), &body),
        forged("another algorithm", signed(signature.replace("v1,", "v2,")), &body),
        forged("no algorithm", signed(signature.replace("v1,", "")), &body),
        forged("the same body written otherwise", of(good), &spaced),
        forged("another amount", of(good), &cheaper),
        forged("a body with more", of(good), &format!("{body} ")),
        forged("another id", headers("msg-2", good.at_s, signature.clone()), &body),
        forged("another time", headers(&good.id, good.at_s + 1, signature), &body),
        forged("two signature headers", twice, &body),
        forged("too old", at(-301), &body),
        forged("too new", at(301), &body),
    ]
}

#[tokio::test]
async fn a_callback_that_the_gateway_did_not_sign_is_refused_and_writes_nothing() {
    let waiting = Waiting::open().await;
    let good = waiting.callback();
    let before = waiting.shop.files();
    for Forged { what, headers, body } in forgeries(&good) {
        assert!(what != "another amount" || body != good.body());
        let call =
            headers.iter().fold(waiting.shop.post(PATH), |call, (name, value)| call.header(name, value));
        let reply = call.text(&body).send().await;
        assert_eq!((reply.status.as_u16(), reply.code()), (401, "INVALID_SIGNATURE"), "{what}: {reply:?}");
        assert_eq!(reply.header("www-authenticate"), "Signature", "{what}");
    }
    assert!(waiting.shop.files() == before, "a refused callback wrote something");
    assert_eq!(waiting.shop.inbox.verdict("msg-1").await.unwrap(), None);
    assert_eq!(waiting.status().await, "PAYMENT_PENDING");
    // None of them stands in the way of the real one.
    assert_eq!(good.outcome(&waiting.shop).await, "APPLIED");
}

#[tokio::test]
async fn a_callback_counts_for_five_minutes_and_its_id_for_ever() {
    let waiting = Waiting::open().await;
    let good = waiting.callback();
    assert_eq!(good.outcome(&waiting.shop).await, "APPLIED");
    // The very bytes again: known within the five minutes, refused after them.
    assert_eq!(good.outcome(&waiting.shop).await, "DUPLICATE");
    waiting.shop.clock.advance(std::time::Duration::from_secs(301));
    good.send(&waiting.shop).await.refused(401, "INVALID_SIGNATURE");
    // The gateway itself tries again with a new time and the same id.
    let again = Callback { at_s: good.at_s + 301, ..good };
    assert_eq!(again.outcome(&waiting.shop).await, "DUPLICATE");
    assert_eq!(waiting.events().await, ["CREATED", "SENT", "CAPTURED"]);
}

#[tokio::test]
async fn old_and_new_secret_are_good_while_they_change() {
    for (number, key) in SECRETS.into_iter().enumerate() {
        let waiting = Waiting::open().await;
        let callback = Callback { key, ..waiting.callback() };
        assert_eq!(callback.outcome(&waiting.shop).await, "APPLIED", "{number}");
        // A gateway that changes its secret signs with both.
        let both = format!(
            "{} {}",
            Callback { key: b"unknown", ..callback.clone() }.signature(),
            callback.signature()
        );
        let call = waiting.shop.post(PATH).header(ID_HEADER, &callback.id);
        let call = call.header(TIMESTAMP_HEADER, &callback.at_s.to_string()).header(SIGNATURE_HEADER, &both);
        assert_eq!(call.text(&callback.body()).send().await.expect(200).text("outcome"), "DUPLICATE");
    }
}

#[tokio::test]
async fn ten_at_once_are_one_transition() {
    let waiting = Waiting::open().await;
    let callback = waiting.callback();
    let sent = (0..10).map(|_| callback.outcome(&waiting.shop));
    let outcomes = futures::future::join_all(sent).await;
    assert!(
        outcomes.iter().all(|outcome| matches!(outcome.as_str(), "APPLIED" | "DUPLICATE")),
        "{outcomes:?}"
    );
    assert_eq!(waiting.events().await, ["CREATED", "SENT", "CAPTURED"]);
    assert_eq!(waiting.shop.balance(&waiting.shopper).await, 1_050);
}

#[tokio::test]
async fn what_does_not_fit_the_payment_is_set_aside_and_pays_nothing() {
    let waiting = Waiting::open().await;
    let other = waiting.shop.order_by_card(&waiting.shopper, waiting.product, 2).await;
    waiting.shop.capture(&other.text("id")).await;
    let with = |id: &str, member: &str, value: Value| {
        let mut callback = Callback { id: id.to_owned(), ..waiting.callback() };
        callback.told[member] = value;
        callback
    };
    let cases = [
        (with("one-less", "amount", json!(4_999)), "WRONG_AMOUNT"),
        (with("one-more", "amount", json!(5_001)), "WRONG_AMOUNT"),
        (with("negative", "amount", json!(-5_000)), "WRONG_AMOUNT"),
        (with("another-order", "orderId", json!(payment_of(&other))), "WRONG_AMOUNT"),
        (with("another-key", "transactionKey", json!(format!("key-of-{}", other.text("id")))), "FOREIGN_KEY"),
        (with("order-id", "orderId", json!(waiting.order)), "UNKNOWN_REFERENCE"),
        (with("no-order", "orderId", json!("0198f2a1-0000-7000-8000-000000000001")), "UNKNOWN_REFERENCE"),
        (with("no-uuid", "orderId", json!("x".repeat(1_000))), "UNKNOWN_REFERENCE"),
    ];
    for (callback, verdict) in cases {
        assert_eq!(callback.outcome(&waiting.shop).await, verdict);
        assert_eq!(waiting.shop.inbox.verdict(&callback.id).await.unwrap(), Some(Some(verdict.to_owned())));
        assert_eq!(callback.outcome(&waiting.shop).await, "DUPLICATE");
    }
    assert_eq!(waiting.status().await, "PAYMENT_PENDING");
    assert_eq!(waiting.events().await, ["CREATED", "SENT"]);
}

#[tokio::test]
async fn a_payment_by_points_has_nothing_to_be_told() {
    let waiting = Waiting::open().await;
    let admin = waiting.shop.user("rich", commerce_api_domain::Role::Customer).await;
    waiting.shop.charge(&admin, 5_000).await;
    let paid = waiting.shop.order(&admin, waiting.product, 1).await.expect(201);
    let told = Callback::of(&payment_of(&paid), 5_000);
    assert_eq!(told.outcome(&waiting.shop).await, "UNKNOWN_REFERENCE");
}

#[tokio::test]
async fn a_signed_body_that_is_none_is_malformed_and_not_kept() {
    let waiting = Waiting::open().await;
    let mut bad = waiting.callback();
    bad.told = json!([1, CARD]);
    let refused = bad.send(&waiting.shop).await.refused(400, "MALFORMED_REQUEST");
    assert!(!refused.json.to_string().contains("1234"), "{}", refused.json);
    assert_eq!(waiting.shop.inbox.verdict(&bad.id).await.unwrap(), None);
    let mut long = waiting.callback();
    long.told["reason"] = json!("x".repeat(70_000));
    long.send(&waiting.shop).await.refused(413, "PAYLOAD_TOO_LARGE");
    waiting.shop.post(PATH).send().await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    waiting.shop.get(PATH).send().await.refused(405, "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn of_a_gateway_that_does_not_sign_a_callback_is_only_a_hint() {
    let waiting = Waiting::open_in(Mode { signed: false, ..Mode::default() }).await;
    let told = waiting.callback();
    waiting.shop.clock.advance(std::time::Duration::from_secs(7));
    let send = async |body: &str| waiting.shop.post(PATH).text(body).send().await.expect(200).text("outcome");
    assert_eq!(send(&told.body()).await, "HINT");
    // Anybody can send it, so it says nothing of what there is, and keeps nothing.
    let unknown = Callback::of("0198f2a1-0000-7000-8000-000000000001", 1);
    assert_eq!(send(&unknown.body()).await, "HINT");
    assert_eq!(waiting.status().await, "PAYMENT_PENDING");
    assert_eq!(told.outcome(&waiting.shop).await, "HINT", "a signature that nobody checks");
    assert_eq!(waiting.shop.inbox.verdict(&told.id).await.unwrap(), None);
    let admin = User { id: 0, token: waiting.shop.session("admin").await };
    let open = waiting.shop.get("/api/v1/admin/payments").by(&admin).send().await.expect(200);
    let due = open["items"][0]["nextCheckAt"].as_str().unwrap().to_owned();
    // Now, and not when it was sent.
    assert_eq!(due, "2027-01-15T08:00:07.000000Z");
}
