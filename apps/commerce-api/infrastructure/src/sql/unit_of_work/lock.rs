//! The reads of a batch, in the order in which the locks are taken: products, users, coupons, issued coupons, orders,
//! each by id. Idempotency keys are read once their users are locked, so that another node's key is visible.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use commerce_api_application::ports::{
    Answer, Fingerprint, IdempotencyScope, LockRequest, Locked, OrderParts, StorageError, StoredAnswer,
};
use commerce_api_domain::{
    Coupon, CouponId, IssuedCoupon, IssuedCouponId, IssuedCouponStatus, LedgerKind, Money, Order, OrderId,
    OrderStatus, Payment, PaymentId, Product, ProductId, ProductStatus, Snapshot, Timestamp, User, UserId,
};
use commerce_database::{Column, Dialect, Lock, Select, Template, WriteTransaction};
use sea_orm::{QueryResult, Statement};
use uuid::Builder;

use super::query;
use crate::sql::decode::{Columns, PAYMENT_COLUMNS, POLICY_COLUMNS, undecodable};

pub(super) const PRODUCTS: Select = Select {
    table: "products",
    columns: &["id", "name", "price", "stock", "status", "purchase_limit", "event_seq"],
    keys: &[Column::int("id")],
    order: &[],
};

pub(super) const USERS: Select =
    Select { table: "users", columns: &["id", "balance"], keys: &[Column::int("id")], order: &[] };

pub(super) const KEYS: Select = Select {
    table: "idempotency_keys",
    columns: &["user_id", "route", "idem_key", "fingerprint", "status", "location", "body"],
    keys: &[Column::int("user_id"), Column::text("route"), Column::text("idem_key")],
    order: &[],
};

pub(super) const COUPONS: Select = Select {
    table: "coupons",
    columns: &[
        "id",
        "name",
        "kind",
        "amount",
        "basis_points",
        "cap",
        "minimum_total",
        "valid_from",
        "valid_until",
        "issue_limit",
        "issued_count",
    ],
    keys: &[Column::int("id")],
    order: &[],
};

pub(super) const POLICIES: Select =
    Select { table: "coupons", columns: POLICY_COLUMNS, keys: &[Column::int("id")], order: &[] };

pub(super) const ISSUED: Select = Select {
    table: "issued_coupons",
    columns: &["id", "coupon_id", "user_id", "status", "order_id", "event_seq", "issued_at"],
    keys: &[Column::uuid("id")],
    order: &[],
};

pub(super) const PAIRS: Select = Select {
    table: "issued_coupons",
    columns: &["user_id", "coupon_id"],
    keys: &[Column::int("user_id"), Column::int("coupon_id")],
    order: &[],
};

pub(super) const ORDERS: Select = Select {
    table: "orders",
    columns: &[
        "id",
        "user_id",
        "status",
        "items_total",
        "discount",
        "total",
        "issued_coupon_id",
        "points_earned",
        "event_seq",
        "created_at",
        "paid_at",
        "expires_at",
        "updated_at",
    ],
    keys: &[Column::uuid("id")],
    order: &[],
};

/// The order row guards them.
pub(super) const PAYMENTS: Select =
    Select { table: "payments", columns: PAYMENT_COLUMNS, keys: &[Column::uuid("order_id")], order: &[] };

pub(super) const CHECKS: Select = Select {
    table: "payment_checks",
    columns: &["payment_id", "fence"],
    keys: &[Column::uuid("payment_id")],
    order: &[],
};

/// Every SELECT here by key.
#[cfg(test)]
pub(super) const SELECTS: [Select; 10] =
    [PRODUCTS, USERS, KEYS, COUPONS, POLICIES, ISSUED, PAIRS, ORDERS, PAYMENTS, CHECKS];

