//! What API nodes share in Redis. None of it is the only copy of anything but sessions: without Redis products are read
//! from the database, and nobody's session can be told.

mod buyers;
mod product_cache;
mod sessions;
mod shelf;
mod stored_product;

pub use buyers::BuyersWithSessions;
pub use product_cache::SharedProductCache;
pub use sessions::RedisSessions;
