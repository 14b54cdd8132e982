//! The processes of the platform.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::process::Child;

use super::setting::{Setting, free_port};
use super::{LOOK_EVERY, probe};
use crate::{Outcome, console, process};

/// How long a process may take to finish what it accepted.
const STOP_WITHIN: Duration = Duration::from_mins(1);
/// Counted by every collector.
const EVENTS: &str = "commerce_collector_events_total";

/// A process, killed where it is dropped before it was stopped.
pub struct Node {
    name: String,
    app: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    log: PathBuf,
}

impl Node {
    /// Where it listens, as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn failed(&self, what: &str) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(10)..).unwrap_or_default().join("\n");
        format!("{} {what}; the end of its log:\n{last}", self.name)
    }
}

/// All of them.
#[derive(Default)]
pub struct Nodes(Vec<Node>);

impl Nodes {
    /// Starts one more node of `app` on a free port.
    pub fn start(
        &mut self,
        program: &Path,
        setting: &Setting,
        app: &'static str,
        port_flag: &'static str,
    ) -> Outcome {
        self.start_at(program, setting, (app, port_flag), free_port()?)
    }

    /// The same on that port.
    pub fn start_at(
        &mut self,
        program: &Path,
        setting: &Setting,
        (app, port_flag): (&'static str, &'static str),
        port: u16,
    ) -> Outcome {
        let name = format!("{app}-{}", self.of(app).count() + 1);
        let log = setting.log(&name);
        let file = std::fs::File::create(&log)
            .map_err(|error| format!("cannot write {}: {error}", log.display()))?;
        let said = file.try_clone().map_err(|error| format!("cannot write {}: {error}", log.display()))?;
        let mut command = setting.command(program, &[app, port_flag, &port.to_string()]);
        command.stdout(Stdio::from(said)).stderr(Stdio::from(file)).kill_on_drop(true);
        // A Ctrl-C is ours, not theirs: they are stopped by us.
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        self.0.push(Node { name, app, address, child, log });
        Ok(())
    }

    /// Those of `app`.
    pub fn of(&self, app: &str) -> impl Iterator<Item = &Node> {
        self.0.iter().filter(move |node| node.app == app)
    }

    /// Waits until each says that it is ready.
    pub async fn until_ready(&mut self, within: Duration) -> Outcome {
        let watch = console::Stopwatch::start();
        for node in &mut self.0 {
            while !probe::get(node.address, "/actuator/health/readiness").await.is_some_and(|(ok, _)| ok) {
                if let Ok(Some(status)) = node.child.try_wait() {
                    return Err(node.failed(&format!("ended with {status}")));
                }
                if watch.is_over(within) {
                    return Err(node.failed("is not ready"));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            console::line(&format!("{:<14} {} is ready after {} s", node.name, node.url(), watch.seconds()));
        }
        Ok(())
    }

    /// Events that the collectors have read since they started.
    pub async fn events(&self) -> Outcome<u64> {
        let mut sum = 0;
        for node in self.of("collector") {
            let (_, metrics) = probe::get(node.address, "/actuator/prometheus")
                .await
                .ok_or_else(|| node.failed("does not answer"))?;
            sum += probe::sum_of(&metrics, EVENTS);
        }
        Ok(sum)
    }

    /// Waits until the collectors read no more events: the number stands still for a second.
    pub async fn until_counted(&self, within: Duration) -> Outcome {
        let watch = console::Stopwatch::start();
        let (mut last, mut still) = (self.events().await?, 0);
        while still < 5 {
            if watch.is_over(within) {
                return Err("events are still being counted".to_owned());
            }
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.events().await?;
            still = if now == last { still + 1 } else { 0 };
            last = now;
        }
        Ok(())
    }

    /// Asks all to stop as an operator would; each must finish what it accepted and end well.
    pub async fn stop(&mut self) -> Outcome {
        // The API first: what it accepted is then published and counted.
        for app in ["api", "pg-simulator", "collector"] {
            for node in self.0.iter_mut().filter(|node| node.app == app) {
                if let Some(pid) = node.child.id() {
                    process::run(Command::new("kill").args(["-TERM", &pid.to_string()]))?;
                }
                match tokio::time::timeout(STOP_WITHIN, node.child.wait()).await {
                    Ok(Ok(status)) if status.success() => {}
                    Ok(Ok(status)) => return Err(node.failed(&format!("ended with {status}"))),
                    Ok(Err(error)) => return Err(node.failed(&format!("cannot be waited for: {error}"))),
                    Err(_) => return Err(node.failed("did not stop in time")),
                }
            }
        }
        Ok(())
    }
}
