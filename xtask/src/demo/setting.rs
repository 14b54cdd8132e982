//! The servers of a demonstration, and what its processes are told.

use std::path::Path;

use commerce_servers::{Cache, Server, ServerKind, Tuning, free_listener};
use tokio::process::Command;

use crate::{Outcome, console, process};

/// Own servers, gone when this is dropped, and the configuration of the processes that use them.
pub struct Setting {
    /// Where the simulated gateway listens.
    pub gateway_port: u16,
    environment: Vec<(&'static str, String)>,
    /// Of the gateway; nothing else keeps anything here.
    dir: tempfile::TempDir,
    _servers: Vec<Server>,
}

impl Setting {
    /// Starts the servers, makes the databases, and draws the secrets that all processes share.
    pub async fn make() -> Outcome<Self> {
        let cache = Cache::of_the_user().map_err(|error| error.chain())?;
        let kinds = [ServerKind::MySql, ServerKind::Redis, ServerKind::Kafka];
        let starting = kinds.map(|kind| tokio::spawn(Server::own(kind, Tuning::Durable)));
        let mut servers = Vec::new();
        for server in starting {
            let server = server.await.map_err(|error| format!("cannot start: {error}"))?;
            servers.push(server.map_err(|error| error.chain())?);
        }
        for server in &servers {
            console::line(&format!("{:<8} {}", server.kind().name(), server.url()));
        }
        let databases =
            "CREATE DATABASE commerce COLLATE utf8mb4_bin; CREATE DATABASE commerce_olap COLLATE utf8mb4_bin";
        servers[0].run_sql(&cache, databases).await.map_err(|error| error.chain())?;
        let dir = tempfile::Builder::new().prefix("commerce-demo-").tempdir();
        let dir = dir.map_err(|error| format!("no temporary directory can be made: {error}"))?;
        let gateway_port = free_port()?;
        let environment = environment(&servers, gateway_port)?;
        Ok(Self { gateway_port, environment, dir, _servers: servers })
    }

    /// The binary with these arguments, and nothing of our own environment's configuration.
    pub fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = process::program(program);
        let inherited =
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("COMMERCE_"));
        for (name, _) in inherited {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.arg("--data-dir").arg(self.dir.path()).args(arguments).stdin(std::process::Stdio::null());
        command.into()
    }

    /// A file for what a process logs.
    pub fn log(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(format!("{name}.log"))
    }
}

fn environment(servers: &[Server], gateway_port: u16) -> Outcome<Vec<(&'static str, String)>> {
    let address = |kind| servers.iter().find(|server| server.kind() == kind).map_or("", Server::address);
    let mysql = address(ServerKind::MySql);
    Ok(vec![
        ("COMMERCE_PROFILE", "servers".to_owned()),
        ("COMMERCE_MYSQL__OLTP_URL", format!("mysql://root@{mysql}/commerce")),
        ("COMMERCE_MYSQL__OLAP_URL", format!("mysql://root@{mysql}/commerce_olap")),
        ("COMMERCE_REDIS__URL", format!("redis://{}/0", address(ServerKind::Redis))),
        ("COMMERCE_KAFKA__BROKERS", address(ServerKind::Kafka).to_owned()),
        ("COMMERCE_GATEWAY__URL", format!("http://127.0.0.1:{gateway_port}")),
        ("COMMERCE_SECRETS__FINGERPRINT_KEY", drawn(64, b"0123456789abcdef")?),
        ("COMMERCE_SECRETS__VAULT_KEY", drawn(64, b"0123456789abcdef")?),
        // 32 digits of base64 are 24 bytes.
        ("COMMERCE_GATEWAY__WEBHOOK_SECRETS", format!("whsec_{}", drawn(32, BASE64)?)),
    ])
}

/// Each is as likely as every other: their number divides 256.
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn drawn(count: usize, digits: &[u8]) -> Outcome<String> {
    use std::io::Read as _;
    let mut bytes = vec![0; count];
    let source = std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    source.map_err(|error| format!("no secret can be drawn: {error}"))?;
    Ok(bytes.iter().map(|byte| char::from(digits[usize::from(*byte) % digits.len()])).collect())
}

/// A port that nobody listens on now.
pub fn free_port() -> Outcome<u16> {
    let listener = free_listener().map_err(|error| format!("no port is free: {error}"))?;
    let address = listener.local_addr().map_err(|error| format!("no port is free: {error}"))?;
    Ok(address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_their_length_and_differ() {
        let (one, two) = (drawn(64, b"0123456789abcdef").unwrap(), drawn(64, b"0123456789abcdef").unwrap());
        assert!(one.len() == 64 && one.bytes().all(|byte| byte.is_ascii_hexdigit()) && one != two);
        assert_eq!(BASE64.len(), 64);
    }
}
