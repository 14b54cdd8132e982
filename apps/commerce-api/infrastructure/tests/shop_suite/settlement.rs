//! Reconciliation with the real simulator over HTTP, on every storage.

use std::sync::Arc;
use std::time::Duration;

use commerce_api_application::desk::OrderDesk;
use commerce_api_application::payments::{DispatchOptions, PaymentDispatcher};
use commerce_api_application::ports::{
    CardNumber, Charge, Clock as _, FindingFilter, GatewayAbilities, PaymentGateway as _,
    ReconciliationStore, ResolvedHow,
};
use commerce_api_application::reconciliation::Reconciler;
use commerce_api_domain::*;
use commerce_api_infrastructure::gateway::{GatewayOptions, HttpGateway, gateway_url};
use commerce_api_infrastructure::runtime::SequenceIds;
use commerce_api_infrastructure::sql::SqlReconciliation;
use commerce_database::{Database, SqliteOptions};
use commerce_runtime::ManualClock;
use pg_simulator::{Options, Preset, Range, Running, Simulator};
use tempfile::TempDir;
use uuid::Uuid;

use crate::reconciliation::{TODAY, day};
use crate::shop::*;

const PATIENCE: Duration = Duration::from_mins(1);

struct World {
    shop: Shop,
    desk: OrderDesk,
    dispatcher: PaymentDispatcher,
    simulator: Running,
    gateway: Arc<HttpGateway>,
    url: String,
    user: UserId,
    product: ProductId,
    // Dropped last: the file is in use until then.
    outside: TempDir,
}

fn client(url: &str, abilities: GatewayAbilities) -> HttpGateway {
    let callback = "http://127.0.0.1:1/api/v1/payments/callback".to_owned();
    let mut options =
        GatewayOptions::new(gateway_url(url).unwrap(), "135135".to_owned(), callback, abilities);
    options.retry_first = Duration::from_millis(1);
    HttpGateway::new(options).unwrap()
}

impl World {
    async fn open(shop: Shop) -> Self {
        let outside = TempDir::new().unwrap();
        let mut options = Options::new(outside.path().join("gateway.sqlite"), Preset::Demo);
        (options.port, options.capabilities.signature) = (0, false);
        options.clock = Arc::new(ManualClock::new(NOW.as_micros()));
        options.faults.latency_ms = Range { min: 0, max: 0 };
        options.faults.decision_ms = Range { min: 0, max: 0 };
        options.callback_retry.attempts_max = 1;
        let simulator = Simulator::start(options).await.unwrap();
        let url = format!("http://{}", simulator.addr());
        let gateway = Arc::new(client(&url, GatewayAbilities::ALL));
        let desk = shop.desk();
        let dispatcher = PaymentDispatcher::new(
            desk.clone(),
            shop.payments().checks,
            gateway.clone(),
            Arc::new(cipher()),
            &*shop.ids,
            shop.clock.clone(),
            DispatchOptions::default(),
        );
        let (user, product) = (shop.user(0).await, shop.product(10_000, 100).await);
        Self { shop, desk, dispatcher, simulator, gateway, url, user, product, outside }
    }

