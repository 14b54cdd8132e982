//! What the event log holds, and how far counting is.

use std::process::ExitCode;
use std::sync::Arc;

use comfy_table::Table;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use commerce_api::app::EventLog;
use commerce_api::config::Profile;
use commerce_bus::{EventBus, TopicSpec};
use commerce_collector::application::GROUP;
use commerce_contracts::topics;
use commerce_runtime::SystemClock;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::cli::event_log::{Lag, Topics};
use crate::console;
use crate::data_dir;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::setup;

/// A partition and what is kept of it.
struct Kept {
    topic: String,
    partition: i32,
    copies: usize,
    earliest: i64,
    end: i64,
}

/// Lists the topics.
pub async fn topics(global: &Global, options: &Topics) -> Result<ExitCode, Failure> {
    let settings = setup::for_operator(global)?;
    let log = open(&settings, options.create).await?;
    let bus = log.bus();
    let listed = listed(&*bus, options.create).await;
    log.close().await;
    let (kept, missing) = listed?;
    if options.json {
        let partition = |kept: &Kept| {
            json!({
                "topic": kept.topic, "partition": kept.partition, "copies": kept.copies,
                "earliest": kept.earliest, "end": kept.end,
            })
        };
        let partitions: Vec<Value> = kept.iter().map(partition).collect();
        console::line(&json!({ "partitions": partitions, "missing": missing }).to_string());
    } else {
        let mut table = Table::new();
        table.load_style(UTF8_BORDERS_ONLY);
        table.set_header(["topic", "partition", "copies", "earliest", "end", "records"]);
        for Kept { topic, partition, copies, earliest, end } in &kept {
            let numbers = [i64::from(*partition), i64::try_from(*copies).unwrap_or(i64::MAX)];
            let numbers = numbers.into_iter().chain([*earliest, *end, end - earliest]);
            table.add_row([topic.clone()].into_iter().chain(numbers.map(|number| number.to_string())));
        }
        console::line(&table.to_string());
        if !missing.is_empty() {
            let missing = missing.join(", ");
            console::line(&format!("Missing: {missing}. `commerce topics --create` makes them."));
        }
    }
    Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The partitions that there are, and the topics that are not.
async fn listed(bus: &dyn EventBus, create: bool) -> Result<(Vec<Kept>, Vec<&'static str>), Failure> {
    if create {
        let wanted = topics::ALL.iter().map(|name| TopicSpec { name, partitions: topics::PARTITIONS });
        bus.ensure_topics(&wanted.collect::<Vec<_>>()).await?;
    }
    let mut kept: Vec<Kept> = Vec::new();
    for partition in bus.lag(GROUP, topics::ALL).await? {
        let copies = match kept.last() {
            Some(last) if last.topic == partition.topic => last.copies,
            _ => bus.copies(&partition.topic).await?,
        };
        let earliest = bus.earliest(&partition.topic, partition.partition).await?;
        let (topic, partition, end) = (partition.topic, partition.partition, partition.end);
        kept.push(Kept { topic, partition, copies, earliest, end });
    }
    let is_missing = |name: &&str| kept.iter().all(|kept| kept.topic != **name);
    let missing = topics::ALL.iter().copied().filter(is_missing).collect();
    Ok((kept, missing))
}

/// Tells how far counting is.
pub async fn lag(global: &Global, options: &Lag) -> Result<ExitCode, Failure> {
    let settings = setup::for_operator(global)?;
    let collector = setup::open_collector(&settings).await?;
    let log = open(&settings, false).await?;
    let progress = collector.lag(log.bus()).progress().await;
    log.close().await;
    collector.close().await;
    let progress = progress.map_err(|error| Failure::Lag(error.to_string()))?;
    if options.json {
        let partition = |of: &commerce_collector::application::PartitionProgress| {
            json!({
                "topic": of.topic, "partition": of.partition, "end": of.end, "committed": of.committed,
                "counted": of.next, "lag": of.lag,
            })
        };
        let partitions: Vec<Value> = progress.iter().map(partition).collect();
        let lag: i64 = progress.iter().map(|of| of.lag).sum();
        console::line(&json!({ "partitions": partitions, "lag": lag }).to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(["topic", "partition", "end", "committed", "counted", "lag"]);
    for of in progress {
        let numbers = [i64::from(of.partition), of.end, of.committed, of.next, of.lag];
        table.add_row([of.topic].into_iter().chain(numbers.map(|number| number.to_string())));
    }
    console::line(&table.to_string());
    Ok(ExitCode::SUCCESS)
}

/// Opens the event log that must be there; `new` where it may be made.
async fn open(settings: &Settings, new: bool) -> Result<EventLog, Failure> {
    let config = &settings.api;
    if config.profile == Profile::Embedded {
        let path = EventLog::file_options(config, false).path;
        if new {
            data_dir::prepare(&config.data_dir)?;
        } else if !path.metadata().is_ok_and(|file| file.is_file() && file.len() > 0) {
            return Err(Failure::NoDatabase { path });
        }
        setup::refuse_foreign(&path)?;
    }
    Ok(EventLog::open(config, false, Arc::new(SystemClock)).await?)
}
