//! Orders and their payments.

use std::sync::Arc;

use commerce_api_domain::{CommandKind, Order, OrderId, Payment, PaymentEventRecord, PaymentId, PlaceOrder};
use serde_json::json;

use crate::Caller;
use crate::desk::{DeskReply, KeyedRequest, OrderDesk, Submission, SubmitError};
use crate::ports::{CardCipher, CardNumber, Clock, IdSource, OrderFilter, OrderQueries, StorageError};

/// Orders.
#[derive(Clone)]
pub struct Orders {
    desk: OrderDesk,
    queries: Arc<dyn OrderQueries>,
    ids: Arc<dyn IdSource>,
    clock: Arc<dyn Clock>,
    cipher: Option<Arc<dyn CardCipher>>,
}

impl Orders {
    /// With these adapters; without a cipher no order is paid by card.
    pub fn new(
        desk: OrderDesk,
        queries: Arc<dyn OrderQueries>,
        ids: Arc<dyn IdSource>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { desk, queries, ids, clock, cipher: None }
    }

    /// The same, sealing card numbers with `cipher`.
    #[must_use]
    pub fn sealing_with(self, cipher: Arc<dyn CardCipher>) -> Self {
        Self { cipher: Some(cipher), ..self }
    }

    /// Places an order for the caller that a card pays, at least in part. The number is sealed before anything else, and kept
    /// while it may have to be sent.
    pub async fn place_by_card(
        &self,
        caller: &Caller,
        keyed: KeyedRequest,
        order: PlaceOrder,
        number: &CardNumber,
    ) -> Result<DeskReply, SubmitError> {
        let Some(cipher) = &self.cipher else {
            tracing::error!("an order by card was refused: no cipher is configured for card numbers");
            return Err(SubmitError::Failed);
        };
        let submission = caller.submission(CommandKind::Place(order), keyed, None);
        self.desk.submit(Submission { card: Some(cipher.seal(number)), ..submission }).await
    }

    /// Places an order for the caller that points pay.
    pub async fn place(
        &self,
        caller: &Caller,
        keyed: KeyedRequest,
        order: PlaceOrder,
    ) -> Result<DeskReply, SubmitError> {
        if order.payment.card.is_some() {
            tracing::error!("an order by card was refused: it came without the card's number");
            return Err(SubmitError::Failed);
        }
        self.desk.submit(caller.submission(CommandKind::Place(order), keyed, None)).await
    }

    /// Cancels an order of the caller, or any for an administrator.
    pub async fn cancel(
        &self,
        caller: &Caller,
        keyed: KeyedRequest,
        order: OrderId,
    ) -> Result<DeskReply, SubmitError> {
        let audit = caller.is_admin().then(|| {
            caller.audit(&*self.ids, &*self.clock, "ORDER_CANCELED", format!("order:{order}"), &json!({}))
        });
        let kind = CommandKind::Cancel { order, by: caller.actor() };
        self.desk.submit(caller.submission(kind, keyed, audit)).await
    }

    /// One order; none where it is not the caller's to see.
    pub async fn order(&self, caller: &Caller, id: OrderId) -> Result<Option<Order>, StorageError> {
        Ok(self.queries.order(id).await?.filter(|order| caller.may_see(order.user)))
    }

    /// Orders, newest first. The filter's user is the caller unless an administrator asks.
    pub async fn orders(&self, caller: &Caller, filter: OrderFilter) -> Result<Vec<Order>, StorageError> {
        let user = if caller.is_admin() { filter.user } else { Some(caller.user) };
        self.queries.orders(&OrderFilter { user, ..filter }).await
    }

    /// One payment; none where it is not the caller's to see.
    pub async fn payment(&self, caller: &Caller, id: PaymentId) -> Result<Option<Payment>, StorageError> {
        Ok(self.queries.payment(id).await?.filter(|payment| caller.may_see(payment.user)))
    }

    /// A payment's events in order; none where it is not the caller's to see.
    pub async fn payment_history(
        &self,
        caller: &Caller,
        id: PaymentId,
    ) -> Result<Option<Vec<PaymentEventRecord>>, StorageError> {
        if self.payment(caller, id).await?.is_none() {
            return Ok(None);
        }
        self.queries.payment_history(id).await.map(Some)
    }
}
