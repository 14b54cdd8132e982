//! A wire between two servers that stops at an exact moment: before a request of some kind arrives, or before its answer
//! goes back.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// Where the wire stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The receiver never hears of the request.
    BeforeRequest,
    /// The receiver has done it, and the sender never hears of that.
    BeforeAnswer,
}

struct Trap {
    request: &'static str,
    stop: Stop,
    caught: Sender<()>,
    /// Ends when the test lets go.
    held: Receiver<()>,
}

#[derive(Default)]
struct State {
    target: Option<SocketAddr>,
    trap: Option<Trap>,
}

/// The wire; it listens for as long as the process lives.
pub struct Wire {
    pub addr: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// A request that the wire stops at.
pub struct Caught {
    caught: Receiver<()>,
    /// Dropped with this: the wire lets go of both ends.
    _hold: Sender<()>,
}

impl Caught {
    /// Waits until it is there.
    pub fn wait(&self, label: &str) {
        let patience = std::time::Duration::from_mins(1);
        assert!(self.caught.recv_timeout(patience).is_ok(), "{label}: the wire never came to where it stops");
    }
}

impl Wire {
    /// A wire that leads nowhere yet.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (addr, state) = (listener.local_addr().unwrap(), Arc::<Mutex<State>>::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || carry(stream, &shared));
            }
        });
        Self { addr, state }
    }

    /// It leads there from now on.
    pub fn lead_to(&self, target: Option<SocketAddr>) {
        self.state.lock().unwrap().target = target;
    }

    /// Stops once at the next request whose line begins so and has nothing else after it but an id.
    pub fn stop_at(&self, request: &'static str, stop: Stop) -> Caught {
        let (caught, is_caught) = channel();
        let (letting_go, held) = channel();
        self.state.lock().unwrap().trap = Some(Trap { request, stop, caught, held });
        Caught { caught: is_caught, _hold: letting_go }
    }
}

/// Whether `line` is this request; `*` stands for one segment of the path.
fn is_it(line: &str, request: &str) -> bool {
    let path = line.rsplit_once(" HTTP/").map_or(line, |(path, _)| path);
    let path = path.split('?').next().unwrap_or(path);
    let (found, wanted): (Vec<_>, Vec<_>) = (path.split('/').collect(), request.split('/').collect());
    found.len() == wanted.len()
        && found.iter().zip(wanted).all(|(found, wanted)| wanted == "*" || *found == wanted)
}

/// One request and its answer; nobody minds where the other end is gone.
fn carry(mut client: TcpStream, state: &Mutex<State>) -> Option<()> {
    let request = message(&mut client)?;
    let line = request.lines().next()?.to_owned();
    let (target, trap) = {
        let mut state = state.lock().unwrap();
        let is_trapped = state.trap.as_ref().is_some_and(|trap| is_it(&line, trap.request));
        (state.target?, if is_trapped { state.trap.take() } else { None })
    };
    if let Some(trap) = &trap
        && trap.stop == Stop::BeforeRequest
    {
        return hold(trap);
    }
    let mut server = TcpStream::connect(target).ok()?;
    // One request a connection: where it ends, so does the answer.
    let request = request.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    server.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    server.read_to_string(&mut answer).ok()?;
    if let Some(trap) = &trap {
        return hold(trap);
    }
    client.write_all(answer.as_bytes()).ok()
}

fn hold(trap: &Trap) -> Option<()> {
    trap.caught.send(()).ok()?;
    let _ = trap.held.recv();
    None
}

/// A whole message with its body.
fn message(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text.into_owned());
            }
        }
        let read = stream.read(&mut chunk).ok()?;
        if read == 0 {
            return None;
        }
        bytes.extend_from_slice(&chunk[..read]);
    }
}
