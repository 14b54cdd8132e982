//! Proof that a callback comes from the gateway.

use std::sync::Arc;

use commerce_api_application::ports::Clock;
use commerce_http::Problem;
use commerce_webhook::{Headers, ID_HEADER, SIGNATURE_HEADER, Secret, TIMESTAMP_HEADER, TOLERANCE, verify};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, StatusCode};

const MICROS: i64 = 1_000_000;

/// Describes what is measured of callbacks before they are believed; called once when metrics are set up.
pub fn describe_callback_metrics() {
    metrics::describe_counter!(
        "commerce_callbacks_refused_total",
        "Callbacks that were refused because they were not signed by the gateway"
    );
}

/// Checks the signatures of callbacks.
#[derive(Clone)]
pub struct SignatureGuard {
    secrets: Arc<[Secret]>,
    clock: Arc<dyn Clock>,
}

impl SignatureGuard {
    /// A signature under any of `secrets` is good, within five minutes of the clock.
    pub fn new(secrets: Vec<Secret>, clock: Arc<dyn Clock>) -> Self {
        Self { secrets: secrets.into(), clock }
    }

    /// The id of the callback, where its signature over these very bytes is good. Why it is not, only the log is told.
    pub(super) fn check(&self, headers: &HeaderMap, body: &[u8]) -> Result<String, Problem> {
        let given = Headers {
            id: one(headers, ID_HEADER),
            timestamp: one(headers, TIMESTAMP_HEADER),
            signature: one(headers, SIGNATURE_HEADER),
        };
        let now_s = self.clock.now().as_micros().div_euclid(MICROS);
        match verify(&self.secrets, given, body, now_s, TOLERANCE) {
            Ok(id) => Ok(id.to_owned()),
            Err(error) => {
                tracing::warn!(%error, "a callback without a good signature was refused");
                metrics::counter!("commerce_callbacks_refused_total").increment(1);
                Err(unsigned())
            }
        }
    }
}

/// The one header of that name; two of them are none, since nobody could say which one counts.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

fn unsigned() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "INVALID_SIGNATURE", "The callback is not signed by the gateway")
        .detail(
            "send the signature over the body as it is, made with the shared secret, at most 5 minutes old",
        )
        .header(WWW_AUTHENTICATE, HeaderValue::from_static("Signature"))
}
