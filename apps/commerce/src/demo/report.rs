use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde::Serialize;
use serde_json::json;

/// What a step found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What was expected.
    pub expected: String,
    /// What came.
    pub came: String,
    /// Whether that is as expected.
    pub ok: bool,
    /// Whether it was tried at all.
    pub skipped: bool,
}

impl Told {
    /// As expected where both say the same.
    pub fn same(expected: impl Into<String>, came: impl Into<String>) -> Self {
        let (expected, came) = (expected.into(), came.into());
        Self { ok: expected == came, expected, came, skipped: false }
    }

    /// Not tried, and why.
    pub fn skipped(why: &str) -> Self {
        let text = format!("skipped: {why}");
        Self { expected: text.clone(), came: text, ok: true, skipped: true }
    }

    /// Whether it was tried and came as expected.
    const fn proves(&self) -> bool {
        self.ok && !self.skipped
    }
}

/// A step that was done.
#[derive(Debug, Clone)]
pub struct Step {
    /// What was done.
    pub name: &'static str,
    /// What it proves where it comes as expected.
    pub proves: Option<&'static str>,
    /// What it found.
    pub told: Told,
    /// How long it took.
    pub took: Duration,
    /// Where to look further; for a step that failed.
    pub look: String,
}

/// A place of today's ranking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// 1 for the first.
    pub rank: i64,
    /// Which product.
    pub product_id: i64,
    /// Its name.
    pub name: String,
    /// What it costs, in won.
    pub price: i64,
    /// Its score, as the shop shows it.
    pub score: String,
}

/// What came of the walk.
#[derive(Debug)]
pub struct Report {
    /// Which shop.
    pub place: String,
    /// What is otherwise about it than by default.
    pub notes: Vec<String>,
    /// The steps, up to the first surprise.
    pub steps: Vec<Step>,
    /// Steps that there are.
    pub of: usize,
    /// Today's ranking; empty where the walk did not come so far.
    pub ranking: Vec<Place>,
}

impl Report {
    /// 0 where everything came as expected.
    pub fn exit_code(&self) -> ExitCode {
        if self.is_fine() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn is_fine(&self) -> bool {
        self.steps.len() == self.of && self.steps.iter().all(|step| step.told.ok)
    }

    /// Tables for people.
    pub fn text(&self) -> String {
        let mut text = format!("demo at {}\n", self.place);
        for note in &self.notes {
            let _ = writeln!(text, "it waits shorter than others, so that the walk does: {note}");
        }
        let _ = writeln!(text, "{}", self.table());
        if !self.ranking.is_empty() {
            let _ = write!(text, "\nToday's ranking\n{}\n", self.board());
        }
        let took: Duration = self.steps.iter().map(|step| step.took).sum();
        if let Some(Step { name, told, look, .. }) = self.steps.iter().find(|step| !step.told.ok) {
            let _ = write!(
                text,
                "\nverdict FAILED at `{name}`\n  expected  {}\n  came      {}\n  look      {look}",
                told.expected, told.came
            );
            return text;
        }
        let skipped = self.steps.iter().filter(|step| step.told.skipped).count();
        let done = self.of - skipped;
        let _ = write!(text, "\nverdict OK: {done} steps in {:.1} s", took.as_secs_f64());
        if skipped > 0 {
            let _ = write!(text, ", {skipped} skipped");
        }
        text
    }

    fn table(&self) -> Table {
        let mut table = table(["step", "expected", "came", "ms"]);
        for Step { name, proves, told, took, .. } in &self.steps {
            let is_same = told.ok && told.came == told.expected;
            let mut came = if is_same { "as expected".to_owned() } else { told.came.clone() };
            if told.skipped {
                "not tried".clone_into(&mut came);
            } else if let (true, Some(proven)) = (told.ok, proves) {
                let _ = write!(came, "\nproven: {proven}");
            }
            table.add_row([*name, &told.expected, &came, &took.as_millis().to_string()]);
        }
        right(&mut table, 3);
        table
    }

    fn board(&self) -> Table {
        let mut table = table(["rank", "product", "price, won", "score"]);
        for Place { rank, name, price, score, .. } in &self.ranking {
            table.add_row([&rank.to_string(), name, &price.to_string(), score]);
        }
        for column in [0, 2, 3] {
            right(&mut table, column);
        }
        table
    }

    /// One JSON object.
    pub fn json(&self) -> String {
        let steps = self.steps.iter().map(|Step { name, proves, told, took, look }| {
            json!({
                "step": name,
                "expected": told.expected,
                "came": told.came,
                "ok": told.ok,
                "skipped": told.skipped,
                "proven": proves.filter(|_| told.proves()),
                "ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                "look": if told.ok { None } else { Some(look) },
            })
        });
        json!({
            "kind": "demo",
            "place": self.place,
            "notes": self.notes,
            "steps": steps.collect::<Vec<_>>(),
            "stepsInAll": self.of,
            "ranking": self.ranking,
            "verdict": if self.is_fine() { "OK" } else { "FAILED" },
        })
        .to_string()
    }
}

fn table<const N: usize>(head: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic).set_header(head);
    table
}

