//! Waiting for a server that is not there yet. Processes are started in any order.

use std::error::Error;
use std::time::Duration;

use commerce_runtime::fill_random;
use tokio::time::{Instant, sleep};

use crate::chain;

/// How a server is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    /// The wait after the first attempt, 100 ms by default; doubled each time.
    pub first: Duration,
    /// The longest wait, 3 s by default.
    pub max: Duration,
    /// How often is told that it is still waited for, 15 s by default.
    pub tell_every: Duration,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            max: Duration::from_secs(3),
            tell_every: Duration::from_secs(15),
        }
    }
}

/// Tries until it goes well, or fails in a way that no waiting mends: `is_absent` tells which is which. That `what` is
/// waited for is logged at the first failure and then every so often, with the reason, and that it is there at the end.
pub async fn until_there<T, E: Error>(
    what: &str,
    waiting: Waiting,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
    is_absent: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let began = Instant::now();
    let mut wait = waiting.first;
    let mut told: Option<Instant> = None;
    loop {
        match attempt().await {
            Ok(there) => {
                if told.is_some() {
                    tracing::info!(waited_s = began.elapsed().as_secs(), "{what} is there");
                }
                return Ok(there);
            }
            Err(error) if is_absent(&error) => {
                if told.is_none_or(|told| told.elapsed() >= waiting.tell_every) {
                    told = Some(Instant::now());
                    tracing::warn!(reason = chain(&error), "waiting for {what}");
                }
            }
            Err(error) => return Err(error),
        }
        sleep(spread(wait)).await;
        wait = (wait * 2).min(waiting.max);
    }
}

/// Between half of it and all of it, so that those who wait together do not come together.
fn spread(wait: Duration) -> Duration {
    let mut byte = [0];
    fill_random(&mut byte);
    wait.mul_f64(0.5 + f64::from(byte[0]) / 512.0)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn absent(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::ConnectionRefused
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_late_is_waited_for_however_long_it_takes() {
        let there_at = Instant::now() + Duration::from_mins(10);
        let mut attempts = 0;
        let attempt = async || {
            attempts += 1;
            if Instant::now() < there_at { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(7) }
        };
        assert_eq!(until_there("the server", Waiting::default(), attempt, absent).await.unwrap(), 7);
        assert!(Instant::now() < there_at + Waiting::default().max);
        assert!((200..=410).contains(&attempts), "{attempts}: waits are bounded from both sides");
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_waiting_mends_is_told_at_once() {
        let began = Instant::now();
        let attempt = async || Err::<(), _>(io::Error::from(io::ErrorKind::PermissionDenied));
        let error = until_there("the server", Waiting::default(), attempt, absent).await.unwrap_err();
        assert_eq!((error.kind(), began.elapsed()), (io::ErrorKind::PermissionDenied, Duration::ZERO));
    }
}
