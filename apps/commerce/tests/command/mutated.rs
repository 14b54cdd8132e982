//! Ten thousand requests that were valid once, over real sockets: whatever they have become, the shop answers, and neither
//! its memory nor its books suffer. `COMMERCE_TEST_LONG=1` sends a hundred thousand.

mod requests;
mod wrong;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use self::requests::{Request, Sessions, VALID};
use self::wrong::Dice;
use crate::support::{DataDir, Up, wait_until_settled};

/// The same requests in every run.
const SEED: u64 = 20_261_128;
/// Requests after which every path was warm: from here on memory must not grow with their number.
const WARM: u32 = 2_000;
/// What the allocator, the database's page cache and the tables of limits, views and sessions may still take.
const GROWTH_MAX_KIB: u64 = 64 * 1_024;

/// Limits that a single caller in a hurry does not meet, no waiting for the disk, and no log of every refusal.
const UNLIMITED: [(&str, &str); 8] = [
    ("COMMERCE_LOG__FILTER", "error"),
    ("COMMERCE_LIMITS__USER_READS_PER_S", "100000"),
    ("COMMERCE_LIMITS__USER_READS_BURST", "1000000"),
    ("COMMERCE_LIMITS__USER_WRITES_PER_S", "100000"),
    ("COMMERCE_LIMITS__USER_WRITES_BURST", "1000000"),
    ("COMMERCE_LIMITS__ACCOUNT_LOG_INS_PER_MINUTE", "100000"),
    ("COMMERCE_LIMITS__ACCOUNT_LOG_INS_BURST", "1000000"),
    ("COMMERCE_DATABASE__DURABLE", "false"),
];

fn log_in(shop: &Up, name: &str) -> String {
    let body = json!({"loginId": name, "password": format!("{name}-demo")});
    let (status, session) = shop.post("/api/v1/sessions", None, None, &body);
    assert_eq!(status, 201, "{session}");
    session["token"].as_str().unwrap().to_owned()
}

/// Resident memory of a process.
fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Status, and whether a refusal came as a problem document.
fn send(host: &str, request: &Request) -> Option<(u16, bool)> {
    let mut stream = TcpStream::connect(host).ok()?;
    stream.set_read_timeout(Some(Duration::from_mins(1))).ok()?;
    stream.write_all(&request.bytes(host)).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer);
    let (head, _) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, head.to_ascii_lowercase().contains("content-type: application/problem+json")))
}

#[test]
fn requests_that_were_valid_once_are_answered_and_leave_clean_books() {
    let long = std::env::var_os("COMMERCE_TEST_LONG").is_some();
    let requests = if long { 100_000 } else { 10_000 };
    let dir = DataDir::new();
    let shop = Up::start_with(dir.path(), &UNLIMITED);
    let sessions = Sessions { shopper: log_in(&shop, "shopper"), admin: log_in(&shop, "admin") };
    let points = json!({"amount": 1_000_000});
    let (status, charged) =
        shop.post("/api/v1/users/me/points/charges", Some(&sessions.shopper), Some("rich"), &points);
    assert_eq!(status, 201, "{charged}");

    let mut dice = Dice::new(SEED);
    let mut statuses = BTreeMap::<u16, u32>::new();
    let mut warm_kib = 0;
    for number in 0..requests {
        if number == WARM {
            warm_kib = resident_kib(shop.pid());
        }
        let mut request = VALID[dice.below(VALID.len())].filled(number, &sessions, &mut dice);
        // One in eight stays valid, so that there is something for the others to spoil.
        for _ in 0..[0, 1, 1, 1, 1, 1, 2, 3][dice.below(8)] {
            wrong::mutate(&mut request, &mut dice);
        }
        let Some((status, is_problem)) = send(&shop.api, &request) else {
            panic!("no answer to request {number}: {request:?}");
        };
        assert!((200..500).contains(&status), "{status} to request {number}: {request:?}");
        assert!(status < 400 || is_problem || request.is_head(), "{status} to request {number}: {request:?}");
        *statuses.entry(status).or_default() += 1;
    }

    let good: u32 = statuses.range(200..300).map(|(_, count)| count).sum();
    let bad: u32 = statuses.range(400..500).map(|(_, count)| count).sum();
    assert!(good > requests / 10 && bad > requests / 4, "{statuses:?}");
    for status in [200, 201, 202, 400, 401, 403, 404, 405, 409, 412, 415, 422, 428] {
        assert!(statuses.contains_key(&status), "no {status}: {statuses:?}");
    }
    let kib = resident_kib(shop.pid());
    assert!(kib < warm_kib + GROWTH_MAX_KIB, "{warm_kib} KiB when warm, {kib} KiB after {requests}");
    let (status, health) = shop.get("/actuator/health");
    assert_eq!((status, &health["status"]), (200, &json!("UP")));
    // Until the audit is clean.
    wait_until_settled(dir.path());
}
