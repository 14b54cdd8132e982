//! The audit passes a sound shop, and finds every rule that is broken on purpose, by its number.

use std::collections::BTreeSet;

use crate::shop::*;
use commerce_api_application::desk::OrderDesk;
use commerce_api_application::ports::{AuditReport, AuditStore, Clock as _, FindingState};
use commerce_api_domain::*;
use commerce_api_infrastructure::sql::SqlAudit;
use commerce_database::{Database, Template};
use sea_orm::Value;

/// A shop in which something of everything happened.
struct Busy {
    shop: Shop,
    desk: OrderDesk,
    product: ProductId,
}

impl Busy {
    async fn place(&self, kind: CommandKind) -> Order {
        order_of(self.shop.run(&self.desk, kind).await.unwrap())
    }

    async fn buyer(&self) -> UserId {
        self.shop.user(100_000).await
    }

    async fn by_card(&self) -> Order {
        let user = self.buyer().await;
        self.place(by_card(user, self.product, 1, 3_000)).await
    }

    async fn pay(&self, order: &Order, command: PaymentCommand) -> Order {
        self.place(CommandKind::Payment { order: order.id, command }).await
    }

    async fn captured(&self, key: &str) -> Order {
        let order = self.by_card().await;
        self.pay(&order, PaymentCommand::Send).await;
        self.pay(&order, PaymentCommand::Captured { key: key.into() }).await
    }

    async fn cancel(&self, order: &Order) -> Order {
        self.place(CommandKind::Cancel { order: order.id, by: Actor::Customer(order.user) }).await
    }

    async fn with_coupon(&self, coupon: CouponId) -> Order {
        let user = self.buyer().await;
        let issue = CommandKind::IssueCoupon { coupon, user };
        let Outcome::CouponIssued(issued, _) = self.shop.run(&self.desk, issue).await.unwrap() else {
            panic!("no coupon")
        };
        let CommandKind::Place(place) = by_points(user, self.product, 1) else { unreachable!() };
        self.place(CommandKind::Place(PlaceOrder { issued_coupon: Some(issued.id), ..place })).await
    }

    fn db(&self) -> &Database {
        match &self.shop.backend {
            Backend::Sql { database, .. } => database,
            Backend::Memory(_) => unreachable!(),
        }
    }

    async fn audit(&self, settled: bool) -> AuditReport {
        SqlAudit::new(self.db().clone()).audit(self.shop.clock.now(), settled).await.unwrap()
    }
}

async fn busy() -> Busy {
    let shop = Shop::sqlite().await;
    let product = shop.product(10_000, 100).await;
    let coupon = shop.coupon(Some(5)).await;
    let desk = shop.desk();
    let busy = Busy { shop, desk, product };

    let user = busy.buyer().await;
    busy.place(by_points(user, product, 2)).await;
    let canceled = busy.place(by_points(user, product, 3)).await;
    busy.cancel(&canceled).await;
    busy.by_card().await;
    busy.captured("key-paid").await;
    let refunding = busy.captured("key-refunding").await;
    busy.cancel(&refunding).await;
    let refunded = busy.captured("key-refunded").await;
    busy.cancel(&refunded).await;
    busy.pay(&refunded, PaymentCommand::RefundSettled).await;
    let declined = busy.by_card().await;
    busy.pay(&declined, PaymentCommand::Send).await;
    busy.pay(&declined, PaymentCommand::Declined { key: "key-declined".into(), reason: "limit".into() })
        .await;
    busy.with_coupon(coupon).await;
    let unused = busy.with_coupon(coupon).await;
    busy.cancel(&unused).await;
    let adjust = CommandKind::MoveStock {
        product,
        kind: MovementKind::Adjustment,
        quantity: -4,
        reason: Some("broken".into()),
    };
    busy.shop.run(&busy.desk, adjust).await.unwrap();
    busy
}

