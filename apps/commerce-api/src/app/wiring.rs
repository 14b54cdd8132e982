//! Which use cases stand on which adapters.

use std::sync::Arc;

use axum::Router;
use commerce_api_application::desk::{LikeDesk, OrderDesk, Signal};
use commerce_api_application::payments::{Callbacks, Payments};
use commerce_api_application::ports::PaymentGateway;
use commerce_api_application::reconciliation::{Reconciler, Reconciliations};
use commerce_api_application::schedule::Scheduler;
use commerce_api_application::{
    Admin, Breakers, Catalogue, Coupons, Idempotency, Likes, Orders, Points, ProductDetails, Rankings,
    ViewCounter,
};
use commerce_api_infrastructure::gateway::RegistryBreakers;
use commerce_api_infrastructure::runtime::fill_random;
use commerce_api_infrastructure::sql::SqlAuditTrail;
use commerce_http::EntropySource;
use commerce_http::limit::RateLimits;
use commerce_resilience::BreakerRegistry;
use commerce_telemetry::{
    ActuatorState, AnyOf, BuildInfo, HealthRegistry, LoopbackOr, MetricsHandle, Readiness, actuator,
};

use super::error::StartError;
use super::guards::AdminSession;
use super::health::{BusReached, DatabaseHealth, RedisHealth};
use super::platform::Platform;
use super::shared_limits::RedisBuckets;
use crate::config::{Config, Profile};
use crate::interfaces::{self, Facades, FrontDoor, SessionAuthenticator, SignatureGuard};

struct OsEntropy;

impl EntropySource for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        fill_random(bytes);
    }
}

/// The desks, at work.
#[derive(Clone)]
pub(super) struct Desks {
    pub(super) orders: OrderDesk,
    pub(super) likes: LikeDesk,
}

impl Desks {
    pub(super) fn start(platform: &Platform, config: &Config) -> Self {
        let options = config.desk_options();
        let orders = OrderDesk::start(
            platform.storage.clone(),
            platform.ids.clone(),
            platform.clock.clone(),
            config.rules(),
            options,
            config.keep_answers(),
        );
        Self { orders, likes: LikeDesk::start(platform.storage.clone(), platform.clock.clone(), options) }
    }
}

pub(super) fn facades(
    platform: &Platform,
    config: &Config,
    Desks { orders: desk, likes }: Desks,
    (gateway, breakers): (Arc<dyn PaymentGateway>, BreakerRegistry),
    (views, requested): (Arc<ViewCounter>, Signal),
) -> Facades {
    let (ids, clock) = (|| platform.ids.clone(), || platform.clock.clone());
    let signs = config.gateway.signature;
    let reconciler = reconciler(platform, gateway.clone(), desk.payments_due().clone());
    let (queries, checks) = (platform.payments.clone(), platform.checks.clone());
    let rankings = Rankings::new(platform.boards.clone(), platform.catalogue.clone(), clock());
    Facades {
        accounts: platform.accounts.clone(),
        breakers: Breakers::new(
            Arc::new(RegistryBreakers::new(breakers)),
            Arc::new(SqlAuditTrail::new(platform.database.clone())),
            ids(),
            clock(),
        ),
        admin: Admin::new(platform.users.clone(), platform.tokens.clone(), ids(), clock(), config.is_demo()),
        callbacks: Callbacks::new(
            desk.clone(),
            queries.clone(),
            checks.clone(),
            platform.inbox.clone(),
            gateway,
            clock(),
        ),
        signatures: signs.then(|| SignatureGuard::new(platform.webhook_secrets.clone(), clock())),
        catalogue: Catalogue::new(platform.catalogue.clone(), desk.clone(), ids(), clock())
            .evicting(platform.products.clone()),
        coupons: Coupons::new(platform.coupons.clone(), desk.clone(), ids(), clock()),
        idempotency: Idempotency::new(platform.fingerprinter.clone()),
        likes: Likes::new(likes, platform.likes.clone(), ids()),
        orders: Orders::new(desk.clone(), platform.orders.clone(), ids(), clock())
            .sealing_with(platform.cipher.clone()),
        payments: Payments::new(desk.clone(), queries, checks, ids(), clock()),
        reconciliations: Reconciliations::new(reconciler, requested),
        stuck_after: config.stuck_after(),
        points: Points::new(platform.users.clone(), desk, ids(), clock(), config.customers_may_charge()),
        details: ProductDetails::new(platform.products.clone(), platform.catalogue.clone(), rankings.clone()),
        rankings,
        views,
        clock: clock(),
        docs: config.docs.enabled,
    }
}

