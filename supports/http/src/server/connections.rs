use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt as _;

use super::ConnectionLimits;
use super::paced::Paced;

/// Bytes of a request's head; beyond it the answer is 431. hyper takes at most 100 header lines by itself.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The pause after an accept that failed because something ran out, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Serves within `limits` until `stop` turns true; then accepts no more, and returns when what was accepted is finished.
pub async fn serve_within(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head_timeout).max_buf_size(HEAD_BYTES_MAX);
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let open = GracefulShutdown::new();
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((place, accept(&listener).await))
        };
        let (place, (stream, peer)) = tokio::select! {
            accepted = accepted => accepted?,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let router = router.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request.map(Body::new))
        });
        let connection = open
            .watch(http.serve_connection(TokioIo::new(Paced::new(stream, limits.answer_timeout)), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%peer, %error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    open.shutdown().await;
    Ok(())
}

/// The next connection, however often it takes.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are small: without this each would wait for the acknowledgement of the one before.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY was not set");
                }
                return (stream, peer);
            }
            // The one who connected is gone already.
            Err(error) if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) => {
            }
            Err(error) => {
                tracing::error!(%error, "no connection could be accepted; trying again in a second");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    use super::*;

    /// How long a test waits for what must come.
    const PATIENCE: Duration = Duration::from_secs(30);
    /// An answer that no socket's buffers hold.
    const LARGE: usize = 64 * 1024 * 1024;
    const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nhost: shop\r\n\r\n";

    struct Server {
        addr: SocketAddr,
        stop: watch::Sender<bool>,
        served: JoinHandle<io::Result<()>>,
    }

    impl Server {
        async fn start(connections_max: usize, head_timeout: Duration) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let router = Router::new()
                .route("/hello", get(async || "hello"))
                .route("/large", get(async || vec![b'x'; LARGE]));
            let (stop, stopping) = watch::channel(false);
            let limits = ConnectionLimits { connections_max, head_timeout, answer_timeout: head_timeout };
            Self { addr, stop, served: tokio::spawn(serve_within(listener, router, limits, stopping)) }
        }

        /// A connection on which `bytes` were sent.
        async fn sent(&self, bytes: &[u8]) -> TcpStream {
            let mut stream = TcpStream::connect(self.addr).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            stream
        }

        async fn stop(self) {
            self.stop.send_replace(true);
            timeout(PATIENCE, self.served).await.unwrap().unwrap().unwrap();
        }
    }

    /// Everything until the server closes the connection.
    async fn until_closed(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        // Bytes that the server did not read make it a reset.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut text)).await.unwrap();
        String::from_utf8(text).unwrap()
    }

    async fn answer(stream: &mut TcpStream) -> String {
        let mut text = Vec::new();
        while !text.ends_with(b"hello") {
            assert_ne!(timeout(PATIENCE, stream.read_buf(&mut text)).await.unwrap().unwrap(), 0);
        }
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn a_head_that_does_not_end_closes_the_connection() {
        let server = Server::start(8, Duration::from_millis(100)).await;
        for slow in [&b""[..], b"GET /hello HTTP/1.1\r\nhost: sh"] {
            let text = until_closed(server.sent(slow).await).await;
            assert!(!text.contains("200"), "{text}");
        }
        server.stop().await;
    }

    #[tokio::test]
    async fn a_connection_that_is_idle_after_an_answer_is_closed() {
        let server = Server::start(8, Duration::from_millis(100)).await;
        let mut stream = server.sent(REQUEST).await;
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
        assert_eq!(until_closed(stream).await, "");
        server.stop().await;
    }

    #[tokio::test]
    async fn one_connection_more_waits_until_another_closes() {
        let server = Server::start(1, Duration::from_mins(10)).await;
        let mut first = server.sent(REQUEST).await;
        answer(&mut first).await;
        let mut second = server.sent(REQUEST).await;
        // The first is still served, the second is not.
        first.write_all(REQUEST).await.unwrap();
        answer(&mut first).await;
        assert_eq!(second.try_read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(first);
        answer(&mut second).await;
        drop(second);
        server.stop().await;
    }

    #[tokio::test]
    async fn a_head_that_is_too_large_is_refused() {
        let server = Server::start(8, Duration::from_mins(10)).await;
        let lines = "x: y\r\n".repeat(101);
        let long = format!("x: {}\r\n", "y".repeat(8 * HEAD_BYTES_MAX));
        for headers in [lines, long] {
            let request = format!("GET /hello HTTP/1.1\r\nhost: shop\r\n{headers}\r\n");
            let mut stream = TcpStream::connect(server.addr).await.unwrap();
            // The server may close before it has read everything.
            let _ = stream.write_all(request.as_bytes()).await;
            let text = until_closed(stream).await;
            assert!(text.is_empty() || text.starts_with("HTTP/1.1 431"), "{text}");
        }
        server.stop().await;
    }

    #[tokio::test]
    async fn an_idle_connection_does_not_keep_the_server_from_stopping() {
        let server = Server::start(8, Duration::from_mins(10)).await;
        let mut idle = server.sent(REQUEST).await;
        answer(&mut idle).await;
        server.stop().await;
        assert_eq!(until_closed(idle).await, "");
    }

    #[tokio::test]
    async fn who_does_not_read_its_answer_holds_its_place_only_for_a_while() {
        let server = Server::start(1, Duration::from_millis(200)).await;
        // It asks, and reads nothing of what comes; its place is the only one.
        let deaf = server.sent(b"GET /large HTTP/1.1\r\nhost: shop\r\n\r\n").await;
        let mut next = server.sent(REQUEST).await;
        assert!(answer(&mut next).await.starts_with("HTTP/1.1 200"));
        drop((deaf, next));
        server.stop().await;
    }

    #[tokio::test]
    async fn who_reads_gets_a_large_answer_whole() {
        let server = Server::start(1, Duration::from_secs(20)).await;
        let request = b"GET /large HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n";
        let text = until_closed(server.sent(request).await).await;
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body.len(), LARGE);
        server.stop().await;
    }
}
