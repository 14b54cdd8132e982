use async_trait::async_trait;
use commerce_api_domain::{
    Order, OrderId, OrderStatus, Payment, PaymentEventRecord, PaymentId, Timestamp, UserId,
};

use super::StorageError;

/// The last order seen of a list: the time that the list is sorted by, and its id.
pub type OrderPosition = (Timestamp, OrderId);

/// Which orders to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct OrderFilter {
    /// Only this customer's.
    pub user: Option<UserId>,
    /// Only in this state.
    pub status: Option<OrderStatus>,
    /// After the last one seen.
    pub after: Option<OrderPosition>,
    /// At most so many.
    pub limit: u64,
}

/// Reads of orders and payments; a fixed number of statements each.
#[async_trait]
pub trait OrderQueries: Send + Sync + 'static {
    /// One order with lines and payment.
    async fn order(&self, id: OrderId) -> Result<Option<Order>, StorageError>;
    /// Orders with lines and payments, newest first.
    async fn orders(&self, filter: &OrderFilter) -> Result<Vec<Order>, StorageError>;
    /// One payment.
    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StorageError>;
    /// A payment's events in order.
    async fn payment_history(&self, id: PaymentId) -> Result<Vec<PaymentEventRecord>, StorageError>;
    /// Orders that wait for a payment past their deadline, with that deadline, oldest deadline first, after the last one
    /// seen.
    async fn overdue(
        &self,
        now: Timestamp,
        after: Option<OrderPosition>,
        limit: u64,
    ) -> Result<Vec<OrderPosition>, StorageError>;
}
