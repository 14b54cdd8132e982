use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use serde_json::json;

use super::judge::Facts;
use super::measure::{LatencySummary, per_second};
use crate::target::AuditVerdict;

/// What is printed of a run.
pub struct Report {
    /// `flash-sale` or `load`.
    pub kind: &'static str,
    /// Which shop.
    pub place: String,
    /// What was counted and found.
    pub facts: Facts,
    /// From the first order sent to the last answer.
    pub took: Duration,
    /// Latencies of answers.
    pub latency: LatencySummary,
    /// How long the gateway took to decide, from the release; none where nobody paid by card.
    pub settlement: Option<LatencySummary>,
}

impl Report {
    /// 0 where nothing is wrong.
    pub fn exit_code(&self) -> ExitCode {
        if self.facts.problems().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn orders_per_second(&self) -> f64 {
        per_second(self.facts.counts.answered(), self.took)
    }

    fn audit(&self) -> &'static str {
        match self.facts.after.as_ref().map(|after| after.audit) {
            Ok(AuditVerdict::Clean) => "clean",
            Ok(AuditVerdict::Violated(_)) => "violated",
            Ok(AuditVerdict::NotRun) | Err(_) => "not run",
        }
    }

    /// A table for people, then one figure a line.
    pub fn text(&self) -> String {
        let facts = &self.facts;
        let counts = &facts.counts;
        let mut text = format!("{} at {}\n{}\n\n", self.kind, self.place, self.table());
        let mut line = |what: &str, value: &dyn std::fmt::Display| {
            let _ = writeln!(text, "{what} {value}");
        };
        line("sold", &counts.sold);
        line("oversold", &facts.oversold());
        line("refused", &counts.refused);
        line("errors", &counts.errors.values().sum::<u64>());
        for (code, count) in &counts.errors {
            line(&format!("error {code}"), count);
        }
        line("unanswered", &counts.unanswered.values().sum::<u64>());
        for (cause, count) in &counts.unanswered {
            line(&format!("unanswered {cause}"), count);
        }
        line("orders/s", &format_args!("{:.0}", self.orders_per_second()));
        line("p50", &format_args!("{:.1} ms", self.latency.p50));
        line("p99", &format_args!("{:.1} ms", self.latency.p99));
        line("p99.9", &format_args!("{:.1} ms", self.latency.p999));
        if let Some(settlement) = self.settlement {
            line("settled p50", &format_args!("{:.1} ms", settlement.p50));
            line("settled all", &format_args!("{:.1} ms", settlement.max));
        }
        line("audit", &self.audit());
        if self.audit() == "not run" {
            line("note", &"the shop's data is not at hand; run `commerce audit` with its --data-dir");
        }
        let problems = facts.problems();
        if !problems.is_empty() {
            line("verdict", &problems.join("; "));
        } else if self.audit() == "not run" {
            line("verdict", &"OK (not audited)");
        } else {
            line("verdict", &"OK");
        }
        text.trim_end().to_owned()
    }

