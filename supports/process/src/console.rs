//! What a process says. A reader that went away is no failure: writing goes on into nothing.

use std::io::{self, Write as _};

/// Prints a line, or several, to standard output.
pub fn line(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Prints a remark beside the result to standard error, so that the result can be piped.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints what went wrong to standard error.
pub fn error(text: &str) {
    note(&format!("error: {text}"));
}
