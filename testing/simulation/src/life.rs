//! The life of a process. It touches the world only through ports, and every call of a port passes its gate, so a
//! process that is dead does nothing more, whatever it was waiting for.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use commerce_api_application::ports::UnitOfWork;
use tokio::time::Instant;

use crate::fault::Fault;
use crate::world::{World, locked};

/// A transaction of a process: gone where the process died, or stood still for longer than the database waits.
pub type OpenUnit = Mutex<Option<Box<dyn UnitOfWork>>>;

/// Whether a process lives.
pub struct Life {
    /// The name of the process in the trace.
    pub name: String,
    world: Arc<World>,
    dead: AtomicBool,
    /// Milliseconds after the start.
    frozen_until_ms: AtomicI64,
    units: Mutex<Vec<Weak<OpenUnit>>>,
}

impl Life {
    /// Begins.
    pub fn new(world: Arc<World>, name: String) -> Arc<Self> {
        let (dead, frozen_until_ms) = (AtomicBool::new(false), AtomicI64::new(0));
        Arc::new(Self { name, world, dead, frozen_until_ms, units: Mutex::default() })
    }

    /// Whether it is over.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// How long it will stand still yet.
    pub fn still_frozen(&self) -> Duration {
        let now = i64::try_from(self.world.clock.elapsed().as_millis()).unwrap_or(i64::MAX);
        let left = self.frozen_until_ms.load(Ordering::Relaxed).saturating_sub(now);
        Duration::from_millis(u64::try_from(left).unwrap_or_default())
    }

    /// Ends it at once; the database rolls its transactions back.
    pub fn kill(&self) {
        self.dead.store(true, Ordering::Relaxed);
        self.roll_back();
    }

    /// Lets it stand still for so long; the database does not wait for it.
    pub fn freeze(&self, span: Duration) {
        let until = self.world.clock.elapsed().saturating_add(span);
        self.frozen_until_ms.store(i64::try_from(until.as_millis()).unwrap_or(i64::MAX), Ordering::Relaxed);
        self.roll_back();
    }

    fn roll_back(&self) {
        for unit in locked(&self.units).drain(..).filter_map(|unit| unit.upgrade()) {
            locked(&unit).take();
        }
    }

    /// Has `unit` rolled back with its process.
    pub fn opens(&self, unit: &Arc<OpenUnit>) {
        let mut units = locked(&self.units);
        units.retain(|unit| unit.strong_count() > 0);
        units.push(Arc::downgrade(unit));
    }

    /// Passes after a while; never where the process is dead.
    pub async fn gate(&self) {
        self.world.delay().await;
        if !self.is_dead() && self.world.strikes(Fault::CrashAtCall) {
            self.world.note(|| format!("{} dies at a call", self.name));
            self.kill();
            self.world.deaths.notify_one();
        }
        loop {
            if self.is_dead() {
                return std::future::pending().await;
            }
            let frozen = self.still_frozen();
            if frozen.is_zero() {
                return;
            }
            // tidy: sleep simulated time
            tokio::time::sleep_until(Instant::now() + frozen).await;
        }
    }
}
