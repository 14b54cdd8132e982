//! Dead letters of the data directory, beside a running shop.

use std::process::ExitCode;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, SecondsFormat};
use comfy_table::Table;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use commerce_collector::application::DeadLetterDesk;
use commerce_collector::application::dead_letters::{LetterFilter, Note, Selection, Summary};
use commerce_collector::application::ports::DeadLetter;
use commerce_collector::interfaces::Raw;
use commerce_runtime::{BusinessZone, SystemClock};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::cli::dlq::{Chosen, DiscardLetters, Dlq, ListLetters, ShowLetter, Which};
use crate::console;
use crate::failure::Failure;
use crate::setup;

/// Who the operator's log says it was.
const ACTOR: &str = "cli";

/// Does it.
pub async fn run(global: &Global, command: &Dlq) -> Result<ExitCode, Failure> {
    let settings = setup::for_operator(global)?;
    let zone = settings.api.zone();
    let collector = setup::open_collector(&settings).await?;
    let desk = collector.dead_letters(Arc::new(SystemClock));
    let done = match command {
        Dlq::List(options) => list(&desk, options, zone).await,
        Dlq::Show(options) => show(&desk, options).await,
        Dlq::Replay(options) => replay(&desk, &options.chosen, zone).await,
        Dlq::Discard(options) => discard(&desk, options, zone).await,
    };
    collector.close().await;
    done
}

