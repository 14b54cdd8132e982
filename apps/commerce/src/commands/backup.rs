use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use commerce_api::app::Platform;
use commerce_config::secrets;

use crate::cli::{Backup, Global};
use crate::console;
use crate::data_dir;
use crate::failure::Failure;
use crate::mode;
use crate::setup;

/// Copies the database as of one instant, the secrets that belong to it, and whose it is, so that the copy is a data directory.
pub async fn run(global: &Global, options: &Backup) -> Result<ExitCode, Failure> {
    let config = setup::for_operator(global)?.api;
    let dir = &options.dir;
    let platform = setup::open_existing(&config).await?;
    require_empty(dir)?;
    data_dir::prepare(dir)?;
    let target = dir.join(Platform::DATABASE_FILE);
    let bytes = commerce_database::backup_sqlite(&platform.database, &target).await?;
    platform.database.close().await;
    for name in [secrets::FILE, mode::FILE] {
        copy(name, &config.data_dir, dir)?;
    }
    console::line(&format!(
        "{} holds {bytes} bytes; check it with `commerce audit --data-dir {}`.",
        target.display(),
        dir.display()
    ));
    Ok(ExitCode::SUCCESS)
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
