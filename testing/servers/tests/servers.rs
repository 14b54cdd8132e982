//! Each server is fetched, starts, answers in its own protocol and is gone afterwards. Nothing of the product needs them
//! yet, so only the long run of the tests fetches them.

use std::error::Error;
use std::net::TcpStream;

use commerce_servers::{Cache, Lives, Server, ServerKind};

async fn comes_and_goes(kind: ServerKind) -> Result<(), Box<dyn Error>> {
    if std::env::var_os("COMMERCE_TEST_LONG").is_none() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let cache = Cache::of_the_user()?;
    let server = Server::start(&cache, kind, &dir.path().join(kind.name()), Lives::WithUs).await?;
    let address = server.address().to_owned();
    assert!(TcpStream::connect(&address).is_ok());
    drop(server);
    if std::env::var_os(kind.variable()).is_none() {
        assert!(TcpStream::connect(&address).is_err(), "it is gone at once");
    }
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
