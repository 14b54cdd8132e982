use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::Mode;
use crate::pump::pump;

/// How a connection is made to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As a process that ends does.
    Close,
    /// As a machine does that knows nothing of it.
    Reset,
}

/// One client and its connection to the server.
pub struct Connection {
    pub client: TcpStream,
    pub upstream: Arc<str>,
    pub mode: watch::Receiver<Mode>,
    pub end: watch::Receiver<Option<End>>,
}

impl Connection {
    /// Passes bytes until both sides ended, one was reset, or it is made to end.
    pub async fn run(self) {
        let Self { mut client, upstream, mode, mut end } = self;
        let dialled = tokio::select! {
            biased;
            how = told(&mut end) => return finish(client, how),
            dialled = dial(&upstream, mode.clone()) => dialled,
        };
        let Ok(mut server) = dialled else { return reset(client) };
        let how = {
            let (from_client, to_client) = client.split();
            let (from_server, to_server) = server.split();
            let both = async {
                tokio::try_join!(
                    pump(from_client, to_server, mode.clone()),
                    pump(from_server, to_client, mode.clone())
                )
            };
            tokio::select! {
                biased;
                how = told(&mut end) => how,
                passed = both => if passed.is_ok() { End::Close } else { End::Reset },
            }
        };
        finish(client, how);
        finish(server, how);
    }
}

/// Connects to the server; in silence only when the silence is over, which this connection does not live to see.
async fn dial(upstream: &str, mut mode: watch::Receiver<Mode>) -> std::io::Result<TcpStream> {
    let _ = mode.wait_for(|mode| *mode != Mode::HalfOpen).await;
    let server = TcpStream::connect(upstream).await?;
    server.set_nodelay(true)?;
    Ok(server)
}

/// How it is to end, when it is.
async fn told(end: &mut watch::Receiver<Option<End>>) -> End {
    let told = end.wait_for(Option::is_some).await;
    told.ok().and_then(|end| *end).unwrap_or(End::Close)
}

fn finish(stream: TcpStream, how: End) {
    match how {
        End::Close => drop(stream),
        End::Reset => reset(stream),
    }
}

/// Closes so that the other side gets a reset.
pub fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
    drop(stream);
}
