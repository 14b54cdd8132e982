//! What nobody may read: card numbers, passwords and tokens, searched for in everything that a shop leaves behind.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{DataDir, UP, Up, ask, command, wait_until_settled};
use serde_json::{Value, json};

/// Everything that every crate says at this level, its statements and connections too.
const DEBUG: (&str, &str) = ("COMMERCE_LOG__FILTER", "debug");
const CARD: &str = "9417-3355-6202-4242";
const DECLINED: &str = "9417-3355-6202-0002";
const PASSWORD: &str = "open sesame 4917";
const WRONG_PASSWORD: &str = "open barley 5028";
/// How the passwords of a walk's accounts end, and how its card numbers begin.
const OF_THE_WALK: [&str; 2] = [" of the walk", "9410-1234-5678"];
/// The public accounts of a demonstration: shown on its screen, and nowhere else.
const PUBLIC: [&str; 2] = ["shopper-demo", "admin-demo"];

fn has(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// A card number as people write it, and without the dashes.
fn spellings(secret: &str) -> Vec<String> {
    let plain = secret.replace('-', "");
    let is_card = plain.len() > 9 && plain.bytes().all(|byte| byte.is_ascii_digit());
    if is_card { vec![secret.to_owned(), plain] } else { vec![secret.to_owned()] }
}

/// Every file below `dir`.
fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

struct Secrets {
    cards: Vec<String>,
    others: Vec<String>,
}

impl Secrets {
    /// Fails where one stands in the clear. The gateway is the outside world: it knows cards, and nothing else.
    fn are_in_no_file_of(&self, dir: &Path, when: &str) {
        let mut cards_outside = false;
        for path in files(dir) {
            let bytes = fs::read(&path).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let is_outside = name.starts_with("gateway.sqlite");
            cards_outside |= is_outside && self.cards.iter().any(|card| has(&bytes, card.as_bytes()));
            let cards: &[String] = if is_outside { &[] } else { &self.cards };
            for secret in cards.iter().chain(&self.others) {
                assert!(!has(&bytes, secret.as_bytes()), "{when}: {secret:?} stands in {name}");
            }
        }
        assert!(cards_outside, "{when}: the search finds no card where there must be one");
    }

    fn are_not_in(&self, bytes: &[u8], what: &str) {
        for secret in self.cards.iter().chain(&self.others) {
            assert!(!has(bytes, secret.as_bytes()), "{secret:?} stands in {what}");
        }
    }
}

/// Opens an account and does what has secrets in it; gives back the tokens of its sessions.
fn shop(up: &Up) -> Vec<String> {
    let post = |path: &str, token: Option<&str>, key: Option<&str>, body: &Value, status: u16| {
        let (found, answer) = up.post(path, token, key, body);
        assert_eq!(found, status, "{path}: {answer}");
        answer
    };
    let account = json!({"loginId": "secretive", "email": "secretive@example.com", "password": PASSWORD});
    post("/api/v1/users", None, None, &account, 201);
    let log_in = |password: &str| json!({"loginId": "secretive", "password": password});
    post("/api/v1/sessions", None, None, &log_in(WRONG_PASSWORD), 401);
    let unknown = json!({"loginId": "nobody", "password": WRONG_PASSWORD});
    post("/api/v1/sessions", None, None, &unknown, 401);
    let session =
        |body: &Value| post("/api/v1/sessions", None, None, body, 201)["token"].as_str().unwrap().to_owned();
    let mut tokens = vec![session(&log_in(PASSWORD)), session(&log_in(PASSWORD))];
    let admin = session(&json!({"loginId": "admin", "password": PUBLIC[1]}));
    tokens.push(session(&json!({"loginId": "shopper", "password": PUBLIC[0]})));
    let buyers = post("/api/v1/demo/buyers", Some(&admin), None, &json!({"count": 3, "points": 500}), 201);
    let token_of = |buyer: &Value| buyer["token"].as_str().unwrap().to_owned();
    tokens.extend(buyers["buyers"].as_array().unwrap().iter().map(token_of));
    for (number, card) in [CARD, DECLINED, CARD].into_iter().enumerate() {
        let body = json!({
            "lines": [{"productId": 1, "quantity": 1}], "payment": {"card": {"type": "KB", "number": card}},
        });
        post("/api/v1/orders", Some(&tokens[0]), Some(&format!("secret-{number}")), &body, 202);
    }
    // A number where none belongs, a token in the wrong place, and a body that breaks off.
    let bad = json!({"lines": [{"productId": 1, "quantity": CARD}], "payment": {"card": {"type": CARD, "number": CARD}}});
    post("/api/v1/orders", Some(&tokens[0]), Some("bad"), &bad, 400);
    let cut = format!("{{\"loginId\": \"secretive\", \"password\": \"{PASSWORD}");
    assert_eq!(ask(&up.api, "POST /api/v1/sessions", None, None, &cut).unwrap().0, 400);
    // Ended, its token is still nobody's to read.
    let ended = ask(&up.api, "DELETE /api/v1/sessions/current", Some(&tokens[1]), None, "");
    assert_eq!(ended.unwrap().0, 204);
    tokens.push(admin);
    tokens
}

#[test]
fn no_card_number_password_or_token_is_left_behind_by_a_whole_demonstration() {
    let (dir, outside) = (DataDir::new(), DataDir::new());
    let logs = outside.join("logs");
    let mut up: Command = command(dir.path(), &UP);
    up.envs([DEBUG]).stderr(Stdio::from(File::create(&logs).unwrap()));
    let up = Up::of(up);
    let tokens = shop(&up);
    let mut walk = command(dir.path(), &["demo", "--url", &up.url()]);
    let walked = walk.envs([DEBUG]).output().unwrap();
    assert!(walked.status.success(), "{}", String::from_utf8_lossy(&walked.stdout));
    let cards = [CARD, DECLINED, OF_THE_WALK[1]].into_iter().flat_map(spellings).collect();
    let words = [PASSWORD, WRONG_PASSWORD, OF_THE_WALK[0], PUBLIC[0], PUBLIC[1]].map(str::to_owned);
    let secrets = Secrets { cards, others: words.into_iter().chain(tokens).collect() };
    // While it runs, with what is not yet in the tables; and when it has ended.
    secrets.are_in_no_file_of(dir.path(), "running");
    wait_until_settled(dir.path());
    let banner = up.banner.clone();
    let (code, said) = up.terminate();
    assert_eq!(code, 0, "{said}");
    secrets.are_in_no_file_of(dir.path(), "ended");
    let log = fs::read(&logs).unwrap();
    secrets.are_not_in(&log, "the logs");
    secrets.are_not_in(said.as_bytes(), "what the shop said");
    secrets.are_not_in(&walked.stdout, "what the walk said");
    secrets.are_not_in(&walked.stderr, "the logs of the walk");
    // The search does find what is there: names in the tables, hashes, and a log of everything.
    let tables = fs::read(dir.join("commerce.sqlite")).unwrap();
    assert!(has(&tables, b"secretive@example.com") && has(&tables, b"$argon2id$v=19$"));
    assert!(has(&log, b"DEBUG"), "{}", String::from_utf8_lossy(&log[..log.len().min(2_000)]));
    assert!(banner.contains(PUBLIC[0]), "public accounts are told on the screen");
}
