//! What a batch asks storage for: one unit of work, and every key in it together with the lock of the key's user.
//!
//! `SQLite` has one writer, so it cannot show a key that was read outside of the lock; several nodes on a server can.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use crate::shop::*;
use async_trait::async_trait;
use commerce_api_application::desk::DeskOptions;
use commerce_api_application::ports::{
    CommitError, DeskChanges, LikeKey, LockRequest, Locked, LockedLikes, NewLikes, OrderParts, Storage,
    StorageError, UnitOfWork,
};
use commerce_api_domain::*;

/// The requests of each unit of work, in their order.
type Units = Arc<Mutex<Vec<Vec<LockRequest>>>>;

struct Watched {
    storage: Arc<dyn Storage>,
    units: Units,
}

struct WatchedUnit {
    unit: Box<dyn UnitOfWork>,
    units: Units,
}

#[async_trait]
impl Storage for Watched {
    async fn order_parts(
        &self,
        orders: &BTreeSet<OrderId>,
    ) -> Result<BTreeMap<OrderId, OrderParts>, StorageError> {
        self.storage.order_parts(orders).await
    }

    async fn begin(&self, name: &'static str) -> Result<Box<dyn UnitOfWork>, StorageError> {
        let unit = self.storage.begin(name).await?;
        self.units.lock().unwrap().push(Vec::new());
        Ok(Box::new(WatchedUnit { unit, units: self.units.clone() }))
    }
}

#[async_trait]
impl UnitOfWork for WatchedUnit {
    async fn lock(&mut self, request: &LockRequest) -> Result<Locked, StorageError> {
        self.units.lock().unwrap().last_mut().unwrap().push(request.clone());
        self.unit.lock(request).await
    }

    async fn lock_likes(&mut self, keys: &BTreeSet<LikeKey>) -> Result<LockedLikes, StorageError> {
        self.unit.lock_likes(keys).await
    }

    async fn write(&mut self, changes: &DeskChanges<'_>) -> Result<(), StorageError> {
        self.unit.write(changes).await
    }

    async fn write_likes(&mut self, changes: &NewLikes<'_>) -> Result<(), StorageError> {
        self.unit.write_likes(changes).await
    }

    async fn commit(self: Box<Self>) -> Result<(), CommitError> {
        self.unit.commit().await
    }
}

#[tokio::test]
async fn a_key_is_read_under_the_lock_of_its_user_in_the_unit_that_writes_its_answer() {
    let shop = Shop::memory();
    let units = Units::default();
    let watched = Arc::new(Watched { storage: shop.storage(), units: units.clone() });
    let desk = shop.desk_on(watched, DeskOptions::default());
    let (admin, user) = (shop.user(0).await, shop.user(50_000).await);
    let (product, coupon) = (shop.product(1_000, 10).await, shop.coupon(None).await);
    let order = order_of(shop.run(&desk, by_points(user, product, 1)).await.unwrap()).id;
    // An administrator's key is locked by the administrator, whoever is acted upon.
    let commands = [
        (user, by_points(user, product, 1)),
        (user, CommandKind::IssueCoupon { coupon, user }),
        (admin, CommandKind::ChargePoints { user, amount: won(5) }),
        (admin, CommandKind::MoveStock { product, kind: MovementKind::Receipt, quantity: 1, reason: None }),
        (admin, CommandKind::Cancel { order, by: Actor::Admin(admin) }),
    ];
    for (caller, kind) in commands {
        units.lock().unwrap().clear();
        let submission = keyed(caller, "k", 1, kind.clone());
        let scope = submission.keyed.as_ref().unwrap().scope.clone();
        desk.submit(submission).await.unwrap();
        let asked = units.lock().unwrap().clone();
        let [requests] = asked.as_slice() else { panic!("{kind:?}: {} units of work", asked.len()) };
        let [request] = requests.as_slice() else { panic!("{kind:?}: {} locks", requests.len()) };
        assert_eq!(request.keys, BTreeSet::from([scope]), "{kind:?}");
        assert!(request.users.contains(&caller), "{kind:?}: the key's user is not locked");
    }
}
