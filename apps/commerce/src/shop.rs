//! A shop as its callers see it: over HTTP, through the public API.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::client::{Call, Client, ClientError, Reply};

/// Why the shop did not do what a preparation or a check needs.
#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    /// No answer.
    #[error("{what}")]
    Client {
        /// What was asked.
        what: &'static str,
        /// Why there is none.
        source: ClientError,
    },
    /// Another answer than needed.
    #[error("{what}: the shop answered {status} {code}{hint}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// Status.
        status: u16,
        /// Code of the problem.
        code: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// An answer of another form.
    #[error("{what}: the answer has not the expected form")]
    Form {
        /// What was asked.
        what: &'static str,
        /// Where it differs.
        source: serde_json::Error,
    },
}

/// A customer with points and an open session.
#[derive(Debug, Clone, Deserialize)]
pub struct Buyer {
    /// Token of the session.
    pub token: String,
}

/// What is of interest of an order.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// Id.
    pub id: String,
    /// State.
    pub status: String,
    /// What was to pay, in won.
    pub total: i64,
    /// Points that it earned.
    pub points_earned: i64,
    /// How it was paid.
    pub payment: OrderPayment,
}

/// How an order was paid.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderPayment {
    /// Points spent.
    pub points_part: i64,
    /// What a card paid, in won.
    #[serde(default)]
    pub card_part: i64,
    /// Id of the payment: the gateway's reference of it.
    #[serde(default)]
    pub id: String,
    /// Where the payment stands.
    #[serde(default)]
    pub status: String,
}

#[derive(Deserialize)]
struct Opened {
    token: String,
}

#[derive(Deserialize)]
struct Added {
    id: i64,
}

#[derive(Deserialize)]
struct Buyers {
    buyers: Vec<Buyer>,
}

#[derive(Deserialize)]
struct Open {
    items: Vec<Value>,
}

#[derive(Deserialize)]
struct Stock {
    stock: i64,
}

#[derive(Deserialize)]
struct Balance {
    balance: i64,
}

/// A shop.
pub struct Shop {
    client: Client,
}

impl Shop {
    /// Buyers that one request may ask for.
    pub const BUYERS_MAX: usize = 10_000;

    /// The shop that `client` talks to.
    pub const fn new(client: Client) -> Self {
        Self { client }
    }

    /// What it is asked with.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Where it may listen: all that its name resolves to.
    pub async fn addresses(&self) -> Vec<SocketAddr> {
        tokio::net::lookup_host(self.client.authority()).await.map_or_else(|_| Vec::new(), Iterator::collect)
    }

    /// Whether it is up.
    pub async fn health(&self) -> Result<(), ShopError> {
        let _: Value = self.ask("asking for its health", Call::get("/actuator/health")).await?;
        Ok(())
    }

    /// Logs in; the session's token.
    pub async fn log_in(&self, login_id: &str, password: &str) -> Result<String, ShopError> {
        let body = json!({ "loginId": login_id, "password": password });
        let opened: Opened =
            self.ask("logging in as the administrator", Call::post("/api/v1/sessions", bytes(&body))).await?;
        Ok(opened.token)
    }

    /// Adds a brand; its id.
    pub async fn add_brand(&self, admin: &str, name: &str) -> Result<i64, ShopError> {
        let body = json!({ "name": name, "description": "Made for a measurement." });
        let call = Call::post("/api/v1/brands", bytes(&body)).token(admin);
        Ok(self.ask::<Added>("adding a brand", call).await?.id)
    }

    /// Adds a product; its id.
    pub async fn add_product(
        &self,
        admin: &str,
        brand: i64,
        code: &str,
        price: i64,
        stock: u32,
    ) -> Result<i64, ShopError> {
        self.add_named_product(admin, brand, code, &format!("Measured {code}"), price, stock).await
    }

    /// Adds a product of that name; its id.
    pub async fn add_named_product(
        &self,
        admin: &str,
        brand: i64,
        code: &str,
        name: &str,
        price: i64,
        stock: u32,
    ) -> Result<i64, ShopError> {
        let body = json!({
            "code": code,
            "name": name,
            "description": "Made for a measurement.",
            "brandId": brand,
            "price": price,
            "stock": stock,
        });
        let call = Call::post("/api/v1/products", bytes(&body)).token(admin);
        Ok(self.ask::<Added>("adding a product", call).await?.id)
    }

