//! A balancer before the API nodes: each new connection goes to the next one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::Outcome;

/// A balancer at work, until it is dropped.
pub struct Balancer {
    /// Where it listens.
    pub address: SocketAddr,
    taken: Arc<Vec<AtomicUsize>>,
    _tasks: JoinSet<()>,
}

impl Balancer {
    /// Listens on a free port of this machine.
    pub async fn start(nodes: Vec<SocketAddr>) -> Outcome<Self> {
        let failed = |error: std::io::Error| format!("the balancer does not start: {error}");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let taken = Arc::new(nodes.iter().map(|_| AtomicUsize::new(0)).collect::<Vec<_>>());
        let counted = taken.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            for turn in 0.. {
                let Ok((client, _)) = listener.accept().await else { continue };
                let place: usize = turn % nodes.len().max(1);
                counted[place].fetch_add(1, Ordering::Relaxed);
                connections.spawn(join(client, nodes[place]));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, taken, _tasks: tasks })
    }

    /// How many connections each node was given.
    pub fn shared_out(&self) -> Vec<usize> {
        self.taken.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }
}

/// Hands everything on in both directions; an end of one side is an end of the other.
async fn join(mut client: TcpStream, node: SocketAddr) {
    let Ok(mut node) = TcpStream::connect(node).await else { return };
    // Without it small answers wait for each other.
    if client.set_nodelay(true).and(node.set_nodelay(true)).is_ok() {
        let _ = copy_bidirectional(&mut client, &mut node).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn connections_take_turns() {
        let (one, two) = (
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        );
        let nodes = vec![one.local_addr().unwrap(), two.local_addr().unwrap()];
        let balancer = Balancer::start(nodes).await.unwrap();
        for (node, name) in [(&one, b'1'), (&two, b'2'), (&one, b'3')] {
            let mut client = TcpStream::connect(balancer.address).await.unwrap();
            let (mut taken, _) = node.accept().await.unwrap();
            taken.write_all(&[name]).await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), name);
        }
        assert_eq!(balancer.shared_out(), [2, 1]);
    }
}
