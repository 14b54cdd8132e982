//! Runs the real binary: to its end, or as a shop that is killed when the test is over.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// The cheapest password hash that the configuration allows: debug builds hash slowly.
const CHEAP_HASHES: [(&str, &str); 2] =
    [("COMMERCE_PASSWORD__MEMORY_KIB", "8192"), ("COMMERCE_PASSWORD__ITERATIONS", "1")];

/// Starts a shop on free ports.
pub const UP: [&str; 7] = ["up", "--api-port", "0", "--collector-port", "0", "--gateway-port", "0"];

/// A data directory that is removed with the test.
pub struct DataDir(tempfile::TempDir);

impl DataDir {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// The command on this directory, with nothing of the environment's configuration.
pub fn command(data_dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_commerce"));
    let inherited = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("COMMERCE_"));
    for (name, _) in inherited {
        command.env_remove(name);
    }
    command.envs(CHEAP_HASHES).arg("--data-dir").arg(data_dir).args(arguments).stdin(Stdio::null());
    command
}

/// A command that has ended.
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Fails the test with everything that was said, where the code is another.
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs a command to its end.
pub fn run(data_dir: &Path, arguments: &[&str]) -> Ended {
    command(data_dir, arguments).output().unwrap().into()
}

/// How often is looked whether a shop has settled, and how long is waited in between.
const LOOKS_MAX: u32 = 600;
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Waits until no payment is open and the audit finds nothing that lags.
pub fn wait_until_settled(dir: &Path) -> Value {
    let mut report = Value::Null;
    for _ in 0..LOOKS_MAX {
        let ended = run(dir, &["audit", "--settled", "--json"]);
        report = ended.json();
        let is_open = |name: &str| report["totals"][name] != json!(0);
        let open =
            ["orders PAYMENT_PENDING", "orders CANCEL_PENDING", "refund pending"].into_iter().any(is_open);
        if ended.code == 0 && !open && report["checked"]["open payments"] == json!(0) {
            return report;
        }
        std::thread::sleep(LOOK_EVERY); // tidy: sleep between looks at a shop that settles
    }
    panic!("not settled: {report}")
}

/// Runs a command with `input` on its standard input.
pub fn run_with_input(data_dir: &Path, arguments: &[&str], input: impl AsRef<[u8]>) -> Ended {
    with_input(command(data_dir, arguments), input)
}

/// Runs `command` with `input` on its standard input.
pub fn with_input(mut command: Command, input: impl AsRef<[u8]>) -> Ended {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_ref()).unwrap();
    child.wait_with_output().unwrap().into()
}

/// A running `commerce up` on free ports.
pub struct Up {
    child: Child,
    /// Host and port of the API.
    pub api: String,
    /// Host and port of the collector.
    pub collector: String,
    /// Host and port of the simulated gateway, if it runs.
    pub gateway: Option<String>,
    /// What it printed until it was ready.
    pub banner: String,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Up {
    /// Starts it and waits for the end of its banner.
    pub fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &[])
    }

    /// The same, with these variables in its environment.
    pub fn start_with(data_dir: &Path, environment: &[(&str, &str)]) -> Self {
        let mut command = command(data_dir, &UP);
        command.envs(environment.iter().copied());
        Self::of(command)
    }

    /// The same, as `command` says.
    pub fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("Ctrl-C stops it.") {
            if stdout.read_line(&mut banner).unwrap() == 0 {
                let _ = child.kill();
                let status = child.wait().unwrap();
                panic!("`up` ended with {status} before it was ready:\n{banner}");
            }
        }
        let of = |app: &str| {
            let line = banner.lines().find_map(|line| line.trim().strip_prefix(app))?;
            let url = line.trim().strip_prefix("http://")?;
            Some(url.split(['/', ' ']).next()?.to_owned())
        };
        let (api, collector) = (of("API ").unwrap(), of("Collector ").unwrap());
        let gateway = of("Gateway ");
        Self { child, api, collector, gateway, banner, stdout }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.api)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM, and gives back its exit code and what it printed since the banner.
    pub fn terminate(mut self) -> (i32, String) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code().unwrap_or(-1), rest)
    }

    /// Asks over HTTP/1.1 on a connection of its own; status and JSON.
    pub fn post(&self, path: &str, token: Option<&str>, key: Option<&str>, body: &Value) -> (u16, Value) {
        self.ask(&format!("POST {path}"), token, key, &body.to_string())
    }

    /// The same without a body.
    pub fn get(&self, path: &str) -> (u16, Value) {
        self.ask(&format!("GET {path}"), None, None, "")
    }

    fn ask(&self, request: &str, token: Option<&str>, key: Option<&str>, body: &str) -> (u16, Value) {
        ask(&self.api, request, token, key, body).unwrap_or_else(|| panic!("no answer to {request}"))
    }

    /// Asks the simulated gateway for its books: what it took and what it gave back, in won.
    pub fn gateway_books(&self) -> (i64, i64) {
        let gateway = self.gateway.as_deref().expect("a simulated gateway");
        let (status, books) = ask(gateway, "GET /admin/summary", None, None, "").unwrap();
        assert_eq!(status, 200, "{books}");
        let won = |name: &str| books[name].as_i64().unwrap();
        (won("captured"), won("refunded"))
    }
}

/// Asks the app at `host` on a connection of its own; none where it dies before the answer is whole.
pub fn ask(
    host: &str,
    request: &str,
    token: Option<&str>,
    key: Option<&str>,
    body: &str,
) -> Option<(u16, Value)> {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let key = key.map(|key| format!("Idempotency-Key: {key}\r\n")).unwrap_or_default();
    let text = format!(
        "{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{token}{key}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(host).ok()?;
    stream.write_all(text.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    // A shop that dies may leave a whole head and half a body.
    if length.is_some_and(|length: usize| body.len() < length) {
        return None;
    }
    Some((head.split(' ').nth(1)?.parse().ok()?, serde_json::from_str(body).unwrap_or(Value::Null)))
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
