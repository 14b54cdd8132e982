//! Buyers of a demonstration, many at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use commerce_api_application::ports::{AuditEntry, NewBuyer, StorageError};
use commerce_api_domain::{LedgerKind, Role, Timestamp, UserId};
use commerce_database::{Column, Database, Insert, Lock, RowValue, Select, WriteTransaction};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::accounts::USER;
use super::query::{Failure, decoded, insert_rows};
use super::sessions::SESSION;
use crate::sql::decode::undecodable;
use crate::sql::unit_of_work::records;

/// No argon2 hash, so no password fits it.
const NO_PASSWORD: &str = "!";

const USERS: Select =
    Select { table: "users", columns: &["login_id", "id"], keys: &[Column::text("login_id")], order: &[] };

const CHARGE: Insert = Insert {
    table: "point_ledger",
    columns: &[
        Column::uuid("id"),
        Column::int("user_id"),
        Column::text("kind"),
        Column::int("amount"),
        Column::int("signed_amount"),
        Column::int("balance_after"),
        Column::int("at"),
    ],
};

/// Buyers to add, and an id for the charge of each.
pub(super) struct NewBuyers {
    pub buyers: Vec<NewBuyer>,
    pub ledger_ids: Vec<Uuid>,
    pub at: Timestamp,
    pub sessions_expire_at: Timestamp,
    pub audit: AuditEntry,
}

/// Five statements, whatever the number of buyers: users, their ids, charges, sessions, the entry of the audit log.
pub(super) async fn add(db: &Database, new: NewBuyers) -> Result<Vec<UserId>, StorageError> {
    if new.buyers.is_empty() {
        return Ok(Vec::new());
    }
    let new = Arc::new(new);
    let added = db.write("add_buyers", move |tx| {
        let new = new.clone();
        Box::pin(async move { run(tx, &new).await })
    });
    added.await.map_err(Failure::into_port)
}

async fn run(tx: &WriteTransaction, new: &NewBuyers) -> Result<Vec<UserId>, Failure<StorageError>> {
    let NewBuyers { buyers, ledger_ids, at, sessions_expire_at, audit } = new;
    let at = at.as_micros();
    let mut users = USER.rows();
    for buyer in buyers {
        users.push([
            (&buyer.login_id).into(),
            format!("{}@demo.invalid", buyer.login_id).into(),
            NO_PASSWORD.into(),
            Role::Customer.name().into(),
            RowValue::Null,
            RowValue::Null,
            buyer.points.won().into(),
            at.into(),
        ]);
    }
    insert_rows(tx, &USER, &users).await?;
    let logins = buyers.iter().map(|buyer| [RowValue::from(&buyer.login_id)]);
    let rows = tx.query_all_raw(USERS.by_rows(tx.dialect(), Lock::None, logins)).await?;
    let pairs: Vec<(String, i64)> = decoded(&rows, |row| Ok((row.take()?, row.take()?)))?;
    let by_login: BTreeMap<String, i64> = pairs.into_iter().collect();
    let mut added = Vec::with_capacity(buyers.len());
    let (mut charges, mut sessions) = (CHARGE.rows(), SESSION.rows());
    for (buyer, ledger_id) in buyers.iter().zip(ledger_ids) {
        let id = *by_login.get(&buyer.login_id).ok_or_else(|| undecodable("new buyer", &buyer.login_id))?;
        if !buyer.points.is_zero() {
            let points = buyer.points.won();
            let kind = LedgerKind::Charge.name();
            charges.push([
                (*ledger_id).into(),
                id.into(),
                kind.into(),
                points.into(),
                points.into(),
                points.into(),
                at.into(),
            ]);
        }
        sessions.push([
            buyer.session.0.as_slice().into(),
            id.into(),
            Role::Customer.name().into(),
            sessions_expire_at.as_micros().into(),
            at.into(),
            at.into(),
        ]);
        added.push(UserId(id));
    }
    insert_rows(tx, &CHARGE, &charges).await?;
    insert_rows(tx, &SESSION, &sessions).await?;
    records::audit(tx, std::slice::from_ref(audit)).await?;
    Ok(added)
}
