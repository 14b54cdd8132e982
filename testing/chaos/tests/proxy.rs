//! Each mode of the proxy, between a client and a server that sends back what it gets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use commerce_chaos::{Mode, Proxy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// A bound for what happens at once.
const SOON: Duration = Duration::from_secs(20);
/// For how long silence is listened to.
const SILENCE: Duration = Duration::from_millis(150);

/// What the server saw of a connection's end.
type Ends = mpsc::UnboundedReceiver<Result<(), ErrorKind>>;

/// A server that sends back what it gets and tells how each connection ended.
async fn echo() -> (SocketAddr, Ends) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, ends) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let tell = tell.clone();
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let ended = tokio::io::copy(&mut from, &mut to).await;
                let _ = tell.send(ended.map(drop).map_err(|error| error.kind()));
            });
        }
    });
    (address, ends)
}

async fn through(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

/// Sends a word and waits until it came back.
async fn ask(client: &mut TcpStream, word: &[u8]) {
    client.write_all(word).await.unwrap();
    let mut back = vec![0; word.len()];
    timeout(SOON, client.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(back, word);
}

/// How the client's stream ends: nothing more comes.
async fn end_of(client: &mut TcpStream) -> Result<usize, ErrorKind> {
    timeout(SOON, client.read(&mut [0; 16])).await.unwrap().map_err(|error| error.kind())
}

async fn is_silent(client: &mut TcpStream) -> bool {
    timeout(SILENCE, client.read(&mut [0; 16])).await.is_err()
}

#[tokio::test]
async fn passing_passes_bytes_and_ends_of_streams() {
    let (server, mut ends) = echo().await;
    let proxy = Proxy::start(server.to_string()).unwrap();
    let (mut one, mut two) = (through(&proxy).await, through(&proxy).await);
    ask(&mut one, b"one").await;
    ask(&mut two, b"two").await;
    let large: Vec<u8> = (0..200_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    let (mut from, mut to) = one.split();
    let mut back = Vec::new();
    let send = async {
        to.write_all(&large).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let ((), read) = timeout(SOON, async { tokio::join!(send, from.read_to_end(&mut back)) }).await.unwrap();
    read.unwrap();
    assert!(back == large, "all of it, in order");
    assert_eq!(ends.recv().await, Some(Ok(())));
    assert_eq!(proxy.accepted(), 2);
    ask(&mut two, b"still here").await;
}

#[tokio::test]
async fn without_a_server_a_client_is_reset() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = Proxy::start(nobody.to_string()).unwrap();
    let mut client = through(&proxy).await;
    assert_eq!(end_of(&mut client).await, Err(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_delay_is_added_in_both_directions_and_ends_when_told() {
    const LATER: Duration = Duration::from_millis(60);
    let (server, _ends) = echo().await;
    let proxy = Proxy::start(server.to_string()).unwrap();
    let mut client = through(&proxy).await;
    proxy.set(Mode::Delay(LATER)).await.unwrap();
    let started = Instant::now();
    ask(&mut client, b"slow").await;
    assert!(started.elapsed() >= 2 * LATER, "{:?}", started.elapsed());
    // What is under way arrives in order although the rest is not delayed any more.
    client.write_all(b"first,").await.unwrap();
    client.flush().await.unwrap();
    proxy.set(Mode::Pass).await.unwrap();
    ask_after(&mut client, b"first,", b"second").await;
    assert_eq!(proxy.mode(), Mode::Pass);
}

async fn ask_after(client: &mut TcpStream, before: &[u8], word: &[u8]) {
    client.write_all(word).await.unwrap();
    let mut back = vec![0; before.len() + word.len()];
    timeout(SOON, client.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(back, [before, word].concat());
}

#[tokio::test]
async fn a_limit_takes_its_time() {
    const RATE: u32 = 200_000;
    let (server, _ends) = echo().await;
    let proxy = Proxy::start(server.to_string()).unwrap();
    let mut client = through(&proxy).await;
    proxy.set(Mode::Limit(NonZeroU32::new(RATE).unwrap())).await.unwrap();
    let started = Instant::now();
    ask(&mut client, &vec![7; usize::try_from(RATE / 10).unwrap()]).await;
    assert!(started.elapsed() >= Duration::from_millis(100), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_cut_closes_and_refuses_until_it_is_mended() {
    let (server, mut ends) = echo().await;
    let proxy = Proxy::start(server.to_string()).unwrap();
    let mut client = through(&proxy).await;
    ask(&mut client, b"here").await;
    proxy.set(Mode::Cut).await.unwrap();
    assert_eq!(end_of(&mut client).await, Ok(0));
    assert_eq!(ends.recv().await, Some(Ok(())), "the server sees it too");
    let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    proxy.set(Mode::Pass).await.unwrap();
    ask(&mut through(&proxy).await, b"back on the same port").await;
}

#[tokio::test]
async fn a_reset_resets_both_sides_and_whoever_comes() {
    let (server, mut ends) = echo().await;
    let proxy = Proxy::start(server.to_string()).unwrap();
    let mut client = through(&proxy).await;
    ask(&mut client, b"here").await;
    proxy.set(Mode::Reset).await.unwrap();
    assert_eq!(end_of(&mut client).await, Err(ErrorKind::ConnectionReset));
    assert_eq!(ends.recv().await, Some(Err(ErrorKind::ConnectionReset)));
    if let Ok(mut client) = TcpStream::connect(proxy.address()).await {
        assert_eq!(end_of(&mut client).await, Err(ErrorKind::ConnectionReset));
    }
    proxy.set(Mode::Pass).await.unwrap();
    ask(&mut through(&proxy).await, b"again").await;
}

#[tokio::test]
async fn half_open_swallows_everything_and_does_not_heal() {
    let (server, mut ends) = echo().await;
    let proxy = Proxy::start(server.to_string()).unwrap();
    let (mut before, mut leaves) = (through(&proxy).await, through(&proxy).await);
    ask(&mut before, b"here").await;
    ask(&mut leaves, b"here").await;
    proxy.set(Mode::HalfOpen).await.unwrap();
    before.write_all(b"lost").await.unwrap();
    assert!(is_silent(&mut before).await);
    let mut during = through(&proxy).await;
    during.write_all(b"lost").await.unwrap();
    assert!(is_silent(&mut during).await);
    drop(leaves);
    assert!(timeout(SILENCE, ends.recv()).await.is_err(), "the server does not hear of it");
    proxy.set(Mode::Pass).await.unwrap();
    for client in [&mut before, &mut during] {
        assert_eq!(end_of(client).await, Err(ErrorKind::ConnectionReset));
    }
    for _ in ["before", "leaves"] {
        assert_eq!(ends.recv().await, Some(Err(ErrorKind::ConnectionReset)));
    }
    ask(&mut through(&proxy).await, b"anew").await;
}

#[tokio::test]
async fn a_dropped_proxy_is_gone_with_its_connections() {
    let (server, _ends) = echo().await;
    let proxy = Proxy::start(server.to_string()).unwrap();
    let mut client = through(&proxy).await;
    ask(&mut client, b"here").await;
    let address = proxy.address();
    drop(proxy);
    assert_eq!(end_of(&mut client).await, Ok(0));
    assert!(TcpStream::connect(address).await.is_err());
}
