//! One shop on either storage, so that a test says what it expects once.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use commerce_api_application::desk::{DeskOptions, DeskReply, KeyedRequest, OrderDesk, Submission};
use commerce_api_application::ports::{
    Answer, AuditStore, CallbackInbox, CardCipher as _, CardNumber, Clock, Fingerprint, GatewayAbilities,
    IdSource, IdempotencyScope, PaymentChecks, PaymentQueries, ReconciliationStore, SealedCard, Storage,
};
use commerce_api_domain::*;
use commerce_api_infrastructure::memory::{MemoryStorage, violations};
use commerce_api_infrastructure::runtime::{ManualClock, SequenceIds};
use commerce_api_infrastructure::sql::{
    self, SqlAudit, SqlCallbacks, SqlPayments, SqlReconciliation, SqlStorage,
};
use commerce_api_infrastructure::vault::AesCardCipher;
use commerce_database::{Database, SqliteOptions, Template};
use commerce_databases::Scratch;
use commerce_servers::ServerKind;
use futures::FutureExt as _;
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value, Values};
use tempfile::TempDir;

/// 2027-01-15 08:00 UTC: 17:00 in Seoul.
pub const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

pub fn won(won: i64) -> Money {
    Money::new(won).unwrap()
}

pub struct Shop {
    pub backend: Backend,
    pub clock: Arc<ManualClock>,
    pub ids: Arc<SequenceIds>,
}

pub enum Backend {
    Memory(MemoryStorage),
    Sql { database: Database, place: Place },
}

/// Where a database is; it goes with this.
pub enum Place {
    Directory(TempDir),
    Server(Scratch),
}

impl Place {
    /// One more node's handle.
    pub async fn open(&self) -> Database {
        match self {
            Self::Directory(directory) => {
                let mut options = SqliteOptions::new(directory.path().join("shop.sqlite"));
                options.durable = false;
                Database::open_sqlite(options).await.unwrap()
            }
            Self::Server(scratch) => scratch.open().await,
        }
    }
}

/// The payment ports of a storage.
pub struct Payments {
    pub checks: Arc<dyn PaymentChecks>,
    pub queries: Arc<dyn PaymentQueries>,
    pub inbox: Arc<dyn CallbackInbox>,
}

/// Runs `test` on every storage there is.
pub async fn on_every_storage<F: Future<Output = ()>>(test: impl Fn(Shop) -> F) {
    named("memory", Box::pin(test(Shop::memory()))).await;
    Box::pin(on_every_database(test)).await;
}

/// Runs `test` on every database there is.
pub async fn on_every_database<F: Future<Output = ()>>(test: impl Fn(Shop) -> F) {
    named("SQLite", Box::pin(test(Shop::sqlite().await))).await;
    named("MySQL", Box::pin(test(Shop::mysql().await))).await;
}

/// A failed test says on which storage, or at which gateway, it failed.
pub async fn named(storage: &str, test: impl Future<Output = ()>) {
    let outcome = AssertUnwindSafe(test).catch_unwind().await;
    assert!(outcome.is_ok(), "on {storage}: see the panic before");
}

#[derive(Debug, FromQueryResult)]
struct Number {
    n: i64,
}

impl Shop {
    fn new(backend: Backend) -> Self {
        Self { backend, clock: Arc::new(ManualClock::new(NOW)), ids: Arc::new(SequenceIds::default()) }
    }

    pub fn memory() -> Self {
        Self::new(Backend::Memory(MemoryStorage::new()))
    }

    pub async fn sqlite() -> Self {
        let place = Place::Directory(TempDir::new().unwrap());
        let database = place.open().await;
        sql::migrate(&database, NOW).await.unwrap();
        Self::new(Backend::Sql { database, place })
    }

    pub async fn mysql() -> Self {
        Self::on_server(ServerKind::MySql).await
    }

    pub async fn on_server(kind: ServerKind) -> Self {
        let migrated = |database: Database| async move { sql::migrate(&database, NOW).await.map(drop) };
        let place = Place::Server(Scratch::migrated(kind, "oltp", migrated).await);
        let database = place.open().await;
        Self::new(Backend::Sql { database, place })
    }

    pub fn storage(&self) -> Arc<dyn Storage> {
        match &self.backend {
            Backend::Memory(memory) => Arc::new(memory.clone()),
            Backend::Sql { database, .. } => Arc::new(SqlStorage::new(database.clone())),
        }
    }

