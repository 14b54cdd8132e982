use std::time::Duration;

use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use bytes::Bytes;
use commerce_contracts::gateway::{
    IDEMPOTENCY_HEADER, PaymentRequest, TransactionStatus, TransactionSummary, Transactions,
};
use http::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::App;
use super::envelope::{Refused, success};
use crate::dice::Purpose;
use crate::domain::{Recorded, check_request, decide};
use crate::recorder::{Payment, RecordError};
use crate::storage::RecordResult;

/// Largest body of a call.
pub(super) const BODY_BYTES_MAX: usize = 16 * 1024;

const KEY_BYTES_MAX: usize = 255;

/// How long a request that is never answered is kept open.
const HANG_MAX: Duration = Duration::from_mins(2);

/// How long an early callback is waited for: not longer than a client waits for its answer.
const EARLY_MAX: Duration = Duration::from_millis(1_500);

/// What the client gets of a payment that was worked on.
enum Reply {
    Answer(TransactionSummary),
    /// None.
    Silence,
}

pub(super) async fn request(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    let request: PaymentRequest = parse(&body?)?;
    check_request(&request, &app.gateway.callback_hosts)
        .map_err(|invalid| Refused::bad_request(invalid.to_string()))?;
    let key = if app.gateway.capabilities.idempotency { idempotency_key(&headers)? } else { None };
    let mut stopping = app.stopping.clone();
    // A gateway goes on with what it received, whether or not the client waits.
    let work = tokio::spawn(async move { pay(&app, request, key).await });
    match work.await.unwrap_or(Err(Refused::Internal("the gateway broke off"))) {
        Ok(Reply::Answer(summary)) => Ok(success(summary)),
        Ok(Reply::Silence) => {
            let _ = tokio::time::timeout(HANG_MAX, stopping.wait_for(|stop| *stop)).await;
            Err(Refused::Internal("the answer was held back"))
        }
        Err(refused) => Err(refused),
    }
}

async fn pay(app: &App, request: PaymentRequest, idempotency_key: Option<String>) -> Result<Reply, Refused> {
    let script = &app.gateway.script;
    let latency_ms = script.within(Purpose::Latency, |faults| faults.latency_ms);
    tokio::time::sleep(Duration::from_millis(latency_ms)).await;
    if script.fires(Purpose::FailBefore) {
        return Err(Refused::Internal("the gateway is unstable; nothing was recorded"));
    }
    let late_ms = script
        .fires(Purpose::LateRecording)
        .then(|| script.within(Purpose::LateRecording, |faults| faults.late_recording_ms));
    let early = late_ms.is_none() && script.fires(Purpose::CallbackEarly);
    let outcome = decide(&request.card_no, script.now().card_endings, || script.decline());
    let decision_ms = script.within(Purpose::Decision, |faults| faults.decision_ms);
    let payment = Payment { request, idempotency_key, outcome, late_ms, decision_ms };
    let summary = recorded(app.recorder.record(payment).await)?;
    if late_ms.is_some() {
        return Err(Refused::Internal("the gateway is unstable; it may be recorded yet"));
    }
    if early {
        app.decider.decide_now(&summary.transaction_key).await?;
        let _ = tokio::time::timeout(EARLY_MAX, called_back(app, &summary.transaction_key)).await;
    }
    if script.fires(Purpose::HangAfter) {
        return Ok(Reply::Silence);
    }
    if script.fires(Purpose::FailAfter) {
        return Err(Refused::Internal("the gateway is unstable; the answer was lost"));
    }
    Ok(Reply::Answer(summary))
}

fn recorded(result: Result<RecordResult, RecordError>) -> Result<TransactionSummary, Refused> {
    match result {
        Ok(RecordResult::New(summary) | RecordResult::Known(summary)) => Ok(summary),
        Ok(RecordResult::OtherBody) => Err(Refused::bad_request(
            "this Idempotency-Key was used for another request; a new one is needed",
        )),
        Ok(RecordResult::Voided) => {
            Err(Refused::bad_request("this reference was voided; nothing is recorded under it"))
        }
        Ok(RecordResult::KeyTaken) => Err(Refused::Internal("no transaction key is free")),
        Err(error) => {
            tracing::error!(%error, "a payment was not recorded");
            Err(Refused::Internal("the gateway's database failed; see its log"))
        }
    }
}

