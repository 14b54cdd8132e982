use commerce_config::{ConfigError, Rule, Section, Setting, Values, setting};
use pg_simulator::{Faults, Preset, Range};
use serde::{Deserialize, Serialize};

/// What the simulator of a payment gateway is told. What it offers is what `gateway` says that the gateway offers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatorSettings {
    /// The simulator.
    pub simulator: Simulator,
}

/// `simulator`: a stand-in for a payment gateway, in this process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simulator {
    /// Whether it runs; not set: in a demonstration only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The TCP port on this machine; 0 takes a free one.
    pub port: u16,
    /// How it decides, and its times where they are not set.
    pub preset: Preset,
    /// All its random decisions derive from it; not set: another one every start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The shortest time to an answer, in milliseconds; not set: the preset's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_min_ms: Option<u64>,
    /// The longest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_max_ms: Option<u64>,
    /// The shortest time from the answer to the decision, in milliseconds; not set: the preset's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision_min_ms: Option<u64>,
    /// The longest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision_max_ms: Option<u64>,
}

impl Default for Simulator {
    fn default() -> Self {
        Self {
            enabled: None,
            port: 8082,
            preset: Preset::Demo,
            seed: None,
            latency_min_ms: None,
            latency_max_ms: None,
            decision_min_ms: None,
            decision_max_ms: None,
        }
    }
}

impl Simulator {
    /// Sets the times that are set here in the preset's script.
    pub fn put_times(&self, script: &mut Faults) {
        for (times, min, max) in [
            (&mut script.latency_ms, self.latency_min_ms, self.latency_max_ms),
            (&mut script.decision_ms, self.decision_min_ms, self.decision_max_ms),
        ] {
            if let (Some(min), Some(max)) = (min, max) {
                *times = Range { min, max };
            }
        }
    }
}

const WAIT_MAX_MS: i64 = 600_000;

impl Section for SimulatorSettings {
    const SETTINGS: &'static [Setting] = &[
        setting("simulator.enabled", Rule::Switch),
        setting("simulator.port", Rule::Whole(0, 65_535, "; 0 takes a free port")),
        setting("simulator.preset", Rule::Choice(&["demo", "reference"], "")),
        setting("simulator.seed", Rule::Whole(0, i64::MAX, "")),
        setting("simulator.latency_min_ms", Rule::Whole(0, WAIT_MAX_MS, " milliseconds")),
        setting("simulator.latency_max_ms", Rule::Whole(0, WAIT_MAX_MS, " milliseconds")),
        setting("simulator.decision_min_ms", Rule::Whole(0, WAIT_MAX_MS, " milliseconds")),
        setting("simulator.decision_max_ms", Rule::Whole(0, WAIT_MAX_MS, " milliseconds")),
    ];

    fn complete(&mut self, values: &Values) -> Result<(), ConfigError> {
        let Simulator { latency_min_ms, latency_max_ms, decision_min_ms, decision_max_ms, .. } =
            self.simulator;
        for (key, of, min, max) in [
            ("simulator.latency_min_ms", "simulator.latency_max_ms", latency_min_ms, latency_max_ms),
            ("simulator.decision_min_ms", "simulator.decision_max_ms", decision_min_ms, decision_max_ms),
        ] {
            match (min, max) {
                (Some(min), Some(max)) if min > max => {
                    return Err(values.refused(key, format!("at most `{of}`, which is {max}")));
                }
                (Some(_), None) | (None, Some(_)) => {
                    let (set, missing) = if min.is_some() { (key, of) } else { (of, key) };
                    return Err(values.refused(set, format!("both `{set}` and `{missing}`, or neither")));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
