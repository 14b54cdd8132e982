use commerce_webhook::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};
use serde_json::{Value, json};

use super::{CARD, Call, NOW, Reply, SECRETS, Shop, secret};

/// A callback of the gateway, good until it is changed.
#[derive(Clone)]
pub struct Callback {
    pub id: String,
    pub at_s: i64,
    pub key: &'static [u8],
    pub told: Value,
}

impl Callback {
    /// That the payment's card part was captured.
    pub fn of(payment: &str, amount: i64) -> Self {
        let told = json!({
            "transactionKey": "20270115:TR:9577c5", "orderId": payment, "cardType": "KB", "cardNo": CARD,
            "amount": amount, "status": "SUCCESS", "reason": null,
        });
        Self { id: "msg-1".to_owned(), at_s: NOW.as_micros() / 1_000_000, key: SECRETS[0], told }
    }

    pub fn body(&self) -> String {
        self.told.to_string()
    }

    /// The signature over the body as it is.
    pub fn signature(&self) -> String {
        sign(&secret(self.key), &self.id, self.at_s, self.body().as_bytes())
    }

    /// `call` with the body and its signature.
    pub fn signed_by(&self, call: Call) -> Call {
        call.header(ID_HEADER, &self.id)
            .header(TIMESTAMP_HEADER, &self.at_s.to_string())
            .header(SIGNATURE_HEADER, &self.signature())
            .text(&self.body())
    }

    pub async fn send(&self, shop: &Shop) -> Reply {
        self.signed_by(shop.post("/api/v1/payments/callback")).send().await
    }

    /// Sends it, and gives back what became of it.
    pub async fn outcome(&self, shop: &Shop) -> String {
        self.send(shop).await.expect(200).text("outcome")
    }
}
