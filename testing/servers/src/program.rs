//! Programs that were unpacked run with the loader and the libraries that came with them.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::ServerError;

/// Where a package keeps libraries, relative to the folder it was unpacked into.
const LIBRARIES: &[&str] = &["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/mysql/private"];
const LOADER: &str = "ld-linux-x86-64.so.2";

/// The programs of packages that were unpacked together.
#[derive(Debug, Clone)]
pub struct Programs {
    root: PathBuf,
    loader: PathBuf,
    libraries: String,
}

impl Programs {
    /// Those below `root`.
    pub fn below(root: PathBuf) -> Result<Self, ServerError> {
        let folders: Vec<PathBuf> =
            LIBRARIES.iter().map(|folder| root.join(folder)).filter(|folder| folder.is_dir()).collect();
        let loader = folders.iter().map(|folder| folder.join(LOADER)).find(|loader| loader.exists());
        let Some(loader) = loader else {
            let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(ServerError::file(root.join(LOADER))(missing));
        };
        let names: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        Ok(Self { root, loader, libraries: names.join(":") })
    }

    /// A file that came with them.
    pub fn file(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// A command that runs one of them.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(&self.loader);
        command.arg("--library-path").arg(&self.libraries).arg(self.file(program));
        command
    }
}

/// A copy of a folder with all that is in it.
pub fn copy_folder(from: &Path, to: &Path) -> Result<(), ServerError> {
    fs::create_dir_all(to).map_err(ServerError::file(to))?;
    for entry in fs::read_dir(from).map_err(ServerError::file(from))? {
        let entry = entry.map_err(ServerError::file(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(ServerError::file(&source))?;
        if kind.is_dir() {
            copy_folder(&source, &target)?;
        } else {
            fs::copy(&source, &target).map(drop).map_err(ServerError::file(&source))?;
        }
    }
    Ok(())
}
