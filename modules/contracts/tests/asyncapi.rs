//! The document says of the events what the types say.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use commerce_contracts::asyncapi::{document, envelope};
use commerce_contracts::event::{EventType, decode};
use commerce_contracts::topics;
use serde_json::{Value, json};

fn golden(kind: EventType) -> Value {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let text = std::fs::read(folder.join(format!("{}.v{}.json", kind.name(), kind.version()))).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn names(of: &Value) -> BTreeSet<&str> {
    match of {
        Value::Object(fields) => fields.keys().map(String::as_str).collect(),
        Value::Array(names) => names.iter().map(|name| name.as_str().unwrap()).collect(),
        other => panic!("{other}"),
    }
}

/// What of `schema` the value breaks: the part of JSON Schema that the document uses.
fn breaks(schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    };
    let fits = match &schema["type"] {
        Value::String(kind) => is(kind),
        kinds => kinds.as_array().unwrap().iter().any(|kind| is(kind.as_str().unwrap())),
    };
    if !fits {
        return vec![format!("{at}: {value} is no {}", schema["type"])];
    }
    let mut broken = Vec::new();
    if schema.get("const").is_some_and(|only| only != value) {
        broken.push(format!("{at}: {value} is not {}", schema["const"]));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        broken.push(format!("{at}: {value} is none of {allowed:?}"));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            broken.push(format!("{at}: without {name}"));
        }
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(property) => broken.extend(breaks(property, field, &format!("{at}/{name}"))),
            None => broken.push(format!("{at}: {name} is not in the document")),
        }
    }
    for item in value.as_array().into_iter().flatten() {
        broken.extend(breaks(&schema["items"], item, &format!("{at}[]")));
    }
    broken
}

#[test]
fn every_golden_file_is_as_its_schema_says() {
    for kind in EventType::ALL {
        assert_eq!(breaks(&envelope(kind), &golden(kind), kind.name()), Vec::<String>::new());
        let mut wrong = golden(kind);
        wrong["eventType"] = json!("Other");
        assert!(!breaks(&envelope(kind), &wrong, "").is_empty(), "{}", kind.name());
    }
}

#[test]
fn what_the_document_calls_required_is_what_cannot_be_decoded_without() {
    for kind in EventType::ALL {
        let payload = &envelope(kind)["properties"]["payload"];
        let required = names(&payload["required"]);
        for name in names(&payload["properties"]) {
            let nullable = payload["properties"][name]["type"].is_array();
            for change in [None, Some(Value::Null)] {
                let mut event = golden(kind);
                let fields = event["payload"].as_object_mut().unwrap();
                match change.clone() {
                    None => fields.remove(name),
                    Some(null) => fields.insert(name.to_owned(), null),
                };
                let decoded = decode(kind.topic(), event.to_string().as_bytes()).is_ok();
                assert_eq!(decoded, nullable, "{} {name} {change:?}", kind.name());
            }
            assert!(nullable || required.contains(name), "{} {name}", kind.name());
        }
    }
}

#[test]
fn every_event_is_in_the_document_on_its_topic_and_every_reference_leads_somewhere() {
    let document = document();
    let mut found = BTreeSet::new();
    let channels = document["channels"].as_object().unwrap();
    assert_eq!(channels.len(), topics::ALL.len());
    for channel in channels.values() {
        for name in names(&channel["messages"]) {
            let kind = EventType::parse(name).unwrap();
            assert_eq!(channel["address"], kind.topic());
            assert!(found.insert(name.to_owned()));
        }
    }
    assert_eq!(found.len(), EventType::ALL.len());
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        let target = document.pointer(pointer).unwrap_or_else(|| panic!("{pointer} leads nowhere"));
        // A message of a channel is a reference itself.
        assert!(target.is_object());
    }
}