    /// The same rows as another node sees them: with connections of its own.
    pub async fn second_node(&self) -> Arc<dyn Storage> {
        match &self.backend {
            Backend::Memory(memory) => Arc::new(memory.clone()),
            Backend::Sql { place, .. } => Arc::new(SqlStorage::new(place.open().await)),
        }
    }

    /// What the dispatcher and the callbacks keep.
    pub fn payments(&self) -> Payments {
        match &self.backend {
            Backend::Memory(memory) => {
                let memory = Arc::new(memory.clone());
                Payments { checks: memory.clone(), queries: memory.clone(), inbox: memory }
            }
            Backend::Sql { database, .. } => {
                let payments = Arc::new(SqlPayments::new(database.clone()));
                let inbox = Arc::new(SqlCallbacks::new(database.clone()));
                Payments { checks: payments.clone(), queries: payments, inbox }
            }
        }
    }

    pub fn reconciliation(&self) -> Arc<dyn ReconciliationStore> {
        match &self.backend {
            Backend::Memory(memory) => Arc::new(memory.clone()),
            Backend::Sql { database, .. } => Arc::new(SqlReconciliation::new(database.clone())),
        }
    }

    /// Entries of the audit log for this action.
    pub async fn audited(&self, action: &'static str) -> usize {
        match &self.backend {
            Backend::Memory(memory) => {
                memory.state().audit_log.values().filter(|entry| entry.action == action).count()
            }
            Backend::Sql { database, .. } => {
                let sql = Template::new("SELECT COUNT(*) AS n FROM audit_log WHERE action IN ({action})");
                let count = rows::<Number>(database, sql.names("action", [action])).await[0].n;
                usize::try_from(count).unwrap()
            }
        }
    }

    pub fn reset_statements(&self) {
        if let Backend::Sql { database, .. } = &self.backend {
            database.statements().reset();
        }
    }

    /// Statements that ran under these names; none in memory.
    pub fn statements(&self, names: &[&str]) -> u64 {
        match &self.backend {
            Backend::Memory(_) => 0,
            Backend::Sql { database, .. } => names.iter().map(|name| database.statements().count(name)).sum(),
        }
    }

    pub fn desk(&self) -> OrderDesk {
        self.desk_on(self.storage(), DeskOptions::default())
    }

    pub fn desk_on(&self, storage: Arc<dyn Storage>, options: DeskOptions) -> OrderDesk {
        self.desk_with(storage, self.ids.clone(), options)
    }

    pub fn desk_with(
        &self,
        storage: Arc<dyn Storage>,
        ids: Arc<dyn IdSource>,
        options: DeskOptions,
    ) -> OrderDesk {
        let keep = Duration::from_hours(24);
        OrderDesk::start(storage, ids, self.clock.clone(), Rules::default(), options, keep)
    }

    /// A desk for orders that are paid at a gateway that can do this.
    pub fn desk_for(&self, abilities: GatewayAbilities) -> OrderDesk {
        let rules = Rules { captures_once: abilities.idempotency, ..Rules::default() };
        let keep = Duration::from_hours(24);
        let options = DeskOptions::default();
        OrderDesk::start(self.storage(), self.ids.clone(), self.clock.clone(), rules, options, keep)
    }

    pub fn command(&self, kind: CommandKind) -> Command {
        Command { ids: self.ids.seed(), kind }
    }

    /// Runs a command of our own on `desk`, without a key.
    pub async fn run(&self, desk: &OrderDesk, kind: CommandKind) -> Result<Outcome, Refusal> {
        let card = sealed_for(&kind);
        match desk.submit(Submission { card, ..Submission::internal(kind) }).await.unwrap() {
            DeskReply::Decided { decision, .. } => *decision,
            other => panic!("without a key nothing is replayed: {other:?}"),
        }
    }

    pub async fn user(&self, balance: i64) -> UserId {
        match &self.backend {
            Backend::Memory(memory) => memory.add_user(won(balance)),
            Backend::Sql { database, .. } => {
                let id = next_id(database, "users").await;
                let user = "INSERT INTO users (id, login_id, email, password_hash, role, balance, created_at) \
                            VALUES (?1, 'u' || ?1, 'u' || ?1, '!', 'CUSTOMER', ?2, 0)";
                execute(database, user, [id.into(), balance.into()]).await;
                let ledger = "INSERT INTO point_ledger (id, user_id, order_id, kind, amount, signed_amount, balance_after, at) \
                              VALUES (?1, ?2, NULL, 'CHARGE', ?3, ?3, ?3, 0)";
                execute(database, ledger, [self.ids.uuid().into(), id.into(), balance.into()]).await;
                UserId(id)
            }
        }
    }

