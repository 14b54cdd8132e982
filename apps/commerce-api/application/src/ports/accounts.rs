use async_trait::async_trait;
use commerce_api_domain::{LedgerEntry, LedgerId, Money, Role, Timestamp, UserId};

use super::{AuditEntry, IdSource, StorageError, TokenHash};

/// A user to add.
#[derive(Clone)]
pub struct NewUser {
    /// Unique, chosen by the user, lower case.
    pub login_id: String,
    /// Unique, lower case.
    pub email: String,
    /// argon2id, PHC string.
    pub password_hash: String,
    /// What they may do.
    pub role: Role,
    /// ISO date, if they tell it.
    pub birth_date: Option<String>,
    /// `F`, `M` or `X`, if they tell it.
    pub gender: Option<String>,
}

/// What is unique of a user and taken.
#[derive(Debug, thiserror::Error)]
pub enum Taken {
    /// The login id.
    #[error("the login id is taken")]
    LoginId,
    /// The e-mail address.
    #[error("the e-mail address is taken")]
    Email,
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What a log-in checks.
#[derive(Clone)]
pub struct Credentials {
    /// Whose.
    pub user: UserId,
    /// argon2id, PHC string.
    pub password_hash: String,
    /// What they may do.
    pub role: Role,
}

/// An account as its owner and administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Which.
    pub id: UserId,
    /// Login id.
    pub login_id: String,
    /// E-mail address.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// ISO date, if told.
    pub birth_date: Option<String>,
    /// If told.
    pub gender: Option<String>,
    /// Points.
    pub balance: Money,
    /// Since when.
    pub created_at: Timestamp,
}

/// A balance and the latest rows that led to it, of one snapshot.
#[derive(Debug, Clone)]
pub struct LedgerPage {
    /// Points now.
    pub balance: Money,
    /// Rows, latest first.
    pub entries: Vec<LedgerEntry>,
}

/// A session to open.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Hash of its token.
    pub hash: TokenHash,
    /// Whose.
    pub user: UserId,
    /// What they may do.
    pub role: Role,
    /// When it ends unless it is used.
    pub expires_at: Timestamp,
    /// When it was opened.
    pub at: Timestamp,
}

/// Who a session belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionOwner {
    /// Who.
    pub user: UserId,
    /// What they may do.
    pub role: Role,
    /// When it ends unless it is used.
    pub expires_at: Timestamp,
    /// When its expiry was last moved.
    pub touched_at: Timestamp,
}

/// A session that was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTouch {
    /// Which.
    pub hash: TokenHash,
    /// When it was used.
    pub at: Timestamp,
    /// When it ends now unless it is used again.
    pub expires_at: Timestamp,
}

/// A buyer of a demonstration: an account that nobody can log in to, with points and an open session.
#[derive(Debug, Clone)]
pub struct NewBuyer {
    /// Unique login id.
    pub login_id: String,
    /// Points to start with, recorded as a charge.
    pub points: Money,
    /// Hash of the session's token.
    pub session: TokenHash,
}

/// Users and the point ledger.
#[async_trait]
pub trait AccountStore: Send + Sync + 'static {
    /// Adds a user, and in the same transaction the entry of the audit log where somebody did it by hand.
    async fn add_user(
        &self,
        user: NewUser,
        at: Timestamp,
        audit: Option<AuditEntry>,
    ) -> Result<Profile, Taken>;
    /// What a log-in with this login id checks.
    async fn credentials(&self, login_id: &str) -> Result<Option<Credentials>, StorageError>;
    /// One account.
    async fn profile(&self, user: UserId) -> Result<Option<Profile>, StorageError>;
    /// Accounts by id.
    async fn profiles(&self, after: Option<UserId>, limit: u64) -> Result<Vec<Profile>, StorageError>;
    /// Balance and ledger, latest first; none where there is no such user.
    async fn ledger(
        &self,
        user: UserId,
        after: Option<LedgerId>,
        limit: u64,
    ) -> Result<Option<LedgerPage>, StorageError>;
    /// Adds many buyers at once, in one transaction and a fixed number of statements; answers their ids in order.
    async fn add_buyers(
        &self,
        buyers: Vec<NewBuyer>,
        ids: &dyn IdSource,
        at: Timestamp,
        sessions_expire_at: Timestamp,
        audit: AuditEntry,
    ) -> Result<Vec<UserId>, StorageError>;
}

/// Sessions. Tokens are stored as hashes only.
#[async_trait]
pub trait SessionStore: Send + Sync + 'static {
    /// Opens one.
    async fn open(&self, session: NewSession) -> Result<(), StorageError>;
    /// Whose session it is; none where it is unknown or over.
    async fn find(&self, hash: TokenHash, now: Timestamp) -> Result<Option<SessionOwner>, StorageError>;
    /// Moves the expiry of many, with one statement; sessions that ended meanwhile stay ended.
    async fn touch(&self, touches: &[SessionTouch]) -> Result<(), StorageError>;
    /// Ends it.
    async fn end(&self, hash: TokenHash) -> Result<(), StorageError>;
}