async fn list(desk: &DeadLetterDesk, options: &ListLetters, zone: BusinessZone) -> Result<ExitCode, Failure> {
    let filter = LetterFilter { state: options.state.map(Into::into), ..filter(&options.which, None, zone)? };
    let letters = desk.list(&filter, options.before, options.limit.into()).await?;
    if options.json {
        let letters: Vec<Value> = letters.iter().map(letter_json).collect();
        console::line(&json!({ "items": letters }).to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(["id", "state", "set aside", "topic", "type", "cause", "detail", "tries"]);
    for letter in &letters {
        table.add_row([
            letter.id.to_string(),
            letter.state.name().to_owned(),
            time(letter.set_aside_at_us),
            format!("{}/{}:{}", letter.topic, letter.partition, letter.offset),
            letter.identity.event_type.clone().unwrap_or_default(),
            letter.cause.clone(),
            letter.detail.clone(),
            letter.attempts.to_string(),
        ]);
    }
    console::line(&if letters.is_empty() { "No dead letters.".to_owned() } else { table.to_string() });
    Ok(ExitCode::SUCCESS)
}

async fn show(desk: &DeadLetterDesk, options: &ShowLetter) -> Result<ExitCode, Failure> {
    let Some((letter, notes)) = desk.show(options.id).await? else {
        return Err(Failure::Usage(format!("there is no dead letter {}", options.id)));
    };
    let mut shown = letter_json(&letter);
    shown["history"] = notes.iter().map(note_json).collect();
    let text = if options.json { shown.to_string() } else { format!("{shown:#}") };
    console::line(&text);
    Ok(ExitCode::SUCCESS)
}

async fn replay(desk: &DeadLetterDesk, chosen: &Chosen, zone: BusinessZone) -> Result<ExitCode, Failure> {
    let summary = desk.replay(&selection(chosen, zone)?, ACTOR).await?;
    tell(&summary, chosen);
    Ok(if summary.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn discard(
    desk: &DeadLetterDesk,
    options: &DiscardLetters,
    zone: BusinessZone,
) -> Result<ExitCode, Failure> {
    let summary = desk.discard(&selection(&options.chosen, zone)?, &options.reason, ACTOR).await?;
    tell(&summary, &options.chosen);
    Ok(ExitCode::SUCCESS)
}

fn selection(chosen: &Chosen, zone: BusinessZone) -> Result<Selection, Failure> {
    let ids = (!chosen.ids.is_empty()).then(|| chosen.ids.clone());
    let filter = filter(&chosen.which, ids, zone)?;
    if filter.is_open_to_all() && !chosen.all {
        let what = "say which letters: ids, --type, --cause, --since, --until, or --all";
        return Err(Failure::Usage(what.to_owned()));
    }
    Ok(Selection { filter, after: i64::MIN, max: usize::MAX, dry_run: chosen.dry_run })
}

fn filter(which: &Which, ids: Option<Vec<i64>>, zone: BusinessZone) -> Result<LetterFilter, Failure> {
    let moment = |text: &Option<String>| text.as_deref().map(|text| moment(text, zone)).transpose();
    Ok(LetterFilter {
        state: None,
        event_type: which.event_type.clone(),
        cause: which.cause.clone(),
        since_us: moment(&which.since)?,
        until_us: moment(&which.until)?,
        ids,
    })
}

/// A time, or the beginning of a day of the shop, in microseconds since the epoch.
fn moment(text: &str, zone: BusinessZone) -> Result<i64, Failure> {
    let time = DateTime::parse_from_rfc3339(text).map(|at| at.timestamp_micros()).ok();
    let day = || text.parse::<NaiveDate>().ok().map(|day| zone.start_of(day));
    time.or_else(day).ok_or_else(|| {
        Failure::Usage(format!("`{text}` is no day like 2026-11-23 and no time like 2026-11-23T09:00:00Z"))
    })
}

fn tell(summary: &Summary, chosen: &Chosen) {
    let Summary { examined, counted, duplicates, discarded, settled, refused, .. } = summary;
    if chosen.json {
        let told = json!({
            "dryRun": chosen.dry_run, "examined": examined, "counted": counted, "duplicates": duplicates,
            "discarded": discarded, "settled": settled, "refused": refused,
        });
        console::line(&told.to_string());
        return;
    }
    let would = if chosen.dry_run { "would be " } else { "" };
    let mut parts = Vec::new();
    for (count, what) in
        [(counted, "counted"), (duplicates, "closed, counted before"), (discarded, "discarded")]
    {
        if *count > 0 {
            parts.push(format!("{count} {would}{what}"));
        }
    }
    if *settled > 0 {
        parts.push(format!("{settled} dealt with by somebody else"));
    }
    for (cause, count) in refused {
        parts.push(format!("{count} {would}refused again as {cause}"));
    }
    let told = if parts.is_empty() { "nothing to do".to_owned() } else { parts.join("; ") };
    console::line(&format!("{examined} open letters: {told}."));
}

fn time(at_us: i64) -> String {
    DateTime::from_timestamp_micros(at_us).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// As the API shows it: all bytes, but for digits that could be a card number.
fn letter_json(letter: &DeadLetter) -> Value {
    let headers = letter.headers.iter().map(|(name, value)| json!({"name": name, "value": Raw::of(value)}));
    json!({
        "id": letter.id, "state": letter.state.name(), "topic": letter.topic,
        "partition": letter.partition, "offset": letter.offset, "keptAt": time(letter.kept_at_us),
        "setAsideAt": time(letter.set_aside_at_us), "cause": letter.cause, "detail": letter.detail,
        "attempts": letter.attempts, "eventId": letter.identity.event_id,
        "eventType": letter.identity.event_type, "aggregateType": letter.identity.aggregate_type,
        "aggregateId": letter.identity.aggregate_id, "sequence": letter.identity.sequence,
        "key": Raw::of(&letter.key), "headers": headers.collect::<Vec<_>>(), "value": Raw::of(&letter.value),
    })
}

fn note_json(note: &Note) -> Value {
    json!({"at": time(note.at_us), "actor": note.actor, "action": note.action, "detail": note.detail})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_moment_and_a_day_begins_in_the_shops_zone() {
        let zone = BusinessZone::default();
        let at = |text: &str| moment(text, zone).map(time).ok();
        assert_eq!(at("2026-11-23").as_deref(), Some("2026-11-22T15:00:00.000000Z"));
        assert_eq!(at("2026-11-23T09:00:00+09:00").as_deref(), Some("2026-11-23T00:00:00.000000Z"));
        for bad in ["", "yesterday", "2026-13-01", "20261123"] {
            assert_eq!(at(bad), None, "{bad}");
        }
    }
}
