//! What happens when the gateway, or somebody who pretends to be it, does what it should not.

pub mod answers;
pub mod callbacks;
pub mod down;
pub mod late;

use std::sync::Arc;

use serde_json::Value;

use super::super::report::Told;
use super::super::walk::{Answer, CUP_PRICE, Payment, Walk, text};
use crate::client::Call;
use crate::failure::Failure;
use crate::gateway::{SimulatedGateway, Transaction};

/// A card that the simulator approves.
const CARD: &str = "9410-1234-5678-9814";

/// The gateway of this walk, or the step's verdict where there is none to let fail.
fn gateway(walk: &Walk<'_>) -> Result<Arc<SimulatedGateway>, Told> {
    walk.gateway.clone().map_err(|why| Told::skipped(&why))
}

/// Places an order of one cup by card.
async fn order(walk: &mut Walk<'_>) -> Result<Answer, Failure> {
    let body = walk.order_body(1, Payment { card: Some(CARD), ..Payment::default() });
    walk.place(&body).await
}

/// Writes a paid order of one cup into the books that the walk keeps.
fn sold(walk: &mut Walk<'_>, order: &Answer) {
    walk.cups -= 1;
    walk.paid += 1;
    walk.points += order.number("/pointsEarned");
}

/// Waits until the order's payment is in this state.
async fn until_payment_is(walk: &Walk<'_>, order: &str, state: &str) -> Result<Answer, Failure> {
    let look = async |walk: &Walk<'_>| walk.find(order).await;
    walk.until(look, |answer: &Answer| answer.text("/payment/status") == state).await
}

/// Events of a payment, in order.
async fn history(walk: &Walk<'_>, payment: &str) -> Result<Vec<String>, Failure> {
    let answer = walk.ask(Call::get(&format!("/api/v1/payments/{payment}/history?limit=100"))).await?;
    let events = answer.body["items"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(events.iter().map(|event| text(event, "/event").to_owned()).collect())
}

fn count(history: &[String], event: &str) -> usize {
    history.iter().filter(|found| *found == event).count()
}

/// What the gateway's own books say of one payment.
fn booked(transactions: &[Transaction]) -> String {
    let captured: i64 = transactions.iter().filter(|one| one.is_captured()).map(|one| one.amount).sum();
    let refunded: i64 = transactions.iter().map(|one| one.refunded).sum();
    format!("the gateway has {} transaction, {captured} taken, {refunded} given back", transactions.len())
}

/// The same of a payment of one cup that was charged once.
fn charged_once() -> String {
    format!("the gateway has 1 transaction, {CUP_PRICE} taken, 0 given back")
}

/// The state of one of the shop's breakers, and how many calls it did not permit.
async fn breaker(walk: &Walk<'_>, name: &str) -> Result<(String, i64), Failure> {
    let answer = walk.ask_as_admin(Call::get("/actuator/circuitbreakers")).await?;
    let breaker = answer.body["circuitBreakers"].get(name).unwrap_or(&Value::Null);
    let refused = breaker["notPermittedCalls"].as_i64().unwrap_or(-1);
    Ok((text(breaker, "/state").to_owned(), refused))
}

/// What a counter of the shop stands at; 0 where it never counted.
async fn counted(walk: &Walk<'_>, metric: &str) -> Result<i64, Failure> {
    let answer = walk.ask_as_admin(Call::get(&format!("/actuator/metrics/{metric}"))).await?;
    let value = answer.body.pointer("/measurements/0/value").and_then(Value::as_f64).unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, reason = "a counter is whole and far below 2^53")]
    Ok(value as i64)
}
