//! Money that comes when nobody wants it any more.

use serde_json::json;

use super::super::super::report::Told;
use super::super::super::walk::{CUP_PRICE, Walk};
use super::{booked, gateway, order, until_payment_is};
use crate::failure::Failure;

/// How long the gateway takes to decide: the cancel is quicker.
const SLOW_MS: u64 = 1_200;

pub async fn after_cancel(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let gateway = match gateway(walk) {
        Ok(gateway) => gateway,
        Err(skipped) => return Ok(skipped),
    };
    let decision = json!({ "min": SLOW_MS, "max": SLOW_MS });
    gateway.follow(&json!({ "decisionMs": decision, "refundFailAfter": { "next": 1 } })).await?;
    let placed = order(walk).await?;
    let order = placed.text("/id").to_owned();
    until_payment_is(walk, &order, "PROCESSING").await?;
    let canceled = walk.cancel(&order).await?;
    let refunded = until_payment_is(walk, &order, "REFUNDED").await?;
    let payment = refunded.text("/payment/id").to_owned();
    let (cups, points) = walk.stock_and_points().await?;
    Ok(Told::same(
        format!(
            "200 CANCELED while it was decided; then CANCELED REFUNDED; the gateway has 1 transaction, {CUP_PRICE} \
             taken, {CUP_PRICE} given back; {} cups, {} points",
            walk.cups, walk.points
        ),
        format!(
            "{} {} while it was decided; then {} {}; {}; {cups} cups, {points} points",
            canceled.outcome(),
            canceled.text("/status"),
            refunded.text("/status"),
            refunded.text("/payment/status"),
            booked(&gateway.transactions_of(&payment).await?)
        ),
    ))
}
