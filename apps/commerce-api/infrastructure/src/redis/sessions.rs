use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use commerce_api_application::ports::{
    NewSession, SessionOwner, SessionStore, SessionTouch, StorageError, TokenHash,
};
use commerce_api_domain::{Role, Timestamp, UserId};
use commerce_redis::{Redis, RedisError, Script, cmd};

/// Sessions of one call at most.
const CALL_MAX: usize = 500;
/// How much longer Redis keeps a session than it lasts. The nodes' clocks decide whether it is over.
const KEPT_BEYOND: Duration = Duration::from_mins(1);

/// Opens all of these, or none where one is there already.
static OPEN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('EXISTS', unpack(KEYS)) > 0 then
  return 0
end
for i, key in ipairs(KEYS) do
  local user, role, expires_at, at, kept = unpack(ARGV, i * 5 - 4, i * 5)
  redis.call('HSET', key, 'user', user, 'role', role, 'expires_at', expires_at, 'touched_at', at)
  redis.call('PEXPIRE', key, kept)
end
return 1
",
    )
});

/// One that is over stays over, and another node's later use is not undone.
static TOUCH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
for i, key in ipairs(KEYS) do
  local expires_at, at, kept = unpack(ARGV, i * 3 - 2, i * 3)
  local until_now = tonumber(redis.call('HGET', key, 'expires_at'))
  if until_now and until_now > tonumber(at) and until_now < tonumber(expires_at) then
    redis.call('HSET', key, 'expires_at', expires_at, 'touched_at', at)
    redis.call('PEXPIRE', key, kept)
  end
end
",
    )
});

/// What is kept of one: user, role, when it ends, when it was last used.
type Fields = (Option<i64>, Option<String>, Option<i64>, Option<i64>);

/// [`SessionStore`] in Redis, under the hashes of the tokens. Without Redis nobody's session can be told, and every call
/// fails as unavailable.
#[derive(Debug, Clone)]
pub struct RedisSessions {
    redis: Redis,
}

impl RedisSessions {
    /// In `redis`.
    pub const fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// Opens many, some hundred with each call.
    pub async fn open_many(&self, sessions: &[NewSession]) -> Result<(), StorageError> {
        for part in sessions.chunks(CALL_MAX) {
            let mut script = OPEN.prepare_invoke();
            for NewSession { hash, user, role, expires_at, at } in part {
                script.key(self.key(*hash)).arg(user.0).arg(role.name()).arg(expires_at.as_micros());
                script.arg(at.as_micros()).arg(kept(*at, *expires_at));
            }
            let opened: u8 = self.redis.script("open_sessions", &script).await.map_err(unavailable)?;
            if opened == 0 {
                return Err(StorageError::Data("a session of this token is open already".into()));
            }
        }
        Ok(())
    }

    fn key(&self, hash: TokenHash) -> String {
        let hash = hash.0.iter().fold(String::new(), |mut text, byte| {
            // A string takes everything.
            let _ = write!(text, "{byte:02x}");
            text
        });
        self.redis.key("session", hash)
    }
}

#[async_trait]
impl SessionStore for RedisSessions {
    async fn open(&self, session: NewSession) -> Result<(), StorageError> {
        self.open_many(&[session]).await
    }

    async fn find(&self, hash: TokenHash, now: Timestamp) -> Result<Option<SessionOwner>, StorageError> {
        let mut read = cmd("HMGET");
        read.arg(self.key(hash)).arg(&["user", "role", "expires_at", "touched_at"]);
        let fields: Fields = self.redis.run("find_session", &read).await.map_err(unavailable)?;
        let (Some(user), Some(role), Some(expires_at), Some(touched_at)) = fields else { return Ok(None) };
        let role =
            Role::parse(&role).ok_or_else(|| StorageError::Data("a session of an unknown role".into()))?;
        let [expires_at, touched_at] = [expires_at, touched_at].map(Timestamp::from_micros);
        let owner = SessionOwner { user: UserId(user), role, expires_at, touched_at };
        Ok((now < expires_at).then_some(owner))
    }

    async fn touch(&self, touches: &[SessionTouch]) -> Result<(), StorageError> {
        for part in touches.chunks(CALL_MAX) {
            let mut script = TOUCH.prepare_invoke();
            for SessionTouch { hash, at, expires_at } in part {
                script.key(self.key(*hash)).arg(expires_at.as_micros()).arg(at.as_micros());
                script.arg(kept(*at, *expires_at));
            }
            self.redis.script::<()>("touch_sessions", &script).await.map_err(unavailable)?;
        }
        Ok(())
    }

    async fn end(&self, hash: TokenHash) -> Result<(), StorageError> {
        let ended = self.redis.run("end_session", cmd("DEL").arg(self.key(hash))).await;
        ended.map_err(unavailable)
    }
}

/// How long Redis keeps a session, in milliseconds.
fn kept(at: Timestamp, expires_at: Timestamp) -> u64 {
    u64::try_from((expires_at.since(at) + KEPT_BEYOND).as_millis()).unwrap_or(u64::MAX)
}

fn unavailable(error: RedisError) -> StorageError {
    StorageError::Unavailable(error.into())
}
