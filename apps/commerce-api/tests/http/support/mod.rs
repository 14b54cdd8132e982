//! A shop in a temporary directory and a way to call it.

mod call;
mod callback;
mod stand_ins;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use commerce_api::app::AdminSession;
use commerce_api::interfaces::{Facades, FrontDoor, SessionAuthenticator, SignatureGuard, router};
use commerce_api_application::desk::{DeskOptions, DeskReply, LikeDesk, OrderDesk, Signal, Submission};
use commerce_api_application::payments::{Callbacks, Payments};
use commerce_api_application::ports::{
    CallbackInbox, CatalogueStore, Clock, IdSource, ProductCache, RankingBoards, ReconciliationFinding,
    ReconciliationStore, Storage, TokenSource,
};
use commerce_api_application::reconciliation::{Reconciler, Reconciliations};
use commerce_api_application::{
    AccountOptions, Accounts, Admin, Breakers, Catalogue, Coupons, EvictingStorage, Idempotency, Likes,
    Orders, Points, ProductDetails, Rankings, SignUp, ViewCounter,
};
use commerce_api_domain::{
    CommandKind, Mismatch, MismatchKind, MoneyMovement, OrderId, PaymentCommand, ProposedAction, Role, Rules,
    TheirSide, Timestamp,
};
use commerce_api_infrastructure::gateway::RegistryBreakers;
use commerce_api_infrastructure::product_cache::{InProcessProductCache, ProductCacheOptions};
use commerce_api_infrastructure::runtime::{
    Argon2Cost, Argon2Hasher, HmacFingerprinter, ManualClock, SequenceIds,
};
use commerce_api_infrastructure::sql;
use commerce_api_infrastructure::vault::AesCardCipher;
use commerce_database::{Database, Dialect, SqliteOptions, Template};
use commerce_resilience::{BreakerOptions, BreakerRegistry};
use commerce_telemetry::{
    ActuatorState, AnyOf, BuildInfo, HealthRegistry, LoopbackOr, Readiness, actuator, metrics,
};
use commerce_webhook::Secret;
use sea_orm::{ConnectionTrait as _, QueryResult};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use self::call::{Call, Reply};
pub use self::callback::Callback;
use self::stand_ins::{CountingEntropy, CountingTokens, SilentGateway};

/// 2027-01-15 08:00 UTC: 17:00 in Seoul.
pub const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// The secrets of callbacks: the one that is to be, and the one that was.
pub const SECRETS: [&[u8]; 2] =
    [b"the secret that the gateway signs with now", b"the secret before that one"];

/// When an open payment counts as stuck.
pub const STUCK_AFTER: Duration = Duration::from_mins(5);

/// The card of everybody.
pub const CARD: &str = "1234-5678-9814-1451";

pub fn secret(key: &[u8]) -> Secret {
    Secret::new(key)
}

/// What a shop allows.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each stands for itself")]
pub struct Mode {
    pub demo: bool,
    pub customers_may_charge: bool,
    pub docs: bool,
    /// Whether the gateway signs its callbacks.
    pub signed: bool,
}

impl Default for Mode {
    fn default() -> Self {
        Self { demo: true, customers_may_charge: true, docs: true, signed: true }
    }
}

pub struct Shop {
    pub router: Router,
    pub clock: Arc<ManualClock>,
    pub catalogue: Arc<dyn CatalogueStore>,
    pub views: Arc<ViewCounter>,
    pub accounts: Accounts,
    pub products: Catalogue,
    pub details: ProductDetails,
    pub inbox: Arc<dyn CallbackInbox>,
    pub reconciliation: Arc<dyn ReconciliationStore>,
    ids: Arc<dyn IdSource>,
    desk: OrderDesk,
    database: Database,
    // Dropped last: the files are in use until then.
    directory: TempDir,
}

/// Somebody with a session.
#[derive(Clone)]
pub struct User {
    pub id: i64,
    pub token: String,
}

impl Shop {
    pub async fn open() -> Self {
        Self::open_in(Mode::default()).await
    }

    pub async fn open_in(mode: Mode) -> Self {
        Self::open_behind(FrontDoor::default(), mode).await
    }

