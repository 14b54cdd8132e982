use std::error::Error;
use std::process::ExitCode;

use crate::console;

/// Runs a process to its end on a runtime of its own. What it failed with is told on standard error; `code` is what the
/// process then ends with.
pub fn run<E: Error>(
    process: impl Future<Output = Result<ExitCode, E>>,
    code: impl FnOnce(&E) -> ExitCode,
) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            console::error(&format!("the async runtime does not start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(process).unwrap_or_else(|failure| {
        console::error(&chain(&failure));
        code(&failure)
    })
}

/// The error and what caused it, in one line.
pub fn chain(failure: &dyn Error) -> String {
    let mut text = failure.to_string();
    let mut source = failure.source();
    while let Some(error) = source {
        let inner = error.to_string();
        // Some outer texts quote their cause.
        if !text.contains(&inner) {
            text = format!("{text}: {inner}");
        }
        source = error.source();
    }
    text
}
