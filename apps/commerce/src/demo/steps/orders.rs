//! Orders that need no gateway.

use bytes::Bytes;
use serde_json::json;

use crate::client::Call;
use crate::demo::report::Told;
use crate::demo::walk::{CUP_PRICE, Payment, Walk, bytes};
use crate::failure::Failure;

pub async fn with_points(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let body = walk.order_body(2, Payment::default());
    let answer = walk.place(&body).await?;
    walk.cups -= 2;
    walk.paid += 1;
    let earned = answer.number("/pointsEarned");
    walk.points += earned - 2 * CUP_PRICE;
    let (cups, points) = walk.stock_and_points().await?;
    Ok(Told::same(
        format!("201 PAID, {} cups left, {} points", walk.cups, walk.points),
        format!("{} {}, {cups} cups left, {points} points", answer.outcome(), answer.text("/status")),
    ))
}

pub async fn twice_under_one_key(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let (key, body) = (walk.key(), walk.order_body(1, Payment::default()));
    let first = walk.place_under(&key, &body).await?;
    let again = walk.place_under(&key, &body).await?;
    walk.cups -= 1;
    walk.paid += 1;
    walk.points += first.number("/pointsEarned") - CUP_PRICE;
    let other = walk.place_under(&key, &walk.order_body(2, Payment::default())).await?;
    let (cups, points) = walk.stock_and_points().await?;
    let orders = if first.body == again.body { "one order" } else { "two orders" };
    Ok(Told::same(
        format!(
            "201 PAID, 201 replayed, one order, {} cups left, {} points; another body 422 IDEMPOTENCY_KEY_REUSED",
            walk.cups, walk.points
        ),
        format!(
            "{} {}, {} {}, {orders}, {cups} cups left, {points} points; another body {}",
            first.outcome(),
            first.text("/status"),
            again.outcome(),
            if again.replayed { "replayed" } else { "not replayed" },
            other.outcome()
        ),
    ))
}

pub async fn of_another(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let name = format!("{}x", walk.name);
    let password = format!("{name} of the walk");
    let body = json!({ "loginId": name, "email": format!("{name}@demo.invalid"), "password": password });
    let signed_up = walk.ask_as(Call::post("/api/v1/users", bytes(&body))).await?;
    let log_in = bytes(&json!({ "loginId": name, "password": password }));
    let session = walk.ask_as(Call::post("/api/v1/sessions", log_in)).await?;
    let (token, key) = (session.text("/token").to_owned(), walk.key());
    let path = format!("/api/v1/orders/{}", walk.order);
    let seen = walk.ask_as(Call::get(&path).token(&token)).await?;
    let cancel = format!("{path}/cancel");
    let canceled = walk.ask_as(Call::post(&cancel, Bytes::new()).token(&token).key(&key)).await?;
    Ok(Told::same(
        "201, read 404 ORDER_NOT_FOUND, cancel 404 ORDER_NOT_FOUND",
        format!("{}, read {}, cancel {}", signed_up.outcome(), seen.outcome(), canceled.outcome()),
    ))
}

pub async fn out_of_stock(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let body = json!({ "lines": [{ "productId": walk.pot, "quantity": 2 }], "payment": {} });
    let answer = walk.place(&body).await?;
    Ok(Told::same(
        "409 OUT_OF_STOCK, 1 available",
        format!("{}, {} available", answer.outcome(), answer.number("/available")),
    ))
}
