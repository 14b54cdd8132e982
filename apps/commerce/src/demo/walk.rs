use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::NaiveDate;
use commerce_api_application::ports::{AuditReport, IdSource};
use commerce_api_infrastructure::runtime::{RandomIds, SystemClock};
use commerce_bus::Record;
use commerce_runtime::{BusinessZone, Clock as _};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::report::Place;
use crate::client::{Call, Client};
use crate::failure::Failure;
use crate::gateway::SimulatedGateway;
use crate::shop;
use crate::target::Opened;

/// What the cheap product costs, in won.
pub const CUP_PRICE: i64 = 12_000;
/// What the dear one costs.
pub const POT_PRICE: i64 = 30_000;
/// Pieces of the cheap one.
pub const CUPS: u32 = 50;
/// What the coupon takes off, in won.
pub const DISCOUNT: i64 = 2_000;
/// Points that the shopper charges.
pub const POINTS: i64 = 100_000;
/// How often is looked whether something has happened.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// An answer of the shop.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Whether it was given before under the same key.
    pub replayed: bool,
    /// Body; null where it is no JSON.
    pub body: Value,
}

impl Answer {
    /// The status, and the code of a problem.
    pub fn outcome(&self) -> String {
        match self.body["code"].as_str() {
            Some(code) if self.status >= 400 => format!("{} {code}", self.status),
            _ => self.status.to_string(),
        }
    }

    /// A text of the body; `?` where there is none.
    pub fn text(&self, pointer: &str) -> &str {
        text(&self.body, pointer)
    }

    /// A number of the body; -1 where there is none.
    pub fn number(&self, pointer: &str) -> i64 {
        number(&self.body, pointer)
    }
}

/// A text of `value`; `?` where there is none.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("?")
}

/// A whole number of `value`; -1 where there is none.
pub fn number(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or(-1)
}

/// How an order is to be paid.
#[derive(Debug, Clone, Copy, Default)]
pub struct Payment<'a> {
    /// Points; none where a card pays all, or points do.
    pub points: Option<i64>,
    /// Number of the card.
    pub card: Option<&'a str>,
    /// Whether the coupon is used.
    pub coupon: bool,
}

/// A walk under way: who walks, and what has to be there by the books.
pub struct Walk<'a> {
    opened: &'a Opened,
    collector: Client,
    ids: RandomIds,
    /// How long is waited for what happens later.
    wait: Duration,
    /// Orders that a step may place until the gateway decides as the step needs.
    pub card_tries: u32,
    /// In the names of everything that this walk makes.
    pub name: String,
    /// The cheap product.
    pub cup: i64,
    /// The dear one, of which there is one piece.
    pub pot: i64,
    /// The coupon's policy.
    pub coupon: i64,
    /// The coupon in the shopper's hands.
    pub issued: String,
    /// The shopper's session.
    pub token: String,
    /// Cups that there are by the books.
    pub cups: i64,
    /// Points that the shopper has by the books.
    pub points: i64,
    /// Orders of cups that are paid by the books.
    pub paid: i64,
    /// The order that is paid by card.
    pub order: String,
    /// The gateway that may be made to fail; why not, where there is none.
    pub gateway: Result<Arc<SimulatedGateway>, String>,
    /// Orders that wait for a gateway that is down.
    pub waiting: Vec<String>,
    /// The order that was looked at last, and its payment.
    last: Option<(String, String)>,
    ranking: Vec<Place>,
}

impl<'a> Walk<'a> {
    /// Makes what the walk needs as the shop's administrator: products and a coupon of its own, so that nothing that
    /// others do changes what is to be expected.
    pub async fn prepare(
        opened: &'a Opened,
        collector: Client,
        wait: Duration,
        card_tries: u32,
    ) -> Result<Self, Failure> {
        let ids = RandomIds::new(Arc::new(SystemClock::default()));
        let id = ids.uuid().simple().to_string();
        let name = format!("demo-{}", &id[id.len() - 12..]);
        let (shop, admin) = (&opened.shop, &opened.admin);
        let brand = shop.add_brand(admin, &format!("Workshop {name}")).await?;
        let (code, title) = (format!("{name}-1"), format!("Cup {name}"));
        let cup = shop.add_named_product(admin, brand, &code, &title, CUP_PRICE, CUPS).await?;
        let (code, title) = (format!("{name}-2"), format!("Pot {name}"));
        let pot = shop.add_named_product(admin, brand, &code, &title, POT_PRICE, 1).await?;
        let coupon = shop.add_coupon(admin, &name.to_ascii_uppercase(), DISCOUNT).await?;
        Ok(Self {
            opened,
            collector,
            ids,
            wait,
            card_tries,
            name,
            cup,
            pot,
            coupon,
            issued: String::new(),
            token: String::new(),
            cups: i64::from(CUPS),
            points: 0,
            paid: 0,
            order: String::new(),
            gateway: Err("it was not looked for".to_owned()),
            waiting: Vec::new(),
            last: None,
            ranking: Vec::new(),
        })
    }

    /// Asks as the shopper, if there is a session yet.
    pub async fn ask(&self, call: Call<'_>) -> Result<Answer, Failure> {
        let call = if self.token.is_empty() { call } else { call.token(&self.token) };
        self.send(self.opened.shop.client(), call).await
    }

    /// Asks as nobody, or as whom the call names.
    pub async fn ask_as(&self, call: Call<'_>) -> Result<Answer, Failure> {
        self.send(self.opened.shop.client(), call).await
    }

    /// Asks the shop as its administrator.
    pub async fn ask_as_admin(&self, call: Call<'_>) -> Result<Answer, Failure> {
        self.send(self.opened.shop.client(), call.token(&self.opened.admin)).await
    }

