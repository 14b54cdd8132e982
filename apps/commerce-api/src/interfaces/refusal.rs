//! The one place where a refusal of the order desk becomes a problem.

use commerce_api_domain::{IllegalMove, Refusal};
use commerce_http::Problem;
use http::StatusCode;

/// Where a request names what a refusal says is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// In its path: the resource itself is absent, 404.
    InPath,
    /// In its body: the request is well-formed and refused, 422.
    InBody,
}

impl Names {
    const fn absent(self) -> StatusCode {
        match self {
            Self::InPath => ABSENT,
            Self::InBody => REFUSED,
        }
    }
}

const ABSENT: StatusCode = StatusCode::NOT_FOUND;
const CONFLICT: StatusCode = StatusCode::CONFLICT;
const REFUSED: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

/// The problem of a refusal.
pub fn problem(refusal: &Refusal, names: Names) -> Problem {
    let (status, code, title) = match refusal {
        Refusal::ProductNotFound(_) => (names.absent(), "PRODUCT_NOT_FOUND", "The product does not exist"),
        Refusal::ProductNotOnSale(_) => (CONFLICT, "PRODUCT_NOT_ON_SALE", "The product is not on sale"),
        Refusal::OutOfStock { .. } => (CONFLICT, "OUT_OF_STOCK", "There are not enough pieces"),
        Refusal::PurchaseLimitExceeded { .. } => {
            (REFUSED, "PURCHASE_LIMIT_EXCEEDED", "More pieces than one customer may buy")
        }
        Refusal::InsufficientPoints { .. } => (REFUSED, "INSUFFICIENT_POINTS", "There are not enough points"),
        Refusal::PaymentMismatch(_) => (REFUSED, "PAYMENT_MISMATCH", "The payment does not fit the total"),
        Refusal::PriceChanged { .. } => (CONFLICT, "PRICE_CHANGED", "The total is another one now"),
        Refusal::AmountTooLarge => (REFUSED, "AMOUNT_TOO_LARGE", "The amount is too large"),
        Refusal::QuantityTooLarge(_) => (REFUSED, "QUANTITY_TOO_LARGE", "Too many pieces of one product"),
        Refusal::UserNotFound => (ABSENT, "USER_NOT_FOUND", "The account does not exist"),
        Refusal::OrderNotFound => (ABSENT, "ORDER_NOT_FOUND", "The order does not exist"),
        Refusal::OrderState { .. } => (CONFLICT, "ORDER_STATE_CONFLICT", "The order is in no state for this"),
        Refusal::NotDue => (CONFLICT, "ORDER_NOT_DUE", "The payment deadline has not passed"),
        Refusal::EarnedPointsSpent { .. } => {
            (REFUSED, "EARNED_POINTS_SPENT", "Points that the order earned are spent")
        }
        Refusal::Payment(_) => (CONFLICT, "PAYMENT_STATE_CONFLICT", "The payment is in no state for this"),
        Refusal::CouponNotFound => (names.absent(), "COUPON_NOT_FOUND", "The coupon does not exist"),
        Refusal::IssuedCouponNotFound => (names.absent(), "COUPON_NOT_FOUND", "You do not have this coupon"),
        Refusal::CouponAlreadyUsed => (CONFLICT, "COUPON_ALREADY_USED", "The coupon is used already"),
        Refusal::CouponNotValid => (REFUSED, "COUPON_NOT_VALID", "The coupon is not valid now"),
        Refusal::CouponMinimumNotMet { .. } => {
            (REFUSED, "COUPON_MINIMUM_NOT_MET", "The order is too small for the coupon")
        }
        Refusal::CouponSoldOut => (CONFLICT, "COUPON_SOLD_OUT", "No more of this coupon are left"),
        Refusal::CouponAlreadyIssued => (CONFLICT, "COUPON_ALREADY_ISSUED", "You have this coupon already"),
        Refusal::ChargeTooLarge { .. } => (REFUSED, "CHARGE_TOO_LARGE", "The charge is above the limit"),
        Refusal::DailyChargeExceeded { .. } => {
            (REFUSED, "DAILY_CHARGE_EXCEEDED", "The charge is above what is left of today's limit")
        }
        Refusal::ChargeZero => (REFUSED, "CHARGE_ZERO", "A charge is at least 1 point"),
        Refusal::MovementInvalid(_) => (REFUSED, "MOVEMENT_INVALID", "The movement changes nothing"),
        Refusal::StockTooLow { .. } => (CONFLICT, "STOCK_TOO_LOW", "There are not so many pieces"),
        Refusal::StockTooLarge => (REFUSED, "STOCK_TOO_LARGE", "The stock would be too large"),
        Refusal::Inconsistent(text) => {
            // Our own bug: the caller gets the trace id, the log the rest.
            tracing::error!(%text, "a command was refused because the data contradict themselves");
            return Problem::internal();
        }
    };
    with_facts(refusal, Problem::new(status, code, title).detail(refusal.to_string()))
}

