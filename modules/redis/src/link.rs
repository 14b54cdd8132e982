use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, RedisResult};

/// Commands that wait in a connection's queue; more callers wait for a place.
const QUEUE: usize = 1_024;

/// The one connection to a server, which all calls share. It is made by the first call that needs it, and again after it
/// was given up.
pub struct Link {
    client: Client,
    config: AsyncConnectionConfig,
    made: Mutex<Made>,
    /// Held by who connects.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Made {
    /// Connections that were made so far; names the last one.
    number: u64,
    connection: Option<MultiplexedConnection>,
}

impl Link {
    /// Nothing is connected yet.
    pub fn to(info: ConnectionInfo, timeout: Duration) -> RedisResult<Self> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeout))
            // Whoever calls gives up by its own limit, and then gives up the connection as well.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE);
        let client = Client::open(info)?;
        Ok(Self { client, config, made: Mutex::default(), connecting: tokio::sync::Mutex::new(()) })
    }

    /// The connection and its number.
    pub async fn connection(&self) -> RedisResult<(u64, MultiplexedConnection)> {
        if let Some(there) = self.there() {
            return Ok(there);
        }
        let _alone = self.connecting.lock().await;
        if let Some(there) = self.there() {
            return Ok(there);
        }
        let connection = self.client.get_multiplexed_async_connection_with_config(&self.config).await?;
        let mut made = self.lock();
        made.number += 1;
        made.connection = Some(connection.clone());
        Ok((made.number, connection))
    }

    /// Gives up the connection of this number: the next call makes another one. A connection that is only slow ends
    /// when the calls that wait on it have ended.
    pub fn give_up(&self, number: u64) {
        let mut made = self.lock();
        if made.number == number {
            made.connection = None;
        }
    }

    fn there(&self) -> Option<(u64, MultiplexedConnection)> {
        let made = self.lock();
        made.connection.clone().map(|connection| (made.number, connection))
    }

    fn lock(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
