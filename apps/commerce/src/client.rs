//! A lean HTTP/1.1 client: keep-alive connections, as many as are allowed, shared by everybody who asks.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Answers beyond this are not ours.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL is not one of a shop.
    #[error("`{0}` is no URL of a shop; expected http://HOST:PORT")]
    Url(String),
    /// Nobody listens there.
    #[error("no connection to {authority}; is the shop running?")]
    Connect {
        /// Host and port.
        authority: String,
        /// Why.
        source: std::io::Error,
    },
    /// The connection broke before the answer was whole.
    #[error("the connection broke")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
}

impl ClientError {
    /// A stable name for counting.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Url(_) => "URL",
            Self::Connect { .. } => "CONNECTION_REFUSED",
            Self::Broken(_) => "CONNECTION_BROKEN",
            Self::Timeout(_) => "TIMEOUT",
        }
    }

    fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Broken(error.into())
    }
}

/// A request.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    method: Method,
    path: &'a str,
    token: Option<&'a str>,
    key: Option<&'a str>,
    headers: &'a [(&'static str, &'a str)],
    body: Option<Bytes>,
}

impl<'a> Call<'a> {
    const fn of(method: Method, path: &'a str, body: Option<Bytes>) -> Self {
        Self { method, path, token: None, key: None, headers: &[], body }
    }

    /// GET `path`.
    pub const fn get(path: &'a str) -> Self {
        Self::of(Method::GET, path, None)
    }

    /// POST the JSON `body` to `path`.
    pub const fn post(path: &'a str, body: Bytes) -> Self {
        Self::of(Method::POST, path, Some(body))
    }

    /// PUT `path` without a body.
    pub const fn put(path: &'a str) -> Self {
        Self::of(Method::PUT, path, None)
    }

    /// Sends a session's token.
    pub const fn token(mut self, token: &'a str) -> Self {
        self.token = Some(token);
        self
    }

    /// Sends an `Idempotency-Key`.
    pub const fn key(mut self, key: &'a str) -> Self {
        self.key = Some(key);
        self
    }

    /// Sends these headers besides.
    pub const fn headers(mut self, headers: &'a [(&'static str, &'a str)]) -> Self {
        self.headers = headers;
        self
    }

    /// Sends this JSON.
    pub fn body(mut self, body: Bytes) -> Self {
        self.body = Some(body);
        self
    }

    fn request(&self, host: &HeaderValue) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::builder().method(&self.method).uri(self.path).header(HOST, host);
        if let Some(token) = self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(key) = self.key {
            request = request.header("idempotency-key", key);
        }
        for (name, value) in self.headers {
            request = request.header(*name, *value);
        }
        if self.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request.body(Full::new(self.body.clone().unwrap_or_default()))
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Whether it is one that was given before under the same key.
    pub replayed: bool,
    /// After how long to try again, if it says so.
    pub retry_after: Option<Duration>,
    /// Body.
    pub body: Bytes,
}

/// The client of one shop.
pub struct Client {
    authority: String,
    host: HeaderValue,
    permits: Semaphore,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
    timeout: Duration,
}

impl Client {
    /// How long an answer may take, from the moment the request has a connection.
    const TIMEOUT: Duration = Duration::from_secs(30);