pub(super) async fn lock(tx: &WriteTransaction, request: &LockRequest) -> Result<Locked, StorageError> {
    let mut snapshot = Snapshot {
        products: products(tx, &request.products).await?,
        users: users(tx, request).await?,
        ..Snapshot::default()
    };
    snapshot.purchased = purchased(tx, &request.purchases, &snapshot.products).await?;
    let answers = answers(tx, &request.keys).await?;
    snapshot.coupons = coupons(tx, &request.coupons).await?;
    snapshot.issued = issued(tx, &request.issued).await?;
    let used: BTreeSet<CouponId> = snapshot.issued.values().map(|issued| issued.coupon).collect();
    if !used.is_empty() {
        let statement = POLICIES.by_ints(tx.dialect(), Lock::None, used.iter().map(|coupon| coupon.0));
        for row in query(tx, statement).await? {
            let policy = Columns::of(&row).policy()?;
            snapshot.policies.insert(policy.id, policy);
        }
    }
    snapshot.issued_pairs = pairs(tx, &request.issued_pairs).await?;
    orders(tx, &request.orders, &mut snapshot).await?;
    Ok(Locked { snapshot, answers })
}

async fn products(
    tx: &WriteTransaction,
    wanted: &BTreeSet<ProductId>,
) -> Result<BTreeMap<ProductId, Product>, StorageError> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let statement = PRODUCTS.by_ints(tx.dialect(), Lock::Update, wanted.iter().map(|product| product.0));
    let decode = |row: &QueryResult| {
        let mut row = Columns::of(row);
        let id = ProductId(row.take()?);
        let product = Product {
            id,
            name: row.text()?,
            price: row.money("price")?,
            stock: row.take()?,
            status: row.named("product status", ProductStatus::parse)?,
            purchase_limit: row.quantity("purchase limit")?,
            event_seq: row.take()?,
        };
        Ok((id, product))
    };
    query(tx, statement).await?.iter().map(decode).collect()
}

async fn users(tx: &WriteTransaction, request: &LockRequest) -> Result<BTreeMap<UserId, User>, StorageError> {
    if request.users.is_empty() {
        return Ok(BTreeMap::new());
    }
    let statement = USERS.by_ints(tx.dialect(), Lock::Update, request.users.iter().map(|user| user.0));
    let mut users = BTreeMap::new();
    for row in query(tx, statement).await? {
        let mut row = Columns::of(&row);
        let id = UserId(row.take()?);
        users.insert(id, User { id, balance: row.money("balance")?, charged_today: Money::ZERO });
    }
    if !request.charging_users.is_empty() {
        let statement = charges(tx.dialect(), &request.charging_users, request.charges_since);
        for row in query(tx, statement).await? {
            let mut row = Columns::of(&row);
            let id = UserId(row.take()?);
            let charged = row.money("sum of charges")?;
            if let Some(user) = users.get_mut(&id) {
                user.charged_today = charged;
            }
        }
    }
    Ok(users)
}

/// How much earlier the id of a charge may be than its time: ids are drawn when a command joins the queue, by the clock
/// of its node, and its time is that of the batch. A queue lasts seconds, and clocks are minutes apart at worst.
const ID_BEFORE_TIME_MAX: Duration = Duration::from_hours(1);

/// The charges of `users` since a moment. The index has a user's rows by id, and ids ascend with time, so only the last
/// day of a ledger is read, not all of it.
pub(super) fn charges(dialect: Dialect, users: &BTreeSet<UserId>, since: Timestamp) -> Statement {
    let first = u64::try_from(since.minus(ID_BEFORE_TIME_MAX).as_micros() / 1_000).unwrap_or_default();
    let first = Builder::from_unix_timestamp_millis(first, &[0; 10]).into_uuid();
    let ids = match dialect {
        Dialect::Sqlite => "SELECT r.value FROM json_each(?) AS r",
        Dialect::MySql => "SELECT r.id FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS r",
    };
    let sql = Template::new(
        "SELECT user_id, CAST(SUM(amount) AS SIGNED) FROM point_ledger \
         WHERE kind = {kind} AND id >= ? AND at >= ? AND user_id IN ({ids}) GROUP BY user_id",
    )
    .names("kind", [LedgerKind::Charge.name()])
    .fragment("ids", ids);
    let users: Vec<i64> = users.iter().map(|user| user.0).collect();
    let json = serde_json::Value::from(users).to_string();
    sql.statement(dialect, [first.into(), since.as_micros().into(), json.into()])
}

