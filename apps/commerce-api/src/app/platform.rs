use std::sync::Arc;

use commerce_api_application::ports::{
    AccountStore, AuditStore, CallbackInbox, CardCipher, CatalogueStore, Clock, CouponStore, Fingerprinter,
    IdSource, LeaseStore, LikeQueries, Maintenance, OrderQueries, OutboxStore, PaymentChecks, PaymentQueries,
    ProductCache, RankingBoards, ReconciliationStore, SessionStore, Storage, TokenSource,
};
use commerce_api_application::{Accounts, EvictingStorage};
use commerce_api_infrastructure::product_cache::{InProcessProductCache, ProductCacheOptions};
use commerce_api_infrastructure::redis::{BuyersWithSessions, RedisSessions, SharedProductCache};
use commerce_api_infrastructure::runtime::{
    Argon2Hasher, HmacFingerprinter, RandomIds, RandomTokens, SystemClock, fill_random,
};
use commerce_api_infrastructure::session_cache::CachedSessions;
use commerce_api_infrastructure::sql;
use commerce_api_infrastructure::vault::AesCardCipher;
use commerce_database::Database;
use commerce_redis::Redis;

use super::error::StartError;
use crate::config::{Config, ConfigError, Keys, Profile};

/// The adapters of one installation, with the database open and migrated. Nothing runs yet: no lock is taken, nothing
/// listens, so the operator's commands use it beside a running `up`.
#[derive(Clone)]
pub struct Platform {
    /// The OLTP database.
    pub database: Database,
    /// What nodes share; none in the profile embedded.
    pub redis: Option<Redis>,
    /// Accounts and sessions.
    pub accounts: Accounts,
    /// Users and ledger.
    pub users: Arc<dyn AccountStore>,
    /// Catalogue.
    pub catalogue: Arc<dyn CatalogueStore>,
    /// Products that were read lately.
    pub products: Arc<dyn ProductCache>,
    /// Coupons.
    pub coupons: Arc<dyn CouponStore>,
    /// Orders and payments.
    pub orders: Arc<dyn OrderQueries>,
    /// Payments, as the gateway names them.
    pub payments: Arc<dyn PaymentQueries>,
    /// Payments that have to be visited.
    pub checks: Arc<dyn PaymentChecks>,
    /// Callbacks that came.
    pub inbox: Arc<dyn CallbackInbox>,
    /// Events to publish.
    pub outbox: Arc<dyn OutboxStore>,
    /// Likes.
    pub likes: Arc<dyn LikeQueries>,
    /// Ranking boards of the collector; none where there is no collector.
    pub boards: Option<Arc<dyn RankingBoards>>,
    /// Units of work.
    pub storage: Arc<dyn Storage>,
    /// Invariants.
    pub audit: Arc<dyn AuditStore>,
    /// Settlement reports and what came of comparing them.
    pub reconciliation: Arc<dyn ReconciliationStore>,
    /// Leases of background tasks.
    pub leases: Arc<dyn LeaseStore>,
    /// Retention.
    pub maintenance: Arc<dyn Maintenance>,
    /// Session tokens.
    pub tokens: Arc<dyn TokenSource>,
    /// Fingerprints of requests.
    pub fingerprinter: Arc<dyn Fingerprinter>,
    /// Seals card numbers.
    pub cipher: Arc<dyn CardCipher>,
    /// Of the signatures of callbacks; the simulator of a demonstration signs with the first.
    pub webhook_secrets: Vec<commerce_webhook::Secret>,
    /// Ids.
    pub ids: Arc<dyn IdSource>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl Platform {
    /// Name of the OLTP database in the data directory.
    pub const DATABASE_FILE: &'static str = "commerce.sqlite";

    /// Opens the data directory's database, brings its schema up to date and loads the installation's secrets.
    pub async fn open(config: &Config) -> Result<Self, StartError> {
        config.require_own_secrets()?;
        make_directory(config)?;
        let keys = config.keys(random_key)?;
        Self::open_with(config, keys).await
    }

    /// The same for commands that answer no requests, and therefore need no secret.
    pub async fn open_without_secrets(config: &Config) -> Result<Self, StartError> {
        make_directory(config)?;
        Self::open_with(config, Keys::throwaway(random_key)).await
    }

    async fn open_with(config: &Config, keys: Keys) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(config.zone()));
        let database = open_database(config).await?;
        let migrated = sql::migrate(&database, clock.now()).await;
        migrated.map_err(|source| StartError::Migrate { place: database.place(), source })?;
        let redis = open_redis(config)?;
        let boards = open_boards(config, redis.as_ref())?;
        let hasher = Argon2Hasher::new(config.password_cost())
            .map_err(|error| ConfigError::Unusable { section: "password", source: error.into() })?;
        Ok(Self::wire((database, redis), boards, (clock, keys, hasher), config))
    }

    fn wire(
        (database, redis): (Database, Option<Redis>),
        boards: Arc<dyn RankingBoards>,
        (clock, keys, hasher): (Arc<dyn Clock>, Keys, Argon2Hasher),
        config: &Config,
    ) -> Self {
        let tokens: Arc<dyn TokenSource> = Arc::new(RandomTokens);
        let ids: Arc<dyn IdSource> = Arc::new(RandomIds::new(clock.clone()));
        let Shared { users, sessions, products } = Shared::of(&database, redis.as_ref(), &clock, &ids);
        let payments = Arc::new(sql::SqlPayments::new(database.clone()));
        Self {
            accounts: Accounts::new(
                users.clone(),
                Arc::new(CachedSessions::new(sessions)),
                Arc::new(hasher),
                tokens.clone(),
                clock.clone(),
                config.account_options(),
            ),
            users,
            catalogue: Arc::new(sql::SqlCatalogue::new(database.clone())),
            coupons: Arc::new(sql::SqlCoupons::new(database.clone())),
            orders: Arc::new(sql::SqlOrders::new(database.clone())),
            payments: payments.clone(),
            checks: payments,
            inbox: Arc::new(sql::SqlCallbacks::new(database.clone())),
            outbox: Arc::new(sql::SqlOutbox::new(database.clone())),
            likes: Arc::new(sql::SqlLikes::new(database.clone())),
            boards: Some(boards),
            storage: Arc::new(EvictingStorage::new(
                Arc::new(sql::SqlStorage::new(database.clone())),
                products.clone(),
            )),
            products,
            audit: Arc::new(sql::SqlAudit::new(database.clone())),
            reconciliation: Arc::new(sql::SqlReconciliation::new(database.clone())),
            leases: Arc::new(sql::SqlLeases::new(database.clone())),
            maintenance: Arc::new(sql::SqlMaintenance::new(database.clone())),
            tokens,
            fingerprinter: Arc::new(HmacFingerprinter::new(&keys.fingerprint)),
            cipher: Arc::new(AesCardCipher::new(&keys.vault, &keys.vault_former)),
            webhook_secrets: keys.webhook,
            ids,
            clock,
            database,
            redis,
        }
    }
}

