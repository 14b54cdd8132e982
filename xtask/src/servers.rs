//! The servers that all tests share: started together before them, stopped after them however they end.

use std::process::Command;

use commerce_servers::{Server, ServerKind};

use crate::{Outcome, console};

/// One server of each kind, which ends when this is dropped. One that the environment names is used as it is.
#[derive(Default)]
pub struct Servers(Vec<Server>);

impl Servers {
    /// Starts them all at once; what is missing is fetched.
    pub fn start() -> Outcome<Self> {
        console::step("servers", || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
            let servers = runtime.block_on(async {
                let starting = ServerKind::ALL.map(|kind| tokio::spawn(Server::for_tests(kind)));
                let mut servers = Vec::new();
                for server in starting {
                    let server = server.await.map_err(|error| format!("cannot start: {error}"))?;
                    servers.push(server.map_err(|error| error.chain())?);
                }
                Ok::<_, String>(servers)
            })?;
            for server in &servers {
                console::line(&format!("{:<8} {}", server.kind().name(), server.url()));
            }
            Ok(Self(servers))
        })
    }

    /// Tells a command where they are.
    pub fn tell(&self, command: &mut Command) {
        for server in &self.0 {
            command.env(server.kind().variable(), server.address());
        }
    }
}