    /// Asks the collector.
    pub async fn ask_collector(&self, call: Call<'_>) -> Result<Answer, Failure> {
        self.send(&self.collector, call).await
    }

    /// Asks the collector as the shop's administrator.
    pub async fn ask_collector_as_admin(&self, call: Call<'_>) -> Result<Answer, Failure> {
        self.send(&self.collector, call.token(&self.opened.admin)).await
    }

    /// Publishes events to the log of a shop of its own; false where the shop is another's.
    pub async fn publish(&self, records: Vec<Record>) -> Result<bool, Failure> {
        self.opened.publish(records).await
    }

    /// Whether the shop was started for this walk.
    pub const fn is_own(&self) -> bool {
        self.opened.is_own()
    }

    /// The shop's zone.
    pub fn zone(&self) -> BusinessZone {
        self.opened.settings.api.zone()
    }

    /// Today in it.
    pub fn today(&self) -> NaiveDate {
        self.zone().day(commerce_runtime::SystemClock.now_us()).unwrap_or_default()
    }

    async fn send(&self, client: &Client, call: Call<'_>) -> Result<Answer, Failure> {
        let reply = shop::answer(client, "the walk", &call).await?;
        let body = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
        Ok(Answer { status: reply.status.as_u16(), replayed: reply.replayed, body })
    }

    /// A key that was never used.
    pub fn key(&self) -> String {
        self.ids.uuid().to_string()
    }

    /// The body of an order of cups.
    pub fn order_body(&self, quantity: i64, payment: Payment<'_>) -> Value {
        let mut body = json!({ "lines": [{ "productId": self.cup, "quantity": quantity }], "payment": {} });
        if let Some(points) = payment.points {
            body["payment"]["points"] = json!(points);
        }
        if let Some(card) = payment.card {
            body["payment"]["card"] = json!({ "type": "SAMSUNG", "number": card });
        }
        if payment.coupon {
            body["issuedCouponId"] = json!(self.issued);
        }
        body
    }

    /// Places an order under a key of its own.
    pub async fn place(&mut self, body: &Value) -> Result<Answer, Failure> {
        let key = self.key();
        self.place_under(&key, body).await
    }

    /// Places an order under `key`.
    pub async fn place_under(&mut self, key: &str, body: &Value) -> Result<Answer, Failure> {
        let answer = self.ask(Call::post("/api/v1/orders", bytes(body)).key(key)).await?;
        if answer.status < 300 {
            self.last = Some((answer.text("/id").to_owned(), answer.text("/payment/id").to_owned()));
        }
        Ok(answer)
    }

    /// Cancels an order.
    pub async fn cancel(&self, order: &str) -> Result<Answer, Failure> {
        let (path, key) = (format!("/api/v1/orders/{order}/cancel"), self.key());
        self.ask(Call::post(&path, Bytes::new()).key(&key)).await
    }

    /// The order as it is now.
    pub async fn find(&self, order: &str) -> Result<Answer, Failure> {
        self.ask(Call::get(&format!("/api/v1/orders/{order}"))).await
    }

    /// Stock of cups and balance of points, as they are.
    pub async fn stock_and_points(&self) -> Result<(i64, i64), Failure> {
        let product = self.ask_as(Call::get(&format!("/api/v1/products/{}", self.cup))).await?;
        let points = self.ask(Call::get("/api/v1/users/me/points?limit=1")).await?;
        Ok((product.number("/stock"), points.number("/balance")))
    }

    /// State of the shopper's coupon.
    pub async fn coupon_state(&self) -> Result<String, Failure> {
        let coupons = self.ask(Call::get("/api/v1/users/me/coupons?limit=1")).await?;
        Ok(coupons.text("/items/0/status").to_owned())
    }

    /// Looks again and again until `is_there`, or the wait is over; the last that was seen.
    pub async fn until<T>(
        &self,
        mut look: impl AsyncFnMut(&Self) -> Result<T, Failure>,
        is_there: impl Fn(&T) -> bool,
    ) -> Result<T, Failure> {
        let give_up_at = Instant::now() + self.wait;
        loop {
            let seen = look(self).await?;
            if is_there(&seen) || Instant::now() >= give_up_at {
                return Ok(seen);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the order and its payment are at rest.
    pub async fn settled(&self, order: &str) -> Result<Answer, Failure> {
        let at_rest = |answer: &Answer| {
            let open = ["PENDING", "REQUESTING", "PROCESSING", "UNKNOWN", "REFUND_PENDING"];
            !matches!(answer.text("/status"), "PAYMENT_PENDING" | "CANCEL_PENDING")
                && !open.contains(&answer.text("/payment/status"))
        };
        self.until(async |walk: &Self| walk.find(order).await, at_rest).await
    }

    /// Keeps today's ranking for the end.
    pub fn keep_ranking(&mut self, ranking: Vec<Place>) {
        self.ranking = ranking;
    }

    /// Gives the ranking back that was kept.
    pub fn take_ranking(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.ranking)
    }

    /// Audits the shop, and waits until nothing lags; none where its data is not at hand.
    pub async fn audit(&self) -> Result<Option<AuditReport>, Failure> {
        self.opened.recount_settled(self.wait).await
    }

    /// Where to look when something came otherwise.
    pub fn look(&self) -> String {
        let shop = &self.opened.url;
        let of = self.last.as_ref().map_or_else(String::new, |(order, payment)| {
            format!("order {order}: {shop}/api/v1/payments/{payment}/history as its owner or administrator; ")
        });
        format!("{of}{shop}/actuator/health; the shop's log; `commerce audit` on its data directory")
    }
}

/// The bytes of a body.
pub fn bytes(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}