    fn table(&self) -> Table {
        let facts = &self.facts;
        let mut rows = vec![
            ("orders", facts.orders.to_string()),
            ("pieces before", facts.stock.to_string()),
            ("seconds", format!("{:.3}", self.took.as_secs_f64())),
            ("slowest answer, ms", format!("{:.1}", self.latency.max)),
            ("requests repeated", facts.counts.repeats.to_string()),
            ("answers replayed", facts.counts.replayed.to_string()),
            ("money paid, won", facts.totals.paid.to_string()),
            ("points before", facts.points_before.to_string()),
            ("points spent", facts.totals.spent.to_string()),
            ("points earned", facts.totals.earned.to_string()),
            ("paid by card, won", facts.totals.by_card.to_string()),
        ];
        if let Ok(after) = &facts.after {
            rows.push(("points after", after.points.to_string()));
            rows.push(("pieces left", after.stock_left.to_string()));
            if let Some(won) = after.at_gateway {
                rows.push(("at the gateway, won", won.to_string()));
            }
            if let Some(confirmed) = after.confirmed {
                rows.push(("PAID when read back", confirmed.to_string()));
            }
        }
        let mut table = Table::new();
        table.load_style(UTF8_BORDERS_ONLY);
        for (what, value) in rows {
            table.add_row([what.to_owned(), value]);
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// One JSON object.
    pub fn json(&self) -> String {
        let facts = &self.facts;
        let (counts, totals) = (&facts.counts, facts.totals);
        let after = facts.after.as_ref().ok();
        let problems = facts.problems();
        let verdict = if problems.is_empty() { "OK" } else { "FAILED" };
        json!({
            "kind": self.kind,
            "place": self.place,
            "orders": facts.orders,
            "stock": facts.stock,
            "sold": counts.sold,
            "oversold": facts.oversold(),
            "refused": counts.refused,
            "errors": counts.errors,
            "unanswered": counts.unanswered,
            "repeats": counts.repeats,
            "replayed": counts.replayed,
            "seconds": self.took.as_secs_f64(),
            "ordersPerSecond": self.orders_per_second(),
            "latencyMs": self.latency,
            "settlementMs": self.settlement,
            "moneyPaid": totals.paid,
            "paidByCard": totals.by_card,
            "atGateway": after.and_then(|after| after.at_gateway),
            "points": {
                "before": facts.points_before,
                "spent": totals.spent,
                "earned": totals.earned,
                "after": after.map(|after| after.points),
            },
            "stockLeft": after.map(|after| after.stock_left),
            "confirmed": after.and_then(|after| after.confirmed),
            "audit": self.audit(),
            "verdict": verdict,
            "problems": problems,
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge::{After, Totals};
    use super::super::measure::Counts;
    use super::*;

    fn report(sold: u64) -> Report {
        Report {
            kind: "flash-sale",
            place: "here".to_owned(),
            facts: Facts {
                orders: 2_000,
                stock: 100,
                counts: Counts { sold, refused: 2_000 - sold, ..Counts::default() },
                totals: Totals { paid: 1, spent: 1, earned: 0, by_card: 0 },
                points_before: 10,
                after: Ok(After {
                    confirmed: Some(sold),
                    stock_left: 0,
                    points: 9,
                    audit: AuditVerdict::NotRun,
                    at_gateway: None,
                }),
            },
            took: Duration::from_millis(250),
            latency: LatencySummary { p50: 1.0, p99: 2.0, p999: 3.0, max: 4.0 },
            settlement: None,
        }
    }

    #[test]
    fn figures_stand_on_lines_of_their_own() {
        let text = report(100).text();
        for line in [
            "sold 100",
            "oversold 0",
            "refused 1900",
            "errors 0",
            "unanswered 0",
            "orders/s 8000",
            "p50 1.0 ms",
            "p99 2.0 ms",
            "verdict OK (not audited)",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        assert!(text.contains("run `commerce audit`"), "{text}");
        // One row a figure, without lines between them.
        let table: Vec<_> = text.lines().skip(1).take_while(|line| !line.is_empty()).collect();
        assert_eq!(table.len(), 14 + 2, "{text}");
        assert!(table[1..15].iter().all(|row| row.contains(char::is_numeric)), "{text}");
        let mut audited = report(100);
        audited.facts.after.as_mut().unwrap().audit = AuditVerdict::Clean;
        assert_eq!(audited.text().lines().last(), Some("verdict OK"));
        let wrong = report(101).text();
        assert!(wrong.lines().any(|found| found == "oversold 1"), "{wrong}");
        assert!(wrong.contains("verdict pieces sold: expected 100, found 101"), "{wrong}");
    }

    #[test]
    fn json_says_the_same() {
        let value: serde_json::Value = serde_json::from_str(&report(101).json()).unwrap();
        assert_eq!((&value["sold"], &value["oversold"]), (&json!(101), &json!(1)));
        assert_eq!((&value["verdict"], &value["audit"]), (&json!("FAILED"), &json!("not run")));
        assert_eq!(value["latencyMs"]["p999"], json!(3.0));
        assert!(!value["problems"].as_array().unwrap().is_empty());
    }
}
