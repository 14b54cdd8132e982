//! Product views: counted once per viewer and product in a window, in memory, and added to the catalogue in batches.
//! A crash loses at most what was not flushed; that is the price of keeping views off the order desk's path.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use commerce_api_domain::{ProductId, Timestamp, UserId};

use crate::ports::{CatalogueStore, Clock, StorageError};
use crate::view_events::ViewEvents;

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Viewer {
    /// Somebody logged in.
    User(UserId),
    /// Somebody else, by address.
    Address(IpAddr),
}

impl Viewer {
    const fn user(self) -> Option<UserId> {
        match self {
            Self::User(user) => Some(user),
            Self::Address(_) => None,
        }
    }
}

type Seen = HashMap<(Viewer, ProductId), Timestamp>;

#[derive(Default)]
struct State {
    /// Viewers of the running generation and of the one before; together they bound memory.
    current: Seen,
    previous: Seen,
    /// Views not yet added to the catalogue.
    pending: BTreeMap<ProductId, i64>,
}

/// Counts views.
pub struct ViewCounter {
    store: Arc<dyn CatalogueStore>,
    clock: Arc<dyn Clock>,
    events: Option<Arc<ViewEvents>>,
    state: Mutex<State>,
}

impl ViewCounter {
    /// A viewer counts once per product in this time.
    pub const WINDOW: Duration = Duration::from_mins(30);
    /// Viewers remembered per generation; beyond it the oldest are forgotten and may count again.
    const GENERATION_MAX: usize = 50_000;

    /// With these adapters.
    pub fn new(store: Arc<dyn CatalogueStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, events: None, state: Mutex::default() }
    }

    /// The same, whose counted views become events as well.
    #[must_use]
    pub fn publishing_to(self, events: Arc<ViewEvents>) -> Self {
        Self { events: Some(events), ..self }
    }

    /// Counts a view, unless the same viewer saw the same product in the window; tells whether it counted.
    pub fn record(&self, product: ProductId, viewer: Viewer) -> bool {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (viewer, product);
        let seen_at = state.current.get(&key).or_else(|| state.previous.get(&key)).copied();
        if seen_at.is_some_and(|seen_at| now < seen_at.plus(Self::WINDOW)) {
            metrics::counter!("commerce_product_views_total", "result" => "repeated").increment(1);
            return false;
        }
        if state.current.len() >= Self::GENERATION_MAX {
            state.previous = std::mem::take(&mut state.current);
        }
        state.current.insert(key, now);
        *state.pending.entry(product).or_default() += 1;
        drop(state);
        if let Some(events) = &self.events {
            events.record(product, viewer.user(), now);
        }
        metrics::counter!("commerce_product_views_total", "result" => "counted").increment(1);
        true
    }

    /// Adds what was counted to the catalogue. A failure keeps it for the next time.
    pub async fn flush(&self) -> Result<(), StorageError> {
        let pending = std::mem::take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).pending);
        if pending.is_empty() {
            return Ok(());
        }
        let views: Vec<_> = pending.iter().map(|(product, views)| (*product, *views)).collect();
        let result = self.store.add_views(&views).await;
        if result.is_err() {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            for (product, views) in pending {
                *state.pending.entry(product).or_default() += views;
            }
        }
        result
    }
}
