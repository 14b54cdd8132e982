use std::sync::Arc;

use async_trait::async_trait;
use commerce_api_application::ports::{
    AccountStore, AuditEntry, Credentials, IdSource, LedgerPage, NewBuyer, NewSession, NewUser, Profile,
    StorageError, Taken,
};
use commerce_api_domain::{LedgerId, Role, Timestamp, UserId};

use super::RedisSessions;

/// Accounts whose buyers of a demonstration have their sessions in Redis, where all others are.
pub struct BuyersWithSessions {
    accounts: Arc<dyn AccountStore>,
    sessions: RedisSessions,
}

impl BuyersWithSessions {
    /// In front of `accounts`.
    pub fn new(accounts: Arc<dyn AccountStore>, sessions: RedisSessions) -> Self {
        Self { accounts, sessions }
    }
}

#[async_trait]
impl AccountStore for BuyersWithSessions {
    async fn add_user(
        &self,
        user: NewUser,
        at: Timestamp,
        audit: Option<AuditEntry>,
    ) -> Result<Profile, Taken> {
        self.accounts.add_user(user, at, audit).await
    }

    async fn credentials(&self, login_id: &str) -> Result<Option<Credentials>, StorageError> {
        self.accounts.credentials(login_id).await
    }

    async fn profile(&self, user: UserId) -> Result<Option<Profile>, StorageError> {
        self.accounts.profile(user).await
    }

    async fn profiles(&self, after: Option<UserId>, limit: u64) -> Result<Vec<Profile>, StorageError> {
        self.accounts.profiles(after, limit).await
    }

    async fn ledger(
        &self,
        user: UserId,
        after: Option<LedgerId>,
        limit: u64,
    ) -> Result<Option<LedgerPage>, StorageError> {
        self.accounts.ledger(user, after, limit).await
    }

    async fn add_buyers(
        &self,
        buyers: Vec<NewBuyer>,
        ids: &dyn IdSource,
        at: Timestamp,
        sessions_expire_at: Timestamp,
        audit: AuditEntry,
    ) -> Result<Vec<UserId>, StorageError> {
        let hashes: Vec<_> = buyers.iter().map(|buyer| buyer.session).collect();
        let users = self.accounts.add_buyers(buyers, ids, at, sessions_expire_at, audit).await?;
        let open = |(user, hash): (&UserId, _)| NewSession {
            hash,
            user: *user,
            role: Role::Customer,
            expires_at: sessions_expire_at,
            at,
        };
        let sessions: Vec<_> = users.iter().zip(hashes).map(open).collect();
        self.sessions.open_many(&sessions).await?;
        Ok(users)
    }
}
