use async_trait::async_trait;
use commerce_api_domain::{
    CouponId, CouponPolicy, Discount, IssuedCoupon, IssuedCouponId, Money, Timestamp, UserId,
};

use super::{AuditEntry, StorageError, UpdateRefused};

/// A coupon to add.
#[derive(Debug, Clone)]
pub struct NewCoupon {
    /// The shop's own code, unique.
    pub code: String,
    /// What customers see.
    pub name: String,
    /// What it takes off.
    pub discount: Discount,
    /// Smallest total of an order that may use it.
    pub minimum_total: Money,
    /// First moment of validity.
    pub valid_from: Timestamp,
    /// First moment after its validity.
    pub valid_until: Timestamp,
    /// How many can be issued; none: as many as asked for.
    pub issue_limit: Option<i64>,
}

/// A coupon as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CouponView {
    /// The shop's own code.
    pub code: String,
    /// What it grants.
    pub policy: CouponPolicy,
    /// How many were issued.
    pub issued_count: i64,
    /// Since when it is offered.
    pub created_at: Timestamp,
}

/// A coupon in a customer's hands, with what it grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCouponView {
    /// The coupon in hand.
    pub issued: IssuedCoupon,
    /// What it grants.
    pub policy: CouponPolicy,
}

/// Coupons and who has them.
#[async_trait]
pub trait CouponStore: Send + Sync + 'static {
    /// Adds a coupon.
    async fn add(
        &self,
        coupon: NewCoupon,
        at: Timestamp,
        audit: AuditEntry,
    ) -> Result<CouponView, UpdateRefused>;
    /// Coupons by id.
    async fn coupons(&self, after: Option<CouponId>, limit: u64) -> Result<Vec<CouponView>, StorageError>;
    /// A customer's coupons, latest first.
    async fn issued_to(
        &self,
        user: UserId,
        after: Option<IssuedCouponId>,
        limit: u64,
    ) -> Result<Vec<IssuedCouponView>, StorageError>;
}
