//! Figures of this process, from Linux's `/proc`. Elsewhere there are none, and the gauges stay away.

/// Clock ticks a second in `/proc/self/stat`: the kernel's interface fixes it at 100 on every architecture
/// that Rust's standard library runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Sets the process gauges to what they are now.
pub(crate) fn refresh(uptime_seconds: f64) {
    metrics::gauge!("process_uptime_seconds").set(uptime_seconds);
    if let Some(bytes) = read("/proc/self/status").as_deref().and_then(resident_bytes) {
        metrics::gauge!("process_resident_memory_bytes").set(bytes);
    }
    if let Some(seconds) = read("/proc/self/stat").as_deref().and_then(cpu_seconds) {
        metrics::gauge!("process_cpu_seconds_total").set(seconds);
    }
    if let Some(count) = open_fds() {
        metrics::gauge!("process_open_fds").set(f64::from(count));
    }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn open_fds() -> Option<u32> {
    // The directory being listed is itself one open descriptor.
    let count = std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    u32::try_from(count).ok()
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u32 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(f64::from(kibibytes) * 1024.0)
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    // The second field is the program's name in parentheses, which may hold spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let user: u32 = times.next()?.parse().ok()?;
    let system: u32 = times.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_in_bytes() {
        assert_eq!(resident_bytes("Name:\tx\nVmPeak:\t  90 kB\nVmRSS:\t    12 kB\n"), Some(12.0 * 1024.0));
        assert_eq!(resident_bytes("VmRSS:\t many kB"), None);
        assert_eq!(resident_bytes(""), None);
    }

    #[test]
    fn cpu_time_is_user_and_system_in_seconds() {
        let stat = "12 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("12 (a) S 1 2"), None);
        assert_eq!(cpu_seconds("nothing"), None);
    }
}
