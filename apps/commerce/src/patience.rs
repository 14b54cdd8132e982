//! Waiting for what a process that was just killed gives back a moment later.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long is waited at most.
const MAX: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(50);

/// Tries until it goes well, fails otherwise than `by_now`, or the patience is at its end.
pub async fn patiently<T, E>(
    mut attempt: impl FnMut() -> Result<T, E>,
    by_now: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let give_up_at = Instant::now() + MAX;
    loop {
        match attempt() {
            Err(error) if by_now(&error) && Instant::now() < give_up_at => sleep(STEP).await,
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_given_back_in_time_is_taken() {
        let free_at = Instant::now() + Duration::from_millis(1_900);
        let attempt = || if Instant::now() < free_at { Err("held") } else { Ok(()) };
        patiently(attempt, |_| true).await.unwrap();
        assert!(Instant::now() < free_at + STEP);
    }

    #[tokio::test(start_paused = true)]
    async fn what_stays_held_is_told_after_two_seconds() {
        let begun_at = Instant::now();
        assert_eq!(patiently(|| Err::<(), _>("held"), |_| true).await, Err("held"));
        assert_eq!(begun_at.elapsed(), MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn other_failures_are_told_at_once() {
        let begun_at = Instant::now();
        assert_eq!(patiently(|| Err::<(), _>("broken"), |_| false).await, Err("broken"));
        assert_eq!(begun_at.elapsed(), Duration::ZERO);
    }
}
