use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::connection::{Connection, End, reset};

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All bytes pass at once.
    Pass,
    /// Every byte arrives so much later, in both directions; their order stays.
    Delay(Duration),
    /// Each direction of each connection takes so many bytes a second.
    Limit(NonZeroU32),
    /// Bytes and ends of streams are swallowed in both directions while connections stay open, and new ones are accepted
    /// into the same silence: a firewall that forgot us. Such connections do not heal: they are reset when the mode
    /// changes.
    HalfOpen,
    /// Connections are closed, new ones are refused.
    Cut,
    /// Connections are reset, new ones too as soon as they are made.
    Reset,
}

/// A proxy in front of one server. It ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    mode: watch::Receiver<Mode>,
    orders: mpsc::Sender<Order>,
    accepted: Arc<AtomicU64>,
    runs: JoinHandle<()>,
}

struct Order {
    mode: Mode,
    done: oneshot::Sender<io::Result<()>>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and passes everything on to `upstream` (address and port). It needs a tokio
    /// runtime, and lives at most as long as that.
    pub fn start(upstream: impl Into<String>) -> io::Result<Self> {
        let listener = commerce_servers::free_listener()?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let (set_mode, mode) = watch::channel(Mode::Pass);
        let (orders, received) = mpsc::channel(1);
        let accepted = Arc::new(AtomicU64::new(0));
        let runner = Runner {
            address,
            upstream: upstream.into().into(),
            listener: Some(listener),
            mode: set_mode,
            end: watch::channel(None).0,
            connections: JoinSet::new(),
            accepted: Arc::clone(&accepted),
        };
        Ok(Self { address, mode, orders, accepted, runs: tokio::spawn(runner.run(received)) })
    }

    /// Where clients connect to.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it does now.
    pub fn mode(&self) -> Mode {
        *self.mode.borrow()
    }

    /// How many connections it took so far.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Changes what it does. When this returns it is so: after `Cut` and `Reset` no connection is left, and bytes that are
    /// sent from now on meet the new mode. An error tells that the port could not be taken again after `Cut`.
    pub async fn set(&self, mode: Mode) -> io::Result<()> {
        let gone = || io::Error::other("the proxy's runtime is gone");
        let (done, told) = oneshot::channel();
        self.orders.send(Order { mode, done }).await.map_err(|_| gone())?;
        told.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.runs.abort();
    }
}

/// The task behind a proxy.
struct Runner {
    address: SocketAddr,
    upstream: Arc<str>,
    /// None while connections are refused.
    listener: Option<TcpListener>,
    mode: watch::Sender<Mode>,
    /// Tells the connections of now that they end, and how; replaced when they did.
    end: watch::Sender<Option<End>>,
    connections: JoinSet<()>,
    accepted: Arc<AtomicU64>,
}

impl Runner {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => {
                    let Some(Order { mode, done }) = order else { return };
                    let _ = done.send(self.change(mode).await);
                }
                Some(stream) = accept(self.listener.as_ref()) => self.take(stream),
                Some(_) = self.connections.join_next() => {}
            }
        }
    }

    async fn change(&mut self, mode: Mode) -> io::Result<()> {
        let was = self.mode.send_replace(mode);
        let end = match (was, mode) {
            (_, Mode::Cut) => Some(End::Close),
            (_, Mode::Reset) => Some(End::Reset),
            (Mode::HalfOpen, now) if now != Mode::HalfOpen => Some(End::Reset),
            _ => None,
        };
        if mode == Mode::Cut {
            self.listener = None;
        } else if self.listener.is_none() {
            self.listener = Some(TcpListener::bind(self.address).await?);
        }
        if let Some(end) = end {
            let ending = std::mem::replace(&mut self.end, watch::channel(None).0);
            ending.send_replace(Some(end));
            while self.connections.join_next().await.is_some() {}
        }
        Ok(())
    }

    fn take(&mut self, client: TcpStream) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        if *self.mode.borrow() == Mode::Reset {
            return reset(client);
        }
        let connection = Connection {
            client,
            upstream: Arc::clone(&self.upstream),
            mode: self.mode.subscribe(),
            end: self.end.subscribe(),
        };
        self.connections.spawn(connection.run());
    }
}

/// The next connection; never, where nobody listens.
async fn accept(listener: Option<&TcpListener>) -> Option<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.ok().map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}
