//! The metrics of the process, in Prometheus' text form.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::Instant;

use crate::process;

/// Bounds in seconds: from a cache hit to a request nobody waits for.
const SECONDS: [f64; 15] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Bounds of batch sizes, up to the largest batch of the order desk.
const BATCH_SIZES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Why metrics cannot be recorded.
#[derive(Debug, Clone, thiserror::Error)]
#[error("metrics cannot be recorded: {0}")]
pub struct MetricsError(String);

/// Reads what the process has recorded.
#[derive(Debug, Clone)]
pub struct MetricsHandle {
    recorder: PrometheusHandle,
    installed: Instant,
}

/// Starts recording. One recorder serves the process: later calls give the same one.
///
/// Histograms named `*_seconds` and `*batch_size` have fixed buckets; others are summaries.
pub fn install() -> Result<MetricsHandle, MetricsError> {
    static INSTALLED: OnceLock<Result<MetricsHandle, MetricsError>> = OnceLock::new();
    INSTALLED
        .get_or_init(|| {
            let recorder = builder()
                .and_then(PrometheusBuilder::install_recorder)
                .map_err(|error| MetricsError(error.to_string()))?;
            describe();
            Ok(MetricsHandle { recorder, installed: Instant::now() })
        })
        .clone()
}

impl MetricsHandle {
    /// Everything recorded, in Prometheus' text form 0.0.4, with the process gauges as they are now.
    pub fn render(&self) -> String {
        process::refresh(self.installed.elapsed().as_secs_f64());
        self.recorder.run_upkeep();
        self.recorder.render()
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("batch_size".to_owned()), &BATCH_SIZES)
}

fn describe() {
    metrics::describe_histogram!(
        "http_server_requests_seconds",
        "Time until the head of a response, in seconds"
    );
    metrics::describe_gauge!("process_uptime_seconds", "Time since the process began to record, in seconds");
    metrics::describe_gauge!("process_resident_memory_bytes", "Resident memory, in bytes");
    metrics::describe_gauge!("process_cpu_seconds_total", "User and system CPU time, in seconds");
    metrics::describe_gauge!("process_open_fds", "Open file descriptors");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, series: &str) -> Option<f64> {
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    #[test]
    fn install_twice_is_one_recorder() {
        let first = install().unwrap();
        let second = install().unwrap();
        metrics::counter!("install_twice_total").increment(2);
        assert_eq!(value(&first.render(), "install_twice_total"), Some(2.0));
        assert_eq!(value(&second.render(), "install_twice_total"), Some(2.0));
    }

    #[test]
    fn histograms_have_buckets() {
        let handle = install().unwrap();
        metrics::histogram!("buckets_seconds").record(0.003);
        metrics::histogram!("desk_batch_size").record(100.0);
        let text = handle.render();
        assert_eq!(value(&text, r#"buckets_seconds_bucket{le="0.0025"}"#), Some(0.0), "{text}");
        assert_eq!(value(&text, r#"buckets_seconds_bucket{le="0.005"}"#), Some(1.0));
        assert_eq!(value(&text, r#"desk_batch_size_bucket{le="64"}"#), Some(0.0));
        assert_eq!(value(&text, r#"desk_batch_size_bucket{le="128"}"#), Some(1.0));
        assert_eq!(value(&text, r#"desk_batch_size_bucket{le="512"}"#), Some(1.0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn process_gauges_are_there() {
        let text = install().unwrap().render();
        assert!(value(&text, "process_resident_memory_bytes").unwrap() > 500_000.0, "{text}");
        assert!(value(&text, "process_open_fds").unwrap() >= 3.0);
        assert!(value(&text, "process_cpu_seconds_total").unwrap() >= 0.0);
        assert!(value(&text, "process_uptime_seconds").unwrap() >= 0.0);
        assert!(text.contains("# HELP process_open_fds "), "{text}");
    }
}
