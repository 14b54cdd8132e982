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
