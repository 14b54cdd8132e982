//! The simulated gateway of a shop, as its operator has it: its script of faults, and its own books.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::client::{Call, Client, ClientError};
use crate::console;
use crate::failure::Failure;
use crate::shop::{self, ShopError};

/// Transactions of one page of its books.
const PAGE: usize = 500;

/// What a script of faults calls chances: how often something goes wrong.
const NEVER: [&str; 2] = ["next", "rate"];

/// A transaction of the gateway's own books, in won.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    /// The gateway's key of it.
    #[serde(rename = "transactionKey")]
    pub key: String,
    /// The reference that the shop gave: the payment's id.
    pub order_id: String,
    /// PENDING, SUCCESS or FAILED.
    pub status: String,
    /// What it is about.
    pub amount: i64,
    /// What of it was given back.
    pub refunded: i64,
}

impl Transaction {
    /// Whether the money was taken.
    pub fn is_captured(&self) -> bool {
        self.status == "SUCCESS"
    }

    /// What was taken and not given back.
    pub fn kept(&self) -> i64 {
        if self.is_captured() { self.amount - self.refunded } else { 0 }
    }
}

#[derive(Deserialize)]
struct Page {
    transactions: Vec<Transaction>,
    next: Option<i64>,
}

#[derive(Deserialize)]
struct Summary {
    callbacks: BTreeMap<String, i64>,
}

/// A simulated gateway that runs.
pub struct SimulatedGateway {
    client: Client,
    /// The script as it stood before anything was changed.
    script: Value,
}

impl SimulatedGateway {
    /// Finds the simulator at `url`. Changes nothing.
    pub async fn find(url: &str) -> Result<Self, Failure> {
        let client = match Client::new(url, 4) {
            Ok(client) => client,
            Err(error @ ClientError::Url(_)) => return Err(Failure::Usage(error.to_string())),
            Err(source) => return Err(ShopError::Client { what: "reaching the gateway", source }.into()),
        };
        let script = ask(&client, "asking the gateway for its script", &Call::get("/admin/faults")).await?;
        Ok(Self { client, script })
    }

    /// Lets go wrong what `changes` say, and nothing else; its times stay as they were.
    pub async fn follow(&self, changes: &Value) -> Result<(), Failure> {
        self.put(&calm_with(&self.script, changes)).await
    }

    /// Follows the script again that it followed before anything was changed.
    pub async fn take_back(&self) -> Result<(), Failure> {
        self.put(&self.script).await
    }

    async fn put(&self, script: &Value) -> Result<(), Failure> {
        let call = Call::put("/admin/faults").body(Bytes::from(script.to_string()));
        let _: Value = ask(&self.client, "changing the gateway's script", &call).await?;
        Ok(())
    }

    /// What its books have under this reference.
    pub async fn transactions_of(&self, payment: &str) -> Result<Vec<Transaction>, Failure> {
        let path = format!("/admin/transactions?orderId={payment}&limit={PAGE}");
        Ok(ask::<Page>(&self.client, "asking the gateway for its books", &Call::get(&path))
            .await?
            .transactions)
    }

    /// All that its books have, newest first.
    pub async fn transactions(&self) -> Result<Vec<Transaction>, Failure> {
        let mut all = Vec::new();
        let mut before = String::new();
        loop {
            let path = format!("/admin/transactions?limit={PAGE}{before}");
            let page: Page = ask(&self.client, "asking the gateway for its books", &Call::get(&path)).await?;
            all.extend(page.transactions);
            let Some(next) = page.next else { return Ok(all) };
            before = format!("&before={next}");
        }
    }

    /// Callbacks of its books in this state, such as `DELIVERED`.
    pub async fn callbacks(&self, state: &str) -> Result<i64, Failure> {
        let what = "asking the gateway for its books";
        let summary: Summary = ask(&self.client, what, &Call::get("/admin/summary")).await?;
        Ok(summary.callbacks.get(state).copied().unwrap_or_default())
    }

    /// How often each fault happened since it started.
    pub async fn faults_so_far(&self) -> Result<BTreeMap<String, u64>, Failure> {
        let what = "asking the gateway what went wrong";
        let reply = shop::answer(&self.client, what, &Call::get("/actuator/prometheus")).await?;
        Ok(faults_of(&String::from_utf8_lossy(&reply.body)))
    }
}

