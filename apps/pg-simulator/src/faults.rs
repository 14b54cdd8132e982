use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dice::Purpose;
use crate::domain::Range;

/// How often something happens.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Chance {
    /// Of all cases, from 0 to 1.
    pub rate: f64,
    /// To each of the next so many cases, before the rate counts.
    pub next: u32,
}

impl Chance {
    /// Never.
    pub const NEVER: Self = Self { rate: 0.0, next: 0 };
    /// Always.
    pub const ALWAYS: Self = Self { rate: 1.0, next: 0 };

    /// To the next `next` cases, then never.
    pub const fn next(next: u32) -> Self {
        Self { rate: 0.0, next }
    }

    /// In this share of the cases.
    pub const fn rate(rate: f64) -> Self {
        Self { rate, next: 0 }
    }
}

/// Payments that are declined, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decline {
    /// What the gateway says.
    pub reason: String,
    /// Of all payments, from 0 to 1.
    #[serde(default)]
    pub rate: f64,
    /// Each of the next so many payments, before the rate counts.
    #[serde(default)]
    pub next: u32,
}

/// The script: how long things take, and what goes wrong how often. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Faults {
    /// From a payment's request to its answer.
    pub latency_ms: Range,
    /// From recording to deciding.
    pub decision_ms: Range,
    /// Whether the last digits of the card decide: 0002 limit exceeded, 0005 invalid card.
    pub card_endings: bool,
    /// What is declined by chance, besides.
    pub declines: Vec<Decline>,
    /// Answers 500, and nothing is recorded.
    pub fail_before: Chance,
    /// Answers 500 although it is recorded.
    pub fail_after: Chance,
    /// Recorded, and never answered.
    pub hang_after: Chance,
    /// Answers 500 and records it later.
    pub late_recording: Chance,
    /// How much later.
    pub late_recording_ms: Range,
    /// The callback is never sent.
    pub callback_lost: Chance,
    /// The callback is sent later.
    pub callback_delayed: Chance,
    /// How much later.
    pub callback_delay_ms: Range,
    /// The callback is sent several times at once.
    pub callback_duplicated: Chance,
    /// How many copies more than one.
    pub callback_copies: u32,
    /// The callback is held back until another one overtook it.
    pub callback_reordered: Chance,
    /// How long it waits for that at most.
    pub callback_reorder_ms: u64,
    /// Decided at once, and the callback is sent before the request is answered.
    pub callback_early: Chance,
    /// Before the callback comes another one that claims success under a signature of somebody else.
    pub callback_forged: Chance,
    /// After the callback it comes once more with the time and signature of long ago.
    pub callback_replayed: Chance,
    /// How long ago.
    pub callback_replay_age_ms: u64,
    /// The callback names another amount.
    pub callback_wrong_amount: Chance,
    /// A query answers late.
    pub query_slow: Chance,
    /// How late.
    pub query_slow_ms: Range,
    /// A query answers 500.
    pub query_failing: Chance,
    /// A query shows what is decided as not yet decided.
    pub query_stale: Chance,
    /// A refund answers 500, and nothing is refunded.
    pub refund_fail_before: Chance,
    /// A refund answers 500 although it is made.
    pub refund_fail_after: Chance,
}

impl Default for Faults {
    /// Nothing goes wrong, at once.
    fn default() -> Self {
        Self {
            latency_ms: Range { min: 0, max: 0 },
            decision_ms: Range { min: 0, max: 0 },
            card_endings: true,
            declines: Vec::new(),
            fail_before: Chance::NEVER,
            fail_after: Chance::NEVER,
            hang_after: Chance::NEVER,
            late_recording: Chance::NEVER,
            late_recording_ms: Range { min: 1_000, max: 1_000 },
            callback_lost: Chance::NEVER,
            callback_delayed: Chance::NEVER,
            callback_delay_ms: Range { min: 1_000, max: 1_000 },
            callback_duplicated: Chance::NEVER,
            callback_copies: 1,
            callback_reordered: Chance::NEVER,
            callback_reorder_ms: 1_000,
            callback_early: Chance::NEVER,
            callback_forged: Chance::NEVER,
            callback_replayed: Chance::NEVER,
            callback_replay_age_ms: 600_000,
            callback_wrong_amount: Chance::NEVER,
            query_slow: Chance::NEVER,
            query_slow_ms: Range { min: 1_500, max: 1_500 },
            query_failing: Chance::NEVER,
            query_stale: Chance::NEVER,
            refund_fail_before: Chance::NEVER,
            refund_fail_after: Chance::NEVER,
        }
    }
}

/// Why a script cannot be followed: which value, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {fault}")]
pub struct FaultsError {
    /// Which value, as `callbackLost.rate`.
    pub field: String,
    /// What is wrong with it, and what would be right.
    pub fault: String,
}

impl FaultsError {
    fn new(field: impl Into<String>, fault: impl Into<String>) -> Self {
        Self { field: field.into(), fault: fault.into() }
    }
}

