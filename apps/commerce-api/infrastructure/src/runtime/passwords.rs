use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use async_trait::async_trait;
use commerce_api_application::ports::{BoxError, PasswordHasher, StorageError};
use tokio::sync::Semaphore;

use super::fill_random;

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

/// Most that a stored hash may cost, unless [`Argon2Cost`] says more: beyond it the row was tampered with.
const STORED_COST_MAX: Argon2Cost = Argon2Cost { memory_kib: 262_144, passes: 16, lanes: 16 };

/// Memory of hashes, used again and again. Given back to the allocator it would stay in the heap of each thread that
/// ever hashed.
type Memory = Mutex<Vec<Vec<Block>>>;

/// argon2id, off the async threads and two at once.
#[derive(Clone)]
pub struct Argon2Hasher {
    argon2: Argon2<'static>,
    running: Arc<Semaphore>,
    memory: Arc<Memory>,
    dummy: Arc<str>,
}

impl fmt::Debug for Argon2Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Argon2Hasher").field("argon2", &self.argon2).finish_non_exhaustive()
    }
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
            memory: Arc::default(),
            dummy: dummy.into(),
        })
    }

    /// Runs `work` once a place is free, with memory for one hash at the configured cost. The place is given back when
    /// the work ends, not when the caller leaves.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'static>, &mut [Block]) -> T + Send + 'static,
    ) -> Result<T, StorageError> {
        let place = self.running.clone().acquire_owned().await.map_err(unavailable)?;
        let (argon2, memory) = (self.argon2.clone(), self.memory.clone());
        tokio::task::spawn_blocking(move || {
            let mut blocks = take(&memory).unwrap_or_else(|| blocks(argon2.params()));
            let done = work(&argon2, &mut blocks);
            memory.lock().unwrap_or_else(PoisonError::into_inner).push(blocks);
            drop(place);
            done
        })
        .await
        .map_err(unavailable)
    }
}

fn take(memory: &Memory) -> Option<Vec<Block>> {
    memory.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

fn blocks(params: &Params) -> Vec<Block> {
    vec![Block::new(); params.block_count()]
}

/// The hash of `password` in the PHC string format, at the cost of `argon2`.
fn hash(
    argon2: &Argon2<'static>,
    blocks: &mut [Block],
    password: &str,
    salt: &[u8],
) -> Result<String, BoxError> {
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut output, blocks)?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(argon2.params())?,
        salt: Some(Salt::new(salt)?),
        hash: Some(Output::new(&output)?),
    };
    Ok(hash.to_string())
}

/// A hash as it was stored, at a cost of its own.
struct Stored {
    argon2: Argon2<'static>,
    salt: Salt,
    output: Output,
}

impl Stored {
    /// None where it is no hash of argon2, or at a cost that nobody chose.
    fn parse(text: &str, configured: &Params) -> Option<Self> {
        let hash = PasswordHash::new(text).ok()?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
        // The format names no version where it is the first.
        let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from).ok()?;
        let params = Params::try_from(&hash).ok()?;
        let is_affordable = params.m_cost() <= configured.m_cost().max(STORED_COST_MAX.memory_kib)
            && params.t_cost() <= configured.t_cost().max(STORED_COST_MAX.passes)
            && params.p_cost() <= configured.p_cost().max(STORED_COST_MAX.lanes);
        let (salt, output) = (hash.salt?, hash.hash?);
        is_affordable.then(|| Self { argon2: Argon2::new(algorithm, version, params), salt, output })
    }

    /// Whether `password` fits it. One at a higher cost than `kept` has room for gets memory of its own.
    fn fits(&self, password: &str, kept: &mut [Block]) -> bool {
        let mut own;
        let blocks = if self.argon2.params().block_count() <= kept.len() {
            kept
        } else {
            own = blocks(self.argon2.params());
            own.as_mut_slice()
        };
        let mut output = [0; Output::MAX_LENGTH];
        let Some(output) = output.get_mut(..self.output.len()) else { return false };
        let hashed =
            self.argon2.hash_password_into_with_memory(password.as_bytes(), &self.salt, output, blocks);
        // Outputs compare in constant time.
        hashed.is_ok() && Output::new(output).is_ok_and(|output| output == self.output)
    }
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> StorageError {
    StorageError::Unavailable(Box::new(error))
}

#[async_trait]
impl PasswordHasher for Argon2Hasher {
    async fn hash(&self, password: String) -> Result<String, StorageError> {
        let hashed = self.run(move |argon2, blocks| {
            let mut salt = [0; 16];
            fill_random(&mut salt);
            hash(argon2, blocks, &password, &salt)
        });
        hashed.await?.map_err(StorageError::Data)
    }

