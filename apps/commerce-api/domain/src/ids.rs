use std::fmt;

use uuid::Uuid;

macro_rules! integer_id {
    ($(#[$doc:meta] $name:ident),* $(,)?) => {$(
        #[$doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

macro_rules! uuid_id {
    ($(#[$doc:meta] $name:ident),* $(,)?) => {$(
        #[$doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

integer_id! {
    /// A customer or administrator; given by the database.
    UserId,
    /// A brand of the catalogue; given by the database.
    BrandId,
    /// A product of the catalogue; given by the database.
    ProductId,
    /// A coupon policy; given by the database.
    CouponId,
}

uuid_id! {
    /// An order (`UUIDv7`).
    OrderId,
    /// The payment of an order (`UUIDv7`); the reference under which the gateway knows it.
    PaymentId,
    /// An event (`UUIDv7`); consumers dedupe by it.
    EventId,
    /// A row of the point ledger (`UUIDv7`).
    LedgerId,
    /// A coupon in a customer's hands (`UUIDv7`).
    IssuedCouponId,
    /// A receipt or adjustment of stock (`UUIDv7`).
    MovementId,
}

/// The ids that one command may use, all derived from one `UUIDv7` that was made when the command was submitted.
///
/// The last 16 bits count, so a command that runs twice, after a deadlock or a lost commit answer, names its rows the
/// same both times. 46 random bits and the millisecond stay in every id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdSeed(u128);

impl IdSeed {
    const COUNTER_MASK: u128 = 0xffff;

    /// A seed from a fresh `UUIDv7`.
    pub const fn new(uuid_v7: Uuid) -> Self {
        Self(uuid_v7.as_u128() & !Self::COUNTER_MASK)
    }

    /// The seed's own random bits, for spreading what should not coincide.
    pub const fn salt(self) -> u64 {
        // The upper half of a `UUIDv7` is mostly time; random are the bits above the counter.
        Uuid::from_u128(self.0 >> 16).as_u64_pair().1
    }

    /// The `index`-th id of this seed.
    pub const fn nth(self, index: u16) -> Uuid {
        Uuid::from_u128(self.0 | index as u128)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_distinct_version_7_ids_in_order() {
        let seed = IdSeed::new(Uuid::from_u128(0x0190_0000_0000_7abc_8123_4567_89ab_cdef));
        let ids: Vec<Uuid> = (0..1_000).map(|index| seed.nth(index)).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
    }
}
