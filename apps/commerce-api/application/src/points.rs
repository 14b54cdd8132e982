//! Points.

use std::sync::Arc;

use commerce_api_domain::{CommandKind, LedgerId, Money, UserId};
use serde_json::json;

use crate::Caller;
use crate::desk::{DeskReply, KeyedRequest, OrderDesk, SubmitError};
use crate::ports::{AccountStore, Clock, IdSource, LedgerPage, StorageError};

/// Points of customers.
#[derive(Clone)]
pub struct Points {
    store: Arc<dyn AccountStore>,
    desk: OrderDesk,
    ids: Arc<dyn IdSource>,
    clock: Arc<dyn Clock>,
    customers_may_charge: bool,
}

impl Points {
    /// With these adapters; `customers_may_charge` is for demonstrations and shops that sell points elsewhere.
    pub fn new(
        store: Arc<dyn AccountStore>,
        desk: OrderDesk,
        ids: Arc<dyn IdSource>,
        clock: Arc<dyn Clock>,
        customers_may_charge: bool,
    ) -> Self {
        Self { store, desk, ids, clock, customers_may_charge }
    }

    /// Whether the caller may charge points.
    pub fn may_charge(&self, caller: &Caller) -> bool {
        self.customers_may_charge || caller.is_admin()
    }

    /// Charges points to `user`; the caller has been found to be allowed to. What an administrator charges goes to
    /// the audit log, their own account included.
    pub async fn charge(
        &self,
        caller: &Caller,
        keyed: KeyedRequest,
        user: UserId,
        amount: Money,
    ) -> Result<DeskReply, SubmitError> {
        let audit = caller.is_admin().then(|| {
            let detail = json!({ "amount": amount.won() });
            caller.audit(&*self.ids, &*self.clock, "POINTS_CHARGED", format!("user:{user}"), &detail)
        });
        self.desk.submit(caller.submission(CommandKind::ChargePoints { user, amount }, keyed, audit)).await
    }

    /// Balance and ledger, latest first.
    pub async fn ledger(
        &self,
        user: UserId,
        after: Option<LedgerId>,
        limit: u64,
    ) -> Result<Option<LedgerPage>, StorageError> {
        self.store.ledger(user, after, limit).await
    }
}
