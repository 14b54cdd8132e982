//! Apache Kafka in `KRaft` mode, one node: its jars from Maven Central, run with the machine's Java (17 or newer).

use std::fs;
use std::path::Path;

use tokio::process::Command;

use crate::process::run;
use crate::{Cache, ServerError, Tuning};

const VERSION: &str = "4.1.0";
/// Without a binding it logs nothing.
const SLF4J: &str = "2.0.17";
/// Any id: the cluster has one node and lives as long as its folder.
const CLUSTER: &str = "Y29tbWVyY2UtdGVzdHMtMQ";

/// Java that is ready soon and stays small rather than fast in the long run.
const FAST: [&str; 3] = ["-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
/// Few threads and small files: a test makes topics by the dozen.
const FAST_SETTINGS: &str = "offsets.topic.num.partitions=3\n\
     transaction.state.log.num.partitions=3\n\
     log.index.size.max.bytes=1048576\n\
     log.cleaner.dedupe.buffer.size=8388608\n\
     num.network.threads=2\n\
     group.min.session.timeout.ms=500\n\
     num.io.threads=4\n";

/// The command that serves `dir/data` on the first port, and its controller on the second; the folder is formatted where
/// it is missing.
pub async fn command(
    cache: &Cache,
    dir: &Path,
    ports: [u16; 2],
    tuning: Tuning,
) -> Result<Command, ServerError> {
    let jars = cache.once("kafka-4.1.0", |folder| async move { fetch(&folder).await }).await?;
    let properties = dir.join("server.properties");
    let data = dir.join("data");
    let mut text = settings(&data, ports);
    if tuning == Tuning::Fast {
        text.push_str(FAST_SETTINGS);
    }
    fs::write(&properties, text).map_err(ServerError::file(&properties))?;
    if !data.exists() {
        let mut format = java(&jars, &["-Xmx128m", "-XX:TieredStopAtLevel=1"]);
        format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"]).arg(&properties);
        run(&mut format).await?;
    }
    let memory: &[&str] = if tuning == Tuning::Fast { &FAST } else { &["-Xmx512m"] };
    let mut command = java(&jars, memory);
    command.arg("kafka.Kafka").arg(&properties);
    Ok(command)
}

fn java(jars: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new("java");
    command.args(flags).arg("-cp").arg(jars.join("lib/*"));
    command
}

fn settings(data: &Path, [port, controller]: [u16; 2]) -> String {
    let data = data.display();
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         log.dirs={data}\n\
         num.partitions=3\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n\
         auto.create.topics.enable=false\n"
    )
}

/// Has Maven copy the jars and all that they need.
async fn fetch(folder: &Path) -> Result<(), ServerError> {
    let dependency = |group: &str, artifact: &str, version: &str| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>"
        )
    };
    let dependencies = [
        dependency("org.apache.kafka", "kafka_2.13", VERSION),
        dependency("org.apache.kafka", "kafka-tools", VERSION),
        dependency("org.slf4j", "slf4j-simple", SLF4J),
    ];
    let project = format!(
        "<project><modelVersion>4.0.0</modelVersion><groupId>commerce</groupId><artifactId>kafka</artifactId>\
         <version>1</version><dependencies>{}</dependencies></project>",
        dependencies.concat()
    );
    let pom = folder.join("pom.xml");
    fs::write(&pom, project).map_err(ServerError::file(&pom))?;
    let mut maven = Command::new("mvn");
    maven
        .args(["--batch-mode", "--quiet", "dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg("-DoutputDirectory=lib")
        .current_dir(folder);
    run(&mut maven).await.map(drop)
}
