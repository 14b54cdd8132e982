//! Each server is fetched, starts, answers in its own protocol and is gone afterwards, also with a process that is
//! killed; tests share one, and a server of one's own can be made to fail.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use commerce_servers::{Server, ServerError, ServerKind, Tuning, answers, shared};

/// A bound for what happens at once.
const SOON: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(10);

async fn comes_and_goes(kind: ServerKind) -> Result<(), Box<dyn Error>> {
    let server = Server::own(kind, Tuning::Fast).await?;
    let address = server.address().to_owned();
    assert!(answers(kind, &address).await);
    drop(server);
    assert!(TcpStream::connect(&address).is_err(), "it is gone at once");
    Ok(())
}

#[tokio::test]
async fn mysql_comes_and_goes() {
    comes_and_goes(ServerKind::MySql).await.unwrap();
}

#[tokio::test]
async fn mariadb_comes_and_goes() {
    comes_and_goes(ServerKind::MariaDb).await.unwrap();
}

#[tokio::test]
async fn redis_comes_and_goes() {
    comes_and_goes(ServerKind::Redis).await.unwrap();
}

#[tokio::test]
async fn kafka_comes_and_goes() {
    comes_and_goes(ServerKind::Kafka).await.unwrap();
}

#[tokio::test]
async fn a_mysql_as_its_vendor_ships_it_keeps_its_port_and_comes_back_after_a_kill() {
    let mut server = Server::own(ServerKind::MySql, Tuning::Durable).await.unwrap();
    let address = server.address().to_owned();
    server.kill().await.unwrap();
    assert!(TcpStream::connect(&address).is_err());
    server.restart().await.unwrap();
    assert_eq!(server.address(), address);
    assert!(answers(ServerKind::MySql, &address).await);
}

#[tokio::test]
async fn a_server_of_ones_own_is_paused_killed_stopped_and_started_again() {
    let mut server = Server::own(ServerKind::Redis, Tuning::Fast).await.unwrap();
    let address = server.address().to_owned();

    server.pause().unwrap();
    let asked = tokio::time::timeout(Duration::from_millis(200), answers(ServerKind::Redis, &address));
    assert!(asked.await.is_err(), "it is reached and says nothing");
    server.resume().unwrap();
    assert!(answers(ServerKind::Redis, &address).await);

    server.kill().await.unwrap();
    assert!(TcpStream::connect(&address).is_err());
    assert!(matches!(server.kill().await, Err(ServerError::Down { .. })));
    server.restart().await.unwrap();
    assert!(answers(ServerKind::Redis, &address).await);

    server.pause().unwrap();
    server.stop().await.unwrap();
    assert!(TcpStream::connect(&address).is_err());
    server.restart().await.unwrap();
    assert_eq!(server.address(), address);
}

#[test]
fn without_a_runtime_the_shared_server_is_one() {
    let one = shared(ServerKind::Redis);
    assert!(std::ptr::eq(one, shared(ServerKind::Redis)));
    assert!(TcpStream::connect(one.address()).is_ok());
}

#[tokio::test]
async fn on_one_thread_the_shared_server_answers() {
    assert!(answers(ServerKind::Redis, shared(ServerKind::Redis).address()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_several_threads_the_shared_server_answers() {
    assert!(answers(ServerKind::Redis, shared(ServerKind::Redis).address()).await);
}

/// The variable that makes the next test the child of the one after it.
const CHILD: &str = "COMMERCE_SERVERS_CHILD";

#[test]
fn holds_a_shared_server_until_it_is_killed() {
    if std::env::var_os(CHILD).is_some() {
        let server = shared(ServerKind::Redis);
        let mut ours =
            std::fs::read_dir("/dev/shm").into_iter().chain(std::fs::read_dir(std::env::temp_dir()));
        let name = format!("commerce-redis-{}-", std::process::id());
        let dir = ours
            .find_map(|entries| {
                entries.flatten().find(|entry| entry.file_name().to_string_lossy().starts_with(&name))
            })
            .unwrap();
        println!("\nholds {} {}", server.address(), dir.path().display());
        let _ = std::io::stdin().read(&mut [0]);
    }
}

#[tokio::test]
async fn a_shared_server_and_its_folder_go_with_a_process_that_is_killed() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holds_a_shared_server_until_it_is_killed", "--nocapture"])
        .env(CHILD, "1")
        .env_remove(ServerKind::Redis.variable())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let held = lines.map_while(Result::ok).find_map(|line| {
        let (address, dir) = line.strip_prefix("holds ")?.split_once(' ')?;
        Some((address.to_owned(), dir.to_owned()))
    });
    let (address, dir) = held.unwrap();
    assert!(TcpStream::connect(&address).is_ok() && Path::new(&dir).is_dir());
    child.kill().unwrap();
    child.wait().unwrap();
    let gone = async {
        while TcpStream::connect(&address).is_ok() || Path::new(&dir).exists() {
            // tidy: sleep nobody tells when a process that is not ours is gone
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(SOON, gone).await.unwrap();
}
