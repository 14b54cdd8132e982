//! The operator's commands, beside a running shop and without one.

use crate::support::{DataDir, UP, Up, run};
use commerce_database::{Database, DatabaseError, SqliteOptions};
use sea_orm::ConnectionTrait as _;
use serde_json::json;

#[test]
fn a_fresh_database_is_clean_and_none_is_no_clean_one() {
    let dir = DataDir::new();
    let none = run(dir.path(), &["audit"]).expect(2);
    assert!(none.stderr.contains("there is no database"), "{}", none.stderr);
    run(dir.path(), &["migrate"]).expect(0);
    run(dir.path(), &["migrate"]).expect(0);
    let text = run(dir.path(), &["audit", "--settled"]).expect(0).stdout;
    assert_eq!(text.lines().last(), Some("audit clean"), "{text}");
    assert_eq!(run(dir.path(), &["audit", "--json"]).expect(0).json()["clean"], json!(true));
}

#[test]
fn a_broken_database_is_found_with_exit_code_1() {
    let dir = DataDir::new();
    let none = run(dir.path(), &["seed", "--products", "3"]).expect(2);
    assert!(none.stderr.contains("commerce migrate"), "{}", none.stderr);
    assert_eq!(dir.path().read_dir().unwrap().count(), 0, "nothing was made");
    run(dir.path(), &["migrate"]).expect(0);
    run(dir.path(), &["seed", "--products", "3"]).expect(0);
    run(dir.path(), &["audit"]).expect(0);
    break_stock(&dir);
    let report = run(dir.path(), &["audit", "--json"]).expect(1).json();
    assert_eq!(report["clean"], json!(false));
    let found = report["findings"].to_string();
    assert!(found.contains("\"VIOLATED\""), "{found}");
    let text = run(dir.path(), &["audit"]).expect(1).stdout;
    assert!(text.lines().last().unwrap().starts_with("audit VIOLATED: "), "{text}");
}

/// One piece more than was ever received.
fn break_stock(dir: &DataDir) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let database = Database::open_sqlite(SqliteOptions::new(dir.join("commerce.sqlite"))).await.unwrap();
        let transaction = database.begin_write("break").await.unwrap();
        let broken: Result<_, DatabaseError> = transaction
            .execute_unprepared("UPDATE products SET stock = stock + 1 WHERE id = 1")
            .await
            .map_err(Into::into);
        assert_eq!(broken.unwrap().rows_affected(), 1);
        transaction.commit().await.unwrap();
        database.close().await;
    });
}

#[test]
fn a_backup_of_a_running_shop_is_a_clean_data_directory() {
    let (dir, target) = (DataDir::new(), DataDir::new());
    let up = Up::start(dir.path());
    let copy = target.join("copy");
    run(dir.path(), &["backup", copy.to_str().unwrap()]).expect(0);
    let original = run(dir.path(), &["audit", "--json"]).expect(0).json();
    assert_eq!(run(&copy, &["audit", "--json", "--settled"]).expect(0).json()["totals"], original["totals"]);
    let second = run(dir.path(), &["backup", copy.to_str().unwrap()]).expect(2);
    assert!(second.stderr.contains("is not empty"), "{}", second.stderr);
    drop(up);
    // It runs, with the secrets of the original.
    let restored = Up::start(&copy);
    assert!(restored.banner.contains("shopper-demo"));
    for name in ["secrets.toml", "shop.mode"] {
        let file = |path: &std::path::Path| std::fs::read(path.join(name)).unwrap();
        assert_eq!(file(dir.path()), file(&copy), "{name}");
    }
}

#[test]
fn audit_and_backup_need_no_secrets() {
    let (dir, target) = (DataDir::new(), DataDir::new());
    drop(Up::start(dir.path()));
    std::fs::write(dir.join("secrets.toml"), "broken").unwrap();
    run(dir.path(), &UP).expect(2);
    run(dir.path(), &["audit"]).expect(0);
    run(dir.path(), &["backup", target.join("copy").to_str().unwrap()]).expect(0);
}

