//! Running other programs to their end.

use std::process::Stdio;

use tokio::process::Command;

use crate::ServerError;

/// Runs a program to its end; the error has the end of what it printed.
pub async fn run(command: &mut Command) -> Result<String, ServerError> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(|source| ServerError::Run { program: program.clone(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let printed = [output.stdout, output.stderr].concat();
    let last = last_lines(&String::from_utf8_lossy(&printed));
    Err(ServerError::Ended { program, status: output.status.to_string(), last })
}

/// The end of a log, short enough for an error.
pub fn last_lines(text: &str) -> String {
    const LINES: usize = 6;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_end_without_success_tells_what_was_printed() {
        let failed = run(Command::new("sh").args(["-c", "echo why; exit 3"])).await.unwrap_err().to_string();
        assert!(failed.contains("why") && failed.contains('3'), "{failed}");
        assert_eq!(run(Command::new("sh").args(["-c", "echo yes"])).await.unwrap(), "yes\n");
        assert!(matches!(run(&mut Command::new("/no/such")).await, Err(ServerError::Run { .. })));
    }

    #[test]
    fn the_end_of_a_log_is_short() {
        let long: Vec<String> = (0..100).map(|line| format!("line {line}")).collect();
        assert_eq!(
            last_lines(&long.join("\n\n")),
            "line 94 | line 95 | line 96 | line 97 | line 98 | line 99"
        );
        assert_eq!(last_lines(""), "");
    }
}