    /// Adds a coupon that takes `amount` won off any order at any time; its id.
    pub async fn add_coupon(&self, admin: &str, code: &str, amount: i64) -> Result<i64, ShopError> {
        let body = json!({
            "code": code,
            "name": format!("{amount} won off"),
            "kind": "AMOUNT",
            "amount": amount,
            "minimumTotal": 0,
            "validFrom": "2020-01-01T00:00:00Z",
            "validUntil": "2100-01-01T00:00:00Z",
        });
        let call = Call::post("/api/v1/coupons", bytes(&body)).token(admin);
        Ok(self.ask::<Added>("adding a coupon", call).await?.id)
    }

    /// Makes buyers with so many points each.
    pub async fn buyers(&self, admin: &str, count: usize, points: i64) -> Result<Vec<Buyer>, ShopError> {
        let mut buyers = Vec::with_capacity(count);
        while buyers.len() < count {
            let chunk = (count - buyers.len()).min(Self::BUYERS_MAX);
            let body = bytes(&json!({ "count": chunk, "points": points }));
            let call = Call::post("/api/v1/demo/buyers", body).token(admin);
            buyers.extend(self.ask::<Buyers>("making buyers", call).await?.buyers);
        }
        Ok(buyers)
    }

    /// The body of an order of one piece, paid with points.
    pub fn order_body(product: i64) -> Bytes {
        bytes(&json!({ "lines": [{ "productId": product, "quantity": 1 }], "payment": {} }))
    }

    /// The same, paid by a card that the simulated gateway approves.
    pub fn card_order_body(product: i64) -> Bytes {
        let card = json!({ "type": "SAMSUNG", "number": "9410-1234-5678-9814" });
        let payment = json!({ "card": card });
        bytes(&json!({ "lines": [{ "productId": product, "quantity": 1 }], "payment": payment }))
    }

    /// Sends an order once.
    pub async fn order(&self, buyer: &Buyer, key: &str, body: Bytes) -> Result<Reply, ClientError> {
        self.client.send(&Call::post("/api/v1/orders", body).token(&buyer.token).key(key)).await
    }

    /// Reads an order back.
    pub async fn find_order(&self, buyer: &Buyer, id: &str) -> Result<Order, ShopError> {
        let path = format!("/api/v1/orders/{id}");
        self.ask("reading an order back", Call::get(&path).token(&buyer.token)).await
    }

    /// Cancels an order; whether the shop did.
    pub async fn cancel(&self, buyer: &Buyer, id: &str, key: &str) -> Result<bool, ShopError> {
        let path = format!("/api/v1/orders/{id}/cancel");
        let call = Call::post(&path, Bytes::new()).token(&buyer.token).key(key);
        Ok(answer(&self.client, "canceling an order", &call).await?.status.is_success())
    }

    /// How many payments somebody still has to visit, a hundred at most.
    pub async fn open_payments(&self, admin: &str) -> Result<usize, ShopError> {
        let call = Call::get("/api/v1/admin/payments?limit=100").token(admin);
        Ok(self.ask::<Open>("asking for open payments", call).await?.items.len())
    }

    /// Pieces left of a product.
    pub async fn stock(&self, product: i64) -> Result<i64, ShopError> {
        let path = format!("/api/v1/products/{product}");
        Ok(self.ask::<Stock>("reading the stock", Call::get(&path)).await?.stock)
    }

    /// Points of a buyer.
    pub async fn balance(&self, buyer: &Buyer) -> Result<i64, ShopError> {
        let call = Call::get("/api/v1/users/me/points?limit=1").token(&buyer.token);
        Ok(self.ask::<Balance>("reading a balance", call).await?.balance)
    }

    async fn ask<T: DeserializeOwned>(&self, what: &'static str, call: Call<'_>) -> Result<T, ShopError> {
        let reply = answer(&self.client, what, &call).await?;
        if !reply.status.is_success() {
            let code = code_of(&reply);
            let hint = hint(&code);
            return Err(ShopError::Refused { what, status: reply.status.as_u16(), code, hint });
        }
        serde_json::from_slice(&reply.body).map_err(|source| ShopError::Form { what, source })
    }
}

