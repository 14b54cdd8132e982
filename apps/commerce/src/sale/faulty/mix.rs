//! Everything at once.

use serde_json::{Value, json};

/// A script in which everything that can go wrong does, each in so many percent of the cases.
pub fn of(percent: u32) -> Value {
    let rate = f64::from(percent) / 100.0;
    let chance = json!({ "rate": rate });
    let mut script = json!({
        "declines": [{ "reason": "limit exceeded", "rate": rate }],
        "lateRecordingMs": { "min": 500, "max": 3_000 },
        "callbackDelayMs": { "min": 500, "max": 3_000 },
        "callbackCopies": 3,
    });
    for name in CHANCES {
        script[name] = chance.clone();
    }
    script
}

/// What goes wrong by chance, by its name in the script.
const CHANCES: [&str; 17] = [
    "failBefore",
    "failAfter",
    "hangAfter",
    "lateRecording",
    "callbackLost",
    "callbackDelayed",
    "callbackDuplicated",
    "callbackReordered",
    "callbackEarly",
    "callbackForged",
    "callbackReplayed",
    "callbackWrongAmount",
    "querySlow",
    "queryFailing",
    "queryStale",
    "refundFailBefore",
    "refundFailAfter",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_names_everything_that_the_simulator_lets_go_wrong() {
        let faults = serde_json::to_value(pg_simulator::Faults::default()).unwrap();
        let is_chance = |value: &Value| value.get("rate").is_some();
        let all: Vec<_> = faults
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, value)| is_chance(value))
            .map(|(name, _)| name)
            .collect();
        let mut named = CHANCES.to_vec();
        named.sort_unstable();
        assert_eq!(named, all);
        let followed = pg_simulator::Faults::default().with(&of(10)).unwrap();
        assert!((followed.hang_after.rate - 0.1).abs() < 1e-9);
        assert!((followed.declines[0].rate - 0.1).abs() < 1e-9);
    }
}
