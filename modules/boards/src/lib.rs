//! Ranking boards: the one published read model of the analytics side.
//!
//! A board is a list of products by score, for a [`Period`] and a [`Board`] type. Its table, `ranking_board`, is keyed
//! by rank, so that any page costs the same. Who ranks writes it; everybody else reads it here.

mod board;
mod period;
mod reader;
pub mod schema;
mod shared;
mod source;
mod through;

pub use board::Board;
pub use period::{Period, PeriodKind};
pub use reader::{BoardError, BoardOptions, BoardReader, Page, Place};