/// Compares the gateway's settlement reports with the books.
pub(super) fn reconciler(
    platform: &Platform,
    gateway: Arc<dyn PaymentGateway>,
    payments_due: Signal,
) -> Reconciler {
    let (ids, clock) = (platform.ids.clone(), platform.clock.clone());
    Reconciler::new(platform.reconciliation.clone(), gateway, ids, clock, payments_due)
}

pub(super) fn scheduler(platform: &Platform, desk: OrderDesk, views: Arc<ViewCounter>) -> Scheduler {
    Scheduler {
        desk,
        accounts: platform.accounts.clone(),
        orders: platform.orders.clone(),
        catalogue: platform.catalogue.clone(),
        views,
        maintenance: platform.maintenance.clone(),
        leases: platform.leases.clone(),
        ids: platform.ids.clone(),
        clock: platform.clock.clone(),
    }
}

/// Shows the breakers of Redis beside those of the gateway, where it is used.
pub(super) fn show_breakers_of_redis(platform: &Platform, breakers: &BreakerRegistry) {
    for breaker in platform.redis.iter().flat_map(commerce_redis::Redis::breakers) {
        if let Err(error) = breakers.adopt(breaker) {
            tracing::warn!(%error, "a circuit breaker cannot be shown");
        }
    }
}

pub(super) fn router(
    platform: &Platform,
    config: &Config,
    facades: Facades,
    (metrics, breakers): (MetricsHandle, BreakerRegistry),
    (readiness, reached): (Readiness, BusReached),
) -> Result<Router, StartError> {
    let accounts = platform.accounts.clone();
    let authenticator = Arc::new(SessionAuthenticator::new(accounts.clone()));
    let token = config.actuator.scrape_token.as_ref().map(|token| token.expose().to_owned());
    let guard = AnyOf(vec![Arc::new(LoopbackOr::new(token)), Arc::new(AdminSession(accounts))]);
    let mut health =
        HealthRegistry::new(readiness).with_readiness(Arc::new(DatabaseHealth(platform.database.clone())));
    if config.profile == Profile::Servers {
        health = health.with_readiness(Arc::new(reached));
    }
    if let Some(redis) = &platform.redis {
        // Nodes serve without it; all of them are without it at once.
        health = health.with(Arc::new(RedisHealth(redis.clone())));
    }
    let info = BuildInfo {
        name: "commerce-api",
        version: env!("CARGO_PKG_VERSION"),
        profile: if cfg!(debug_assertions) { "debug" } else { "release" },
        commit: option_env!("COMMERCE_COMMIT"),
    };
    let state = ActuatorState::new(info, health, metrics, Arc::new(guard)).with_breakers(breakers);
    let operator = actuator::router(state);
    let mut limits = RateLimits::new(config.limit_options());
    if let Some(redis) = &platform.redis {
        limits = limits.over_all_nodes(Arc::new(RedisBuckets(redis.clone())));
    }
    let limits = Some(Arc::new(limits));
    let front = FrontDoor { limits, origins: config.cors_origins() };
    let (router, _) = interfaces::router(facades, Arc::new(OsEntropy), authenticator, operator, front)
        .map_err(StartError::Routes)?;
    Ok(router)
}
