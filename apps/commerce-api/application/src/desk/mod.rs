//! The order desk: the one place where money, points, stock and coupons move.
//!
//! Callers submit commands to a bounded queue. A worker takes whatever waits, locks and reads once, decides each
//! command in turn, writes with one statement a table, commits once and answers everybody. While one batch commits,
//! the next one forms, so there is no timer and no added waiting.

mod engine;
mod like_desk;
mod metrics;
mod order_batch;
mod order_desk;
mod outbox;
mod signal;
mod submission;

pub use engine::{BatchFailure, BatchHandler, DeskOptions, Engine, SubmitError};
pub use like_desk::{LikeDesk, LikeReply};
pub use metrics::describe_metrics;
pub use order_desk::OrderDesk;
pub(crate) use outbox::event_headers;
pub use outbox::outbox_record;
pub use signal::{Listener, Signal};
pub use submission::{DeskReply, Encode, KeyedRequest, Queued, Submission};
