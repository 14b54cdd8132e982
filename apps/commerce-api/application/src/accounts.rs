//! Sign-up, log-in, sessions, profiles.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, NaiveDate};
use commerce_api_domain::{Role, Timestamp, UserId};

use crate::ports::{
    AccountStore, AuditEntry, Clock, NewSession, NewUser, PasswordHasher, Profile, SessionOwner,
    SessionStore, SessionTouch, StorageError, Taken, TokenHash, TokenSource,
};

/// A new account.
#[derive(Clone)]
pub struct SignUp {
    /// 3 to 30 letters, digits, `_`, `-` or `.`; stored in lower case.
    pub login_id: String,
    /// Stored in lower case.
    pub email: String,
    /// 8 to 128 characters.
    pub password: String,
    /// ISO date, if they tell it.
    pub birth_date: Option<String>,
    /// `F`, `M` or `X`, if they tell it.
    pub gender: Option<String>,
}

/// A log-in.
#[derive(Clone)]
pub struct LogIn {
    /// Login id.
    pub login_id: String,
    /// Password.
    pub password: String,
}

/// A session just opened. The token is shown once and stored as a hash.
#[derive(Clone)]
pub struct OpenedSession {
    /// What to send as `Authorization: Bearer`.
    pub token: String,
    /// Whose.
    pub user: UserId,
    /// What they may do.
    pub role: Role,
    /// When it ends unless it is used.
    pub expires_at: Timestamp,
}

/// Why an account is not made or opened.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// A field does not have the form it must have.
    #[error("{field}: {detail}")]
    Invalid {
        /// JSON name of the field.
        field: &'static str,
        /// What is expected.
        detail: &'static str,
    },
    /// The login id is taken.
    #[error("the login id is taken")]
    LoginIdTaken,
    /// The e-mail address is taken.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// No such login id, or another password: never told which.
    #[error("login id or password is wrong")]
    BadCredentials,
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<Taken> for AccountError {
    fn from(taken: Taken) -> Self {
        match taken {
            Taken::LoginId => Self::LoginIdTaken,
            Taken::Email => Self::EmailTaken,
            Taken::Storage(error) => Self::Storage(error),
        }
    }
}

/// Lifetimes of sessions.
#[derive(Debug, Clone, Copy)]
pub struct AccountOptions {
    /// A session that is not used ends after this.
    pub session_idle: Duration,
    /// The expiry of a session is moved at most once in this.
    pub touch_every: Duration,
}

impl Default for AccountOptions {
    fn default() -> Self {
        Self { session_idle: Duration::from_hours(12), touch_every: Duration::from_mins(1) }
    }
}

/// Accounts and sessions.
#[derive(Clone)]
pub struct Accounts {
    store: Arc<dyn AccountStore>,
    sessions: Arc<dyn SessionStore>,
    hasher: Arc<dyn PasswordHasher>,
    tokens: Arc<dyn TokenSource>,
    clock: Arc<dyn Clock>,
    options: AccountOptions,
    /// Uses of sessions that the store does not know of yet. A request never waits for this write, and never fails
    /// because of it.
    touches: Arc<Mutex<HashMap<TokenHash, SessionTouch>>>,
}

impl Accounts {
    /// Sessions whose use is remembered between two flushes; further ones are remembered by their next use.
    const TOUCHES_MAX: usize = 100_000;

    /// With these adapters.
    pub fn new(
        store: Arc<dyn AccountStore>,
        sessions: Arc<dyn SessionStore>,
        hasher: Arc<dyn PasswordHasher>,
        tokens: Arc<dyn TokenSource>,
        clock: Arc<dyn Clock>,
        options: AccountOptions,
    ) -> Self {
        Self { store, sessions, hasher, tokens, clock, options, touches: Arc::default() }
    }

    /// Makes an account for a customer.
    pub async fn sign_up(&self, sign_up: SignUp) -> Result<Profile, AccountError> {
        self.create_user(sign_up, Role::Customer, None).await
    }

    /// Makes an account of any role: for the operator's command, which leaves an entry in the audit log, and the
    /// demonstration.
    pub async fn create_user(
        &self,
        sign_up: SignUp,
        role: Role,
        audit: Option<AuditEntry>,
    ) -> Result<Profile, AccountError> {
        let SignUp { login_id, email, password, birth_date, gender } = sign_up;
        check(&login_id, &email, &password)?;
        check_person(birth_date.as_deref(), gender.as_deref(), self.clock.now())?;
        let password_hash = self.hasher.hash(password).await?;
        let user = NewUser {
            login_id: login_id.to_lowercase(),
            email: email.to_lowercase(),
            password_hash,
            role,
            birth_date,
            gender,
        };
        Ok(self.store.add_user(user, self.clock.now(), audit).await?)
    }

