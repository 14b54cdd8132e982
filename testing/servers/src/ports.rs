use std::hash::{BuildHasher as _, RandomState};
use std::net::TcpListener;

const FIRST: u16 = 15_000;
const LAST: u16 = 32_000;

/// A listener on a free port of 127.0.0.1 that the operating system does not hand out by itself, so that it can be left
/// and taken again: on others a client that dials meanwhile sits now and then.
pub fn free_listener() -> std::io::Result<TcpListener> {
    const TRIES: u32 = 100;
    // Seeded differently in every process and at every call.
    let random = RandomState::new();
    let span = u64::from(LAST - FIRST);
    for number in 0..TRIES {
        let offset = u16::try_from(random.hash_one(number) % span).unwrap_or_default();
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", FIRST + offset)) {
            return Ok(listener);
        }
    }
    TcpListener::bind(("127.0.0.1", 0))
}
