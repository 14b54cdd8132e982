//! The data directory: made for its owner only, and used by one `up` at a time.

use std::fmt::Write as _;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::patience::patiently;

const LOCK_FILE: &str = "up.lock";

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// It cannot be made.
    #[error("the data directory {} cannot be made; choose another with `--data-dir`", path.display())]
    Make {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no directory.
    #[error("the data directory {} is a file; choose another path with `--data-dir`", path.display())]
    File {
        /// Which.
        path: PathBuf,
    },
    /// A running `up` has it.
    #[error(
        "the data directory {} is in use by a running `commerce up`{}; stop that one first, or choose another \
         directory with `--data-dir`",
        path.display(),
        holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    InUse {
        /// Which.
        path: PathBuf,
        /// The process that wrote itself into the lock file.
        holder: Option<u32>,
    },
    /// The lock file cannot be used.
    #[error("the lock file {} cannot be used", path.display())]
    LockFile {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Makes the directory where it does not exist, for its owner only: it holds personal data and secrets.
pub fn prepare(path: &Path) -> Result<(), LockError> {
    refuse_file(path)?;
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path).map_err(|source| LockError::Make { path: path.to_owned(), source })
}

/// Refuses a file in the place of the directory.
pub fn refuse_file(path: &Path) -> Result<(), LockError> {
    if path.is_file() { Err(LockError::File { path: path.to_owned() }) } else { Ok(()) }
}

/// Where the apps of one process listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The API.
    pub api: SocketAddr,
    /// The collector.
    pub collector: SocketAddr,
    /// The simulated gateway, if it runs.
    pub gateway: Option<SocketAddr>,
}

/// The exclusive use of a data directory by an `up`. The operating system ends it with the process, however that ends.
#[derive(Debug)]
pub struct UpLock {
    file: File,
    path: PathBuf,
}

impl UpLock {
    /// Takes it where an `up` was here before; makes nothing.
    pub async fn take_again(data_dir: &Path) -> Result<Option<Self>, LockError> {
        if !data_dir.join(LOCK_FILE).exists() {
            return Ok(None);
        }
        Self::take(data_dir).await.map(Some)
    }

    /// Takes it, or tells who has it. One that was just killed may have it for a moment still.
    pub async fn take(data_dir: &Path) -> Result<Self, LockError> {
        patiently(|| Self::try_take(data_dir), |error| matches!(error, LockError::InUse { .. })).await
    }

    fn try_take(data_dir: &Path) -> Result<Self, LockError> {
        let path = data_dir.join(LOCK_FILE);
        let failed = |source| LockError::LockFile { path: path.clone(), source };
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = opened.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder =
                    read(&path).and_then(|text| text.lines().next()?.strip_prefix("pid ")?.parse().ok());
                return Err(LockError::InUse { path: data_dir.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut lock = Self { file, path };
        lock.write(&format!("pid {}\n", std::process::id()))?;
        Ok(lock)
    }

    /// Writes down where the apps listen, so that other commands know which server this directory belongs to and where
    /// the rest of it is.
    pub fn record(&mut self, apps: &Addresses) -> Result<(), LockError> {
        let mut text =
            format!("pid {}\napi {}\ncollector {}\n", std::process::id(), apps.api, apps.collector);
        if let Some(gateway) = apps.gateway {
            // Writing into a text does not fail.
            let _ = writeln!(text, "gateway {gateway}");
        }
        self.write(&text)
    }

    /// Gives it back.
    pub fn release(mut self) -> Result<(), LockError> {
        self.write("")
    }

    fn write(&mut self, text: &str) -> Result<(), LockError> {
        let written = self
            .file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| self.file.write_all(text.as_bytes()));
        written.map_err(|source| LockError::LockFile { path: self.path.clone(), source })
    }
}

/// Where the apps of the last `up` on `data_dir` listen, if its API listens on one of `addresses`. Also where that one
/// was killed: what it wrote down stays.
pub fn apps_at(data_dir: &Path, addresses: &[SocketAddr]) -> Option<Addresses> {
    let text = read(&data_dir.join(LOCK_FILE))?;
    let of = |app: &str| text.lines().find_map(|line| line.strip_prefix(app)?.parse::<SocketAddr>().ok());
    let api = of("api ")?;
    let is_it = addresses.iter().any(|address| {
        let reached = address.ip() == api.ip() || (api.ip().is_unspecified() && address.ip().is_loopback());
        reached && address.port() == api.port()
    });
    // A shop of an older version has no collector.
    let collector = of("collector ").unwrap_or(api);
    is_it.then_some(Addresses { api, collector, gateway: of("gateway ") })
}

/// Where the simulated gateway of the last `up` on `data_dir` listens; what one that was killed wrote down stays.
pub fn gateway_of(data_dir: &Path) -> Option<SocketAddr> {
    let text = read(&data_dir.join(LOCK_FILE))?;
    text.lines().find_map(|line| line.strip_prefix("gateway ")?.parse().ok())
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    use std::time::Duration;

    use super::*;

    const API: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4711);
    const APPS: Addresses = Addresses {
        api: API,
        collector: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4712),
        gateway: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4713)),
    };

    fn belongs_to(data_dir: &Path, addresses: &[SocketAddr]) -> bool {
        apps_at(data_dir, addresses).is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        assert!(UpLock::take_again(dir.path()).await.unwrap().is_none());
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
        let mut first = UpLock::take(dir.path()).await.unwrap();
        first.record(&APPS).unwrap();
        let error = UpLock::take_again(dir.path()).await.unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, LockError::InUse { holder: Some(pid), .. } if pid == std::process::id()),
            "{text}"
        );
        assert!(text.contains("--data-dir") && text.contains(&std::process::id().to_string()), "{text}");
        assert_eq!(apps_at(dir.path(), &[API]), Some(APPS));

        first.release().unwrap();
        assert!(!belongs_to(dir.path(), &[API]));
        assert!(UpLock::take_again(dir.path()).await.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_that_is_given_back_within_two_seconds_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let first = UpLock::take(dir.path()).await.unwrap();
        let killed = async {
            // tidy: sleep on the paused clock, while the other end waits
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(first);
        };
        let ((), second) = tokio::join!(killed, UpLock::take(dir.path()));
        second.unwrap();
    }

    #[tokio::test]
    async fn the_server_of_a_directory_is_known_by_any_of_its_addresses() {
        let dir = tempfile::tempdir().unwrap();
        let mut lock = UpLock::take(dir.path()).await.unwrap();
        lock.record(&Addresses { gateway: None, ..APPS }).unwrap();
        assert_eq!(apps_at(dir.path(), &[API]).unwrap().gateway, None);
        // Killed: nothing is cleared.
        drop(lock);
        let v6 = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 4711);
        assert!(belongs_to(dir.path(), &[v6, API]));
        for others in [&[][..], &[v6], &[SocketAddr::new(API.ip(), 471)]] {
            assert!(!belongs_to(dir.path(), others), "{others:?}");
        }
        let mut everywhere = UpLock::take(dir.path()).await.unwrap();
        everywhere.record(&Addresses { api: ([0, 0, 0, 0], 4711).into(), ..APPS }).unwrap();
        assert!(belongs_to(dir.path(), &[v6]));
        assert!(!belongs_to(dir.path(), &[([10, 0, 0, 1], 4711).into()]));
    }

    #[cfg(unix)]
    #[test]
    fn made_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        prepare(&path).unwrap();
        prepare(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(prepare(&file), Err(LockError::File { .. })));
        assert!(matches!(prepare(&file.join("data")), Err(LockError::Make { .. })));
    }
}