    pub async fn product(&self, price: i64, stock: i64) -> ProductId {
        match &self.backend {
            Backend::Memory(memory) => memory.add_product("thing", won(price), stock),
            Backend::Sql { database, .. } => {
                let id = next_id(database, "products").await;
                let product = "INSERT INTO products (id, code, name, name_key, description, brand_id, price, stock, like_count, \
                               event_seq, status, version, created_at, updated_at) \
                               VALUES (?1, 'p' || ?1, 'thing', 'thing', '', 1, ?2, ?3, 0, 0, 'ON_SALE', 1, 0, 0)";
                execute(database, product, [id.into(), price.into(), stock.into()]).await;
                let movement = "INSERT INTO stock_movements (id, product_id, kind, quantity, stock_after, reason, at) \
                                VALUES (?1, ?2, 'RECEIPT', ?3, ?3, NULL, 0)";
                execute(database, movement, [self.ids.uuid().into(), id.into(), stock.into()]).await;
                ProductId(id)
            }
        }
    }

    /// Limits how many pieces of `product` one customer may hold.
    pub async fn limit(&self, product: ProductId, limit: i64) {
        match &self.backend {
            Backend::Memory(memory) => {
                memory.set_purchase_limit(product, Some(Quantity::new(limit).unwrap()));
            }
            Backend::Sql { database, .. } => {
                let limited = "UPDATE products SET purchase_limit = ?1 WHERE id = ?2";
                execute(database, limited, [limit.into(), product.0.into()]).await;
            }
        }
    }

    /// A coupon of 1,000 won off anything.
    pub async fn coupon(&self, issue_limit: Option<i64>) -> CouponId {
        let valid_until = NOW.plus(Duration::from_hours(24));
        match &self.backend {
            Backend::Memory(memory) => {
                let id = CouponId(1);
                memory.add_coupon(CouponPolicy {
                    id,
                    name: "coupon".into(),
                    discount: Discount::Amount(won(1_000)),
                    minimum_total: Money::ZERO,
                    valid_from: Timestamp::default(),
                    valid_until,
                    issue_limit,
                });
                id
            }
            Backend::Sql { database, .. } => {
                let coupon = "INSERT INTO coupons (id, code, name, kind, amount, minimum_total, valid_from, valid_until, \
                              issue_limit, issued_count, created_at) VALUES (1, 'c', 'coupon', 'AMOUNT', 1000, 0, 0, ?1, ?2, 0, 0)";
                execute(database, coupon, [valid_until.as_micros().into(), issue_limit.into()]).await;
                CouponId(1)
            }
        }
    }

    /// Sets the fence of every payment's check, as a dispatcher would that claims it.
    pub async fn set_fences(&self, fence: i64) {
        match &self.backend {
            Backend::Memory(memory) => {
                for payment in memory.checks().keys() {
                    while memory.claim_check(*payment) != Some(fence) {}
                }
            }
            Backend::Sql { database, .. } => {
                execute(database, "UPDATE payment_checks SET fence = ?1", [fence.into()]).await;
            }
        }
    }

    /// Rules that the rows break; empty for a sound shop.
    pub async fn violations(&self) -> Vec<String> {
        match &self.backend {
            Backend::Memory(memory) => violations(&memory.state()),
            Backend::Sql { database, .. } => {
                let report = SqlAudit::new(database.clone()).audit(self.clock.now(), false).await.unwrap();
                report.findings.iter().map(|finding| format!("{finding:?}")).collect()
            }
        }
    }

    pub async fn books(&self) -> Books {
        match &self.backend {
            Backend::Memory(memory) => memory_books(memory),
            Backend::Sql { database, .. } => sql_books(database).await,
        }
    }
}

async fn next_id(database: &Database, table: &str) -> i64 {
    count(database, table).await + 1
}

async fn count(database: &Database, table: &str) -> i64 {
    let sql = Template::new("SELECT COUNT(*) AS n FROM {table}").identifier("table", table);
    rows::<Number>(database, sql).await[0].n
}

async fn rows<R: FromQueryResult + Send + Sync>(database: &Database, sql: impl Into<Template>) -> Vec<R> {
    R::find_by_statement(sql.into().statement(database.dialect(), [])).all(database.reader()).await.unwrap()
}

pub async fn execute(database: &Database, sql: impl Into<Template>, values: impl IntoIterator<Item = Value>) {
    let unit = database.begin_write("fixture").await.unwrap();
    let statement = positional(sql.into().statement(database.dialect(), values));
    unit.execute_raw(statement).await.unwrap();
    unit.commit().await.unwrap();
}

