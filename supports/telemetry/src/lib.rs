//! Logs, metrics, health, and the actuator that shows them.

pub mod actuator;
mod exposition;
pub mod guard;
pub mod health;
pub mod logging;
pub mod metrics;
mod process;

pub use actuator::{ActuatorState, BuildInfo};
pub use guard::{Access, AnyOf, DetailsGuard, LoopbackOr};
pub use health::{Health, HealthIndicator, HealthRegistry, HealthStatus, Probe, Readiness};
pub use logging::{LogFormat, LoggingError};
pub use metrics::{MetricsError, MetricsHandle};
