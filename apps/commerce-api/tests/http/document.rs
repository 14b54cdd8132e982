//! The `OpenAPI` document.

use std::collections::BTreeSet;

use commerce_api::interfaces::{DOCUMENT_PATH, PAGE_PATH, openapi};
use serde_json::Value;

use crate::support::{Mode, Shop};

pub fn document() -> Value {
    serde_json::to_value(openapi()).unwrap()
}

/// Method, path and operation.
pub fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let methods = item.as_object().unwrap().clone();
        let path = path.clone();
        methods.into_iter().map(move |(method, operation)| (method.to_uppercase(), path.clone(), operation))
    };
    paths.iter().flat_map(of_path).collect()
}

/// The path of an operation with an id of the kind that it wants: `number`, or some UUID.
pub fn path_with(path: &str, operation: &Value, number: i64) -> String {
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let by_uuid = parameters.iter().any(|one| one["in"] == "path" && one["schema"]["format"] == "uuid");
    let number = number.to_string();
    let path = path.replace("{name}", "gateway-query");
    path.replace("{id}", if by_uuid { "0190163d-8694-739b-aea5-966c26f8ad91" } else { &number })
}

/// Whether a signature opens the operation: it is looked at before the body.
pub fn is_signed(operation: &Value) -> bool {
    operation["x-policy"] == "SIGNED"
}

fn strings<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get(key).and_then(Value::as_str));
            members.values().for_each(|member| strings(member, key, found));
        }
        Value::Array(items) => items.iter().for_each(|item| strings(item, key, found)),
        _ => {}
    }
}

#[test]
fn the_document_is_as_published() {
    insta::assert_json_snapshot!("openapi", document());
}

#[test]
fn the_document_is_openapi_3_1_without_servers() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    assert_eq!(document["servers"], Value::Null);
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
}

#[test]
fn every_reference_resolves() {
    let document = document();
    let mut references = Vec::new();
    strings(&document, "$ref", &mut references);
    assert!(references.len() > 100);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn every_operation_says_who_may_call_it_and_what_it_answers() {
    let document = document();
    let tags: BTreeSet<&str> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let name = format!("{method} {path}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{name}");
        for tag in operation["tags"].as_array().unwrap() {
            assert!(tags.contains(tag.as_str().unwrap()), "{name}: {tag}");
        }
        let open = operation["x-policy"] == "ANYONE";
        let without_session = operation["security"].as_array().unwrap().contains(&serde_json::json!({}));
        assert_eq!(open, without_session, "{name}");
        assert!(operation["summary"].is_string(), "{name}");
        assert_responses(&name, &operation);
    }
}

fn assert_responses(name: &str, operation: &Value) {
    let responses = operation["responses"].as_object().unwrap();
    for status in ["401", "429", "500", "503"] {
        assert!(responses.contains_key(status), "{name} {status}");
    }
    let admin = operation["x-policy"] == "ADMIN";
    assert!(!admin || responses.contains_key("403"), "{name}");
    let has_input = operation["parameters"].is_array() || operation["requestBody"].is_object();
    assert!(!has_input || responses.contains_key("400"), "{name}");
    for status in ["408", "413", "415"] {
        assert_eq!(operation["requestBody"].is_object(), responses.contains_key(status), "{name} {status}");
    }
    for (status, response) in responses {
        let kind = if status.starts_with('2') { "application/json" } else { "application/problem+json" };
        assert!(status == "204" || response["content"][kind].is_object(), "{name} {status}");
    }
}

#[tokio::test]
async fn the_document_and_its_page_are_served() {
    let shop = Shop::open().await;
    assert_eq!(shop.get(DOCUMENT_PATH).send().await.expect(200).json, document());
    let redirect = shop.get(PAGE_PATH).send().await.expect(303);
    let page = shop.get(redirect.header("location")).send().await.expect(200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert_eq!((page.header("x-frame-options"), page.header("referrer-policy")), ("DENY", "no-referrer"));
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    let initializer = shop.get(&format!("{PAGE_PATH}/swagger-initializer.js")).send().await.expect(200);
    let initializer = String::from_utf8(initializer.body.to_vec()).unwrap();
    assert!(
        initializer.contains(DOCUMENT_PATH) && initializer.contains(r#""validatorUrl": "none""#),
        "{initializer}"
    );
    for text in [page, initializer] {
        assert!(!text.contains("http://") && !text.contains("https://"), "{text}");
    }
    shop.get(&format!("{PAGE_PATH}/swagger-ui-bundle.js")).send().await.expect(200);
}

#[tokio::test]
async fn the_document_can_be_turned_off() {
    let shop = Shop::open_in(Mode { docs: false, ..Mode::default() }).await;
    shop.get(DOCUMENT_PATH).send().await.refused(404, "ROUTE_NOT_FOUND");
    shop.get(PAGE_PATH).send().await.refused(404, "ROUTE_NOT_FOUND");
}
