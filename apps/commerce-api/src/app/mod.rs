//! Wiring: which adapter stands behind which port, and the start and stop of the app.

mod background;
pub mod demo;
mod error;
mod event_log;
mod guards;
mod health;
mod platform;
mod reconcile;
mod running;
mod shared_limits;
mod wiring;

pub use error::StartError;
pub use event_log::EventLog;
pub use guards::AdminSession;
pub use platform::Platform;
pub use reconcile::reconciler;
pub use running::Running;
