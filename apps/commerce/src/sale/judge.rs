//! Whether a run was right. Pure, so that every way to be wrong is tested.

use super::buyer::Answer;
use super::measure::Counts;
use crate::shop::Order;
use crate::target::AuditVerdict;

/// Sums over the orders that were told PAID.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// What they cost, in won.
    pub paid: i64,
    /// Points spent.
    pub spent: i64,
    /// Points earned.
    pub earned: i64,
    /// Paid by card, in won.
    pub by_card: i64,
}

impl Totals {
    /// Adds an order.
    pub fn add(&mut self, order: &Order) {
        self.paid += order.total;
        self.spent += order.payment.points_part;
        self.earned += order.points_earned;
        self.by_card += order.payment.card_part;
    }

    /// Adds an answer, where it is an order.
    pub fn add_answer(&mut self, answer: &Answer) {
        if let Answer::Paid(order) = answer {
            self.add(order);
        }
    }

    /// Adds what somebody else summed.
    pub const fn merge(&mut self, other: Self) {
        self.paid += other.paid;
        self.spent += other.spent;
        self.earned += other.earned;
        self.by_card += other.by_card;
    }
}

/// What a run is judged by.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Orders placed.
    pub orders: u64,
    /// Pieces that there were.
    pub stock: u64,
    /// What the buyers were told.
    pub counts: Counts,
    /// Sums over the orders that were told PAID.
    pub totals: Totals,
    /// Points of all buyers before.
    pub points_before: i64,
    /// What the shop says afterwards; none where it could not be asked, and why.
    pub after: Result<After, String>,
}

/// What the shop says afterwards.
#[derive(Debug, Clone)]
pub struct After {
    /// Orders told PAID that are PAID when they are read back; none where they were not read.
    pub confirmed: Option<u64>,
    /// Pieces left.
    pub stock_left: i64,
    /// Points of all buyers.
    pub points: i64,
    /// The audit.
    pub audit: AuditVerdict,
    /// What the simulated gateway of the shop's own took and did not give back, in won; none where it is not its own.
    pub at_gateway: Option<i64>,
}

impl Facts {
    /// Pieces sold beyond those that there were.
    pub const fn oversold(&self) -> u64 {
        self.counts.sold.saturating_sub(self.stock)
    }

    /// What is wrong; nothing where all is well.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut expect = |what: &str, expected: i128, actual: i128| {
            if expected != actual {
                problems.push(format!("{what}: expected {expected}, found {actual}"));
            }
        };
        let counts = &self.counts;
        let sold = i128::from(counts.sold);
        expect("pieces sold", i128::from(self.orders.min(self.stock)), sold);
        expect("pieces oversold", 0, i128::from(self.oversold()));
        expect("orders answered", i128::from(self.orders), i128::from(counts.answered()));
        for (code, count) in &counts.errors {
            expect(&format!("answers {code}"), 0, i128::from(*count));
        }
        match &self.after {
            Err(why) => problems.push(format!("the shop could not be checked afterwards: {why}")),
            Ok(after) => {
                if let Some(confirmed) = after.confirmed {
                    expect("orders told PAID that are PAID", sold, i128::from(confirmed));
                }
                expect("pieces left", i128::from(self.stock) - sold, i128::from(after.stock_left));
                let points =
                    i128::from(after.points) + i128::from(self.totals.spent) - i128::from(self.totals.earned);
                expect("points left + spent - earned", i128::from(self.points_before), points);
                if let Some(won) = after.at_gateway {
                    expect("won at the gateway", i128::from(self.totals.by_card), i128::from(won));
                }
                if let AuditVerdict::Violated(findings) = after.audit {
                    problems.push(format!("the audit found {findings} violations; see `commerce audit`"));
                }
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Facts {
        Facts {
            orders: 60,
            stock: 10,
            counts: Counts { sold: 10, refused: 50, ..Counts::default() },
            totals: Totals { paid: 100_000, spent: 100_000, earned: 1_000, by_card: 0 },
            points_before: 1_200_000,
            after: Ok(After {
                confirmed: Some(10),
                stock_left: 0,
                points: 1_101_000,
                audit: AuditVerdict::Clean,
                at_gateway: Some(0),
            }),
        }
    }

    fn problem(break_it: impl FnOnce(&mut Facts)) -> String {
        let mut facts = good();
        break_it(&mut facts);
        facts.problems().join("\n")
    }

    #[test]
    fn a_good_sale_has_no_problem() {
        assert_eq!(good().problems(), Vec::<String>::new());
        assert_eq!(problem(|facts| after(facts).audit = AuditVerdict::NotRun), "");
        assert_eq!(problem(|facts| after(facts).confirmed = None), "");
    }

    fn after(facts: &mut Facts) -> &mut After {
        facts.after.as_mut().unwrap()
    }

    type Break = fn(&mut Facts);

    #[test]
    fn every_way_to_be_wrong_is_named() {
        let oversold = problem(|facts| {
            facts.counts.sold = 11;
            facts.counts.refused = 49;
        });
        assert!(oversold.contains("pieces oversold: expected 0, found 1"), "{oversold}");
        let cases: [(&str, Break); 10] = [
            ("pieces sold: expected 10, found 9", |facts| facts.counts.sold = 9),
            ("orders answered: expected 60, found 59", |facts| facts.counts.refused = 49),
            ("answers HTTP_500: expected 0, found 1", |facts| {
                facts.counts.refused = 49;
                facts.counts.errors.insert("HTTP_500".into(), 1);
            }),
            ("orders told PAID that are PAID: expected 10, found 9", |facts| {
                after(facts).confirmed = Some(9);
            }),
            ("pieces left: expected 0, found -1", |facts| after(facts).stock_left = -1),
            ("points left + spent - earned: expected 1200000, found 1200001", |facts| {
                after(facts).points += 1;
            }),
            ("points left + spent - earned", |facts| facts.totals.earned = 0),
            ("won at the gateway: expected 0, found 7", |facts| after(facts).at_gateway = Some(7)),
            ("the audit found 2 violations", |facts| after(facts).audit = AuditVerdict::Violated(2)),
            ("could not be checked afterwards: gone", |facts| facts.after = Err("gone".into())),
        ];
        for (expected, break_it) in cases {
            let found = problem(break_it);
            assert!(found.contains(expected), "{expected}: {found}");
        }
    }
}