fn right(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn report(came: &str) -> Report {
        let step = |name, proves, told| {
            let (took, look) = (Duration::from_millis(7), "there".to_owned());
            Step { name, proves, told, took, look }
        };
        Report {
            place: "here".to_owned(),
            notes: vec!["a wait 1 instead of 10".to_owned()],
            steps: vec![
                step("log in", None, Told::same("201", "201")),
                step("buy", Some("that it sells"), Told::same("201 PAID", came)),
            ],
            of: 2,
            ranking: vec![Place {
                rank: 1,
                product_id: 4,
                name: "Tea".into(),
                price: 9,
                score: "0.9".into(),
            }],
        }
    }

    #[test]
    fn a_walk_as_expected() {
        let text = report("201 PAID").text();
        assert!(text.ends_with("verdict OK: 2 steps in 0.0 s"), "{text}");
        assert!(text.contains("as expected") && text.contains("Tea") && !text.contains("there"), "{text}");
        assert!(text.contains("proven: that it sells") && text.contains("a wait 1 instead of 10"), "{text}");
        let value: Value = serde_json::from_str(&report("201 PAID").json()).unwrap();
        assert_eq!((&value["verdict"], &value["ranking"][0]["productId"]), (&json!("OK"), &json!(4)));
        assert_eq!(value["steps"][1]["look"], Value::Null);
    }

    #[test]
    fn a_surprise_says_what_was_expected_what_came_and_where_to_look() {
        let text = report("202 PAYMENT_PENDING").text();
        for line in [
            "verdict FAILED at `buy`",
            "  expected  201 PAID",
            "  came      202 PAYMENT_PENDING",
            "  look      there",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        assert!(!text.contains("proven"), "{text}");
        let value: Value = serde_json::from_str(&report("no").json()).unwrap();
        assert_eq!(value["steps"][1]["proven"], Value::Null);
        assert_eq!((&value["verdict"], &value["steps"][1]["look"]), (&json!("FAILED"), &json!("there")));
    }

    #[test]
    fn what_was_skipped_is_fine_and_proves_nothing() {
        let mut report = report("201 PAID");
        report.steps[1].told = Told::skipped("there is no gateway");
        assert!(report.is_fine());
        let text = report.text();
        assert!(text.contains("skipped: there is no gateway") && !text.contains("proven"), "{text}");
        assert!(text.ends_with("verdict OK: 1 steps in 0.0 s, 1 skipped"), "{text}");
        let value: Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(
            (&value["steps"][1]["skipped"], &value["steps"][1]["proven"]),
            (&json!(true), &Value::Null)
        );
    }

    #[test]
    fn a_walk_that_ended_early_is_not_fine() {
        let mut report = report("201 PAID");
        report.of = 3;
        assert!(!report.is_fine());
    }
}
