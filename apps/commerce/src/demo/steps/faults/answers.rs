//! A gateway that takes the money and does not say so.

use serde_json::{Value, json};

use super::super::super::report::Told;
use super::super::super::walk::Walk;
use super::{booked, charged_once, count, gateway, history, order, sold};
use crate::failure::Failure;

/// One answer never comes and the next two are errors, so that the shop is left without any; and nobody calls back.
pub async fn lost(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let script = json!({
        "hangAfter": { "next": 1 },
        "failAfter": { "next": 2 },
        "callbackLost": { "next": 1 },
    });
    paid_in_spite_of(walk, &script, "1 time OUTCOME_UNKNOWN").await
}

/// One answer is an error although the money was taken; the callback is lost too.
pub async fn failed_after(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let script = json!({ "failAfter": { "next": 1 }, "callbackLost": { "next": 1 } });
    paid_in_spite_of(walk, &script, "0 times OUTCOME_UNKNOWN").await
}

async fn paid_in_spite_of(walk: &mut Walk<'_>, script: &Value, unknown: &str) -> Result<Told, Failure> {
    let gateway = match gateway(walk) {
        Ok(gateway) => gateway,
        Err(skipped) => return Ok(skipped),
    };
    gateway.follow(script).await?;
    let placed = order(walk).await?;
    let settled = walk.settled(placed.text("/id")).await?;
    sold(walk, &settled);
    let payment = settled.text("/payment/id").to_owned();
    let history = history(walk, &payment).await?;
    let times = count(&history, "OUTCOME_UNKNOWN");
    Ok(Told::same(
        format!("202, then PAID SUCCESS; {unknown}; {}", charged_once()),
        format!(
            "{}, then {} {}; {times} {} OUTCOME_UNKNOWN; {}",
            placed.outcome(),
            settled.text("/status"),
            settled.text("/payment/status"),
            if times == 1 { "time" } else { "times" },
            booked(&gateway.transactions_of(&payment).await?)
        ),
    ))
}
