//! Whether a server answers, asked in its own protocol: an open port alone says little.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::ServerKind;

/// Whether the server at `address` answers as one of its kind.
pub async fn answers(kind: ServerKind, address: &str) -> bool {
    let asked = match kind {
        ServerKind::MySql | ServerKind::MariaDb => greeting(address).await,
        ServerKind::Redis => pong(address).await,
        ServerKind::Kafka => has_brokers(address).await,
    };
    asked.unwrap_or(false)
}

/// `MySQL` speaks first: a header of four bytes and the version of its protocol. Where it has too many connections or
/// goes down it sends an error instead.
async fn greeting(address: &str) -> std::io::Result<bool> {
    const PROTOCOL: u8 = 10;
    let mut packet = [0; 5];
    TcpStream::connect(address).await?.read_exact(&mut packet).await?;
    Ok(packet[4] == PROTOCOL)
}

async fn pong(address: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await?;
    Ok(&answer == b"+PONG")
}

/// Asks for its metadata (key 3, version 7) and of no topic; a broker that is ready is listed in it.
async fn has_brokers(address: &str) -> std::io::Result<bool> {
    const REQUEST: [u8; 19] = [
        0, 0, 0, 15, // bytes that follow
        0, 3, 0, 7, // metadata, version 7
        0, 0, 0, 1, // whose answer this is
        0xff, 0xff, // no name of a client
        0, 0, 0, 0, // no topics
        0, // and none is made
    ];
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&REQUEST).await?;
    let mut answer = [0; 16];
    stream.read_exact(&mut answer).await?;
    // Size, whose answer, throttle time; then the number of brokers.
    let [.., a, b, c, d] = answer;
    Ok(i32::from_be_bytes([a, b, c, d]) > 0)
}
