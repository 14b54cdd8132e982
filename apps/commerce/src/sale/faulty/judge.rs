//! Whether a sale under faults was right. Pure, so that every way to be wrong is tested.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::gateway::Transaction;
use crate::shop::Order;
use crate::target::AuditVerdict;

/// What a sale under faults is judged by.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Buyers who came.
    pub buyers: u64,
    /// Pieces that there were.
    pub stock: u64,
    /// Orders that were accepted.
    pub placed: u64,
    /// Buyers who were told that there was nothing left while things went wrong.
    pub refused: u64,
    /// Answers of other kinds, by code, and silence, by cause.
    pub unexpected: BTreeMap<String, u64>,
    /// Cancels that the shop accepted.
    pub canceled: u64,
    /// How the orders ended, order and payment, at the end of everything.
    pub ends: BTreeMap<String, u64>,
    /// Pieces left at the end.
    pub stock_left: i64,
    /// What the gateway's own books say of them.
    pub books: Books,
    /// How long it took after the faults stopped until no payment was open; none where that did not come.
    pub drained: Option<Duration>,
    /// How long until nothing lagged any more.
    pub at_rest: Duration,
    /// The audit at that moment.
    pub audit: AuditVerdict,
    /// The audit at the end of everything.
    pub audit_after: AuditVerdict,
    /// What went wrong how often.
    pub faults: BTreeMap<String, u64>,
}

/// Orders compared with the gateway's own books.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Books {
    /// Orders that were compared.
    pub orders: u64,
    /// Of them, those that are PAID.
    pub sold: u64,
    /// Orders for which the gateway keeps more than they cost.
    pub charged_twice: u64,
    /// Orders that are not PAID and for which it keeps money.
    pub kept_without_order: u64,
    /// Orders that are PAID and for which it keeps less than the card's part.
    pub paid_without_money: u64,
    /// Won that it took for them.
    pub captured: i64,
    /// Won that it gave back.
    pub refunded: i64,
}

/// Compares every order with what the gateway has under its payment's id.
pub fn compare(orders: &[Order], transactions: &[Transaction]) -> Books {
    let mut of: HashMap<&str, Vec<&Transaction>> = HashMap::new();
    for transaction in transactions {
        of.entry(&transaction.order_id).or_default().push(transaction);
    }
    let mut books = Books::default();
    for order in orders {
        let known = of.get(order.payment.id.as_str()).map_or(&[][..], Vec::as_slice);
        let kept: i64 = known.iter().map(|one| one.kept()).sum();
        let is_paid = order.status == "PAID";
        books.orders += 1;
        books.sold += u64::from(is_paid);
        books.charged_twice += u64::from(kept > order.payment.card_part);
        books.kept_without_order += u64::from(!is_paid && kept != 0);
        books.paid_without_money += u64::from(is_paid && kept < order.payment.card_part);
        books.captured += known.iter().filter(|one| one.is_captured()).map(|one| one.amount).sum::<i64>();
        books.refunded += known.iter().map(|one| one.refunded).sum::<i64>();
    }
    books
}

impl Facts {
    /// Pieces sold beyond those that there were.
    pub const fn oversold(&self) -> u64 {
        self.books.sold.saturating_sub(self.stock)
    }