/// Pieces in live orders of those pairs of `wanted` whose product has a purchase limit. Read without a lock of their
/// own: whoever makes an order live holds the lock of its user.
async fn purchased(
    tx: &WriteTransaction,
    wanted: &BTreeSet<(UserId, ProductId)>,
    products: &BTreeMap<ProductId, Product>,
) -> Result<BTreeMap<(UserId, ProductId), i64>, StorageError> {
    let is_limited =
        |product| products.get(product).is_some_and(|row: &Product| row.purchase_limit.is_some());
    let mut purchased: BTreeMap<(UserId, ProductId), i64> =
        wanted.iter().filter(|(_, product)| is_limited(product)).map(|pair| (*pair, 0)).collect();
    if purchased.is_empty() {
        return Ok(purchased);
    }
    for row in query(tx, purchases(tx.dialect(), purchased.keys().copied())).await? {
        let mut row = Columns::of(&row);
        let pair = (UserId(row.take()?), ProductId(row.take()?));
        purchased.insert(pair, row.take()?);
    }
    Ok(purchased)
}

/// The pieces in live orders, by user and product. The index has the lines of a product by user, so only orders of these
/// users with these products are read; CROSS keeps `SQLite` from beginning with all live orders.
pub(super) fn purchases(dialect: Dialect, pairs: impl Iterator<Item = (UserId, ProductId)>) -> Statement {
    let wanted = match dialect {
        Dialect::Sqlite => {
            "SELECT r.value ->> 0 AS user_id, r.value ->> 1 AS product_id FROM json_each(?) AS r"
        }
        Dialect::MySql => {
            "SELECT r.user_id, r.product_id FROM JSON_TABLE(?, '$[*]' \
             COLUMNS (user_id BIGINT PATH '$[0]', product_id BIGINT PATH '$[1]')) AS r"
        }
    };
    let sql = Template::new(
        "SELECT l.user_id, l.product_id, CAST(SUM(l.quantity) AS SIGNED) FROM ({wanted}) AS w \
         CROSS JOIN order_lines l ON l.product_id = w.product_id AND l.user_id = w.user_id \
         CROSS JOIN orders o ON o.id = l.order_id WHERE o.status IN ({live}) GROUP BY l.user_id, l.product_id",
    )
    .fragment("wanted", wanted)
    .names("live", OrderStatus::ALL.into_iter().filter(|status| status.is_live()).map(OrderStatus::name));
    let pairs: serde_json::Value =
        pairs.map(|(user, product)| serde_json::Value::from_iter([user.0, product.0])).collect();
    sql.statement(dialect, [pairs.to_string().into()])
}

async fn answers(
    tx: &WriteTransaction,
    wanted: &BTreeSet<IdempotencyScope>,
) -> Result<BTreeMap<IdempotencyScope, StoredAnswer>, StorageError> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let keys = wanted.iter().map(|scope| [scope.user.0.into(), scope.route.into(), (&*scope.key).into()]);
    let rows = query(tx, KEYS.by_rows(tx.dialect(), Lock::None, keys)).await?;
    let scopes: BTreeMap<(i64, &str, &str), &IdempotencyScope> =
        wanted.iter().map(|scope| ((scope.user.0, scope.route, &*scope.key), scope)).collect();
    let mut answers = BTreeMap::new();
    for row in &rows {
        let mut row = Columns::of(row);
        let (user, route, key): (i64, String, String) = (row.take()?, row.take()?, row.take()?);
        let scope =
            scopes.get(&(user, route.as_str(), key.as_str())).ok_or_else(|| undecodable("key", &key))?;
        answers.insert((*scope).clone(), answer(&mut row)?);
    }
    Ok(answers)
}

fn answer(row: &mut Columns<'_>) -> Result<StoredAnswer, StorageError> {
    let fingerprint: Vec<u8> = row.take()?;
    let length = fingerprint.len();
    let fingerprint = fingerprint.try_into().map_err(|_| undecodable("length of a fingerprint", length))?;
    let status: i64 = row.take()?;
    let answer = Answer {
        status: u16::try_from(status).map_err(|_| undecodable("status of an answer", status))?,
        location: row.optional_text()?,
        body: Bytes::from(row.take::<Vec<u8>>()?),
    };
    Ok(StoredAnswer { fingerprint: Fingerprint(fingerprint), answer })
}