/// `?1` as every dialect understands it: a value for each place, in the places' order.
pub fn positional(mut statement: Statement) -> Statement {
    let numbered: Vec<(usize, usize)> = statement
        .sql
        .match_indices('?')
        .filter_map(|(at, _)| Some((at, statement.sql[at + 1..].chars().next()?.to_digit(10)? as usize)))
        .collect();
    if let (false, Some(values)) = (numbered.is_empty(), &statement.values) {
        let values = numbered.iter().map(|(_, number)| values.0[number - 1].clone()).collect();
        for (at, _) in numbered.iter().rev() {
            statement.sql.remove(at + 1);
        }
        statement.values = Some(Values(values));
    }
    statement
}

/// What stands in the books, the same from either storage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Books {
    pub balances: BTreeMap<i64, i64>,
    pub stocks: BTreeMap<i64, i64>,
    /// Order and payment state by order id.
    pub orders: BTreeMap<uuid::Uuid, (String, String)>,
    /// Order, kind and signed amount, of rows that belong to an order.
    pub ledger: BTreeSet<(uuid::Uuid, String, i64)>,
    /// Aggregate type and id, sequence.
    pub outbox: BTreeSet<(String, String, i64)>,
    pub answers: usize,
    pub checks: BTreeSet<uuid::Uuid>,
    pub payment_events: usize,
    pub movements: usize,
    pub issued: usize,
    pub refunds: usize,
    /// Payments whose card number is kept.
    pub vault: BTreeSet<uuid::Uuid>,
    /// Callbacks and the verdicts on them.
    pub callbacks: BTreeMap<String, String>,
    pub likes: BTreeSet<(i64, i64, bool)>,
}

fn memory_books(memory: &MemoryStorage) -> Books {
    let entry = |row: &LedgerEntry| Some((row.order?.0, row.kind.name().to_owned(), row.signed_amount()));
    let state = |order: &Order| (order.status.name().to_owned(), order.payment.status.name().to_owned());
    Books {
        balances: memory.users().values().map(|user| (user.id.0, user.balance.won())).collect(),
        stocks: memory.products().values().map(|product| (product.id.0, product.stock)).collect(),
        orders: memory.orders().values().map(|order| (order.id.0, state(order))).collect(),
        ledger: memory.ledger().iter().filter_map(entry).collect(),
        outbox: memory
            .outbox()
            .into_iter()
            .map(|row| (row.aggregate_type.to_owned(), row.aggregate_id, row.sequence))
            .collect(),
        answers: memory.answers().len(),
        checks: memory.checks().keys().map(|payment| payment.0).collect(),
        payment_events: memory.payment_events().len(),
        movements: memory.movements().len(),
        issued: memory.issued().len(),
        refunds: memory.refunds().len(),
        vault: memory.state().vault.keys().map(|payment| payment.0).collect(),
        callbacks: memory
            .state()
            .callbacks
            .into_iter()
            .map(|(id, kept)| (id, kept.verdict.name().to_owned()))
            .collect(),
        likes: memory.likes().iter().map(|like| (like.product.0, like.user.0, like.active)).collect(),
    }
}

#[derive(FromQueryResult)]
struct Pair {
    id: i64,
    n: i64,
}
#[derive(FromQueryResult)]
struct OrderRow {
    id: uuid::Uuid,
    status: String,
    payment: String,
}
#[derive(FromQueryResult)]
struct LedgerRow {
    order_id: uuid::Uuid,
    kind: String,
    signed_amount: i64,
}
#[derive(FromQueryResult)]
struct OutboxRow {
    aggregate_type: String,
    aggregate_id: String,
    sequence: i64,
}
#[derive(FromQueryResult)]
struct CheckRow {
    payment_id: uuid::Uuid,
}
#[derive(FromQueryResult)]
struct CallbackRow {
    event_id: String,
    verdict: Option<String>,
}
#[derive(FromQueryResult)]
struct LikeRow {
    product_id: i64,
    user_id: i64,
    active: bool,
}

