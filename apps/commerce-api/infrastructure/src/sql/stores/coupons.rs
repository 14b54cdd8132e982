use async_trait::async_trait;
use commerce_api_application::ports::{
    AuditEntry, CouponStore, CouponView, IssuedCouponView, NewCoupon, StorageError, UpdateRefused,
};
use commerce_api_domain::{
    CouponId, CouponPolicy, Discount, IssuedCoupon, IssuedCouponId, IssuedCouponStatus, Money, OrderId,
    Timestamp, UserId,
};
use commerce_database::{Column, Database, Insert, WriteTransaction};
use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Order, Query};

use super::query::{Failure, all, insert_new, select};
use crate::sql::decode::{Columns, POLICY_COLUMNS};
use crate::sql::unit_of_work::records;

/// [`CouponStore`] on SQL.
#[derive(Debug, Clone)]
pub struct SqlCoupons {
    db: Database,
}

impl SqlCoupons {
    /// Works on `db`, which has the schema of this code.
    pub const fn new(db: Database) -> Self {
        Self { db }
    }
}

const COUPON: Insert = Insert {
    table: "coupons",
    columns: &[
        Column::text("code"),
        Column::text("name"),
        Column::text("kind"),
        Column::int("amount"),
        Column::int("basis_points"),
        Column::int("cap"),
        Column::int("minimum_total"),
        Column::int("valid_from"),
        Column::int("valid_until"),
        Column::int("issue_limit"),
        Column::int("issued_count"),
        Column::int("created_at"),
    ],
};

const ISSUED_COLUMNS: [&str; 7] =
    ["id", "coupon_id", "user_id", "status", "order_id", "event_seq", "issued_at"];

fn coupon(row: &mut Columns<'_>) -> Result<CouponView, StorageError> {
    Ok(CouponView {
        policy: row.policy()?,
        code: row.take()?,
        issued_count: row.take()?,
        created_at: row.time()?,
    })
}

fn issued(row: &mut Columns<'_>) -> Result<IssuedCouponView, StorageError> {
    let issued = IssuedCoupon {
        id: IssuedCouponId(row.take()?),
        coupon: CouponId(row.take()?),
        user: UserId(row.take()?),
        status: row.named("coupon status", IssuedCouponStatus::parse)?,
        order: row.take::<Option<uuid::Uuid>>()?.map(OrderId),
        event_seq: row.take()?,
        issued_at: row.time()?,
    };
    Ok(IssuedCouponView { issued, policy: row.policy()? })
}

#[async_trait]
impl CouponStore for SqlCoupons {
    async fn add(
        &self,
        coupon: NewCoupon,
        at: Timestamp,
        audit: AuditEntry,
    ) -> Result<CouponView, UpdateRefused> {
        let added = self.db.write("add_coupon", move |tx| {
            let (coupon, audit) = (coupon.clone(), audit.clone());
            Box::pin(async move { add(tx, coupon, at, audit).await })
        });
        added.await.map_err(Failure::into_port)
    }

    async fn coupons(&self, after: Option<CouponId>, limit: u64) -> Result<Vec<CouponView>, StorageError> {
        let mut statement = Query::select();
        statement
            .columns(POLICY_COLUMNS.iter().copied())
            .columns(["code", "issued_count", "created_at"])
            .from("coupons")
            .and_where_option(after.map(|after| Expr::col("id").gt(after.0)))
            .order_by("id", Order::Asc)
            .limit(limit);
        all(&self.db.reader_named("coupons"), &statement, coupon).await
    }

    async fn issued_to(
        &self,
        user: UserId,
        after: Option<IssuedCouponId>,
        limit: u64,
    ) -> Result<Vec<IssuedCouponView>, StorageError> {
        let mut statement = Query::select();
        select(&mut statement, "i", &ISSUED_COLUMNS);
        select(&mut statement, "c", POLICY_COLUMNS);
        statement
            .from_as("issued_coupons", "i")
            .join_as(JoinType::InnerJoin, "coupons", "c", Expr::col(("c", "id")).equals(("i", "coupon_id")))
            .and_where(Expr::col(("i", "user_id")).eq(user.0))
            .and_where_option(after.map(|after| Expr::col(("i", "id")).lt(after.0)))
            .order_by(("i", "id"), Order::Desc)
            .limit(limit);
        all(&self.db.reader_named("issued_to"), &statement, issued).await
    }
}

async fn add(
    tx: &WriteTransaction,
    coupon: NewCoupon,
    at: Timestamp,
    audit: AuditEntry,
) -> Result<CouponView, Failure<UpdateRefused>> {
    let (kind, amount, basis_points, cap) = match coupon.discount {
        Discount::Amount(amount) => ("AMOUNT", Some(amount.won()), None, None),
        Discount::Rate { basis_points, cap } => ("RATE", None, Some(basis_points), cap.map(Money::won)),
    };
    let mut row = COUPON.rows();
    row.push([
        (&coupon.code).into(),
        (&coupon.name).into(),
        kind.into(),
        amount.into(),
        basis_points.into(),
        cap.into(),
        coupon.minimum_total.won().into(),
        coupon.valid_from.as_micros().into(),
        coupon.valid_until.as_micros().into(),
        coupon.issue_limit.into(),
        0_i64.into(),
        at.as_micros().into(),
    ]);
    let id = insert_new(tx, &COUPON, &row, UpdateRefused::Taken("coupon code")).await?;
    records::audit(tx, &[audit]).await?;
    let policy = CouponPolicy {
        id: CouponId(id),
        name: coupon.name.into(),
        discount: coupon.discount,
        minimum_total: coupon.minimum_total,
        valid_from: coupon.valid_from,
        valid_until: coupon.valid_until,
        issue_limit: coupon.issue_limit,
    };
    Ok(CouponView { code: coupon.code, policy, issued_count: 0, created_at: at })
}
