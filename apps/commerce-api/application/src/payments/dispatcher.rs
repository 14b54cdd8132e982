use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use commerce_api_domain::{PaymentId, Timestamp};
use futures::FutureExt as _;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::watch;
use uuid::Uuid;

use super::metrics;
use super::visit::{Next, Visit, VisitError};
use crate::desk::OrderDesk;
use crate::ports::{
    CardCipher, ClaimedCheck, Clock, IdSource, NextCheck, PaymentChecks, PaymentGateway, StorageError,
};

/// Limits of the dispatcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DispatchOptions {
    /// Visits at once; no more than the gateway's client lets through.
    pub concurrency: usize,
    /// How long a claim holds: longer than the longest visit, whose calls are limited by the gateway's client.
    pub lease: Duration,
    /// The wait after a visit that brought something new; doubled after each that did not.
    pub backoff_first: Duration,
    /// The longest wait.
    pub backoff_max: Duration,
    /// How long a gateway without idempotency keys may take to record what it was sent.
    pub not_found_grace: Duration,
    /// How often it looks without being woken.
    pub poll_every: Duration,
    /// How often open payments are counted for the metrics.
    pub measure_every: Duration,
    /// No other dispatcher can be alive: what is found claimed was claimed by one that died, and is visited at once
    /// instead of when its lease ends.
    pub alone: bool,
}

impl Default for DispatchOptions {
    fn default() -> Self {
        Self {
            concurrency: 64,
            lease: Duration::from_mins(1),
            backoff_first: Duration::from_secs(1),
            backoff_max: Duration::from_mins(1),
            not_found_grace: Duration::from_mins(2),
            poll_every: Duration::from_secs(1),
            measure_every: Duration::from_secs(10),
            alone: false,
        }
    }
}

/// A reconciler: it visits every payment that is not final and is due, asks the gateway or tells it, outside of any
/// transaction, and submits what it learned to the order desk. It keeps nothing in memory that matters, so it can be
/// dropped at any moment, and any number of them can run.
pub struct PaymentDispatcher {
    pub(super) desk: OrderDesk,
    pub(super) checks: Arc<dyn PaymentChecks>,
    pub(super) gateway: Arc<dyn PaymentGateway>,
    pub(super) cipher: Arc<dyn CardCipher>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) options: DispatchOptions,
    owner: Uuid,
}

/// A visit that is over: the check as it was claimed, and what follows.
type Visited = (ClaimedCheck, Next);

impl PaymentDispatcher {
    /// With these adapters, under a name of its own.
    pub fn new(
        desk: OrderDesk,
        checks: Arc<dyn PaymentChecks>,
        gateway: Arc<dyn PaymentGateway>,
        cipher: Arc<dyn CardCipher>,
        ids: &dyn IdSource,
        clock: Arc<dyn Clock>,
        options: DispatchOptions,
    ) -> Self {
        Self { desk, checks, gateway, cipher, clock, options, owner: ids.uuid() }
    }

