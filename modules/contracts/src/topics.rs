//! Topic names; the partition key is the aggregate id everywhere.

/// Orders and their payments.
pub const ORDER: &str = "order";
/// Views, catalogue changes, stock running out and coming back.
pub const PRODUCT: &str = "product";
/// Likes.
pub const PRODUCT_LIKE: &str = "product.like";
/// Issued coupons.
pub const COUPON: &str = "coupon";
