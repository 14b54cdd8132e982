//! What is told of a server that will not do.

use std::error::Error;
use std::time::Duration;

use commerce_database::{Database, DatabaseError, ErrorClass, MySqlOptions, MySqlTls, ServerProblem};
use commerce_databases::Scratch;
use commerce_servers::{ServerKind, shared};

use crate::{KINDS, number, run};

async fn problem(options: MySqlOptions) -> (ServerProblem, ErrorClass) {
    let error = Database::open_mysql(options).await.unwrap_err();
    let class = error.class();
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        told = format!("{told}: {error}");
        source = error.source();
    }
    assert!(!told.contains("sesame"), "{told}");
    match error {
        DatabaseError::Server { problem, .. } => (problem, class),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_server_is_told_by_its_name() {
    for kind in KINDS {
        let address = shared(kind).address();
        let url = |user: &str, database: &str| format!("mysql://{user}@{address}/{database}");
        let options = |url: &str| MySqlOptions::new(url).unwrap();

        let (found, class) = problem(options(&url("nobody:sesame", "mysql"))).await;
        assert_eq!((found, class), (ServerProblem::AccessDenied, ErrorClass::Other), "{kind}");
        let missing = ServerProblem::NoDatabase { database: "no_such".to_owned() };
        assert_eq!(problem(options(&url("root", "no_such"))).await, (missing, ErrorClass::Other), "{kind}");

        let scratch = Scratch::empty(kind).await;
        let database = scratch.open().await;
        let user = format!("poor_{}", std::process::id());
        let administrator = Database::open_mysql(options(&url("root", "mysql"))).await.unwrap();
        for sql in [
            format!("CREATE USER IF NOT EXISTS '{user}'@'%' IDENTIFIED BY 'sesame'"),
            format!("CREATE USER IF NOT EXISTS '{user}'@'localhost' IDENTIFIED BY 'sesame'"),
        ] {
            sea_orm::ConnectionTrait::execute_unprepared(administrator.reader(), &sql).await.unwrap();
        }
        let name = scratch.options().database().to_owned();
        let (found, _) = problem(options(&url(&format!("{user}:sesame"), &name))).await;
        assert_eq!(found, ServerProblem::MissingPrivilege, "{kind}");
        administrator.close().await;
        database.close().await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_may_be_waited_for() {
    // Nobody listens on a port that was just given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut options = MySqlOptions::new(&format!("mysql://shop:sesame@127.0.0.1:{port}/shop")).unwrap();
    options.connect_timeout = Duration::from_millis(500);
    assert_eq!(problem(options).await, (ServerProblem::Unreachable, ErrorClass::Connection));
}

#[tokio::test]
async fn connections_are_encrypted_where_that_is_asked_for() {
    let scratch = Scratch::empty(ServerKind::MySql).await;
    for (tls, encrypted) in [(MySqlTls::Disabled, 0), (MySqlTls::Preferred, 1), (MySqlTls::Required, 1)] {
        let mut options = scratch.options();
        options.tls = Some(tls);
        let database = Database::open_mysql(options).await.unwrap();
        let cipher = "SELECT CAST(VARIABLE_VALUE <> '' AS SIGNED) FROM performance_schema.session_status \
                      WHERE VARIABLE_NAME = 'Ssl_cipher'";
        assert_eq!(number(database.reader(), cipher).await, encrypted, "{tls:?}");
        database.close().await;
    }
    let mut options = scratch.options();
    options.tls = Some(MySqlTls::VerifyIdentity);
    // The server signed its certificate itself.
    let (problem, class) = problem(options).await;
    assert_eq!((problem, class), (ServerProblem::Tls, ErrorClass::Other));
}

#[tokio::test]
async fn a_read_only_handle_cannot_write_and_need_not_find_a_server() {
    for kind in KINDS {
        let scratch = Scratch::empty(kind).await;
        let database = scratch.open().await;
        run(&database, "CREATE TABLE t (id BIGINT PRIMARY KEY)").await.unwrap();
        let reader = Database::open_mysql_read_only(scratch.options()).unwrap();
        let named = reader.reader_named("look");
        assert_eq!(number(&named, "SELECT COUNT(*) FROM t").await, 0);
        let refused = sea_orm::ConnectionTrait::execute_unprepared(&named, "INSERT INTO t VALUES (1)").await;
        assert!(refused.is_err(), "{kind}");
        assert_eq!(number(&named, "SELECT COUNT(*) FROM t").await, 0);
        database.close().await;
    }
    let nowhere = MySqlOptions::new("mysql://shop@127.0.0.1:1/shop").unwrap();
    drop(Database::open_mysql_read_only(nowhere).unwrap());
}
