//! Logs to standard error, for people or for machines.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line, coloured on a terminal.
    #[default]
    Plain,
    /// One JSON object a line, with the fields of its span.
    Json,
}

/// Why logs cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter is not in the form `level,target=level`.
    #[error("log filter {filter:?} is not valid; use a form such as \"info,commerce_api=debug\"")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Somebody else has installed a subscriber.
    #[error("another log subscriber is installed in this process")]
    Taken,
}

/// Starts the logs of the process. Later calls check their filter and change nothing: the first one stays.
pub fn init(format: LogFormat, filter: &str) -> Result<(), LoggingError> {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    let filter = parse_filter(filter)?;
    let installed = INSTALLED.get_or_init(|| {
        let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let lines = lines(format, colours, std::io::stderr);
        Registry::default().with(lines.with_filter(filter)).try_init().is_ok()
    });
    if *installed { Ok(()) } else { Err(LoggingError::Taken) }
}

/// Checks a filter without starting anything.
pub fn check_filter(filter: &str) -> Result<(), LoggingError> {
    parse_filter(filter).map(drop)
}

fn parse_filter(filter: &str) -> Result<EnvFilter, LoggingError> {
    EnvFilter::builder()
        .parse(filter)
        .map_err(|source| LoggingError::Filter { filter: filter.to_owned(), source })
}

fn lines<S, W>(format: LogFormat, colours: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours);
    match format {
        LogFormat::Plain => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// One at a time: tracing decides per process which call sites are of interest, and a subscriber that
    /// starts while another thread first meets a call site may be overlooked.
    static LOGGING: Mutex<()> = Mutex::new(());

    fn logged(format: LogFormat, filter: &str) -> String {
        let _turn = LOGGING.lock().unwrap();
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let lines = lines(format, false, move || writer.clone());
        let subscriber = Registry::default().with(lines.with_filter(parse_filter(filter).unwrap()));
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("http_request", trace_id = "ab12");
            let _entered = span.enter();
            tracing::info!(orders = 3, "batch committed\nforged line");
            tracing::debug!("detail");
        });
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_carry_the_span() {
        let text = logged(LogFormat::Json, "info");
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "batch committed\nforged line");
        assert_eq!(line["orders"], 3);
        assert_eq!(line["span"]["trace_id"], "ab12");
        assert!(line["timestamp"].is_string());
    }

    #[test]
    fn plain_lines_are_readable_and_filtered() {
        let text = logged(LogFormat::Plain, "info");
        assert!(
            text.contains("INFO") && text.contains("batch committed") && text.contains("orders=3"),
            "{text}"
        );
        assert!(!text.contains("detail"));
        assert!(logged(LogFormat::Plain, "debug").contains("detail"));
    }

    #[test]
    fn a_bad_filter_is_named() {
        let error = init(LogFormat::Plain, "info,commerce=loud").unwrap_err();
        assert!(matches!(&error, LoggingError::Filter { filter, .. } if filter == "info,commerce=loud"));
        assert!(error.to_string().contains("commerce=loud"), "{error}");
        assert!(check_filter("=,=").is_err());
        assert!(check_filter("warn,commerce_api=debug").is_ok());
    }

    #[test]
    fn init_may_be_called_again() {
        init(LogFormat::Plain, "off").unwrap();
        init(LogFormat::Json, "info").unwrap();
        assert!(init(LogFormat::Json, "info,x=loud").is_err());
    }
}