/// What nodes share: in Redis, or in the database and in this one process where there is no other.
struct Shared {
    users: Arc<dyn AccountStore>,
    sessions: Arc<dyn SessionStore>,
    products: Arc<dyn ProductCache>,
}

impl Shared {
    fn of(
        database: &Database,
        redis: Option<&Redis>,
        clock: &Arc<dyn Clock>,
        ids: &Arc<dyn IdSource>,
    ) -> Self {
        let users: Arc<dyn AccountStore> = Arc::new(sql::SqlAccounts::new(database.clone()));
        let Some(redis) = redis else {
            let options = ProductCacheOptions::default();
            return Self {
                users,
                sessions: Arc::new(sql::SqlSessions::new(database.clone())),
                products: Arc::new(InProcessProductCache::new(clock.clone(), options)),
            };
        };
        Self {
            users: Arc::new(BuyersWithSessions::new(users, RedisSessions::new(redis.clone()))),
            sessions: Arc::new(RedisSessions::new(redis.clone())),
            products: Arc::new(SharedProductCache::new(redis.clone(), clock.clone(), ids.clone())),
        }
    }
}

/// Redis, which need not be there yet.
fn open_redis(config: &Config) -> Result<Option<Redis>, StartError> {
    if config.profile == Profile::Embedded {
        return Ok(None);
    }
    let opened = Redis::open(&config.redis_options());
    let redis = opened.map_err(|error| ConfigError::Unusable { section: "redis", source: error.into() })?;
    Ok(Some(redis))
}

/// The shop's database: a file of the data directory, or on its server.
async fn open_database(config: &Config) -> Result<Database, StartError> {
    match config.profile {
        Profile::Embedded => {
            let place = config.data_dir.join(Platform::DATABASE_FILE).display().to_string();
            let opened = Database::open_sqlite(config.sqlite_options(Platform::DATABASE_FILE)).await;
            opened.map_err(|source| StartError::Open { place, source })
        }
        Profile::Servers => {
            let options = config.oltp_options()?;
            let place = options.server();
            let opened = Database::open_mysql(options).await;
            opened.map_err(|source| StartError::Open { place, source })
        }
    }
}

/// The boards that the collector writes.
fn open_boards(config: &Config, redis: Option<&Redis>) -> Result<Arc<dyn RankingBoards>, StartError> {
    Ok(match config.profile {
        Profile::Embedded => Arc::new(sql::SqlBoards::of_file(config.sqlite_options(sql::BOARDS_FILE))),
        Profile::Servers => {
            let options = config.olap_options()?;
            let place = options.server();
            let opened = Database::open_mysql_read_only(options);
            let opened = opened.map_err(|source| StartError::Open { place, source })?;
            let boards = sql::SqlBoards::of_server(opened);
            Arc::new(match redis {
                Some(redis) => boards.shared_in(redis.clone()),
                None => boards,
            })
        }
    })
}

fn make_directory(config: &Config) -> Result<(), StartError> {
    if config.profile == Profile::Servers {
        // Nothing is kept here.
        return Ok(());
    }
    std::fs::create_dir_all(&config.data_dir)
        .map_err(|source| StartError::DataDir { path: config.data_dir.clone(), source })
}

fn random_key() -> [u8; 32] {
    let mut key = [0; 32];
    fill_random(&mut key);
    key
}
