//! A way to the server whose packets leave at once.
//!
//! sqlx 0.9.0 does not set `TCP_NODELAY` and offers no way to: every statement that spans more than one segment waits up
//! to 40 ms for an acknowledgement that the other side delays. It does connect to Unix sockets. So it is given one of
//! ours, in a directory that only we may enter, and what comes there is carried to the server's port and back without
//! delay. TLS is spoken by the driver, through it. To be dropped with the first driver that sets the option.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional_with_sizes,
    net::{TcpStream, UnixListener, UnixStream},
    task::AbortHandle,
    time::timeout,
};

/// Bytes carried at once: more than most statements have.
const BUFFER: usize = 64 * 1024;
/// A server that went away without a word is found out after 10 + 3 × 5 s, or by the statement's own limit.
const SILENCE: Duration = Duration::from_secs(10);
const PROBE_EVERY: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;

/// The socket, until it is dropped; connections through it stay until they end.
#[derive(Debug)]
pub(crate) struct Bridge {
    path: PathBuf,
    accepting: AbortHandle,
    _directory: TempDir,
}

impl Bridge {
    /// Opens the socket on the current runtime.
    pub(crate) fn open(host: String, port: u16, connect_max: Duration) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("commerce-mysql-").tempdir()?;
        let path = directory.path().join("s");
        let listener = UnixListener::bind(&path)?;
        let target = Arc::new((host, port));
        let accepting = tokio::spawn(accept(listener, target, connect_max)).abort_handle();
        Ok(Self { path, accepting, _directory: directory })
    }

    pub(crate) fn path(&self) -> &PathBuf {
        &self.path
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: UnixListener, target: Arc<(String, u16)>, connect_max: Duration) {
    loop {
        match listener.accept().await {
            Ok((near, _)) => {
                tokio::spawn(carry(near, Arc::clone(&target), connect_max));
            }
            Err(error) => {
                // Out of file descriptors, for instance: the driver's own time limit tells its caller.
                tracing::warn!(%error, "no connection to the database server can be opened");
                // tidy: sleep a loop that would spin on an error that lasts
                tokio::time::sleep(PROBE_EVERY / 50).await;
            }
        }
    }
}

/// Carries until one side closes. How it ended the driver sees by itself: its socket is closed.
async fn carry(mut near: UnixStream, target: Arc<(String, u16)>, connect_max: Duration) {
    let far = match timeout(connect_max, connect(&target.0, target.1)).await {
        Ok(Ok(far)) => far,
        Ok(Err(error)) => return tracing::debug!(%error, "the database server refused a connection"),
        Err(_) => return tracing::debug!("the database server did not answer in time"),
    };
    let mut far = far;
    if let Err(error) = copy_bidirectional_with_sizes(&mut near, &mut far, BUFFER, BUFFER).await {
        tracing::debug!(%error, "a connection to the database server broke");
    }
}

/// Connects without Nagle's delay, and watched.
pub(crate) async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(SILENCE).with_interval(PROBE_EVERY).with_retries(PROBES);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(stream)
}
