//! A demonstration's public accounts never come into a configured shop.

use std::path::Path;

use crate::support::{DataDir, Ended, UP, Up, command, run, run_with_input};
use serde_json::json;

/// A configured shop: a file, secrets of its own, and a gateway that signs nothing.
pub struct Configured {
    file: String,
    key: String,
}

impl Configured {
    pub fn new(dir: &DataDir) -> Self {
        let path = dir.join("shop.toml");
        std::fs::write(&path, "").unwrap();
        Self { file: path.to_str().unwrap().to_owned(), key: "0123456789abcdef".repeat(4) }
    }

    pub fn environment(&self) -> [(&str, &str); 4] {
        [
            ("COMMERCE_CONFIG", &self.file),
            ("COMMERCE_SECRETS__FINGERPRINT_KEY", &self.key),
            ("COMMERCE_SECRETS__VAULT_KEY", &self.key),
            ("COMMERCE_GATEWAY__SIGNATURE", "false"),
        ]
    }

    fn run(&self, data_dir: &Path, arguments: &[&str]) -> Ended {
        command(data_dir, arguments).envs(self.environment()).output().unwrap().into()
    }
}

fn demo(data_dir: &Path, code: i32) -> Ended {
    run(data_dir, &UP).expect(code)
}

#[test]
fn a_demonstration_never_opens_a_configured_shop() {
    let dir = DataDir::new();
    let shop = Configured::new(&dir);
    let data = dir.join("data");
    let (code, said) = Up::start_with(&data, &shop.environment()).terminate();
    assert_eq!(code, 0, "{said}");
    let file = data.join("shop.mode");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "shop\n");

    let refused = demo(&data, 2).stderr;
    assert!(refused.contains("belongs to a configured shop") && refused.contains("--config"), "{refused}");
    let create = ["user", "create", "--login-id", "root", "--email", "r@example.com", "--role", "ADMIN"];
    let create = [&create[..], &["--password-stdin"]].concat();
    run_with_input(&data, &create, "correct horse battery\n").expect(2);
    // A shop from before there was the file.
    std::fs::remove_file(&file).unwrap();
    demo(&data, 2);
    assert!(!file.exists() && !data.join("secrets.toml").exists());

    let up = Up::start_with(&data, &shop.environment());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "shop\n");
    let log_in = json!({ "loginId": "admin", "password": "admin-demo" });
    assert_eq!(up.post("/api/v1/sessions", None, None, &log_in).0, 401);
}

#[test]
fn a_configured_shop_never_opens_a_demonstration() {
    let dir = DataDir::new();
    let shop = Configured::new(&dir);
    let data = dir.join("data");
    assert_eq!(Up::start(&data).terminate().0, 0);
    let file = data.join("shop.mode");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "demo\n");
    let refused = shop.run(&data, &UP).expect(2).stderr;
    assert!(refused.contains("accounts are public") && refused.contains("--data-dir"), "{refused}");
    // A demonstration from before there was the file.
    std::fs::remove_file(&file).unwrap();
    shop.run(&data, &UP).expect(2);
    assert!(!file.exists());
    drop(Up::start(&data));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "demo\n");
}

#[test]
fn whoever_makes_the_database_says_whose_it_is() {
    let dir = DataDir::new();
    let shop = Configured::new(&dir);
    let (ours, public) = (dir.join("ours"), dir.join("public"));
    shop.run(&ours, &["migrate"]).expect(0);
    demo(&ours, 2);
    run(&public, &["migrate"]).expect(0);
    shop.run(&public, &UP).expect(2);
    // Neither needed a secret, and the demonstration still starts.
    assert!(!ours.join("secrets.toml").exists() && !public.join("secrets.toml").exists());
    drop(Up::start(&public));
}
