use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use commerce_runtime::BusinessZone;
use commerce_telemetry::{LogFormat, LoggingError};
use commerce_webhook::Secret;
use pg_simulator::{Capabilities, Faults, Options, Preset, StartError};
use serde_json::Value;

/// What clap cannot show: the secrets come from the environment only, since every user of the machine sees the flags of
/// a process.
const SECRETS_VARIABLE: &str = "PG_SIMULATOR_WEBHOOK_SECRETS";
const TOKEN_VARIABLE: &str = "PG_SIMULATOR_ADMIN_TOKEN";

const EXAMPLES: &str = "\
Examples:
  pg-simulator
  pg-simulator --preset reference --without idempotency,refund,void,signature
  pg-simulator --faults '{\"callbackLost\":{\"rate\":0.1},\"decisionMs\":{\"min\":50,\"max\":200}}'
  pg-simulator --faults @faults.json --seed 7

Environment:
  PG_SIMULATOR_WEBHOOK_SECRETS  secrets that callbacks are signed with, `whsec_<base64>`, separated by spaces,
                                the newest first; without one callbacks are not signed
  PG_SIMULATOR_ADMIN_TOKEN      admits other machines to /admin and /actuator";

/// A payment gateway to develop and test against.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub struct Cli {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = Options::PORT)]
    port: u16,
    /// The database. It holds card numbers in the clear.
    #[arg(long, default_value = "data/gateway.sqlite")]
    data_file: PathBuf,
    /// The merchant who may call.
    #[arg(long, default_value = Options::MERCHANT)]
    merchant: String,
    /// How it behaves: demo or reference.
    #[arg(long, default_value_t = Preset::Demo)]
    preset: Preset,
    /// What is not offered.
    #[arg(long, value_delimiter = ',')]
    without: Vec<Capability>,
    /// Changes of the preset's script: a JSON object, or @ and a file that holds one.
    #[arg(long)]
    faults: Option<String>,
    /// Makes every random decision repeatable.
    #[arg(long)]
    seed: Option<u64>,
    /// A host that callbacks may go to besides this machine; any number of times.
    #[arg(long = "callback-host")]
    callback_hosts: Vec<String>,
    /// Zone of the days in keys and settlements.
    #[arg(long, default_value_t = BusinessZone::default())]
    zone: BusinessZone,
    /// What is logged.
    #[arg(long, default_value = "info")]
    pub log_filter: String,
    /// Form of the log: plain or json.
    #[arg(long, value_parser = log_format, default_value = "plain")]
    pub log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Capability {
    Idempotency,
    Refund,
    Void,
    Signature,
}

/// Why the command ends without having run.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    pub const fn new(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self(error.to_string())
    }
}

impl From<LoggingError> for Failure {
    fn from(error: LoggingError) -> Self {
        Self(error.to_string())
    }
}

impl Cli {
    /// The simulator's options, with the directory of its database made.
    pub fn options(self) -> Result<Options, Failure> {
        let directory = self.data_file.parent().unwrap_or(Path::new(""));
        std::fs::create_dir_all(directory).map_err(|error| {
            let directory = directory.display();
            Failure(format!(
                "the directory {directory} cannot be made: {error}; choose another file with --data-file"
            ))
        })?;
        let secrets = std::env::var(SECRETS_VARIABLE).unwrap_or_default();
        let webhook_secrets = parse_secrets(&secrets)?;
        let faults = match &self.faults {
            Some(changes) => changed(&self.preset.faults(), changes)?,
            None => self.preset.faults(),
        };
        let offers = |capability| !self.without.contains(&capability);
        let capabilities = Capabilities {
            idempotency: offers(Capability::Idempotency),
            refund: offers(Capability::Refund),
            void: offers(Capability::Void),
            signature: offers(Capability::Signature) && !webhook_secrets.is_empty(),
        };
        let defaults = Options::new(self.data_file, self.preset);
        Ok(Options {
            bind: self.bind,
            port: self.port,
            merchant: self.merchant,
            webhook_secrets,
            capabilities,
            faults,
            callback_hosts: self.callback_hosts,
            seed: self.seed.unwrap_or(defaults.seed),
            zone: self.zone,
            admin_token: std::env::var(TOKEN_VARIABLE).ok(),
            ..defaults
        })
    }
}

