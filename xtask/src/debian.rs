//! Programs from Debian's packages, where apt may be used.

use std::path::Path;
use std::process::Command;

use crate::{Outcome, process};

/// Installs a package from the mirror that the machine has; only as root on a Debian.
pub fn install(package: &str) -> Outcome {
    let root = process::output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    if !root || !Path::new("/etc/debian_version").exists() {
        return Err(format!("{package} can be installed by itself only as root on a Debian"));
    }
    let mut apt = Command::new("apt-get");
    apt.args(["install", "--yes", "--no-install-recommends", package])
        .env("DEBIAN_FRONTEND", "noninteractive");
    process::run(&mut apt).or_else(|_| {
        process::run(Command::new("apt-get").arg("update")).and_then(|()| process::run(&mut apt))
    })
}

/// Makes sure that a program which is its own package can be run.
pub fn program(name: &'static str, why: &str) -> Outcome {
    if process::output(Command::new(name).arg("--version")).is_some() {
        return Ok(());
    }
    install(name).map_err(|error| format!("{error}; {name} is missing, and {why}: install it"))
}
