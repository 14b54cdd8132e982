//! The command line.

pub mod dlq;
pub mod event_log;
mod jobs;
pub mod rebuild;

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::{Args, Parser, Subcommand};
use commerce_api_domain::Role;
use commerce_config::{Flag, Sources};

pub use jobs::{Job, Length, Ranked, Report, RunJob};

const COMMON: &str = "Common options";

const AFTER_HELP: &str = "\
Examples:
  commerce                          start the demonstration on http://127.0.0.1:8080
  commerce demo                     walk through the running shop, step by step
  commerce flash-sale --stock 100   two thousand buyers at once, against the running shop
  commerce flash-sale --ephemeral   the same in a shop of its own, which is gone afterwards
  commerce flash-sale --card        the same paid by card, settled by the gateway's callbacks
  commerce demo --ephemeral --json  the walk in a shop of its own, for programs
  commerce audit                    recount money, points and stock
  commerce reconcile --date 2027-01-15   the gateway's report of a day against the books
  commerce job run weekly           aggregate and rank the week of yesterday
  commerce report --period weekly   print its ranking

Exit codes: 0 fine; 1 failed, or a rule of the shop is broken; 2 wrong usage, configuration, port or directory.";

/// A shop that cannot oversell: orders, payments, events and rankings in one process.
///
/// Without a command it starts the shop (`up`). Every command works beside a running shop on the same data directory,
/// except a second `up`.
#[derive(Debug, Parser)]
#[command(name = "commerce", version, after_help = AFTER_HELP, propagate_version = true)]
pub struct Cli {
    /// What applies to every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do; `up` where nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags of every command.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Configuration file (TOML); config/commerce.toml of the sources documents every key
    #[arg(long, global = true, help_heading = COMMON, value_name = "FILE", env = "COMMERCE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Directory of databases and secrets [default: data]
    #[arg(long, global = true, help_heading = COMMON, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// TCP port of the API. Understood everywhere, because `commerce` alone is `up`; only `up` tells of it.
    #[arg(long, global = true, hide = true, value_name = "PORT", value_parser = port)]
    pub api_port: Option<u16>,
    /// The same of the collector.
    #[arg(long, global = true, hide = true, value_name = "PORT", value_parser = port)]
    pub collector_port: Option<u16>,
    /// The same of the simulated gateway.
    #[arg(long, global = true, hide = true, value_name = "PORT", value_parser = port)]
    pub gateway_port: Option<u16>,
}

