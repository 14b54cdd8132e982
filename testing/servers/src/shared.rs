//! The server of a kind that all tests of a process share.

use std::sync::OnceLock;

use crate::{Server, ServerKind};

/// The server of this kind for tests: the one that the environment names (`cargo xtask test` starts them), else one that
/// is started at the first call and ends with the process. Tests share it, so they name what they make by names of
/// their own; a test that kills or stalls a server takes [`Server::own`].
///
/// It blocks while the server starts, and may be called from any test, with or without a runtime.
///
/// # Panics
/// Where there is no such server: the message says why, and what to set.
pub fn shared(kind: ServerKind) -> &'static Server {
    static SERVERS: [OnceLock<Result<Server, String>>; ServerKind::ALL.len()] =
        [const { OnceLock::new() }; ServerKind::ALL.len()];
    let place = &SERVERS[kind as usize];
    match place.get_or_init(|| start(kind)) {
        Ok(server) => server,
        Err(reason) => panic!("{reason}"),
    }
}

/// On a thread of its own: a runtime cannot wait for another one.
fn start(kind: ServerKind) -> Result<Server, String> {
    let starter = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot start a runtime: {error}"))?;
        runtime.block_on(Server::for_tests(kind)).map_err(|error| error.chain())
    });
    starter.join().unwrap_or_else(|_| Err(format!("{kind}: the thread that starts it panicked")))
}
