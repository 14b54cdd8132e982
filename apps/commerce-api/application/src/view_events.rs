//! Views as events. There are many, and none is worth a transaction: they go through a bounded buffer to the bus, and what
//! is lost on the way, by a full buffer, a bus that is down or a crash, is counted where it can be.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use commerce_api_domain::{ProductId, Timestamp, UserId};
use commerce_contracts::event::EventType;
use commerce_contracts::{Envelope, ProductViewed, time};
use tokio::sync::{Notify, watch};

use crate::desk::event_headers;
use crate::ports::{EventPublisher, IdSource, PublishedEvent};

/// Describes what is measured; called once when metrics are set up.
pub fn describe_view_metrics() {
    metrics::describe_counter!("commerce_product_views_total", "Views of products, counted or repeated");
    metrics::describe_counter!(
        "commerce_view_events_total",
        "Counted views on their way to the bus, by what became of them"
    );
}

/// Limits of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewEventOptions {
    /// Views that may wait; one more is lost.
    pub buffer_max: usize,
    /// Views of one publish; so many that wait are published at once.
    pub batch_max: usize,
    /// How long fewer wait at most.
    pub every: Duration,
}

impl Default for ViewEventOptions {
    fn default() -> Self {
        Self { buffer_max: 10_000, batch_max: 500, every: Duration::from_secs(1) }
    }
}

#[derive(Debug, Clone, Copy)]
struct View {
    product: ProductId,
    user: Option<UserId>,
    at: Timestamp,
}

/// Publishes views.
pub struct ViewEvents {
    publisher: Arc<dyn EventPublisher>,
    ids: Arc<dyn IdSource>,
    options: ViewEventOptions,
    waiting: Mutex<Vec<View>>,
    /// A batch is full.
    full: Notify,
}

impl ViewEvents {
    /// With these adapters; nothing is published before [`Self::run`].
    pub fn new(
        publisher: Arc<dyn EventPublisher>,
        ids: Arc<dyn IdSource>,
        options: ViewEventOptions,
    ) -> Self {
        Self { publisher, ids, options, waiting: Mutex::default(), full: Notify::new() }
    }

    /// Takes a view. Never waits: where the buffer is full, the view is lost and counted as such.
    pub fn record(&self, product: ProductId, user: Option<UserId>, at: Timestamp) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= self.options.buffer_max {
            drop(waiting);
            count("lost", 1);
            return;
        }
        waiting.push(View { product, user, at });
        if waiting.len() == self.options.batch_max {
            self.full.notify_one();
        }
    }

    /// Publishes what waits, in batches. What the bus does not take is lost.
    pub async fn flush(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for batch in waiting.chunks(self.options.batch_max.max(1)) {
            let events = batch.iter().map(|view| self.event(view)).collect();
            let outcomes = self.publisher.publish(events).await;
            let published = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
            count("published", published);
            if published < batch.len() {
                let lost = batch.len() - published;
                count("lost", lost);
                let error = outcomes.into_iter().find_map(Result::err);
                tracing::warn!(lost, error = error.map(tracing::field::display), "views were lost");
            }
        }
    }

    /// Publishes from time to time and when a batch is full, until `stop` turns true; then once more.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        loop {
            let stopping = tokio::select! {
                () = tokio::time::sleep(self.options.every) => false,
                () = self.full.notified() => false,
                _ = stop.wait_for(|stop| *stop) => true,
            };
            self.flush().await;
            if stopping {
                return;
            }
        }
    }

    fn event(&self, view: &View) -> PublishedEvent {
        let (event_id, event_type) = (self.ids.uuid(), EventType::ProductViewed);
        let (key, occurred_at) = (view.product.0.to_string(), time::rfc3339(view.at.as_micros()));
        let headers = event_headers(event_id, event_type.name(), &occurred_at, &key, None);
        let envelope = Envelope {
            event_id,
            event_type: event_type.name().to_owned(),
            version: event_type.version(),
            aggregate_type: event_type.aggregate_type(),
            aggregate_id: key.clone(),
            sequence: 0,
            occurred_at,
            payload: ProductViewed { product_id: view.product.0, user_id: view.user.map(|user| user.0) },
        };
        let payload = serde_json::to_string(&envelope)
            .unwrap_or_else(|error| unreachable!("plain data serialises: {error}"));
        PublishedEvent { event_id, topic: event_type.topic().to_owned(), key, headers, payload }
    }
}

