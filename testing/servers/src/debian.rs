//! Debian packages as files: downloaded with apt into folders of our own and unpacked, never installed, so that
//! neither root nor the system's own packages have a part in it.

use std::fs;
use std::path::Path;

use tokio::process::Command;

use crate::ServerError;
use crate::process::run;

/// Whose signatures are believed.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Unpacks packages of a suite, with all that they need, into `into`.
pub async fn unpack(into: &Path, suite: &str, packages: &[&str]) -> Result<(), ServerError> {
    let apt = into.join("apt");
    for folder in ["lists/partial", "cache/archives/partial", "state"] {
        let folder = apt.join(folder);
        fs::create_dir_all(&folder).map_err(ServerError::file(&folder))?;
    }
    let write = |name: &str, text: String| {
        let path = apt.join(name);
        fs::write(&path, text).map_err(ServerError::file(&path))
    };
    write("status", String::new())?;
    write("sources.list", format!("deb [signed-by={KEYS}] {} {suite} main\n", mirror()))?;
    run(apt_get(&apt).arg("update")).await?;
    run(apt_get(&apt).args(["install", "--yes", "--download-only"]).args(packages)).await?;
    let archives = apt.join("cache/archives");
    for entry in fs::read_dir(&archives).map_err(ServerError::file(&archives))? {
        let package = entry.map_err(ServerError::file(&archives))?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg").arg("--extract").arg(&package).arg(into)).await?;
        }
    }
    fs::remove_dir_all(&apt).map_err(ServerError::file(&apt))
}

/// apt that knows nothing of the system and believes that nothing is installed.
fn apt_get(apt: &Path) -> Command {
    let option = |name: &str, value: &Path| format!("{name}={}", value.display());
    let mut command = Command::new("apt-get");
    let options = [
        option("Dir::Etc::sourcelist", &apt.join("sources.list")),
        option("Dir::Etc::sourceparts", Path::new("-")),
        option("Dir::State", &apt.join("state")),
        option("Dir::State::lists", &apt.join("lists")),
        option("Dir::State::status", &apt.join("status")),
        option("Dir::Cache", &apt.join("cache")),
        "APT::Install-Recommends=false".to_owned(),
        "APT::Sandbox::User=".to_owned(),
        "Acquire::Languages=none".to_owned(),
    ];
    command.args(options.iter().flat_map(|option| ["-o", option]));
    command
}

/// The mirror that this machine uses, so that a proxy or mirror of one's own is used here too.
fn mirror() -> String {
    let places = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];
    let found = places.iter().find_map(|place| mirror_in(&fs::read_to_string(place).ok()?));
    found.unwrap_or_else(|| "https://deb.debian.org/debian".to_owned())
}

/// The first address in a list of sources that serves Debian's own packages.
fn mirror_in(sources: &str) -> Option<String> {
    let lines = sources.lines().filter(|line| !line.trim_start().starts_with('#'));
    let words = lines.flat_map(str::split_whitespace);
    let is_debian = |word: &&str| word.contains("://") && word.trim_end_matches('/').ends_with("/debian");
    words.into_iter().find(is_debian).map(|word| word.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_machines_own() {
        let new = "Types: deb\n# http://old/debian\nURIs: http://mirror.example/debian/\nSuites: stable\n";
        assert_eq!(mirror_in(new).as_deref(), Some("http://mirror.example/debian"));
        let old =
            "deb http://mirror.example/debian stable main\ndeb http://mirror.example/debian-security x main";
        assert_eq!(mirror_in(old).as_deref(), Some("http://mirror.example/debian"));
        assert_eq!(mirror_in("deb http://mirror.example/debian-security x main"), None);
    }
}