    pub async fn open_behind(front: FrontDoor, mode: Mode) -> Self {
        let directory = TempDir::new().unwrap();
        let options =
            SqliteOptions { durable: false, ..SqliteOptions::new(directory.path().join("shop.db")) };
        let database = Database::open_sqlite(options).await.unwrap();
        sql::migrate(&database, NOW).await.unwrap();
        let clock = Arc::new(ManualClock::new(NOW));
        let catalogue: Arc<dyn CatalogueStore> = Arc::new(sql::SqlCatalogue::new(database.clone()));
        let views = Arc::new(ViewCounter::new(catalogue.clone(), clock.clone()));
        let ids: Arc<dyn IdSource> = Arc::new(SequenceIds::default());
        let products: Arc<dyn ProductCache> =
            Arc::new(InProcessProductCache::new(clock.clone(), ProductCacheOptions::default()));
        let storage = Arc::new(sql::SqlStorage::new(database.clone()));
        let storage: Arc<dyn Storage> = Arc::new(EvictingStorage::new(storage, products.clone()));
        let (keep, rules) = (Duration::from_hours(24), Rules::default());
        let options = DeskOptions::default();
        let desk = OrderDesk::start(storage.clone(), ids.clone(), clock.clone(), rules, options, keep);
        let likes = LikeDesk::start(storage, clock.clone(), DeskOptions::default());
        let inbox: Arc<dyn CallbackInbox> = Arc::new(sql::SqlCallbacks::new(database.clone()));
        let own_ids = ids.clone();
        let reconciliation = Arc::new(sql::SqlReconciliation::new(database.clone()));
        let (catalogue_, inbox_) = (catalogue.clone(), inbox.clone());
        let boards = SqliteOptions::new(directory.path().join(sql::BOARDS_FILE));
        let boards = Arc::new(sql::SqlBoards::of_file(boards));
        let parts = Parts {
            database: database.clone(),
            inbox: inbox_,
            boards,
            clock: clock.clone(),
            ids,
            catalogue: catalogue_,
            products,
        };
        let facades = facades(&parts, desk.clone(), likes, views.clone(), mode);
        let accounts = facades.accounts.clone();
        let (products, details) = (facades.catalogue.clone(), facades.details.clone());
        let authenticator = Arc::new(SessionAuthenticator::new(accounts.clone()));
        let entropy = Arc::new(CountingEntropy::default());
        let (router, _) = router(facades, entropy, authenticator, operator(&accounts), front).unwrap();
        Self {
            router,
            clock,
            catalogue,
            views,
            accounts,
            products,
            details,
            inbox,
            reconciliation,
            ids: own_ids,
            desk,
            database,
            directory,
        }
    }

    /// A finding of the reconciliation of a day.
    pub async fn finding(&self, date: &str, key: &str, kind: MismatchKind) -> String {
        let mismatch = Mismatch {
            kind,
            movement: MoneyMovement::Capture,
            key: key.into(),
            reference: "order-1".into(),
            payment: None,
            ours: None,
            theirs: Some(TheirSide { amount: 1_000, at: NOW }),
            action: ProposedAction::FindOwner,
        };
        let now = self.clock.now();
        let found = ReconciliationFinding {
            id: self.ids.uuid(),
            date: date.parse().unwrap(),
            mismatch,
            found_at: now,
            seen_at: now,
            resolution: None,
        };
        self.reconciliation.record(vec![found], &[], now).await.unwrap()[0].id.to_string()
    }

    /// Somebody new with a session.
    pub async fn user(&self, name: &str, role: Role) -> User {
        let sign_up = SignUp {
            login_id: name.to_owned(),
            email: format!("{name}@example.com"),
            password: "correct horse".to_owned(),
            birth_date: None,
            gender: None,
        };
        let id = self.accounts.create_user(sign_up, role, None).await.unwrap().id.0;
        User { id, token: self.session(name).await }
    }

    /// A new session of somebody who has an account.
    pub async fn session(&self, name: &str) -> String {
        let body = json!({"loginId": name, "password": "correct horse"});
        let reply = self.post("/api/v1/sessions").json(&body).send().await.expect(201);
        reply["token"].as_str().unwrap().to_owned()
    }

    /// A customer with `points`.
    pub async fn customer(&self, name: &str, points: i64) -> User {
        let user = self.user(name, Role::Customer).await;
        if points > 0 {
            self.charge(&user, points).await;
        }
        user
    }

    pub async fn admin(&self) -> User {
        self.user("admin", Role::Admin).await
    }

    pub async fn charge(&self, user: &User, points: i64) {
        let charge = self.post("/api/v1/users/me/points/charges").by(user).new_key();
        charge.json(&json!({"amount": points})).send().await.expect(201);
    }

    /// Points of somebody, as they see them.
    pub async fn balance(&self, user: &User) -> i64 {
        let reply = self.get("/api/v1/users/me/points").by(user).send().await.expect(200);
        reply["balance"].as_i64().unwrap()
    }

    /// Stock of a product, as everybody sees it.
    pub async fn stock(&self, product: i64) -> i64 {
        let reply = self.get(&format!("/api/v1/products/{product}")).send().await.expect(200);
        reply["stock"].as_i64().unwrap()
    }

