//! Invariant 2: balances are the sum of the ledger, and every order moved the points that its state says.

use commerce_api_application::ports::StorageError;
use commerce_api_domain::LedgerKind;
use commerce_database::Template;
use uuid::Uuid;

use super::report::{ROWS_MAX, Report};
use super::snapshot::{Snapshot, live};
use super::sums;
use crate::sql::decode::{Columns, undecodable};

pub(super) async fn check(snapshot: &Snapshot, report: &mut Report) -> Result<(), StorageError> {
    report.checked("users", snapshot.count("users").await?);
    report.checked("orders", snapshot.count("orders").await?);
    balances(snapshot, report).await?;
    ledger_rows(snapshot, report).await?;
    orders(snapshot, report).await
}

async fn balances(snapshot: &Snapshot, report: &mut Report) -> Result<(), StorageError> {
    let sql = Template::new(
        "SELECT u.id, u.balance, {points} FROM users u \
         LEFT JOIN point_ledger g ON g.user_id = u.id GROUP BY u.id, u.balance \
         HAVING u.balance < 0 OR u.balance <> {points} ORDER BY u.id LIMIT {max}",
    )
    .fragment("points", sums::whole("g.signed_amount"))
    .number("max", ROWS_MAX);
    for row in snapshot.rows(sql, []).await? {
        let mut row = Columns::of(&row);
        let (user, balance): (i64, i64) = (row.take()?, row.take()?);
        let points = sums::number(&mut row)?;
        report.violated(2, format!("user:{user}"), format!("balance {balance}, ledger {points}"));
    }
    Ok(())
}

/// Rows that count for nobody, or with the wrong sign.
async fn ledger_rows(snapshot: &Snapshot, report: &mut Report) -> Result<(), StorageError> {
    let sql = Template::new(
        "SELECT g.id, g.kind, g.amount, g.signed_amount FROM point_ledger g \
         LEFT JOIN users u ON u.id = g.user_id LEFT JOIN orders o ON o.id = g.order_id \
         WHERE u.id IS NULL OR (g.order_id IS NOT NULL AND o.id IS NULL) OR o.user_id <> g.user_id \
           OR (g.order_id IS NULL) <> (g.kind = {charge}) OR g.kind NOT IN ({kinds}) \
           OR g.signed_amount <> CASE WHEN g.kind IN ({debits}) THEN -g.amount ELSE g.amount END \
         ORDER BY g.id LIMIT {max}",
    )
    .names("charge", [LedgerKind::Charge.name()])
    .names("kinds", LedgerKind::ALL.map(LedgerKind::name))
    .names("debits", LedgerKind::ALL.into_iter().filter(|kind| kind.is_debit()).map(LedgerKind::name))
    .number("max", ROWS_MAX);
    for row in snapshot.rows(sql, []).await? {
        let mut row = Columns::of(&row);
        let (id, kind): (Uuid, String) = (row.take()?, row.take()?);
        let (amount, signed): (i64, i64) = (row.take()?, row.take()?);
        report.violated(
            2,
            format!("ledger:{id}"),
            format!("{kind} of {amount}, counted as {signed}: wrong user, order, kind or sign"),
        );
    }
    Ok(())
}

/// What is wrong with an order, and the condition under which it is, on the columns of [`facts`].
const RULES: &[(&str, &str)] = &[
    ("the total is not points part plus card part", "f.total <> f.points_part + f.card_part"),
    ("the total is not the items less the discount", "f.total <> f.items_total - f.discount"),
    ("the items total is not the sum of the lines", "f.items_total <> f.lines_total"),
    ("the payment has other parts", "f.payment_points <> f.points_part OR f.payment_card <> f.card_part"),
    (
        "the status and the time of payment do not fit",
        "(f.status IN ('PAID', 'CANCEL_PENDING') AND f.paid = 0) \
         OR (f.status IN ('PAYMENT_PENDING', 'PAYMENT_FAILED', 'EXPIRED') AND f.paid = 1)",
    ),
    (
        "USE is not the points part",
        "f.used <> f.points_part OR f.use_rows <> CASE WHEN f.points_part > 0 THEN 1 ELSE 0 END",
    ),
    (
        "REFUND is not what was used",
        "f.refunded <> CASE WHEN f.live = 1 THEN 0 ELSE f.points_part END \
         OR f.refund_rows <> CASE WHEN f.live = 0 AND f.points_part > 0 THEN 1 ELSE 0 END",
    ),
    (
        "EARN is not what the order earned",
        "f.earn_rows <> f.paid OR f.earned <> CASE WHEN f.paid = 1 THEN f.points_earned ELSE 0 END \
         OR (f.paid = 0 AND f.points_earned <> 0)",
    ),
    (
        "REVOKE is not what was earned",
        "f.revoke_rows <> CASE WHEN f.paid = 1 AND f.status <> 'PAID' THEN 1 ELSE 0 END \
         OR f.revoked <> CASE WHEN f.paid = 1 AND f.status <> 'PAID' THEN f.points_earned ELSE 0 END",
    ),
];