/// Longest time of a script.
const MS_MAX: u64 = 3_600_000;
const COPIES_MAX: u32 = 100;
const DECLINES_MAX: usize = 16;
const REASON_CHARS_MAX: usize = 200;

impl Faults {
    /// This script with other values for the members of `changes`, a JSON object; a member that it has is replaced
    /// whole.
    pub fn with(&self, changes: &Value) -> Result<Self, FaultsError> {
        let whole = "the script";
        let Value::Object(changes) = changes else {
            return Err(FaultsError::new(
                whole,
                "expected an object, such as {\"callbackLost\":{\"next\":1}}",
            ));
        };
        let mut script =
            serde_json::to_value(self).map_err(|error| FaultsError::new(whole, error.to_string()))?;
        if let Value::Object(members) = &mut script {
            members.extend(changes.clone());
        }
        let faults: Self = serde_path_to_error::deserialize(script).map_err(|error| {
            let field = error.path().to_string();
            let field = if field == "." { whole.to_owned() } else { field };
            FaultsError::new(field, error.into_inner().to_string())
        })?;
        faults.checked()
    }

    /// The script, if it can be followed.
    pub fn checked(mut self) -> Result<Self, FaultsError> {
        for (field, _, chance) in CHANCES {
            rate(&format!("{field}.rate"), chance(&mut self).rate)?;
        }
        for (field, range) in self.ranges() {
            if range.min > range.max {
                let fault = format!("min is {}, above max {}", range.min, range.max);
                return Err(FaultsError::new(field, fault));
            }
            milliseconds(field, range.max)?;
        }
        milliseconds("callbackReorderMs", self.callback_reorder_ms)?;
        milliseconds("callbackReplayAgeMs", self.callback_replay_age_ms)?;
        if !(1..=COPIES_MAX).contains(&self.callback_copies) {
            let fault = format!("{}; from 1 to {COPIES_MAX} are allowed", self.callback_copies);
            return Err(FaultsError::new("callbackCopies", fault));
        }
        self.check_declines()?;
        Ok(self)
    }

    fn check_declines(&self) -> Result<(), FaultsError> {
        let declines = &self.declines;
        if declines.len() > DECLINES_MAX {
            let fault = format!("{} of them; at most {DECLINES_MAX}", declines.len());
            return Err(FaultsError::new("declines", fault));
        }
        for (index, decline) in declines.iter().enumerate() {
            rate(&format!("declines[{index}].rate"), decline.rate)?;
            let characters = decline.reason.chars().count();
            if decline.reason.trim().is_empty() || characters > REASON_CHARS_MAX {
                let fault = format!("{characters} characters; from 1 to {REASON_CHARS_MAX}, not all blank");
                return Err(FaultsError::new(format!("declines[{index}].reason"), fault));
            }
        }
        let sum: f64 = declines.iter().map(|decline| decline.rate).sum();
        // Rates such as 0.1 and 0.2 have no exact sum.
        if sum > 1.0 + 1e-9 {
            return Err(FaultsError::new("declines", format!("the rates add up to {sum}; at most 1")));
        }
        Ok(())
    }

