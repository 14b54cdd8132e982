use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use commerce_contracts::gateway::{PaymentRequest, Transaction, TransactionStatus, TransactionSummary};
use commerce_database::{Column, DatabaseError, Insert, Lock, RowValue, Select, Update, WriteTransaction};
use sea_orm::{ConnectionTrait as _, DbErr, Statement};

use super::Storage;
use super::decode::{Columns, card_type, decoded};
use crate::domain::{Outcome, status_name};

/// A payment that is to be recorded.
#[derive(Clone)]
pub(crate) struct NewTransaction {
    /// A key that may be taken already.
    pub key: String,
    pub request: PaymentRequest,
    pub idempotency_key: Option<String>,
    /// How it will be decided.
    pub outcome: Outcome,
    pub recorded_at: i64,
    /// Nothing shows it before.
    pub visible_at: i64,
    /// When it is decided.
    pub due_at: i64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecordResult {
    New(TransactionSummary),
    /// Its idempotency key was used for the same request before.
    Known(TransactionSummary),
    /// Its idempotency key was used for another request.
    OtherBody,
    /// The reference was voided.
    Voided,
    /// The transaction key is taken: another one is needed.
    KeyTaken,
}

const BY_IDEMPOTENCY_KEY: Select = Select {
    table: "transactions",
    columns: &[
        "idempotency_key",
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
        "visible_at",
    ],
    keys: &[Column::text("idempotency_key")],
    order: &[],
};

const VOIDS: Select =
    Select { table: "voids", columns: &["order_id"], keys: &[Column::text("order_id")], order: &[] };

const KEYS: Select = Select {
    table: "transactions",
    columns: &["transaction_key"],
    keys: &[Column::text("transaction_key")],
    order: &[],
};

const INSERT: Insert = Insert {
    table: "transactions",
    columns: &[
        Column::text("transaction_key"),
        Column::text("order_id"),
        Column::text("card_type"),
        Column::text("card_no"),
        Column::int("amount"),
        Column::text("status"),
        Column::text("planned_status"),
        Column::text("planned_reason"),
        Column::text("callback_url"),
        Column::text("idempotency_key"),
        Column::int("refunded"),
        Column::int("recorded_at"),
        Column::int("visible_at"),
        Column::int("due_at"),
    ],
};

const REVEAL: Update = Update {
    table: "transactions",
    columns: &[Column::text("transaction_key"), Column::int("visible_at")],
    keys: &["transaction_key"],
    set: &["visible_at"],
    expect: &[],
};

impl Storage {
    /// Records a batch in one transaction, and says of each payment in order what came of it.
    pub(crate) async fn record(
        &self,
        batch: Vec<NewTransaction>,
    ) -> Result<Vec<RecordResult>, DatabaseError> {
        let batch = Arc::new(batch);
        self.db
            .write("record", move |tx| {
                let batch = Arc::clone(&batch);
                Box::pin(async move { record_batch(tx, &batch).await })
            })
            .await
    }
}

/// What an idempotency key was used for.
struct Used {
    transaction: Transaction,
    visible_at: i64,
}

impl Used {
    /// Where the callback goes to is not part of what is paid: a shop that moved repeats the payment all the same.
    fn is_for(&self, request: &PaymentRequest) -> bool {
        let used = &self.transaction;
        used.order_id == request.order_id
            && used.card_type == request.card_type
            && used.card_no == request.card_no
            && used.amount == request.amount
    }
}

async fn record_batch(
    tx: &WriteTransaction,
    batch: &[NewTransaction],
) -> Result<Vec<RecordResult>, DatabaseError> {
    let mut used = used(tx, batch).await?;
    let references = batch.iter().map(|new| [RowValue::from(&new.request.order_id)]);
    let voided = found(tx, VOIDS.by_rows(tx.dialect(), Lock::Update, references)).await?;
    let keys = batch.iter().map(|new| [RowValue::from(&new.key)]);
    let mut taken = found(tx, KEYS.by_rows(tx.dialect(), Lock::Update, keys)).await?;
    let (mut rows, mut reveal) = (INSERT.rows(), REVEAL.rows());
    let mut results = Vec::with_capacity(batch.len());
    for new in batch {
        let known = new.idempotency_key.as_ref().and_then(|key| used.get(key));
        if let Some(known) = known {
            if !known.is_for(&new.request) {
                results.push(RecordResult::OtherBody);
                continue;
            }
            if known.visible_at > new.recorded_at {
                reveal.push([(&known.transaction.transaction_key).into(), new.recorded_at.into()]);
            }
            results.push(RecordResult::Known(summary(&known.transaction)));
        } else if voided.contains(&new.request.order_id) {
            results.push(RecordResult::Voided);
        } else if taken.contains(&new.key) {
            results.push(RecordResult::KeyTaken);
        } else {
            rows.push(row(new));
            taken.insert(new.key.clone());
            let transaction = pending(new);
            results.push(RecordResult::New(summary(&transaction)));
            if let Some(key) = &new.idempotency_key {
                used.insert(key.clone(), Used { transaction, visible_at: new.visible_at });
            }
        }
    }
    if !rows.is_empty() {
        tx.execute_raw(INSERT.statement(tx.dialect(), &rows)).await?;
    }
    if !reveal.is_empty() {
        tx.execute_raw(REVEAL.statement(tx.dialect(), &reveal)).await?;
    }
    Ok(results)
}

async fn used(
    tx: &WriteTransaction,
    batch: &[NewTransaction],
) -> Result<HashMap<String, Used>, DatabaseError> {
    let keys: Vec<_> = batch.iter().filter_map(|new| new.idempotency_key.as_ref()).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let keys = keys.into_iter().map(|key| [RowValue::from(key)]);
    let select = BY_IDEMPOTENCY_KEY.by_rows(tx.dialect(), Lock::Update, keys);
    let rows = tx.query_all_raw(select).await?;
    let used = |row: &mut Columns<'_>| {
        let (key, recorded) = (row.take::<String>()?, row.recorded()?);
        Ok((key, Used { transaction: recorded.transaction, visible_at: row.take()? }))
    };
    Ok(decoded(&rows, used)?.into_iter().collect())
}

/// The text of the rows found.
async fn found(tx: &WriteTransaction, select: Statement) -> Result<HashSet<String>, DatabaseError> {
    let rows = tx.query_all_raw(select).await?;
    let texts = rows.iter().map(|row| Columns::of(row).take());
    Ok(texts.collect::<Result<_, DbErr>>()?)
}

fn row(new: &NewTransaction) -> [RowValue<'_>; 14] {
    let request = &new.request;
    [
        (&new.key).into(),
        (&request.order_id).into(),
        card_type(request.card_type).into(),
        (&request.card_no).into(),
        request.amount.into(),
        status_name(TransactionStatus::Pending).into(),
        status_name(new.outcome.status()).into(),
        new.outcome.reason().into(),
        (&request.callback_url).into(),
        new.idempotency_key.as_ref().into(),
        0_i64.into(),
        new.recorded_at.into(),
        new.visible_at.into(),
        new.due_at.into(),
    ]
}

fn pending(new: &NewTransaction) -> Transaction {
    Transaction {
        transaction_key: new.key.clone(),
        order_id: new.request.order_id.clone(),
        card_type: new.request.card_type,
        card_no: new.request.card_no.clone(),
        amount: new.request.amount,
        status: TransactionStatus::Pending,
        reason: None,
    }
}

fn summary(transaction: &Transaction) -> TransactionSummary {
    TransactionSummary {
        transaction_key: transaction.transaction_key.clone(),
        status: transaction.status,
        reason: transaction.reason.clone(),
    }
}
