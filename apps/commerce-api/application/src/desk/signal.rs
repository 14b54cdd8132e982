use tokio::sync::watch;

/// Tells background work that there is something to do. Raising it is cheap and never waits; raised while a listener is
/// busy, it is seen when that one listens again.
#[derive(Debug, Clone)]
pub struct Signal(watch::Sender<u64>);

impl Default for Signal {
    fn default() -> Self {
        Self(watch::channel(0).0)
    }
}

impl Signal {
    /// Wakes every listener.
    pub fn raise(&self) {
        self.0.send_modify(|times| *times = times.wrapping_add(1));
    }

    /// Hears of everything from now on.
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

/// The other end of a [`Signal`].
#[derive(Debug, Clone)]
pub struct Listener(watch::Receiver<u64>);

impl Listener {
    /// Waits until the signal is raised, or returns at once where it was since the last time; never where its last owner
    /// is gone.
    pub async fn raised(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
