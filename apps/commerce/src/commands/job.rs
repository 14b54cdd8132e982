use std::process::ExitCode;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat};
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use commerce_collector::Collector;
use commerce_collector::application::Jobs;
use commerce_collector::application::jobs::{
    Counters, Ended, ExecutionView, Observer, Period, PeriodKind, Status, StepView,
};
use commerce_runtime::SystemClock;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;
use tokio::time::Instant;

use super::INTERRUPTED;
use crate::cli::{Global, Job, Length, RunJob};
use crate::console;
use crate::failure::Failure;
use crate::setup;

impl From<Length> for PeriodKind {
    fn from(length: Length) -> Self {
        match length {
            Length::Daily => Self::Daily,
            Length::Weekly => Self::Weekly,
            Length::Monthly => Self::Monthly,
        }
    }
}

/// Runs a job, or tells of those that were run, on the data directory, beside a running shop.
pub async fn job(global: &Global, command: &Job) -> Result<ExitCode, Failure> {
    let (stop, stopping) = watch::channel(false);
    let collector = open(global).await?;
    let jobs = collector.jobs(Arc::new(SystemClock), stopping);
    let done = match command {
        Job::Run(options) => run(&jobs, options, stop).await,
        Job::List(options) => list(&jobs, options.limit).await,
        Job::Show(which) => show(&jobs, which.id).await,
        Job::Stop(which) => stop_execution(&jobs, which.id).await,
    };
    collector.close().await;
    done
}

/// The collector's database, which must be there.
async fn open(global: &Global) -> Result<Collector, Failure> {
    let settings = setup::for_operator(global)?;
    setup::open_collector(&settings).await
}

/// The period that a job is asked for.
fn period(jobs: &Jobs, options: &RunJob) -> Result<Period, Failure> {
    let wrong = |flag: &str, job: &str| Err(Failure::Usage(format!("`{flag}` is for `job run {job}`")));
    match (options.job, options.week, options.month) {
        (Length::Daily | Length::Monthly, Some(_), _) => return wrong("--week", "weekly"),
        (Length::Daily | Length::Weekly, _, Some(_)) => return wrong("--month", "monthly"),
        _ => {}
    }
    let yesterday = jobs.today().pred_opt().unwrap_or_default();
    let day = options.date.or(options.week).or(options.month).unwrap_or(yesterday);
    Ok(Period::of(options.job.into(), day))
}

async fn run(jobs: &Jobs, options: &RunJob, stop: watch::Sender<bool>) -> Result<ExitCode, Failure> {
    let period = period(jobs, options)?;
    let mut signals = setup::signals()?;
    // Drawn on standard error, and only where that is a terminal.
    let bar = ProgressBar::new(jobs.periods.products().await.map_err(Failure::Facts)?);
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} products, {per_sec}") {
        bar.set_style(style);
    }
    let (shown, (told, rows)) = (bar.clone(), watch::channel(Counters::default()));
    let observer: Observer = Arc::new(move |now| {
        shown.set_message(now.step);
        if now.step != "rank" {
            shown.set_position(u64::try_from(now.counters.read).unwrap_or_default());
            told.send_replace(now.counters);
        }
    });
    let started_at = Instant::now();
    let work = jobs.run(period, options.force, observer);
    tokio::pin!(work);
    let (ended, interrupted) = tokio::select! {
        ended = &mut work => (ended, false),
        () = signals.requested() => {
            // It ends at the edge of its chunk.
            stop.send_replace(true);
            (work.await, true)
        }
    };
    bar.finish_and_clear();
    let Ended { execution, status } = ended?;
    let (took, counters) = (started_at.elapsed(), *rows.borrow());
    let read = u64::try_from(counters.read).unwrap_or_default();
    console::line(&format!(
        "{period}: {} as execution {execution}; {read} products, {} left out, {:.1} s, {:.0} products/s.",
        status.name(),
        counters.process_skips + counters.write_skips,
        took.as_secs_f64(),
        crate::sale::per_second(read, took),
    ));
    Ok(match (status, interrupted) {
        (Status::Completed, _) => ExitCode::SUCCESS,
        (_, true) => ExitCode::from(INTERRUPTED),
        (_, false) => ExitCode::FAILURE,
    })
}

async fn list(jobs: &Jobs, limit: u32) -> Result<ExitCode, Failure> {
    let executions = jobs.executions(None, limit.into()).await?;
    if executions.is_empty() {
        console::line("no job was run yet; the scheduler of `commerce up` runs them, or `commerce job run`");
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = table(["id", "job", "period", "status", "started", "seconds"], &[0, 5]);
    for execution in &executions {
        table.add_row([
            execution.id.to_string(),
            execution.job.clone(),
            execution.parameters.clone(),
            status_of(execution),
            time(execution.started_at_us),
            seconds(execution),
        ]);
    }
    console::line(&table.to_string());
    Ok(ExitCode::SUCCESS)
}

async fn show(jobs: &Jobs, id: i64) -> Result<ExitCode, Failure> {
    let (execution, steps) = jobs.execution(id).await?;
    let mut lines = vec![
        format!("execution {id}: {} {}: {}", execution.job, execution.parameters, status_of(&execution)),
        format!(
            "started {}, {} s, over {}",
            time(execution.started_at_us),
            seconds(&execution),
            execution.input
        ),
    ];
    lines.extend(execution.message.clone());
    let columns =
        ["step", "status", "read", "written", "filtered", "left out", "commits", "rollbacks", "last key"];
    let mut table = table(columns, &[2, 3, 4, 5, 6, 7, 8]);
    for step in &steps {
        table.add_row(step_row(step));
    }
    lines.push(table.to_string());
    for step in &steps {
        for (key, phase, kind) in &step.skips {
            lines.push(format!("left out by {}: {key}: {kind} ({phase})", step.step));
        }
    }
    console::line(&lines.join("\n"));
    Ok(ExitCode::SUCCESS)
}

fn step_row(step: &StepView) -> Vec<String> {
    let counters = &step.counters;
    let numbers = [
        counters.read,
        counters.written,
        counters.filtered,
        counters.skips(),
        counters.commits,
        counters.rollbacks,
    ];
    let cursor = step.cursor.map_or_else(String::new, |key| key.to_string());
    let head = [step.step.clone(), step.status.name().to_owned()];
    head.into_iter().chain(numbers.map(|number| number.to_string())).chain([cursor]).collect()
}

async fn stop_execution(jobs: &Jobs, id: i64) -> Result<ExitCode, Failure> {
    jobs.stop_execution(id).await?;
    console::line(&format!(
        "execution {id} stops at the edge of its chunk; `commerce job run` goes on from there"
    ));
    Ok(ExitCode::SUCCESS)
}

fn table<const N: usize>(header: [&str; N], right: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(header);
    for index in right {
        if let Some(column) = table.column_mut(*index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn status_of(execution: &ExecutionView) -> String {
    match (execution.lease_over, execution.stop_requested && execution.status == Status::Started) {
        (true, _) => format!("{} (its runner died)", execution.status.name()),
        (false, true) => format!("{} (shall stop)", execution.status.name()),
        (false, false) => execution.status.name().to_owned(),
    }
}

fn time(at_us: i64) -> String {
    DateTime::from_timestamp_micros(at_us).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn seconds(execution: &ExecutionView) -> String {
    execution.ended_at_us.map_or_else(String::new, |ended| {
        let millis = (ended - execution.started_at_us) / 1_000;
        format!("{}.{:03}", millis / 1_000, millis % 1_000)
    })
}