    pub async fn brand(&self, admin: &User, name: &str) -> i64 {
        let brand = self.post("/api/v1/brands").by(admin).json(&json!({"name": name}));
        brand.send().await.expect(201)["id"].as_i64().unwrap()
    }

    /// A product named like its code.
    pub async fn product(&self, admin: &User, brand: i64, code: &str, price: i64, stock: i64) -> i64 {
        let body = json!({"code": code, "name": code, "brandId": brand, "price": price, "stock": stock});
        let product = self.post("/api/v1/products").by(admin).json(&body);
        product.send().await.expect(201)["id"].as_i64().unwrap()
    }

    /// A coupon that takes 1,000 won off orders from 5,000 won and is valid for the next day.
    pub async fn coupon(&self, admin: &User, code: &str, issue_limit: Option<i64>) -> i64 {
        let body = json!({
            "code": code, "name": "Welcome", "kind": "AMOUNT", "amount": 1_000, "minimumTotal": 5_000,
            "validFrom": "2027-01-15T07:00:00Z", "validUntil": "2027-01-16T08:00:00Z", "issueLimit": issue_limit,
        });
        let coupon = self.post("/api/v1/coupons").by(admin).json(&body);
        coupon.send().await.expect(201)["id"].as_i64().unwrap()
    }

    pub async fn issue(&self, user: &User, coupon: i64) -> String {
        let issue = self.post(&format!("/api/v1/coupons/{coupon}/issues")).by(user).new_key();
        issue.send().await.expect(201)["id"].as_str().unwrap().to_owned()
    }

    /// An order by points of `quantity` pieces, as it was answered.
    pub async fn order(&self, user: &User, product: i64, quantity: i64) -> Reply {
        self.post("/api/v1/orders").by(user).new_key().json(&order_of(product, quantity)).send().await
    }

    /// An order that a card pays, as it was answered.
    pub async fn order_by_card(&self, user: &User, product: i64, quantity: i64) -> Reply {
        let mut order = order_of(product, quantity);
        order["payment"] = json!({"card": {"type": "KB", "number": CARD}});
        self.post("/api/v1/orders").by(user).new_key().json(&order).send().await.expect(202)
    }

    /// Captures the card part of an order under a key of its own, as the gateway will.
    pub async fn capture(&self, order: &str) {
        self.send_to_gateway(order).await;
        self.pay(order, PaymentCommand::Captured { key: format!("key-of-{order}").into() }).await;
    }

    /// As if the card part had been sent and no answer had come.
    pub async fn send_to_gateway(&self, order: &str) {
        self.pay(order, PaymentCommand::Send).await;
    }

    async fn pay(&self, order: &str, command: PaymentCommand) {
        let kind = CommandKind::Payment { order: OrderId(order.parse().unwrap()), command };
        let reply = self.desk.submit(Submission::internal(kind)).await.unwrap();
        let done = matches!(&reply, DeskReply::Decided { decision, .. } if decision.is_ok());
        assert!(done, "{reply:?}");
    }

    /// Where the collector's database is looked for.
    pub fn boards_file(&self) -> PathBuf {
        self.directory.path().join(sql::BOARDS_FILE)
    }

    /// Everything that the database has written.
    pub fn files(&self) -> Vec<u8> {
        let read = |name| std::fs::read(self.directory.path().join(name)).unwrap_or_default();
        ["shop.db", "shop.db-wal"].map(read).concat()
    }

