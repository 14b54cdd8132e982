use bytes::{Bytes, BytesMut};
use commerce_contracts::gateway::MERCHANT_HEADER;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};

use super::fault::Fault;
use super::options::{GatewayOptions, GatewaySetupError};

/// Bytes of an answer that are read; more is no answer of this protocol.
pub(super) const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The same of a page of the settlement report.
pub(super) const REPORT_BYTES_MAX: usize = 1024 * 1024;

/// An answer, read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// Sends single calls, bounded in size; their number and time are bounded by who calls.
pub(super) struct Transport {
    client: Client,
    base: Url,
}

impl Transport {
    pub(super) fn new(options: &GatewayOptions) -> Result<Self, GatewaySetupError> {
        // Another part of the process may have installed one already; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(options.connect_timeout)
            // An idle connection that the gateway closes as we send leaves a charge unknown: keep none for long.
            .pool_idle_timeout(std::time::Duration::from_secs(5))
            .default_headers(HeaderMap::from_iter([merchant(&options.merchant)?]))
            // Card numbers go where the configuration says, and nowhere else: no redirect, no proxy.
            .redirect(Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            .http1_only()
            .tcp_nodelay(true)
            .build()
            .map_err(|error| GatewaySetupError::Client(error.into()))?;
        Ok(Self { client, base: options.base.clone() })
    }

    /// A request to the path of these segments; each is encoded, so none of them can lead elsewhere.
    pub(super) fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        self.client.request(method, url)
    }

    /// Sends it once, and reads at most `bytes_max` of the answer.
    pub(super) async fn send(&self, request: RequestBuilder, bytes_max: usize) -> Result<Answer, Fault> {
        let response = request.send().await.map_err(fault)?;
        let status = response.status();
        Ok(Answer { status, body: read_whole(response, bytes_max).await? })
    }
}

fn merchant(merchant: &str) -> Result<(HeaderName, HeaderValue), GatewaySetupError> {
    let visible = merchant.bytes().all(|byte| byte.is_ascii_graphic());
    if !visible || !(1..=64).contains(&merchant.len()) {
        return Err(GatewaySetupError::Merchant);
    }
    let name = HeaderName::from_bytes(MERCHANT_HEADER.as_bytes()).map_err(|_| GatewaySetupError::Merchant)?;
    let value = HeaderValue::from_str(merchant).map_err(|_| GatewaySetupError::Merchant)?;
    Ok((name, value))
}

/// Only a connection that did not come about, or a request that could not be made, proves that nothing left.
fn fault(error: reqwest::Error) -> Fault {
    let never_left = error.is_connect() || error.is_builder();
    let text = describe(&error.without_url());
    if never_left { Fault::NotSent(text) } else { Fault::Unknown(text) }
}

/// The error and its causes in one line. The body is in none of them.
fn describe(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

async fn read_whole(mut response: Response, bytes_max: usize) -> Result<Bytes, Fault> {
    let mut body = BytesMut::new();
    // The answer has begun, so the request was read: whatever breaks from here on leaves the outcome open.
    while let Some(chunk) =
        response.chunk().await.map_err(|error| Fault::Unknown(describe(&error.without_url())))?
    {
        if body.len() + chunk.len() > bytes_max {
            return Err(Fault::Unknown(format!("the answer is longer than {bytes_max} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
