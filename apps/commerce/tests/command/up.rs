//! `commerce up`: one per directory, clear refusals, a banner that tells the truth.

use std::net::TcpListener;
use std::process::Command;

use crate::support::{DataDir, UP, Up, run};
use serde_json::json;

#[test]
fn a_second_up_on_the_same_directory_is_refused() {
    let dir = DataDir::new();
    let up = Up::start(dir.path());
    let second = run(dir.path(), &UP).expect(2);
    let pid = format!("process {}", up.pid());
    assert!(second.stderr.contains("in use") && second.stderr.contains(&pid), "{}", second.stderr);
    assert!(second.stderr.contains("--data-dir"), "{}", second.stderr);

    let (code, said) = up.terminate();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("Stopped."), "{said}");
    // The directory is free again, and its data is there.
    let up = Up::start(dir.path());
    assert!(up.banner.contains("shopper / shopper-demo"), "{}", up.banner);
}

#[test]
fn a_taken_port_is_told_with_the_way_out() {
    let dir = DataDir::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for flag in ["--api-port", "--collector-port", "--gateway-port"] {
        let mut up = UP;
        let place = up.iter().position(|argument| *argument == flag).unwrap() + 1;
        up[place] = &port;
        run(&dir.join("new"), &up).expect(2);
        assert!(!dir.join("new").exists(), "nothing was made");
        let refused = run(dir.path(), &up).expect(2);
        let text = &refused.stderr;
        assert!(text.contains(&format!("127.0.0.1:{port}")) && text.contains(flag), "{text}");
        assert_eq!(dir.path().read_dir().unwrap().count(), 0, "nothing was made");
    }
}

#[test]
fn configuration_errors_end_with_2_before_anything_is_made() {
    let dir = DataDir::new();
    let data = dir.join("data");
    let file = dir.join("shop.toml");
    for (text, expected) in [
        ("[desk]\nbatch_max = 0\n", "`desk.batch_max` is 0"),
        ("[dsek]\nbatch_max = 1\n", "unknown setting `dsek`"),
        ("profile = \"cloud\"\n", "`profile` is \"cloud\""),
        ("", "`secrets.fingerprint_key` is not set"),
    ] {
        std::fs::write(&file, text).unwrap();
        let refused = run(&data, &[&["--config", file.to_str().unwrap()], &UP[..]].concat()).expect(2);
        assert!(refused.stderr.contains(expected), "{text}: {}", refused.stderr);
        assert!(refused.stderr.contains("shop.toml") || text.is_empty(), "{}", refused.stderr);
    }
    run(&data, &["up", "--config", "/nowhere.toml"]).expect(2);
    assert!(!data.exists());
}

#[test]
fn what_the_banner_says_to_try_works_when_pasted() {
    let dir = DataDir::new();
    let up = Up::start(dir.path());
    let lines: Vec<_> = up
        .banner
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("curl ") || line.starts_with("TOKEN="))
        .collect();
    assert_eq!(lines.len(), 6, "{}", up.banner);
    let script = lines.join("\necho\n");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("\"items\":["), "{said}");
    assert!(said.contains("\"status\":\"PAID\""), "{said}");
    assert!(said.contains("\"status\":\"PAYMENT_PENDING\""), "{said}");
}

#[test]
fn a_shop_that_is_stopped_has_counted_what_it_accepted() {
    let dir = DataDir::new();
    // Batches wait long to become full: without being waited for, the last ones would not be counted.
    let up = Up::start_with(dir.path(), &[("COMMERCE_COLLECTOR__FLUSH_MS", "900")]);
    let url = up.url();
    let load =
        ["load", "--url", &url, "--products", "3", "--orders", "200", "--buyers", "4", "--connections", "8"];
    run(dir.path(), &load).expect(0);
    let (code, said) = up.terminate();
    assert_eq!(code, 0, "{said}");
    run(dir.path(), &["audit", "--settled"]).expect(0);
}

#[test]
fn an_account_made_beside_a_running_shop_can_log_in() {
    let dir = DataDir::new();
    let up = Up::start(dir.path());
    let create = |login: &str, password: &str| {
        let email = format!("{login}@example.com");
        let arguments =
            ["user", "create", "--login-id", login, "--email", &email, "--role", "ADMIN", "--password-stdin"];
        crate::support::run_with_input(dir.path(), &arguments, password)
    };
    create("root", "correct horse battery\n").expect(0);
    let again = create("root", "correct horse battery\n").expect(2);
    assert!(again.stderr.contains("taken"), "{}", again.stderr);
    let short = create("root2", "short\n").expect(2);
    assert!(short.stderr.contains("8 to 128 characters"), "{}", short.stderr);
    create("root3", "").expect(2);
    let garbled = crate::support::run_with_input(
        dir.path(),
        &["user", "create", "--login-id", "x", "--email", "x@y.z", "--role", "ADMIN", "--password-stdin"],
        b"correct \xff horse\n",
    );
    assert!(garbled.expect(2).stderr.contains("UTF-8"));

    let log_in = json!({ "loginId": "root", "password": "correct horse battery" });
    let (status, session) = up.post("/api/v1/sessions", None, None, &log_in);
    assert_eq!((status, &session["role"]), (201, &json!("ADMIN")), "{session}");
    let token = session["token"].as_str();
    let brand = json!({ "name": "A brand", "description": "Of the new administrator." });
    assert_eq!(up.post("/api/v1/brands", token, None, &brand).0, 201);
}
