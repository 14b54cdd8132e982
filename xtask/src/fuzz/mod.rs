//! `cargo xtask fuzz-api`: what the `OpenAPI` documents promise, held against the running platform.

mod platform;

use std::path::Path;
use std::process::Command;

use self::platform::Platform;
use crate::python::SCHEMATHESIS;
use crate::{Outcome, console, process};

/// Which answers pass beside those that the checks know.
const SETTINGS: &str = include_str!("schemathesis.toml");

/// Cases for each operation where nothing else is said.
pub const EXAMPLES: u32 = 50;
/// The same within `cargo xtask test`, beside the cases that go through the documents systematically.
pub const EXAMPLES_SHORT: u32 = 3;
/// The same cases in every run.
pub const SEED: u64 = 1;

/// How much is asked.
pub struct Amount {
    /// Cases that are generated for each operation, beside those that go through its document systematically.
    pub examples: u32,
    /// What they are generated from.
    pub seed: u64,
}

/// One document, asked by one caller.
struct Run<'a> {
    title: &'static str,
    host: &'a str,
    by: By<'a>,
}

/// Who asks, with the token of a session.
#[derive(Clone, Copy)]
enum By<'a> {
    Nobody,
    Shopper(&'a str),
    Admin(&'a str),
}

/// The variable that the header is taken from: a token has no place in a command line or in a file.
const AUTHORIZATION: &str = "COMMERCE_FUZZ_AUTHORIZATION";

/// Starts the platform on data of its own, asks both APIs as everybody, as the shopper and as the administrator, stops it, and
/// audits its books.
pub fn run(amount: &Amount) -> Outcome {
    let schemathesis = SCHEMATHESIS.path()?;
    console::step("the platform's binary", || {
        process::run(process::cargo().args(["build", "--locked", "--package", "commerce"]))
    })?;
    let home = platform::temporary_directory()?;
    let asked = ask_all(&schemathesis, home.path(), amount);
    if asked.is_err() {
        let kept = home.keep();
        console::line(&format!("the shop's data and log are kept in {}", kept.display()));
    }
    asked
}

fn ask_all(schemathesis: &Path, home: &Path, amount: &Amount) -> Outcome {
    let platform = Platform::start(home)?;
    let (shopper, admin) = (platform.log_in("shopper")?, platform.log_in("admin")?);
    let (api, collector) = (platform.api.as_str(), platform.collector.as_str());
    let runs = [
        Run { title: "commerce-api, nobody", host: api, by: By::Nobody },
        Run { title: "commerce-api, shopper", host: api, by: By::Shopper(&shopper) },
        Run { title: "commerce-api, administrator", host: api, by: By::Admin(&admin) },
        Run { title: "commerce-collector, nobody", host: collector, by: By::Nobody },
        Run { title: "commerce-collector, administrator", host: collector, by: By::Admin(&admin) },
    ];
    for run in &runs {
        let file = home.join("schemathesis.toml");
        std::fs::write(&file, settings(run.by))
            .map_err(|e| format!("cannot write {}: {e}", file.display()))?;
        console::step(run.title, || process::run(&mut command(schemathesis, &file, run, amount)))?;
    }
    console::step("stop", || platform.stop())?;
    console::step("audit", || platform::audit(home))
}

fn command(schemathesis: &Path, settings: &Path, run: &Run, amount: &Amount) -> Command {
    let mut command = Command::new(schemathesis);
    command.arg("--config-file").arg(settings).arg("run").arg(format!("http://{}/v3/api-docs", run.host));
    command.args(["--phases", "examples,coverage,fuzzing", "--no-color", "--continue-on-failure"]);
    command.args(["--checks", "all", "--request-timeout", "60"]);
    command.args(["--max-examples", &amount.examples.to_string(), "--seed", &amount.seed.to_string()]);
    // It keeps what it found in the folder that it runs in.
    command.current_dir(settings.parent().unwrap_or(Path::new(".")));
    if let By::Shopper(token) | By::Admin(token) = run.by {
        command.env(AUTHORIZATION, format!("Bearer {token}"));
        // The session ends with it, and everything after would be refused; nobody asks it as well.
        command.args(["--exclude-operation-id", "logOut"]);
        // It asks again without the header, which everybody may where the policy says ANYONE; the matrix of all routes
        // and callers is a test of its own.
        command.args(["--exclude-checks", "ignored_auth"]);
    }
    if let By::Admin(_) = run.by {
        // Only the gateway signs. It is asked by the others.
        command.args(["--exclude-operation-id", "paymentCallback"]);
    }
    command
}

/// An administrator gets past the door everywhere: where nothing but 401 and 403 comes back, nothing was tested.
fn settings(by: By) -> String {
    let header = format!("headers = {{ Authorization = \"${{{AUTHORIZATION}}}\" }}\n");
    match by {
        By::Nobody => SETTINGS.to_owned(),
        By::Shopper(_) => header + SETTINGS,
        By::Admin(_) => header + SETTINGS + "\n[warnings]\nfail-on = [\"missing_auth\"]\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_neither_ended_nor_shown() {
        let amount = Amount { examples: 3, seed: 9 };
        let of = |by| {
            let run = Run { title: "", host: "127.0.0.1:1", by };
            let command = command(Path::new("/t/schemathesis"), Path::new("/h/s.toml"), &run, &amount);
            let header = command.get_envs().find(|(name, _)| *name == AUTHORIZATION);
            let header = header.and_then(|(_, value)| Some(value?.to_string_lossy().into_owned()));
            (process::shown(&command), header)
        };
        let (nobody, header) = of(By::Nobody);
        assert!(
            nobody.starts_with("schemathesis --config-file /h/s.toml run http://127.0.0.1:1/v3/api-docs")
        );
        assert!(nobody.contains("--max-examples 3 --seed 9") && !nobody.contains("logOut"), "{nobody}");
        assert_eq!(header, None);
        for by in [By::Shopper("secret"), By::Admin("secret")] {
            let (shown, header) = of(by);
            assert!(shown.contains("logOut") && !shown.contains("secret"), "{shown}");
            assert_eq!(header.as_deref(), Some("Bearer secret"));
            assert!(
                settings(by)
                    .starts_with("headers = { Authorization = \"${COMMERCE_FUZZ_AUTHORIZATION}\" }\n")
            );
            assert!(!settings(by).contains("secret"));
        }
        assert_eq!(settings(By::Nobody), SETTINGS);
    }
}