/// Adds what a program needs to go on.
fn with_facts(refusal: &Refusal, problem: Problem) -> Problem {
    match refusal {
        Refusal::ProductNotFound(product)
        | Refusal::ProductNotOnSale(product)
        | Refusal::QuantityTooLarge(product) => problem.extra("productId", product.0),
        Refusal::OutOfStock { product, available, requested } => problem
            .extra("productId", product.0)
            .extra("available", *available)
            .extra("requested", *requested),
        Refusal::PurchaseLimitExceeded { product, limit, left, requested } => problem
            .extra("productId", product.0)
            .extra("limit", *limit)
            .extra("left", *left)
            .extra("requested", *requested),
        Refusal::InsufficientPoints { required, balance } => {
            problem.extra("required", required.won()).extra("balance", balance.won())
        }
        Refusal::PriceChanged { actual, .. } => problem.extra("newTotal", actual.won()),
        Refusal::OrderState { from, to } => problem.extra("from", *from).extra("to", *to),
        Refusal::Payment(IllegalMove::State { from, .. }) => problem.extra("from", *from),
        Refusal::EarnedPointsSpent { shortfall } => problem.extra("shortfall", shortfall.won()),
        Refusal::CouponMinimumNotMet { minimum } => problem.extra("minimum", minimum.won()),
        Refusal::ChargeTooLarge { max } => problem.extra("max", max.won()),
        Refusal::DailyChargeExceeded { max, left } => {
            problem.extra("max", max.won()).extra("left", left.won())
        }
        Refusal::StockTooLow { available, requested } => {
            problem.extra("available", *available).extra("requested", *requested)
        }
        _ => problem,
    }
}

#[cfg(test)]
mod tests {
    use commerce_api_domain::{Money, ProductId};
    use commerce_http::RequestContext;

    use super::*;

    fn body(refusal: &Refusal) -> serde_json::Value {
        let problem = problem(refusal, Names::InBody);
        serde_json::from_slice(&problem.to_bytes(&RequestContext::detached())).unwrap()
    }

    #[test]
    fn what_a_path_names_is_absent_and_what_a_body_names_is_refused() {
        for refusal in
            [Refusal::ProductNotFound(ProductId(7)), Refusal::CouponNotFound, Refusal::IssuedCouponNotFound]
        {
            assert_eq!(problem(&refusal, Names::InPath).status(), 404);
            assert_eq!(problem(&refusal, Names::InBody).status(), 422);
        }
        assert_eq!(problem(&Refusal::OrderNotFound, Names::InBody).status(), 404);
    }

    #[test]
    fn facts_are_members_of_the_problem() {
        let refusal = Refusal::OutOfStock { product: ProductId(7), available: 1, requested: 3 };
        let shown = body(&refusal);
        assert_eq!((shown["productId"].as_i64(), shown["available"].as_i64()), (Some(7), Some(1)));
        assert_eq!((shown["requested"].as_i64(), shown["status"].as_i64()), (Some(3), Some(409)));
        let changed = Refusal::PriceChanged { expected: Money::ZERO, actual: Money::MAX };
        assert_eq!(body(&changed)["newTotal"], Money::MAX.won());
    }

    #[test]
    fn our_own_bug_is_not_told() {
        let body = body(&Refusal::Inconsistent("ledger of user 7".into()));
        assert_eq!((body["status"].as_i64(), body["code"].as_str()), (Some(500), Some("INTERNAL_ERROR")));
        assert!(!body.to_string().contains("ledger"));
    }
}
