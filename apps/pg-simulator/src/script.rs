use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::dice::{Dice, Purpose};
use crate::domain::Range;
use crate::faults::{CHANCES, Faults, FaultsError};

/// The script as it stands, and the dice that it is followed with.
#[derive(Debug)]
pub(crate) struct Script {
    start: Faults,
    live: Mutex<Faults>,
    dice: Dice,
}

impl Script {
    pub(crate) fn new(start: Faults, seed: u64) -> Self {
        Self { live: Mutex::new(start.clone()), start, dice: Dice::new(seed) }
    }

    pub(crate) fn dice(&self) -> &Dice {
        &self.dice
    }

    /// The script as it stands: what happens `next` counts down.
    pub(crate) fn now(&self) -> Faults {
        self.live().clone()
    }

    /// Follows the script of the start with `changes` from now on.
    pub(crate) fn replace(&self, changes: &Value) -> Result<Faults, FaultsError> {
        let faults = self.start.with(changes)?;
        self.live().clone_from(&faults);
        Ok(faults)
    }

    /// Whether it happens this time.
    pub(crate) fn fires(&self, purpose: Purpose) -> bool {
        let mut live = self.live();
        let Some(chance) = live.chance_mut(purpose) else { return false };
        let fires = if chance.next > 0 {
            chance.next -= 1;
            true
        } else {
            chance.rate > 0.0 && self.dice.unit(purpose) < chance.rate
        };
        drop(live);
        if fires {
            let fault = CHANCES.iter().find(|(_, of, _)| *of == purpose).map_or("", |(name, ..)| *name);
            metrics::counter!("simulator_faults_total", "fault" => fault).increment(1);
        }
        fires
    }

    /// A number of milliseconds of one of the script's ranges.
    pub(crate) fn within(&self, purpose: Purpose, range: impl FnOnce(&Faults) -> Range) -> u64 {
        let range = range(&self.live());
        self.dice.within(purpose, range)
    }

    /// Why the next payment is declined by chance, if it is.
    pub(crate) fn decline(&self) -> Option<String> {
        let mut live = self.live();
        if let Some(decline) = live.declines.iter_mut().find(|decline| decline.next > 0) {
            decline.next -= 1;
            return Some(decline.reason.clone());
        }
        if live.declines.is_empty() {
            return None;
        }
        let mut drawn = self.dice.unit(Purpose::Decline);
        let hit = live.declines.iter().find(|decline| {
            let hit = drawn < decline.rate;
            drawn -= decline.rate;
            hit
        });
        hit.map(|decline| decline.reason.clone())
    }

    fn live(&self) -> MutexGuard<'_, Faults> {
        // A script is replaced whole, so a panic elsewhere leaves none half changed.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::faults::{Chance, Decline};

    #[test]
    fn the_next_cases_come_first_and_count_down() {
        let script = Script::new(Faults { fail_before: Chance::next(2), ..Faults::default() }, 1);
        let fired: Vec<_> = (0..4).map(|_| script.fires(Purpose::FailBefore)).collect();
        assert_eq!(fired, [true, true, false, false]);
        assert_eq!(script.now().fail_before, Chance::NEVER);
        assert!(!script.fires(Purpose::Latency));
    }

    #[test]
    fn a_replaced_script_starts_from_that_of_the_start() {
        let script = Script::new(Faults { fail_before: Chance::ALWAYS, ..Faults::default() }, 1);
        script.replace(&json!({"failAfter": {"rate": 1}, "failBefore": {}})).unwrap();
        assert!(!script.fires(Purpose::FailBefore) && script.fires(Purpose::FailAfter));
        assert!(script.replace(&json!({"failAfter": {"rate": 9}})).is_err());
        assert!(script.fires(Purpose::FailAfter));
        script.replace(&json!({})).unwrap();
        assert!(script.fires(Purpose::FailBefore) && !script.fires(Purpose::FailAfter));
    }

    #[test]
    fn declines_share_one_draw() {
        let decline = |reason: &str, rate, next| Decline { reason: reason.to_owned(), rate, next };
        let declines = vec![decline("limit", 0.2, 0), decline("card", 0.1, 1)];
        let script = Script::new(Faults { declines, ..Faults::default() }, 1);
        assert_eq!(script.decline().as_deref(), Some("card"));
        let drawn: Vec<_> = (0..10_000).map(|_| script.decline()).collect();
        let count = |reason: &str| drawn.iter().filter(|drawn| drawn.as_deref() == Some(reason)).count();
        assert!((1_850..2_150).contains(&count("limit")), "{}", count("limit"));
        assert!((900..1_100).contains(&count("card")), "{}", count("card"));
    }
}
