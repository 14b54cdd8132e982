//! `cargo xtask demo --profile servers`: the whole platform on real servers, as many processes, end to end.

mod balancer;
mod nodes;
mod probe;
mod setting;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::{Outcome, console, process};
use balancer::Balancer;
use nodes::{Node, Nodes};
use setting::Setting;

/// API nodes, which the balancer shares connections out to.
const APIS: usize = 2;
/// Collectors, which share the partitions of the log out among them.
const COLLECTORS: usize = 3;
/// How long is waited until every node is ready, and until everything is counted.
const READY_WITHIN: Duration = Duration::from_mins(2);
const SETTLED_WITHIN: Duration = Duration::from_mins(2);
/// How often is looked meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Args)]
pub struct DemoArguments {
    /// What the platform runs on
    #[arg(long, value_enum)]
    profile: Profile,
    /// Build and run it as it is shipped; for figures
    #[arg(long)]
    release: bool,
    /// Buyers of the flash sale
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    buyers: u32,
    /// Pieces that they fight for
    #[arg(long, value_name = "K", default_value_t = 100)]
    stock: u32,
    /// Orders spread over many products that are placed afterwards, to measure; 0 places none
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    orders: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Profile {
    /// `MySQL`, Redis and Kafka. For the profile embedded there is `commerce demo --ephemeral`
    Servers,
}

/// Brings everything up, shows it, and takes everything down, however that ends.
pub fn run(arguments: &DemoArguments) -> Outcome {
    let Profile::Servers = arguments.profile;
    let program = build(arguments.release)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let shown = runtime.block_on(async {
        tokio::select! {
            shown = show(arguments, &program) => shown,
            // Dropping what ran ends its processes and servers.
            pressed = tokio::signal::ctrl_c() => match pressed {
                Ok(()) => Err("interrupted; everything was taken down".to_owned()),
                Err(error) => Err(format!("signals cannot be waited for: {error}")),
            },
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    shown
}

fn build(release: bool) -> Outcome<PathBuf> {
    let mut command = process::cargo();
    command.args(["build", "--locked", "--package", "commerce"]);
    if release {
        command.arg("--release");
    }
    console::step("build", || process::run(&mut command))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let folder = if release { "release" } else { "debug" };
    let program = target.join(folder).join(format!("commerce{}", std::env::consts::EXE_SUFFIX));
    program.canonicalize().map_err(|error| format!("{} was not built: {error}", program.display()))
}

async fn show(arguments: &DemoArguments, program: &Path) -> Outcome {
    let mut summary = Vec::new();
    let setting = timed(&mut summary, "servers", Setting::make()).await?;
    let mut nodes = timed(&mut summary, "nodes", start(program, &setting)).await?;
    let url = |nodes: &Nodes, app| nodes.of(app).next().map(Node::url).unwrap_or_default();
    let (first, collector) = (url(&nodes, "api"), url(&nodes, "collector"));
    let gateway = url(&nodes, "pg-simulator");
    // Each node has breakers of its own: what they do is seen while there is one node.
    let walk = ["demo", "--url", &first, "--collector-url", &collector, "--gateway-url", &gateway];
    timed(&mut summary, "demo with faults, one API node", command(program, &setting, &walk)).await?;

    timed(&mut summary, "another API node", join_apis(program, &setting, &mut nodes)).await?;
    let balancer = Balancer::start(nodes.of("api").map(|node| node.address).collect()).await?;
    let shop = format!("http://{}", balancer.address);
    let walk = ["demo", "--url", &shop, "--collector-url", &collector];
    timed(&mut summary, "demo through all API nodes", command(program, &setting, &walk)).await?;
    let (buyers, stock) = (arguments.buyers.to_string(), arguments.stock.to_string());
    let sale = ["flash-sale", "--url", &shop, "--buyers", &buyers, "--stock", &stock];
    timed(&mut summary, "flash-sale", command(program, &setting, &sale)).await?;
    if arguments.orders > 0 {
        let (orders, before) = (arguments.orders.to_string(), nodes.events().await?);
        let load = ["load", "--url", &shop, "--orders", &orders];
        let watch = console::Stopwatch::start();
        timed(&mut summary, "load", command(program, &setting, &load)).await?;
        nodes.until_counted(SETTLED_WITHIN).await?;
        let (events, seconds) = (nodes.events().await? - before, watch.seconds());
        summary.push(format!("load: {events} events were counted within {seconds} s of its beginning"));
    }
    timed(&mut summary, "audit", settled(program, &setting)).await?;
    summary.push(format!("connections went to the API nodes as {:?}", balancer.shared_out()));
    drop(balancer);
    timed(&mut summary, "stop", nodes.stop()).await?;
    console::line("\n== summary");
    for told in &summary {
        console::line(told);
    }
    Ok(())
}

async fn timed<T>(
    summary: &mut Vec<String>,
    name: &str,
    work: impl Future<Output = Outcome<T>>,
) -> Outcome<T> {
    console::line(&format!("\n== {name}"));
    let watch = console::Stopwatch::start();
    let done = work.await.map_err(|error| format!("{name}: {error}"))?;
    summary.push(format!("{name}: {} s", watch.seconds()));
    Ok(done)
}

/// Lets the other API nodes join the one that runs.
async fn join_apis(program: &Path, setting: &Setting, nodes: &mut Nodes) -> Outcome {
    for _ in 1..APIS {
        nodes.start(program, setting, "api", "--api-port")?;
    }
    nodes.until_ready(READY_WITHIN).await
}

/// Starts the collectors, the first API node and the gateway at once: each waits for what it needs.
async fn start(program: &Path, setting: &Setting) -> Outcome<Nodes> {
    let mut nodes = Nodes::default();
    for _ in 0..COLLECTORS {
        nodes.start(program, setting, "collector", "--collector-port")?;
    }
    nodes.start(program, setting, "api", "--api-port")?;
    nodes.start_at(program, setting, ("pg-simulator", "--gateway-port"), setting.gateway_port)?;
    nodes.until_ready(READY_WITHIN).await?;
    Ok(nodes)
}

/// Runs a command of the binary to its end, on our own output.
async fn command(program: &Path, setting: &Setting, arguments: &[&str]) -> Outcome {
    console::line(&format!("$ commerce {}", arguments.join(" ")));
    let status = setting.command(program, arguments).kill_on_drop(true).status().await;
    let status = status.map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    process::ended(Command::new("commerce").args(arguments), status)
}

/// The audit once nothing lags any more; what lags at the end is a violation.
async fn settled(program: &Path, setting: &Setting) -> Outcome {
    let watch = console::Stopwatch::start();
    let mut quiet = setting.command(program, &["audit", "--settled", "--json"]);
    quiet.stdout(std::process::Stdio::null()).kill_on_drop(true);
    while !quiet.status().await.is_ok_and(|status| status.success()) && !watch.is_over(SETTLED_WITHIN) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    command(program, setting, &["audit", "--settled"]).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_step_that_fails_is_named_and_one_that_ends_well_is_in_the_summary() {
        let mut summary = Vec::new();
        assert_eq!(timed(&mut summary, "good", async { Ok(7) }).await, Ok(7));
        let failed = timed(&mut summary, "bad", async { Err::<(), _>("it rains".to_owned()) }).await;
        assert_eq!(failed.unwrap_err(), "bad: it rains");
        assert_eq!(summary.len(), 1);
        assert!(summary[0].starts_with("good: "), "{summary:?}");
    }
}
