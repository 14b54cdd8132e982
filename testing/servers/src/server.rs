use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use crate::ports::free_listener;
use crate::process::last_lines;
use crate::scratch::Scratch;
use crate::supervisor::{Process, Recipe};
use crate::{Cache, ServerError, ServerKind, Tuning, kafka, mariadb, mysql, probe, redis};

/// How long a server may take to answer: a busy machine of two cores is slow to start Java.
const READY_WITHIN: Duration = Duration::from_mins(2);
/// How long one that was given may take: it should run already.
const GIVEN_WITHIN: Duration = Duration::from_secs(20);
/// How long one may take to end when it is asked to.
const END_WITHIN: Duration = Duration::from_secs(30);
/// How often it is asked meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(25);
/// Another process may take the free port first.
const PORTS: usize = 5;

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
    /// Of one that was started here.
    own: Option<Own>,
    /// Goes after the process.
    _scratch: Option<Scratch>,
}

/// What belongs to a server that was started here.
#[derive(Debug)]
struct Own {
    recipe: Recipe,
    /// None while it is down.
    process: Option<Process>,
    lives: Lives,
}

/// The process of a server that lives on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// Its process.
    pub pid: u32,
}

/// What to start and where.
#[derive(Clone, Copy)]
struct Start<'a> {
    cache: &'a Cache,
    kind: ServerKind,
    dir: &'a Path,
    lives: Lives,
    tuning: Tuning,
    /// Whether the folder goes with the server.
    remove: bool,
}

impl Server {
    /// Starts one as its vendor ships it that keeps everything in `dir`, on a free port of 127.0.0.1, and waits until it
    /// answers; what it needs is fetched first. Where the environment names one that runs, it is that one.
    pub async fn start(
        cache: &Cache,
        kind: ServerKind,
        dir: &Path,
        lives: Lives,
    ) -> Result<Self, ServerError> {
        if let Some(given) = Self::given(kind).await? {
            return Ok(given);
        }
        let start = Start { cache, kind, dir, lives, tuning: Tuning::Durable, remove: false };
        Self::start_own(start).await
    }

    /// Starts one for tests that share it, in a folder that goes with it. Where the environment names one that runs, it
    /// is that one.
    pub async fn for_tests(kind: ServerKind) -> Result<Self, ServerError> {
        match Self::given(kind).await? {
            Some(given) => Ok(given),
            None => Self::own(kind, Tuning::Fast).await,
        }
    }

    /// Starts one in a folder that goes with it, whatever the environment names: for a test that kills or stalls it.
    pub async fn own(kind: ServerKind, tuning: Tuning) -> Result<Self, ServerError> {
        let cache = Cache::of_the_user()?;
        let scratch = Scratch::new(kind)?;
        let dir = scratch.path();
        let start = Start { cache: &cache, kind, dir, lives: Lives::WithUs, tuning, remove: true };
        let server = Self::start_own(start).await?;
        Ok(Self { _scratch: Some(scratch), ..server })
    }