    /// Visits what is due, until `stop` turns true; visits under way are finished first, which their calls' time limits
    /// bound.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        let mut due = self.desk.payments_due().listen();
        if self.options.alone {
            self.take_over().await;
        }
        let mut measure = tokio::time::interval(self.options.measure_every);
        let mut visits = FuturesUnordered::new();
        let mut done = Vec::new();
        loop {
            while !done.is_empty() {
                let over = std::mem::take(&mut done);
                beside(&mut visits, &mut done, self.release(over)).await;
            }
            let free = self.options.concurrency.saturating_sub(visits.len());
            if free > 0 {
                match beside(&mut visits, &mut done, self.claimed(free)).await {
                    Some(claimed) => visits.extend(claimed.into_iter().map(|check| self.visited(check))),
                    // What is due stays due: without a pause it would spin.
                    None => beside(&mut visits, &mut done, self.pause(&mut stop)).await,
                }
            }
            if !done.is_empty() {
                continue;
            }
            let idle = if visits.is_empty() { self.idle().await } else { self.options.poll_every };
            tokio::select! {
                // In a fixed order, so that a simulated run repeats; what could always be ready comes last.
                biased;
                () = told(&mut stop) => break,
                _ = measure.tick() => beside(&mut visits, &mut done, self.measure()).await,
                Some(first) = visits.next() => {
                    done.push(first);
                    while let Some(Some(next)) = visits.next().now_or_never() {
                        done.push(next);
                    }
                }
                () = due.raised() => {}
                () = tokio::time::sleep(idle) => {}
            }
        }
        done.extend(visits.collect::<Vec<_>>().await);
        self.release(done).await;
    }

    /// One pass: visits what is due, at most as many as it visits at once; gives back how many.
    pub async fn step(&self) -> Result<usize, StorageError> {
        let (now, limit) = (self.clock.now(), self.options.concurrency as u64);
        let claimed = self.checks.claim(self.owner, now, self.options.lease, limit).await?;
        let visited = futures::future::join_all(claimed.into_iter().map(|check| self.visited(check))).await;
        let count = visited.len();
        self.checks.reschedule(&self.next_checks(visited)).await?;
        Ok(count)
    }

    /// Counts open payments for the metrics.
    pub async fn measure(&self) {
        match guarded(self.checks.by_state()).await {
            Some(Ok(states)) => metrics::open(&states, self.clock.now()),
            Some(Err(error)) => tracing::warn!(%error, "open payments were not counted"),
            None => {}
        }
    }

    async fn take_over(&self) {
        match guarded(self.checks.take_over(self.clock.now())).await {
            Some(Ok(0)) | None => {}
            Some(Ok(payments)) => tracing::info!(payments, "visits that were cut off are made again"),
            Some(Err(error)) => {
                tracing::warn!(%error, "claims of a dispatcher that died end with their lease");
            }
        }
    }

    /// Claims what is due; none where that failed.
    async fn claimed(&self, limit: usize) -> Option<Vec<ClaimedCheck>> {
        let claim = self.checks.claim(self.owner, self.clock.now(), self.options.lease, limit as u64);
        match guarded(claim).await? {
            Ok(claimed) => Some(claimed),
            Err(error) => {
                tracing::warn!(%error, "no payments were claimed; it tries again");
                None
            }
        }
    }

    /// Waits as after a failed visit, or until it is told to stop.
    async fn pause(&self, stop: &mut watch::Receiver<bool>) {
        tokio::select! {
            biased;
            () = told(stop) => {}
            () = tokio::time::sleep(self.options.backoff_first) => {}
        }
    }

    /// Visits one payment. A visit that fails or panics is over like any other, and stands in nobody's way.
    async fn visited(&self, check: ClaimedCheck) -> Visited {
        let visit = Visit { dispatcher: self, check: &check };
        let outcome = AssertUnwindSafe(visit.run()).catch_unwind().await;
        let next = outcome.unwrap_or(Err(VisitError::Panic)).unwrap_or_else(|error| {
            failed(&check, &error);
            Next::Later
        });
        metrics::visited(check.payment.status.name(), next);
        (check, next)
    }

    /// Lets claims go. Where that fails they end by themselves when their lease does.
    async fn release(&self, visited: Vec<Visited>) {
        if let Some(Err(error)) = guarded(self.checks.reschedule(&self.next_checks(visited))).await {
            tracing::warn!(%error, "claims were not let go; they end with their lease");
        }
    }

    fn next_checks(&self, visited: Vec<Visited>) -> Vec<NextCheck> {
        let now = self.clock.now();
        let next = visited.into_iter().filter_map(|(check, next)| {
            let (payment, fence) = (check.payment.id, check.fence);
            let (at, tries) = self.when(&check, next, now)?;
            Some(NextCheck { payment, fence, at, tries })
        });
        next.collect()
    }

    /// When to visit again, and how many visits in a row brought nothing new by then.
    fn when(&self, check: &ClaimedCheck, next: Next, now: Timestamp) -> Option<(Timestamp, i64)> {
        let DispatchOptions { backoff_first, backoff_max, .. } = self.options;
        let in_vain = check.tries.saturating_add(1);
        match next {
            Next::Now => Some((now, 0)),
            Next::Soon => Some((now.plus(backoff_first), 0)),
            Next::Later => Some((now.plus(backoff(backoff_first, backoff_max, check.tries)), in_vain)),
            Next::NoLaterThan(limit) => {
                let later = now.plus(backoff(backoff_first, backoff_max, check.tries));
                Some((later.min(limit), in_vain))
            }
            Next::NotBefore(at) => Some((at, in_vain)),
            Next::Rarely => Some((now.plus(backoff_max), in_vain)),
            Next::Done => None,
        }
    }

    /// How long there is nothing to do unless it is woken.
    async fn idle(&self) -> Duration {
        let poll = self.options.poll_every;
        match guarded(self.checks.next_due()).await {
            Some(Ok(Some(due))) => due.since(self.clock.now()).clamp(SHORTEST_IDLE.min(poll), poll),
            _ => poll,
        }
    }

    /// Has a payment visited again, soon.
    pub(super) async fn visit_soon(&self, payment: PaymentId) -> Result<(), StorageError> {
        let at = self.clock.now().plus(self.options.backoff_first);
        self.checks.hasten(payment, at, None).await
    }
}

