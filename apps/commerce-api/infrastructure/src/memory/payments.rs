//! What the dispatcher and the callbacks keep, in memory.

use std::time::Duration;

use async_trait::async_trait;
use commerce_api_application::ports::{
    AuditEntry, CallbackInbox, ClaimedCheck, DueRefund, InboxEntry, NextCheck, OpenFilter, OpenPayment,
    PaymentChecks, PaymentQueries, PaymentsInState, StorageError, Verdict,
};
use commerce_api_domain::{Order, OrderStatus, Payment, PaymentId, PaymentStatus, Timestamp};
use uuid::Uuid;

use super::MemoryStorage;
use super::state::{Check, Tables};
use super::write;

fn order(tables: &Tables, payment: PaymentId) -> Option<&Order> {
    tables.orders.get(tables.orders_by_payment.get(&payment)?)
}

fn refunds(tables: &Tables, payment: PaymentId) -> Vec<DueRefund> {
    let all = tables.refunds.committed().iter();
    let due = all.filter(|((of, _), refund)| *of == payment && refund.settled_at.is_none());
    due.map(|((_, key), refund)| DueRefund {
        gateway_key: key.to_string(),
        refund_key: refund.refund_key.clone(),
        amount: refund.amount,
    })
    .collect()
}

fn claimed(tables: &Tables, payment: PaymentId, check: Check) -> Option<ClaimedCheck> {
    let order = order(tables, payment)?;
    Some(ClaimedCheck {
        payment: order.payment.clone(),
        order: order.id,
        order_waits: order.status == OrderStatus::PaymentPending,
        fence: check.fence,
        tries: check.tries,
        since: order.payment.updated_at,
        card: tables.vault.get(&payment).cloned(),
        refunds: refunds(tables, payment),
    })
}

#[async_trait]
impl PaymentChecks for MemoryStorage {
    async fn claim(
        &self,
        _owner: Uuid,
        now: Timestamp,
        ttl: Duration,
        limit: u64,
    ) -> Result<Vec<ClaimedCheck>, StorageError> {
        self.alone(|tables| {
            let checks = tables.checks.committed().iter();
            let mut due: Vec<_> = checks
                .filter(|(_, check)| check.next_check_at <= now)
                .map(|(payment, check)| (check.next_check_at, *payment, *check))
                .collect();
            due.sort_unstable_by_key(|(at, payment, _)| (*at, *payment));
            due.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            due.into_iter()
                .filter_map(|(_, payment, check)| {
                    let next_check_at = now.plus(ttl);
                    let check = Check { next_check_at, fence: check.fence + 1, is_held: true, ..check };
                    tables.checks.put(payment, check);
                    claimed(tables, payment, check)
                })
                .collect()
        })
        .await
    }

    async fn reschedule(&self, next: &[NextCheck]) -> Result<(), StorageError> {
        self.alone(|tables| {
            for NextCheck { payment, fence, at, tries } in next {
                let held = tables.checks.get(payment).filter(|check| check.is_held && check.fence == *fence);
                if let Some(check) = held.copied() {
                    tables
                        .checks
                        .put(*payment, Check { next_check_at: *at, tries: *tries, is_held: false, ..check });
                }
            }
        })
        .await
    }

    async fn finish(&self, payment: PaymentId, fence: i64) -> Result<(), StorageError> {
        self.alone(|tables| {
            let held = tables.checks.get(&payment).is_some_and(|check| check.is_held && check.fence == fence);
            let is_done = order(tables, payment).is_some_and(|order| order.payment.status.is_final());
            if held && is_done && refunds(tables, payment).is_empty() {
                tables.checks.remove(payment);
            }
        })
        .await
    }

    async fn hasten(
        &self,
        payment: PaymentId,
        at: Timestamp,
        audit: Option<AuditEntry>,
    ) -> Result<(), StorageError> {
        self.alone(|tables| {
            let check = tables.checks.get(&payment).copied().unwrap_or_default();
            tables.checks.put(payment, check.due(at));
            if let Some(entry) = audit {
                tables.audit_log.put(entry.id, entry);
            }
        })
        .await
    }

    async fn take_over(&self, now: Timestamp) -> Result<u64, StorageError> {
        self.alone(|tables| {
            let checks = tables.checks.committed().iter();
            let held: Vec<_> = checks
                .filter(|(_, check)| check.is_held)
                .map(|(payment, check)| (*payment, check.due(now)))
                .collect();
            let count = held.len() as u64;
            for (payment, check) in held {
                tables.checks.put(payment, check);
            }
            count
        })
        .await
    }

    async fn fence(&self, payment: PaymentId) -> Result<Option<i64>, StorageError> {
        self.alone(|tables| {
            let free = tables.checks.get(&payment).filter(|check| !check.is_held);
            free.map(|check| check.fence)
        })
        .await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StorageError> {
        self.alone(|tables| tables.checks.committed().values().map(|check| check.next_check_at).min()).await
    }

    async fn open(&self, filter: &OpenFilter) -> Result<Vec<OpenPayment>, StorageError> {
        self.alone(|tables| {
            let of = |(id, check): (&PaymentId, &Check)| {
                let payment = order(tables, *id)?.payment.clone();
                Some(OpenPayment { payment, tries: check.tries, next_check_at: check.next_check_at })
            };
            let mut open: Vec<_> = tables.checks.committed().iter().filter_map(of).collect();
            let position = |open: &OpenPayment| (open.payment.created_at, open.payment.id);
            open.retain(|open| {
                open.payment.created_at < filter.made_before
                    && filter.status.is_none_or(|status| open.payment.status == status)
                    && filter.after.is_none_or(|after| position(open) > after)
            });
            open.sort_by_key(position);
            open.truncate(usize::try_from(filter.limit).unwrap_or(usize::MAX));
            open
        })
        .await
    }

    async fn by_state(&self) -> Result<Vec<PaymentsInState>, StorageError> {
        self.alone(|tables| {
            let in_state = |status: PaymentStatus| {
                let payments = tables.orders.committed().values().map(|order| &order.payment);
                let of: Vec<Timestamp> = payments
                    .filter(|payment| payment.status == status)
                    .map(|payment| payment.created_at)
                    .collect();
                let oldest_at = of.iter().min().copied();
                PaymentsInState { status, count: i64::try_from(of.len()).unwrap_or(i64::MAX), oldest_at }
            };
            let open = PaymentStatus::ALL.into_iter().filter(|status| !status.is_final());
            open.map(in_state).filter(|state| state.count > 0).collect()
        })
        .await
    }
}

#[async_trait]
impl PaymentQueries for MemoryStorage {
    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StorageError> {
        self.alone(|tables| order(tables, id).map(|order| order.payment.clone())).await
    }

    async fn payment_of_key(&self, gateway_key: &str) -> Result<Option<PaymentId>, StorageError> {
        self.alone(|tables| tables.payments_by_gateway_key.get(&gateway_key.into()).copied()).await
    }
}

#[async_trait]
impl CallbackInbox for MemoryStorage {
    async fn verdict(&self, event_id: &str) -> Result<Option<Option<String>>, StorageError> {
        self.alone(|tables| {
            let kept = tables.callbacks.get(&event_id.to_owned());
            kept.map(|kept| Some(kept.verdict.name().to_owned()))
        })
        .await
    }

    async fn set_aside(&self, entry: InboxEntry, verdict: Verdict) -> Result<(), StorageError> {
        self.alone(|tables| write::callback(tables, &entry, verdict)).await
    }
}