    /// Whether an account of this login id exists.
    pub async fn is_taken(&self, login_id: &str) -> Result<bool, StorageError> {
        Ok(self.store.credentials(&login_id.to_lowercase()).await?.is_some())
    }

    /// Opens a session. An unknown login id takes as long as a wrong password and gets the same answer.
    pub async fn log_in(&self, log_in: LogIn) -> Result<OpenedSession, AccountError> {
        let credentials = self.store.credentials(&log_in.login_id.to_lowercase()).await?;
        let hash = credentials.as_ref().map(|known| known.password_hash.clone());
        let matches = self.hasher.verify(log_in.password, hash).await?;
        match credentials {
            Some(known) if matches => self.open(known.user, known.role).await,
            _ => Err(AccountError::BadCredentials),
        }
    }

    async fn open(&self, user: UserId, role: Role) -> Result<OpenedSession, AccountError> {
        let (token, hash) = self.tokens.issue();
        let at = self.clock.now();
        let expires_at = at.plus(self.options.session_idle);
        self.sessions.open(NewSession { hash, user, role, expires_at, at }).await?;
        Ok(OpenedSession { token, user, role, expires_at })
    }

    /// Whose session `token` opens; none where it is malformed, unknown or over. Using it moves its expiry.
    pub async fn who(&self, token: &str) -> Result<Option<SessionOwner>, StorageError> {
        let Some(hash) = self.tokens.hash(token) else { return Ok(None) };
        let now = self.clock.now();
        let Some(owner) = self.sessions.find(hash, now).await? else { return Ok(None) };
        if owner.touched_at.plus(self.options.touch_every) <= now {
            let touch = SessionTouch { hash, at: now, expires_at: now.plus(self.options.session_idle) };
            let mut touches = self.touches.lock().unwrap_or_else(PoisonError::into_inner);
            if touches.len() < Self::TOUCHES_MAX || touches.contains_key(&hash) {
                touches.insert(hash, touch);
            }
        }
        Ok(Some(owner))
    }

    /// Tells the store which sessions were used; a failure keeps them for the next time.
    pub async fn flush_touches(&self) -> Result<(), StorageError> {
        let pending = std::mem::take(&mut *self.touches.lock().unwrap_or_else(PoisonError::into_inner));
        if pending.is_empty() {
            return Ok(());
        }
        let mut touches: Vec<SessionTouch> = pending.values().copied().collect();
        touches.sort_unstable_by_key(|touch| touch.hash.0);
        let result = self.sessions.touch(&touches).await;
        if result.is_err() {
            let mut later = self.touches.lock().unwrap_or_else(PoisonError::into_inner);
            for (hash, touch) in pending {
                later.entry(hash).or_insert(touch);
            }
        }
        result
    }

    /// Ends the session that `token` opens.
    pub async fn log_out(&self, token: &str) -> Result<(), StorageError> {
        match self.tokens.hash(token) {
            Some(hash) => self.sessions.end(hash).await,
            None => Ok(()),
        }
    }

    /// One account.
    pub async fn profile(&self, user: UserId) -> Result<Option<Profile>, StorageError> {
        self.store.profile(user).await
    }
}

fn check(login_id: &str, email: &str, password: &str) -> Result<(), AccountError> {
    let invalid = |field, detail| Err(AccountError::Invalid { field, detail });
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !(3..=30).contains(&login_id.len()) || !login_id.chars().all(allowed) {
        return invalid("loginId", "3 to 30 letters, digits, '_', '-' or '.'");
    }
    let well_formed = email.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.')
    });
    let plain =
        email.len() <= 254 && email.chars().all(|c| c.is_ascii_graphic()) && email.matches('@').count() == 1;
    if !well_formed || !plain {
        return invalid("email", "an address like name@example.com, at most 254 characters");
    }
    if !(8..=128).contains(&password.chars().count()) {
        return invalid("password", "8 to 128 characters");
    }
    Ok(())
}

fn check_person(birth_date: Option<&str>, gender: Option<&str>, now: Timestamp) -> Result<(), AccountError> {
    let today = DateTime::from_timestamp_micros(now.as_micros()).unwrap_or_default().date_naive();
    let is_past = |text: &str| {
        text.len() == 10 && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok_and(|date| date <= today)
    };
    if birth_date.is_some_and(|date| !is_past(date)) {
        return Err(AccountError::Invalid {
            field: "birthDate",
            detail: "a date of the past, as yyyy-MM-dd",
        });
    }
    if gender.is_some_and(|gender| !matches!(gender, "F" | "M" | "X")) {
        return Err(AccountError::Invalid { field: "gender", detail: "F, M or X" });
    }
    Ok(())
}
