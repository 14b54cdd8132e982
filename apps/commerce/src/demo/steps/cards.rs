//! Orders that the gateway decides about.

use serde_json::{Value, json};

use crate::client::Call;
use crate::demo::report::Told;
use crate::demo::walk::{Answer, CUP_PRICE, DISCOUNT, Payment, Walk, bytes, text};
use crate::failure::Failure;

/// A card that the simulator approves.
const GOOD: &str = "9410-1234-5678-9814";
/// One over its limit.
const OVER_LIMIT: &str = "9410-1234-5678-0002";
/// Points of an order that a card pays the rest of.
const SOME_POINTS: i64 = 1_000;

/// Places the order and waits until it is at rest; again where the gateway decided otherwise than the step needs.
async fn order_until(
    walk: &mut Walk<'_>,
    body: &Value,
    wanted: &str,
) -> Result<(Answer, Answer, u32), Failure> {
    let mut tries = 1;
    loop {
        let placed = walk.place(body).await?;
        let settled = walk.settled(placed.text("/id")).await?;
        let decided_otherwise = matches!(settled.text("/status"), "PAID" | "PAYMENT_FAILED");
        if settled.text("/status") == wanted || !decided_otherwise || tries >= walk.card_tries {
            return Ok((placed, settled, tries));
        }
        if settled.text("/status") == "PAID" {
            // Give it back: by the books it never was.
            walk.cancel(settled.text("/id")).await?;
            settle_by_hand(walk, settled.text("/id")).await?;
        }
        tries += 1;
    }
}

fn told_twice(expected: &str, placed: &Answer, settled: &Answer, more: [&str; 2]) -> Told {
    Told::same(
        format!("202 PAYMENT_PENDING, then {expected}, {}", more[0]),
        format!(
            "{} {}, then {} {}, {}",
            placed.outcome(),
            placed.text("/status"),
            settled.text("/status"),
            settled.text("/payment/status"),
            more[1]
        ),
    )
}

pub async fn approved(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let body = walk.order_body(1, Payment { card: Some(GOOD), ..Payment::default() });
    let (placed, settled, _) = order_until(walk, &body, "PAID").await?;
    settled.text("/id").clone_into(&mut walk.order);
    walk.cups -= 1;
    walk.paid += 1;
    walk.points += settled.number("/pointsEarned");
    let (cups, points) = walk.stock_and_points().await?;
    let books = [
        format!("{} cups left, {} points", walk.cups, walk.points),
        format!("{cups} cups left, {points} points"),
    ];
    Ok(told_twice("PAID SUCCESS", &placed, &settled, [&books[0], &books[1]]))
}

pub async fn declined(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let payment = Payment { points: Some(SOME_POINTS), card: Some(OVER_LIMIT), coupon: true };
    let body = walk.order_body(2, payment);
    let (placed, settled, _) = order_until(walk, &body, "PAYMENT_FAILED").await?;
    let (cups, points) = walk.stock_and_points().await?;
    let books = [
        format!("all back: {} cups, {} points, coupon USABLE", walk.cups, walk.points),
        format!("all back: {cups} cups, {points} points, coupon {}", walk.coupon_state().await?),
    ];
    Ok(told_twice("PAYMENT_FAILED FAILED", &placed, &settled, [&books[0], &books[1]]))
}

pub async fn mixed(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let payment = Payment { points: Some(SOME_POINTS), card: Some(GOOD), coupon: true };
    let body = walk.order_body(1, payment);
    let (placed, settled, _) = order_until(walk, &body, "PAID").await?;
    walk.cups -= 1;
    walk.paid += 1;
    walk.points += settled.number("/pointsEarned") - SOME_POINTS;
    let (cups, points) = walk.stock_and_points().await?;
    let card_part = CUP_PRICE - DISCOUNT - SOME_POINTS;
    let books = [
        format!("{card_part} by card, {} cups left, {} points, coupon USED", walk.cups, walk.points),
        format!(
            "{} by card, {cups} cups left, {points} points, coupon {}",
            settled.number("/payment/cardPart"),
            walk.coupon_state().await?
        ),
    ];
    Ok(told_twice("PAID SUCCESS", &placed, &settled, [&books[0], &books[1]]))
}

pub async fn cancel_unpaid(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let body = walk.order_body(3, Payment { points: Some(SOME_POINTS), card: Some(GOOD), coupon: false });
    let placed = walk.place(&body).await?;
    let order = placed.text("/id").to_owned();
    let canceled = walk.cancel(&order).await?;
    let settled = settle_by_hand(walk, &order).await?;
    // Whatever the gateway did meanwhile, it keeps nothing.
    let money = match settled.text("/payment/status") {
        "VOIDED" | "FAILED" | "REFUNDED" => "no money kept",
        other => other,
    };
    let (cups, points) = walk.stock_and_points().await?;
    Ok(Told::same(
        format!(
            "202 PAYMENT_PENDING, 200, then CANCELED, no money kept, {} cups, {} points",
            walk.cups, walk.points
        ),
        format!(
            "{} {}, {}, then {}, {money}, {cups} cups, {points} points",
            placed.outcome(),
            placed.text("/status"),
            // Where the payment was quicker, its refund is accepted.
            if canceled.status == 202 { "200".to_owned() } else { canceled.outcome() },
            settled.text("/status")
        ),
    ))
}

pub async fn cancel_paid(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let order = walk.order.clone();
    let before = walk.find(&order).await?;
    let canceled = walk.cancel(&order).await?;
    let settled = settle_by_hand(walk, &order).await?;
    walk.cups += 1;
    walk.paid -= 1;
    walk.points -= before.number("/pointsEarned");
    let (cups, points) = walk.stock_and_points().await?;
    Ok(Told::same(
        format!("202, then CANCELED REFUNDED, {} cups, {} points", walk.cups, walk.points),
        format!(
            "{}, then {} {}, {cups} cups, {points} points",
            canceled.outcome(),
            settled.text("/status"),
            settled.text("/payment/status")
        ),
    ))
}

/// Waits until the order is at rest. Where the gateway gives nothing back over its protocol, the payment stands on the
/// list of the stuck; the operator gives the money back in another way and says so.
async fn settle_by_hand(walk: &Walk<'_>, order: &str) -> Result<Answer, Failure> {
    let stuck = async |walk: &Walk<'_>| {
        let found = walk.find(order).await?;
        let payment = found.text("/payment/id").to_owned();
        if found.text("/payment/status") == "REFUND_PENDING" && is_stuck(walk, &payment).await? {
            let path = format!("/api/v1/admin/payments/{payment}/resolve");
            let body = bytes(&json!({ "outcome": "REFUNDED", "reason": "the walk gave it back by hand" }));
            let key = walk.key();
            walk.ask_as_admin(Call::post(&path, body).key(&key)).await?;
            return walk.find(order).await;
        }
        Ok(found)
    };
    let at_rest = |answer: &Answer| {
        answer.text("/status") != "CANCEL_PENDING"
            && matches!(answer.text("/payment/status"), "VOIDED" | "FAILED" | "REFUNDED")
    };
    walk.until(stuck, at_rest).await
}

async fn is_stuck(walk: &Walk<'_>, payment: &str) -> Result<bool, Failure> {
    let list = walk.ask_as_admin(Call::get("/api/v1/admin/payments?state=STUCK&limit=100")).await?;
    let items = list.body["items"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(items.iter().any(|item| text(item, "/id") == payment))
}
