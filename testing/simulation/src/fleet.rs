//! The processes: nodes of the shop and collectors, which die, stand still and come back.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use commerce_api_application::desk::{DeskOptions, LikeDesk, OrderDesk};
use commerce_api_application::payments::{Callbacks, DispatchOptions, PaymentDispatcher, VerifiedCallback};
use commerce_api_application::ports::{
    CardCipher, CardNumber, DoesNotOpen, GatewayAbilities, IdSource, PaymentGateway as _, RelayOptions,
    SealedCard,
};
use commerce_api_application::relay::Relay;
use commerce_api_application::schedule::expire_overdue;
use commerce_api_application::{ViewEventOptions, ViewEvents};
use commerce_api_domain::Rules;
use commerce_api_infrastructure::bus::BusPublisher;
use commerce_api_infrastructure::runtime::SequenceIds;
use commerce_collector::application::{Consumer, Projector};
use commerce_collector::{ConsumerOptions, ConsumerState, ProjectorOptions, Status};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::bus::{Bus, BusClient};
use crate::counts::{Counts, CountsClient};
use crate::database::{Connection, Database};
use crate::fault::Fault;
use crate::gateway::{Gateway, GatewayClient, Notice};
use crate::life::Life;
use crate::world::{World, locked};

/// How long a gateway that cannot void may take to record, as the shop believes.
pub const GRACE: Duration = Duration::from_secs(90);
/// The longest that a process stands still: with everything else that delays a charge it stays below the grace.
const FROZEN_MAX_MS: u64 = 40_000;
/// Shorter than the real ones, so that expiries happen within a run.
const UNSENT: Duration = Duration::from_secs(40);
const SENT: Duration = Duration::from_secs(90);

/// How late a charge may be recorded at most: where nobody can void, before the shop concludes that it never will be.
pub const fn late_max(abilities: GatewayAbilities) -> Duration {
    if abilities.void { Duration::from_mins(1) } else { Duration::from_secs(25) }
}

/// A cipher without randomness.
pub struct PlainCipher;

impl CardCipher for PlainCipher {
    fn seal(&self, card: &CardNumber) -> SealedCard {
        SealedCard(card.expose().bytes().rev().collect())
    }

    fn open(&self, sealed: &SealedCard) -> Result<CardNumber, DoesNotOpen> {
        let bytes = sealed.0.iter().rev().copied().collect();
        String::from_utf8(bytes).map(CardNumber::new).map_err(|_| DoesNotOpen)
    }
}

/// A node of the shop.
pub struct Node {
    /// Its life.
    pub life: Arc<Life>,
    /// Orders, money, points, stock and coupons.
    pub desk: OrderDesk,
    /// Likes.
    pub likes: LikeDesk,
    /// Callbacks.
    pub callbacks: Callbacks,
    /// Views.
    pub views: Arc<ViewEvents>,
    /// Its way to the database.
    pub connection: Arc<Connection>,
    /// Ids of its own.
    pub ids: Arc<SequenceIds>,
    _stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// A collector.
struct Collector {
    life: Arc<Life>,
    state: ConsumerState,
    _stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// All processes and what they share.
pub struct Fleet {
    /// What a run shares.
    pub world: Arc<World>,
    /// The shop's database.
    pub database: Arc<Database>,
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// The bus.
    pub bus: Arc<Bus>,
    /// The collector's storage.
    pub counts: Arc<Counts>,
    nodes: Mutex<Vec<Option<Arc<Node>>>>,
    collectors: Mutex<Vec<Option<Collector>>>,
    boots: AtomicU16,
}

impl Fleet {
    /// Starts so many of each.
    pub fn start(
        world: Arc<World>,
        database: Arc<Database>,
        gateway: Arc<Gateway>,
        bus: Arc<Bus>,
        counts: Arc<Counts>,
        (nodes, collectors): (usize, usize),
    ) -> Arc<Self> {
        let fleet = Arc::new(Self {
            world,
            database,
            gateway,
            bus,
            counts,
            nodes: Mutex::new((0..nodes).map(|_| None).collect()),
            collectors: Mutex::new((0..collectors).map(|_| None).collect()),
            boots: AtomicU16::new(1),
        });
        (0..nodes).for_each(|slot| fleet.boot_node(slot, nodes == 1));
        (0..collectors).for_each(|slot| fleet.boot_collector(slot));
        fleet
    }

