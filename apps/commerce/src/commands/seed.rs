use std::process::ExitCode;

use commerce_api::app::demo;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::cli::{Global, Seed};
use crate::console;
use crate::failure::Failure;
use crate::setup;

/// Products of one transaction: a writer beside it waits a moment only.
const CHUNK: usize = 1_000;

/// Adds the generated products that are missing, in chunks.
pub async fn run(global: &Global, options: &Seed) -> Result<ExitCode, Failure> {
    let config = setup::for_operator(global)?.api;
    let platform = setup::open_existing(&config).await?;
    let count = usize::try_from(options.products).unwrap_or(usize::MAX);
    // Drawn on standard error, and only where that is a terminal.
    let bar = ProgressBar::new(u64::from(options.products));
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} products, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    let started_at = Instant::now();
    let mut added = 0;
    let mut done = 0;
    while done < count {
        let chunk = CHUNK.min(count - done);
        let (brands, products) = demo::catalogue(done + 1, chunk);
        added +=
            platform.catalogue.seed(&brands, &products, platform.ids.seed(), platform.clock.now()).await?;
        done += chunk;
        bar.inc(u64::try_from(chunk).unwrap_or_default());
    }
    bar.finish_and_clear();
    let took = started_at.elapsed();
    platform.database.close().await;
    let rate = crate::sale::per_second(u64::from(options.products), took);
    console::line(&format!(
        "{added} of {count} products were added, the others were there; {:.1} s, {rate:.0} products/s.",
        took.as_secs_f64()
    ));
    Ok(ExitCode::SUCCESS)
}
