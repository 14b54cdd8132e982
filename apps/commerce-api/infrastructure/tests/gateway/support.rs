use std::time::Duration;

use commerce_api_application::ports::{CardNumber, Charge, GatewayAbilities};
use commerce_api_domain::{CardBrand, Money, PaymentId};
use commerce_api_infrastructure::gateway::{GatewayOptions, HttpGateway, gateway_url};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::scripted::Does;

pub const CARD: &str = "1234-5678-9814-1451";
pub const REFERENCE: &str = "0198f2a1-0000-7000-8000-000000000001";

pub fn payment() -> PaymentId {
    PaymentId(Uuid::parse_str(REFERENCE).unwrap())
}

pub fn charge() -> Charge {
    Charge {
        payment: payment(),
        attempt: 1,
        brand: CardBrand::Samsung,
        card: CardNumber::new(CARD.to_owned()),
        amount: Money::new(5_000).unwrap(),
    }
}

pub fn options(url: &str, abilities: GatewayAbilities) -> GatewayOptions {
    let callback = "http://localhost:8080/api/v1/payments/callback".to_owned();
    let mut options =
        GatewayOptions::new(gateway_url(url).unwrap(), "135135".to_owned(), callback, abilities);
    options.call_timeout = Duration::from_secs(1);
    options.retry_first = Duration::from_millis(1);
    options
}

pub fn client(url: &str, abilities: GatewayAbilities) -> HttpGateway {
    HttpGateway::new(options(url, abilities)).unwrap()
}

pub fn ok(data: &str) -> Does {
    let meta = r#"{"result":"SUCCESS","errorCode":null,"message":null}"#;
    Does::Answer(200, format!(r#"{{"meta":{meta},"data":{data}}}"#))
}

pub fn fail(status: u16, message: &str) -> Does {
    let meta = format!(r#"{{"result":"FAIL","errorCode":"Bad Request","message":"{message}"}}"#);
    Does::Answer(status, format!(r#"{{"meta":{meta},"data":null}}"#))
}

pub fn pending() -> Does {
    ok(r#"{"transactionKey":"20260814:TR:9577c5","status":"PENDING","reason":null}"#)
}

/// An address where nobody listens.
pub async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
