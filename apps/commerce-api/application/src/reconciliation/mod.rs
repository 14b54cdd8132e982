//! The gateway's settlement report of a day against our books, and the work of every night.

mod admin;
mod days;
mod metrics;
mod nightly;
mod run;

pub use admin::Reconciliations;
pub use metrics::describe_metrics as describe_nightly_metrics;
pub use nightly::{Nightly, NightlyOptions};
pub use run::{ReconcileError, Reconciled, Reconciler};
