//! A COMMIT that fails by I/O, in a process of its own in which files may not grow.

#![cfg(unix)]

use std::{env, process::Command};

use sea_orm::ConnectionTrait as _;
use tempfile::TempDir;

use super::{run, with_table};
use crate::{CommitError, ErrorClass};

const LIMITED: &str = "COMMERCE_DATABASE_TEST_LIMITED_FILES";
const NAME: &str = "tests::commit::the_outcome_of_a_commit_whose_frames_cannot_be_written_is_unknown";

#[tokio::test]
async fn the_outcome_of_a_commit_whose_frames_cannot_be_written_is_unknown() {
    if env::var_os(LIMITED).is_some() {
        return fail_a_commit().await;
    }
    // The signal would end the process where SQLite is to get an error. 2,000 blocks are 1 or 2 MB.
    let limited = "trap '' XFSZ; ulimit -f 2000; exec \"$@\"";
    let child = Command::new("sh")
        .args(["-c", limited, "sh"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", NAME])
        .env(LIMITED, "1")
        .output()
        .unwrap();
    let (out, error) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success() && out.contains("1 passed"), "{out}\n{error}");
}

async fn fail_a_commit() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    run(&database, "CREATE TABLE big (data BLOB)").await.unwrap();
    let transaction = database.begin_write("fails").await.unwrap();
    // Four megabytes stay in the cache: no statement fails, only the COMMIT writes.
    transaction.execute_unprepared("INSERT INTO t VALUES (1, 1)").await.unwrap();
    transaction.execute_unprepared("INSERT INTO big VALUES (zeroblob(4000000))").await.unwrap();
    match transaction.commit().await.unwrap_err() {
        CommitError::Unknown(error) => assert_eq!(error.class(), ErrorClass::Other, "{error:?}"),
        certain @ CommitError::NotCommitted(_) => panic!("{certain:?}"),
    }
    // A connection that failed so is not used again; the next one works.
    run(&database, "INSERT INTO t VALUES (2, 2)").await.unwrap();
    assert_eq!(super::number(database.reader(), "SELECT sum(id) FROM t").await, 2);
}
