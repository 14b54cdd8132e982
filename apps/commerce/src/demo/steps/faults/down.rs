//! A gateway that is down, and comes back.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::json;

use super::super::super::report::Told;
use super::super::super::walk::{CUP_PRICE, Walk, text};
use super::{breaker, gateway, order, sold};
use crate::client::Call;
use crate::failure::Failure;
use crate::gateway::SimulatedGateway;

const CHARGES: &str = "gateway-charge";
/// Orders whose charges fail until the breaker has seen enough.
const FAILING: usize = 5;

pub async fn gateway_down(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let gateway = match gateway(walk) {
        Ok(gateway) => gateway,
        Err(skipped) => return Ok(skipped),
    };
    let always = json!({ "rate": 1.0 });
    gateway
        .follow(&json!({ "failBefore": always, "queryFailing": always, "refundFailBefore": always }))
        .await?;
    for _ in 0..FAILING {
        let placed = order(walk).await?;
        walk.waiting.push(placed.text("/id").to_owned());
    }
    let look = async |walk: &Walk<'_>| breaker(walk, CHARGES).await;
    let (state, refused) = walk.until(look, |(state, _)| state == "OPEN").await?;
    let last = order(walk).await?;
    walk.waiting.push(last.text("/id").to_owned());
    // Nothing but the open breaker can refuse it, so that it was never sent.
    let look = async |walk: &Walk<'_>| breaker(walk, CHARGES).await;
    let (_, refused_after) = walk.until(look, |(_, now)| *now > refused).await?;
    let waits = walk.find(last.text("/id")).await?;
    let (cups, _) = walk.stock_and_points().await?;
    Ok(Told::same(
        format!(
            "breaker OPEN, a call not permitted; 202, order PAYMENT_PENDING, 0 of 6 at the gateway, {} cups left",
            walk.cups - 6
        ),
        format!(
            "breaker {state}, {}; {}, order {}, {} of {} at the gateway, {cups} cups left",
            if refused_after > refused { "a call not permitted" } else { "every call permitted" },
            last.outcome(),
            waits.text("/status"),
            captured(walk, &gateway).await?.len(),
            walk.waiting.len()
        ),
    ))
}

pub async fn gateway_back(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let gateway = match gateway(walk) {
        Ok(gateway) => gateway,
        Err(skipped) => return Ok(skipped),
    };
    gateway.take_back().await?;
    gateway.follow(&json!({})).await?;
    let look = async |walk: &Walk<'_>| {
        recheck_waiting(walk).await?;
        let paid = stream::iter(&walk.waiting)
            .then(async |order| walk.find(order).await)
            .try_filter(|order| std::future::ready(order.text("/status") == "PAID"))
            .try_collect::<Vec<_>>()
            .await?;
        Ok((breaker(walk, CHARGES).await?.0, paid))
    };
    let all = walk.waiting.len();
    let (state, paid) = walk.until(look, |(state, paid)| state == "CLOSED" && paid.len() == all).await?;
    for order in &paid {
        sold(walk, order);
    }
    let captured = captured(walk, &gateway).await?;
    let (cups, points) = walk.stock_and_points().await?;
    Ok(Told::same(
        format!(
            "breaker CLOSED, 6 orders PAID, 6 charges of {CUP_PRICE} at the gateway, {} cups left, {} points",
            walk.cups, walk.points
        ),
        format!(
            "breaker {state}, {} orders PAID, {} charges of {} at the gateway, {cups} cups left, {points} points",
            paid.len(),
            captured.len(),
            captured.iter().min().copied().unwrap_or_default()
        ),
    ))
}

/// Has the gateway asked about what waits and is not due for a while: the longer it was down, the rarer it is asked.
async fn recheck_waiting(walk: &Walk<'_>) -> Result<(), Failure> {
    if breaker(walk, CHARGES).await?.0 == "HALF_OPEN" {
        // Its two calls decide; more would only be refused, and wait longer.
        return Ok(());
    }
    let open = walk.ask_as_admin(Call::get("/api/v1/admin/payments?limit=100")).await?;
    for payment in open.body["items"].as_array().into_iter().flatten() {
        if payment["tries"].as_i64() > Some(1)
            && walk.waiting.iter().any(|order| order == text(payment, "/orderId"))
        {
            let path = format!("/api/v1/admin/payments/{}/recheck", text(payment, "/id"));
            walk.ask_as_admin(Call::post(&path, bytes::Bytes::new())).await?;
        }
    }
    Ok(())
}

/// Amounts that the gateway took for the orders that wait.
async fn captured(walk: &Walk<'_>, gateway: &SimulatedGateway) -> Result<Vec<i64>, Failure> {
    let mut amounts = Vec::new();
    for order in &walk.waiting {
        let payment = walk.find(order).await?.text("/payment/id").to_owned();
        let transactions = gateway.transactions_of(&payment).await?;
        amounts.extend(transactions.iter().filter(|one| one.is_captured()).map(|one| one.amount));
    }
    Ok(amounts)
}