    fn life(&self, kind: &str, slot: usize) -> (Arc<Life>, u16) {
        let boot = self.boots.fetch_add(1, Ordering::Relaxed);
        let name = format!("{kind}{slot}.{boot}");
        self.world.note(|| format!("{name} starts"));
        (Life::new(self.world.clone(), name), boot)
    }

    fn boot_node(&self, slot: usize, alone: bool) {
        let (life, boot) = self.life("node", slot);
        let clock = Arc::new(self.world.clock);
        let ids = Arc::new(SequenceIds::new(boot));
        let connection = Arc::new(Connection::new(self.database.clone(), life.clone()));
        let gateway = Arc::new(GatewayClient { gateway: self.gateway.clone(), life: life.clone() });
        let bus = BusClient { bus: self.bus.clone(), life: life.clone() };
        let publisher = Arc::new(BusPublisher::new(Arc::new(bus)));
        let rules = Rules {
            unsent_deadline: UNSENT,
            sent_deadline: SENT,
            captures_once: gateway.abilities().idempotency,
            ..Rules::default()
        };
        let (desk_options, keep) =
            (DeskOptions { batch_max: 16, ..DeskOptions::default() }, Duration::from_hours(24));
        let desk =
            OrderDesk::start(connection.clone(), ids.clone(), clock.clone(), rules, desk_options, keep);
        let likes = LikeDesk::start(connection.clone(), clock.clone(), desk_options);
        let callbacks = Callbacks::new(
            desk.clone(),
            connection.clone(),
            connection.clone(),
            connection.clone(),
            gateway.clone(),
            clock.clone(),
        );
        let views = Arc::new(ViewEvents::new(publisher.clone(), ids.clone(), ViewEventOptions::default()));
        let dispatcher = PaymentDispatcher::new(
            desk.clone(),
            connection.clone(),
            gateway,
            Arc::new(PlainCipher),
            &*ids,
            clock.clone(),
            dispatching(),
        );
        let options = RelayOptions { alone, ..relaying() };
        let relay =
            Relay::new(connection.clone(), publisher, connection.clone(), clock.clone(), &*ids, options);
        let wake = vec![desk.events_written().listen(), likes.events_written().listen()];
        let (stop, stopping) = watch::channel(false);
        let dispatch_stop = stopping.clone();
        let (view_events, orders, expiring) = (views.clone(), connection.clone(), desk.clone());
        let tasks = vec![
            tokio::spawn(async move { dispatcher.run(dispatch_stop).await }),
            tokio::spawn(relay.run(wake, stopping)),
            tokio::spawn(async move {
                loop {
                    // tidy: sleep simulated time
                    tokio::time::sleep(Duration::from_secs(4)).await;
                    // What fails is done by the next run.
                    let _ = expire_overdue(&expiring, &*orders, &*clock).await;
                    view_events.flush().await;
                }
            }),
        ];
        let node = Node { life, desk, likes, callbacks, views, connection, ids, _stop: stop, tasks };
        if let Some(place) = locked(&self.nodes).get_mut(slot) {
            *place = Some(Arc::new(node));
        }
    }

