//! A log-in costs the same whether there is the account or not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use commerce_api_application::ports::{PasswordHasher, StorageError};
use commerce_api_application::{AccountError, AccountOptions, Accounts, LogIn, SignUp};
use commerce_api_domain::Role;
use commerce_api_infrastructure::runtime::{Argon2Cost, Argon2Hasher, ManualClock, RandomTokens};
use commerce_api_infrastructure::sql;
use commerce_database::{Database, SqliteOptions};

use crate::support::NOW;

/// Counts what is hashed before it is.
struct Counting {
    inner: Argon2Hasher,
    hashed: AtomicUsize,
    verified: AtomicUsize,
    without_a_hash: AtomicUsize,
}

#[async_trait]
impl PasswordHasher for Counting {
    async fn hash(&self, password: String) -> Result<String, StorageError> {
        self.hashed.fetch_add(1, Ordering::SeqCst);
        self.inner.hash(password).await
    }

    async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, StorageError> {
        self.verified.fetch_add(1, Ordering::SeqCst);
        self.without_a_hash.fetch_add(usize::from(hash.is_none()), Ordering::SeqCst);
        self.inner.verify(password, hash).await
    }
}

#[tokio::test]
async fn a_log_in_hashes_once_whether_the_account_exists_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions { durable: false, ..SqliteOptions::new(dir.path().join("shop.db")) };
    let database = Database::open_sqlite(options).await.unwrap();
    sql::migrate(&database, NOW).await.unwrap();
    let inner = Argon2Hasher::new(Argon2Cost { memory_kib: 8, passes: 1, lanes: 1 }).unwrap();
    let none = AtomicUsize::default;
    let hasher = Arc::new(Counting { inner, hashed: none(), verified: none(), without_a_hash: none() });
    let accounts = Accounts::new(
        Arc::new(sql::SqlAccounts::new(database.clone())),
        Arc::new(sql::SqlSessions::new(database.clone())),
        hasher.clone(),
        Arc::new(RandomTokens),
        Arc::new(ManualClock::new(NOW)),
        AccountOptions::default(),
    );
    let sign_up = SignUp {
        login_id: "shopper".to_owned(),
        email: "shopper@example.com".to_owned(),
        password: "correct horse".to_owned(),
        birth_date: None,
        gender: None,
    };
    accounts.create_user(sign_up, Role::Customer, None).await.unwrap();
    let mut expected = 0;
    for (login_id, password, is_let_in) in [
        ("shopper", "correct horse", true),
        ("shopper", "wrong horse", false),
        ("nobody", "correct horse", false),
        ("nobody", "", false),
    ] {
        let log_in = LogIn { login_id: login_id.to_owned(), password: password.to_owned() };
        let end = accounts.log_in(log_in).await;
        assert_eq!(end.is_ok(), is_let_in, "{login_id}");
        assert!(is_let_in || matches!(end, Err(AccountError::BadCredentials)), "{login_id}");
        expected += 1;
        assert_eq!(hasher.verified.load(Ordering::SeqCst), expected, "{login_id} with {password:?}");
    }
    // What is verified without a hash is verified against one that costs as much.
    assert_eq!(hasher.without_a_hash.load(Ordering::SeqCst), 2);
    assert_eq!(hasher.hashed.load(Ordering::SeqCst), 1, "the one of the sign-up");
    database.close().await;
}
