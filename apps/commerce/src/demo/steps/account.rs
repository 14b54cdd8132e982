//! Signing up, looking around, getting ready to buy.

use bytes::Bytes;
use serde_json::json;

use crate::client::Call;
use crate::demo::report::Told;
use crate::demo::walk::{POINTS, Walk, bytes, text};
use crate::failure::Failure;

/// Opens an account; its name is of this walk, its password nobody's.
pub async fn sign_up(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let name = &walk.name;
    let body =
        json!({ "loginId": name, "email": format!("{name}@demo.invalid"), "password": password(name) });
    let answer = walk.ask_as(Call::post("/api/v1/users", bytes(&body))).await?;
    Ok(Told::same("201 CUSTOMER, 0 points", {
        format!("{} {}, {} points", answer.outcome(), answer.text("/role"), answer.number("/balance"))
    }))
}

/// The password of a demonstration's account, which holds nothing of worth.
fn password(name: &str) -> String {
    format!("{name} of the walk")
}

pub async fn log_in(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let body = json!({ "loginId": walk.name, "password": password(&walk.name) });
    let answer = walk.ask_as(Call::post("/api/v1/sessions", bytes(&body))).await?;
    answer.body["token"].as_str().unwrap_or_default().clone_into(&mut walk.token);
    Ok(Told::same("201 CUSTOMER", format!("{} {}", answer.outcome(), answer.text("/role"))))
}

pub async fn charge(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let key = walk.key();
    let body = bytes(&json!({ "amount": POINTS }));
    let answer = walk.ask(Call::post("/api/v1/users/me/points/charges", body).key(&key)).await?;
    walk.points += POINTS;
    let (_, points) = walk.stock_and_points().await?;
    Ok(Told::same(format!("201, {} points", walk.points), format!("{}, {points} points", answer.outcome())))
}

pub async fn search_cheapest(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    search(walk, "PRICE_ASC", ["Cup", "Pot"]).await
}

pub async fn search_dearest(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    search(walk, "PRICE_DESC", ["Pot", "Cup"]).await
}

async fn search(walk: &Walk<'_>, sort: &str, expected: [&str; 2]) -> Result<Told, Failure> {
    let path = format!("/api/v1/products?search={}&sort={sort}", walk.name.to_ascii_uppercase());
    let answer = walk.ask_as(Call::get(&path)).await?;
    let items = answer.body["items"].as_array().map_or(&[][..], Vec::as_slice);
    let kind = |item| text(item, "/name").split(' ').next().unwrap_or_default().to_owned();
    let names: Vec<_> = items.iter().map(kind).collect();
    Ok(Told::same(
        format!("200 {}", expected.join(", ")),
        format!("{} {}", answer.outcome(), names.join(", ")),
    ))
}

pub async fn like(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let path = format!("/api/v1/products/{}/like", walk.cup);
    let first = walk.ask(Call::put(&path)).await?;
    let again = walk.ask(Call::put(&path)).await?;
    let told = |answer: &super::super::walk::Answer| {
        format!("{} liked {} changed {}", answer.outcome(), answer.body["liked"], answer.body["changed"])
    };
    Ok(Told::same(
        "200 liked true changed true; again changed false",
        format!("{}; again changed {}", told(&first), again.body["changed"]),
    ))
}

pub async fn get_coupon(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let (path, key) = (format!("/api/v1/coupons/{}/issues", walk.coupon), walk.key());
    let answer = walk.ask(Call::post(&path, Bytes::new()).key(&key)).await?;
    answer.text("/id").clone_into(&mut walk.issued);
    let another_key = walk.key();
    let again = walk.ask(Call::post(&path, Bytes::new()).key(&another_key)).await?;
    Ok(Told::same(
        "201 USABLE; again 409 COUPON_ALREADY_ISSUED",
        format!("{} {}; again {}", answer.outcome(), answer.text("/status"), again.outcome()),
    ))
}
