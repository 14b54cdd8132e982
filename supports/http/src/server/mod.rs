//! Listening, and serving a router until it is told to stop: as many connections as are allowed, none of which may be
//! slow for ever.

mod connections;
mod paced;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

pub use connections::serve_within;

/// Listens on `addr`; `backlog` connections may wait to be accepted.
pub fn listen(addr: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restarted app takes its port at once, although connections of the last one linger.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(backlog)
}

/// What connections may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at the same time; more wait until one closes.
    pub connections_max: usize,
    /// Time to send the head of a request, counted from the answer before: it bounds idle connections as well.
    pub head_timeout: Duration,
    /// How long a peer may take nothing of an answer that waits for it, and what it may lag behind a kilobyte a second.
    pub answer_timeout: Duration,
}

impl Default for ConnectionLimits {
    /// For servers whose callers are few. A connection lies idle longer than HTTP clients keep one for their next call.
    fn default() -> Self {
        Self {
            connections_max: 8_192,
            head_timeout: Duration::from_mins(2),
            answer_timeout: Duration::from_secs(30),
        }
    }
}

/// Serves until `stop` turns true; requests that were accepted are finished.
pub async fn serve(listener: TcpListener, router: Router, stop: watch::Receiver<bool>) -> io::Result<()> {
    serve_within(listener, router, ConnectionLimits::default(), stop).await
}
