//! Starting other programs.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitStatus};

use crate::{Outcome, console};

/// The cargo that started xtask.
pub fn cargo() -> Command {
    program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A program that may call cargo, without the variables that cargo set for xtask itself: they would make cargo
/// build crates anew whose build scripts look at them.
pub fn program(path: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os() {
        if is_of_the_crate(&name) {
            command.env_remove(name);
        }
    }
    command
}

fn is_of_the_crate(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Runs a command on our own streams; any end but success is an error.
pub fn run(command: &mut Command) -> Outcome {
    console::line(&format!("$ {}", shown(command)));
    let status = command.status().map_err(|e| cannot_start(command, &e))?;
    ended(command, status)
}

/// The error of a command that did not end with success.
pub fn ended(command: &Command, status: ExitStatus) -> Outcome {
    if status.success() { Ok(()) } else { Err(format!("`{}` ended with {status}", shown(command))) }
}

/// The error of a command that could not be started.
pub fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!("cannot start `{}`: {error}", command.get_program().to_string_lossy())
}

/// What a command prints to stdout, if it ends with success.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cargo_says_about_this_crate_is_removed() {
        assert!(is_of_the_crate(OsStr::new("CARGO_PKG_VERSION")));
        assert!(is_of_the_crate(OsStr::new("CARGO_MANIFEST_DIR")));
        for kept in ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_BUILD_JOBS", "PATH"] {
            assert!(!is_of_the_crate(OsStr::new(kept)), "{kept}");
        }
    }

    #[test]
    fn a_command_that_fails_is_an_error_with_its_text() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert!(error.contains("sh -c exit 3") && error.contains('3'), "{error}");
        assert!(run(&mut Command::new("/no/such/program")).unwrap_err().contains("cannot start"));
    }
}