#[tokio::test]
async fn a_sound_shop_passes_and_its_sums_are_told() {
    let busy = busy().await;
    let report = busy.audit(true).await;
    assert_eq!(report.findings, []);
    assert!(!report.is_violated() && !report.truncated);
    let checked = [
        ("products", 1),
        ("users", 8),
        ("orders", 9),
        ("payments", 9),
        ("payment events", 28),
        ("coupons", 1),
        ("issued coupons", 2),
        ("open payments", 2),
    ];
    assert_eq!(report.checked, checked);
    // 20,000 and 9,000 by points, one by 3,000 points and 7,000 by card, one of the same waits.
    let totals = [
        ("pieces in stock", 91),
        ("pieces in live orders", 5),
        ("pieces moved in by hand", 96),
        ("points balance", 800_000 - 20_000 - 9_000 - 3_000 - 3_000 + 200 + 90 + 100),
        ("points ledger", 800_000 - 20_000 - 9_000 - 3_000 - 3_000 + 200 + 90 + 100),
        ("orders PAYMENT_PENDING", 1),
        ("orders PAID", 3),
        ("orders PAYMENT_FAILED", 1),
        ("orders CANCEL_PENDING", 1),
        ("orders CANCELED", 3),
        ("orders EXPIRED", 0),
        ("paid", 20_000 + 9_000 + 10_000),
        ("captured", 21_000),
        ("refunded", 7_000),
        ("refund pending", 7_000),
    ];
    assert_eq!(report.totals, totals);
}

#[tokio::test]
async fn an_empty_database_passes() {
    let shop = Shop::sqlite().await;
    assert_eq!(shop.violations().await, [""; 0]);
}

/// What is done to the rows, and the invariants that must tell.
type Break = (&'static str, &'static [u8], &'static [&'static str]);