    /// What is wrong; nothing where all is well.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut expect = |what: &str, expected: i128, actual: i128| {
            if expected != actual {
                problems.push(format!("{what}: expected {expected}, found {actual}"));
            }
        };
        let books = &self.books;
        expect("pieces sold", i128::from(self.stock.min(self.buyers)), i128::from(books.sold));
        expect("pieces oversold", 0, i128::from(self.oversold()));
        expect("pieces left", i128::from(self.stock) - i128::from(books.sold), i128::from(self.stock_left));
        expect("orders read back", i128::from(self.placed), i128::from(books.orders));
        expect("orders charged twice", 0, i128::from(books.charged_twice));
        expect("orders not PAID whose money is kept", 0, i128::from(books.kept_without_order));
        expect("orders PAID without their money", 0, i128::from(books.paid_without_money));
        for (code, count) in &self.unexpected {
            expect(&format!("answers {code}"), 0, i128::from(*count));
        }
        if self.drained.is_none() {
            problems.push("payments were still open long after the faults stopped".to_owned());
        }
        for (when, audit) in [("once all was settled", self.audit), ("at the end", self.audit_after)] {
            if let AuditVerdict::Violated(findings) = audit {
                problems.push(format!("the audit {when} found {findings} violations; see `commerce audit`"));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shop::OrderPayment;

    fn order(id: &str, status: &str) -> Order {
        let payment =
            OrderPayment { points_part: 0, card_part: 10, id: id.to_owned(), status: String::new() };
        Order { id: id.to_owned(), status: status.to_owned(), total: 10, points_earned: 0, payment }
    }

    fn transaction(order_id: &str, status: &str, refunded: i64) -> Transaction {
        let (key, status) = ("k".to_owned(), status.to_owned());
        Transaction { key, order_id: order_id.to_owned(), status, amount: 10, refunded }
    }

    #[test]
    fn every_order_is_compared_with_what_the_gateway_keeps() {
        let orders = [order("a", "PAID"), order("b", "CANCELED"), order("c", "PAYMENT_FAILED")];
        let good = [
            transaction("a", "SUCCESS", 10),
            transaction("a", "SUCCESS", 0),
            transaction("b", "SUCCESS", 10),
            transaction("c", "FAILED", 0),
            transaction("of another", "SUCCESS", 0),
        ];
        let books = Books { orders: 3, sold: 1, captured: 30, refunded: 20, ..Books::default() };
        assert_eq!(compare(&orders, &good), books);
        let twice = [transaction("a", "SUCCESS", 0), transaction("a", "SUCCESS", 0)];
        assert_eq!(compare(&orders, &twice).charged_twice, 1);
        let kept = [transaction("a", "SUCCESS", 0), transaction("b", "SUCCESS", 0)];
        assert_eq!(compare(&orders, &kept).kept_without_order, 1);
        assert_eq!(compare(&orders, &[]).paid_without_money, 1);
    }

    fn good() -> Facts {
        Facts {
            buyers: 20,
            stock: 10,
            placed: 14,
            refused: 6,
            unexpected: BTreeMap::new(),
            canceled: 2,
            ends: BTreeMap::new(),
            stock_left: 0,
            books: Books { orders: 14, sold: 10, ..Books::default() },
            drained: Some(Duration::from_secs(1)),
            at_rest: Duration::from_secs(2),
            audit: AuditVerdict::Clean,
            audit_after: AuditVerdict::Clean,
            faults: BTreeMap::new(),
        }
    }

    type Break = fn(&mut Facts);

    #[test]
    fn every_way_to_be_wrong_is_named() {
        assert_eq!(good().problems(), Vec::<String>::new());
        let cases: [(&str, Break); 9] = [
            ("pieces sold: expected 10, found 9", |facts| facts.books.sold = 9),
            ("pieces oversold: expected 0, found 1", |facts| facts.books.sold = 11),
            ("pieces left: expected 0, found 1", |facts| facts.stock_left = 1),
            ("orders read back: expected 14, found 13", |facts| facts.books.orders = 13),
            ("orders charged twice: expected 0, found 1", |facts| facts.books.charged_twice = 1),
            ("whose money is kept: expected 0, found 1", |facts| facts.books.kept_without_order = 1),
            ("without their money: expected 0, found 1", |facts| facts.books.paid_without_money = 1),
            ("payments were still open", |facts| facts.drained = None),
            ("the audit at the end found 2", |facts| facts.audit_after = AuditVerdict::Violated(2)),
        ];
        for (expected, break_it) in cases {
            let mut facts = good();
            break_it(&mut facts);
            let found = facts.problems().join("\n");
            assert!(found.contains(expected), "{expected}: {found}");
        }
        let mut facts = good();
        facts.unexpected.insert("HTTP_500".to_owned(), 1);
        assert_eq!(facts.problems(), ["answers HTTP_500: expected 0, found 1"]);
    }
}