async fn coupons(
    tx: &WriteTransaction,
    wanted: &BTreeSet<CouponId>,
) -> Result<BTreeMap<CouponId, Coupon>, StorageError> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let statement = COUPONS.by_ints(tx.dialect(), Lock::Update, wanted.iter().map(|coupon| coupon.0));
    let decode = |row: &QueryResult| {
        let mut row = Columns::of(row);
        let policy = row.policy()?;
        Ok((policy.id, Coupon { policy, issued_count: row.take()? }))
    };
    query(tx, statement).await?.iter().map(decode).collect()
}

async fn issued(
    tx: &WriteTransaction,
    wanted: &BTreeSet<IssuedCouponId>,
) -> Result<BTreeMap<IssuedCouponId, IssuedCoupon>, StorageError> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let statement = ISSUED.by_uuids(tx.dialect(), Lock::Update, wanted.iter().map(|issued| issued.0));
    let decode = |row: &QueryResult| {
        let mut row = Columns::of(row);
        let id = IssuedCouponId(row.take()?);
        let issued = IssuedCoupon {
            id,
            coupon: CouponId(row.take()?),
            user: UserId(row.take()?),
            status: row.named("status of an issued coupon", IssuedCouponStatus::parse)?,
            order: row.take::<Option<uuid::Uuid>>()?.map(OrderId),
            event_seq: row.take()?,
            issued_at: row.time()?,
        };
        Ok((id, issued))
    };
    query(tx, statement).await?.iter().map(decode).collect()
}

async fn pairs(
    tx: &WriteTransaction,
    wanted: &BTreeSet<(UserId, CouponId)>,
) -> Result<BTreeSet<(UserId, CouponId)>, StorageError> {
    if wanted.is_empty() {
        return Ok(BTreeSet::new());
    }
    let keys = wanted.iter().map(|(user, coupon)| [user.0.into(), coupon.0.into()]);
    let decode = |row: &QueryResult| {
        let mut row = Columns::of(row);
        Ok((UserId(row.take()?), CouponId(row.take()?)))
    };
    query(tx, PAIRS.by_rows(tx.dialect(), Lock::None, keys)).await?.iter().map(decode).collect()
}

async fn orders(
    tx: &WriteTransaction,
    wanted: &BTreeMap<OrderId, OrderParts>,
    snapshot: &mut Snapshot,
) -> Result<(), StorageError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let ids = || wanted.keys().map(|order| order.0);
    let orders = query(tx, ORDERS.by_uuids(tx.dialect(), Lock::Update, ids())).await?;
    let mut payments: BTreeMap<OrderId, Payment> = BTreeMap::new();
    for row in query(tx, PAYMENTS.by_uuids(tx.dialect(), Lock::None, ids())).await? {
        let payment = Columns::of(&row).payment()?;
        payments.insert(payment.order, payment);
    }
    let checked = payments.values().map(|payment| payment.id.0);
    for row in query(tx, CHECKS.by_uuids(tx.dialect(), Lock::None, checked)).await? {
        let mut row = Columns::of(&row);
        snapshot.fences.insert(PaymentId(row.take()?), row.take()?);
    }
    for row in &orders {
        let order = order(row, wanted, &mut payments)?;
        snapshot.orders.insert(order.id, order);
    }
    Ok(())
}

fn order(
    row: &QueryResult,
    parts: &BTreeMap<OrderId, OrderParts>,
    payments: &mut BTreeMap<OrderId, Payment>,
) -> Result<Order, StorageError> {
    let mut row = Columns::of(row);
    let id = OrderId(row.take()?);
    Ok(Order {
        id,
        user: UserId(row.take()?),
        status: row.named("order status", OrderStatus::parse)?,
        lines: parts.get(&id).map_or_else(|| Arc::from([]), |parts| parts.lines.clone()),
        items_total: row.money("items total")?,
        discount: row.money("discount")?,
        total: row.money("total")?,
        issued_coupon: row.take::<Option<uuid::Uuid>>()?.map(IssuedCouponId),
        points_earned: row.money("points earned")?,
        event_seq: row.take()?,
        created_at: row.time()?,
        paid_at: row.optional_time()?,
        expires_at: row.optional_time()?,
        updated_at: row.time()?,
        payment: payments.remove(&id).ok_or_else(|| undecodable("order without a payment", id))?,
    })
}
