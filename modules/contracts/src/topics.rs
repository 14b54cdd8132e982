//! Topic names; the partition key is the aggregate id everywhere.

/// Orders and their payments.
pub const ORDER: &str = "order";
/// Views, catalogue changes, stock running out and coming back.
pub const PRODUCT: &str = "product";
/// Likes.
pub const PRODUCT_LIKE: &str = "product.like";
/// Issued coupons.
pub const COUPON: &str = "coupon";
/// What users do.
pub const USER_ACTIVITY: &str = "user.activity";

/// Every topic.
pub const ALL: &[&str] = &[ORDER, PRODUCT, PRODUCT_LIKE, COUPON, USER_ACTIVITY];
/// Partitions of a topic, unless it was made with another number.
pub const PARTITIONS: i32 = 3;