    async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, StorageError> {
        let dummy = self.dummy.clone();
        self.run(move |argon2, blocks| {
            // What is no hash (an account that nobody may log in to) is checked like an unknown account.
            let stored = hash.as_deref().and_then(|hash| Stored::parse(hash, argon2.params()));
            let is_account = stored.is_some();
            let Some(stored) = stored.or_else(|| Stored::parse(&dummy, argon2.params())) else {
                return false;
            };
            stored.fits(&password, blocks) && is_account
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use argon2::{PasswordHasher as _, PasswordVerifier as _};

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

    /// Of the reference implementation's own tests, and one at the cost that is configured by default.
    const KNOWN: [&str; 6] = [
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
        "$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY",
        "$argon2i$v=16$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY",
    ];

    #[tokio::test]
    async fn known_hashes_are_checked_whatever_was_in_the_memory_before() {
        let hasher = cheap();
        for _ in 0..2 {
            for known in KNOWN {
                let is_right = hasher.verify("password".to_owned(), Some(known.to_owned())).await.unwrap();
                assert!(is_right, "{known}");
                assert!(!hasher.verify("passwore".to_owned(), Some(known.to_owned())).await.unwrap());
            }
        }
        let kept = hasher.memory.lock().unwrap();
        assert_eq!(kept.iter().map(Vec::len).collect::<Vec<_>>(), [8], "what a larger one had is not kept");
    }

    #[test]
    fn a_hash_is_what_the_library_makes_of_it() {
        let hasher = Argon2Hasher::new(Argon2Cost { memory_kib: 64, passes: 3, lanes: 2 }).unwrap();
        let mut memory = blocks(hasher.argon2.params());
        for salt in [[7; 16], [9; 16]] {
            let own = hash(&hasher.argon2, &mut memory, "correct horse", &salt).unwrap();
            let library = hasher.argon2.hash_password_with_salt(b"correct horse", &salt).unwrap();
            assert_eq!(own, library.to_string());
            assert!(hasher.argon2.verify_password(b"correct horse", own.as_str()).is_ok());
        }
    }

    #[tokio::test]
    async fn a_cost_that_nobody_chose_is_not_paid() {
        let salt_and_hash = "c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        for cost in ["m=262145,t=1,p=1", "m=4294967295,t=1,p=1", "m=256,t=4294967295,p=1", "m=256,t=1,p=17"] {
            let hash = format!("$argon2id$v=19${cost}${salt_and_hash}");
            assert!(Stored::parse(&hash, cheap().argon2.params()).is_none(), "{cost}");
            assert!(!cheap().verify("password".to_owned(), Some(hash)).await.unwrap());
        }
        let configured = Params::new(262_145, 1, 1, None).unwrap();
        let hash = format!("$argon2id$v=19$m=262145,t=1,p=1${salt_and_hash}");
        assert!(Stored::parse(&hash, &configured).is_some(), "a shop may choose more");
    }

    #[tokio::test]
    async fn nobody_logs_in_without_a_hash() {
        let hasher = cheap();
        for hash in [None, Some("!".to_owned()), Some(String::new()), Some("$argon2id$v=19$m=8".to_owned())] {
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

    #[test]
    fn a_hash_costs_what_owasp_recommends_at_least() {
        let Argon2Cost { memory_kib, passes, lanes } = Argon2Cost::default();
        assert_eq!((memory_kib, passes, lanes), (19_456, 2, 1));
        assert_eq!(AT_ONCE, 2);
        let hasher = Argon2Hasher::new(Argon2Cost::default()).unwrap();
        let mut memory = blocks(hasher.argon2.params());
        let text = hash(&hasher.argon2, &mut memory, "correct horse", &[7; 16]).unwrap();
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
    }

    #[tokio::test]
    async fn no_more_than_two_run_at_once() {
        let hasher = cheap();
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
        let runs: Vec<_> = (0..3)
            .map(|number| {
                let (hasher, wait, started) = (hasher.clone(), wait.clone(), started.clone());
                tokio::spawn(async move {
                    let work = move |_: &Argon2<'static>, _: &mut [Block]| {
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
        assert_eq!(hasher.memory.lock().unwrap().len(), 2, "as much memory as ran at once, kept");
    }

    #[test]
    fn an_impossible_cost_is_refused() {
        assert!(Argon2Hasher::new(Argon2Cost { memory_kib: 0, passes: 1, lanes: 1 }).is_err());
    }
}
