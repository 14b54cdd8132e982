//! A disk without room: nothing is answered that was not kept, nothing that was answered is lost, and when there is room
//! again the shop goes on by itself. The limit of a file's size stands in for the disk: the operating system refuses every
//! write beyond it, from one moment to the next and back. `prlimit` is everywhere where there is Linux.

#![cfg(target_os = "linux")]

use std::process::Command;

use crate::support::{DataDir, UP, Up, command, run, wait_until_settled};
use serde_json::{Value, json};

/// How many orders are asked for while there is no room.
const ASKED: usize = 8;

/// Starts the shop without the signal that would kill it at the limit, as a full disk sends none.
fn start(dir: &DataDir) -> Up {
    let shop = command(dir.path(), &UP);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(shop.get_program()).args(shop.get_args());
    for (name, value) in shop.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.envs([("COMMERCE_RELAY__EVERY_MS", "50"), ("COMMERCE_COLLECTOR__FLUSH_MS", "20")]);
    Up::of(shell)
}

/// No file of the shop grows beyond that from now on, nor is anything written behind it.
fn limit_files(up: &Up, limit: &str) {
    let (pid, limit) = (up.pid().to_string(), format!("--fsize={limit}:"));
    assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
}

fn order(up: &Up, token: &str, number: usize) -> (u16, Value) {
    let card = json!({ "card": { "type": "KB", "number": "9417-3355-0000-4242" } });
    let payment = if number.is_multiple_of(2) { json!({}) } else { card };
    let body = json!({ "lines": [{ "productId": 7, "quantity": 1 }], "payment": payment });
    up.post("/api/v1/orders", Some(token), Some(&format!("full-{number}")), &body)
}

#[test]
fn a_full_disk_refuses_and_loses_nothing_and_room_is_found_by_itself() {
    let dir = DataDir::new();
    let up = start(&dir);
    let log_in = json!({ "loginId": "shopper", "password": "shopper-demo" });
    let (_, session) = up.post("/api/v1/sessions", None, None, &log_in);
    let token = session["token"].as_str().unwrap();
    let charge = json!({ "amount": 1_000_000 });
    assert_eq!(up.post("/api/v1/users/me/points/charges", Some(token), Some("points"), &charge).0, 201);
    let before: Vec<_> = (0..2).map(|number| order(&up, token, number)).collect();
    assert_eq!((before[0].0, before[1].0), (201, 202), "{before:?}");

    limit_files(&up, "4096");
    for number in 2..ASKED {
        let (status, problem) = order(&up, token, number);
        let code = problem["code"].as_str().unwrap();
        assert_eq!(status, 503, "{problem}");
        assert!(matches!(code, "OUTCOME_UNKNOWN" | "STORAGE_UNAVAILABLE"), "{problem}");
    }
    assert_eq!(up.post("/api/v1/sessions", None, None, &log_in).0, 503, "a log-in writes");
    assert_eq!(up.get("/api/v1/products/7").0, 200, "reads need no room");

    limit_files(&up, "unlimited");
    // What was answered is answered the same; what was not is done once.
    for (number, told) in before.iter().enumerate() {
        assert_eq!(&order(&up, token, number), told);
    }
    let again: Vec<_> = (2..ASKED).map(|number| order(&up, token, number)).collect();
    let ids: std::collections::BTreeSet<_> =
        again.iter().map(|(_, order)| order["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), ASKED - 2, "{again:?}");
    let report = wait_until_settled(dir.path());
    assert_eq!(report["totals"]["orders PAID"], json!(ASKED), "{report}");
    let total = |name: &str| report["totals"][name].as_i64().unwrap();
    assert_eq!(up.gateway_books(), (total("captured"), 0), "{report}");
    assert_eq!(up.terminate().0, 0);
    run(dir.path(), &["audit", "--settled"]).expect(0);
}
