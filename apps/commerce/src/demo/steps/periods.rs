//! A past that the shop never had, and the rankings of its week and months.

use std::collections::BTreeSet;

use bytes::Bytes;
use chrono::{Datelike as _, Days, NaiveDate};
use commerce_bus::Record;
use commerce_contracts::{time, topics};
use serde_json::json;

use crate::client::Call;
use crate::demo::report::Told;
use crate::demo::walk::{Answer, Walk, bytes, number, text};
use crate::failure::Failure;

/// Views of the cup and of the pot on each day of the past week.
const VIEWS: (i64, i64) = (3, 1);
const DAYS: u64 = 7;
const WEEK_OF_VIEWS: i64 = VIEWS.0 * 7;
const HALF_A_DAY_US: i64 = 12 * 3_600_000_000;

const NOT_OURS: &str = "no past is made up in a shop that is not of its own";

/// Monday of the week before this one.
fn monday(walk: &Walk<'_>) -> NaiveDate {
    let today = walk.today();
    let back = u64::from(today.weekday().num_days_from_monday()) + DAYS;
    today.checked_sub_days(Days::new(back)).unwrap_or(today)
}

fn sunday(walk: &Walk<'_>) -> NaiveDate {
    let monday = monday(walk);
    monday.checked_add_days(Days::new(DAYS - 1)).unwrap_or(monday)
}

fn digits(day: NaiveDate) -> String {
    day.format("%Y%m%d").to_string()
}

/// Views of the past week come late, as from a node that was cut off; they count on the days they happened on.
pub async fn past(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let (first, last) = (monday(walk), sunday(walk));
    let mut records = Vec::new();
    for day in first.iter_days().take_while(|day| *day <= last) {
        let at = time::rfc3339(walk.zone().start_of(day).saturating_add(HALF_A_DAY_US));
        for (product, views) in [(walk.cup, VIEWS.0), (walk.pot, VIEWS.1)] {
            records.extend((0..views).map(|_| view(walk, product, &at)));
        }
    }
    if !walk.publish(records).await? {
        return Ok(Told::skipped(NOT_OURS));
    }
    let views = |answer: &Answer| -> i64 {
        let days = answer.body["items"].as_array().map_or(&[][..], Vec::as_slice);
        days.iter().map(|day| number(day, "/views")).sum()
    };
    let mut counted = Vec::new();
    for (product, expected) in [(walk.cup, VIEWS.0), (walk.pot, VIEWS.1)].map(|(id, views)| (id, views * 7)) {
        let (from, to) = (digits(first), digits(last));
        let path = format!("/api/v1/metrics/products/{product}?from={from}&to={to}");
        let look = async |walk: &Walk<'_>| walk.ask_collector(Call::get(&path)).await;
        let seen = walk.until(look, |answer| views(answer) == expected).await?;
        counted.push(views(&seen));
    }
    let expected = format!("{WEEK_OF_VIEWS} and {} views on seven days", VIEWS.1 * 7);
    let came = counted.iter().map(i64::to_string).collect::<Vec<_>>().join(" and ");
    Ok(Told::same(expected, format!("{came} views on seven days")))
}

fn view(walk: &Walk<'_>, product: i64, at: &str) -> Record {
    let id = walk.key();
    let envelope = json!({
        "eventId": id, "eventType": "ProductViewed", "version": 1, "aggregateType": "PRODUCT_VIEW",
        "aggregateId": product.to_string(), "sequence": 0, "occurredAt": at, "payload": { "productId": product },
    });
    Record {
        topic: topics::PRODUCT.to_owned(),
        key: product.to_string(),
        headers: vec![("ce_id".to_owned(), Bytes::from(id))],
        value: bytes(&envelope),
    }
}

/// The job of the past week, and its board.
pub async fn weekly(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    ranked(walk, "WEEKLY", BTreeSet::from([monday(walk)])).await
}

/// The job of each month that the past week lies in, and their boards.
pub async fn monthly(walk: &mut Walk<'_>) -> Result<Told, Failure> {
    let (monday, sunday) = (monday(walk), sunday(walk));
    let months = if monday.month() == sunday.month() { vec![monday] } else { vec![monday, sunday] };
    ranked(walk, "MONTHLY", months.into_iter().collect()).await
}

/// Has the periods of these days aggregated and ranked; what the cup has on their boards together.
async fn ranked(walk: &Walk<'_>, period: &str, days: BTreeSet<NaiveDate>) -> Result<Told, Failure> {
    if !walk.is_own() {
        return Ok(Told::skipped(NOT_OURS));
    }
    let (mut views, mut firsts) = (0, Vec::new());
    for day in days.into_iter().map(digits) {
        if let Some(refused) = run(walk, period, &day).await? {
            return Ok(Told::same("202, the job is COMPLETED", refused));
        }
        let board = format!("/api/v1/rankings?period={period}&type=VIEW&size=100&date={day}");
        let board = walk.ask_as(Call::get(&board)).await?;
        let items = board.body["items"].as_array().map_or(&[][..], Vec::as_slice);
        let cup = items.iter().filter(|item| number(item, "/productId") == walk.cup);
        views += cup.map(|item| number(item, "/score")).sum::<i64>();
        firsts.extend(items.first().map(|item| text(item, "/name").to_owned()));
    }
    // The running month has today's views besides.
    let ok = if period == "WEEKLY" { views == WEEK_OF_VIEWS } else { views >= WEEK_OF_VIEWS };
    let expected = match period {
        "WEEKLY" => format!("{WEEK_OF_VIEWS} views of the cup on the board"),
        _ => format!("at least {WEEK_OF_VIEWS} views of the cup on the boards"),
    };
    let came = format!("{views} views of the cup; first: {}", firsts.join(", "));
    Ok(Told { expected, came, ok, skipped: false })
}

/// Runs a job to its end, unless there is nothing to do; what came instead, where it does not complete.
async fn run(walk: &Walk<'_>, period: &str, day: &str) -> Result<Option<String>, Failure> {
    let body = bytes(&json!({ "period": period, "date": day }));
    let start =
        async |walk: &Walk<'_>| walk.ask_collector_as_admin(Call::post("/api/v1/jobs", body.clone())).await;
    // The scheduler may be at it.
    let begun = walk.until(start, |answer| answer.text("/code") != "JOB_RUNNING").await?;
    if begun.text("/code") == "JOB_COMPLETE" {
        return Ok(None);
    }
    if begun.status != 202 {
        return Ok(Some(begun.outcome()));
    }
    let path = format!("/api/v1/jobs/{}", begun.number("/executionId"));
    let look = async |walk: &Walk<'_>| walk.ask_collector_as_admin(Call::get(&path)).await;
    let ended = walk.until(look, |answer| answer.text("/execution/status") != "STARTED").await?;
    let status = ended.text("/execution/status");
    Ok((status != "COMPLETED").then(|| format!("202, the job is {status}")))
}
