//! What the payment gateway tells by itself.

use std::sync::Arc;

use axum::extract::State;
use commerce_api_application::payments::VerifiedCallback;
use commerce_api_application::ports::{GatewayTransaction, TransactionState};
use commerce_contracts::gateway::{Transaction, TransactionStatus};
use commerce_contracts::mask_card_numbers;
use commerce_http::{Json, Problem, RawJson};
use commerce_webhook::{ID_HEADER, TIMESTAMP_HEADER};
use http::HeaderMap;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Routes, Shared};
use crate::interfaces::failure::Answered;
use crate::interfaces::input::TransactionKey;
use crate::interfaces::problems::{RATE_LIMITED, problems};

pub fn routes() -> Routes {
    Routes::new().routes(routes!(payment_callback))
}

/// Characters of a decline's reason that are kept.
const REASON_CHARS_MAX: usize = 200;

/// The outcome of a transaction, as the gateway's protocol has it. Members that are not named here are passed over.
#[derive(ToSchema)]
#[schema(as = PaymentCallback, rename_all = "camelCase")]
#[expect(dead_code, reason = "only its document is used; it is read as the protocol's own type")]
struct CallbackBody {
    /// The gateway's key of the transaction.
    #[schema(example = "20260814:TR:9577c5")]
    transaction_key: String,
    /// The reference that we gave: the id of the payment.
    order_id: uuid::Uuid,
    /// Brand.
    card_type: super::names::CardType,
    /// As it was sent; it is masked before anything is kept.
    #[schema(example = "1234-5678-9814-1451")]
    card_no: String,
    /// Won.
    #[schema(example = 12_000)]
    amount: i64,
    /// Where it stands.
    status: CallbackStatus,
    /// Why it was declined.
    reason: Option<String>,
}

/// Where a transaction stands at the gateway.
#[derive(ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(dead_code, reason = "only its document is used")]
enum CallbackStatus {
    Pending,
    Success,
    Failed,
}

/// A callback that was taken.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CallbackResponse {
    /// What became of it: APPLIED, DUPLICATE, HINT, or why it was set aside.
    #[schema(example = "APPLIED")]
    outcome: &'static str,
}

problems! {
    /// Of a callback.
    CallbackProblems {
        400 => "MALFORMED_REQUEST",
        401 => "INVALID_SIGNATURE, INVALID_TOKEN",
        408 => "REQUEST_TIMEOUT",
        413 => "PAYLOAD_TOO_LARGE",
        415 => "UNSUPPORTED_MEDIA_TYPE",
        429 => RATE_LIMITED,
        500 => "INTERNAL_ERROR",
        503 => "DESK_OVERLOADED, STORAGE_UNAVAILABLE, OUTCOME_UNKNOWN, SESSIONS_UNAVAILABLE",
    }
}

/// Takes the outcome of a transaction from the payment gateway.
///
/// Signed over the raw body after Standard Webhooks (`webhook-id`, `webhook-timestamp`, `webhook-signature`), at most
/// five minutes old. 200 says that it is kept, also where it came before or was set aside; anything else asks the
/// gateway to send it again. From a gateway that does not sign it is only a reason to ask.
#[utoipa::path(
    post, path = "/api/v1/payments/callback", operation_id = "paymentCallback", tag = "payments",
    request_body(content = CallbackBody, content_type = "application/json"),
    responses((status = 200, description = "Kept", body = CallbackResponse), CallbackProblems),
    security(("signature" = [])),
    extensions(("x-policy" = json!("SIGNED")))
)]
async fn payment_callback(
    State(api): State<Shared>,
    headers: HeaderMap,
    RawJson(body): RawJson,
) -> Answered<Json<CallbackResponse>> {
    let event_id = api.signatures.as_ref().map(|guard| guard.check(&headers, &body)).transpose()?;
    let outcome = api.callbacks.receive(read(event_id, &headers, &body)?).await?;
    Ok(Json(CallbackResponse { outcome: outcome.name() }))
}

fn read(event_id: Option<String>, headers: &HeaderMap, body: &[u8]) -> Result<VerifiedCallback, Problem> {
    // The parser's own text could quote the card number.
    let malformed = || Problem::malformed("the body is no transaction of the gateway's protocol");
    let mut told: Transaction = serde_json::from_slice(body).map_err(|_| malformed())?;
    let key: Arc<str> =
        TransactionKey::try_from(told.transaction_key.clone()).map_err(|_| malformed())?.into();
    told.card_no = mask_card_numbers(&told.card_no);
    told.reason =
        told.reason.map(|reason| mask_card_numbers(&reason).chars().take(REASON_CHARS_MAX).collect());
    let state = match told.status {
        TransactionStatus::Pending => TransactionState::Pending,
        TransactionStatus::Success => TransactionState::Captured,
        TransactionStatus::Failed => {
            TransactionState::Declined(told.reason.as_deref().unwrap_or("no reason given").into())
        }
    };
    Ok(VerifiedCallback {
        event_id,
        headers: kept(headers).to_string(),
        body: serde_json::to_string(&told).map_err(|_| Problem::internal())?,
        transaction: GatewayTransaction {
            key,
            reference: told.order_id.as_str().into(),
            amount: told.amount,
            state,
        },
    })
}

/// The headers that tell when and under which id it came.
fn kept(headers: &HeaderMap) -> serde_json::Value {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    json!({ ID_HEADER: text(ID_HEADER), TIMESTAMP_HEADER: text(TIMESTAMP_HEADER) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(card: &str, reason: &str) -> String {
        json!({
            "transactionKey": "20260814:TR:9577c5", "orderId": "0198f2a1-0000-7000-8000-000000000001",
            "cardType": "KB", "cardNo": card, "amount": 5_000, "status": "FAILED", "reason": reason,
            "more": "is passed over",
        })
        .to_string()
    }

    #[test]
    fn nothing_of_the_card_number_is_kept_but_its_last_digits() {
        for card in ["1234-5678-9814-1451", "1234567898141451", "1234 5678 9814 1451"] {
            let read =
                read(None, &HeaderMap::new(), body(card, &format!("{card} is over its limit")).as_bytes());
            let read = read.ok().unwrap();
            let kept = format!("{read:?}");
            assert!(!kept.contains("9814") && kept.contains("1451"), "{kept}");
            let TransactionState::Declined(reason) = read.transaction.state else { panic!("declined") };
            assert!(reason.ends_with("1451 is over its limit"), "{reason}");
        }
    }

    #[test]
    fn what_is_no_transaction_is_malformed_and_not_repeated() {
        let good = body("1234-5678-9814-1451", "limit");
        for (from, to) in [
            ("\"FAILED\"", "\"REFUNDED\""),
            ("5000", "\"5000\""),
            ("5000", "5000.5"),
            ("5000", "1e99"),
            ("20260814:TR:9577c5", "a b"),
            ("\"KB\"", "\"1234-5678-9814-1451\""),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good);
            let problem = read(None, &HeaderMap::new(), bad.as_bytes()).err().unwrap();
            assert_eq!(problem.code(), "MALFORMED_REQUEST", "{to}");
            assert!(!format!("{problem:?}").contains("9814"));
        }
        for bad in ["", "null", "[]", "{", &"[".repeat(5_000)] {
            assert!(read(None, &HeaderMap::new(), bad.as_bytes()).is_err());
        }
    }
}
