use std::borrow::Cow;

use commerce_api_domain::{Money, Product, Quantity};
use commerce_http::whole_number;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

fn schema(min: i64, max: i64, description: &str, example: i64) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(min))
        .maximum(Some(max))
        .description(Some(description))
        .examples([example])
        .into()
}

macro_rules! ranged {
    ($(#[doc = $doc:literal])* $name:ident, $min:expr, $max:expr, example $example:expr) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Serialize)]
        pub struct $name(i64);

        impl $name {
            /// The number.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                whole_number(deserializer, $min..=$max).map(Self)
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                schema($min, $max, concat!($($doc),*).trim(), $example)
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    };
}

ranged!(
    /// Id of a user, brand, product or coupon.
    Id, 1, i64::MAX, example 7
);
ranged!(
    /// Pieces in stock.
    StockCount, 0, Product::STOCK_MAX, example 100
);
ranged!(
    /// The most pieces of a product that one customer may hold in orders that are paid or wait for payment.
    PurchaseLimit, 1, Quantity::MAX, example 2
);
ranged!(
    /// How many coupons can be issued.
    IssueLimit, 1, 1_000_000_000, example 1_000
);
ranged!(
    /// How many demonstration buyers to make.
    BuyerCount, 1, 10_000, example 2_000
);
ranged!(
    /// Hundredths of a percent: 1000 is 10 %.
    BasisPoints, 1, 10_000, example 1_000
);

macro_rules! money {
    ($(#[doc = $doc:literal])* $name:ident, from $min:literal) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Serialize)]
        #[serde(into = "i64")]
        pub struct $name(Money);

        impl $name {
            /// The amount.
            pub const fn money(self) -> Money {
                self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let won = whole_number(deserializer, $min..=Money::MAX.won())?;
                Money::new(won).map(Self).map_err(D::Error::custom)
            }
        }

        impl From<$name> for i64 {
            fn from(amount: $name) -> Self {
                amount.0.won()
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                schema($min, Money::MAX.won(), concat!($($doc),*).trim(), 12_000)
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    };
}

impl PurchaseLimit {
    /// The limit.
    pub fn quantity(self) -> Option<Quantity> {
        Quantity::new(self.get()).ok()
    }
}

impl From<Quantity> for PurchaseLimit {
    fn from(limit: Quantity) -> Self {
        Self(limit.get())
    }
}

money!(
    /// An amount of whole won.
    Won, from 0
);
money!(
    /// An amount of whole won, at least 1.
    PositiveWon, from 1
);

impl From<Money> for Won {
    fn from(money: Money) -> Self {
        Self(money)
    }
}

/// Pieces of one product in one order.
#[derive(Clone, Copy, Serialize)]
#[serde(into = "i64")]
pub struct Pieces(Quantity);

impl Pieces {
    /// The quantity.
    pub const fn quantity(self) -> Quantity {
        self.0
    }
}

impl<'de> Deserialize<'de> for Pieces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pieces = whole_number(deserializer, 1..=Quantity::MAX)?;
        Quantity::new(pieces).map(Self).map_err(D::Error::custom)
    }
}

impl From<Pieces> for i64 {
    fn from(pieces: Pieces) -> Self {
        pieces.0.get()
    }
}

impl From<Quantity> for Pieces {
    fn from(quantity: Quantity) -> Self {
        Self(quantity)
    }
}

impl PartialSchema for Pieces {
    fn schema() -> RefOr<Schema> {
        schema(1, Quantity::MAX, "Pieces of one product in one order.", 2)
    }
}

impl ToSchema for Pieces {
    fn name() -> Cow<'static, str> {
        "Pieces".into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_str, to_string};

    use super::*;

    #[test]
    fn amounts_have_limits() {
        for good in ["0", "9007199254740991"] {
            assert_eq!(to_string(&from_str::<Won>(good).unwrap()).unwrap(), good);
        }
        for bad in ["-1", "9007199254740992", "9223372036854775808", "1.0", "\"1\"", "null"] {
            assert!(from_str::<Won>(bad).is_err(), "{bad}");
        }
        assert!(from_str::<PositiveWon>("0").is_err());
        assert!(from_str::<PositiveWon>("1").is_ok());
    }

    #[test]
    fn quantities_and_ids_have_limits() {
        for bad in ["0", "-1", "1000001", "9223372036854775808"] {
            assert!(from_str::<Pieces>(bad).is_err(), "{bad}");
        }
        assert!(from_str::<Pieces>("1000000").is_ok());
        assert!(from_str::<Id>("0").is_err());
        assert!(from_str::<BasisPoints>("10001").is_err());
        let error = from_str::<BuyerCount>("0").err().unwrap().to_string();
        assert!(error.contains("expected a whole number from 1 to 10000"), "{error}");
    }
}
