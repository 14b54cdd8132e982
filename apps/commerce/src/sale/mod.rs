//! Many orders over HTTP: the flash sale and the load, and what they find.

mod buyer;
mod faulty;
mod flash;
mod judge;
mod load;
mod measure;
mod report;

pub use flash::flash_sale;
pub use load::load;
pub use measure::per_second;
