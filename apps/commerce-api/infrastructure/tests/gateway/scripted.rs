use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the server does with a request that it has read whole.
#[derive(Clone)]
pub enum Does {
    /// Answers with a status and a body.
    Answer(u16, String),
    /// The same with 200, after so long.
    Late(Duration, String),
    /// Sends a head that leads elsewhere.
    Redirect(String),
    /// Says nothing, and keeps the connection.
    Nothing,
    /// Closes the connection.
    Close,
    /// Begins an answer and closes.
    BreakOff,
    /// Sends a byte at a time, for ever.
    Drip,
}

/// A server that follows a script: one entry a request. Beyond it, it answers nothing.
pub struct Scripted {
    pub url: String,
    requests: watch::Receiver<Vec<String>>,
    _server: JoinSet<()>,
}

impl Scripted {
    pub async fn start(script: impl IntoIterator<Item = Does>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script: Arc<Mutex<VecDeque<Does>>> = Arc::new(Mutex::new(script.into_iter().collect()));
        let (seen, requests) = watch::channel(Vec::new());
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                connections.spawn(serve(connection, script.clone(), seen.clone()));
            }
        });
        Self { url, requests, _server: server }
    }

    /// The requests so far, heads and bodies.
    pub fn requests(&self) -> Vec<String> {
        self.requests.borrow().clone()
    }

    /// Waits until it has read so many requests.
    pub async fn has_read(&self, count: usize) {
        let mut requests = self.requests.clone();
        let read = requests.wait_for(|requests| requests.len() >= count);
        tokio::time::timeout(Duration::from_secs(10), read).await.unwrap().unwrap();
    }
}

async fn serve(
    mut connection: TcpStream,
    script: Arc<Mutex<VecDeque<Does>>>,
    seen: watch::Sender<Vec<String>>,
) {
    let request = read_request(&mut connection).await;
    let next = script.lock().unwrap().pop_front().unwrap_or(Does::Nothing);
    seen.send_modify(|requests| requests.push(request));
    let head = |status: u16, length: usize| {
        format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n"
        )
    };
    // A client that gave up has closed its end: writing fails then, and that is fine.
    let mut send = async |text: String| drop(connection.write_all(text.as_bytes()).await);
    match next {
        Does::Answer(status, body) => send(format!("{}\r\n{body}", head(status, body.len()))).await,
        Does::Late(wait, body) => {
            // tidy: sleep the slowness of this server is the subject
            tokio::time::sleep(wait).await;
            send(format!("{}\r\n{body}", head(200, body.len()))).await;
        }
        Does::Redirect(to) => send(format!("{}location: {to}\r\n\r\n", head(307, 0))).await,
        Does::BreakOff => send(format!("{}\r\n{{\"meta\"", head(200, 500))).await,
        Does::Close => {}
        Does::Nothing => std::future::pending().await,
        Does::Drip => {
            send(format!("{}\r\n", head(200, 1_000_000))).await;
            loop {
                send(" ".to_owned()).await;
                // tidy: sleep the slowness of this server is the subject
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

async fn read_request(connection: &mut TcpStream) -> String {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text.into_owned();
            }
        }
        let mut chunk = [0; 4_096];
        let length = connection.read(&mut chunk).await.unwrap();
        assert!(length > 0, "the request ended early: {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&chunk[..length]);
    }
}
