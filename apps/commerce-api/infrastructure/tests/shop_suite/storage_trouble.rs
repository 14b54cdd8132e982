//! The dispatcher over a storage that fails or panics.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use commerce_api_application::payments::{DispatchOptions, PaymentDispatcher};
use commerce_api_application::ports::{
    AuditEntry, ClaimedCheck, GatewayAbilities, NextCheck, OpenFilter, OpenPayment, PaymentChecks,
    PaymentsInState, StorageError,
};
use commerce_api_domain::*;
use tokio::sync::watch;
use uuid::Uuid;

use crate::shop::*;
use crate::till::*;

/// Checks whose first claims fail: every other one by a panic.
struct Troubled {
    checks: Arc<dyn PaymentChecks>,
    claims: AtomicUsize,
    failures: usize,
}

#[async_trait]
impl PaymentChecks for Troubled {
    async fn claim(
        &self,
        owner: Uuid,
        now: Timestamp,
        ttl: Duration,
        limit: u64,
    ) -> Result<Vec<ClaimedCheck>, StorageError> {
        let number = self.claims.fetch_add(1, Ordering::Relaxed);
        if number < self.failures {
            assert!(number.is_multiple_of(2), "the claim panics");
            return Err(StorageError::Data("a claim that fails".into()));
        }
        self.checks.claim(owner, now, ttl, limit).await
    }

    async fn reschedule(&self, next: &[NextCheck]) -> Result<(), StorageError> {
        self.checks.reschedule(next).await
    }

    async fn finish(&self, payment: PaymentId, fence: i64) -> Result<(), StorageError> {
        self.checks.finish(payment, fence).await
    }

    async fn hasten(
        &self,
        payment: PaymentId,
        at: Timestamp,
        audit: Option<AuditEntry>,
    ) -> Result<(), StorageError> {
        self.checks.hasten(payment, at, audit).await
    }

    async fn take_over(&self, now: Timestamp) -> Result<u64, StorageError> {
        self.checks.take_over(now).await
    }

    async fn fence(&self, payment: PaymentId) -> Result<Option<i64>, StorageError> {
        self.checks.fence(payment).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StorageError> {
        self.checks.next_due().await
    }

    async fn open(&self, filter: &OpenFilter) -> Result<Vec<OpenPayment>, StorageError> {
        self.checks.open(filter).await
    }

    async fn by_state(&self) -> Result<Vec<PaymentsInState>, StorageError> {
        panic!("the count panics")
    }
}

/// A dispatcher at `till` whose first claims fail, and the claims it made.
fn troubled(till: &Till, failures: usize) -> (Arc<Troubled>, PaymentDispatcher) {
    let claims = AtomicUsize::new(0);
    let checks = Arc::new(Troubled { checks: till.payments.checks.clone(), claims, failures });
    let dispatcher = PaymentDispatcher::new(
        till.desk.clone(),
        checks.clone(),
        till.gateway.clone(),
        Arc::new(cipher()),
        &*till.shop.ids,
        till.shop.clock.clone(),
        DispatchOptions { poll_every: Duration::from_millis(5), ..DispatchOptions::default() },
    );
    (checks, dispatcher)
}

// The clock of tokio stands still and moves on by itself, so that pauses are counted and not waited for.
#[tokio::test(start_paused = true)]
async fn a_dispatcher_pauses_after_a_claim_that_fails_or_panics_and_goes_on() {
    let till = Till::open(Shop::memory(), GatewayAbilities::ALL).await;
    let order = till.place(0).await;
    let (checks, dispatcher) = troubled(&till, 4);
    let (stop, stopped) = watch::channel(false);
    let begun = tokio::time::Instant::now();
    let worker = tokio::spawn(async move { dispatcher.run(stopped).await });
    let sent = async {
        while till.state(&order).await != "PAYMENT_PENDING/PROCESSING" {
            tokio::time::sleep(Duration::from_millis(100)).await; // tidy: sleep paused clock, looks again
        }
    };
    tokio::time::timeout(Duration::from_mins(1), sent).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(4), "a second after each failure: {:?}", begun.elapsed());
    stop.send(true).unwrap();
    worker.await.unwrap();
    assert!(checks.claims.load(Ordering::Relaxed) >= 5);
}

#[tokio::test(start_paused = true)]
async fn a_dispatcher_that_pauses_stops_when_told() {
    let till = Till::open(Shop::memory(), GatewayAbilities::ALL).await;
    let (checks, dispatcher) = troubled(&till, usize::MAX);
    let (stop, stopped) = watch::channel(true);
    tokio::time::timeout(Duration::from_millis(500), dispatcher.run(stopped)).await.unwrap();
    assert_eq!(checks.claims.load(Ordering::Relaxed), 1);
    drop(stop);
}
