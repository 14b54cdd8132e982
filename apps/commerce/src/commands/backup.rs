use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use commerce_api::app::EventLog;
use commerce_api::config::{Config, Profile};
use commerce_config::secrets;
use commerce_database::{Database, DatabaseError, SqliteOptions, WriteTransaction};

use crate::apps::{COLLECTOR_FILE, GATEWAY_FILE};
use crate::cli::{Backup, Global};
use crate::console;
use crate::data_dir;
use crate::failure::Failure;
use crate::mode;
use crate::setup;

/// Copies all databases, the secrets that belong to them, and whose they are, so that the copy is a data directory.
///
/// The databases are copied one after the other while the shop goes on, and must still agree: what the copy of the
/// collector has counted must be in the copy of the log, and what is in that one the copy of the shop must know; an event
/// must be in the outbox or in the log, or it would be lost. So the log is held still meanwhile, by its write lock:
/// nothing is published, so no outbox row leaves. The shop is copied while it takes orders; their events wait. The gateway
/// is the outside world, which a restored shop finds further on than it was: it comes last.
pub async fn run(global: &Global, options: &Backup) -> Result<ExitCode, Failure> {
    let config = setup::for_operator(global)?.api;
    if config.profile == Profile::Servers {
        return Err(Failure::Usage(
            "`commerce backup` copies a data directory; on servers use their own tools: `mysqldump --single-transaction` \
             or a snapshot for both databases, first the collector's and then the shop's (docs/operations.md)"
                .to_owned(),
        ));
    }
    let dir = &options.dir;
    let shop = setup::open_existing(&config).await?.database;
    require_empty(dir)?;
    data_dir::prepare(dir)?;
    let bytes = copy_databases(&config, &shop, dir).await;
    shop.close().await;
    let bytes = bytes?;
    for name in [secrets::FILE, mode::FILE] {
        copy(name, &config.data_dir, dir)?;
    }
    console::line(&format!(
        "{0} holds {bytes} bytes of databases; check them with `commerce audit --data-dir {0}`.",
        dir.display(),
    ));
    Ok(ExitCode::SUCCESS)
}

async fn copy_databases(config: &Config, shop: &Database, dir: &Path) -> Result<u64, Failure> {
    let collector = open(config.data_dir.join(COLLECTOR_FILE)).await?;
    let log = open(config.data_dir.join(EventLog::FILE)).await?;
    let gateway = open(config.data_dir.join(GATEWAY_FILE)).await?;
    let held: Option<WriteTransaction> = match &log {
        Some(log) => Some(log.begin_write("backup").await?),
        None => None,
    };
    let mut bytes = 0;
    for database in [collector.as_ref(), log.as_ref(), Some(shop), gateway.as_ref()].into_iter().flatten() {
        let name = database.path().and_then(Path::file_name).unwrap_or_default();
        bytes += commerce_database::backup_sqlite(database, &dir.join(name)).await?;
    }
    if let Some(held) = held {
        held.rollback().await?;
    }
    for database in [collector, log, gateway].into_iter().flatten() {
        database.close().await;
    }
    Ok(bytes)
}

/// Opens the database, if there is one.
async fn open(path: PathBuf) -> Result<Option<Database>, Failure> {
    if !path.metadata().is_ok_and(|file| file.len() > 0) {
        return Ok(None);
    }
    setup::refuse_foreign(&path)?;
    let opened: Result<_, DatabaseError> = Database::open_sqlite(SqliteOptions::new(path)).await;
    Ok(Some(opened?))
}

/// A backup never overwrites anything.
fn require_empty(dir: &Path) -> Result<(), Failure> {
    let mut entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::Usage(format!("{} cannot be read: {error}", dir.display()))),
    };
    match entries.next() {
        None => Ok(()),
        Some(_) => {
            Err(Failure::Usage(format!("{} is not empty; a backup needs a new directory", dir.display())))
        }
    }
}

/// The copy keeps the permissions of the file. A shop whose secrets are configured has none here.
fn copy(name: &str, from: &Path, to: &Path) -> Result<(), Failure> {
    let (from, to) = (from.join(name), to.join(name));
    if !from.exists() {
        return Ok(());
    }
    let copied = fs::copy(&from, &to).and_then(|_| fs::File::open(&to)?.sync_all());
    copied.map_err(Failure::io(format!("{} cannot be copied", from.display())))
}
