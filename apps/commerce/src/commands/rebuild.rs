//! What can be derived again: boards from the tables, metrics from the log.

use std::process::ExitCode;
use std::sync::Arc;

use commerce_api::app::EventLog;
use commerce_collector::Collector;
use commerce_collector::application::rebuild::{Comparison, RebuildError};
use commerce_runtime::SystemClock;
use serde_json::json;

use crate::cli::Global;
use crate::cli::rebuild::{Rebuild, RebuildBoards, RebuildMetrics};
use crate::console;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::setup;

/// Who the operator's log says it was.
const ACTOR: &str = "cli";
/// A line of progress every so many records.
const TELL_EVERY: i64 = 100_000;

/// Does it.
pub async fn run(global: &Global, command: &Rebuild) -> Result<ExitCode, Failure> {
    let settings = setup::for_operator(global)?;
    let collector = setup::open_collector(&settings).await?;
    let done = match command {
        Rebuild::Boards(options) => boards(&collector, options).await,
        Rebuild::Metrics(options) => metrics(&collector, &settings, options).await,
    };
    collector.close().await;
    done
}

async fn boards(collector: &Collector, options: &RebuildBoards) -> Result<ExitCode, Failure> {
    let days = match options.date {
        Some(day) => {
            collector.rebuild_boards(day).await?;
            1
        }
        None => collector.rebuild_all_boards().await?,
    };
    console::line(&format!("Boards of {days} days ranked."));
    Ok(ExitCode::SUCCESS)
}

async fn metrics(
    collector: &Collector,
    settings: &Settings,
    options: &RebuildMetrics,
) -> Result<ExitCode, Failure> {
    let clock = Arc::new(SystemClock);
    let Some(log) = EventLog::reader(&settings.api, clock.clone()).await? else {
        return Err(Failure::NoDatabase { path: EventLog::file_options(&settings.api, false).path });
    };
    let rebuild = collector.metrics_rebuild(log, clock);
    let Some(from) = options.from else {
        let abandoned = rebuild.abandon().await.map_err(refused)?;
        console::line(if abandoned { "The rebuild is forgotten." } else { "There was no rebuild." });
        return Ok(ExitCode::SUCCESS);
    };
    let mut next = TELL_EVERY;
    let told = |read: i64, all: i64| {
        if read >= next {
            console::note(&format!("{read} of {all} records"));
            next = read + TELL_EVERY;
        }
    };
    let comparison = rebuild.count(from, told).await.map_err(refused)?;
    if options.dry_run {
        rebuild.abandon().await.map_err(refused)?;
    } else {
        rebuild.apply(ACTOR).await.map_err(refused)?;
        collector.rank_changed_days().await?;
    }
    tell(&comparison, options);
    Ok(ExitCode::SUCCESS)
}

/// What the caller can mend is wrong usage.
fn refused(error: RebuildError) -> Failure {
    match error {
        RebuildError::Store(error) => error.into(),
        other => Failure::Usage(match &other {
            RebuildError::Bus(error) => format!("{other}: {error}"),
            _ => other.to_string(),
        }),
    }
}

fn tell(comparison: &Comparison, options: &RebuildMetrics) {
    let Comparison { compared, differing, totals, examples } = comparison;
    if options.json {
        let told = json!({
            "compared": compared, "differing": differing, "totals": totals, "applied": !options.dry_run,
        });
        console::line(&told.to_string());
        return;
    }
    for (day, product, metrics) in examples {
        console::line(&format!("{day} product {product}: to be added {metrics:?}"));
    }
    let done = match (*differing == 0 && *totals == 0, options.dry_run) {
        (true, _) => "the live metrics are the same",
        (false, true) => "nothing was changed",
        (false, false) => "put right",
    };
    console::line(&format!(
        "{compared} days of products counted anew; {differing} and {totals} totals differ: {done}."
    ));
}
