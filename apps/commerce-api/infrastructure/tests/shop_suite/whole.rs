//! Every statement of every command fails in turn, on SQL: no row of any table is another one afterwards.

use std::collections::BTreeMap;

use crate::shop::*;
use commerce_api_application::desk::{
    DeskOptions, DeskReply, LikeDesk, LikeReply, OrderDesk, Submission, SubmitError,
};
use commerce_api_application::ports::{AuditEntry, IdSource, InboxEntry};
use commerce_api_domain::*;
use commerce_database::{Database, Dialect, Template};
use sea_orm::{ConnectionTrait, Value};

/// A statement by its verb and table.
type Change = (&'static str, &'static str);

struct World {
    shop: Shop,
    desk: OrderDesk,
    user: UserId,
    product: ProductId,
    coupon: CouponId,
}

impl World {
    async fn open() -> Self {
        let shop = Shop::sqlite().await;
        let (user, product) = (shop.user(100_000).await, shop.product(10_000, 10).await);
        let (coupon, desk) = (shop.coupon(Some(5)).await, shop.desk());
        Self { shop, desk, user, product, coupon }
    }

    fn database(&self) -> &Database {
        match &self.shop.backend {
            Backend::Sql { database, .. } => database,
            Backend::Memory(_) => unreachable!(),
        }
    }

