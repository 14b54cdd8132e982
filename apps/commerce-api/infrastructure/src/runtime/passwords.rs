use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use async_trait::async_trait;
use commerce_api_application::ports::{PasswordHasher, StorageError};
use tokio::sync::Semaphore;

use super::entropy;

/// Hashes that run at once; each holds [`Argon2Cost::memory_kib`] of memory and a core.
const AT_ONCE: usize = 2;

/// What one hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for Argon2Cost {
    /// The least that OWASP recommends for argon2id.
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2, lanes: 1 }
    }
}

/// The cost lies outside of what argon2 knows.
#[derive(Debug, thiserror::Error)]
#[error("the cost of a password hash is not possible: {0}")]
pub struct PasswordCostError(argon2::Error);

/// argon2id, off the async threads and two at once.
#[derive(Debug, Clone)]
pub struct Argon2Hasher {
    argon2: Argon2<'static>,
    running: Arc<Semaphore>,
    dummy: Arc<str>,
}

impl Argon2Hasher {
    /// A hasher at `cost`.
    pub fn new(cost: Argon2Cost) -> Result<Self, PasswordCostError> {
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(Params::DEFAULT_OUTPUT_LEN))
            .map_err(PasswordCostError)?;
        let Argon2Cost { memory_kib, passes, lanes } = cost;
        // A hash of no password, at the same cost: 16 and 32 zero bytes.
        let dummy = format!(
            "$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${}${}",
            "A".repeat(22),
            "A".repeat(43)
        );
        Ok(Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            running: Arc::new(Semaphore::new(AT_ONCE)),
            dummy: dummy.into(),
        })
    }

    /// Runs `work` once a place is free. The place is given back when the work ends, not when the caller leaves.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'static>) -> T + Send + 'static,
    ) -> Result<T, StorageError> {
        let place = self.running.clone().acquire_owned().await.map_err(unavailable)?;
        let argon2 = self.argon2.clone();
        tokio::task::spawn_blocking(move || {
            let done = work(&argon2);
            drop(place);
            done
        })
        .await
        .map_err(unavailable)
    }
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> StorageError {
    StorageError::Unavailable(Box::new(error))
}

#[async_trait]
impl PasswordHasher for Argon2Hasher {
    async fn hash(&self, password: String) -> Result<String, StorageError> {
        let hashed = self.run(move |argon2| {
            let mut salt = [0; 16];
            entropy::fill(&mut salt);
            argon2.hash_password_with_salt(password.as_bytes(), &salt).map(|hash| hash.to_string())
        });
        hashed.await?.map_err(|error| StorageError::Data(Box::new(error)))
    }

    async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, StorageError> {
        let dummy = self.dummy.clone();
        self.run(move |argon2| {
            // What is no hash (an account that nobody may log in to) is checked like an unknown account.
            let stored = hash.as_deref().and_then(|hash| PasswordHash::new(hash).ok());
            let is_account = stored.is_some();
            let Some(hash) = stored.or_else(|| PasswordHash::new(&dummy).ok()) else { return false };
            argon2.verify_password(password.as_bytes(), &hash).is_ok() && is_account
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Argon2Hasher {
        Argon2Hasher::new(Argon2Cost { memory_kib: 8, passes: 1, lanes: 1 }).unwrap()
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let hasher = cheap();
        let hash = hasher.hash("correct horse".to_owned()).await.unwrap();
        let again = hasher.hash("correct horse".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        assert_ne!(hash, again, "a salt of its own each");
        assert!(hasher.verify("correct horse".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!hasher.verify("correct horsf".to_owned(), Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_at_another_cost_is_still_checked() {
        let hash = Argon2Hasher::new(Argon2Cost { memory_kib: 16, passes: 2, lanes: 1 })
            .unwrap()
            .hash("old".to_owned())
            .await
            .unwrap();
        assert!(cheap().verify("old".to_owned(), Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn nobody_logs_in_without_a_hash() {
        let hasher = cheap();
        for hash in [None, Some("!".to_owned()), Some(String::new())] {
            assert!(!hasher.verify(String::new(), hash).await.unwrap());
        }
    }

    #[test]
    fn the_dummy_costs_as_much_as_a_real_hash() {
        let hasher = Argon2Hasher::new(Argon2Cost::default()).unwrap();
        let dummy = PasswordHash::new(&hasher.dummy).unwrap();
        let params = Params::try_from(&dummy).unwrap();
        let configured = hasher.argon2.params();
        assert_eq!(
            (params.m_cost(), params.t_cost(), params.p_cost()),
            (configured.m_cost(), configured.t_cost(), configured.p_cost())
        );
        assert_eq!(dummy.salt.unwrap().len(), 16);
        assert_eq!(dummy.hash.unwrap().len(), Params::DEFAULT_OUTPUT_LEN);
    }

    #[tokio::test]
    async fn no_more_than_two_run_at_once() {
        let hasher = cheap();
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let wait = Arc::new(std::sync::Mutex::new(wait));
        let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
        let runs: Vec<_> = (0..3)
            .map(|number| {
                let (hasher, wait, started) = (hasher.clone(), wait.clone(), started.clone());
                tokio::spawn(async move {
                    let work = move |_: &Argon2<'static>| {
                        started.send(number).unwrap();
                        wait.lock().unwrap().recv().unwrap();
                    };
                    hasher.run(work).await.unwrap();
                })
            })
            .collect();
        starts.recv().await.unwrap();
        starts.recv().await.unwrap();
        assert_eq!(hasher.running.available_permits(), 0);
        assert!(starts.try_recv().is_err());
        release.send(()).unwrap();
        starts.recv().await.unwrap();
        release.send(()).unwrap();
        release.send(()).unwrap();
        for run in runs {
            run.await.unwrap();
        }
        assert_eq!(hasher.running.available_permits(), 2);
    }

    #[test]
    fn an_impossible_cost_is_refused() {
        assert!(Argon2Hasher::new(Argon2Cost { memory_kib: 0, passes: 1, lanes: 1 }).is_err());
    }
}
