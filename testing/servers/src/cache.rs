//! What was fetched is kept outside of any clone, made once, and appears whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::ServerError;
use crate::program::Programs;

/// The folder that keeps what was fetched.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `$COMMERCE_SERVICES`, else `commerce-services` in the user's cache.
    pub fn of_the_user() -> Result<Self, ServerError> {
        let root = root(|name| std::env::var_os(name)).ok_or(ServerError::NoCache)?;
        Ok(Self { root })
    }

    /// In this folder.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder `name`, which `make` fills if it is not there yet. Another process that wants the same waits. What a
    /// `make` that was cut off left behind is made anew.
    pub(crate) async fn once<F>(
        &self,
        name: &str,
        make: impl FnOnce(PathBuf) -> F,
    ) -> Result<PathBuf, ServerError>
    where
        F: Future<Output = Result<(), ServerError>>,
    {
        let done = self.root.join(name);
        fs::create_dir_all(&self.root).map_err(ServerError::file(&self.root))?;
        let lock = self.root.join(format!("{name}.lock"));
        let held = File::create(&lock).map_err(ServerError::file(&lock))?;
        let held = tokio::task::spawn_blocking(move || held.lock().map(|()| held)).await;
        let _held = held
            .map_err(std::io::Error::other)
            .and_then(|locked| locked)
            .map_err(ServerError::file(&lock))?;
        if done.exists() {
            return Ok(done);
        }
        let partial = self.root.join(format!("{name}.partial"));
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(ServerError::file(&partial))?;
        }
        fs::create_dir_all(&partial).map_err(ServerError::file(&partial))?;
        make(partial.clone()).await?;
        fs::rename(&partial, &done).map_err(ServerError::file(&done))?;
        Ok(done)
    }

    /// Programs of Debian packages, unpacked once.
    pub(crate) async fn programs(
        &self,
        name: &'static str,
        suite: &'static str,
        packages: &'static [&'static str],
    ) -> Result<Programs, ServerError> {
        let root = self
            .once(name, |folder| async move { crate::debian::unpack(&folder, suite, packages).await })
            .await?;
        Programs::below(root)
    }
}

fn root(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    set("COMMERCE_SERVICES").or_else(|| cache().map(|dir| dir.join("commerce-services")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_the_first_that_is_set() {
        let all = [("COMMERCE_SERVICES", "/s"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")];
        let with = |set: &[(&str, &str)]| {
            root(|name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value)))
        };
        assert_eq!(with(&all), Some("/s".into()));
        assert_eq!(with(&all[1..]), Some("/x/commerce-services".into()));
        assert_eq!(with(&all[2..]), Some("/h/.cache/commerce-services".into()));
        assert_eq!(with(&[]), None);
    }

    #[tokio::test]
    async fn what_was_made_is_made_once_and_what_failed_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path());
        let failed = cache.once("thing", |folder| async move {
            fs::write(folder.join("half"), "").unwrap();
            Err(ServerError::NoCache)
        });
        assert!(failed.await.is_err());
        let make = |text: &'static str| {
            move |folder: PathBuf| async move {
                fs::write(folder.join("whole"), text).unwrap();
                Ok(())
            }
        };
        let (one, two) = tokio::join!(cache.once("thing", make("one")), cache.once("thing", make("two")));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one, two);
        assert!(!one.join("half").exists(), "nothing of the attempt that failed");
        let kept = fs::read_to_string(one.join("whole")).unwrap();
        assert!(kept == "one" || kept == "two");
        let again = cache.once("thing", make("three")).await.unwrap();
        assert_eq!(fs::read_to_string(again.join("whole")).unwrap(), kept);
    }
}
