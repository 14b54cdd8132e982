use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use commerce_api_application::ports::{Clock, IdSource};
use uuid::{Builder, Uuid};

use super::fill_random;

/// `UUIDv7`s of the clock's millisecond and 74 random bits, ascending: without its last 16 bits, which
/// [`IdSeed`](commerce_api_domain::IdSeed) counts with, an id is greater than every one that this source or a clone of
/// it gave before. Rows that are read by id are so read in the order in which their ids were drawn.
///
/// In a millisecond that had an id already, and where the clock steps back, it goes on from the last one by a random
/// step; the millisecond it carries is then that of the last one.
#[derive(Clone)]
pub struct RandomIds {
    clock: Arc<dyn Clock>,
    last: Arc<Mutex<Position>>,
}

/// An id without its version, its variant and its last 16 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Position {
    millis: u64,
    /// 58 bits, random within a millisecond.
    within: u64,
}

impl Position {
    const WITHIN_MAX: u64 = (1 << 58) - 1;

    /// `step` further on, into the next millisecond where this one has no more.
    const fn after(self, step: u64) -> Self {
        let within = self.within + step;
        if within > Self::WITHIN_MAX {
            Self { millis: self.millis + 1, within: within & Self::WITHIN_MAX }
        } else {
            Self { within, ..self }
        }
    }

    /// The id of this place that ends in `tail`.
    fn id(self, tail: u16) -> Uuid {
        // The builder puts the version over the upper four bits, and the variant over the upper two of the third byte.
        let bits = u128::from(self.within >> 46) << 64
            | u128::from(self.within & ((1 << 46) - 1)) << 16
            | u128::from(tail);
        let mut bytes = [0; 10];
        bytes.copy_from_slice(&bits.to_be_bytes()[6..]);
        Builder::from_unix_timestamp_millis(self.millis, &bytes).into_uuid()
    }
}

impl RandomIds {
    /// Steps are below this; a millisecond has room for billions of them.
    const STEP_MAX: u64 = 1 << 24;

    /// Ids that carry the time of `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, last: Arc::default() }
    }
}

impl IdSource for RandomIds {
    fn uuid(&self) -> Uuid {
        let mut random = [0; 10];
        fill_random(&mut random);
        let [first, second, third, fourth, fifth, sixth, seventh, eighth, tail @ ..] = random;
        let random = u64::from_be_bytes([first, second, third, fourth, fifth, sixth, seventh, eighth]);
        let millis = u64::try_from(self.clock.now().as_micros() / 1_000).unwrap_or_default();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = if millis > last.millis {
            Position { millis, within: random & Position::WITHIN_MAX }
        } else {
            last.after(1 + random % Self::STEP_MAX)
        };
        last.id(u16::from_be_bytes(tail))
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
    /// Ten minutes before 08:00 UTC on the fifteenth of January 2027, the moment that tests take place at, in
    /// milliseconds: a row's id tells about when it was made, and reads rely on that.
    const START_MS: u64 = 1_799_999_400_000;

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

    fn masked(id: Uuid) -> u128 {
        id.as_u128() >> 16
    }

    #[test]
    fn random_ids_ascend_in_every_thread() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_767_225_600_000_000)));
        let source = RandomIds::new(clock.clone());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (source, clock) = (source.clone(), clock.clone());
                std::thread::spawn(move || {
                    let draw = |index: u64| {
                        if index.is_multiple_of(100) {
                            clock.advance(std::time::Duration::from_millis(1));
                        }
                        source.seed().nth(0)
                    };
                    (0..5_000).map(draw).collect::<Vec<_>>()
                })
            })
            .collect();
        let drawn: Vec<Vec<Uuid>> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        for ids in &drawn {
            assert!(ids.windows(2).all(|pair| masked(pair[0]) < masked(pair[1])));
        }
        let all: BTreeSet<u128> = drawn.iter().flatten().map(|id| masked(*id)).collect();
        assert_eq!(all.len(), 20_000, "no seed is given twice");
        assert!(drawn.iter().flatten().all(|id| id.get_version_num() == 7));
        assert!(drawn.iter().flatten().all(|id| id.get_variant() == uuid::Variant::RFC4122));
    }

    #[test]
    fn a_clock_that_steps_back_does_not_take_ids_back() {
        let now = Timestamp::from_micros(1_767_225_600_000_000);
        let clock = Arc::new(ManualClock::new(now));
        let source = RandomIds::new(clock.clone());
        let before = source.uuid();
        clock.set(now.minus(std::time::Duration::from_hours(1)));
        let stepped_back = source.uuid();
        assert!(masked(before) < masked(stepped_back));
        assert_eq!(stepped_back.as_u128() >> 80, 1_767_225_600_000, "in the last one's millisecond");
        clock.set(now.plus(std::time::Duration::from_millis(1)));
        assert_eq!(source.uuid().as_u128() >> 80, 1_767_225_600_001, "and with the clock again");
    }

    #[test]
    fn a_full_millisecond_goes_on_in_the_next() {
        let last = Position { millis: 7, within: Position::WITHIN_MAX };
        let next = last.after(1);
        assert_eq!(next, Position { millis: 8, within: 0 });
        assert!(masked(last.id(u16::MAX)) < masked(next.id(0)));
        let bits = Position { millis: 0, within: Position::WITHIN_MAX }.id(u16::MAX).as_u128();
        assert_eq!(bits, 0x0000_0000_0000_7fff_bfff_ffff_ffff_ffff, "every bit but version and variant");
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
