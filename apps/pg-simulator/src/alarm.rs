use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use commerce_runtime::Clock;
use tokio::sync::Notify;

/// Work that becomes due within it is done in one batch.
const REST_MIN: Duration = Duration::from_millis(5);
/// A clock may be set: the books are looked at again after this at the latest.
const REST_MAX: Duration = Duration::from_secs(1);

/// Wakes a task when the first of its work is due. The work itself stands in the books.
pub(crate) struct Alarm {
    /// The earliest that was set since the task last looked, in microseconds since the epoch.
    soonest: AtomicI64,
    sooner: Notify,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Self { soonest: AtomicI64::new(i64::MAX), sooner: Notify::new() }
    }

    /// There is work at `due_us`, in the books already.
    pub(crate) fn set(&self, due_us: i64) {
        if self.soonest.fetch_min(due_us, Ordering::SeqCst) > due_us {
            self.sooner.notify_one();
        }
    }

    /// Forgets what was set; the task looks into the books after it.
    pub(crate) fn reset(&self) {
        self.soonest.store(i64::MAX, Ordering::SeqCst);
    }

    /// Waits until `next_us`, or until work is due that was set since.
    pub(crate) async fn wait(&self, clock: &dyn Clock, next_us: Option<i64>) {
        loop {
            let due_us = self.soonest.load(Ordering::SeqCst).min(next_us.unwrap_or(i64::MAX));
            let rest_us = u64::try_from(due_us.saturating_sub(clock.now_us())).unwrap_or_default();
            let rest = Duration::from_micros(rest_us).clamp(REST_MIN, REST_MAX);
            tokio::select! {
                () = tokio::time::sleep(rest) => return,
                () = self.sooner.notified() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use commerce_runtime::ManualClock;
    use tokio::time::Instant;

    use super::*;

    async fn waited(alarm: &Alarm, next_us: Option<i64>) -> Duration {
        let started = Instant::now();
        alarm.wait(&ManualClock::new(0), next_us).await;
        started.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn it_wakes_when_the_first_work_is_due_and_not_too_often() {
        let alarm = Alarm::new();
        assert_eq!(waited(&alarm, Some(100_000)).await, Duration::from_millis(100));
        assert_eq!(waited(&alarm, Some(-1)).await, REST_MIN);
        assert_eq!(waited(&alarm, None).await, REST_MAX);
        alarm.set(20_000);
        assert_eq!(waited(&alarm, Some(100_000)).await, Duration::from_millis(20));
        alarm.reset();
        assert_eq!(waited(&alarm, Some(100_000)).await, Duration::from_millis(100));
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_comes_meanwhile_shortens_the_wait() {
        let alarm = Arc::new(Alarm::new());
        let started = Instant::now();
        let setting = alarm.clone();
        let waiting = tokio::spawn(async move { alarm.wait(&ManualClock::new(0), None).await });
        tokio::task::yield_now().await;
        setting.set(50_000);
        waiting.await.unwrap();
        assert_eq!(started.elapsed(), Duration::from_millis(50));
    }
}
