//! Apps as processes of their own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use commerce_servers::{ServerKind, free_listener, shared};

use crate::support::{DataDir, Ended, ask, command, run};

/// A process that is killed where the test does not end it.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_app_alone_needs_servers_and_says_so() {
    let dir = DataDir::new();
    for app in ["api", "collector"] {
        let refused = run(dir.path(), &[app]).expect(2);
        let text = &refused.stderr;
        assert!(text.contains("`commerce up`") && text.contains("`profile` to servers"), "{text}");
        assert_eq!(dir.path().read_dir().unwrap().count(), 0, "nothing was made");
    }
}

#[test]
fn the_simulated_gateway_runs_alone_in_either_profile() {
    let dir = DataDir::new();
    let mut alone = command(dir.path(), &["pg-simulator", "--gateway-port", "0"]);
    let mut node = Node(alone.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(node.0.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let url = first.strip_prefix("pg-simulator listens on http://").unwrap_or_else(|| panic!("{first}"));
    let (status, body) = ask(url, "GET /actuator/health/readiness", None, None, "").unwrap();
    assert_eq!((status, &body["status"]), (200, &serde_json::json!("UP")));

    let pid = node.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(node.0.wait().unwrap().success());
    assert_eq!(lines.next().unwrap().unwrap(), "Stopping.");
}

/// The API alone, on servers of which only this one is ever asked.
fn api(dir: &DataDir, mysql: &str) -> Command {
    const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let mut api = command(dir.path(), &["api", "--api-port", "0"]);
    api.envs([
        ("COMMERCE_PROFILE", "servers"),
        ("COMMERCE_MYSQL__OLTP_URL", mysql),
        ("COMMERCE_MYSQL__OLAP_URL", "mysql://nobody@127.0.0.1:1/commerce_olap"),
        ("COMMERCE_MYSQL__CONNECT_TIMEOUT_MS", "500"),
        ("COMMERCE_REDIS__URL", "redis://127.0.0.1:1"),
        ("COMMERCE_KAFKA__BROKERS", "127.0.0.1:1"),
        ("COMMERCE_SECRETS__FINGERPRINT_KEY", KEY),
        ("COMMERCE_SECRETS__VAULT_KEY", KEY),
        ("COMMERCE_GATEWAY__WEBHOOK_SECRETS", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ]);
    api
}

#[test]
fn a_database_that_cannot_be_reached_is_waited_for_and_told() {
    let dir = DataDir::new();
    // Nobody listens there once the listener is gone.
    let port = free_listener().unwrap().local_addr().unwrap().port();
    let mut waiting = api(&dir, &format!("mysql://shop:sesame@127.0.0.1:{port}/commerce"));
    let mut node = Node(waiting.stderr(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(node.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let told = lines.find(|line| line.contains("waiting for")).unwrap();
    assert!(told.contains("the shop's database") && told.contains(&port.to_string()), "{told}");
    assert!(!told.contains("sesame"), "{told}");

    let pid = node.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(node.0.wait().unwrap().success(), "it stops while it waits");
}

#[test]
fn what_no_waiting_mends_ends_the_process_with_its_reason() {
    let address = shared(ServerKind::MySql).address();
    for (url, reason) in [
        (format!("mysql://root:sesame@{address}/mysql"), "refused the user or the password"),
        (format!("mysql://root@{address}/no_such_shop"), "CREATE DATABASE `no_such_shop`"),
    ] {
        let dir = DataDir::new();
        let ended = api(&dir, &url).output().unwrap();
        let ended = Ended {
            code: ended.status.code().unwrap_or(-1),
            stdout: String::from_utf8(ended.stdout).unwrap(),
            stderr: String::from_utf8(ended.stderr).unwrap(),
        };
        let ended = ended.expect(1);
        assert!(ended.stderr.contains(reason), "{}", ended.stderr);
        assert!(!ended.stderr.contains("sesame") && !ended.stderr.contains("waiting"), "{}", ended.stderr);
    }
}