/// Waits for `work` while the visits go on, and keeps those that end meanwhile. A visit may be next in the queue of the
/// database: left alone it would never take its turn, and `work` would wait behind it for ever.
async fn beside<R>(
    visits: &mut FuturesUnordered<impl Future<Output = Visited>>,
    done: &mut Vec<Visited>,
    work: impl Future<Output = R>,
) -> R {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            result = &mut work => return result,
            Some(visited) = visits.next() => done.push(visited),
        }
    }
}

/// What storage answers; none where it panicked, which does not stop the dispatcher for the life of the process.
async fn guarded<R>(work: impl Future<Output = R>) -> Option<R> {
    let outcome = AssertUnwindSafe(work).catch_unwind().await;
    if outcome.is_err() {
        tracing::error!("the payment dispatcher panicked at its storage; it goes on");
    }
    outcome.ok()
}

/// Waits until it is told to stop, or nobody can tell it any more.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// What is due and was not claimed belongs to another dispatcher, or cannot be read: that is no reason to spin.
const SHORTEST_IDLE: Duration = Duration::from_millis(10);

/// `first`, doubled for every visit in vain, up to `max`.
fn backoff(first: Duration, max: Duration, tries: i64) -> Duration {
    let doublings = u32::try_from(tries.clamp(0, 31)).unwrap_or_default();
    first.saturating_mul(1_u32 << doublings).min(max)
}

/// One failure is the gateway's everyday life; many in a row are somebody's business.
fn failed(check: &ClaimedCheck, error: &VisitError) {
    const MANY: i64 = 5;
    let (payment, order, status) = (check.payment.id, check.order, check.payment.status.name());
    metrics::failed(error.kind());
    if error.needs_attention() {
        tracing::error!(%payment, %order, status, tries = check.tries, %error, "a payment needs attention");
    } else if check.tries >= MANY {
        tracing::warn!(%payment, %order, status, tries = check.tries, %error, "a payment does not get on");
    } else {
        tracing::debug!(%payment, %order, status, tries = check.tries, %error, "a visit of a payment failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let wait = |tries| backoff(Duration::from_secs(1), Duration::from_mins(1), tries).as_secs();
        let waits: Vec<u64> = (0..9).map(wait).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!((wait(i64::MAX), wait(-1)), (60, 1));
    }
}
