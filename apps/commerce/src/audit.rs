//! The recount of a data directory, by whoever asks for it.

mod events;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use commerce_api::app::{EventLog, Platform};
use commerce_api::config::Profile;
use commerce_api_application::ports::AuditReport;
use commerce_api_domain::Timestamp;
use commerce_collector::Collector;
use commerce_runtime::SystemClock;

use crate::apps::collector_options;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::setup;
use events::{Comparison, Counted};

/// Orders whose events are looked for: those that changed in this time, which is as long as the log keeps them.
const LOOKED_AT: Duration = Duration::from_hours(7 * 24);
/// That an event was counted is remembered for 14 days; less one, since it is forgotten by the day.
const REMEMBERED: Duration = Duration::from_hours(13 * 24);

/// Recounts everything that is kept in the data directory. `settled`: what merely lags is a violation.
pub async fn recount(settings: &Settings, settled: bool) -> Result<AuditReport, Failure> {
    let platform = setup::open_existing(&settings.api).await?;
    let report = recount_all(&platform, settings, settled).await;
    platform.database.close().await;
    report
}

async fn recount_all(
    platform: &Platform,
    settings: &Settings,
    settled: bool,
) -> Result<AuditReport, Failure> {
    let now = platform.clock.now();
    let mut report = platform.audit.audit(now, settled).await?;
    let changed_since = now.minus(LOOKED_AT);
    let paid_since = platform.clock.business_day_start(changed_since);
    // In the direction of the events, so that one that moves on meanwhile is found further on.
    let shop = platform.audit.event_facts(changed_since, paid_since).await?;
    let ends = EventLog::ends_of(&settings.api, Arc::new(SystemClock)).await?;
    let counted = counted(settings, paid_since).await?;
    let shop_after = platform.audit.event_facts(changed_since, paid_since).await?;
    let comparison = Comparison {
        shop: &shop,
        shop_after: &shop_after,
        ends: &ends,
        shares_keys: settings.api.profile == Profile::Embedded,
        counted: &counted,
        zone: settings.api.zone(),
        remembered_since: now.minus(REMEMBERED),
    };
    comparison.report(settled, &mut report);
    Ok(report)
}

/// What the collector has counted since the day of `since`; nothing where it never ran.
async fn counted(settings: &Settings, since: Timestamp) -> Result<Counted, Failure> {
    let options = collector_options(settings)?;
    if options.server.is_none() {
        if !options.file.metadata().is_ok_and(|file| file.len() > 0) {
            return Ok(Counted::default());
        }
        setup::refuse_foreign(&options.file)?;
    }
    let (zone, weights) = (options.zone, options.projector.weights);
    let collector = Collector::open(options, &SystemClock).await?;
    let facts = collector.facts().await?;
    let mut counted = Counted {
        orders: facts.handled("ORDER").await?,
        dead_letters: facts.open_dead_letters().await?,
        discarded: facts.discarded_dead_letters().await?,
        daily: facts.daily(zone.day(since.as_micros()).unwrap_or_default()).await?,
        likes: facts.likes().await?,
        to: facts.counted_to().await?,
        boards: facts.boards(weights).await?,
        ..Counted::default()
    };
    let with_gaps = counted.with_gaps();
    if !with_gaps.is_empty() {
        let sequences = facts.sequences("ORDER", &with_gaps).await?;
        let of_each = |(id, sequences): (String, Vec<i64>)| (id, BTreeSet::from_iter(sequences));
        counted.gaps = sequences.into_iter().map(of_each).collect();
    }
    drop(facts);
    collector.close().await;
    Ok(counted)
}
