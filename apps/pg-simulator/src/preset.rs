use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::{INVALID_CARD, LIMIT_EXCEEDED, Range};
use crate::faults::{Chance, Decline, Faults};
use crate::options::CallbackRetry;

/// How the simulator behaves before anything of it is changed. The wire format is the same in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Answers in 20–100 ms, decided after 300 ms, no faults; a card ending in 0002 is over its limit, one in 0005
    /// invalid, any other approved.
    #[default]
    Demo,
    /// As the reference platform's simulator: answers in 100–500 ms, 40 % of the requests fail before anything is
    /// recorded, decided after 1–5 s, 20 % limit exceeded, 10 % invalid card, a callback is tried once.
    Reference,
}

/// The name is none of a preset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a preset; there are demo and reference")]
pub struct UnknownPreset(String);

impl Preset {
    /// Its script.
    pub fn faults(self) -> Faults {
        match self {
            Self::Demo => Faults {
                latency_ms: Range { min: 20, max: 100 },
                decision_ms: Range { min: 300, max: 300 },
                ..Faults::default()
            },
            Self::Reference => Faults {
                latency_ms: Range { min: 100, max: 500 },
                decision_ms: Range { min: 1_000, max: 5_000 },
                card_endings: false,
                fail_before: Chance::rate(0.4),
                declines: vec![
                    Decline { reason: LIMIT_EXCEEDED.to_owned(), rate: 0.2, next: 0 },
                    Decline { reason: INVALID_CARD.to_owned(), rate: 0.1, next: 0 },
                ],
                ..Faults::default()
            },
        }
    }

    /// How often a callback is tried.
    pub const fn callback_retry(self) -> CallbackRetry {
        match self {
            Self::Demo => CallbackRetry { first_ms: 500, max_ms: 60_000, attempts_max: 20 },
            Self::Reference => CallbackRetry { first_ms: 0, max_ms: 0, attempts_max: 1 },
        }
    }
}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(name: &str) -> Result<Self, UnknownPreset> {
        match name {
            "demo" => Ok(Self::Demo),
            "reference" => Ok(Self::Reference),
            _ => Err(UnknownPreset(name.to_owned())),
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Demo => "demo",
            Self::Reference => "reference",
        })
    }
}
