//! A process of the platform.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support;

/// Environment of a process.
pub type Environment = Vec<(String, String)>;

/// One of the apps as a process of its own. It is killed when it is dropped.
pub struct Node {
    child: Child,
    /// Where it listens.
    pub address: String,
}

impl Node {
    /// Starts `commerce <app>` on a free port and waits until it says where it listens. Its log is added to `log`.
    pub fn start(app: &str, dir: &Path, environment: &Environment, log: &Path) -> Self {
        let mut command = command(dir, &[app], environment);
        let log = File::options().create(true).append(true).open(log).unwrap();
        for port in ["COMMERCE_API__PORT", "COMMERCE_COLLECTOR__PORT", "COMMERCE_SIMULATOR__PORT"] {
            command.env(port, "0");
        }
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut said = String::new();
        let address = lines.find_map(|line| {
            said.push_str(&line);
            said.push('\n');
            Some(line.split_once(" listens on http://")?.1.trim().to_owned())
        });
        let Some(address) = address else {
            let _ = child.kill();
            panic!("{app} ended with {:?} before it listened:\n{said}", child.wait());
        };
        // Read on, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, and waits until it did.
    pub fn terminate(mut self) -> i32 {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command with this environment, and nothing of the test's own.
pub fn command(dir: &Path, arguments: &[&str], environment: &Environment) -> Command {
    let mut command = support::command(dir, arguments);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command
}
