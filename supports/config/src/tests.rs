use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shop {
    name: String,
    api: Api,
    #[serde(skip)]
    from_file: bool,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Api {
    bind: IpAddr,
    port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Vec<Secret>>,
}

impl Default for Shop {
    fn default() -> Self {
        let api = Api { bind: [127, 0, 0, 1].into(), port: 80, keys: None };
        Self { name: "shop".to_owned(), api, from_file: false }
    }
}

impl Section for Shop {
    const SETTINGS: &'static [Setting] = &[
        setting("name", Rule::Text(checks::is_present, "a name")),
        setting("api.bind", Rule::Text(checks::is_address, "an IP address")),
        setting("api.port", Rule::Whole(0, 65_535, "")),
        setting("api.keys", Rule::HiddenList(checks::is_token, "16 characters")),
    ];

    fn complete(&mut self, values: &Values) -> Result<(), ConfigError> {
        self.from_file = values.from_file();
        if self.name == "closed" { Err(values.refused("name", "an open one".to_owned())) } else { Ok(()) }
    }
}

#[derive(Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counter {
    counter: Counting,
    optional: Optional,
}

#[derive(Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Optional {
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u8>,
}

#[derive(Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counting {
    batch: usize,
    enabled: bool,
}

impl Section for Counter {
    const SETTINGS: &'static [Setting] = &[
        setting("counter.batch", Rule::Whole(0, 9, "")),
        setting("counter.enabled", Rule::Switch),
        setting("optional.limit", Rule::Whole(0, 9, "")),
    ];
}

fn tables() -> Tables {
    Tables::default().with::<Shop>().with::<Counter>()
}

fn from_environment(variables: &[(&str, &str)]) -> Result<Values, ConfigError> {
    let environment = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    tables().read(&Sources { environment, ..Sources::default() })
}

#[test]
fn one_file_fills_the_sections_of_all_apps() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("all.toml");
    std::fs::write(&file, "name = \"x\"\n[api]\nport = 1\n[counter]\nbatch = 2\n").unwrap();
    let flags = vec![Flag::whole("--count-port", "api.port", 3_u16)];
    let environment = vec![("COMMERCE_COUNTER__ENABLED".into(), "true".into())];
    let sources = Sources { file: Some(file.clone()), environment, flags };
    let values = tables().read(&sources).unwrap();
    let shop: Shop = values.section().unwrap();
    assert!(shop.from_file && shop.name == "x" && shop.api.port == 3, "{shop:?}");
    let counter: Counter = values.section().unwrap();
    let counting = Counting { batch: 2, enabled: true };
    assert_eq!(counter, Counter { counter: counting, optional: Optional { limit: None } });
    let said: Vec<_> = values.origins().into_iter().map(|origin| (origin.key, origin.source)).collect();
    let file = format!("file {}", file.display());
    let expected = [
        ("name", file.as_str()),
        ("api.bind", "default"),
        ("api.port", "flag --count-port"),
        ("api.keys", "not set"),
        ("counter.batch", &file),
        ("counter.enabled", "environment variable COMMERCE_COUNTER__ENABLED"),
        ("optional.limit", "not set"),
    ];
    assert_eq!(said, expected.map(|(key, source)| (key, source.to_owned())));
}

#[test]
fn a_key_of_another_app_is_unknown_to_a_process_without_it() {
    let alone = Tables::default().with::<Shop>();
    let environment = vec![("COMMERCE_COUNTER__BATCH".into(), "1".into())];
    let error = alone.read(&Sources { environment, ..Sources::default() }).unwrap_err();
    assert!(error.to_string().contains("unknown setting `counter` "), "{error}");
    let error = from_environment(&[("COMMERCE_COUNTER__BACTH", "1")]).unwrap_err();
    assert!(error.to_string().contains("there are counter.batch, counter.enabled"), "{error}");
}

#[test]
fn what_a_section_refuses_itself_is_told_with_its_source() {
    let error = from_environment(&[("COMMERCE_NAME", "closed")]).unwrap().section::<Shop>().unwrap_err();
    let expected = "`name` is \"closed\" (environment variable COMMERCE_NAME); allowed: an open one";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_list_of_secrets_is_checked_one_by_one_and_never_shown() {
    let (one, other) = ("sesame-sesame-sesame", "poppy-poppy-poppy-poppy");
    let values = from_environment(&[("COMMERCE_API__KEYS", &format!("{one}, {other}"))]).unwrap();
    let keys = values.section::<Shop>().unwrap().api.keys.unwrap();
    assert_eq!(keys.iter().map(Secret::expose).collect::<Vec<_>>(), [one, other]);
    let origin = values.origins().into_iter().find(|origin| origin.key == "api.keys").unwrap();
    assert_eq!(origin.value.as_deref(), Some("[\"[hidden]\"]"));
    assert_eq!(origin.source, "environment variable COMMERCE_API__KEYS");
    for wrong in ["", "sesame", "sesame-sesame-sesame,"] {
        let error = from_environment(&[("COMMERCE_API__KEYS", wrong)]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("sesame"), "{error:?}");
        assert!(error.to_string().contains("a list of at least one, each 16 characters"), "{error}");
    }
}

#[test]
fn a_section_of_another_process_stands_there_unread() {
    let environment = vec![
        ("COMMERCE_API__PORT".into(), "81".into()),
        ("COMMERCE_COUNTER__BATCH".into(), "no number".into()),
    ];
    let sources = Sources { environment, ..Sources::default() };
    let alone = || Tables::default().with::<Shop>();
    let values = alone().beside(&["counter"]).read(&sources).unwrap();
    assert_eq!(values.section::<Shop>().unwrap().api.port, 81);
    assert!(values.origins().iter().all(|origin| !origin.key.starts_with("counter")));
    let error = alone().beside(&["optional"]).read(&sources).unwrap_err();
    assert!(matches!(&error, ConfigError::Unknown { key, .. } if key == "counter"), "{error:?}");
}
