//! Background work on a real database: expiry, retention, and uses of sessions.

use std::sync::Arc;
use std::time::Duration;

use commerce_api_application::ports::{
    Clock as _, IdSource as _, InboxEntry, NewSession, SessionStore, TokenSource, Verdict,
};
use commerce_api_application::schedule::Scheduler;
use commerce_api_application::{AccountOptions, Accounts, ViewCounter};
use commerce_api_domain::*;
use commerce_api_infrastructure::runtime::{Argon2Cost, Argon2Hasher, RandomTokens};
use commerce_api_infrastructure::session_cache::CachedSessions;
use commerce_api_infrastructure::sql::{
    SqlAccounts, SqlCatalogue, SqlLeases, SqlMaintenance, SqlOrders, SqlSessions,
};
use commerce_database::Database;

use crate::shop::*;

fn database(shop: &Shop) -> &Database {
    match &shop.backend {
        Backend::Sql { database, .. } => database,
        Backend::Memory(_) => panic!("background work runs on SQL"),
    }
}

fn accounts(shop: &Shop) -> Accounts {
    let database = database(shop).clone();
    Accounts::new(
        Arc::new(SqlAccounts::new(database.clone())),
        Arc::new(CachedSessions::new(Arc::new(SqlSessions::new(database)))),
        Arc::new(Argon2Hasher::new(Argon2Cost { memory_kib: 8_192, passes: 1, lanes: 1 }).unwrap()),
        Arc::new(RandomTokens),
        shop.clock.clone(),
        AccountOptions::default(),
    )
}

fn scheduler(shop: &Shop) -> Scheduler {
    let database = database(shop).clone();
    let catalogue = Arc::new(SqlCatalogue::new(database.clone()));
    Scheduler {
        desk: shop.desk(),
        accounts: accounts(shop),
        orders: Arc::new(SqlOrders::new(database.clone())),
        catalogue: catalogue.clone(),
        views: Arc::new(ViewCounter::new(catalogue, shop.clock.clone())),
        maintenance: Arc::new(SqlMaintenance::new(database.clone())),
        leases: Arc::new(SqlLeases::new(database)),
        ids: shop.ids.clone(),
        clock: shop.clock.clone(),
    }
}

#[tokio::test]
async fn everything_that_is_due_expires_past_what_cannot() {
    let shop = Shop::sqlite().await;
    let (user, product) = (shop.user(0).await, shop.product(1_000, 1_300).await);
    let scheduler = scheduler(&shop);
    let place = async || order_of(shop.run(&scheduler.desk, by_card(user, product, 1, 0)).await.unwrap());
    let broken = place().await;
    for _ in 0..1_200 {
        place().await;
    }
    assert_eq!(scheduler.expire_overdue().await.unwrap(), 0, "nothing is due yet");
    // The first in line cannot be expired: it names a coupon that nobody has.
    let meddle = "UPDATE orders SET issued_coupon_id = ?1 WHERE id = ?2";
    execute(database(&shop), meddle, [shop.ids.uuid().into(), broken.id.0.into()]).await;
    shop.clock.advance(Duration::from_mins(15));
    place().await;
    let expired = scheduler.expire_overdue().await.unwrap();
    let books = shop.books().await;
    let states = |name: &str| books.orders.values().filter(|(order, _)| order == name).count();
    assert_eq!((expired, states("EXPIRED")), (1_200, 1_200), "more than one page, past the broken one");
    assert_eq!(
        (states("PAYMENT_PENDING"), books.stocks[&product.0]),
        (2, 1_298),
        "the broken one, and the one placed just now"
    );
}

#[tokio::test]
async fn a_use_of_a_session_is_remembered_and_written_later() {
    let shop = Shop::sqlite().await;
    let user = shop.user(0).await;
    let accounts = accounts(&shop);
    let sessions = SqlSessions::new(database(&shop).clone());
    let (token, hash) = RandomTokens.issue();
    let idle = AccountOptions::default().session_idle;
    let at = shop.clock.now();
    let role = Role::Customer;
    sessions.open(NewSession { hash, user, role, expires_at: at.plus(idle), at }).await.unwrap();
    shop.clock.advance(Duration::from_mins(2));
    database(&shop).statements().reset();
    for _ in 0..300 {
        assert!(accounts.who(&token).await.unwrap().is_some());
    }
    assert!(database(&shop).statements().total() <= 1, "a use costs a read at most, and no write");
    accounts.flush_touches().await.unwrap();
    let found = sessions.find(hash, shop.clock.now()).await.unwrap().unwrap();
    assert_eq!((found.touched_at, found.expires_at), (shop.clock.now(), shop.clock.now().plus(idle)));
    // A session that ended in between stays ended.
    shop.clock.advance(Duration::from_mins(2));
    assert!(accounts.who(&token).await.unwrap().is_some());
    accounts.log_out(&token).await.unwrap();
    accounts.flush_touches().await.unwrap();
    assert_eq!(sessions.find(hash, shop.clock.now()).await.unwrap(), None);
}

#[tokio::test]
async fn answers_and_sessions_are_forgotten_only_when_they_have_expired() {
    let shop = Shop::sqlite().await;
    let (user, product) = (shop.user(10_000).await, shop.product(1_000, 10).await);
    let scheduler = scheduler(&shop);
    let submit =
        async || scheduler.desk.submit(keyed(user, "k", 1, by_points(user, product, 1))).await.unwrap();
    submit().await;
    shop.clock.advance(Duration::from_hours(23));
    scheduler.purge().await.unwrap();
    assert!(matches!(submit().await, commerce_api_application::desk::DeskReply::Replayed(_)));
    shop.clock.advance(Duration::from_hours(2));
    scheduler.purge().await.unwrap();
    assert_eq!(shop.books().await.answers, 0);
}

#[tokio::test]
async fn callbacks_are_forgotten_after_seven_days_and_not_before() {
    let shop = Shop::sqlite().await;
    let scheduler = scheduler(&shop);
    for (event_id, days) in [("old", 7), ("young", 6)] {
        let entry = InboxEntry {
            event_id: event_id.to_owned(),
            headers: "{}".to_owned(),
            body: "{}".to_owned(),
            received_at: NOW.minus(Duration::from_hours(24 * days)),
        };
        shop.payments().inbox.set_aside(entry, Verdict::UnknownReference).await.unwrap();
    }
    scheduler.purge().await.unwrap();
    assert_eq!(shop.books().await.callbacks.into_keys().collect::<Vec<_>>(), ["young"]);
}
