//! The named, retrying transaction runner.

use std::{panic::resume_unwind, sync::atomic::Ordering, time::Duration};

use futures::future::BoxFuture;
use tracing::Instrument as _;

use crate::{Classify, Database, DatabaseError, ErrorClass, WriteTransaction};

const RETRIES_MAX: u32 = 3;
const BACKOFF_BASE: Duration = Duration::from_millis(8);

impl Database {
    /// Runs `f` in a transaction and commits it. On a transient error (busy, deadlock, lock timeout) the whole
    /// transaction runs again, at most three times, so `f` must derive the same rows from the same input each time.
    /// An error of `f` rolls back.
    ///
    /// It all happens in a task of its own: a caller that goes away neither cancels nor leaks the transaction.
    /// A panic in `f` rolls back and goes on in the caller.
    pub async fn write<T, E, F>(&self, name: &'static str, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Classify + Send + 'static,
        F: for<'t> Fn(&'t WriteTransaction) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
    {
        let database = self.clone();
        let task = async move { database.attempts(name, &f).await };
        match tokio::spawn(task.in_current_span()).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(_) => Err(DatabaseError::Closed.into()),
        }
    }

    async fn attempts<T, E, F>(&self, name: &'static str, f: &F) -> Result<T, E>
    where
        E: From<DatabaseError> + Classify,
        F: for<'t> Fn(&'t WriteTransaction) -> BoxFuture<'t, Result<T, E>> + Sync,
    {
        let mut retries = 0;
        loop {
            let error = match self.attempt(name, f).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let class = error.class();
            if !class.is_transient() || retries == RETRIES_MAX {
                return Err(error);
            }
            self.pause(name, class, retries).await;
            retries += 1;
        }
    }

    async fn attempt<T, E, F>(&self, name: &'static str, f: &F) -> Result<T, E>
    where
        E: From<DatabaseError>,
        F: for<'t> Fn(&'t WriteTransaction) -> BoxFuture<'t, Result<T, E>>,
    {
        let transaction = self.begin_write(name).await?;
        match f(&transaction).await {
            Ok(value) => {
                transaction.commit().await.map_err(DatabaseError::from)?;
                Ok(value)
            }
            Err(error) => {
                if let Err(rollback) = transaction.rollback().await {
                    tracing::debug!(name, error = %rollback, "rollback after a failed transaction");
                }
                Err(error)
            }
        }
    }

    async fn pause(&self, name: &'static str, class: ErrorClass, retry: u32) {
        metrics::counter!("database_transaction_retries_total", "name" => name, "cause" => class.as_str())
            .increment(1);
        let turn = self.inner.retries.fetch_add(1, Ordering::Relaxed);
        let pause = backoff(retry, turn);
        tracing::debug!(name, cause = class.as_str(), retry = retry + 1, "transaction runs again");
        tokio::time::sleep(pause).await;
    }
}

/// Doubles with each retry; 50..150 % of it by a hash of `turn`, so that two losers do not meet again.
fn backoff(retry: u32, turn: u64) -> Duration {
    // The finaliser of SplitMix64: neighbours in, nothing alike out.
    let mut mixed = turn.wrapping_add(u64::from(std::process::id())).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let percent = u32::try_from((mixed ^ (mixed >> 31)) % 101).unwrap_or(0) + 50;
    BACKOFF_BASE * 2_u32.pow(retry) * percent / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_and_differs() {
        for turn in 0..200 {
            for retry in 0..RETRIES_MAX {
                let full = BACKOFF_BASE * 2_u32.pow(retry);
                let pause = backoff(retry, turn);
                assert!(pause >= full / 2 && pause <= full * 3 / 2, "retry {retry} turn {turn}: {pause:?}");
            }
        }
        let distinct: std::collections::BTreeSet<_> = (0..100).map(|turn| backoff(2, turn)).collect();
        assert!(distinct.len() > 40);
    }
}
