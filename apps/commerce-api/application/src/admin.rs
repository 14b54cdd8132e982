//! What only those who run the shop may do.

use std::sync::Arc;
use std::time::Duration;

use commerce_api_domain::{Money, Timestamp, UserId};

use serde_json::json;

use crate::Caller;
use crate::ports::{AccountStore, Clock, IdSource, NewBuyer, Profile, StorageError, TokenSource};

/// A buyer of a demonstration, with the token of the session that is open for them.
#[derive(Clone)]
pub struct DemoBuyer {
    /// Who.
    pub user: UserId,
    /// What to send as `Authorization: Bearer`.
    pub token: String,
}

/// Why no buyers are made.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// This is a real shop.
    #[error("demonstration buyers exist in demo mode only")]
    NotDemoMode,
    /// More points than a buyer can have.
    #[error("a buyer has at most {max} points")]
    TooManyPoints {
        /// The limit.
        max: Money,
    },
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The administrators' view.
#[derive(Clone)]
pub struct Admin {
    store: Arc<dyn AccountStore>,
    tokens: Arc<dyn TokenSource>,
    ids: Arc<dyn IdSource>,
    clock: Arc<dyn Clock>,
    demo_mode: bool,
}

impl Admin {
    const BUYER_SESSION: Duration = Duration::from_hours(1);
    /// Points that a demonstration's buyer can have: enough for any order of its catalogue.
    pub const POINTS_MAX: Money = match Money::new(1_000_000_000_000) {
        Ok(points) => points,
        Err(_) => Money::ZERO,
    };

    /// With these adapters.
    pub fn new(
        store: Arc<dyn AccountStore>,
        tokens: Arc<dyn TokenSource>,
        ids: Arc<dyn IdSource>,
        clock: Arc<dyn Clock>,
        demo_mode: bool,
    ) -> Self {
        Self { store, tokens, ids, clock, demo_mode }
    }

    /// Accounts by id.
    pub async fn users(&self, after: Option<UserId>, limit: u64) -> Result<Vec<Profile>, StorageError> {
        self.store.profiles(after, limit).await
    }

    /// Makes `count` buyers with `points` each and an open session, at once.
    pub async fn demo_buyers(
        &self,
        caller: &Caller,
        count: usize,
        points: Money,
    ) -> Result<(Vec<DemoBuyer>, Timestamp), DemoError> {
        if !self.demo_mode {
            return Err(DemoError::NotDemoMode);
        }
        if points > Self::POINTS_MAX {
            return Err(DemoError::TooManyPoints { max: Self::POINTS_MAX });
        }
        let at = self.clock.now();
        let expires_at = at.plus(Self::BUYER_SESSION);
        let batch = self.ids.uuid().simple().to_string();
        let mut tokens = Vec::with_capacity(count);
        let mut buyers = Vec::with_capacity(count);
        for index in 0..count {
            let (token, session) = self.tokens.issue();
            tokens.push(token);
            buyers.push(NewBuyer { login_id: format!("buyer-{batch}-{index}"), points, session });
        }
        let detail = json!({ "count": count, "points": points.won() });
        let audit =
            caller.audit(&*self.ids, &*self.clock, "DEMO_BUYERS_ADDED", format!("batch:{batch}"), &detail);
        let users = self.store.add_buyers(buyers, &*self.ids, at, expires_at, audit).await?;
        let buyers = users.into_iter().zip(tokens).map(|(user, token)| DemoBuyer { user, token }).collect();
        Ok((buyers, expires_at))
    }
}