fn parse_secrets(secrets: &str) -> Result<Vec<Secret>, Failure> {
    let parse =
        |secret: &str| secret.parse().map_err(|error| Failure(format!("{SECRETS_VARIABLE}: {error}")));
    secrets.split_whitespace().map(parse).collect()
}

fn changed(preset: &Faults, changes: &str) -> Result<Faults, Failure> {
    let text = match changes.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| Failure(format!("--faults: the file {file} cannot be read: {error}")))?,
        None => changes.to_owned(),
    };
    let changes: Value = serde_json::from_str(&text)
        .map_err(|error| Failure(format!("--faults is not valid JSON: {error}")))?;
    preset.with(&changes).map_err(|error| Failure(format!("--faults: {error}")))
}

fn log_format(name: &str) -> Result<LogFormat, String> {
    match name {
        "plain" => Ok(LogFormat::Plain),
        "json" => Ok(LogFormat::Json),
        _ => Err("there are plain and json".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(flags: &[&str]) -> Result<Options, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("new/gateway.sqlite").display().to_string();
        let all = ["pg-simulator", "--data-file", &file].into_iter().chain(flags.iter().copied());
        let cli = Cli::try_parse_from(all).map_err(|error| error.to_string())?;
        let options = cli.options().map_err(|failure| failure.to_string())?;
        assert!(dir.path().join("new").is_dir());
        Ok(options)
    }

    #[test]
    fn without_flags_it_is_the_demo_on_its_port() {
        let options = options(&[]).unwrap();
        assert_eq!((options.port, options.merchant.as_str()), (8082, "135135"));
        assert_eq!(options.faults, Preset::Demo.faults());
    }

    #[test]
    fn flags_change_the_preset() {
        let flags = ["--preset", "reference", "--without", "idempotency,void", "--seed", "7", "--faults"];
        let changes = r#"{"failBefore":{"rate":0}}"#;
        let options = options(&[&flags[..], &[changes]].concat()).unwrap();
        assert!(
            !options.capabilities.idempotency && options.capabilities.refund && !options.capabilities.void
        );
        assert_eq!((options.seed, options.callback_retry.attempts_max), (7, 1));
        let expected = Faults { fail_before: pg_simulator::Chance::NEVER, ..Preset::Reference.faults() };
        assert_eq!(options.faults, expected);
    }

    #[test]
    fn a_script_may_come_from_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("faults.json");
        std::fs::write(&file, r#"{"callbackCopies":7}"#).unwrap();
        let options = options(&["--faults", &format!("@{}", file.display())]).unwrap();
        assert_eq!(options.faults.callback_copies, 7);
    }

    #[test]
    fn wrong_values_are_named() {
        let cases: [(&[&str], &str); 6] = [
            (&["--preset", "other"], "`other` is not a preset; there are demo and reference"),
            (&["--without", "money"], "possible values: idempotency, refund, void, signature"),
            (&["--faults", "{"], "--faults is not valid JSON"),
            (&["--faults", r#"{"failBefore":{"rate":2}}"#], "--faults: failBefore.rate: 2; from 0 to 1"),
            (&["--faults", "@/nowhere.json"], "the file /nowhere.json cannot be read"),
            (&["--zone", "Asia/Soul"], "`Asia/Soul`"),
        ];
        for (flags, expected) in cases {
            let error = options(flags).err().unwrap();
            assert!(error.contains(expected), "{flags:?}: {error}");
        }
    }

    #[test]
    fn secrets_are_separated_by_spaces_and_never_shown() {
        let secret = format!("whsec_{}", "A".repeat(32));
        assert_eq!(parse_secrets(&format!("{secret} {secret}")).unwrap().len(), 2);
        let error = parse_secrets("whsec_short").unwrap_err().to_string();
        assert!(error.starts_with(SECRETS_VARIABLE) && !error.contains("short"), "{error}");
    }
}