async fn ask<T: DeserializeOwned>(
    client: &Client,
    what: &'static str,
    call: &Call<'_>,
) -> Result<T, Failure> {
    let reply = shop::answer(client, what, call).await?;
    if !reply.status.is_success() {
        let (status, code) = (reply.status.as_u16(), shop::code_of(&reply));
        return Err(ShopError::Refused { what, status, code, hint: "" }.into());
    }
    Ok(serde_json::from_slice(&reply.body).map_err(|source| ShopError::Form { what, source })?)
}

/// `script` with all that goes wrong by chance taken out of it, then `changes` put in.
fn calm_with(script: &Value, changes: &Value) -> Value {
    let mut calm = Map::new();
    for (name, value) in script.as_object().into_iter().flatten() {
        let is_chance =
            value.as_object().is_some_and(|chance| chance.keys().all(|key| NEVER.contains(&key.as_str())));
        let value = match name.as_str() {
            "cardEndings" => json!(true),
            "declines" => json!([]),
            _ if is_chance => json!({}),
            _ => value.clone(),
        };
        calm.insert(name.clone(), value);
    }
    for (name, value) in changes.as_object().into_iter().flatten() {
        calm.insert(name.clone(), value.clone());
    }
    Value::Object(calm)
}

fn faults_of(metrics: &str) -> BTreeMap<String, u64> {
    let lines = metrics.lines().filter_map(|line| {
        let (fault, count) = line.strip_prefix("simulator_faults_total{fault=\"")?.split_once("\"} ")?;
        Some((fault.to_owned(), count.trim().parse().ok()?))
    });
    lines.collect()
}

/// Remembers the gateway of another's shop whose script a command changes, so that it is changed back however the
/// command ends.
#[derive(Clone, Default)]
pub struct TakeBack(Arc<Mutex<Option<Arc<SimulatedGateway>>>>);

impl TakeBack {
    /// From now on this one's script is to be taken back.
    pub fn remember(&self, gateway: &Arc<SimulatedGateway>) {
        *self.slot() = Some(Arc::clone(gateway));
    }

    /// Takes the script back, if there is one to take back; whoever does not succeed says what is left to do.
    pub async fn run(&self) {
        let Some(gateway) = self.slot().take() else { return };
        if let Err(failure) = gateway.take_back().await {
            console::error(&format!(
                "the gateway still follows a script of faults: {}; PUT {{}} to http://{}/admin/faults",
                failure.text(),
                gateway.client.authority()
            ));
        }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<SimulatedGateway>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calm_script_keeps_its_times_and_nothing_that_goes_wrong() {
        let script = serde_json::to_value(pg_simulator::Faults {
            fail_before: pg_simulator::Chance::rate(0.4),
            callback_lost: pg_simulator::Chance::next(3),
            card_endings: false,
            declines: vec![pg_simulator::Decline { reason: "no".into(), rate: 0.3, next: 0 }],
            decision_ms: pg_simulator::Range { min: 1, max: 9 },
            ..pg_simulator::Faults::default()
        });
        let script = script.unwrap();
        let calm = calm_with(&script, &json!({"hangAfter": {"next": 1}}));
        let calm = pg_simulator::Faults::default().with(&calm).unwrap();
        let expected = pg_simulator::Faults {
            hang_after: pg_simulator::Chance::next(1),
            decision_ms: pg_simulator::Range { min: 1, max: 9 },
            ..pg_simulator::Faults::default()
        };
        assert_eq!(calm, expected);
    }

    #[test]
    fn faults_are_read_from_the_metrics() {
        let text =
            "# TYPE simulator_faults_total counter\nsimulator_faults_total{fault=\"failAfter\"} 3\nother 1\n";
        assert_eq!(faults_of(text), BTreeMap::from([("failAfter".to_owned(), 3)]));
    }

    #[test]
    fn what_was_kept_is_what_was_captured_and_not_given_back() {
        let of = |status: &str, refunded| Transaction {
            key: "k".into(),
            order_id: "o".into(),
            status: status.into(),
            amount: 10,
            refunded,
        };
        assert_eq!((of("SUCCESS", 0).kept(), of("SUCCESS", 10).kept(), of("FAILED", 0).kept()), (10, 0, 0));
    }
}
