//! Where servers of tests keep their data: in memory where there is room, since their tests make and drop tables by the
//! hundred.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{ServerError, ServerKind};

const MEMORY: &str = "/dev/shm";
/// Four servers with the data of their tests take less.
const ROOM_KIB: u64 = 2 * 1024 * 1024;

/// A folder that goes when this is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new, empty folder.
    pub fn new(kind: ServerKind) -> Result<Self, ServerError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let parent = parent();
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let dir = parent.join(format!("commerce-{kind}-{}-{number}", std::process::id()));
            match fs::create_dir(&dir) {
                Ok(()) => return Ok(Self(dir)),
                // Of a process that had our number before and was killed with everything that looks after it.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(ServerError::file(dir)(error)),
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn parent() -> PathBuf {
    let free = Command::new("df").args(["-Pk", MEMORY]).output().ok();
    let free = free.and_then(|output| free_kib(&String::from_utf8_lossy(&output.stdout)));
    if free.is_some_and(|kib| kib >= ROOM_KIB) { MEMORY.into() } else { std::env::temp_dir() }
}

/// Reads the table of `df -Pk`: a heading, then size, used and free after the name.
fn free_kib(table: &str) -> Option<u64> {
    table.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_its_own_and_goes() {
        let (one, two) = (Scratch::new(ServerKind::Redis).unwrap(), Scratch::new(ServerKind::Redis).unwrap());
        assert_ne!(one.path(), two.path());
        fs::write(one.path().join("file"), "").unwrap();
        let was = one.path().to_owned();
        drop(one);
        assert!(!was.exists() && two.path().exists());
    }

    #[test]
    fn free_room_is_the_fourth_column() {
        let table =
            "Filesystem 1024-blocks Used Available Capacity Mounted on\ntmpfs 900 100 800 12% /dev/shm\n";
        assert_eq!(free_kib(table), Some(800));
        assert_eq!(free_kib("df: no such file"), None);
    }
}
