//! Payments and their history.

use axum::extract::State;
use commerce_api_domain::{Payment, PaymentEventRecord, PaymentId};
use commerce_http::{Caller, Json, Page, Path, Problem};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use super::names::{CardType, PaymentMethod, PaymentStatus};
use super::{Routes, Shared};
use crate::interfaces::auth;
use crate::interfaces::failure::Answered;
use crate::interfaces::input::{Time, Won};
use crate::interfaces::problems::{Always, BadParameter, UuidInPath, problems};

pub fn routes() -> Routes {
    Routes::new().routes(routes!(payment)).routes(routes!(payment_history))
}

/// A card as far as it is ever shown.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CardResponse {
    /// Brand.
    #[serde(rename = "type")]
    kind: CardType,
    /// Last four digits.
    #[schema(example = "1451")]
    last_four: String,
}

/// A payment, as its order shows it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentPart {
    /// Which payment.
    id: Uuid,
    /// Where it stands.
    status: PaymentStatus,
    /// How the order is paid.
    method: PaymentMethod,
    /// Paid by points.
    points_part: Won,
    /// To be paid by card.
    card_part: Won,
    /// The card, where there is a card part.
    #[schema(required = true)]
    card: Option<CardResponse>,
}

impl From<&Payment> for PaymentPart {
    fn from(payment: &Payment) -> Self {
        let card = payment.card.as_ref();
        Self {
            id: payment.id.0,
            status: payment.status.into(),
            method: payment.method.into(),
            points_part: payment.points_part.into(),
            card_part: payment.card_part.into(),
            card: card.map(|(brand, last_four)| CardResponse {
                kind: (*brand).into(),
                last_four: last_four.to_string(),
            }),
        }
    }
}

/// A payment.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentResponse {
    #[serde(flatten)]
    payment: PaymentPart,
    /// Its order.
    order_id: Uuid,
    /// Whose order.
    #[schema(example = 7)]
    user_id: i64,
    /// Why the card was declined.
    #[schema(required = true, example = "limit exceeded")]
    reason: Option<String>,
    /// When it was recorded.
    created_at: Time,
    /// When it last changed.
    updated_at: Time,
}

impl From<Payment> for PaymentResponse {
    fn from(payment: Payment) -> Self {
        Self {
            payment: (&payment).into(),
            order_id: payment.order.0,
            user_id: payment.user.0,
            reason: payment.reason.as_deref().map(str::to_owned),
            created_at: payment.created_at.into(),
            updated_at: payment.updated_at.into(),
        }
    }
}

/// Something that happened to a payment.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PaymentEventResponse {
    /// What happened.
    #[schema(example = "CREATED")]
    event: &'static str,
    /// Where the payment stood after it.
    status: PaymentStatus,
    /// Attempts at the gateway so far.
    #[schema(example = 0)]
    attempt: i64,
    /// Why the card was declined, where it was.
    #[schema(required = true, example = "limit exceeded")]
    reason: Option<String>,
    /// When.
    at: Time,
}

impl From<PaymentEventRecord> for PaymentEventResponse {
    fn from(record: PaymentEventRecord) -> Self {
        Self {
            event: record.event.name(),
            status: record.status.into(),
            attempt: record.attempt,
            reason: record.event.reason().map(ToString::to_string),
            at: record.at.into(),
        }
    }
}

problems! {
    /// Where there is no such payment, or it is another customer's.
    NoPayment { 404 => "PAYMENT_NOT_FOUND" }
}

/// 404 `PAYMENT_NOT_FOUND`.
pub fn payment_not_found() -> Problem {
    let detail = "no payment of yours has this id";
    Problem::not_found("PAYMENT_NOT_FOUND", "The payment does not exist", detail)
}

/// A payment.
#[utoipa::path(
    get, path = "/api/v1/payments/{id}", operation_id = "getPayment", tag = "payments",
    params(UuidInPath),
    responses(
        (status = 200, description = "The payment", body = PaymentResponse),
        BadParameter, NoPayment, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("OWNER")))
)]
async fn payment(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
) -> Answered<Json<PaymentResponse>> {
    let payment = api.orders.payment(&auth::caller(caller), PaymentId(id)).await?;
    Ok(Json(payment.ok_or_else(payment_not_found)?.into()))
}

/// What happened to a payment, in order. All of it is one page.
#[utoipa::path(
    get, path = "/api/v1/payments/{id}/history", operation_id = "getPaymentHistory", tag = "payments",
    params(UuidInPath),
    responses(
        (status = 200, description = "The events", body = Page<PaymentEventResponse>),
        BadParameter, NoPayment, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("OWNER")))
)]
async fn payment_history(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
) -> Answered<Json<Page<PaymentEventResponse>>> {
    let events = api.orders.payment_history(&auth::caller(caller), PaymentId(id)).await?;
    let events = events.ok_or_else(payment_not_found)?;
    let items = events.into_iter().map(PaymentEventResponse::from).collect();
    Ok(Json(Page { items, next_cursor: None }))
}
