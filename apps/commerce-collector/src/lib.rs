//! commerce-collector: follows the shop's events, counts each exactly once, and publishes the ranking boards.

pub mod application;
pub mod infrastructure;
