//! Requests as they should be.

use super::wrong::Dice;

/// Tokens of those who ask.
pub struct Sessions {
    pub shopper: String,
    pub admin: String,
}

#[derive(Clone, Copy)]
enum By {
    Nobody,
    Shopper,
    Admin,
}

/// A request with gaps: `#N` is a number that no request had before, `#P` a product, `#K` a key.
pub struct Valid(&'static str, &'static str, By, &'static str);

use By::{Admin, Nobody, Shopper};

/// Every route that a shopper or an administrator has.
pub const VALID: &[Valid] = &[
    Valid("GET", "/api/v1/products?search=tea&sort=PRICE_ASC&limit=5", Nobody, ""),
    Valid("GET", "/api/v1/products/#P", Nobody, ""),
    Valid("HEAD", "/api/v1/products/#P", Nobody, ""),
    Valid("GET", "/api/v1/brands?limit=3", Nobody, ""),
    Valid("GET", "/api/v1/brands/3", Nobody, ""),
    Valid("GET", "/api/v1/coupons", Nobody, ""),
    Valid("GET", "/api/v1/rankings?period=DAILY&type=ALL&page=1&size=5", Nobody, ""),
    Valid("GET", "/api/v1/rankings/products/#P?date=20261123", Nobody, ""),
    Valid("GET", "/api/v1/users/me", Shopper, ""),
    Valid("GET", "/api/v1/users/me/points?limit=5", Shopper, ""),
    Valid("GET", "/api/v1/users/me/likes", Shopper, ""),
    Valid("GET", "/api/v1/users/me/coupons", Shopper, ""),
    Valid("GET", "/api/v1/orders?limit=3", Shopper, ""),
    Valid("POST", "/api/v1/users/me/points/charges", Shopper, r#"{"amount": 1000}"#),
    Valid("PUT", "/api/v1/products/#P/like", Shopper, ""),
    Valid("DELETE", "/api/v1/products/#P/like", Shopper, ""),
    Valid("POST", "/api/v1/coupons/2/issues", Shopper, ""),
    Valid(
        "POST",
        "/api/v1/orders",
        Shopper,
        r#"{"lines": [{"productId": #P, "quantity": 1}], "payment": {}}"#,
    ),
    Valid(
        "POST",
        "/api/v1/orders",
        Shopper,
        r#"{"lines": [{"productId": #P, "quantity": 2}, {"productId": 1, "quantity": 1}], "payment": {"points": 100, "card": {"type": "SAMSUNG", "number": "1234-5678-9814-1451"}}}"#,
    ),
    Valid(
        "POST",
        "/api/v1/users",
        Nobody,
        r#"{"loginId": "user#N", "email": "user#N@example.com", "password": "correct horse", "birthDate": "2000-02-29", "gender": "FEMALE"}"#,
    ),
    Valid("POST", "/api/v1/sessions", Nobody, r#"{"loginId": "shopper", "password": "shopper-demo"}"#),
    Valid("GET", "/api/v1/admin/users?limit=2", Admin, ""),
    Valid("GET", "/api/v1/admin/orders?status=PAID&limit=2", Admin, ""),
    Valid("GET", "/api/v1/admin/payments?state=STUCK", Admin, ""),
    Valid("POST", "/api/v1/brands", Admin, r#"{"name": "Brand #N", "description": "Tea since 1939"}"#),
    Valid(
        "POST",
        "/api/v1/products",
        Admin,
        r#"{"code": "M-#N", "name": "Tea #N", "brandId": 3, "price": 12000, "stock": 10, "status": "ON_SALE"}"#,
    ),
    Valid("PATCH", "/api/v1/products/#P", Admin, r#"{"price": 13000}"#),
    Valid("GET", "/api/v1/products/#P/stock-movements", Admin, ""),
    Valid(
        "POST",
        "/api/v1/products/#P/stock-movements",
        Admin,
        r#"{"kind": "RECEIPT", "quantity": 5, "reason": "delivery"}"#,
    ),
    Valid(
        "POST",
        "/api/v1/coupons",
        Admin,
        r#"{"code": "C-#N", "name": "Ten", "kind": "RATE", "basisPoints": 1000, "cap": 5000, "minimumTotal": 10000, "validFrom": "2026-01-15T07:00:00Z", "validUntil": "2036-01-16T08:00:00Z", "issueLimit": 5}"#,
    ),
    Valid("POST", "/api/v1/payments/#K/recheck", Admin, ""),
    Valid(
        "POST",
        "/api/v1/payments/callback",
        Nobody,
        r#"{"transactionKey": "20260101:TR:abcdef", "orderId": "1", "cardType": "SAMSUNG", "cardNo": "1234-5678-9814-1451", "amount": 5000, "status": "SUCCESS", "reason": "ok"}"#,
    ),
    Valid("DELETE", "/api/v1/sessions/current", Nobody, ""),
];

/// A request about to be sent.
#[derive(Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    /// Name and value; values may be any bytes that a header may have.
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Valid {
    /// The request without gaps.
    pub fn filled(&self, number: u32, sessions: &Sessions, dice: &mut Dice) -> Request {
        let Self(method, target, by, body) = self;
        let product = (1 + dice.below(200)).to_string();
        let fill = |text: &str| {
            text.replace("#N", &number.to_string()).replace("#P", &product).replace("#K", "0190a0b0-0000")
        };
        let mut headers = Vec::new();
        let token = match by {
            Nobody => None,
            Shopper => Some(&sessions.shopper),
            Admin => Some(&sessions.admin),
        };
        if let Some(token) = token {
            headers.push(("Authorization".to_owned(), format!("Bearer {token}").into_bytes()));
        }
        if *method == "POST" {
            headers.push(("Idempotency-Key".to_owned(), format!("key-{number}").into_bytes()));
        }
        if *method == "PATCH" {
            let version = 1 + dice.below(3);
            headers.push(("If-Match".to_owned(), format!("\"v{version}\"").into_bytes()));
        }
        if !body.is_empty() {
            headers.push(("Content-Type".to_owned(), b"application/json".to_vec()));
        }
        let (method, target) = ((*method).to_owned(), fill(target));
        Request { method, target, headers, body: fill(body).into_bytes() }
    }
}

impl Request {
    /// As it goes over the wire.
    pub fn bytes(&self, host: &str) -> Vec<u8> {
        let Self { method, target, headers, body } = self;
        let mut bytes =
            format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n").into_bytes();
        for (name, value) in headers {
            bytes.extend_from_slice(format!("{name}: ").as_bytes());
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    /// Whether the answer has no body.
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}
