use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where random numbers come from.
pub trait Randomness: Send + Sync + 'static {
    /// 64 random bits.
    fn next_u64(&self) -> u64;
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        commerce_runtime::fill_random(&mut bytes);
        u64::from_ne_bytes(bytes)
    }
}

/// The same numbers for the same seed (`SplitMix64`): for tests and simulations.
#[derive(Debug)]
pub struct SeededRandomness(AtomicU64);

impl SeededRandomness {
    /// A sequence that `seed` determines.
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Randomness for SeededRandomness {
    fn next_u64(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// Any duration from `from` to `to`, both included, each as likely as the other. `from` where `to` is not later.
pub(crate) fn between(random: &dyn Randomness, from: Duration, to: Duration) -> Duration {
    let span = u64::try_from(to.saturating_sub(from).as_nanos()).unwrap_or(u64::MAX);
    // The high half of the product is in 0..=span.
    let drawn = (u128::from(random.next_u64()) * (u128::from(span) + 1)) >> 64;
    from.saturating_add(Duration::from_nanos(u64::try_from(drawn).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: Duration = Duration::from_millis(100);
    const TO: Duration = Duration::from_millis(200);

    struct Fixed(u64);

    impl Randomness for Fixed {
        fn next_u64(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn a_draw_reaches_both_ends_and_nothing_beyond() {
        assert_eq!(between(&Fixed(0), FROM, TO), FROM);
        assert_eq!(between(&Fixed(u64::MAX), FROM, TO), TO);
        assert_eq!(between(&Fixed(u64::MAX), FROM, FROM), FROM);
        assert_eq!(between(&Fixed(u64::MAX), TO, FROM), TO);
        assert!(between(&Fixed(u64::MAX), Duration::ZERO, Duration::MAX) > Duration::from_secs(1 << 33));
    }

    #[test]
    fn a_seed_determines_the_sequence_and_the_draws_spread() {
        let (one, same, other) =
            (SeededRandomness::new(7), SeededRandomness::new(7), SeededRandomness::new(8));
        let draw =
            |random: &SeededRandomness| (0..1_000).map(|_| between(random, FROM, TO)).collect::<Vec<_>>();
        let draws = draw(&one);
        assert_eq!(draws, draw(&same));
        assert_ne!(draws, draw(&other));
        let mean = draws.iter().sum::<Duration>() / 1_000;
        assert!((Duration::from_millis(145)..Duration::from_millis(155)).contains(&mean), "{mean:?}");
        assert_ne!(SystemRandomness.next_u64(), SystemRandomness.next_u64());
    }
}