    fn ranges(&self) -> [(&'static str, Range); 5] {
        [
            ("latencyMs", self.latency_ms),
            ("decisionMs", self.decision_ms),
            ("lateRecordingMs", self.late_recording_ms),
            ("callbackDelayMs", self.callback_delay_ms),
            ("querySlowMs", self.query_slow_ms),
        ]
    }

    pub(crate) fn chance_mut(&mut self, purpose: Purpose) -> Option<&mut Chance> {
        let (_, _, chance) = CHANCES.iter().find(|(_, of, _)| *of == purpose)?;
        Some(chance(self))
    }
}

type ChanceOf = fn(&mut Faults) -> &mut Chance;

/// Everything that goes wrong by chance: its name in the script, and where it stands.
pub(crate) const CHANCES: [(&str, Purpose, ChanceOf); 17] = [
    ("failBefore", Purpose::FailBefore, |faults| &mut faults.fail_before),
    ("failAfter", Purpose::FailAfter, |faults| &mut faults.fail_after),
    ("hangAfter", Purpose::HangAfter, |faults| &mut faults.hang_after),
    ("lateRecording", Purpose::LateRecording, |faults| &mut faults.late_recording),
    ("callbackLost", Purpose::CallbackLost, |faults| &mut faults.callback_lost),
    ("callbackDelayed", Purpose::CallbackDelayed, |faults| &mut faults.callback_delayed),
    ("callbackDuplicated", Purpose::CallbackDuplicated, |faults| &mut faults.callback_duplicated),
    ("callbackReordered", Purpose::CallbackReordered, |faults| &mut faults.callback_reordered),
    ("callbackEarly", Purpose::CallbackEarly, |faults| &mut faults.callback_early),
    ("callbackForged", Purpose::CallbackForged, |faults| &mut faults.callback_forged),
    ("callbackReplayed", Purpose::CallbackReplayed, |faults| &mut faults.callback_replayed),
    ("callbackWrongAmount", Purpose::CallbackWrongAmount, |faults| &mut faults.callback_wrong_amount),
    ("querySlow", Purpose::QuerySlow, |faults| &mut faults.query_slow),
    ("queryFailing", Purpose::QueryFailing, |faults| &mut faults.query_failing),
    ("queryStale", Purpose::QueryStale, |faults| &mut faults.query_stale),
    ("refundFailBefore", Purpose::RefundFailBefore, |faults| &mut faults.refund_fail_before),
    ("refundFailAfter", Purpose::RefundFailAfter, |faults| &mut faults.refund_fail_after),
];

fn rate(field: &str, rate: f64) -> Result<(), FaultsError> {
    let allowed = (0.0..=1.0).contains(&rate);
    if allowed { Ok(()) } else { Err(FaultsError::new(field, format!("{rate}; from 0 to 1 is allowed"))) }
}

fn milliseconds(field: &str, ms: u64) -> Result<(), FaultsError> {
    let allowed = ms <= MS_MAX;
    if allowed { Ok(()) } else { Err(FaultsError::new(field, format!("{ms} ms; at most {MS_MAX}"))) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(changes: &Value) -> String {
        Faults::default().with(changes).unwrap_err().to_string()
    }

    #[test]
    fn a_script_is_changed_member_by_member() {
        let start = Faults { callback_lost: Chance::rate(0.5), ..Faults::default() };
        let changed =
            start.with(&json!({"hangAfter": {"next": 2}, "latencyMs": {"min": 1, "max": 9}})).unwrap();
        let expected = Faults {
            hang_after: Chance::next(2),
            latency_ms: Range { min: 1, max: 9 },
            callback_lost: Chance::rate(0.5),
            ..Faults::default()
        };
        assert_eq!(changed, expected);
        assert_eq!(start.with(&json!({"callbackLost": {}})).unwrap().callback_lost, Chance::NEVER);
        assert_eq!(start.with(&json!({})).unwrap(), start);
    }

    #[test]
    fn a_wrong_value_is_named_with_what_is_allowed() {
        let cases = [
            (json!({"callbackLost": {"rate": 1.5}}), "callbackLost.rate: 1.5; from 0 to 1 is allowed"),
            (json!({"queryStale": {"rate": -0.1}}), "queryStale.rate: -0.1; from 0 to 1 is allowed"),
            (json!({"latencyMs": {"min": 3, "max": 2}}), "latencyMs: min is 3, above max 2"),
            (json!({"decisionMs": {"min": 0, "max": 3_600_001}}), "decisionMs: 3600001 ms; at most 3600000"),
            (json!({"callbackReorderMs": 3_600_001}), "callbackReorderMs: 3600001 ms; at most 3600000"),
            (json!({"callbackReplayAgeMs": 3_600_001}), "callbackReplayAgeMs: 3600001 ms; at most 3600000"),
            (json!({"callbackCopies": 0}), "callbackCopies: 0; from 1 to 100 are allowed"),
            (json!({"declines": [{"reason": " "}]}), "declines[0].reason: 1 characters"),
            (
                json!({"declines": [{"reason": "a", "rate": 2}]}),
                "declines[0].rate: 2; from 0 to 1 is allowed",
            ),
            (
                json!({"declines": [{"reason": "a", "rate": 0.6}, {"reason": "b", "rate": 0.6}]}),
                "declines: the rates add up to 1.2; at most 1",
            ),
            (
                json!({"callbackLst": {}}),
                "callbackLst: unknown field `callbackLst`, expected one of `latencyMs`",
            ),
            (
                json!({"hangAfter": {"nxt": 1}}),
                "hangAfter.nxt: unknown field `nxt`, expected `rate` or `next`",
            ),
            (json!({"hangAfter": {"next": -1}}), "hangAfter.next: invalid value"),
            (json!([]), "the script: expected an object"),
        ];
        for (changes, expected) in cases {
            let refused = refused(&changes);
            assert!(refused.starts_with(expected), "{changes}: {refused}");
        }
    }

    #[test]
    fn every_chance_is_checked_and_found() {
        for (name, purpose, _) in CHANCES {
            assert!(refused(&json!({name: {"rate": 2}})).starts_with(name), "{name}");
            let mut faults = Faults::default().with(&json!({name: {"next": 3}})).unwrap();
            assert_eq!(faults.chance_mut(purpose).unwrap().next, 3, "{name}");
        }
    }

    #[test]
    fn every_range_is_checked() {
        for name in ["latencyMs", "decisionMs", "lateRecordingMs", "callbackDelayMs", "querySlowMs"] {
            assert!(refused(&json!({name: {"min": 2, "max": 1}})).starts_with(name), "{name}");
        }
    }
}