    fn boot_collector(&self, slot: usize) {
        let (life, boot) = self.life("collector", slot);
        let clock = Arc::new(self.world.clock);
        let store = Arc::new(CountsClient { counts: self.counts.clone(), life: life.clone() });
        let (counted, counting) = watch::channel(0);
        let state = ConsumerState::default();
        let consumer = Arc::new(Consumer {
            bus: Arc::new(BusClient { bus: self.bus.clone(), life: life.clone() }),
            store: store.clone(),
            clock: clock.clone(),
            zone: self.world.clock.zone(),
            options: ConsumerOptions {
                batch_max: 20,
                linger: Duration::from_millis(300),
                ..ConsumerOptions::default()
            },
            state: state.clone(),
            counted,
        });
        let options = ProjectorOptions { every: Duration::from_secs(2), ..ProjectorOptions::default() };
        let projector = Projector { store, clock, options, owner: SequenceIds::new(boot).uuid() };
        let (stop, stopping) = watch::channel(false);
        let tasks = vec![
            tokio::spawn(consumer.run(stopping.clone())),
            tokio::spawn(projector.run(counting, stopping)),
        ];
        if let Some(place) = locked(&self.collectors).get_mut(slot) {
            *place = Some(Collector { life, state, _stop: stop, tasks });
        }
    }

    /// A node that lives, by chance.
    pub fn node(&self) -> Option<Arc<Node>> {
        let nodes: Vec<Arc<Node>> = locked(&self.nodes).iter().flatten().cloned().collect();
        let at = usize::try_from(self.world.draw(0, nodes.len() as u64)).unwrap_or_default();
        nodes.get(at).cloned()
    }

    fn slot(&self, len: usize) -> usize {
        usize::try_from(self.world.draw(0, len as u64)).unwrap_or_default()
    }

    /// Perhaps something happens to a process, to the gateway or to the bus.
    pub async fn chaos(self: Arc<Self>) {
        loop {
            // tidy: sleep simulated time
            tokio::time::sleep(self.world.span(1_000, 8_000)).await;
            self.bus.tick();
            if self.world.strikes(Fault::GatewayDown) {
                self.gateway.go_down(self.world.span(1_000, 15_000));
            }
            if self.world.strikes(Fault::BusDown) {
                self.bus.go_down(self.world.span(1_000, 15_000));
            }
            self.trouble_nodes();
            self.trouble_collectors();
        }
    }

    fn trouble_nodes(self: &Arc<Self>) {
        let slot = self.slot(locked(&self.nodes).len());
        if self.world.strikes(Fault::Freeze)
            && let Some(node) = locked(&self.nodes).get(slot).cloned().flatten()
        {
            self.world.note(|| format!("{} stands still", node.life.name));
            node.life.freeze(self.world.span(3_000, FROZEN_MAX_MS));
        }
        if self.world.strikes(Fault::Crash)
            && let Some(node) = locked(&self.nodes).get(slot).cloned().flatten()
        {
            self.world.note(|| format!("{} dies", node.life.name));
            node.life.kill();
        }
        self.bury();
    }

    /// Buries those who died at a call.
    pub async fn mourn(self: Arc<Self>) {
        loop {
            self.world.deaths.notified().await;
            self.bury();
        }
    }

    /// Ends the tasks of processes that died, and has others take their places after a while.
    fn bury(self: &Arc<Self>) {
        let (nodes, collectors) = (locked(&self.nodes).len(), locked(&self.collectors).len());
        for slot in 0..nodes {
            let dead = |node: &mut Arc<Node>| node.life.is_dead();
            let node = locked(&self.nodes).get_mut(slot).and_then(|place| place.take_if(dead));
            if let Some(node) = node {
                node.tasks.iter().for_each(JoinHandle::abort);
                self.replaced(move |fleet| fleet.boot_node(slot, nodes == 1));
            }
        }
        for slot in 0..collectors {
            let dead = |collector: &mut Collector| collector.life.is_dead();
            let collector = locked(&self.collectors).get_mut(slot).and_then(|place| place.take_if(dead));
            if let Some(collector) = collector {
                collector.tasks.iter().for_each(JoinHandle::abort);
                self.replaced(move |fleet| fleet.boot_collector(slot));
            }
        }
    }

