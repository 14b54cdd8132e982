//! Every key and what it may be.

use std::net::IpAddr;

use commerce_api_infrastructure::runtime::BusinessZone;
use commerce_telemetry::logging;
use figment::Figment;
use figment::value::{Dict, Value};

use super::{Config, ConfigError, Secret, secrets, sources};

/// What a key may be.
pub(super) enum Rule {
    /// A whole number between two bounds, of this unit.
    Whole(i64, i64, &'static str),
    /// `true` or `false`.
    Switch,
    /// One of these.
    Choice(&'static [&'static str], &'static str),
    /// A text that passes the check; and what is expected.
    Text(fn(&str) -> bool, &'static str),
    /// The same, never shown.
    Hidden(fn(&str) -> bool, &'static str),
}

/// A key.
pub(super) struct Setting {
    pub(super) key: &'static str,
    pub(super) rule: Rule,
}

const fn setting(key: &'static str, rule: Rule) -> Setting {
    Setting { key, rule }
}

const DAY_S: i64 = 86_400;
const MONEY_MAX: i64 = commerce_api_domain::Money::MAX.won();

/// Every key, in the order of `config/commerce.toml`.
pub(super) const ALL: &[Setting] = &[
    setting("data_dir", Rule::Text(|text| !text.is_empty(), "the path of a directory")),
    setting(
        "profile",
        Rule::Choice(&["embedded"], "; the profile servers (MySQL, Redis, Kafka) is not in this version yet"),
    ),
    setting("api.bind", Rule::Text(is_address, "an IP address such as 127.0.0.1, ::1 or 0.0.0.0")),
    setting("api.port", Rule::Whole(0, 65_535, "; 0 takes a free port")),
    setting("docs.enabled", Rule::Switch),
    setting("log.format", Rule::Choice(&["plain", "json"], "")),
    setting("log.filter", Rule::Text(is_filter, "a filter such as info or info,commerce_api=debug")),
    setting("database.readers", Rule::Whole(1, 64, " connections")),
    setting("database.durable", Rule::Switch),
    setting("database.busy_timeout_ms", Rule::Whole(100, 60_000, " milliseconds")),
    setting("desk.queue_max", Rule::Whole(1, 100_000, " commands")),
    setting("desk.batch_max", Rule::Whole(1, 512, " commands")),
    setting("desk.attempts_max", Rule::Whole(1, 10, " runs")),
    setting("points.earn_basis_points", Rule::Whole(0, 10_000, " hundredths of a percent")),
    setting("points.charge_max", Rule::Whole(1, MONEY_MAX, " won")),
    setting("points.charge_day_max", Rule::Whole(1, MONEY_MAX, " won")),
    setting("points.customers_may_charge", Rule::Switch),
    setting("orders.unsent_deadline_s", Rule::Whole(60, DAY_S, " seconds")),
    setting("orders.sent_deadline_s", Rule::Whole(60, 7 * DAY_S, " seconds")),
    setting("sessions.idle_s", Rule::Whole(300, 30 * DAY_S, " seconds")),
    setting("idempotency.keep_s", Rule::Whole(3_600, 30 * DAY_S, " seconds")),
    setting("shop.zone", Rule::Text(is_zone, "a time zone of the IANA database, such as Asia/Seoul")),
    setting("actuator.scrape_token", Rule::Hidden(is_token, "16 to 256 visible ASCII characters")),
    setting(
        "secrets.fingerprint_key",
        Rule::Hidden(is_key, "64 hexadecimal digits, not all alike; make them with `openssl rand -hex 32`"),
    ),
    setting("password.memory_kib", Rule::Whole(8_192, 1_048_576, " KiB")),
    setting("password.iterations", Rule::Whole(1, 20, " passes")),
    setting("password.parallelism", Rule::Whole(1, 16, " lanes")),
];

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

fn is_filter(text: &str) -> bool {
    logging::check_filter(text).is_ok()
}

fn is_zone(text: &str) -> bool {
    text.parse::<BusinessZone>().is_ok()
}

fn is_token(text: &str) -> bool {
    (16..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A key of one repeated byte is somebody's placeholder.
fn is_key(text: &str) -> bool {
    secrets::key_of_hex(text).is_some_and(|key| key.iter().any(|byte| *byte != key[0]))
}

impl Rule {
    /// What is allowed, where `value` is not.
    fn refuses(&self, value: &Value) -> Option<String> {
        let text = value.as_str();
        match self {
            Self::Whole(min, max, unit) => {
                let number = if let Value::Num(_, number) = value { whole(*number) } else { None };
                let fits =
                    number.is_some_and(|number| (i128::from(*min)..=i128::from(*max)).contains(&number));
                (!fits).then(|| format!("a whole number from {min} to {max}{unit}"))
            }
            Self::Switch => value.to_bool().is_none().then(|| "true or false".to_owned()),
            Self::Choice(names, note) => {
                let fits = text.is_some_and(|text| names.contains(&text));
                (!fits).then(|| format!("{}{note}", names.join(" or ")))
            }
            Self::Text(check, expected) | Self::Hidden(check, expected) => {
                (!text.is_some_and(check)).then(|| (*expected).to_owned())
            }
        }
    }
}

fn whole(number: figment::value::Num) -> Option<i128> {
    number.to_i128().or_else(|| i128::try_from(number.to_u128()?).ok())
}

/// The setting of that key.
pub(super) fn find(key: &str) -> Option<&'static Setting> {
    ALL.iter().find(|setting| setting.key == key)
}

/// The value as TOML, or that it is hidden.
pub(super) fn shown(setting: &Setting, value: &Value) -> String {
    match (&setting.rule, value) {
        (Rule::Hidden(..), _) => format!("\"{}\"", Secret::HIDDEN),
        (_, Value::String(_, text)) => format!("{text:?}"),
        (_, Value::Bool(_, switch)) => switch.to_string(),
        (_, Value::Num(_, number)) => {
            whole(*number).map_or_else(|| number.to_f64().unwrap_or_default().to_string(), |n| n.to_string())
        }
        (_, Value::Char(_, c)) => format!("{:?}", c.to_string()),
        (_, Value::Empty(..)) => "empty".to_owned(),
        (_, Value::Dict(..)) => "a table".to_owned(),
        (_, Value::Array(..)) => "a list".to_owned(),
    }
}

/// Checks that every key is known and every value allowed by itself.
pub(super) fn check_each(figment: &Figment) -> Result<(), ConfigError> {
    let values: Dict = figment.extract().map_err(|error| ConfigError::Shape(Box::new(error)))?;
    check_table(figment, "", &values)
}

fn check_table(figment: &Figment, prefix: &str, table: &Dict) -> Result<(), ConfigError> {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let is_section = ALL.iter().any(|setting| section(setting.key) == Some(&key));
        match (find(&key), value) {
            (None, Value::Dict(_, inner)) if is_section => check_table(figment, &key, inner)?,
            (None, _) => return Err(unknown(figment, key, value)),
            (Some(setting), _) => {
                if let Some(allowed) = setting.rule.refuses(value) {
                    return Err(refused(figment, setting, value, allowed));
                }
            }
        }
    }
    Ok(())
}

fn section(key: &str) -> Option<&str> {
    key.split_once('.').map(|(section, _)| section)
}

fn unknown(figment: &Figment, key: String, value: &Value) -> ConfigError {
    let first = key.split('.').next().unwrap_or_default();
    let siblings: Vec<_> =
        ALL.iter().map(|setting| setting.key).filter(|known| section(known) == Some(first)).collect();
    let expected = if siblings.is_empty() {
        let mut sections: Vec<_> =
            ALL.iter().map(|setting| section(setting.key).unwrap_or(setting.key)).collect();
        sections.dedup();
        format!("there are {}", sections.join(", "))
    } else {
        format!("in that section there are {}", siblings.join(", "))
    };
    let origin = sources::describe(figment.get_metadata(first_tag(value)), &key);
    ConfigError::Unknown { key, origin, expected }
}

/// A table has no source of its own where several were merged, but its values have.
fn first_tag(value: &Value) -> figment::value::Tag {
    match value {
        Value::Dict(tag, inner) => inner.values().next().map_or(*tag, first_tag),
        other => other.tag(),
    }
}

fn refused(figment: &Figment, setting: &Setting, value: &Value, allowed: String) -> ConfigError {
    ConfigError::Value {
        key: setting.key,
        value: shown(setting, value),
        origin: sources::describe(figment.get_metadata(value.tag()), setting.key),
        allowed,
    }
}

/// Checks the limits against each other.
pub(super) fn check_together(config: &Config, figment: &Figment) -> Result<(), ConfigError> {
    let (desk, points, orders) = (&config.desk, &config.points, &config.orders);
    let checks = [
        (
            desk.batch_max <= desk.queue_max,
            "desk.batch_max",
            format!("at most `desk.queue_max`, which is {}", desk.queue_max),
        ),
        (
            points.charge_max <= points.charge_day_max,
            "points.charge_max",
            format!("at most `points.charge_day_max`, which is {}", points.charge_day_max),
        ),
        (
            orders.unsent_deadline_s <= orders.sent_deadline_s,
            "orders.unsent_deadline_s",
            format!("at most `orders.sent_deadline_s`, which is {}", orders.sent_deadline_s),
        ),
        (
            config.idempotency.keep_s >= orders.sent_deadline_s,
            "idempotency.keep_s",
            format!(
                "at least `orders.sent_deadline_s`, which is {}, so that a caller may ask again about an open order",
                orders.sent_deadline_s
            ),
        ),
    ];
    for (holds, key, allowed) in checks {
        if let (false, Some(setting), Ok(value)) = (holds, find(key), figment.find_value(key)) {
            return Err(refused(figment, setting, &value, allowed));
        }
    }
    Ok(())
}