fn count(result: &'static str, views: usize) {
    let views = u64::try_from(views).unwrap_or(u64::MAX);
    metrics::counter!("commerce_view_events_total", "result" => result).increment(views);
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use commerce_contracts::event::{self, Payload};
    use uuid::Uuid;

    use super::*;
    use crate::ports::PublishError;

    const AT: Timestamp = Timestamp::from_micros(1_800_000_000_000_001);

    #[derive(Default)]
    struct Bus {
        taken: Mutex<Vec<Vec<PublishedEvent>>>,
        down: std::sync::atomic::AtomicBool,
        called: Notify,
    }

    impl Bus {
        fn sizes(&self) -> Vec<usize> {
            self.taken.lock().unwrap().iter().map(Vec::len).collect()
        }
    }

    #[async_trait]
    impl EventPublisher for Bus {
        async fn publish(&self, events: Vec<PublishedEvent>) -> Vec<Result<(), PublishError>> {
            let down = self.down.load(std::sync::atomic::Ordering::SeqCst);
            let outcome = |_: &PublishedEvent| {
                if down { Err(PublishError::Unavailable("down".into())) } else { Ok(()) }
            };
            let outcomes = events.iter().map(outcome).collect();
            if !down {
                self.taken.lock().unwrap().push(events);
            }
            self.called.notify_one();
            outcomes
        }
    }

    #[derive(Default)]
    struct Ids(std::sync::atomic::AtomicU64);

    impl IdSource for Ids {
        fn uuid(&self) -> Uuid {
            Uuid::from_u128(self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst).into())
        }
    }

    fn events(bus: &Arc<Bus>, options: ViewEventOptions) -> ViewEvents {
        ViewEvents::new(bus.clone(), Arc::new(Ids::default()), options)
    }

    #[tokio::test]
    async fn a_view_is_an_event_that_a_consumer_can_read() {
        let bus = Arc::new(Bus::default());
        let views = events(&bus, ViewEventOptions::default());
        views.record(ProductId(3), Some(UserId(9)), AT);
        views.record(ProductId(3), None, AT);
        views.flush().await;
        views.flush().await;
        let taken = bus.taken.lock().unwrap().concat();
        let read = |event: &PublishedEvent| event::decode(&event.topic, event.payload.as_bytes()).unwrap();
        let users: Vec<_> = taken
            .iter()
            .map(|published| {
                let event = read(published);
                assert_eq!(
                    (event.id, event.sequence, event.occurred_at_us),
                    (published.event_id, 0, AT.as_micros())
                );
                assert_eq!((event.aggregate_id.as_str(), published.key.as_str()), ("3", "3"));
                assert!(published.headers.contains(r#""ce_type":"ProductViewed""#), "{}", published.headers);
                match event.payload {
                    Payload::ProductViewed(viewed) => viewed.user_id,
                    other => panic!("{other:?}"),
                }
            })
            .collect();
        assert_eq!(users, [Some(9), None]);
        assert_ne!(taken[0].event_id, taken[1].event_id);
    }

    #[tokio::test]
    async fn a_full_buffer_and_a_bus_that_is_down_lose_views_and_nothing_else() {
        let bus = Arc::new(Bus::default());
        let views =
            events(&bus, ViewEventOptions { buffer_max: 5, batch_max: 2, ..ViewEventOptions::default() });
        for _ in 0..9 {
            views.record(ProductId(1), None, AT);
        }
        views.flush().await;
        assert_eq!(bus.sizes(), [2, 2, 1]);
        bus.down.store(true, std::sync::atomic::Ordering::SeqCst);
        views.record(ProductId(1), None, AT);
        views.flush().await;
        bus.down.store(false, std::sync::atomic::Ordering::SeqCst);
        views.flush().await;
        assert_eq!(bus.sizes(), [2, 2, 1], "it is not kept");
        views.record(ProductId(1), None, AT);
        views.flush().await;
        assert_eq!(bus.sizes(), [2, 2, 1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_publishes_when_a_batch_is_full_after_a_second_and_at_its_stop() {
        let bus = Arc::new(Bus::default());
        let views = Arc::new(events(&bus, ViewEventOptions { batch_max: 3, ..ViewEventOptions::default() }));
        let (stop, stopped) = watch::channel(false);
        let running = {
            let views = views.clone();
            tokio::spawn(async move { views.run(stopped).await })
        };
        let begun = tokio::time::Instant::now();
        for _ in 0..3 {
            views.record(ProductId(1), None, AT);
        }
        bus.called.notified().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        views.record(ProductId(1), None, AT);
        bus.called.notified().await;
        assert!(begun.elapsed() >= Duration::from_secs(1));
        views.record(ProductId(1), None, AT);
        stop.send_replace(true);
        running.await.unwrap();
        assert_eq!(bus.sizes(), [3, 1, 1]);
    }
}
