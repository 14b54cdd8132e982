//! One direction of a connection.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::Mode;

/// How much is read at once.
const CHUNK: usize = 16 * 1024;
/// How many chunks are under way where the network is slow; then its sender has to wait.
const UNDER_WAY: usize = 256;
/// A limited network writes so often a second.
const SLICES: u32 = 20;

/// What was read, and when it arrives. No bytes: the end of the stream.
struct Piece {
    due: Instant,
    bytes: Vec<u8>,
}

/// Passes bytes on until the stream ends; the error is that of either side.
pub async fn pump(from: ReadHalf<'_>, to: WriteHalf<'_>, mode: watch::Receiver<Mode>) -> io::Result<()> {
    let (send, receive) = mpsc::channel(UNDER_WAY);
    tokio::try_join!(read(from, send, mode.clone()), write(to, receive, mode)).map(drop)
}

async fn read(
    mut from: ReadHalf<'_>,
    to: mpsc::Sender<Piece>,
    mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = from.read(&mut buffer).await?;
        let now = *mode.borrow();
        if now == Mode::HalfOpen {
            if count == 0 {
                return std::future::pending().await;
            }
            continue;
        }
        let later = if let Mode::Delay(later) = now { later } else { Duration::ZERO };
        let bytes = buffer.get(..count).unwrap_or_default().to_vec();
        let sent = to.send(Piece { due: Instant::now() + later, bytes }).await;
        if sent.is_err() || count == 0 {
            return Ok(());
        }
    }
}

async fn write(
    mut to: WriteHalf<'_>,
    mut from: mpsc::Receiver<Piece>,
    mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    while let Some(Piece { due, bytes }) = from.recv().await {
        // tidy: sleep being late is what this is for
        tokio::time::sleep_until(due).await;
        let now = *mode.borrow();
        match now {
            // Swallowed on its way.
            Mode::HalfOpen if bytes.is_empty() => return std::future::pending().await,
            Mode::HalfOpen => {}
            _ if bytes.is_empty() => return to.shutdown().await,
            Mode::Limit(rate) => slowly(&mut to, &bytes, rate.get()).await?,
            _ => to.write_all(&bytes).await?,
        }
    }
    Ok(())
}

async fn slowly(to: &mut WriteHalf<'_>, bytes: &[u8], rate: u32) -> io::Result<()> {
    let slice = usize::try_from((rate / SLICES).max(1)).unwrap_or(CHUNK);
    for part in bytes.chunks(slice) {
        let length = u32::try_from(part.len()).unwrap_or(rate);
        // tidy: sleep being slow is what this is for
        tokio::time::sleep(Duration::from_secs(1) * length / rate).await;
        to.write_all(part).await?;
    }
    Ok(())
}