    async fn query(&self, sql: impl Into<Template>, values: impl IntoIterator<Item = Value>) -> Vec<String> {
        let statement = sql.into().statement(Dialect::Sqlite, values);
        let rows = self.database().reader().query_all_raw(statement).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    /// Every row of every table, by its table.
    async fn rows(&self) -> BTreeMap<String, Vec<String>> {
        let mut all = BTreeMap::new();
        for table in self.query("SELECT name FROM sqlite_schema WHERE type = 'table'", []).await {
            let columns = self.query("SELECT name FROM pragma_table_info(?)", [table.as_str().into()]).await;
            let quoted = |name: &String| Template::new("quote({name})").identifier("name", name);
            let sql = Template::new("SELECT {columns} FROM {table} ORDER BY 1")
                .fragments("columns", " || ', ' || ", columns.iter().map(quoted))
                .identifier("table", &table);
            all.insert(table, self.query(sql, []).await);
        }
        all
    }

    /// Runs `act` once for each statement, which fails; then once more, when it succeeds and something was written.
    async fn is_whole<R, F>(&self, what: &str, statements: &[Change], act: impl Fn() -> F) -> R
    where
        F: Future<Output = Result<R, SubmitError>>,
        R: std::fmt::Debug + PartialEq,
    {
        let before = self.rows().await;
        for (operation, table) in statements {
            let trigger = Template::new(
                "CREATE TRIGGER broken BEFORE {operation} ON {table} BEGIN SELECT RAISE(ABORT, 'broken'); END",
            );
            let trigger = trigger.fragment("operation", *operation).identifier("table", table);
            execute(self.database(), trigger, []).await;
            let reply = act().await;
            execute(self.database(), "DROP TRIGGER broken", []).await;
            assert_eq!(reply, Err(SubmitError::Failed), "{what}, {operation} {table}");
            assert_eq!(self.rows().await, before, "{what}, {operation} {table}: something of it is visible");
        }
        let done = act().await.unwrap();
        assert_ne!(self.rows().await, before, "{what}");
        done
    }

    /// The same of a command, under a key where a client sends it.
    async fn command(&self, what: &str, with_key: bool, kind: CommandKind, statements: &[Change]) -> Outcome {
        let key = [("INSERT", "idempotency_keys")];
        let statements = [statements, if with_key { &key[..] } else { &[] }].concat();
        let reply = self
            .is_whole(what, &statements, || async {
                let submission = keyed(self.user, what, 1, kind.clone());
                let keyed = submission.keyed.clone().filter(|_| with_key);
                let audit = matches!(kind, CommandKind::MoveStock { .. }).then(|| self.audit_entry());
                let callback = statements.contains(&("INSERT", "callback_inbox")).then(callback);
                self.desk.submit(Submission { keyed, audit, callback, ..submission }).await
            })
            .await;
        match reply {
            DeskReply::Decided { decision, .. } => decision.unwrap(),
            other => panic!("{what}: {other:?}"),
        }
    }

    fn audit_entry(&self) -> AuditEntry {
        AuditEntry {
            id: self.shop.ids.uuid(),
            actor: "user:1".to_owned(),
            action: "STOCK_MOVED",
            target: "product:1".to_owned(),
            detail: "{}".to_owned(),
            at: NOW,
        }
    }
}

fn callback() -> InboxEntry {
    let event_id = "evt-1".to_owned();
    InboxEntry { event_id, headers: "{}".to_owned(), body: "{}".to_owned(), received_at: NOW }
}

const ORDER_MOVES: [Change; 3] = [("UPDATE", "orders"), ("UPDATE", "payments"), ("INSERT", "payment_events")];

#[tokio::test]
async fn points_stock_and_coupons_move_whole_or_not_at_all() {
    let world = World::open().await;
    let (user, product, coupon) = (world.user, world.product, world.coupon);
    let charge = CommandKind::ChargePoints { user, amount: won(5) };
    world.command("charge", true, charge, &[("UPDATE", "users"), ("INSERT", "point_ledger")]).await;
    // All of the stock, so that there is an event to tell.
    let reason = Some("lost".into());
    let adjust = CommandKind::MoveStock { product, kind: MovementKind::Adjustment, quantity: -10, reason };
    let moves = [("UPDATE", "products"), ("INSERT", "stock_movements"), ("INSERT", "audit_log")];
    world.command("move stock", true, adjust, &[&moves[..], &[("INSERT", "outbox")]].concat()).await;
    let issue = CommandKind::IssueCoupon { coupon, user };
    let issues = [("UPDATE", "coupons"), ("INSERT", "issued_coupons"), ("INSERT", "outbox")];
    world.command("issue", true, issue, &issues).await;
    assert_eq!(world.shop.violations().await, [""; 0]);
}

#[tokio::test]
async fn a_payment_by_card_moves_whole_or_not_at_all() {
    let world = World::open().await;
    let (user, product) = (world.user, world.product);
    let creates = [("INSERT", "orders"), ("INSERT", "order_lines"), ("INSERT", "payments")];
    let keeps = [("INSERT", "payment_events"), ("INSERT", "payment_checks"), ("INSERT", "card_vault")];
    let takes =
        [("UPDATE", "products"), ("UPDATE", "users"), ("INSERT", "point_ledger"), ("INSERT", "outbox")];
    let statements = [&creates[..], &keeps, &takes].concat();
    let placed = world.command("place", true, by_card(user, product, 1, 3_000), &statements).await;
    let order = order_of(placed).id;
    let pay = |command| CommandKind::Payment { order, command };
    world.command("send", false, pay(PaymentCommand::Send), &ORDER_MOVES).await;
    let captured = pay(PaymentCommand::Captured { key: "T1".into() });
    let earns = [("UPDATE", "users"), ("INSERT", "point_ledger"), ("DELETE", "payment_checks")];
    let told = [("INSERT", "outbox")];
    let by_callback = [("DELETE", "card_vault"), ("INSERT", "callback_inbox")];
    let statements = [&ORDER_MOVES[..], &earns, &told, &by_callback].concat();
    world.command("captured", false, captured, &statements).await;
    let again = pay(PaymentCommand::Captured { key: "T2".into() });
    let gives_back = [("INSERT", "payment_checks"), ("INSERT", "refunds")];
    let moves = [("UPDATE", "payments"), ("INSERT", "payment_events")];
    world.command("captured again", false, again, &[&moves[..], &gives_back].concat()).await;
    let settles_other = pay(PaymentCommand::DuplicateRefunded { key: "T2".into() });
    let statements = [&moves[..], &[("UPDATE", "refunds")]].concat();
    world.command("given back", false, settles_other, &statements).await;
    let cancel = CommandKind::Cancel { order, by: Actor::Customer(user) };
    let gives_back = [("UPDATE", "products"), ("UPDATE", "users"), ("INSERT", "point_ledger")];
    let asks = [("INSERT", "payment_checks"), ("INSERT", "refunds")];
    world.command("cancel", true, cancel, &[&ORDER_MOVES[..], &gives_back, &asks, &told].concat()).await;
    let ends = [("UPDATE", "refunds"), ("DELETE", "payment_checks")];
    let settled = pay(PaymentCommand::RefundSettled);
    world.command("settle", false, settled, &[&ORDER_MOVES[..], &ends, &told].concat()).await;
    assert_eq!(world.shop.violations().await, [""; 0]);
}

#[tokio::test]
async fn a_like_moves_whole_or_not_at_all() {
    let world = World::open().await;
    let (user, product) = (world.user, world.product);
    let desk = LikeDesk::start(world.shop.storage(), world.shop.clock.clone(), DeskOptions::default());
    let statements = [("INSERT", "product_likes"), ("INSERT", "outbox")];
    let liked = world
        .is_whole("like", &statements, || {
            desk.submit(LikeChange { ids: world.shop.ids.seed(), user, product, active: true })
        })
        .await;
    assert_eq!(liked, LikeReply::Set { changed: true });
}
