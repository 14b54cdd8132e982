use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::judge::Facts;
use crate::target::AuditVerdict;

/// What is printed of a sale under faults.
pub struct Report {
    /// Which shop.
    pub place: String,
    /// How often everything went wrong, in percent.
    pub percent: u32,
    /// For how long.
    pub faults_for: Duration,
    /// What was found.
    pub facts: Facts,
}

const fn verdict(audit: AuditVerdict) -> &'static str {
    match audit {
        AuditVerdict::Clean => "clean",
        AuditVerdict::Violated(_) => "violated",
        AuditVerdict::NotRun => "not run",
    }
}

impl Report {
    /// 0 where nothing is wrong.
    pub fn exit_code(&self) -> ExitCode {
        if self.facts.problems().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// One figure a line.
    pub fn text(&self) -> String {
        let (facts, books) = (&self.facts, &self.facts.books);
        let mut text = format!("flash-sale with a gateway that fails, at {}\n\n", self.place);
        let mut line = |what: &str, value: &dyn std::fmt::Display| {
            let _ = writeln!(text, "{what} {value}");
        };
        line("faults", &format_args!("{} % of each kind for {} s", self.percent, self.faults_for.as_secs()));
        for (fault, count) in &facts.faults {
            line(&format!("fault {fault}"), count);
        }
        line("buyers", &facts.buyers);
        line("orders", &facts.placed);
        line("canceled", &facts.canceled);
        for (end, count) in &facts.ends {
            line(&format!("ended {end}"), count);
        }
        for (code, count) in &facts.unexpected {
            line(&format!("unexpected {code}"), count);
        }
        line("sold", &format_args!("{} of {}", books.sold, facts.stock));
        line("oversold", &facts.oversold());
        line("charged twice", &books.charged_twice);
        line("taken by the gateway", &format_args!("{} won", books.captured));
        line("given back", &format_args!("{} won", books.refunded));
        match facts.drained {
            Some(drained) => line("settled after", &format_args!("{:.1} s", drained.as_secs_f64())),
            None => line("settled after", &"never"),
        }
        line("at rest after", &format_args!("{:.1} s", facts.at_rest.as_secs_f64()));
        line("audit then", &verdict(facts.audit));
        line("audit at the end", &verdict(facts.audit_after));
        let problems = facts.problems();
        let verdict = if problems.is_empty() { "OK".to_owned() } else { problems.join("; ") };
        line("verdict", &verdict);
        text.trim_end().to_owned()
    }

    /// One JSON object.
    pub fn json(&self) -> String {
        let (facts, books) = (&self.facts, &self.facts.books);
        let problems = facts.problems();
        json!({
            "kind": "flash-sale-faults",
            "place": self.place,
            "percent": self.percent,
            "seconds": self.faults_for.as_secs(),
            "faults": facts.faults,
            "buyers": facts.buyers,
            "stock": facts.stock,
            "orders": facts.placed,
            "refused": facts.refused,
            "canceled": facts.canceled,
            "ends": facts.ends,
            "unexpected": facts.unexpected,
            "sold": books.sold,
            "oversold": facts.oversold(),
            "stockLeft": facts.stock_left,
            "chargedTwice": books.charged_twice,
            "keptWithoutOrder": books.kept_without_order,
            "paidWithoutMoney": books.paid_without_money,
            "captured": books.captured,
            "refunded": books.refunded,
            "drainedSeconds": facts.drained.map(|drained| drained.as_secs_f64()),
            "atRestSeconds": facts.at_rest.as_secs_f64(),
            "audit": verdict(facts.audit),
            "auditAtTheEnd": verdict(facts.audit_after),
            "verdict": if problems.is_empty() { "OK" } else { "FAILED" },
            "problems": problems,
        })
        .to_string()
    }
}