const BREAKS: &[Break] = &[
    ("stock off by one", &[1], &["UPDATE products SET stock = stock + 1"]),
    ("a receipt that is gone", &[1], &["DELETE FROM stock_movements WHERE kind = 'RECEIPT'"]),
    ("lines of an unknown product", &[1], &["UPDATE order_lines SET product_id = 999"]),
    ("a balance off by one", &[2], &["UPDATE users SET balance = balance + 1 WHERE id = 1"]),
    ("a ledger row that is gone", &[2], &["DELETE FROM point_ledger WHERE kind = 'CHARGE' AND user_id = 1"]),
    (
        "a REFUND of a live order",
        &[2],
        &["UPDATE point_ledger SET kind = 'REFUND', signed_amount = amount WHERE kind = 'EARN' \
           AND order_id IN (SELECT id FROM orders WHERE status = 'PAID' AND issued_coupon_id IS NULL)"],
    ),
    (
        "a REFUND given twice",
        &[2],
        &[
            "DROP INDEX uq_point_ledger_order_kind",
            "UPDATE users SET balance = balance + (SELECT SUM(amount) FROM point_ledger WHERE kind = 'REFUND' \
             AND user_id = users.id) WHERE id IN (SELECT user_id FROM point_ledger WHERE kind = 'REFUND')",
            "INSERT INTO point_ledger SELECT randomblob(16), user_id, order_id, kind, amount, signed_amount, \
             balance_after, at FROM point_ledger WHERE kind = 'REFUND'",
        ],
    ),
    (
        "another amount earned",
        &[2],
        &["UPDATE orders SET points_earned = points_earned + 1 WHERE status = 'PAID'"],
    ),
    (
        "a total that is not the lines",
        &[2],
        &["UPDATE orders SET items_total = items_total + 1, discount = discount + 1"],
    ),
    ("other parts of the payment", &[2], &["UPDATE payments SET points_part = points_part + 1"]),
    (
        "a PAID order that was never paid",
        &[2],
        &["UPDATE orders SET paid_at = NULL WHERE status = 'PAID' AND issued_coupon_id IS NULL"],
    ),
    (
        "a wrong sign",
        &[2],
        &["UPDATE point_ledger SET signed_amount = -amount WHERE kind = 'CHARGE' AND user_id = 1"],
    ),
    ("points of another user's order", &[2], &["UPDATE point_ledger SET user_id = 2 WHERE kind = 'USE'"]),
    ("a payment status", &[3], &["UPDATE payments SET status = 'UNKNOWN' WHERE status = 'PENDING'"]),
    ("a status nobody knows", &[3, 6], &["UPDATE payments SET status = 'LOST' WHERE status = 'FAILED'"]),
    ("a first event that is gone", &[3], &["DELETE FROM payment_events WHERE event = 'CREATED'"]),
    ("a last event that is gone", &[3], &["DELETE FROM payment_events WHERE event = 'DECLINED'"]),
    ("an event nobody knows", &[3], &["UPDATE payment_events SET event = 'LOST' WHERE event = 'DECLINED'"]),
    ("an event's status", &[3], &["UPDATE payment_events SET status = 'PENDING' WHERE event = 'SENT'"]),
    (
        "another gateway key",
        &[3],
        &["UPDATE payments SET gateway_key = 'other' WHERE gateway_key = 'key-paid'"],
    ),
    ("a refund that is gone", &[3], &["DELETE FROM refunds WHERE state = 'PENDING'"]),
    ("a refund settled too early", &[3], &["UPDATE refunds SET state = 'DONE'"]),
    (
        "an order without a payment",
        &[3],
        &[
            "DELETE FROM payment_events WHERE payment_id IN (SELECT id FROM payments WHERE status = 'FAILED')",
            "DELETE FROM payments WHERE status = 'FAILED'",
        ],
    ),
    (
        "a live order of a voided kind",
        &[1, 2, 3, 6],
        &["UPDATE orders SET status = 'EXPIRED' WHERE status = 'PAYMENT_PENDING'"],
    ),
    ("a coupon USED by nobody", &[4], &["UPDATE issued_coupons SET status = 'USED' WHERE status = 'USABLE'"]),
    (
        "a coupon given back while used",
        &[4],
        &["UPDATE issued_coupons SET status = 'USABLE', order_id = NULL"],
    ),
    (
        "a coupon used by another order",
        &[4],
        &[
            "UPDATE issued_coupons SET order_id = (SELECT id FROM orders WHERE issued_coupon_id IS NULL LIMIT 1) \
         WHERE status = 'USED'",
        ],
    ),
    (
        "two live orders with one coupon",
        &[4],
        &[
            "UPDATE orders SET issued_coupon_id = (SELECT id FROM issued_coupons WHERE status = 'USED'), \
         user_id = (SELECT user_id FROM issued_coupons WHERE status = 'USED') WHERE status = 'PAYMENT_PENDING'",
            "UPDATE payments SET user_id = (SELECT user_id FROM issued_coupons WHERE status = 'USED') \
         WHERE status = 'PENDING'",
            "UPDATE users SET balance = balance + 3000 WHERE id = 2",
            "UPDATE users SET balance = balance - 3000 WHERE id = (SELECT user_id FROM issued_coupons WHERE status = 'USED')",
            "UPDATE point_ledger SET user_id = (SELECT user_id FROM issued_coupons WHERE status = 'USED') \
         WHERE kind = 'USE' AND user_id = 2",
        ],
    ),
    ("another customer's coupon", &[4], &["UPDATE issued_coupons SET user_id = 1 WHERE status = 'USED'"]),
    ("an issued count", &[4], &["UPDATE coupons SET issued_count = issued_count + 1"]),
    ("a coupon that is gone", &[4], &["DELETE FROM coupons"]),
    ("a check that is gone", &[6], &["DELETE FROM payment_checks"]),
    (
        "a duplicate capture without a refund",
        &[3],
        &["UPDATE payments SET duplicates = '[[\"K9\",false]]' WHERE gateway_key = 'key-paid'"],
    ),
    (
        "a refund that nobody visits",
        &[3, 6],
        &["INSERT INTO refunds SELECT id, 'K9', 'r', card_part, 'PENDING', 0, NULL FROM payments \
           WHERE gateway_key = 'key-paid'"],
    ),
    (
        "a card number that nobody needs",
        &[6],
        &["INSERT INTO card_vault SELECT id, x'00' FROM payments WHERE gateway_key = 'key-paid'"],
    ),
    ("a check too late", &[6], &["UPDATE payment_checks SET next_check_at = next_check_at + 600000001"]),
];

/// A movement of points that never happened leaves balance and ledger in step, so it must be missed by its order.
const SKIPPED: &[&str] = &[
    "UPDATE users SET balance = balance - (SELECT SUM(signed_amount) FROM point_ledger \
     WHERE kind = ?1 AND user_id = users.id) WHERE id IN (SELECT user_id FROM point_ledger WHERE kind = ?1)",
    "DELETE FROM point_ledger WHERE kind = ?1",
];

