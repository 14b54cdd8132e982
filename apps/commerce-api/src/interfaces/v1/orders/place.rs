//! The body of an order to place.

use commerce_api_application::ports;
use commerce_api_domain::{
    CardDetails, IssuedCouponId, OrderLineRequest, PaymentRequest, PlaceOrder, ProductId, UserId,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::interfaces::input::{CardNumber, Id, Pieces, Won};
use crate::interfaces::v1::names::CardType;

/// Most lines of an order.
const LINES_MAX: usize = 100;

/// An order to place.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PlaceOrderRequest {
    /// What to buy.
    #[schema(value_type = Vec<LineRequest>, min_items = 1, max_items = 100)]
    lines: Lines,
    /// The coupon to use, by the id that it has in your hands.
    issued_coupon_id: Option<Uuid>,
    /// How to pay.
    payment: PaymentBody,
    /// The total that you saw: another one refuses the order.
    expected_total: Option<Won>,
}

/// A product and how many of it.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LineRequest {
    /// Which product.
    product_id: Id,
    /// How many.
    quantity: Pieces,
}

/// How to pay: without a card, points pay all of it.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = PaymentRequest)]
struct PaymentBody {
    /// Points to pay with. Without a card: the total, or left out. With a card: 0 where it is left out.
    points: Option<Won>,
    /// The card that pays the rest.
    card: Option<CardRequest>,
}

/// A card.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CardRequest {
    /// Brand.
    #[serde(rename = "type")]
    kind: CardType,
    /// Number.
    number: CardNumber,
}

/// 1 to [`LINES_MAX`] lines.
#[derive(Serialize, Deserialize)]
#[serde(try_from = "Vec<LineRequest>")]
struct Lines(Vec<LineRequest>);

/// No lines, or too many.
#[derive(Debug, thiserror::Error)]
#[error("expected 1 to {LINES_MAX} lines")]
struct WrongLineCount;

impl TryFrom<Vec<LineRequest>> for Lines {
    type Error = WrongLineCount;

    fn try_from(lines: Vec<LineRequest>) -> Result<Self, WrongLineCount> {
        if (1..=LINES_MAX).contains(&lines.len()) { Ok(Self(lines)) } else { Err(WrongLineCount) }
    }
}

impl PlaceOrderRequest {
    /// The number of the card, for the vault.
    pub fn card_number(&self) -> Option<ports::CardNumber> {
        self.payment.card.as_ref().map(|card| card.number.sealable())
    }

    /// The command of `user`. Of a card only brand and last four digits go into it.
    pub fn command(&self, user: UserId) -> PlaceOrder {
        let line = |line: &LineRequest| OrderLineRequest {
            product: ProductId(line.product_id.get()),
            quantity: line.quantity.quantity(),
        };
        let card =
            |card: &CardRequest| CardDetails { brand: card.kind.into(), last_four: card.number.last_four() };
        PlaceOrder {
            user,
            lines: self.lines.0.iter().map(line).collect(),
            issued_coupon: self.issued_coupon_id.map(IssuedCouponId),
            payment: PaymentRequest {
                points: self.payment.points.map(Won::money),
                card: self.payment.card.as_ref().map(card),
            },
            expected_total: self.expected_total.map(Won::money),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_card_number_is_no_part_of_the_command() {
        let request: PlaceOrderRequest = serde_json::from_value(json!({
            "lines": [{"productId": 7, "quantity": 2}],
            "payment": {"card": {"type": "SAMSUNG", "number": "1234-5678-9814-1451"}},
        }))
        .unwrap();
        let command = request.command(UserId(1));
        let text = format!("{command:?}");
        assert!(text.contains("1451") && !text.contains("9814"), "{text}");
        assert_eq!(request.card_number().unwrap().expose(), "1234-5678-9814-1451");
    }

    #[test]
    fn a_field_left_out_is_the_same_as_null() {
        let read = |value| serde_json::from_value::<PlaceOrderRequest>(value).unwrap();
        let short = read(json!({"lines": [{"productId": 7, "quantity": 2}], "payment": {}}));
        let long = read(json!({
            "payment": {"card": null, "points": null}, "expectedTotal": null, "issuedCouponId": null,
            "lines": [{"quantity": 2, "productId": 7}],
        }));
        assert_eq!(serde_json::to_string(&short).unwrap(), serde_json::to_string(&long).unwrap());
    }
}
