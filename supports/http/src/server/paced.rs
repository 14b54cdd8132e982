use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Bytes that a peer who lets an answer wait must take in a second, on average.
const BYTES_PER_S_MIN: u64 = 1_024;

/// A connection whose peer has to take what it asked for: an answer that waits for longer than it may is given up, and
/// the connection with it. As long as the peer takes what is written, there is no timer.
#[derive(Debug)]
pub(super) struct Paced<S> {
    inner: S,
    timeout: Duration,
    waiting: Option<Waiting>,
}

/// An answer of which some was not taken at once.
#[derive(Debug)]
struct Waiting {
    since: Instant,
    taken: u64,
    end: Pin<Box<Sleep>>,
}

impl<S> Paced<S> {
    /// An answer may wait for `timeout`, and longer for what is taken of it.
    pub(super) const fn new(inner: S, timeout: Duration) -> Self {
        Self { inner, timeout, waiting: None }
    }

    /// What was written moves the end of the wait.
    fn taken(&mut self, bytes: usize) {
        if let Some(waiting) = &mut self.waiting {
            waiting.taken = waiting.taken.saturating_add(bytes as u64);
            let earned = Duration::from_millis(waiting.taken.saturating_mul(1_000) / BYTES_PER_S_MIN);
            waiting.end.as_mut().reset(waiting.since + self.timeout + earned);
        }
    }

    /// Waits, unless that took too long.
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let timeout = self.timeout;
        let waiting = self.waiting.get_or_insert_with(|| Waiting {
            since: Instant::now(),
            taken: 0,
            end: Box::pin(sleep(timeout)),
        });
        ready!(waiting.end.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not take its answer")))
    }

    fn after_write(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.taken(bytes);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.wait(cx),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(cx, buf);
        this.after_write(written, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs);
        this.after_write(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_flush(cx) {
            // HTTP flushes once all that it has was written.
            Poll::Ready(done) => {
                this.waiting = None;
                Poll::Ready(done)
            }
            Poll::Pending => this.wait(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_shutdown(cx) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => this.wait(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_given_up_after_the_timeout_and_not_before() {
        let (_peer, ours) = duplex(100);
        let mut ours = Paced::new(ours, TIMEOUT);
        let begun = Instant::now();
        let error = ours.write_all(&[0; 1_000]).await.unwrap_err();
        assert_eq!((error.kind(), begun.elapsed()), (io::ErrorKind::TimedOut, TIMEOUT));
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_little_by_little_is_given_up_when_it_lags_too_far_behind() {
        let (mut peer, ours) = duplex(100);
        let drip = tokio::spawn(async move {
            let mut taken = 0;
            while let Ok(1..) = peer.read(&mut [0; 64]).await {
                taken += 64;
                sleep(TIMEOUT / 2).await; // tidy: sleep in simulated time
            }
            taken
        });
        let mut ours = Paced::new(ours, TIMEOUT);
        let begun = Instant::now();
        let error = ours.write_all(&vec![0; 1_000_000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() < TIMEOUT + Duration::from_secs(1), "{:?}", begun.elapsed());
        drop(ours);
        assert!(drip.await.unwrap() < 1_000);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_enough_gets_all_of_it_however_long_it_lasts() {
        let (mut peer, ours) = duplex(4_096);
        let steady = tokio::spawn(async move {
            let mut taken = 0;
            while let Ok(bytes @ 1..) = peer.read(&mut [0; 4_096]).await {
                taken += bytes;
                sleep(Duration::from_secs(2)).await; // tidy: sleep in simulated time
            }
            taken
        });
        let mut ours = Paced::new(ours, TIMEOUT);
        let begun = Instant::now();
        for _ in 0..2 {
            ours.write_all(&vec![0; 200_000]).await.unwrap();
            ours.flush().await.unwrap();
        }
        assert!(begun.elapsed() > 10 * TIMEOUT);
        drop(ours);
        assert_eq!(steady.await.unwrap(), 400_000);
    }
}
