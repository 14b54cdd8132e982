//! Redis 7: from Debian 12.

use std::path::Path;

use tokio::process::Command;

use crate::{Cache, ServerError};

/// The command that serves on `port` and keeps nothing.
pub async fn command(cache: &Cache, dir: &Path, port: u16) -> Result<Command, ServerError> {
    let programs = cache.programs("redis", "bookworm", &["redis-server"]).await?;
    let mut command = programs.command("usr/bin/redis-server");
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(["--ignore-warnings", "ARM64-COW-BUG", "--dir"])
        .arg(dir);
    Ok(command)
}
