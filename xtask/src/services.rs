//! `cargo xtask services`: real servers for development, without Docker.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::{Args, Subcommand};
use commerce_servers::{Cache, Lives, Server, ServerKind, answers};

use crate::{Outcome, console, process};

/// How long a server may take to end by itself; then it is killed.
const END_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Subcommand)]
pub enum Services {
    /// Fetch what is missing, start, and wait until they answer
    Up(Which),
    /// Stop; what they keep stays for the next start
    Down(Which),
    /// Which run, and where
    Status,
}

#[derive(Args)]
pub struct Which {
    /// mysql, mariadb, redis, kafka; none of them means all
    #[arg(value_parser = kind, value_name = "SERVER")]
    servers: Vec<ServerKind>,
}

impl Which {
    fn kinds(&self) -> Vec<ServerKind> {
        if self.servers.is_empty() { ServerKind::ALL.to_vec() } else { self.servers.clone() }
    }
}

fn kind(name: &str) -> Result<ServerKind, String> {
    let known = || ServerKind::ALL.map(ServerKind::name).join(", ");
    ServerKind::parse(name).ok_or_else(|| format!("one of {}", known()))
}

/// Does what was asked for.
pub fn run(services: &Services) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(async {
        let cache = Cache::of_the_user().map_err(|error| error.chain())?;
        match services {
            Services::Up(which) => up(&cache, &which.kinds()).await,
            Services::Down(which) => down(&cache, &which.kinds()).await,
            Services::Status => status(&cache).await,
        }
    })
}

/// Where a server keeps its data and what is known of it.
struct Place {
    kind: ServerKind,
    dir: PathBuf,
}

/// A server that was started: its process and where it listens.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    pid: u32,
    address: String,
}

impl Place {
    fn of(cache: &Cache, kind: ServerKind) -> Self {
        Self { kind, dir: cache.root().join("running").join(kind.name()) }
    }

    fn note(&self) -> PathBuf {
        self.dir.join("running")
    }

    fn known(&self) -> Option<Known> {
        let note = fs::read_to_string(self.note()).ok()?;
        let (pid, address) = note.trim().split_once(' ')?;
        Some(Known { pid: pid.parse().ok()?, address: address.to_owned() })
    }

    /// The server, if it lives and answers: the process may be gone, and its number another's.
    async fn alive(&self) -> Option<Known> {
        let known = self.known()?;
        (is_there(known.pid) && answers(self.kind, &known.address).await).then_some(known)
    }
}

async fn up(cache: &Cache, kinds: &[ServerKind]) -> Outcome {
    for kind in kinds {
        let place = Place::of(cache, *kind);
        let address = match place.alive().await {
            Some(known) => known.address,
            None => start(cache, &place).await?,
        };
        console::line(&format!("export {}={address}    # {}", kind.variable(), kind.url(&address)));
    }
    Ok(())
}

async fn start(cache: &Cache, place: &Place) -> Outcome<String> {
    let started = Server::start(cache, place.kind, &place.dir, Lives::OnItsOwn).await;
    let server = started.map_err(|error| error.chain())?;
    if let Some(running) = server.running() {
        let note = format!("{} {}\n", running.pid, server.address());
        fs::write(place.note(), note).map_err(|e| format!("cannot write {}: {e}", place.note().display()))?;
    }
    Ok(server.address().to_owned())
}

async fn down(cache: &Cache, kinds: &[ServerKind]) -> Outcome {
    for kind in kinds {
        let place = Place::of(cache, *kind);
        match place.alive().await {
            None => console::line(&format!("{kind} does not run")),
            Some(known) => {
                end(&known).await?;
                console::line(&format!("{kind} is stopped; its data stays in {}", place.dir.display()));
            }
        }
        forget(&place.note())?;
    }
    Ok(())
}

fn forget(note: &Path) -> Outcome {
    match fs::remove_file(note) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", note.display()))
        }
        _ => Ok(()),
    }
}

async fn status(cache: &Cache) -> Outcome {
    for kind in ServerKind::ALL {
        let told = match Place::of(cache, kind).alive().await {
            Some(known) => format!("{}    (process {})", kind.url(&known.address), known.pid),
            None => "does not run".to_owned(),
        };
        console::line(&format!("{:<8} {told}", kind.name()));
    }
    Ok(())
}

/// Asks it to end, and kills it where it does not.
async fn end(known: &Known) -> Outcome {
    signal("-TERM", known.pid)?;
    let gone = async {
        while is_there(known.pid) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    if tokio::time::timeout(END_WITHIN, gone).await.is_err() {
        signal("-KILL", known.pid)?;
    }
    Ok(())
}

fn signal(signal: &str, pid: u32) -> Outcome {
    process::run(Command::new("kill").args([signal, &pid.to_string()]))
}

/// Whether there is such a process; one that ended and was not waited for is none.
fn is_there(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat"));
    status
        .is_ok_and(|status| !status.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_started_is_found_again_and_a_broken_note_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::of(&Cache::at(dir.path()), ServerKind::Redis);
        assert_eq!(place.known(), None);
        fs::create_dir_all(&place.dir).unwrap();
        fs::write(place.note(), "12 127.0.0.1:6379\n").unwrap();
        assert_eq!(place.known(), Some(Known { pid: 12, address: "127.0.0.1:6379".into() }));
        fs::write(place.note(), "no process").unwrap();
        assert_eq!(place.known(), None);
        forget(&place.note()).unwrap();
        forget(&place.note()).unwrap();
    }

    #[test]
    fn a_process_that_ended_is_not_there() {
        assert!(is_there(std::process::id()));
        let mut ended = Command::new("true").spawn().unwrap();
        let pid = ended.id();
        ended.wait().unwrap();
        assert!(!is_there(pid));
    }

    #[test]
    fn a_server_that_nobody_knows_is_refused_with_those_that_are_known() {
        assert_eq!(kind("kafka"), Ok(ServerKind::Kafka));
        assert_eq!(kind("oracle").unwrap_err(), "one of mysql, mariadb, redis, kafka");
    }
}
