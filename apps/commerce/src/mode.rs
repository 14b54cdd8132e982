//! Whose a data directory is: a demonstration's, whose accounts are public, or a configured shop's. Never both.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use commerce_api::app::Platform;
use commerce_api::config::Config;
use commerce_config::secrets;

/// Name of the file in the data directory.
pub const FILE: &str = "shop.mode";

/// Whose a data directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A demonstration's.
    Demo,
    /// A configured shop's.
    Shop,
}

/// Why a data directory cannot be used in the mode asked for.
#[derive(Debug, thiserror::Error)]
pub enum ModeError {
    /// A demonstration was asked for.
    #[error(
        "the data directory {} belongs to a configured shop; give `--config` or the environment variables as \
         before, or choose another directory with `--data-dir`",
        path.display()
    )]
    OfShop {
        /// Which.
        path: PathBuf,
    },
    /// A shop was asked for.
    #[error(
        "the data directory {} belongs to a demonstration, whose accounts are public; choose a new directory with \
         `--data-dir`",
        path.display()
    )]
    OfDemo {
        /// Which.
        path: PathBuf,
    },
    /// The file says neither.
    #[error(
        "{} says neither `demo` nor `shop`; restore it from a backup, or write into it which of them it is",
        path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("{} cannot be read or written", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Mode {
    /// What the configuration asks for.
    pub fn wanted(config: &Config) -> Self {
        if config.is_demo() { Self::Demo } else { Self::Shop }
    }

    /// Whose the directory is; none where it is new.
    pub fn of(data_dir: &Path) -> Result<Option<Self>, ModeError> {
        let path = data_dir.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::deduced(data_dir)),
            Err(source) => return Err(ModeError::Io { path, source }),
        };
        match text.trim_ascii() {
            b"demo" => Ok(Some(Self::Demo)),
            b"shop" => Ok(Some(Self::Shop)),
            _ => Err(ModeError::Malformed { path }),
        }
    }

    /// A database from before there was the file: only demonstrations make their secrets themselves.
    fn deduced(data_dir: &Path) -> Option<Self> {
        let database = data_dir.join(Platform::DATABASE_FILE).metadata();
        if !database.is_ok_and(|file| file.len() > 0) {
            None
        } else if data_dir.join(secrets::FILE).exists() {
            Some(Self::Demo)
        } else {
            Some(Self::Shop)
        }
    }

    const fn line(self) -> &'static [u8] {
        match self {
            Self::Demo => b"demo\n",
            Self::Shop => b"shop\n",
        }
    }

    /// Writes it down, whole or not at all and for the owner only; who was first stays.
    fn record(self, data_dir: &Path) -> Result<(), ModeError> {
        let path = data_dir.join(FILE);
        if path.exists() {
            return Ok(());
        }
        let written = || {
            let mut draft = tempfile::Builder::new().prefix(".shop.mode.").tempfile_in(data_dir)?;
            draft.write_all(self.line())?;
            draft.as_file().sync_all()?;
            match draft.persist_noclobber(&path) {
                Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
                Ok(_) | Err(_) => sync_directory(data_dir),
            }
        };
        written().map_err(|source| ModeError::Io { path: path.clone(), source })
    }
}

/// Refuses a directory that belongs to the other mode. Makes nothing.
pub fn require(config: &Config) -> Result<(), ModeError> {
    let path = config.data_dir.clone();
    match (Mode::wanted(config), Mode::of(&path)?) {
        (Mode::Demo, Some(Mode::Shop)) => Err(ModeError::OfShop { path }),
        (Mode::Shop, Some(Mode::Demo)) => Err(ModeError::OfDemo { path }),
        (_, None) | (Mode::Demo, Some(Mode::Demo)) | (Mode::Shop, Some(Mode::Shop)) => Ok(()),
    }
}

/// Makes the directory one of this mode for good, or refuses it.
pub fn claim(config: &Config) -> Result<(), ModeError> {
    require(config)?;
    Mode::wanted(config).record(&config.data_dir)?;
    // Another command may have been first.
    require(config)
}

/// The same for a new directory; one that has an owner stays as it is.
pub fn claim_new(config: &Config) -> Result<(), ModeError> {
    match Mode::of(&config.data_dir)? {
        Some(_) => Ok(()),
        None => Mode::wanted(config).record(&config.data_dir),
    }
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(dir: &Path, demo: bool) -> Config {
        let config = Config { data_dir: dir.to_owned(), from_file: !demo, ..Config::default() };
        assert_eq!(Mode::wanted(&config) == Mode::Demo, demo);
        config
    }

    #[test]
    fn the_first_owner_stays() {
        for first in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let (same, other) = (config(dir.path(), first), config(dir.path(), !first));
            require(&same).unwrap();
            require(&other).unwrap();
            assert_eq!(dir.path().read_dir().unwrap().count(), 0, "asking makes nothing");
            claim(&same).unwrap();
            claim(&same).unwrap();
            claim_new(&other).unwrap();
            let text = fs::read(dir.path().join(FILE)).unwrap();
            assert_eq!(text, if first { b"demo\n" } else { b"shop\n" });
            assert_eq!(dir.path().read_dir().unwrap().count(), 1);
            match (first, claim(&other).unwrap_err()) {
                (true, ModeError::OfDemo { .. }) | (false, ModeError::OfShop { .. }) => {}
                (_, error) => panic!("{error:?}"),
            }
        }
    }

    #[test]
    fn an_older_directory_is_a_demonstration_where_it_made_its_secrets() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at(secrets::FILE), "").unwrap();
        assert_eq!(Mode::of(dir.path()).unwrap(), None, "there is nothing to protect yet");
        fs::write(at(Platform::DATABASE_FILE), "").unwrap();
        assert_eq!(Mode::of(dir.path()).unwrap(), None, "an empty file neither");
        fs::write(at(Platform::DATABASE_FILE), "SQLite").unwrap();
        assert_eq!(Mode::of(dir.path()).unwrap(), Some(Mode::Demo));
        fs::remove_file(at(secrets::FILE)).unwrap();
        assert_eq!(Mode::of(dir.path()).unwrap(), Some(Mode::Shop));
    }

    #[test]
    fn a_file_that_says_neither_is_refused_and_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        for text in ["", "Demo", "demo shop"] {
            fs::write(&path, text).unwrap();
            for demo in [true, false] {
                let error = claim(&config(dir.path(), demo)).unwrap_err();
                assert!(matches!(error, ModeError::Malformed { .. }), "{text}: {error:?}");
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[cfg(unix)]
    #[test]
    fn for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        claim(&config(dir.path(), true)).unwrap();
        let mode = dir.path().join(FILE).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
