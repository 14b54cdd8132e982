//! The contract of the session store, for each of its kinds, and sessions in a Redis that is gone.

use std::sync::Arc;
use std::time::Duration;

use commerce_api_application::ports::{
    NewSession, SessionOwner, SessionStore, SessionTouch, StorageError, TokenHash,
};
use commerce_api_domain::{Role, Timestamp, UserId};
use commerce_api_infrastructure::redis::RedisSessions;
use commerce_api_infrastructure::sql::{self, SqlSessions};
use commerce_database::{Database, SqliteOptions};
use commerce_redis::cmd;
use tempfile::TempDir;

use super::support::{NOW, node_of, own_server, redis, until};

fn at(minutes: u64) -> Timestamp {
    NOW.plus(Duration::from_mins(minutes))
}

fn new(hash: TokenHash) -> NewSession {
    NewSession { hash, user: UserId(7), role: Role::Admin, expires_at: at(10), at: NOW }
}

fn touch(hash: TokenHash, used: u64, ends: u64) -> SessionTouch {
    SessionTouch { hash, at: at(used), expires_at: at(ends) }
}

async fn kinds() -> ([(&'static str, Arc<dyn SessionStore>); 2], TempDir) {
    let directory = TempDir::new().unwrap();
    let options = SqliteOptions { durable: false, ..SqliteOptions::new(directory.path().join("oltp.db")) };
    let database = Database::open_sqlite(options).await.unwrap();
    sql::migrate(&database, NOW).await.unwrap();
    let kinds: [(_, Arc<dyn SessionStore>); 2] =
        [("sql", Arc::new(SqlSessions::new(database))), ("redis", Arc::new(RedisSessions::new(redis())))];
    (kinds, directory)
}

#[tokio::test]
async fn a_session_is_found_until_it_is_over_or_ended() {
    let (kinds, _directory) = kinds().await;
    let [hash, other, unknown] = [1, 2, 3].map(|byte| TokenHash([byte; 32]));
    for (kind, sessions) in kinds {
        sessions.open(new(hash)).await.unwrap();
        sessions.open(new(other)).await.unwrap();
        let again = sessions.open(new(hash)).await;
        assert!(matches!(again, Err(StorageError::Data(_))), "{kind}: {again:?}");
        let owner = SessionOwner { user: UserId(7), role: Role::Admin, expires_at: at(10), touched_at: NOW };
        assert_eq!(sessions.find(hash, at(9)).await.unwrap(), Some(owner), "{kind}");
        assert_eq!(sessions.find(hash, at(10)).await.unwrap(), None, "{kind}: over");
        assert_eq!(sessions.find(unknown, NOW).await.unwrap(), None, "{kind}");
        sessions.end(hash).await.unwrap();
        sessions.end(hash).await.unwrap();
        assert_eq!(sessions.find(hash, NOW).await.unwrap(), None, "{kind}: ended");
        assert_eq!(sessions.find(other, NOW).await.unwrap(), Some(owner), "{kind}: the other one is not");
    }
}

#[tokio::test]
async fn use_makes_a_session_longer_and_never_shorter_and_revives_none() {
    let (kinds, _directory) = kinds().await;
    let [hash, late, ended] = [1, 2, 3].map(|byte| TokenHash([byte; 32]));
    for (kind, sessions) in kinds {
        for hash in [hash, late, ended] {
            sessions.open(new(hash)).await.unwrap();
        }
        sessions.end(ended).await.unwrap();
        sessions.touch(&[touch(hash, 9, 30), touch(late, 10, 30), touch(ended, 9, 30)]).await.unwrap();
        let touched =
            SessionOwner { user: UserId(7), role: Role::Admin, expires_at: at(30), touched_at: at(9) };
        assert_eq!(sessions.find(hash, at(29)).await.unwrap(), Some(touched), "{kind}");
        for over in [late, ended] {
            assert_eq!(sessions.find(over, at(11)).await.unwrap(), None, "{kind}: over is over");
        }
        sessions.touch(&[touch(hash, 8, 29)]).await.unwrap();
        assert_eq!(sessions.find(hash, at(29)).await.unwrap(), Some(touched), "{kind}: never shorter");
        sessions.touch(&[]).await.unwrap();
    }
}

#[tokio::test]
async fn many_sessions_are_opened_and_touched_at_once() {
    let sessions = RedisSessions::new(redis());
    let hash = |number: u16| {
        let mut hash = [0; 32];
        hash[..2].copy_from_slice(&number.to_be_bytes());
        TokenHash(hash)
    };
    let opened: Vec<_> = (0..1_200).map(|number| new(hash(number))).collect();
    sessions.open_many(&opened).await.unwrap();
    let touches: Vec<_> = (0..1_200).map(|number| touch(hash(number), 9, 30)).collect();
    sessions.touch(&touches).await.unwrap();
    for number in [0, 499, 500, 1_199] {
        assert!(sessions.find(hash(number), at(29)).await.unwrap().is_some(), "{number}");
    }
}

#[tokio::test]
async fn without_redis_no_session_is_told_and_none_is_refused_as_unknown() {
    let mut server = own_server().await;
    let redis = node_of(&server);
    let sessions = RedisSessions::new(redis.clone());
    let hash = TokenHash([1; 32]);
    sessions.open(new(hash)).await.unwrap();
    server.pause().unwrap();
    // Past the breaker as well.
    for _ in 0..20 {
        let found = sessions.find(hash, NOW).await;
        assert!(matches!(found, Err(StorageError::Unavailable(_))), "{found:?}");
    }
    for failed in [
        sessions.end(hash).await,
        sessions.touch(&[touch(hash, 9, 30)]).await,
        sessions.open(new(hash)).await,
    ] {
        assert!(matches!(failed, Err(StorageError::Unavailable(_))), "{failed:?}");
    }
    server.resume().unwrap();
    until("it answers", async || sessions.find(hash, NOW).await.is_ok_and(|found| found.is_some())).await;
    redis.run::<()>("flush", &cmd("FLUSHALL")).await.unwrap();
    assert_eq!(sessions.find(hash, NOW).await.unwrap(), None, "a log-in is needed then");
}

#[tokio::test]
async fn redis_forgets_a_session_when_it_is_over_and_holds_no_token() {
    let server = own_server().await;
    let redis = node_of(&server);
    let sessions = RedisSessions::new(redis.clone());
    sessions.open(new(TokenHash([0xab; 32]))).await.unwrap();
    let keys: Vec<String> = redis.run("keys", cmd("KEYS").arg("*")).await.unwrap();
    assert_eq!(keys, [format!("commerce:session:{}", "ab".repeat(32))], "the hash, and nothing else");
    let kept_ms: u64 = redis.run("ttl", cmd("PTTL").arg(&keys[0])).await.unwrap();
    assert!((600_000..=660_000).contains(&kept_ms), "{kept_ms}");
}
