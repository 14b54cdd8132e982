//! Values of requests and responses that have a form of their own. Reading one checks it, so a handler that has it
//! has a good one; a fault is told with its place and never repeats the value.

mod day;
mod numbers;
mod text;
mod time;

pub use day::Day;
pub use numbers::{
    BasisPoints, BuyerCount, Id, IssueLimit, Pieces, PositiveWon, PurchaseLimit, StockCount, Won,
};
pub use text::{CardNumber, Code, Description, Name, Reason, SearchText, TransactionKey};
pub use time::Time;

use commerce_http::Problem;

/// A fault that only shows when several fields are seen together.
pub fn invalid(pointer: &str, detail: &str) -> Problem {
    Problem::malformed("the body has a wrong value").field(pointer, detail)
}