async fn is_found(
    what: &str,
    invariants: &[u8],
    statements: &'static [&'static str],
    values: &[Value],
) -> AuditReport {
    let busy = busy().await;
    for statement in statements {
        execute(busy.db(), *statement, values.iter().cloned()).await;
    }
    let report = busy.audit(false).await;
    let found: BTreeSet<u8> = report.findings.iter().map(|finding| finding.invariant).collect();
    let expected: BTreeSet<u8> = invariants.iter().copied().collect();
    assert_eq!(found, expected, "{what}: {:#?}", report.findings);
    assert!(report.is_violated(), "{what}");
    report
}

#[tokio::test]
async fn every_broken_rule_is_found_by_its_number() {
    for (what, invariants, statements) in BREAKS {
        is_found(what, invariants, statements, &[]).await;
    }
    for kind in ["USE", "REFUND", "EARN", "REVOKE"] {
        let what = format!("a skipped {kind}");
        let report = is_found(&what, &[2], SKIPPED, &[kind.into()]).await;
        let rule = format!("{kind} is not ");
        assert!(report.findings.iter().all(|found| found.detail.starts_with(&rule)), "{what}: {report:#?}");
    }
}

#[tokio::test]
async fn what_merely_lags_is_a_violation_only_once_settled() {
    let busy = busy().await;
    execute(busy.db(), "UPDATE payment_checks SET next_check_at = next_check_at - 1", []).await;
    let lagging = busy.audit(false).await;
    assert_eq!(lagging.findings.len(), 2);
    assert!(
        lagging
            .findings
            .iter()
            .all(|finding| finding.state == FindingState::Pending && finding.invariant == 6)
    );
    assert!(!lagging.is_violated());
    assert!(busy.audit(true).await.is_violated());
}

#[tokio::test]
async fn sums_beyond_64_bits_are_audited_all_the_same() {
    let shop = Shop::sqlite().await;
    let Backend::Sql { database, .. } = &shop.backend else { unreachable!() };
    let rich = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) ";
    let users = Template::new(
        "INSERT INTO users (id, login_id, email, password_hash, role, balance, created_at) \
         {rich} SELECT i, 'u' || i, 'u' || i, '!', 'CUSTOMER', 9000000000000000, 0 FROM n",
    );
    execute(database, users.fragment("rich", rich), []).await;
    let ledger = Template::new(
        "INSERT INTO point_ledger (id, user_id, kind, amount, signed_amount, balance_after, at) \
         {rich} SELECT randomblob(16), i, 'CHARGE', 9000000000000000, 9000000000000000, 9000000000000000, 0 FROM n",
    );
    execute(database, ledger.fragment("rich", rich), []).await;
    let report = SqlAudit::new(database.clone()).audit(shop.clock.now(), true).await.unwrap();
    assert_eq!(report.findings, []);
    let told = |what| report.totals.iter().find(|(total, _)| *total == what).unwrap().1;
    assert_eq!((told("points balance"), told("points ledger")), (i64::MAX, i64::MAX));

    // One account whose ledger alone is beyond: found, not the end of the audit.
    let one = "UPDATE point_ledger SET user_id = 1";
    execute(database, one, []).await;
    let report = SqlAudit::new(database.clone()).audit(shop.clock.now(), true).await.unwrap();
    assert_eq!(report.findings[0].subject, "user:1");
    assert_eq!(report.findings[0].detail, "balance 9000000000000000, ledger about 18000000000000000000");
    assert_eq!((report.findings.len(), report.truncated), (100, true), "and all who have none");
}

#[tokio::test]
async fn a_long_list_is_cut_and_says_so() {
    let shop = Shop::sqlite().await;
    for _ in 0..101 {
        shop.user(10).await;
    }
    let Backend::Sql { database, .. } = &shop.backend else { unreachable!() };
    execute(database, "UPDATE users SET balance = balance + 1", []).await;
    let report = SqlAudit::new(database.clone()).audit(shop.clock.now(), false).await.unwrap();
    assert_eq!((report.findings.len(), report.truncated), (100, true));
    execute(database, "UPDATE users SET balance = balance - 1 WHERE id = 101", []).await;
    let report = SqlAudit::new(database.clone()).audit(shop.clock.now(), false).await.unwrap();
    assert_eq!((report.findings.len(), report.truncated), (100, false));
}