/// Waits until every callback of that transaction was tried and taken.
async fn called_back(app: &App, transaction_key: &str) {
    let mut attempted = app.gateway.attempted.subscribe();
    loop {
        match app.gateway.storage.has_outgoing(transaction_key).await {
            Ok(true) => {}
            Ok(false) | Err(_) => return,
        }
        if attempted.changed().await.is_err() {
            return;
        }
    }
}

pub(super) async fn find(
    State(app): State<App>,
    key: Result<Path<String>, PathRejection>,
) -> Result<Response, Refused> {
    let Path(key) = key.map_err(|_| not_found())?;
    let stale = query_faults(&app).await?;
    let found = app.gateway.storage.find(&key, app.gateway.now_us()).await?;
    let recorded = shown(found.ok_or_else(not_found)?, stale);
    Ok(success(recorded.transaction))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListQuery {
    order_id: String,
}

pub(super) async fn list(
    State(app): State<App>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, Refused> {
    let Query(query) = query.map_err(|_| Refused::bad_request("the parameter `orderId` is missing"))?;
    let stale = query_faults(&app).await?;
    let found = app.gateway.storage.of_order(&query.order_id, app.gateway.now_us()).await?;
    if found.is_empty() {
        return Err(Refused::NotFound("there is no transaction of this order".to_owned()));
    }
    let transactions = found.into_iter().map(|recorded| shown(recorded, stale).summary()).collect();
    Ok(success(Transactions { order_id: query.order_id, transactions }))
}

pub(super) fn not_found() -> Refused {
    Refused::NotFound("there is no transaction of this key".to_owned())
}

/// What goes wrong with a query; whether it is to be answered as before the decision.
async fn query_faults(app: &App) -> Result<bool, Refused> {
    let script = &app.gateway.script;
    if script.fires(Purpose::QuerySlow) {
        let slow_ms = script.within(Purpose::QuerySlow, |faults| faults.query_slow_ms);
        tokio::time::sleep(Duration::from_millis(slow_ms)).await;
    }
    if script.fires(Purpose::QueryFailing) {
        return Err(Refused::Internal("the gateway is unstable; ask again"));
    }
    Ok(script.fires(Purpose::QueryStale))
}

fn shown(mut recorded: Recorded, stale: bool) -> Recorded {
    if stale {
        recorded.transaction.status = TransactionStatus::Pending;
        recorded.transaction.reason = None;
    }
    recorded
}

/// A body as JSON. What is wrong is told without its value: that may be a card number.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { "the body".to_owned() } else { format!("`{path}`") };
        Refused::bad_request(format!("{place} {}", fault(error.inner())))
    })?;
    json.end().map_err(|_| Refused::bad_request("there is more after the JSON of the body"))?;
    Ok(parsed)
}

/// The part of the reason that names no value.
fn fault(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    if !error.is_data() {
        "is not valid JSON".to_owned()
    } else if let Some(field) = text.strip_prefix("missing field ") {
        format!("lacks {field}")
    } else if let Some((_, expected)) = text.rsplit_once(", expected ") {
        format!("must be {expected}")
    } else {
        "is not as the protocol says".to_owned()
    }
}

/// The key that makes a repeated call one; none where the header is missing.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refused> {
    let Some(value) = headers.get(IDEMPOTENCY_HEADER) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len()));
    let key = key.ok_or_else(|| {
        Refused::bad_request(format!(
            "the header Idempotency-Key must have from 1 to {KEY_BYTES_MAX} visible characters"
        ))
    })?;
    Ok(Some(key.to_owned()))
}

impl From<BytesRejection> for Refused {
    fn from(rejection: BytesRejection) -> Self {
        if rejection.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
            Self::bad_request(format!("the body has more than {BODY_BYTES_MAX} bytes"))
        } else {
            Self::bad_request("the body did not arrive")
        }
    }
}