    /// How many rows these tables have.
    pub async fn row_counts(&self, tables: &[&'static str]) -> Vec<i64> {
        let mut counts = Vec::new();
        for table in tables {
            let sql = Template::new("SELECT COUNT(*) AS n FROM {table}").identifier("table", table);
            let row = self.database.reader().query_one_raw(sql.statement(Dialect::Sqlite, [])).await;
            counts.push(row.unwrap().unwrap().try_get("", "n").unwrap());
        }
        counts
    }

    /// What was done by hand, of one action and in order: who, to what, how.
    pub async fn audit_log(&self, action: &'static str) -> Vec<(String, String, Value)> {
        let sql = Template::new("SELECT actor, target, detail FROM audit_log WHERE action = ? ORDER BY id");
        let rows = self.database.reader().query_all_raw(sql.statement(Dialect::Sqlite, [action.into()]));
        let text = |row: &QueryResult, column| row.try_get::<String>("", column).unwrap();
        let entry = |row: &QueryResult| {
            let detail = serde_json::from_str(&text(row, "detail")).unwrap();
            (text(row, "actor"), text(row, "target"), detail)
        };
        rows.await.unwrap().iter().map(entry).collect()
    }

    pub fn get(&self, path: &str) -> Call {
        self.call("GET", path)
    }

    pub fn post(&self, path: &str) -> Call {
        self.call("POST", path)
    }

    pub fn call(&self, method: &str, path: &str) -> Call {
        Call::new(self.router.clone(), method, path)
    }
}

pub fn order_of(product: i64, quantity: i64) -> Value {
    json!({"lines": [{"productId": product, "quantity": quantity}], "payment": {}})
}

/// The actuator as the app guards it.
fn operator(accounts: &Accounts) -> Router {
    let info = BuildInfo { name: "commerce-api", version: "1.2.3", profile: "debug", commit: None };
    let health = HealthRegistry::new(Readiness::default());
    let guard = AnyOf(vec![Arc::new(LoopbackOr::new(None)), Arc::new(AdminSession(accounts.clone()))]);
    actuator::router(ActuatorState::new(info, health, metrics::install().unwrap(), Arc::new(guard)))
}

/// Breakers as the gateway's client has them; nothing calls through them.
fn breakers() -> BreakerRegistry {
    let registry = BreakerRegistry::default();
    for name in ["gateway-charge", "gateway-query", "gateway-refund"] {
        registry.register(name, BreakerOptions::default()).unwrap();
    }
    registry
}

struct Parts {
    database: Database,
    inbox: Arc<dyn CallbackInbox>,
    boards: Arc<dyn RankingBoards>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    catalogue: Arc<dyn CatalogueStore>,
    products: Arc<dyn ProductCache>,
}

fn facades(parts: &Parts, desk: OrderDesk, likes: LikeDesk, views: Arc<ViewCounter>, mode: Mode) -> Facades {
    let database = || parts.database.clone();
    let (ids, clock) = (|| parts.ids.clone(), || parts.clock.clone());
    let tokens: Arc<dyn TokenSource> = Arc::new(CountingTokens::default());
    let users = Arc::new(sql::SqlAccounts::new(database()));
    let hasher = Argon2Hasher::new(Argon2Cost { memory_kib: 8, passes: 1, lanes: 1 }).unwrap();
    let sessions = Arc::new(sql::SqlSessions::new(database()));
    let options = AccountOptions::default();
    let coupons = Arc::new(sql::SqlCoupons::new(database()));
    let orders = Arc::new(sql::SqlOrders::new(database()));
    let payments = Arc::new(sql::SqlPayments::new(database()));
    let gateway = Arc::new(SilentGateway { signed: mode.signed });
    let rankings = Rankings::new(Some(parts.boards.clone()), parts.catalogue.clone(), clock());
    let cipher = Arc::new(AesCardCipher::new(&[9; 32], &[]));
    let store = Arc::new(sql::SqlReconciliation::new(database()));
    let due = desk.payments_due().clone();
    let reconciler = Reconciler::new(store, gateway.clone(), ids(), clock(), due);
    Facades {
        accounts: Accounts::new(users.clone(), sessions, Arc::new(hasher), tokens.clone(), clock(), options),
        callbacks: Callbacks::new(
            desk.clone(),
            payments.clone(),
            payments.clone(),
            parts.inbox.clone(),
            gateway.clone(),
            clock(),
        ),
        signatures: mode.signed.then(|| SignatureGuard::new(SECRETS.map(secret).to_vec(), clock())),
        payments: Payments::new(desk.clone(), payments.clone(), payments, ids(), clock()),
        reconciliations: Reconciliations::new(reconciler, Signal::default()),
        stuck_after: STUCK_AFTER,
        clock: clock(),
        breakers: Breakers::new(
            Arc::new(RegistryBreakers::new(breakers())),
            Arc::new(sql::SqlAuditTrail::new(database())),
            ids(),
            clock(),
        ),
        admin: Admin::new(users.clone(), tokens, ids(), clock(), mode.demo),
        catalogue: Catalogue::new(parts.catalogue.clone(), desk.clone(), ids(), clock())
            .evicting(parts.products.clone()),
        details: ProductDetails::new(parts.products.clone(), parts.catalogue.clone(), rankings.clone()),
        coupons: Coupons::new(coupons, desk.clone(), ids(), clock()),
        idempotency: Idempotency::new(Arc::new(HmacFingerprinter::new(&[7; 32]))),
        likes: Likes::new(likes, Arc::new(sql::SqlLikes::new(database())), ids()),
        orders: Orders::new(desk.clone(), orders, ids(), clock()).sealing_with(cipher),
        rankings,
        points: Points::new(users, desk, ids(), clock(), mode.customers_may_charge),
        views,
        docs: mode.docs,
    }
}