    fn replaced(self: &Arc<Self>, boot: impl FnOnce(&Self) + Send + 'static) {
        let (fleet, after) = (self.clone(), self.world.span(100, 12_000));
        tokio::spawn(async move {
            // tidy: sleep simulated time
            tokio::time::sleep(after).await;
            boot(&fleet);
        });
    }

    fn trouble_collectors(self: &Arc<Self>) {
        let slot = self.slot(locked(&self.collectors).len());
        if self.world.strikes(Fault::CollectorFreeze)
            && let Some(collector) = locked(&self.collectors).get(slot).and_then(Option::as_ref)
        {
            self.world.note(|| format!("{} stands still", collector.life.name));
            collector.life.freeze(self.world.span(3_000, FROZEN_MAX_MS));
        }
        let is_struck = self.world.strikes(Fault::CollectorCrash);
        if is_struck && let Some(collector) = locked(&self.collectors).get(slot).and_then(Option::as_ref) {
            self.world.note(|| format!("{} dies", collector.life.name));
            collector.life.kill();
        }
        self.bury();
    }

    /// Delivers callbacks until the shop has taken them.
    pub async fn deliver(self: Arc<Self>, mut notices: mpsc::UnboundedReceiver<Notice>) {
        while let Some(notice) = notices.recv().await {
            let fleet = self.clone();
            tokio::spawn(async move {
                // tidy: sleep simulated time
                tokio::time::sleep(notice.after).await;
                while !fleet.delivered(&notice).await {
                    // tidy: sleep simulated time
                    tokio::time::sleep(Duration::from_secs(3)).await;
                }
            });
        }
    }

    async fn delivered(&self, notice: &Notice) -> bool {
        let Some(node) = self.node() else { return false };
        let callback = VerifiedCallback {
            event_id: notice.event_id.clone(),
            headers: "{}".to_owned(),
            body: "{}".to_owned(),
            transaction: notice.transaction.clone(),
        };
        let received = tokio::time::timeout(Duration::from_secs(5), node.callbacks.receive(callback)).await;
        self.world.note(|| {
            let (key, state) = (&notice.transaction.key, &notice.transaction.state);
            let outcome = received.as_ref().map(|outcome| outcome.as_ref().map(|known| known.name()));
            format!("callback {:?} {key} {state:?} at {}: {outcome:?}", notice.event_id, node.life.name)
        });
        matches!(received, Ok(Ok(_)))
    }

    /// Reports processes of which a task ended by itself.
    pub fn check_processes(&self) {
        for node in locked(&self.nodes).iter().flatten() {
            if node.tasks.iter().any(JoinHandle::is_finished) {
                self.world.wrong(format!("a task of {} ended", node.life.name));
            }
        }
        for collector in locked(&self.collectors).iter().flatten() {
            if collector.tasks.iter().any(JoinHandle::is_finished) {
                self.world.wrong(format!("a task of {} ended", collector.life.name));
            }
            if let Status::Halted(reason) = collector.state.status() {
                self.world.wrong(format!("{} halted: {reason}", collector.life.name));
            }
        }
    }
}

fn dispatching() -> DispatchOptions {
    DispatchOptions {
        concurrency: 4,
        lease: Duration::from_secs(20),
        backoff_first: Duration::from_millis(500),
        backoff_max: Duration::from_secs(8),
        not_found_grace: GRACE,
        poll_every: Duration::from_secs(3),
        measure_every: Duration::from_mins(1),
        alone: false,
    }
}

fn relaying() -> RelayOptions {
    RelayOptions {
        batch_max: 20,
        lease: Duration::from_secs(10),
        every: Duration::from_secs(3),
        backoff: (Duration::from_millis(100), Duration::from_secs(3)),
        refused_pause: Duration::from_secs(10),
        ..RelayOptions::DEFAULT
    }
}
