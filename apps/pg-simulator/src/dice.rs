use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::Range;

/// What is drawn for. Each has a sequence of its own, so that one fault does not shift the luck of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Latency,
    Decision,
    TransactionKey,
    Decline,
    FailBefore,
    FailAfter,
    HangAfter,
    LateRecording,
    CallbackLost,
    CallbackDelayed,
    CallbackDuplicated,
    CallbackReordered,
    CallbackEarly,
    CallbackForged,
    CallbackReplayed,
    CallbackWrongAmount,
    QuerySlow,
    QueryFailing,
    QueryStale,
    RefundFailBefore,
    RefundFailAfter,
}

const PURPOSES: usize = Purpose::RefundFailAfter as usize + 1;

/// Every random decision: the n-th draw for a purpose follows from the seed alone.
#[derive(Debug)]
pub(crate) struct Dice {
    seed: u64,
    drawn: [AtomicU64; PURPOSES],
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, drawn: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// Passes over the first `draws` for `purpose`.
    pub(crate) fn skip(&self, purpose: Purpose, draws: u64) {
        self.drawn[purpose as usize].fetch_add(draws, Ordering::Relaxed);
    }

    /// 32 random bits.
    pub(crate) fn bits(&self, purpose: Purpose) -> u32 {
        let draw = self.drawn[purpose as usize].fetch_add(1, Ordering::Relaxed);
        let mixed = mix(mix(self.seed ^ mix(purpose as u64 + 1)).wrapping_add(draw));
        u32::try_from(mixed >> 32).unwrap_or_default()
    }

    /// From 0 to below 1.
    pub(crate) fn unit(&self, purpose: Purpose) -> f64 {
        f64::from(self.bits(purpose)) / 4_294_967_296.0
    }

    /// A number of the range, both ends included.
    pub(crate) fn within(&self, purpose: Purpose, range: Range) -> u64 {
        let width = range.max.saturating_sub(range.min).saturating_add(1);
        range.min.saturating_add(u64::from(self.bits(purpose)) % width)
    }
}

/// `SplitMix64`: neighbours in, nothing alike out.
fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(dice: &Dice, purpose: Purpose) -> Vec<u32> {
        (0..100).map(|_| dice.bits(purpose)).collect()
    }

    #[test]
    fn a_seed_repeats_every_sequence_and_another_seed_none() {
        let (one, again, other) = (Dice::new(7), Dice::new(7), Dice::new(8));
        let first = draws(&one, Purpose::Decline);
        again.bits(Purpose::Latency);
        assert_eq!(first, draws(&again, Purpose::Decline));
        assert_ne!(first, draws(&other, Purpose::Decline));
        assert_ne!(first, draws(&one, Purpose::FailBefore));
        let skipped = Dice::new(7);
        skipped.skip(Purpose::Decline, 60);
        assert_eq!(first[60..], draws(&skipped, Purpose::Decline)[..40]);
    }

    #[test]
    fn draws_spread_evenly_and_stay_in_their_range() {
        let dice = Dice::new(1);
        let below = (0..10_000).filter(|_| dice.unit(Purpose::FailBefore) < 0.4).count();
        assert!((3_800..4_200).contains(&below), "{below}");
        let range = Range { min: 100, max: 102 };
        let drawn: std::collections::BTreeSet<_> =
            (0..100).map(|_| dice.within(Purpose::Latency, range)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [100, 101, 102]);
        assert_eq!(dice.within(Purpose::Latency, Range { min: 5, max: 5 }), 5);
    }
}