/// One row an order: its columns, its lines, its payment and its ledger rows. Grouped by the key that the orders are
/// read in, so that no row is kept: memory does not grow with the shop.
fn facts() -> Template {
    let sums = [
        ("use_rows", "used", LedgerKind::Use),
        ("refund_rows", "refunded", LedgerKind::Refund),
        ("earn_rows", "earned", LedgerKind::Earn),
        ("revoke_rows", "revoked", LedgerKind::Revoke),
    ];
    let sums = sums.map(|(rows, points, kind)| {
        Template::new(
            "CAST(SUM(CASE WHEN g.kind = {kind} THEN 1 ELSE 0 END) AS SIGNED) AS {rows}, \
             {sum} AS {points}",
        )
        .fragment("sum", sums::whole(amount(kind)))
        .names("kind", [kind.name()])
        .identifier("rows", rows)
        .identifier("points", points)
    });
    Template::new(
        "SELECT o.id, o.status, o.items_total, o.discount, o.total, o.points_part, o.card_part, o.points_earned, \
           CASE WHEN o.paid_at IS NULL THEN 0 ELSE 1 END AS paid, \
           CASE WHEN o.status IN ({live}) THEN 1 ELSE 0 END AS live, \
           (SELECT {lines} FROM order_lines l WHERE l.order_id = o.id) AS lines_total, \
           MAX(p.points_part) AS payment_points, MAX(p.card_part) AS payment_card, {sums} \
         FROM orders o LEFT JOIN payments p ON p.order_id = o.id \
         LEFT JOIN point_ledger g ON g.order_id = o.id GROUP BY o.id",
    )
    .fragment("lines", sums::whole("(l.unit_price * l.quantity)"))
    .names("live", live())
    .fragments("sums", ", ", sums)
}

/// The amount of a ledger row of `kind`, 0 of any other.
fn amount(kind: LedgerKind) -> Template {
    Template::new("(CASE WHEN g.kind = {kind} THEN g.amount ELSE 0 END)").names("kind", [kind.name()])
}

async fn orders(snapshot: &Snapshot, report: &mut Report) -> Result<(), StorageError> {
    let rules = (0_u32..).zip(RULES).map(|(index, (_, broken))| {
        Template::new("WHEN {broken} THEN {index}").fragment("broken", *broken).number("index", index)
    });
    let sql = Template::new(
        "SELECT r.id, r.broken, r.status, r.items_total, r.lines_total, r.discount, r.total, r.points_part, \
           r.card_part, r.used, r.refunded, r.points_earned, r.earned, r.revoked \
         FROM (SELECT f.*, CASE {rules} END AS broken FROM ({facts}) f) r \
         WHERE r.broken IS NOT NULL ORDER BY r.id LIMIT {max}",
    )
    .fragments("rules", " ", rules)
    .fragment("facts", facts())
    .number("max", ROWS_MAX);
    for row in snapshot.rows(sql, []).await? {
        let mut row = Columns::of(&row);
        let order: Uuid = row.take()?;
        let (index, status): (i64, String) = (row.take()?, row.take()?);
        let rule = usize::try_from(index).ok().and_then(|index| RULES.get(index));
        let (broken, _) = rule.ok_or_else(|| undecodable("rule", index))?;
        let numbers = [
            "items", "lines", "discount", "total", "points", "card", "USE", "REFUND", "to earn", "EARN",
            "REVOKE",
        ];
        let mut detail = format!("{broken}: {status}");
        for name in numbers {
            detail.extend([", ", name, " ", &sums::number(&mut row)?]);
        }
        report.violated(2, format!("order:{order}"), detail);
    }
    Ok(())
}
