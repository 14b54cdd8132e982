use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

/// Characters of a name at most; names are labels of metrics.
const NAME_CHARS_MAX: usize = 64;

/// The longest of all waits and limits: a day.
pub(crate) const DURATION_MAX: Duration = Duration::from_hours(24);

/// An option has a value that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{layer} `{name}`: `{option}` is {value}; expected {expected}")]
pub struct OptionsError {
    /// What is set up: `circuit breaker`, `retry`, `bulkhead`, `time limiter`.
    pub layer: &'static str,
    /// Its name.
    pub name: String,
    /// The option.
    pub option: &'static str,
    /// What it was set to.
    pub value: String,
    /// What it may be.
    pub expected: String,
}

/// Checks the options of one layer.
pub(crate) struct Check<'a> {
    layer: &'static str,
    name: &'a str,
}

impl<'a> Check<'a> {
    /// Checks the name first.
    pub(crate) fn of(layer: &'static str, name: &'a str) -> Result<Self, OptionsError> {
        let check = Self { layer, name };
        let good = (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
        check.that(
            good,
            "name",
            format_args!("`{name}`"),
            format_args!("1 to {NAME_CHARS_MAX} visible ASCII characters"),
        )?;
        Ok(check)
    }

    pub(crate) fn that(
        &self,
        good: bool,
        option: &'static str,
        value: impl Display,
        expected: impl Display,
    ) -> Result<(), OptionsError> {
        if good {
            return Ok(());
        }
        Err(OptionsError {
            layer: self.layer,
            name: self.name.to_owned(),
            option,
            value: value.to_string(),
            expected: expected.to_string(),
        })
    }

    pub(crate) fn number(
        &self,
        option: &'static str,
        value: usize,
        from: usize,
        to: usize,
    ) -> Result<(), OptionsError> {
        self.that((from..=to).contains(&value), option, value, format_args!("{from} to {to}"))
    }

    pub(crate) fn duration(
        &self,
        option: &'static str,
        value: Duration,
        from: Duration,
        to: Duration,
    ) -> Result<(), OptionsError> {
        let good = (from..=to).contains(&value);
        self.that(good, option, format_args!("{value:?}"), format_args!("{from:?} to {to:?}"))
    }

    pub(crate) fn name(&self) -> Arc<str> {
        self.name.into()
    }
}
