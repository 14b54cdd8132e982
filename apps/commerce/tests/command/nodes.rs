//! Apps as processes of their own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use crate::support::{DataDir, ask, command, run};

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
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(node.0.wait().unwrap().success());
    assert_eq!(lines.next().unwrap().unwrap(), "Stopping.");
}