impl Global {
    /// Where the configuration is read from.
    pub fn sources(&self) -> Sources {
        let data_dir = self.data_dir.iter().map(|path| Flag::path("--data-dir", "data_dir", path));
        let ports = [
            ("--api-port", "api.port", self.api_port),
            ("--collector-port", "collector.port", self.collector_port),
            ("--gateway-port", "simulator.port", self.gateway_port),
        ];
        let ports = ports.into_iter().filter_map(|(name, key, port)| Some(Flag::whole(name, key, port?)));
        Sources {
            file: self.config.clone(),
            environment: Sources::process_environment(),
            flags: data_dir.chain(ports).collect(),
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the shop (the default)
    Up(Up),
    /// Serve the API alone, one node of several; needs the profile servers
    ///
    /// Its port is that of --api-port.
    Api,
    /// Serve the collector alone, one of several; needs the profile servers
    ///
    /// Its port is that of --collector-port.
    Collector,
    /// Serve the simulated payment gateway alone, as [gateway] and [simulator] describe it
    ///
    /// Its port is that of --gateway-port.
    PgSimulator,
    /// Walk through the whole shop over HTTP: sign up, buy with points, card and coupon, cancel, faults, rankings
    ///
    /// Says at every step what was expected and what came, and where the gateway was made to fail what that proves;
    /// prints today's ranking, and audits the shop at the end where its data is at hand. Ends with the first surprise and exit code 1. The walk makes products, a coupon and accounts
    /// of its own, which stay in the shop.
    Demo(Demo),
    /// Let many buyers at once fight for few pieces, over HTTP, and check what came of it
    ///
    /// Makes a product with K pieces and N buyers with points, releases all buyers at one moment, each with one order
    /// for one piece, and then checks: exactly min(N, K) pieces are sold, every buyer got an answer, every order that
    /// was told PAID is PAID, the stock and everybody's points add up, and the audit is clean. Latency is counted
    /// from the release. Exit code 1 if anything is off.
    FlashSale(FlashSale),
    /// Place many orders spread over many products, over HTTP, and measure
    ///
    /// Each connection places its next order when the one before is answered (a closed loop); latency is that of one
    /// order, its repetitions included. Every product is ordered once a round, neighbours far apart, the same way
    /// every run. Checked as `flash-sale` does.
    Load(Load),
    /// Recount money, points, stock, coupons and payments; exit code 1 if a rule is broken, 2 if that could not be told
    Audit(Audit),
    /// Compare the gateway's settlement report of a day with the books, beside a running shop
    ///
    /// Exit code 0: no difference; 1: there are open findings, each with what is to be done; 2: that could not be told.
    /// Payments that the report knows more about are asked about by the running shop, or the next one.
    Reconcile(Reconcile),
    /// Jobs over days, weeks and months: run one, see what was run
    #[command(subcommand)]
    Job(Job),
    /// Print a ranking with names
    Report(Report),
    /// Bring the database's schema up to date
    Migrate,
    /// Fill the catalogue with generated products; those that are there already stay as they are
    Seed(Seed),
    /// Write a consistent copy of the data into a new directory, beside a running shop
    Backup(Backup),
    /// Dead letters: records that could not be counted
    #[command(subcommand)]
    Dlq(dlq::Dlq),
    /// List the topics of the event log: partitions, copies, and the records that each keeps
    Topics(event_log::Topics),
    /// How far counting is behind the event log, by what the log and the collector's database say
    Lag(event_log::Lag),
    /// Boards and metrics, derived anew
    #[command(subcommand)]
    Rebuild(rebuild::Rebuild),
    /// Accounts
    #[command(subcommand)]
    User(User),
    /// The configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// `up`.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_field_names, reason = "they are the flags")]
pub struct Up {
    /// TCP port of the API; 0 takes a free one [default: 8080]
    // The same argument as the common one, whose value it sets; as the two below.
    #[arg(id = "api_port", long = "api-port", value_name = "PORT", value_parser = port)]
    pub api_port: Option<u16>,
    /// TCP port of the collector; 0 takes a free one [default: 8081]
    #[arg(id = "collector_port", long = "collector-port", value_name = "PORT", value_parser = port)]
    pub collector_port: Option<u16>,
    /// TCP port of the simulated payment gateway; 0 takes a free one [default: 8082]
    #[arg(id = "gateway_port", long = "gateway-port", value_name = "PORT", value_parser = port)]
    pub gateway_port: Option<u16>,
}

/// Which shop a walk, a sale or a load is run against.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// Start a shop of its own for this run: temporary data, a free port; --config and --data-dir do not count
    #[arg(long, conflicts_with_all = ["url", "admin"])]
    pub ephemeral: bool,
    /// The shop to use; it must be a demonstration [default: port `api.port` of this machine]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Administrator of that shop [default: the demonstration's]
    #[arg(long, value_name = "LOGIN", requires = "password_stdin")]
    pub admin: Option<String>,
    /// Read the administrator's password from standard input
    #[arg(long, requires = "admin")]
    pub password_stdin: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// `demo`.
#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// The collector of that shop [default: port `collector.port` of the shop's host]
    #[arg(long, value_name = "URL", conflicts_with = "ephemeral")]
    pub collector_url: Option<String>,
    /// The simulated gateway of that shop [default: as the shop's data directory says]; without one nothing goes wrong
    #[arg(long, value_name = "URL", conflicts_with = "ephemeral")]
    pub gateway_url: Option<String>,
    /// Longest wait for what happens later: a settlement, a count, a rank
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = whole::<1, 3_600>)]
    pub wait_s: u32,
    /// Orders that a step may place until the gateway decides as the step needs; for one that decides at random
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole::<1, 100>)]
    pub card_tries: u32,
    /// Which shop.
    #[command(flatten)]
    pub target: Target,
}

