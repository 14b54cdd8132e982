//! From rows to values. What does not decode is an error, never a panic.

use commerce_contracts::gateway::{CardType, Transaction, TransactionStatus};
use sea_orm::{DbErr, QueryResult, TryGetable};

use crate::domain::{Recorded, status_name};

/// The columns of [`Columns::recorded`], in their order.
pub(super) const RECORDED_COLUMNS: [&str; 12] = [
    "transaction_key",
    "order_id",
    "card_type",
    "card_no",
    "amount",
    "status",
    "reason",
    "callback_url",
    "refunded",
    "recorded_at",
    "due_at",
    "decided_at",
];

/// The columns of a row, taken in the order of the SELECT.
pub(super) struct Columns<'a> {
    row: &'a QueryResult,
    next: usize,
}

impl<'a> Columns<'a> {
    pub(super) const fn of(row: &'a QueryResult) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn take<T: TryGetable>(&mut self) -> Result<T, DbErr> {
        let index = self.next;
        self.next += 1;
        self.row.try_get_by_index(index)
    }

    pub(super) fn named<T>(
        &mut self,
        what: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, DbErr> {
        let name = self.take::<String>()?;
        parse(&name).ok_or_else(|| DbErr::Type(format!("the database holds {name} as {what}")))
    }

    pub(super) fn recorded(&mut self) -> Result<Recorded, DbErr> {
        let transaction = Transaction {
            transaction_key: self.take()?,
            order_id: self.take()?,
            card_type: self.named("card type", parse_card_type)?,
            card_no: self.take()?,
            amount: self.take()?,
            status: self.named("status", parse_status)?,
            reason: self.take()?,
        };
        Ok(Recorded {
            transaction,
            callback_url: self.take()?,
            refunded: self.take()?,
            created_at: self.take()?,
            due_at: self.take()?,
            decided_at: self.take()?,
        })
    }
}

/// Rows, each decoded from its columns.
pub(super) fn decoded<T>(
    rows: &[QueryResult],
    decode: impl Fn(&mut Columns<'_>) -> Result<T, DbErr>,
) -> Result<Vec<T>, DbErr> {
    rows.iter().map(|row| decode(&mut Columns::of(row))).collect()
}

/// Rows of [`RECORDED_COLUMNS`].
pub(super) fn recorded(rows: &[QueryResult]) -> Result<Vec<Recorded>, DbErr> {
    rows.iter().map(|row| Columns::of(row).recorded()).collect()
}

pub(super) const fn card_type(card_type: CardType) -> &'static str {
    match card_type {
        CardType::Samsung => "SAMSUNG",
        CardType::Kb => "KB",
        CardType::Hyundai => "HYUNDAI",
    }
}

fn parse_card_type(name: &str) -> Option<CardType> {
    [CardType::Samsung, CardType::Kb, CardType::Hyundai].into_iter().find(|known| card_type(*known) == name)
}

pub(super) fn parse_status(name: &str) -> Option<TransactionStatus> {
    [TransactionStatus::Pending, TransactionStatus::Success, TransactionStatus::Failed]
        .into_iter()
        .find(|known| status_name(*known) == name)
}
