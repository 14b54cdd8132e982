use chrono::NaiveDate;
use commerce_api_domain::{IdSeed, Timestamp};
use uuid::Uuid;

/// The time. Injected everywhere; a lint forbids reading a clock directly.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;

    /// The first moment of the business day that `at` falls in, in the shop's zone.
    fn business_day_start(&self, at: Timestamp) -> Timestamp;

    /// The business day that `at` falls in, in the shop's zone.
    fn business_day(&self, at: Timestamp) -> NaiveDate;
}

/// New ids. Injected everywhere; a lint forbids drawing random numbers directly.
pub trait IdSource: Send + Sync + 'static {
    /// A fresh `UUIDv7`.
    fn uuid(&self) -> Uuid;

    /// The ids of one command.
    fn seed(&self) -> IdSeed {
        IdSeed::new(self.uuid())
    }
}