/// `flash-sale`.
#[derive(Debug, Clone, Args)]
pub struct FlashSale {
    /// Buyers at once
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = whole::<1, 200_000>)]
    pub buyers: u32,
    /// Pieces that there are
    #[arg(long, value_name = "K", default_value_t = 100, value_parser = whole::<0, 1_000_000>)]
    pub stock: u32,
    /// Pay by card instead of with points, and wait until the gateway has decided about every order
    #[arg(long)]
    pub card: bool,
    /// With --card: everything that can go wrong with the simulated gateway does, each in so many percent of the cases.
    /// The buyers come over --seconds instead of at once, every tenth cancels, and then it is waited until all is settled
    #[arg(long, value_name = "PERCENT", requires = "card", value_parser = whole::<1, 50>)]
    pub gateway_faults: Option<u32>,
    /// How long things go wrong
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "gateway_faults", value_parser = whole::<1, 3_600>)]
    pub seconds: u32,
    /// Connections that all buyers share; more buyers than connections queue
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = whole::<1, 10_000>)]
    pub connections: u32,
    /// Which shop.
    #[command(flatten)]
    pub target: Target,
}

/// `load`.
#[derive(Debug, Clone, Args)]
pub struct Load {
    /// Products that the orders are spread over
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = whole::<1, 100_000>)]
    pub products: u32,
    /// Orders to place
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = whole::<1, 10_000_000>)]
    pub orders: u32,
    /// Customers who place them
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = whole::<1, 100_000>)]
    pub buyers: u32,
    /// Connections that all buyers share; more buyers than connections queue
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = whole::<1, 10_000>)]
    pub connections: u32,
    /// Which shop.
    #[command(flatten)]
    pub target: Target,
}

/// `audit`.
#[derive(Debug, Clone, Args)]
pub struct Audit {
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
    /// Count what merely lags behind as broken; for a shop at rest
    #[arg(long)]
    pub settled: bool,
}

/// `reconcile`.
#[derive(Debug, Clone, Args)]
pub struct Reconcile {
    /// A day that is over, in the shop's zone
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub date: NaiveDate,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// `seed`.
#[derive(Debug, Clone, Args)]
pub struct Seed {
    /// Products that there shall be at least
    #[arg(long, value_name = "N", value_parser = whole::<1, 10_000_000>)]
    pub products: u32,
}

/// `backup`.
#[derive(Debug, Clone, Args)]
pub struct Backup {
    /// Directory to write into; must not exist, or be empty
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// `user`.
#[derive(Debug, Subcommand)]
pub enum User {
    /// Make an account, for example the first administrator
    Create(CreateUser),
}

/// `user create`.
#[derive(Debug, Clone, Args)]
pub struct CreateUser {
    /// 3 to 30 letters, digits, '_', '-' or '.'
    #[arg(long, value_name = "LOGIN")]
    pub login_id: String,
    /// E-mail address
    #[arg(long, value_name = "ADDRESS")]
    pub email: String,
    /// CUSTOMER or ADMIN
    #[arg(long, value_name = "ROLE", value_parser = role)]
    pub role: Role,
    /// Read the password (8 to 128 characters) from the first line of standard input; a flag would show it to others
    #[arg(long, required = true)]
    pub password_stdin: bool,
}

/// Says what is allowed, where the parser of the standard library says `invalid digit`.
fn whole<const MIN: u32, const MAX: u32>(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (MIN..=MAX).contains(number));
    number.ok_or_else(|| format!("allowed is a whole number from {MIN} to {MAX}"))
}

fn day(text: &str) -> Result<NaiveDate, String> {
    // The parser of chrono is content with `2027-1-5`.
    let day = text.parse().ok().filter(|day: &NaiveDate| day.to_string() == text);
    day.ok_or_else(|| "allowed is a day of the calendar, such as 2027-01-15".to_owned())
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "allowed is a whole number from 0 to 65535".to_owned())
}

fn role(name: &str) -> Result<Role, String> {
    Role::parse(&name.to_ascii_uppercase()).ok_or_else(|| "CUSTOMER or ADMIN".to_owned())
}

