//! Coupons and first-come issues.

use std::sync::Arc;

use commerce_api_domain::{CommandKind, CouponId, IssuedCouponId, Timestamp, UserId};
use serde_json::json;

use crate::Caller;
use crate::desk::{DeskReply, KeyedRequest, OrderDesk, SubmitError};
use crate::ports::{
    Clock, CouponStore, CouponView, IdSource, IssuedCouponView, NewCoupon, StorageError, UpdateRefused,
};

/// Coupons.
#[derive(Clone)]
pub struct Coupons {
    store: Arc<dyn CouponStore>,
    desk: OrderDesk,
    ids: Arc<dyn IdSource>,
    clock: Arc<dyn Clock>,
}

impl Coupons {
    /// With these adapters.
    pub fn new(
        store: Arc<dyn CouponStore>,
        desk: OrderDesk,
        ids: Arc<dyn IdSource>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, desk, ids, clock }
    }

    /// Adds a coupon.
    pub async fn add(&self, caller: &Caller, coupon: NewCoupon) -> Result<CouponView, UpdateRefused> {
        let target = format!("coupon:{}", coupon.code);
        let audit = caller.audit(
            &*self.ids,
            &*self.clock,
            "COUPON_ADDED",
            target,
            &json!({ "limit": coupon.issue_limit }),
        );
        self.store.add(coupon, self.clock.now(), audit).await
    }

    /// Coupons by id.
    pub async fn coupons(
        &self,
        after: Option<CouponId>,
        limit: u64,
    ) -> Result<Vec<CouponView>, StorageError> {
        self.store.coupons(after, limit).await
    }

    /// A customer's coupons, latest first, and the moment at which EXPIRED is to be derived.
    pub async fn issued_to(
        &self,
        user: UserId,
        after: Option<IssuedCouponId>,
        limit: u64,
    ) -> Result<(Vec<IssuedCouponView>, Timestamp), StorageError> {
        Ok((self.store.issued_to(user, after, limit).await?, self.clock.now()))
    }

    /// Issues a coupon to the caller, first come, first served.
    pub async fn issue(
        &self,
        caller: &Caller,
        keyed: KeyedRequest,
        coupon: CouponId,
    ) -> Result<DeskReply, SubmitError> {
        let kind = CommandKind::IssueCoupon { coupon, user: caller.user };
        self.desk.submit(caller.submission(kind, keyed, None)).await
    }
}
