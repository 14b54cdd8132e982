//! commerce-api: the HTTP interface, the configuration and the wiring of the transaction side.

pub mod app;
pub mod config;
pub mod interfaces;
pub mod process;