/// `config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the configuration in force, and where each value comes from; secrets are hidden
    Print,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn nothing_means_up() {
        assert!(parse("commerce").unwrap().command.is_none());
        let cli = parse("commerce --api-port 0 --data-dir d").unwrap();
        assert_eq!(cli.global.api_port, Some(0));
        let ports = "--api-port 7 --collector-port 8 --gateway-port 9";
        for line in
            [format!("commerce up {ports}"), format!("commerce {ports} up"), format!("commerce {ports}")]
        {
            let cli = parse(&line).unwrap();
            let Global { api_port, collector_port, gateway_port, .. } = cli.global;
            assert_eq!((api_port, collector_port, gateway_port), (Some(7), Some(8), Some(9)), "{line}");
            assert!(matches!(cli.command, None | Some(Command::Up(_))), "{line}");
        }
    }

    #[test]
    fn global_flags_stand_anywhere() {
        for line in ["commerce --data-dir d audit --json", "commerce audit --json --data-dir d"] {
            let cli = parse(line).unwrap();
            assert_eq!(cli.global.data_dir.as_deref(), Some(std::path::Path::new("d")));
            assert!(matches!(cli.command, Some(Command::Audit(Audit { json: true, settled: false }))));
        }
    }

    #[test]
    fn a_flash_sale_has_the_figures_of_the_readme() {
        let Some(Command::FlashSale(sale)) = parse("commerce flash-sale --ephemeral").unwrap().command else {
            panic!("no flash sale");
        };
        assert_eq!((sale.buyers, sale.stock, sale.connections), (2_000, 100, 256));
    }

    #[test]
    fn wrong_usage_is_refused() {
        for line in [
            "commerce flash-sale --ephemeral --url http://127.0.0.1:1",
            "commerce flash-sale --admin root",
            "commerce flash-sale --password-stdin",
            "commerce flash-sale --buyers 0",
            "commerce demo --ephemeral --url http://127.0.0.1:1",
            "commerce demo --ephemeral --collector-url http://127.0.0.1:1",
            "commerce demo --wait-s 0",
            "commerce demo --connections 4",
            "commerce demo --ephemeral --gateway-url http://127.0.0.1:1",
            "commerce flash-sale --gateway-faults 10",
            "commerce flash-sale --card --gateway-faults 51",
            "commerce flash-sale --card --seconds 9",
            "commerce load --card",
            "commerce seed",
            "commerce seed --products 0",
            "commerce reconcile",
            "commerce reconcile --date yesterday",
            "commerce reconcile --date 2027-02-29",
            "commerce reconcile --date 2027-1-5",
            "commerce backup",
            "commerce rebuild boards",
            "commerce rebuild boards --all --date 2026-11-23",
            "commerce rebuild metrics",
            "commerce rebuild metrics --from yesterday",
            "commerce rebuild metrics --from 2026-11-23 --abandon",
            "commerce dlq",
            "commerce dlq show",
            "commerce dlq discard --all",
            "commerce dlq discard 1 --reason",
            "commerce dlq replay 1 --all",
            "commerce dlq list --state LOST",
            "commerce dlq list --limit 0",
            "commerce dlq list --cause a'b",
            "commerce user create --login-id a --email b --role KING --password-stdin",
            "commerce user create --login-id a --email b --role ADMIN",
            "commerce up --api-port 65536",
            "commerce sell",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn a_wrong_number_is_refused_with_what_is_allowed() {
        for (line, allowed) in [
            ("commerce seed --products many", "from 1 to 10000000"),
            ("commerce seed --products 1.5", "from 1 to 10000000"),
            ("commerce load --orders 10000001", "from 1 to 10000000"),
            ("commerce up --api-port http", "from 0 to 65535"),
            ("commerce --api-port http", "from 0 to 65535"),
        ] {
            let text = parse(line).unwrap_err().to_string();
            assert!(text.contains(&format!("a whole number {allowed}")), "{line}: {text}");
        }
    }

    #[test]
    fn common_options_stand_apart_and_only_up_tells_of_the_port() {
        let help = |command: &str| parse(&format!("commerce {command} --help")).unwrap_err().to_string();
        for command in ["", "up", "flash-sale", "audit", "seed"] {
            let text = help(command);
            let (own, common) = text.split_once("Common options:").unwrap();
            assert!(common.contains("--config") && common.contains("--data-dir"), "{text}");
            assert!(!own.contains("--config <") && !own.contains("--data-dir <"), "{text}");
            for port in ["--api-port", "--collector-port", "--gateway-port"] {
                assert_eq!(text.contains(port), command == "up", "{text}");
            }
        }
    }
}
