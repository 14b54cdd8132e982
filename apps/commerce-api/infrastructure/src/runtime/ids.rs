use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use commerce_api_application::ports::{Clock, IdSource};
use uuid::{Builder, Uuid};

use super::entropy;

/// `UUIDv7`s of the clock's millisecond and 74 random bits.
#[derive(Clone)]
pub struct RandomIds {
    clock: Arc<dyn Clock>,
}

impl RandomIds {
    /// Ids that carry the time of `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }
}

impl IdSource for RandomIds {
    fn uuid(&self) -> Uuid {
        let mut random = [0; 10];
        entropy::fill(&mut random);
        let millis = u64::try_from(self.clock.now().as_micros() / 1_000).unwrap_or_default();
        Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

/// `UUIDv7`s that count: the same every run, ascending, each in a millisecond of its own. The last 16 bits are free
/// for [`IdSeed`](commerce_api_domain::IdSeed).
#[derive(Debug, Default)]
pub struct SequenceIds {
    stream: u16,
    next: AtomicU32,
}

impl SequenceIds {
    /// The first of January 2026, in milliseconds.
    const START_MS: u64 = 1_767_225_600_000;

    /// Ids of their own for every `stream`: one for each simulated node.
    pub const fn new(stream: u16) -> Self {
        Self { stream, next: AtomicU32::new(0) }
    }
}

impl IdSource for SequenceIds {
    fn uuid(&self) -> Uuid {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; 10];
        bytes[3..5].copy_from_slice(&self.stream.to_be_bytes());
        Builder::from_unix_timestamp_millis(Self::START_MS + u64::from(number), &bytes).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use commerce_api_domain::Timestamp;

    use super::*;
    use crate::runtime::ManualClock;

    #[test]
    fn random_ids_carry_the_time_and_differ() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_767_225_600_123_456)));
        let source = RandomIds::new(clock);
        let ids: BTreeSet<Uuid> = (0..1_000).map(|_| source.uuid()).collect();
        assert_eq!(ids.len(), 1_000);
        for id in ids {
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.as_u128() >> 80, 1_767_225_600_123);
        }
    }

    #[test]
    fn sequences_repeat_and_streams_are_apart() {
        let take = |stream| {
            let source = SequenceIds::new(stream);
            (0..1_000).map(|_| source.seed()).collect::<Vec<_>>()
        };
        assert_eq!(take(1), take(1));
        let ids: Vec<Uuid> = take(1).iter().flat_map(|seed| [seed.nth(0), seed.nth(u16::MAX)]).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        let other: BTreeSet<Uuid> = take(2).iter().map(|seed| seed.nth(0)).collect();
        assert!(ids.iter().all(|id| !other.contains(id)));
    }
}
