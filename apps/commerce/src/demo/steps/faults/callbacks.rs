//! Callbacks that do not come, come too often, are not the gateway's, or do not fit.

use bytes::Bytes;
use commerce_runtime::{Clock as _, SystemClock};
use commerce_webhook::{ID_HEADER, SIGNATURE_HEADER, Secret, TIMESTAMP_HEADER, sign};
use serde_json::{Value, json};

use super::super::super::report::Told;
use super::super::super::walk::{Answer, CUP_PRICE, Walk};
use super::{CARD, booked, charged_once, count, counted, gateway, history, order, sold, until_payment_is};
use crate::client::Call;
use crate::failure::Failure;
use crate::gateway::SimulatedGateway;

/// How long the gateway takes to decide where something has to happen before.
const SLOW_MS: u64 = 1_000;

pub async fn lost(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let gateway = match gateway(walk) {
        Ok(gateway) => gateway,
        Err(skipped) => return Ok(skipped),
    };
    let lost_before = gateway.callbacks("LOST").await?;
    let (settled, payment) = settled_under(walk, &gateway, &json!({ "callbackLost": { "next": 1 } })).await?;
    let lost = gateway.callbacks("LOST").await? - lost_before;
    Ok(Told::same(
        format!("1 callback lost; PAID SUCCESS; {}", charged_once()),
        format!(
            "{lost} callback lost; {} {}; {}",
            settled.text("/status"),
            settled.text("/payment/status"),
            booked(&gateway.transactions_of(&payment).await?)
        ),
    ))
}

pub async fn ten_times(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let gateway = match gateway(walk) {
        Ok(gateway) => gateway,
        Err(skipped) => return Ok(skipped),
    };
    let before = gateway.callbacks("DELIVERED").await?;
    let script = json!({ "callbackDuplicated": { "next": 1 }, "callbackCopies": 9 });
    let (settled, payment) = settled_under(walk, &gateway, &script).await?;
    let look = async |_: &Walk<'_>| Ok(gateway.callbacks("DELIVERED").await? - before);
    let delivered = walk.until(look, |delivered| *delivered >= 10).await?;
    let captured = count(&history(walk, &payment).await?, "CAPTURED");
    let (_, points) = walk.stock_and_points().await?;
    Ok(Told::same(
        format!("10 answered with 200; PAID, 1 time CAPTURED, {} points; {}", walk.points, charged_once()),
        format!(
            "{delivered} answered with 200; {}, {captured} time CAPTURED, {points} points; {}",
            settled.text("/status"),
            booked(&gateway.transactions_of(&payment).await?)
        ),
    ))
}

/// Somebody claims that a payment succeeded which the gateway is about to decline.
pub async fn forged(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let gateway = match gateway(walk) {
        Ok(gateway) => gateway,
        Err(skipped) => return Ok(skipped),
    };
    let decline = json!({ "reason": "limit exceeded", "next": 1 });
    let decision = json!({ "min": SLOW_MS, "max": SLOW_MS });
    gateway.follow(&json!({ "declines": [decline], "decisionMs": decision })).await?;
    let placed = order(walk).await?;
    let placed = until_payment_is(walk, placed.text("/id"), "PROCESSING").await?;
    let payment = placed.text("/payment/id").to_owned();
    let before = history(walk, &payment).await?;
    let claimed = claim_success(walk, &gateway, &payment).await?;
    let changed = if history(walk, &payment).await? == before { "nothing changed" } else { "it changed" };
    let settled = walk.settled(placed.text("/id")).await?;
    let (cups, points) = walk.stock_and_points().await?;
    Ok(Told::same(
        format!(
            "401 INVALID_SIGNATURE, nothing changed; then PAYMENT_FAILED FAILED, {} cups, {} points",
            walk.cups, walk.points
        ),
        format!(
            "{}, {changed}; then {} {}, {cups} cups, {points} points",
            claimed.outcome(),
            settled.text("/status"),
            settled.text("/payment/status")
        ),
    ))
}

/// Posts what the gateway would post, but for its secret.
async fn claim_success(
    walk: &Walk<'_>,
    gateway: &SimulatedGateway,
    payment: &str,
) -> Result<Answer, Failure> {
    let transactions = gateway.transactions_of(payment).await?;
    let key = transactions.first().map_or("?", |one| &one.key);
    let body = json!({
        "transactionKey": key, "orderId": payment, "cardType": "SAMSUNG", "cardNo": CARD,
        "amount": CUP_PRICE, "status": "SUCCESS", "reason": "approved",
    });
    let (body, id) = (body.to_string(), format!("evt_{key}"));
    let now_s = SystemClock.now_us().div_euclid(1_000_000);
    let signature = sign(&Secret::new(b"of somebody who was given none"), &id, now_s, body.as_bytes());
    let at = now_s.to_string();
    let headers = [(ID_HEADER, id.as_str()), (TIMESTAMP_HEADER, &at), (SIGNATURE_HEADER, &signature)];
    walk.ask_as(Call::post("/api/v1/payments/callback", Bytes::from(body)).headers(&headers)).await
}

pub async fn another_amount(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    const SET_ASIDE: &str = "commerce_callbacks_total?tag=outcome:WRONG_AMOUNT";
    let gateway = match gateway(walk) {
        Ok(gateway) => gateway,
        Err(skipped) => return Ok(skipped),
    };
    let before = counted(walk, SET_ASIDE).await?;
    let (settled, payment) =
        settled_under(walk, &gateway, &json!({ "callbackWrongAmount": { "next": 1 } })).await?;
    let set_aside = counted(walk, SET_ASIDE).await? - before;
    let (cups, points) = walk.stock_and_points().await?;
    Ok(Told::same(
        format!("1 set aside; PAID, {} cups, {} points; {}", walk.cups, walk.points, charged_once()),
        format!(
            "{set_aside} set aside; {}, {cups} cups, {points} points; {}",
            settled.text("/status"),
            booked(&gateway.transactions_of(&payment).await?)
        ),
    ))
}

/// An order by card while the gateway follows `script`, when it is at rest; and its payment.
async fn settled_under(
    walk: &mut Walk<'_>,
    gateway: &SimulatedGateway,
    script: &Value,
) -> Result<(Answer, String), Failure> {
    gateway.follow(script).await?;
    let placed = order(walk).await?;
    let settled = walk.settled(placed.text("/id")).await?;
    sold(walk, &settled);
    let payment = settled.text("/payment/id").to_owned();
    Ok((settled, payment))
}
