//! `MariaDB` 10.11: from Debian 12.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::process::last_lines;
use crate::program::{Programs, copy_folder};
use crate::{Cache, ServerError, Tuning};

const SERVER: &str = "usr/sbin/mariadbd";
const SHARED: &str = "usr/share/mysql";
/// What fills the system tables, in this order.
const TABLES: [&str; 3] =
    ["mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql"];

/// Small, and no wait for a disk; what is acknowledged survives `kill -9`.
const FAST: [&str; 4] = [
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=64M",
    "--innodb-use-native-aio=OFF",
    "--max-connections=500",
];

/// The command that serves `dir/data` on `port`; the folder is made where it is missing.
pub async fn command(cache: &Cache, dir: &Path, port: u16, tuning: Tuning) -> Result<Command, ServerError> {
    let programs = cache.programs("mariadb", "bookworm", &["mariadb-server-core"]).await?;
    let data = dir.join("data");
    if !data.exists() {
        let empty = cache.once("mariadb-empty", |folder| initialize(programs.clone(), folder)).await?;
        copy_folder(&empty, &data)?;
    }
    let mut command = base(&programs, &data);
    command
        .arg(format!("--port={port}"))
        .arg(format!("--socket={}", dir.join("mariadb.sock").display()))
        .arg(format!("--pid-file={}", dir.join("mariadb.pid").display()))
        .args(["--bind-address=127.0.0.1", "--plugin-dir="]);
    if tuning == Tuning::Fast {
        command.args(FAST);
    }
    Ok(command)
}

/// Runs the scripts that its own installer runs, and lets `root` in over TCP from this machine without a password, as
/// `MySQL`'s insecure initialisation does.
async fn initialize(programs: Programs, folder: PathBuf) -> Result<(), ServerError> {
    let script = folder.join("bootstrap.sql");
    let mut sql = File::create(&script).map_err(ServerError::file(&script))?;
    let mut say = |text: &[u8]| sql.write_all(text).map_err(ServerError::file(&script));
    let system = folder.join("mysql");
    fs::create_dir_all(&system).map_err(ServerError::file(&system))?;
    say(b"use mysql;\nset @auth_root_socket=NULL;\n")?;
    for table in TABLES {
        let path = programs.file(SHARED).join(table);
        say(&fs::read(&path).map_err(ServerError::file(&path))?)?;
    }
    let script_in = File::open(&script).map_err(ServerError::file(&script))?;
    let mut bootstrap = base(&programs, &folder);
    bootstrap.args(["--bootstrap", "--plugin-dir="]).stdin(Stdio::from(script_in)).kill_on_drop(true);
    let output = bootstrap.output().await;
    let output = output.map_err(|source| ServerError::Run { program: SERVER.to_owned(), source })?;
    if !output.status.success() {
        let last = last_lines(&String::from_utf8_lossy(&output.stderr));
        return Err(ServerError::Ended {
            program: SERVER.to_owned(),
            status: output.status.to_string(),
            last,
        });
    }
    fs::remove_file(&script).map_err(ServerError::file(&script))
}

fn base(programs: &Programs, data: &Path) -> Command {
    let mut command = programs.command(SERVER);
    command
        .args(["--no-defaults", "--user=root"])
        .arg(format!("--datadir={}", data.display()))
        .arg(format!("--lc-messages-dir={}", programs.file(SHARED).display()))
        .arg(format!("--character-sets-dir={}", programs.file(SHARED).join("charsets").display()));
    command
}
