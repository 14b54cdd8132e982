//! Names of states and kinds, as they stand in requests and responses.

use commerce_api_domain as domain;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident of $of:path { $($(#[$variant_doc:meta])* $variant:ident),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl From<$of> for $name {
            fn from(value: $of) -> Self {
                use $of as Of;
                match value { $(Of::$variant => Self::$variant),+ }
            }
        }

        impl From<$name> for $of {
            fn from(value: $name) -> Self {
                use $of as Of;
                match value { $($name::$variant => Of::$variant),+ }
            }
        }
    )+};
}

names! {
    /// What a user may do.
    Role of domain::Role { Customer, Admin }
    /// Whether a product is sold.
    ProductStatus of domain::ProductStatus { OnSale, Stopped }
    /// Why stock moved by hand.
    MovementKind of domain::MovementKind { Receipt, Adjustment }
    /// Why points moved.
    LedgerKind of domain::LedgerKind { Charge, Use, Refund, Earn, Revoke }
    /// Where an order stands.
    OrderStatus of domain::OrderStatus {
        PaymentPending, Paid, PaymentFailed, CancelPending, Canceled, Expired,
    }
    /// Where a payment stands.
    PaymentStatus of domain::PaymentStatus {
        Pending, Requesting, Processing, Unknown, Success, Failed, Voided, RefundPending, Refunded,
    }
    /// How an order is paid.
    PaymentMethod of domain::PaymentMethod { Points, Card, PointsAndCard }
    /// Brand of a card.
    CardType of domain::CardBrand { Samsung, Kb, Hyundai }
    /// How long a board's period is.
    BoardPeriod of commerce_api_application::ports::BoardPeriod { Daily, Weekly, Monthly }
    /// What a board ranks by: everything weighted, or likes, views or paid orders alone.
    BoardType of commerce_api_application::ports::BoardType { All, Like, View, Order }
    /// How products are sorted; ties by id.
    ProductSort of commerce_api_application::ports::ProductSort {
        Latest, PriceAsc, PriceDesc, LikesDesc, Name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_domain() {
        let name = |value: serde_json::Value| value.as_str().unwrap().to_owned();
        for status in domain::OrderStatus::ALL {
            assert_eq!(name(serde_json::json!(OrderStatus::from(status))), status.name());
        }
        for status in domain::PaymentStatus::ALL {
            assert_eq!(name(serde_json::json!(PaymentStatus::from(status))), status.name());
        }
        for kind in domain::LedgerKind::ALL {
            assert_eq!(name(serde_json::json!(LedgerKind::from(kind))), kind.name());
        }
        for method in
            [domain::PaymentMethod::Points, domain::PaymentMethod::Card, domain::PaymentMethod::PointsAndCard]
        {
            assert_eq!(name(serde_json::json!(PaymentMethod::from(method))), method.name());
        }
    }
}
