//! The real `commerce up` on free ports and on data that nobody misses.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{Outcome, process};

/// Limits that a caller who asks thousands of questions does not meet.
const UNLIMITED: [(&str, &str); 6] = [
    ("COMMERCE_LIMITS__USER_READS_PER_S", "100000"),
    ("COMMERCE_LIMITS__USER_READS_BURST", "1000000"),
    ("COMMERCE_LIMITS__USER_WRITES_PER_S", "100000"),
    ("COMMERCE_LIMITS__USER_WRITES_BURST", "1000000"),
    ("COMMERCE_LIMITS__ACCOUNT_LOG_INS_PER_MINUTE", "100000"),
    ("COMMERCE_LIMITS__ACCOUNT_LOG_INS_BURST", "1000000"),
];

/// Where the platform keeps its data below its home.
const DATA: &str = "data";
/// The longest that an answer to a log-in may take.
const LOG_IN_MAX: Duration = Duration::from_mins(1);

/// A directory that goes with its owner.
pub struct Directory(Option<PathBuf>);

impl Directory {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new("."))
    }

    /// Leaves it where it is.
    pub fn keep(mut self) -> PathBuf {
        self.0.take().unwrap_or_default()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // What cannot be removed is in the folder for temporary files.
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

/// A new directory among the temporary files.
pub fn temporary_directory() -> Outcome<Directory> {
    let path = std::env::temp_dir().join(format!("commerce-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(path.join(DATA)).map_err(|e| format!("cannot make {}: {e}", path.display()))?;
    Ok(Directory(Some(path)))
}

/// A platform at work; killed where it is not stopped.
pub struct Platform {
    child: Child,
    /// Address of commerce-api.
    pub api: String,
    /// Address of commerce-collector.
    pub collector: String,
}

impl Platform {
    /// Starts it and waits for its banner; its log goes to `platform.log` in `home`.
    pub fn start(home: &Path) -> Outcome<Self> {
        let log = home.join("platform.log");
        let log = File::create(&log).map_err(|e| format!("cannot make {}: {e}", log.display()))?;
        let mut up = command(home);
        up.args(["up", "--api-port", "0", "--collector-port", "0", "--gateway-port", "0"]);
        up.envs(UNLIMITED).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let child = up.spawn().map_err(|e| process::cannot_start(&up, &e))?;
        let mut platform = Self { child, api: String::new(), collector: String::new() };
        let stdout = platform.child.stdout.take().ok_or("`commerce up` has no output")?;
        let mut banner = BufReader::new(stdout);
        let mut line = String::new();
        while platform.api.is_empty() || platform.collector.is_empty() {
            line.clear();
            if banner.read_line(&mut line).map_err(|e| format!("cannot read the banner: {e}"))? == 0 {
                return Err(format!("`commerce up` ended before it was ready: see {}", home.display()));
            }
            if let Some(host) = host(&line, "API ") {
                platform.api = host;
            }
            if let Some(host) = host(&line, "Collector ") {
                platform.collector = host;
            }
        }
        // What else it prints must have somewhere to go.
        std::thread::spawn(move || std::io::copy(&mut banner, &mut std::io::sink()));
        Ok(platform)
    }

    /// The token of a new session of a public account.
    pub fn log_in(&self, account: &str) -> Outcome<String> {
        let body = format!(r#"{{"loginId":"{account}","password":"{account}-demo"}}"#);
        let asked = format!(
            "POST /api/v1/sessions HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.api,
            body.len()
        );
        let answer = exchange(&self.api, &asked).map_err(|e| format!("cannot log in as {account}: {e}"))?;
        token(&answer)
            .ok_or_else(|| format!("{account} got no session: {}", answer.lines().next().unwrap_or("")))
    }

    /// Has it stop as an operator does, and waits until it has.
    pub fn stop(mut self) -> Outcome {
        process::run(Command::new("kill").arg(self.child.id().to_string()))?;
        let status = self.child.wait().map_err(|e| format!("cannot wait for `commerce up`: {e}"))?;
        if status.success() { Ok(()) } else { Err(format!("`commerce up` ended with {status}")) }
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fails where a rule of the books is broken.
pub fn audit(home: &Path) -> Outcome {
    process::run(command(home).arg("audit"))
}

/// The binary on the data below `home`, with nothing of the environment's configuration.
fn command(home: &Path) -> Command {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let mut command = process::program(target.join("debug").join("commerce"));
    let inherited = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("COMMERCE_"));
    for (name, _) in inherited {
        command.env_remove(name);
    }
    command.arg("--data-dir").arg(home.join(DATA));
    command
}

fn exchange(host: &str, asked: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(LOG_IN_MAX))?;
    stream.write_all(asked.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The address in the banner's line of this app.
fn host(line: &str, app: &str) -> Option<String> {
    let url = line.trim().strip_prefix(app)?.trim().strip_prefix("http://")?;
    url.split(['/', ' ']).next().map(str::to_owned)
}

fn token(answer: &str) -> Option<String> {
    let (_, rest) = answer.split_once("\"token\":\"")?;
    rest.split_once('"').map(|(token, _)| token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_the_banner() {
        assert_eq!(
            host("  API        http://127.0.0.1:18080/api/v1\n", "API "),
            Some("127.0.0.1:18080".into())
        );
        assert_eq!(
            host("  Gateway    http://127.0.0.1:1 (simulated)", "Gateway "),
            Some("127.0.0.1:1".into())
        );
        assert_eq!(host("Commerce 0.1.0 is ready", "API "), None);
    }

    #[test]
    fn a_token_is_found_in_an_answer_and_not_in_a_refusal() {
        let answer = "HTTP/1.1 201 Created\r\n\r\n{\"token\":\"abc\",\"expiresAt\":\"x\"}";
        assert_eq!(token(answer), Some("abc".into()));
        assert_eq!(token("HTTP/1.1 401 Unauthorized\r\n\r\n{\"code\":\"NOT_LOGGED_IN\"}"), None);
    }

    #[test]
    fn a_directory_goes_unless_it_is_kept() {
        let directory = temporary_directory().unwrap();
        let path = directory.path().to_owned();
        assert!(path.join(DATA).is_dir());
        drop(directory);
        assert!(!path.exists());
    }
}