    async fn until(&self, order: &Order, status: PaymentStatus) -> Payment {
        let queries = self.shop.payments().queries;
        let reached = async {
            loop {
                self.dispatcher.step().await.unwrap();
                let payment = queries.payment(order.payment.id).await.unwrap().unwrap();
                if payment.status == status && self.shop.books().await.checks.is_empty() {
                    return payment;
                }
                // Each visit is due a moment later on the shop's clock; the gateway needs a moment on the real one.
                self.shop.clock.advance(Duration::from_millis(100));
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.unwrap()
    }

    async fn paid(&self) -> (Order, Payment) {
        let order = self.shop.run(&self.desk, by_card(self.user, self.product, 1, 0)).await.unwrap();
        let order = order_of(order);
        let payment = self.until(&order, PaymentStatus::Success).await;
        (order, payment)
    }

    /// A capture at the gateway that the shop does not hear of.
    async fn capture_unheard(&self, payment: PaymentId) {
        // Without keys it is a new transaction.
        let plain = client(&self.url, GatewayAbilities::NONE);
        let charge = Charge {
            payment,
            attempt: 1,
            brand: CardBrand::Samsung,
            card: CardNumber::new(CARD_NUMBER.to_owned()),
            amount: won(10_000),
        };
        let key = plain.charge(&charge).await.unwrap().key;
        let decided = async {
            while plain.find(&key).await.unwrap().unwrap().state
                == commerce_api_application::ports::TransactionState::Pending
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, decided).await.unwrap();
    }

    /// Changes the gateway's books behind its back.
    async fn falsify(&self, sql: &'static str, key: &str) {
        let options = SqliteOptions::new(self.outside.path().join("gateway.sqlite"));
        let database = Database::open_sqlite(options).await.unwrap();
        execute(&database, sql, [key.into()]).await;
        database.close().await;
    }

    fn reconciler(&self, store: Arc<dyn ReconciliationStore>, ids: u16) -> Reconciler {
        let (clock, due) = (self.shop.clock.clone(), self.desk.payments_due().clone());
        Reconciler::new(store, self.gateway.clone(), Arc::new(SequenceIds::new(ids)), clock, due)
    }
}

#[tokio::test]
async fn seeded_mismatches_of_all_kinds_are_each_reported_once_and_a_lost_capture_goes_back() {
    let test = async |shop| {
        let world = World::open(shop).await;
        let (agreed, missing) = (world.paid().await, world.paid().await);
        let (differing, twice) = (world.paid().await, world.paid().await);
        // Nobody's reference; a second capture of a paid order; one that the report lacks; one of another amount.
        world.capture_unheard(PaymentId(Uuid::from_u128(0xdead))).await;
        world.capture_unheard(twice.1.id).await;
        world
            .falsify(
                "DELETE FROM movements WHERE transaction_key = ?1",
                &missing.1.gateway_key.clone().unwrap(),
            )
            .await;
        let more = "UPDATE movements SET amount = amount + 1 WHERE transaction_key = ?1";
        world.falsify(more, &differing.1.gateway_key.clone().unwrap()).await;

        let store = world.shop.reconciliation();
        let (one, other) = (world.reconciler(store.clone(), 3), world.reconciler(store.clone(), 4));
        world.shop.clock.set(world.shop.clock.business_day_start(NOW).plus(Duration::from_hours(30)));
        let first = one.reconcile(day(TODAY)).await.unwrap();
        assert_eq!((first.entries, first.ours, first.found, first.new), (5, 4, 4, 4));
        for node in [&one, &other] {
            let again = node.reconcile(day(TODAY)).await.unwrap();
            assert_eq!((again.found, again.new, again.gone), (4, 0, 0), "each once");
        }
        let filter = FindingFilter { limit: 100, ..FindingFilter::default() };
        let found = store.findings(&filter).await.unwrap();
        let of = |payment: Option<PaymentId>| {
            let mut of = found.iter().filter(|found| found.mismatch.payment == payment);
            let one = of.next().unwrap().mismatch.clone();
            assert!(of.next().is_none());
            (one.kind, one.action)
        };
        assert_eq!(found.len(), 4);
        assert_eq!(of(None), (MismatchKind::MissingHere, ProposedAction::FindOwner));
        assert_eq!(of(Some(twice.1.id)), (MismatchKind::MissingHere, ProposedAction::Recheck));
        assert_eq!(of(Some(missing.1.id)), (MismatchKind::MissingThere, ProposedAction::AskGateway));
        assert_eq!(of(Some(differing.1.id)), (MismatchKind::AmountDiffers, ProposedAction::CompareAmounts));

        // What the rules of payments can mend is mended: the second capture goes back.
        let payment = world.until(&twice.0, PaymentStatus::Success).await;
        assert_eq!((payment.duplicates.len(), payment.duplicates[0].refunded), (1, true));
        world.shop.clock.advance(Duration::from_secs(1));
        let mended = one.reconcile(day(TODAY)).await.unwrap();
        assert_eq!((mended.found, mended.gone), (3, 1));
        let closed = store.findings(&filter).await.unwrap();
        let closed = closed.iter().find(|found| found.mismatch.payment == Some(twice.1.id)).unwrap();
        assert_eq!(closed.resolution.as_ref().unwrap().how, ResolvedHow::Gone);
        assert_eq!(world.shop.violations().await, [""; 0]);
        assert_eq!(agreed.1.duplicates, []);
        world.simulator.stop().await;
    };
    // On the heap: it is a large one.
    on_every_storage(|shop| Box::pin(test(shop))).await;
}

#[tokio::test]
async fn two_nodes_at_once_report_each_difference_once() {
    let world = World::open(Shop::sqlite().await).await;
    let paid = world.paid().await;
    world.falsify("DELETE FROM movements WHERE transaction_key = ?1", &paid.1.gateway_key.unwrap()).await;
    for number in 1..4 {
        world.capture_unheard(PaymentId(Uuid::from_u128(number))).await;
    }
    world.shop.clock.set(world.shop.clock.business_day_start(NOW).plus(Duration::from_hours(30)));
    let Backend::Sql { place, .. } = &world.shop.backend else { panic!("SQL") };
    let own = place.open().await;
    let one = world.reconciler(world.shop.reconciliation(), 3);
    let other = world.reconciler(Arc::new(SqlReconciliation::new(own)), 4);
    let both = tokio::join!(one.reconcile(day(TODAY)), other.reconcile(day(TODAY)));
    let (one, other) = (both.0.unwrap(), both.1.unwrap());
    assert_eq!((one.found, other.found, one.new + other.new), (4, 4, 4));
    assert_eq!((one.gone, other.gone), (0, 0));
    let filter = FindingFilter { limit: 100, ..FindingFilter::default() };
    assert_eq!(world.shop.reconciliation().findings(&filter).await.unwrap().len(), 4);
    world.simulator.stop().await;
}
