//! `MySQL`: from Debian's unstable suite, since no stable one has it; any 8.x or 9.x will do.

use std::path::Path;

use tokio::process::Command;

use crate::process::run;
use crate::program::{Programs, copy_folder};
use crate::{Cache, ServerError, Tuning};

/// Where the messages are that it cannot start without.
const MESSAGES: &str = "usr/share/mysql";
const SERVER: &str = "usr/sbin/mysqld";

/// Small, and no wait for a disk. Neither writes what `kill -9` could lose: the operating system has it all.
const FAST: [&str; 8] = [
    "--skip-log-bin",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=128M",
    "--innodb-use-native-aio=OFF",
    "--innodb-flush-method=fsync",
    "--performance-schema=OFF",
    "--max-connections=500",
    "--innodb-redo-log-capacity=64M",
];
/// As it comes, but logs of changes, which nobody replicates here, do not pile up.
const DURABLE: [&str; 3] =
    ["--sync-binlog=1", "--innodb-flush-log-at-trx-commit=1", "--binlog-expire-logs-seconds=3600"];

/// The command that serves `dir/data` on `port`; the folder is made where it is missing.
pub async fn command(cache: &Cache, dir: &Path, port: u16, tuning: Tuning) -> Result<Command, ServerError> {
    let programs = cache.programs("mysql", "sid", &["mysql-server-core", "mysql-client-core"]).await?;
    let data = dir.join("data");
    if !data.exists() {
        // It takes seconds to make an empty one, and milliseconds to copy it.
        let empty = cache.once("mysql-small", |folder| initialize(programs.clone(), folder)).await?;
        copy_folder(&empty, &data)?;
    }
    let mut command = base(&programs, &data);
    command
        .arg(format!("--port={port}"))
        .arg(format!("--socket={}", dir.join("mysql.sock").display()))
        .arg(format!("--pid-file={}", dir.join("mysql.pid").display()))
        .args(["--bind-address=127.0.0.1", "--mysqlx=OFF", "--secure-file-priv=NULL"]);
    match tuning {
        Tuning::Fast => command.args(FAST),
        Tuning::Durable => command.args(DURABLE),
    };
    Ok(command)
}

async fn initialize(programs: Programs, folder: std::path::PathBuf) -> Result<(), ServerError> {
    // It wants to make the folder itself or find it empty.
    let mut command = base(&programs, &folder);
    command.args(["--initialize-insecure", "--innodb-redo-log-capacity=8M"]);
    run(&mut command).await.map(drop)
}

fn base(programs: &Programs, data: &Path) -> Command {
    let mut command = programs.command(SERVER);
    command
        .args(["--no-defaults", "--user=root"])
        .arg(format!("--datadir={}", data.display()))
        .arg(format!("--lc-messages-dir={}", programs.file(MESSAGES).display()));
    command
}