    /// The one that the environment names, if it does.
    async fn given(kind: ServerKind) -> Result<Option<Self>, ServerError> {
        let variable = kind.variable();
        let Some(address) = std::env::var(variable).ok().filter(|address| !address.is_empty()) else {
            return Ok(None);
        };
        if address.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            return Err(ServerError::Address { variable });
        }
        let mut server = Self { kind, address, own: None, _scratch: None };
        match server.until_ready(GIVEN_WITHIN).await {
            Ok(()) => Ok(Some(server)),
            Err(_) => Err(ServerError::Silent { kind, variable, address: server.address }),
        }
    }

    async fn start_own(start: Start<'_>) -> Result<Self, ServerError> {
        fs::create_dir_all(start.dir).map_err(ServerError::file(start.dir))?;
        let mut left = PORTS;
        loop {
            left -= 1;
            match Self::start_once(start).await {
                Err(ServerError::Died { last, .. }) if left > 0 && port_was_taken(&last) => {}
                started => return started,
            }
        }
    }

    async fn start_once(start: Start<'_>) -> Result<Self, ServerError> {
        let Start { cache, kind, dir, lives, tuning, remove } = start;
        let [port, second] = free_ports(dir)?;
        let fetched = match kind {
            ServerKind::MySql => mysql::command(cache, dir, port, tuning).await,
            ServerKind::MariaDb => mariadb::command(cache, dir, port, tuning).await,
            ServerKind::Redis => redis::command(cache, dir, port).await,
            ServerKind::Kafka => kafka::command(cache, dir, [port, second], tuning).await,
        };
        let command = fetched.map_err(|source| ServerError::Fetch { kind, source: Box::new(source) })?;
        let recipe = Recipe::new(command.as_std(), dir, lives, remove)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port)).to_string();
        let own = Own { recipe, process: None, lives };
        let mut server = Self { kind, address, own: Some(own), _scratch: None };
        server.restart().await?;
        Ok(server)
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
        let own = self.own.as_ref().filter(|own| own.lives == Lives::OnItsOwn)?;
        own.process.as_ref()?.pid().map(|pid| Running { pid })
    }

    /// Kills it as `kill -9` does. What it stored stays.
    pub async fn kill(&mut self) -> Result<(), ServerError> {
        self.end_by("KILL").await
    }

    /// Asks it to end, as an operator would, and waits until it did. What it stored stays.
    pub async fn stop(&mut self) -> Result<(), ServerError> {
        self.process()?.signal("CONT")?;
        self.end_by("TERM").await
    }

    /// Stops it where it stands: its connections stay open and nothing is answered.
    pub fn pause(&mut self) -> Result<(), ServerError> {
        self.process()?.signal("STOP")
    }

    /// Lets it go on after `pause`.
    pub fn resume(&mut self) -> Result<(), ServerError> {
        self.process()?.signal("CONT")
    }

    /// Starts it on the same port with what it stored, and waits until it answers. One that runs is killed first.
    pub async fn restart(&mut self) -> Result<(), ServerError> {
        let own = self.own.as_mut().ok_or(ServerError::NotOurs { kind: self.kind })?;
        if let Some(process) = own.process.take() {
            process.end();
        }
        own.process = Some(own.recipe.spawn()?);
        self.until_ready(READY_WITHIN).await
    }

    fn process(&mut self) -> Result<&mut Process, ServerError> {
        let kind = self.kind;
        let own = self.own.as_mut().ok_or(ServerError::NotOurs { kind })?;
        own.process.as_mut().ok_or(ServerError::Down { kind })
    }

    async fn end_by(&mut self, signal: &str) -> Result<(), ServerError> {
        let process = self.process()?;
        process.signal(signal)?;
        let gone = async {
            while !process.has_ended() {
                // tidy: sleep between two looks at a process that cannot call back
                tokio::time::sleep(ASK_EVERY).await;
            }
        };
        // What does not end in time is killed below.
        let _ = tokio::time::timeout(END_WITHIN, gone).await;
        if let Some(process) = self.own.as_mut().and_then(|own| own.process.take()) {
            process.end();
        }
        Ok(())
    }

    async fn until_ready(&mut self, within: Duration) -> Result<(), ServerError> {
        let kind = self.kind;
        let asking = async {
            while !probe::answers(kind, &self.address).await {
                if let Some(own) = self.own.as_mut()
                    && own.process.as_mut().is_some_and(Process::has_ended)
                {
                    return Err(ServerError::Died { kind, last: last_lines(&own.recipe.log()) });
                }
                // tidy: sleep between two questions to a server that cannot call back
                tokio::time::sleep(ASK_EVERY).await;
            }
            Ok(())
        };
        let asked = tokio::time::timeout(within, asking).await;
        asked.unwrap_or_else(|_| {
            let last = self.own.as_ref().map(|own| last_lines(&own.recipe.log())).unwrap_or_default();
            Err(ServerError::NotReady { kind, seconds: within.as_secs(), last })
        })
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if self.lives == Lives::WithUs
            && let Some(process) = self.process.take()
        {
            process.end();
        }
    }
}

/// Two ports that nobody listens on; both are held until both are known.
fn free_ports(dir: &Path) -> Result<[u16; 2], ServerError> {
    let listen = || free_listener().map_err(ServerError::file(dir));
    let port = |listener: &TcpListener| listener.local_addr().map_err(ServerError::file(dir));
    let (one, two) = (listen()?, listen()?);
    Ok([port(&one)?.port(), port(&two)?.port()])
}

fn port_was_taken(log: &str) -> bool {
    log.to_lowercase().contains("address already in use")
}