async fn sql_books(database: &Database) -> Books {
    let pairs = |rows: Vec<Pair>| rows.into_iter().map(|row| (row.id, row.n)).collect();
    let size = async |table: &str| usize::try_from(count(database, table).await).unwrap();
    let orders =
        "SELECT o.id, o.status, p.status AS payment FROM orders o JOIN payments p ON p.order_id = o.id";
    let ledger = "SELECT order_id, kind, signed_amount FROM point_ledger WHERE order_id IS NOT NULL";
    Books {
        balances: pairs(rows(database, "SELECT id, balance AS n FROM users").await),
        stocks: pairs(rows(database, "SELECT id, stock AS n FROM products").await),
        orders: rows::<OrderRow>(database, orders)
            .await
            .into_iter()
            .map(|row| (row.id, (row.status, row.payment)))
            .collect(),
        ledger: rows::<LedgerRow>(database, ledger)
            .await
            .into_iter()
            .map(|row| (row.order_id, row.kind, row.signed_amount))
            .collect(),
        outbox: rows::<OutboxRow>(database, "SELECT aggregate_type, aggregate_id, sequence FROM outbox")
            .await
            .into_iter()
            .map(|row| (row.aggregate_type, row.aggregate_id, row.sequence))
            .collect(),
        answers: size("idempotency_keys").await,
        checks: rows::<CheckRow>(database, "SELECT payment_id FROM payment_checks")
            .await
            .into_iter()
            .map(|row| row.payment_id)
            .collect(),
        payment_events: size("payment_events").await,
        movements: size("stock_movements").await,
        issued: size("issued_coupons").await,
        refunds: size("refunds").await,
        vault: rows::<CheckRow>(database, "SELECT payment_id FROM card_vault")
            .await
            .into_iter()
            .map(|row| row.payment_id)
            .collect(),
        callbacks: rows::<CallbackRow>(database, "SELECT event_id, verdict FROM callback_inbox")
            .await
            .into_iter()
            .map(|row| (row.event_id, row.verdict.unwrap_or_default()))
            .collect(),
        likes: rows::<LikeRow>(database, "SELECT product_id, user_id, active FROM product_likes")
            .await
            .into_iter()
            .map(|row| (row.product_id, row.user_id, row.active))
            .collect(),
    }
}

/// Stands for the HTTP layer: what was decided, as bytes.
fn encode(decision: Result<&Outcome, &Refusal>) -> Answer {
    let (status, body) = match decision {
        Ok(Outcome::Order(order)) => (201, format!("order {} is {}", order.id, order.status.name())),
        Ok(other) => (201, format!("{other:?}")),
        Err(refusal) => (409, refusal.to_string()),
    };
    Answer { status, location: Some("/there".into()), body: Bytes::from(body) }
}

pub fn line(product: ProductId, quantity: i64) -> OrderLineRequest {
    OrderLineRequest { product, quantity: Quantity::new(quantity).unwrap() }
}

/// A client's submission under `key`; the fingerprint stands for the body.
pub fn keyed(user: UserId, key: &str, fingerprint: u8, kind: CommandKind) -> Submission {
    let keyed = KeyedRequest {
        scope: IdempotencyScope { user, route: "POST /test", key: key.into() },
        fingerprint: Fingerprint([fingerprint; 32]),
        encode: Arc::new(encode),
    };
    Submission { keyed: Some(keyed), card: sealed_for(&kind), ..Submission::internal(kind) }
}

/// The number of every card here.
pub const CARD_NUMBER: &str = "1234-5678-9012-4321";

pub fn cipher() -> AesCardCipher {
    AesCardCipher::new(&[7; 32], &[])
}

/// The sealed number that the facade submits with an order by card.
fn sealed_for(kind: &CommandKind) -> Option<SealedCard> {
    let CommandKind::Place(PlaceOrder { payment: PaymentRequest { card: Some(_), .. }, .. }) = kind else {
        return None;
    };
    Some(cipher().seal(&CardNumber::new(CARD_NUMBER.to_owned())))
}

/// An order paid by points.
pub fn by_points(user: UserId, product: ProductId, quantity: i64) -> CommandKind {
    CommandKind::Place(PlaceOrder {
        user,
        lines: vec![line(product, quantity)],
        issued_coupon: None,
        payment: PaymentRequest { points: None, card: None },
        expected_total: None,
    })
}

/// An order paid by `points` and, for the rest, by card.
pub fn by_card(user: UserId, product: ProductId, quantity: i64, points: i64) -> CommandKind {
    CommandKind::Place(PlaceOrder {
        user,
        lines: vec![line(product, quantity)],
        issued_coupon: None,
        payment: PaymentRequest {
            points: Some(won(points)),
            card: Some(CardDetails { brand: CardBrand::Hyundai, last_four: "4321".into() }),
        },
        expected_total: None,
    })
}

pub fn order_of(outcome: Outcome) -> Order {
    match outcome {
        Outcome::Order(order) => *order,
        other => panic!("not an order: {other:?}"),
    }
}
