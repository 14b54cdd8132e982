use std::fmt::Write as _;
use std::process::ExitCode;

use commerce_config::Origin;

use crate::cli::Global;
use crate::console;
use crate::failure::Failure;
use crate::setup;

/// Prints the configuration as TOML, with the source of each value as a comment.
pub fn print(global: &Global) -> Result<ExitCode, Failure> {
    console::line(&toml_of(&setup::configuration(global)?.origins));
    Ok(ExitCode::SUCCESS)
}

fn toml_of(origins: &[Origin]) -> String {
    let mut text = String::new();
    let mut section = "";
    for Origin { key, value, source } in origins {
        let (of, name) = key.split_once('.').unwrap_or(("", key));
        if of != section {
            let _ = writeln!(text, "\n[{of}]");
            section = of;
        }
        let setting = match value {
            Some(value) => format!("{name} = {value}"),
            None => format!("# {name}"),
        };
        let _ = writeln!(text, "{setting:<40} # {source}");
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_values_and_sources() {
        let origin = |key, value: Option<&str>, source: &str| Origin {
            key,
            value: value.map(str::to_owned),
            source: source.to_owned(),
        };
        let text = toml_of(&[
            origin("data_dir", Some("\"d\""), "flag --data-dir"),
            origin("api.port", Some("8080"), "default"),
            origin("secrets.fingerprint_key", None, "not set"),
        ]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], format!("{:<40} # flag --data-dir", "data_dir = \"d\""));
        assert_eq!(&lines[1..3], ["", "[api]"]);
        assert_eq!(lines[6], format!("{:<40} # not set", "# fingerprint_key"));
    }
}
