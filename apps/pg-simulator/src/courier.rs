use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use commerce_database::DatabaseError;
use commerce_webhook::{ID_HEADER, SIGNATURE_HEADER, Secret, TIMESTAMP_HEADER, sign};
use http::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, redirect};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::domain::Variant;
use crate::gateway::{Gateway, later};
use crate::storage::{Attempted, CallbackState, Outgoing};

/// Callbacks on their way at most.
const IN_FLIGHT_MAX: usize = 128;
const CONNECT_MAX: Duration = Duration::from_secs(1);
const ATTEMPT_MAX: Duration = Duration::from_secs(5);
/// How long those on their way are waited for when the simulator stops; they are sent again after the start.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// Sends callbacks until they are answered with 2xx. What it has to do stands in the books, so that it goes on after a
/// restart; the receiver may get one twice.
pub(crate) struct Courier {
    gateway: Arc<Gateway>,
    client: Client,
}

impl Courier {
    pub(crate) fn new(gateway: Arc<Gateway>) -> Result<Self, reqwest::Error> {
        // Another part of the process may have installed a provider; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(CONNECT_MAX)
            .timeout(ATTEMPT_MAX)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { gateway, client })
    }

    /// Sends callbacks as they become due, until it is told to stop.
    pub(crate) async fn run(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        let mut under_way = UnderWay::default();
        loop {
            self.gateway.outgoing.reset();
            let next_us = self.send_due(&mut under_way).await.unwrap_or_else(|error| {
                tracing::error!(%error, "callbacks were not read; trying again");
                None
            });
            tokio::select! {
                () = self.gateway.outgoing.wait(self.gateway.clock.as_ref(), next_us) => {}
                Some(attempts) = under_way.finished() => self.keep(attempts, &mut under_way).await,
                () = told_to_stop(&mut stopping) => break,
            }
        }
        let drained = async {
            while let Some(attempts) = under_way.finished().await {
                self.keep(attempts, &mut under_way).await;
            }
        };
        if tokio::time::timeout(DRAIN_MAX, drained).await.is_err() {
            tracing::debug!("callbacks on their way were cut; they are sent again after the start");
        }
    }

    /// Sends what is due, and gives back when the next one is.
    async fn send_due(self: &Arc<Self>, under_way: &mut UnderWay) -> Result<Option<i64>, DatabaseError> {
        let now_us = self.gateway.now_us();
        // Those on their way are due as well, and among the first.
        let limit = (2 * IN_FLIGHT_MAX) as u64;
        for callback in self.gateway.storage.outgoing(now_us, limit).await? {
            if under_way.ids.len() >= IN_FLIGHT_MAX {
                break;
            }
            if under_way.ids.insert(callback.id) {
                let courier = Arc::clone(self);
                under_way.tasks.spawn(async move { courier.attempt(callback).await });
            }
        }
        self.gateway.storage.next_outgoing(now_us).await
    }

    async fn keep(&self, attempts: Vec<Attempted>, under_way: &mut UnderWay) {
        for attempt in &attempts {
            under_way.ids.remove(&attempt.id);
        }
        if attempts.is_empty() {
            return;
        }
        if let Err(error) = self.gateway.storage.attempted(attempts, self.gateway.now_us()).await {
            tracing::error!(%error, "it was not kept that callbacks were sent; they are sent again");
        }
        self.gateway.attempted.send_modify(|batches| *batches += 1);
    }

    async fn attempt(&self, callback: Outgoing) -> Attempted {
        let (id, attempts) = (callback.id, callback.attempts + 1);
        let delivered = self.send(&callback).await;
        let result = if delivered { "delivered" } else { "failed" };
        metrics::counter!("simulator_callbacks_total", "result" => result).increment(1);
        tracing::debug!(event = callback.event_id, variant = ?callback.variant, attempts, result, "callback");
        let now_us = self.gateway.now_us();
        if delivered {
            return Attempted { id, state: CallbackState::Delivered, attempts, due_at: now_us };
        }
        // Who forges or replays does not insist.
        let again = self.gateway.callback_retry.wait(attempts).filter(|_| callback.variant == Variant::True);
        let (state, wait) = match again {
            Some(wait) => (CallbackState::Pending, wait),
            None => (CallbackState::Abandoned, Duration::ZERO),
        };
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Attempted { id, state, attempts, due_at: later(now_us, wait_ms) }
    }

    async fn send(&self, callback: &Outgoing) -> bool {
        let request = self.client.post(&callback.url).header(CONTENT_TYPE, "application/json");
        let request =
            if self.gateway.capabilities.signature { self.signed(request, callback) } else { request };
        match request.body(callback.body.clone()).send().await {
            Ok(answer) => answer.status().is_success(),
            Err(error) => {
                tracing::debug!(event = callback.event_id, error = %error.without_url(), "callback not delivered");
                false
            }
        }
    }

    fn signed(&self, request: RequestBuilder, callback: &Outgoing) -> RequestBuilder {
        let at_s = callback.signed_at.unwrap_or_else(|| self.gateway.now_us()).div_euclid(1_000_000);
        let sign = |secret: &Secret| sign(secret, &callback.event_id, at_s, callback.body.as_bytes());
        let signatures: Vec<_> = match callback.variant {
            Variant::Forged => vec![sign(&Secret::new(b"of somebody who was not given the merchant's"))],
            Variant::True | Variant::Replayed => self.gateway.webhook_secrets.iter().map(sign).collect(),
        };
        request
            .header(ID_HEADER, &callback.event_id)
            .header(TIMESTAMP_HEADER, at_s)
            .header(SIGNATURE_HEADER, signatures.join(" "))
    }
}

async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    // Where the sender is gone there is nobody left to work for.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// The callbacks on their way.
#[derive(Default)]
struct UnderWay {
    ids: HashSet<i64>,
    tasks: JoinSet<Attempted>,
}

impl UnderWay {
    /// Waits for one and takes all that are finished; none where nothing is on its way.
    async fn finished(&mut self) -> Option<Vec<Attempted>> {
        let mut finished = vec![self.tasks.join_next().await?];
        while let Some(next) = self.tasks.try_join_next() {
            finished.push(next);
        }
        let attempts = finished.into_iter().filter_map(|attempt| {
            attempt.inspect_err(|error| tracing::error!(%error, "an attempt to call back broke off")).ok()
        });
        Some(attempts.collect())
    }
}