    /// A client of the shop at `url` with at most so many connections.
    pub fn new(url: &str, connections: usize) -> Result<Self, ClientError> {
        let refused = || ClientError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| refused())?;
        let plain =
            uri.scheme_str() == Some("http") && matches!(uri.path(), "" | "/") && uri.query().is_none();
        let (Some(authority), true) = (uri.authority(), plain) else { return Err(refused()) };
        let authority = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
        let host = HeaderValue::from_str(&authority).map_err(|_| refused())?;
        let permits = Semaphore::new(connections.max(1));
        Ok(Self { authority, host, permits, idle: Mutex::default(), timeout: Self::TIMEOUT })
    }

    /// Host and port.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Sends a request and waits for its whole answer. Waits first for a connection, in turn and without limit.
    pub async fn send(&self, call: &Call<'_>) -> Result<Reply, ClientError> {
        let request = call.request(&self.host).map_err(ClientError::broken)?;
        let _permit = self.permits.acquire().await.map_err(ClientError::broken)?;
        // A connection that does not answer in time is dropped with its future, never used again.
        match timeout(self.timeout, self.exchange(request)).await {
            Ok(reply) => reply,
            Err(_) => Err(ClientError::Timeout(self.timeout)),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Reply, ClientError> {
        let mut connection = self.connection().await?;
        let response = connection.send_request(request).await.map_err(ClientError::broken)?;
        let (parts, body) = response.into_parts();
        let body =
            Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(ClientError::broken)?.to_bytes();
        self.idle().push(connection);
        let retry_after = parts.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Reply {
            status: parts.status,
            replayed: parts.headers.contains_key("idempotent-replayed"),
            retry_after: retry_after.map(Duration::from_secs),
            body,
        })
    }

    async fn connection(&self) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        loop {
            let Some(mut connection) = self.idle().pop() else { break };
            if !connection.is_closed() && connection.ready().await.is_ok() {
                return Ok(connection);
            }
        }
        let refused = |source| ClientError::Connect { authority: self.authority.clone(), source };
        let stream = TcpStream::connect(&self.authority).await.map_err(refused)?;
        stream.set_nodelay(true).map_err(refused)?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(ClientError::broken)?;
        // Ends with the sender; what goes wrong shows at the request.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<SendRequest<Full<Bytes>>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn only_plain_urls_of_a_shop() {
        for bad in ["", "127.0.0.1:8080", "https://127.0.0.1", "http://a/api", "http://a/?b", "http://"] {
            assert!(matches!(Client::new(bad, 1), Err(ClientError::Url(_))), "{bad}");
        }
        assert_eq!(Client::new("http://localhost", 1).unwrap().authority(), "localhost:80");
        assert_eq!(Client::new("http://[::1]:81/", 1).unwrap().authority(), "[::1]:81");
    }

    /// Answers `answers` requests on each connection, then closes it; gives back the requests' texts.
    async fn serve(listener: TcpListener, connections: usize, answers: usize) -> Vec<String> {
        let mut seen = Vec::new();
        for _ in 0..connections {
            let (mut stream, _) = listener.accept().await.unwrap();
            for _ in 0..answers {
                let mut text = Vec::new();
                while !text.ends_with(b"}") && !text.ends_with(b"\r\n\r\n") {
                    assert_ne!(stream.read_buf(&mut text).await.unwrap(), 0);
                }
                seen.push(String::from_utf8(text).unwrap());
                let head = "HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 2\r\n\r\n{}";
                stream.write_all(head.as_bytes()).await.unwrap();
            }
        }
        seen
    }

    #[tokio::test]
    async fn a_connection_is_used_again_and_replaced_when_it_closes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::new(&format!("http://{}", listener.local_addr().unwrap()), 1).unwrap();
        let server = tokio::spawn(serve(listener, 2, 2));
        let call = Call::post("/api/v1/orders", Bytes::from_static(b"{}")).token("t").key("k");
        let mut answered = 0;
        // The closing of a connection may be seen only by the request that uses it.
        while answered < 4 {
            match client.send(&call).await {
                Ok(reply) => {
                    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
                    assert_eq!((reply.retry_after, &*reply.body), (Some(Duration::from_secs(1)), &b"{}"[..]));
                    assert!(!reply.replayed);
                    answered += 1;
                }
                Err(error) => assert_eq!(error.kind(), "CONNECTION_BROKEN"),
            }
        }
        let seen = server.await.unwrap();
        assert!(seen.iter().all(|text| text.starts_with("POST /api/v1/orders HTTP/1.1\r\n")
            && text.contains("authorization: Bearer t\r\n")
            && text.contains("idempotency-key: k\r\n")));
        let refused = client.send(&Call::get("/")).await.unwrap_err();
        assert!(matches!(refused.kind(), "CONNECTION_REFUSED" | "CONNECTION_BROKEN"), "{refused}");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_in_a_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::new(&format!("http://{}", listener.local_addr().unwrap()), 1).unwrap();
        assert_eq!(client.send(&Call::get("/")).await.unwrap_err().kind(), "TIMEOUT");
        assert!(client.idle().is_empty());
    }
}
