//! What is written to break out of a statement, a path or a document, in every place where a caller can write.

use serde_json::{Value, json};

use crate::access::World;
use crate::document::{document, operations};

/// Each ends a literal, a statement, a comment or a text in another way.
const PAYLOADS: [&str; 14] = [
    "' OR '1'='1",
    "' OR 1=1 -- ",
    "\"; DROP TABLE users; --",
    "'; DELETE FROM orders; --",
    "1); UPDATE users SET balance = 1000000; --",
    "x' UNION SELECT password_hash FROM users --",
    "' AND (SELECT 1 FROM sqlite_master) --",
    "%' AND 1=0 OR name LIKE '%",
    "`; VACUUM; `",
    "\\' OR 1=1 #",
    "/**/OR/**/1=1",
    "{{7*7}}${7*7}<script>alert(1)</script>",
    "../../../../etc/passwd",
    "\u{0}\u{1}\r\nSet-Cookie: a=b",
];

/// The body with each of its texts replaced in turn.
fn with_payload(body: &Value, payload: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let members: Vec<String> = match body {
        Value::Object(members) => members.keys().cloned().collect(),
        Value::Array(items) => (0..items.len()).map(|index| index.to_string()).collect(),
        Value::String(_) => return vec![json!(payload)],
        _ => Vec::new(),
    };
    for name in members {
        let pointer = format!("/{name}");
        for inner in with_payload(body.pointer(&pointer).unwrap(), payload) {
            let mut changed = body.clone();
            *changed.pointer_mut(&pointer).unwrap() = inner;
            all.push(changed);
        }
    }
    all
}

/// As it travels in a path or a query.
fn encoded(payload: &str) -> String {
    payload.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"))
}

#[tokio::test]
async fn no_text_of_a_caller_becomes_part_of_a_statement() {
    let world = World::open().await;
    let counts = async || world.shop.row_counts(&["orders", "products", "point_ledger"]).await;
    let (before, mut asked) = (counts().await, 0);
    for (method, path, operation) in operations(&document()) {
        let id = operation["operationId"].as_str().unwrap();
        if id == "logOut" {
            continue;
        }
        for payload in PAYLOADS {
            let request = async |path: &str| world.request(&method, path, id, "admin").await.by(&world.admin);
            let mut calls = Vec::new();
            for body in world.body(id, "admin").iter().flat_map(|body| with_payload(body, payload)) {
                calls.push(request(&path).await.json(&body));
            }
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            for parameter in &parameters {
                let name = parameter["name"].as_str().unwrap();
                match parameter["in"].as_str().unwrap() {
                    "query" => calls.push(request(&format!("{path}?{name}={}", encoded(payload))).await),
                    "path" => {
                        let path = path.replace(&format!("{{{name}}}"), &encoded(payload));
                        calls.push(world.shop.call(&method, &path).new_key().by(&world.admin));
                    }
                    _ => {}
                }
            }
            for call in calls {
                let reply = call.send().await;
                assert!(reply.status.as_u16() < 500, "{id} with {payload:?}: {reply:?}");
                assert!(!reply.json.to_string().contains("argon2id"), "{id} with {payload:?}: {reply:?}");
                asked += 1;
            }
        }
    }
    assert!(asked > 500, "{asked}");
    // Nothing is gone, and nobody became rich.
    let after = counts().await;
    assert!(before.iter().zip(&after).all(|(before, after)| before <= after), "{before:?} {after:?}");
    let admin = world.shop.balance(&world.admin).await;
    assert!(admin <= 100_000 + 10 * 1_000, "{admin}");
}

#[tokio::test]
async fn a_name_is_kept_and_found_as_it_was_written() {
    let world = World::open().await;
    for (number, payload) in PAYLOADS.into_iter().enumerate().filter(|(_, text)| !text.contains('\0')) {
        let body = json!({
            "code": format!("NAME-{number}"), "name": payload, "brandId": 1, "price": 1, "stock": 1,
        });
        let added = world.shop.post("/api/v1/products").by(&world.admin).json(&body).send().await.expect(201);
        assert_eq!(added["name"], payload, "{payload:?}");
        let found =
            world.shop.get(&format!("/api/v1/products?search={}", encoded(payload.trim()))).send().await;
        assert_eq!(found.expect(200).items("id"), [added["id"].clone()], "{payload:?}");
    }
}
