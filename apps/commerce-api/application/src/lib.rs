//! Use cases and ports of the transaction side.
//!
//! Knows the domain; names no driver and no framework. Adapters implement [`ports`]; the interfaces call the
//! facades. Every command that moves money, points, stock or a coupon goes through the [`desk`].

mod accounts;
mod admin;
mod breakers;
mod caller;
mod catalogue;
mod coupons;
pub mod desk;
mod evicting;
mod idempotency;
mod likes;
mod orders;
pub mod payments;
mod points;
pub mod ports;
mod product_details;
mod rankings;
pub mod reconciliation;
pub mod relay;
pub mod schedule;
mod view_events;
mod views;

pub use accounts::{AccountError, AccountOptions, Accounts, LogIn, OpenedSession, SignUp};
pub use admin::{Admin, DemoBuyer, DemoError};
pub use breakers::Breakers;
pub use caller::Caller;
pub use catalogue::Catalogue;
pub use coupons::Coupons;
pub use evicting::EvictingStorage;
pub use idempotency::Idempotency;
pub use likes::{LikeError, Likes};
pub use orders::Orders;
pub use points::Points;
pub use product_details::{ProductDetail, ProductDetails};
pub use rankings::{RankedProduct, Ranking, Rankings, Ranks};
pub use view_events::{ViewEventOptions, ViewEvents, describe_view_metrics};
pub use views::{ViewCounter, Viewer};
