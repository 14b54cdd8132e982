//! What events count for: metrics of products by business day, scores, and when too many events are set aside.
//!
//! Pure: no async, no I/O, no clock. Effects are sums, so the order in which events are counted does not matter.

mod count;
mod metrics;
mod quarantine;
mod score;
mod tally;

pub use count::{Delta, Fact, Line, NotCountable, count, is_future};
pub use metrics::Metrics;
pub use quarantine::Quarantine;
pub use score::{Standing, Weights, standings};
pub use tally::Tally;
