use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::process::last_lines;
use crate::{Cache, ServerError, ServerKind, kafka, mariadb, mysql, probe, redis};

/// How long a server may take to answer: a busy machine of two cores is slow to start Java.
const READY_WITHIN: Duration = Duration::from_mins(2);
/// How often it is asked meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// Another process may take the free port first.
const PORTS: usize = 5;

/// A shell that ends the server when its own standard input ends: with the process that holds the other end, however
/// that dies.
const SUPERVISOR: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ cat <&3 >/dev/null; kill -KILL $server; } 2>/dev/null >&2 &
exec 3<&-
wait $server
"#;

/// How long a server lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lives {
    /// Until it is dropped, or the process that started it is gone.
    WithUs,
    /// Until somebody ends its process.
    OnItsOwn,
}

/// A server that answers, or the address of one that was given.
#[derive(Debug)]
pub struct Server {
    kind: ServerKind,
    address: String,
    process: Option<Child>,
    lives: Lives,
}

/// The process of a server that lives on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// Its process.
    pub pid: u32,
}

impl Server {
    /// Starts one that keeps everything in `dir`, on a free port of 127.0.0.1, and waits until it answers; what it needs
    /// is fetched first. Where the environment names one that runs, it is that one.
    pub async fn start(
        cache: &Cache,
        kind: ServerKind,
        dir: &Path,
        lives: Lives,
    ) -> Result<Self, ServerError> {
        if let Some(address) = given(kind)? {
            return Ok(Self { kind, address, process: None, lives });
        }
        fs::create_dir_all(dir).map_err(ServerError::file(dir))?;
        let mut left = PORTS;
        loop {
            left -= 1;
            match Self::start_once(cache, kind, dir, lives).await {
                Err(ServerError::Died { last, .. }) if left > 0 && port_was_taken(&last) => {}
                started => return started,
            }
        }
    }

    async fn start_once(
        cache: &Cache,
        kind: ServerKind,
        dir: &Path,
        lives: Lives,
    ) -> Result<Self, ServerError> {
        let [port, second] = free_ports(dir)?;
        let fetched = match kind {
            ServerKind::MySql => mysql::command(cache, dir, port).await,
            ServerKind::MariaDb => mariadb::command(cache, dir, port).await,
            ServerKind::Redis => redis::command(cache, dir, port).await,
            ServerKind::Kafka => kafka::command(cache, dir, port, second).await,
        };
        let command = fetched.map_err(|source| ServerError::Fetch { kind, source: Box::new(source) })?;
        let log = dir.join("server.log");
        let process = spawn(command.as_std(), &log, lives)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port)).to_string();
        let mut server = Self { kind, address, process: Some(process), lives };
        match server.until_ready(&log).await {
            Ok(()) => Ok(server),
            Err(error) => {
                server.end();
                Err(error)
            }
        }
    }

    /// What kind it is.
    pub const fn kind(&self) -> ServerKind {
        self.kind
    }

    /// Address and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How a client names it.
    pub fn url(&self) -> String {
        self.kind.url(&self.address)
    }

    /// The process, where it lives on its own.
    pub fn running(&self) -> Option<Running> {
        let process = self.process.as_ref().filter(|_| self.lives == Lives::OnItsOwn)?;
        Some(Running { pid: process.id() })
    }

    async fn until_ready(&mut self, log: &Path) -> Result<(), ServerError> {
        let kind = self.kind;
        let last = || last_lines(&fs::read_to_string(log).unwrap_or_default());
        let asking = async {
            while !probe::answers(kind, &self.address).await {
                if self.has_ended() {
                    return Err(ServerError::Died { kind, last: last() });
                }
                // tidy: sleep between two questions to a server that cannot call back
                tokio::time::sleep(ASK_EVERY).await;
            }
            Ok(())
        };
        let seconds = READY_WITHIN.as_secs();
        let asked = tokio::time::timeout(READY_WITHIN, asking).await;
        asked.unwrap_or_else(|_| Err(ServerError::NotReady { kind, seconds, last: last() }))
    }

    fn has_ended(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| !matches!(process.try_wait(), Ok(None)))
    }

    /// Ends it now, whatever it is doing.
    fn end(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        if self.lives == Lives::OnItsOwn {
            let _ = process.kill();
        }
        // Its supervisor ends it when this end of the pipe is closed; `wait` closes it.
        let _ = process.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.lives == Lives::WithUs {
            self.end();
        }
    }
}

fn spawn(command: &Command, log: &Path, lives: Lives) -> Result<Child, ServerError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let out = File::create(log).map_err(ServerError::file(log))?;
    let err = out.try_clone().map_err(ServerError::file(log))?;
    let mut started = match lives {
        Lives::WithUs => {
            let mut supervisor = Command::new("sh");
            supervisor.args(["-c", SUPERVISOR, "sh"]).arg(command.get_program()).stdin(Stdio::piped());
            supervisor
        }
        Lives::OnItsOwn => {
            let mut own = Command::new(command.get_program());
            own.stdin(Stdio::null());
            own
        }
    };
    // Of a group of its own: Ctrl-C is for whoever started it.
    let started = started.args(command.get_args()).stdout(out).stderr(err).process_group(0).spawn();
    started.map_err(|source| ServerError::Run { program, source })
}

/// The address that the environment names.
fn given(kind: ServerKind) -> Result<Option<String>, ServerError> {
    let variable = kind.variable();
    match std::env::var(variable) {
        Ok(address) if !address.is_empty() => {
            let is_address = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            if is_address { Ok(Some(address)) } else { Err(ServerError::Address { variable }) }
        }
        _ => Ok(None),
    }
}

/// Two ports that nobody listens on; both are held until both are known.
fn free_ports(dir: &Path) -> Result<[u16; 2], ServerError> {
    let bind = || TcpListener::bind(("127.0.0.1", 0)).map_err(ServerError::file(dir));
    let (one, two) = (bind()?, bind()?);
    let port = |listener: &TcpListener| listener.local_addr().map_err(ServerError::file(dir));
    Ok([port(&one)?.port(), port(&two)?.port()])
}

fn port_was_taken(log: &str) -> bool {
    log.to_lowercase().contains("address already in use")
}