/// Tries of a request that may be repeated.
const TRIES: u32 = 12;

/// Asks until there is an answer other than 429 and 503, or patience ends. Reads and what has an `Idempotency-Key` are
/// safe to repeat; anything else that is repeated after a broken connection may find its own work done, and is told so.
pub async fn answer(client: &Client, what: &'static str, call: &Call<'_>) -> Result<Reply, ShopError> {
    let mut tries = 1;
    loop {
        let pause = match client.send(call).await {
            Ok(reply) if !is_busy(&reply) || tries == TRIES => return Ok(reply),
            Ok(reply) => backoff(tries, u64::from(tries), reply.retry_after),
            Err(source) if tries == TRIES || !is_worth_repeating(&source) => {
                return Err(ShopError::Client { what, source });
            }
            Err(_) => backoff(tries, u64::from(tries), None),
        };
        tries += 1;
        tokio::time::sleep(pause).await;
    }
}

fn hint(code: &str) -> &'static str {
    match code {
        "NOT_DEMO_MODE" => "; buyers can be made in a demonstration only: no config file, a loopback address",
        "BAD_CREDENTIALS" => "; name the administrator with --admin and --password-stdin",
        _ => "",
    }
}

fn bytes(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

/// Whether the shop says that it did nothing, or does not know, and asks to be asked again.
pub fn is_busy(reply: &Reply) -> bool {
    matches!(reply.status.as_u16(), 429 | 503)
}

/// Whether the next try may go better. Nobody listening at all is told at once when preparing.
const fn is_worth_repeating(error: &ClientError) -> bool {
    matches!(error, ClientError::Broken(_))
}

/// The code of a problem; the status where it has none.
pub fn code_of(reply: &Reply) -> String {
    #[derive(Deserialize)]
    struct Problem {
        code: String,
    }
    serde_json::from_slice::<Problem>(&reply.body)
        .map_or_else(|_| format!("HTTP_{}", reply.status.as_u16()), |problem| problem.code)
}

/// The pause before try `tries + 1`: what the shop asks for, or doubling from 50 ms up to 2 s; between half and one and
/// a half of it, so that those who failed together do not come back together.
pub fn backoff(tries: u32, salt: u64, retry_after: Option<Duration>) -> Duration {
    const FIRST_MS: u64 = 50;
    const MAX_MS: u64 = 2_000;
    let doubled = FIRST_MS.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(MAX_MS);
    let asked = retry_after.map_or(doubled, |after| u64::try_from(after.as_millis()).unwrap_or(MAX_MS));
    let base = asked.clamp(FIRST_MS, 5 * MAX_MS);
    let spread = mix(salt ^ (u64::from(tries) << 32)) % (base + 1);
    Duration::from_millis(base / 2 + spread)
}

/// Spreads numbers evenly over 64 bits, the same every run (the finaliser of `SplitMix64`).
pub const fn mix(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        for tries in 1..40 {
            let expected = (50 << (tries - 1).min(10)).min(2_000);
            for salt in 0..100 {
                let pause = u64::try_from(backoff(tries, salt, None).as_millis()).unwrap();
                assert!((expected / 2..=expected / 2 + expected).contains(&pause), "{tries} {pause}");
            }
        }
        let asked = Some(Duration::from_secs(1));
        let pauses: std::collections::BTreeSet<_> = (0..100).map(|salt| backoff(1, salt, asked)).collect();
        assert!(pauses.len() > 50, "{pauses:?}");
        assert!(pauses.iter().all(|pause| (500..=1_500).contains(&pause.as_millis())));
        assert!(backoff(1, 1, Some(Duration::from_hours(1))) <= Duration::from_secs(15));
    }

    #[test]
    fn codes_of_problems() {
        let reply = |status: u16, body: &'static [u8]| Reply {
            status: http::StatusCode::from_u16(status).unwrap(),
            replayed: false,
            retry_after: None,
            body: Bytes::from_static(body),
        };
        assert_eq!(code_of(&reply(409, br#"{"code":"OUT_OF_STOCK","status":409}"#)), "OUT_OF_STOCK");
        assert_eq!(code_of(&reply(502, b"<html>")), "HTTP_502");
    }
}
