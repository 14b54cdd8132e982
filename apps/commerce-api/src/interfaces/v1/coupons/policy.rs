//! What a coupon grants, as it is asked for and shown.

use commerce_api_application::ports::{CouponView, NewCoupon};
use commerce_api_domain::{CouponPolicy, Discount, Money};
use commerce_http::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::interfaces::input::{BasisPoints, Code, IssueLimit, Name, PositiveWon, Time, Won, invalid};

/// How a coupon takes off.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum CouponKind {
    /// A fixed amount.
    Amount,
    /// A share of the total, rounded down to a won.
    Rate,
}

/// A coupon to add: `amount` for AMOUNT, `rateBasisPoints` and perhaps `cap` for RATE.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CouponRequest {
    /// The shop's own code, unique.
    code: Code,
    /// What customers see.
    name: Name,
    /// How it takes off.
    kind: CouponKind,
    /// What an AMOUNT coupon takes off; never more than the order's total.
    amount: Option<PositiveWon>,
    /// The share that a RATE coupon takes off.
    rate_basis_points: Option<BasisPoints>,
    /// The most that a RATE coupon takes off.
    cap: Option<PositiveWon>,
    /// Smallest total of an order that may use it; 0 where it is left out.
    minimum_total: Option<Won>,
    /// First moment of its validity.
    valid_from: Time,
    /// First moment after its validity.
    valid_until: Time,
    /// How many can be issued; as many as asked for where it is left out.
    issue_limit: Option<IssueLimit>,
}

impl CouponRequest {
    fn discount(&self) -> Result<Discount, Problem> {
        match (self.kind, self.amount, self.rate_basis_points, self.cap) {
            (CouponKind::Amount, Some(amount), None, None) => Ok(Discount::Amount(amount.money())),
            (CouponKind::Amount, None, ..) => Err(invalid("/amount", "is required for AMOUNT")),
            (CouponKind::Amount, Some(_), Some(_), _) => Err(invalid("/rateBasisPoints", "is for RATE only")),
            (CouponKind::Amount, Some(_), None, Some(_)) => Err(invalid("/cap", "is for RATE only")),
            (CouponKind::Rate, Some(_), ..) => Err(invalid("/amount", "is for AMOUNT only")),
            (CouponKind::Rate, None, None, _) => Err(invalid("/rateBasisPoints", "is required for RATE")),
            (CouponKind::Rate, None, Some(rate), cap) => {
                let basis_points = u32::try_from(rate.get())
                    .map_err(|_| invalid("/rateBasisPoints", "expected a whole number from 1 to 10000"))?;
                Ok(Discount::Rate { basis_points, cap: cap.map(PositiveWon::money) })
            }
        }
    }
}

impl TryFrom<CouponRequest> for NewCoupon {
    type Error = Problem;

    fn try_from(request: CouponRequest) -> Result<Self, Problem> {
        let discount = request.discount()?;
        let (valid_from, valid_until) = (request.valid_from.timestamp(), request.valid_until.timestamp());
        if valid_from >= valid_until {
            return Err(invalid("/validUntil", "expected a time after validFrom"));
        }
        Ok(Self {
            code: request.code.into_string(),
            name: request.name.into_string(),
            discount,
            minimum_total: request.minimum_total.map_or(Money::ZERO, Won::money),
            valid_from,
            valid_until,
            issue_limit: request.issue_limit.map(IssueLimit::get),
        })
    }
}

/// What a coupon grants.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantResponse {
    /// Which coupon.
    #[schema(example = 2)]
    id: i64,
    /// What customers see.
    #[schema(example = "Spring sale")]
    name: String,
    /// How it takes off.
    kind: CouponKind,
    /// What an AMOUNT coupon takes off.
    #[schema(required = true)]
    amount: Option<Won>,
    /// The share that a RATE coupon takes off, in hundredths of a percent.
    #[schema(required = true, example = 1_000)]
    rate_basis_points: Option<u32>,
    /// The most that a RATE coupon takes off.
    #[schema(required = true)]
    cap: Option<Won>,
    /// Smallest total of an order that may use it.
    minimum_total: Won,
    /// First moment of its validity.
    valid_from: Time,
    /// First moment after its validity.
    valid_until: Time,
}

impl From<&CouponPolicy> for GrantResponse {
    fn from(policy: &CouponPolicy) -> Self {
        let (kind, amount, rate_basis_points, cap) = match policy.discount {
            Discount::Amount(amount) => (CouponKind::Amount, Some(amount.into()), None, None),
            Discount::Rate { basis_points, cap } => {
                (CouponKind::Rate, None, Some(basis_points), cap.map(Into::into))
            }
        };
        Self {
            id: policy.id.0,
            name: policy.name.to_string(),
            kind,
            amount,
            rate_basis_points,
            cap,
            minimum_total: policy.minimum_total.into(),
            valid_from: policy.valid_from.into(),
            valid_until: policy.valid_until.into(),
        }
    }
}

/// A coupon that is offered.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CouponResponse {
    #[serde(flatten)]
    grant: GrantResponse,
    /// The shop's own code.
    #[schema(example = "SPRING-10")]
    code: String,
    /// How many can be issued; null: as many as asked for.
    #[schema(required = true, example = 1_000)]
    issue_limit: Option<i64>,
    /// How many were issued.
    #[schema(example = 17)]
    issued_count: i64,
    /// Since when it is offered.
    created_at: Time,
}

impl From<CouponView> for CouponResponse {
    fn from(view: CouponView) -> Self {
        Self {
            grant: (&view.policy).into(),
            code: view.code,
            issue_limit: view.policy.issue_limit,
            issued_count: view.issued_count,
            created_at: view.created_at.into(),
        }
    }
}
