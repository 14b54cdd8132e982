//! What the collector made of it, and whether all books agree.

use serde_json::Value;

use crate::client::Call;
use crate::demo::report::{Place, Told};
use crate::demo::walk::{Answer, Walk, number, text};
use crate::failure::Failure;

pub async fn rank(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let path = format!("/api/v1/products/{}", walk.cup);
    let kinds = ["all", "like", "view", "order"];
    let missing = |answer: &Answer| -> Vec<_> {
        let place = |kind: &&str| answer.body.pointer(&format!("/ranks/{kind}")).is_none_or(Value::is_null);
        kinds.into_iter().filter(place).collect()
    };
    let look = async |walk: &Walk<'_>| walk.ask_as(Call::get(&path)).await;
    let seen = walk.until(look, |answer| missing(answer).is_empty()).await?;
    let missing = missing(&seen);
    let came = if missing.is_empty() {
        "a rank of".to_owned()
    } else {
        format!("no rank {} of", missing.join(", "))
    };
    Ok(Told::same("200, a rank of today on all four boards", {
        format!("{}, {came} today on all four boards", seen.outcome())
    }))
}

pub async fn counted(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let path = format!("/api/v1/metrics/products/{}", walk.cup);
    let expected = format!("1 like, {} orders, views counted", walk.paid);
    let told = |answer: &Answer| {
        let sum = |what: &str| {
            let days = answer.body["items"].as_array().map_or(&[][..], Vec::as_slice);
            days.iter().map(|day| number(day, &format!("/{what}"))).sum::<i64>()
        };
        let views = if sum("views") > 0 { "views counted" } else { "no view" };
        format!("{} like, {} orders, {views}", sum("likes"), sum("orders"))
    };
    let look = async |walk: &Walk<'_>| walk.ask_collector(Call::get(&path)).await;
    let seen = walk.until(look, |answer| told(answer) == expected).await?;
    let came = if seen.status == 200 { told(&seen) } else { seen.outcome() };
    Ok(Told::same(expected, came))
}

pub async fn today(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let answer = walk.ask_as(Call::get("/api/v1/rankings?period=DAILY&type=ALL&size=10")).await?;
    let items = answer.body["items"].as_array().map_or(&[][..], Vec::as_slice);
    let place = |item: &Value| Place {
        rank: number(item, "/rank"),
        product_id: number(item, "/productId"),
        name: text(item, "/name").to_owned(),
        price: number(item, "/price"),
        score: tenths(number(item, "/score")),
    };
    let places: Vec<_> = items.iter().map(place).collect();
    let ascending = places.iter().zip(1..).all(|(place, rank)| place.rank == rank);
    let came = match (places.is_empty(), ascending) {
        (true, _) => "no places",
        (false, true) => "places from 1 on",
        (false, false) => "ranks with gaps",
    };
    walk.keep_ranking(places);
    Ok(Told::same("200, places from 1 on", format!("{}, {came}", answer.outcome())))
}

/// The score of the board of everything, which is kept in tenths.
fn tenths(score: i64) -> String {
    format!("{}.{}", score / 10, score % 10)
}

pub async fn audit(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let Some(report) = walk.audit().await? else {
        let told = "not run: the shop's data is not at hand; run `commerce audit` with its --data-dir";
        return Ok(Told::same(told, told));
    };
    let came = match report.findings.first() {
        None => "clean".to_owned(),
        Some(first) => format!(
            "{} findings, the first of invariant {}: {}: {}",
            report.findings.len(),
            first.invariant,
            first.subject,
            first.detail
        ),
    };
    Ok(Told::same("clean", came))
}