#[test]
fn an_audit_that_cannot_be_made_is_no_broken_rule() {
    let dir = DataDir::new();
    let why = |path: &std::path::Path| {
        let ended = run(path, &["audit", "--json"]).expect(2);
        let why = ended.json()["error"].as_str().unwrap().to_owned();
        assert!(ended.stderr.contains(&why), "{}", ended.stderr);
        why
    };
    assert!(why(dir.path()).contains("there is no database"));
    let file = dir.join("commerce.sqlite");
    std::fs::write(&file, "").unwrap();
    assert!(why(dir.path()).contains("there is no database"), "an empty file is none");
    std::fs::write(&file, "this is a text, and no database").unwrap();
    let text = why(dir.path());
    assert!(text.contains("is no database") && text.contains("backup"), "{text}");
    assert!(why(&file).contains("is a file"));
    let create =
        ["user", "create", "--login-id", "x", "--email", "x@y.z", "--role", "ADMIN", "--password-stdin"];
    assert!(run(&file, &create).expect(2).stderr.contains("is a file"));
    for arguments in [&UP[..], &["migrate"], &["seed", "--products", "1"]] {
        assert!(run(dir.path(), arguments).expect(2).stderr.contains("is no database"), "{arguments:?}");
        assert!(run(&file, arguments).expect(2).stderr.contains("is a file"), "{arguments:?}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "this is a text, and no database");
}

#[test]
fn an_account_made_by_an_operator_stands_in_the_audit_log() {
    let dir = DataDir::new();
    let create = ["user", "create", "--login-id", "Boss", "--email", "boss@example.com", "--role", "ADMIN"];
    let create = [&create[..], &["--password-stdin"]].concat();
    crate::support::run_with_input(dir.path(), &create, "correct horse battery\n").expect(0);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let entries = runtime.block_on(async {
        let database = Database::open_sqlite(SqliteOptions::new(dir.join("commerce.sqlite"))).await.unwrap();
        let transaction = database.begin_write("read").await.unwrap();
        let backend = transaction.get_database_backend();
        let query = "SELECT actor || ' ' || action || ' ' || target || ' ' || detail AS entry FROM audit_log";
        let rows = transaction.query_all_raw(sea_orm::Statement::from_string(backend, query)).await.unwrap();
        transaction.commit().await.unwrap();
        database.close().await;
        rows.iter().map(|row| row.try_get::<String>("", "entry").unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(entries, [r#"cli USER_CREATED user:boss {"role":"ADMIN"}"#]);
}

#[test]
fn seeding_twice_beside_a_running_shop_adds_only_what_is_missing() {
    let dir = DataDir::new();
    let up = Up::start(dir.path());
    let said = run(dir.path(), &["seed", "--products", "1500"]).expect(0).stdout;
    assert!(said.starts_with("1300 of 1500 products were added"), "{said}");
    let said = run(dir.path(), &["seed", "--products", "1500"]).expect(0).stdout;
    assert!(said.starts_with("0 of 1500 products were added"), "{said}");
    run(dir.path(), &["audit"]).expect(0);
    drop(up);
}

#[test]
fn the_printed_configuration_names_sources_and_hides_secrets() {
    let dir = DataDir::new();
    let mut command = crate::support::command(dir.path(), &["config", "print"]);
    command.env("COMMERCE_SECRETS__FINGERPRINT_KEY", "0123456789abcdef".repeat(4));
    let output = crate::support::Ended::from(command.output().unwrap()).expect(0).stdout;
    let line = |start: &str| output.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
    assert!(line("data_dir = ").ends_with("# flag --data-dir"), "{output}");
    assert!(line("port = 8080").ends_with("# default"), "{output}");
    assert!(
        line("fingerprint_key = \"[hidden]\"").ends_with("COMMERCE_SECRETS__FINGERPRINT_KEY"),
        "{output}"
    );
    assert!(!output.contains("0123456789abcdef"), "{output}");
}

#[test]
fn help_and_version_name_the_program() {
    let dir = DataDir::new();
    let version = run(dir.path(), &["--version"]).expect(0).stdout;
    assert_eq!(version, format!("commerce {}\n", env!("CARGO_PKG_VERSION")));
    let help = run(dir.path(), &["--help"]).expect(0).stdout;
    for command in
        ["up", "demo", "flash-sale", "load", "audit", "migrate", "seed", "backup", "user", "config"]
    {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{command}: {help}");
    }
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
}
