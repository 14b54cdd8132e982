//! Questions to a node over HTTP, of which only the answer's status and text are of interest.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Whether the answer is 200, and its text; none where there is no answer.
pub async fn get(address: SocketAddr, path: &str) -> Option<(bool, String)> {
    let asking = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let is_ok = answer.split(' ').nth(1)? == "200";
        Some((is_ok, answer))
    };
    tokio::time::timeout(ANSWER_WITHIN, asking).await.ok()?
}

/// The sum of a counter over its labels, as Prometheus' text has it.
pub fn sum_of(metrics: &str, name: &str) -> u64 {
    let of_it = metrics.lines().filter(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
    });
    of_it.filter_map(|line| line.rsplit_once(' ')?.1.trim().parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_summed_over_its_labels_and_no_other_is() {
        let text =
            "# TYPE a_total counter\na_total{type=\"x\"} 3\na_total{type=\"y\"} 4\na_total_more 9\nb 1\n";
        assert_eq!((sum_of(text, "a_total"), sum_of(text, "b"), sum_of(text, "c")), (7, 1, 0));
    }

    #[tokio::test]
    async fn nobody_who_answers_is_none() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(get(address, "/").await, None);
    }
}
