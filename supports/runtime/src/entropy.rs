/// Fills `bytes` from the operating system's generator. Ids and tokens are worthless without it, so where it fails
/// there is nothing to go on with.
///
/// # Panics
/// If the operating system gives no random numbers.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the adapter behind the ports that need random numbers"
)]
pub fn fill(bytes: &mut [u8]) {
    if let Err(error) = getrandom::fill(bytes) {
        panic!("the operating system gives no random numbers: {error}");
    }
}

/// A `UUIDv7` of the moment `now_us` (microseconds since the epoch) and 74 random bits.
pub fn uuid_v7(now_us: i64) -> uuid::Uuid {
    let mut random = [0; 10];
    fill(&mut random);
    let millis = u64::try_from(now_us / 1_000).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}
