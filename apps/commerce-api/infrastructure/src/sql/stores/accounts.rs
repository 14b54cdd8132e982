use async_trait::async_trait;
use commerce_api_application::ports::{
    AccountStore, AuditEntry, Credentials, IdSource, LedgerPage, NewBuyer, NewUser, Profile, StorageError,
    Taken,
};
use commerce_api_domain::{LedgerEntry, LedgerId, LedgerKind, Money, OrderId, Role, Timestamp, UserId};
use commerce_database::{Column, Database, Insert};
use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement};

use super::buyers::{self, NewBuyers};
use super::query::{Failure, all, insert_new, one, select};
use crate::sql::decode::Columns;
use crate::sql::unit_of_work::records;

/// [`AccountStore`] on SQL.
#[derive(Debug, Clone)]
pub struct SqlAccounts {
    db: Database,
}

impl SqlAccounts {
    /// Works on `db`, which has the schema of this code.
    pub const fn new(db: Database) -> Self {
        Self { db }
    }
}

pub(super) const USER: Insert = Insert {
    table: "users",
    columns: &[
        Column::text("login_id"),
        Column::text("email"),
        Column::text("password_hash"),
        Column::text("role"),
        Column::text("birth_date"),
        Column::text("gender"),
        Column::int("balance"),
        Column::int("created_at"),
    ],
};

fn profiles() -> SelectStatement {
    let columns = ["id", "login_id", "email", "role", "birth_date", "gender", "balance", "created_at"];
    Query::select().columns(columns).from("users").take()
}

fn profile(row: &mut Columns<'_>) -> Result<Profile, StorageError> {
    Ok(Profile {
        id: UserId(row.take()?),
        login_id: row.take()?,
        email: row.take()?,
        role: row.named("role", Role::parse)?,
        birth_date: row.take()?,
        gender: row.take()?,
        balance: row.money("balance")?,
        created_at: row.time()?,
    })
}

#[async_trait]
impl AccountStore for SqlAccounts {
    async fn add_user(
        &self,
        user: NewUser,
        at: Timestamp,
        audit: Option<AuditEntry>,
    ) -> Result<Profile, Taken> {
        let login_id = user.login_id.clone();
        let added = self.db.write("add_user", move |tx| {
            let (user, audit) = (user.clone(), audit.clone());
            Box::pin(async move {
                let mut row = USER.rows();
                row.push([
                    (&user.login_id).into(),
                    (&user.email).into(),
                    (&user.password_hash).into(),
                    user.role.name().into(),
                    user.birth_date.as_deref().into(),
                    user.gender.as_deref().into(),
                    0_i64.into(),
                    at.as_micros().into(),
                ]);
                // Which of the two keys refused it is found out below.
                let id = insert_new(tx, &USER, &row, Taken::Email).await?;
                records::audit(tx, audit.as_slice()).await?;
                Ok::<_, Failure<Taken>>(Profile {
                    id: UserId(id),
                    login_id: user.login_id,
                    email: user.email,
                    role: user.role,
                    birth_date: user.birth_date,
                    gender: user.gender,
                    balance: Money::ZERO,
                    created_at: at,
                })
            })
        });
        match added.await.map_err(Failure::into_port) {
            Err(Taken::Email) if self.credentials(&login_id).await?.is_some() => Err(Taken::LoginId),
            other => other,
        }
    }

    async fn credentials(&self, login_id: &str) -> Result<Option<Credentials>, StorageError> {
        let mut statement = Query::select();
        statement
            .columns(["id", "password_hash", "role"])
            .from("users")
            .and_where(Expr::col("login_id").eq(login_id));
        let credentials = |row: &mut Columns<'_>| {
            Ok(Credentials {
                user: UserId(row.take()?),
                password_hash: row.take()?,
                role: row.named("role", Role::parse)?,
            })
        };
        one(&self.db.reader_named("credentials"), &statement, credentials).await
    }

    async fn profile(&self, user: UserId) -> Result<Option<Profile>, StorageError> {
        let reader = self.db.reader_named("profile");
        one(&reader, profiles().and_where(Expr::col("id").eq(user.0)), profile).await
    }

    async fn profiles(&self, after: Option<UserId>, limit: u64) -> Result<Vec<Profile>, StorageError> {
        let mut statement = profiles();
        statement
            .and_where_option(after.map(|after| Expr::col("id").gt(after.0)))
            .order_by("id", Order::Asc)
            .limit(limit);
        all(&self.db.reader_named("profiles"), &statement, profile).await
    }

    async fn ledger(
        &self,
        user: UserId,
        after: Option<LedgerId>,
        limit: u64,
    ) -> Result<Option<LedgerPage>, StorageError> {
        // One statement, so one snapshot: an account without rows gives one row without an entry.
        let mut entries = Expr::col(("l", "user_id")).equals(("u", "id"));
        if let Some(after) = after {
            entries = entries.and(Expr::col(("l", "id")).lt(after.0));
        }
        let mut statement = Query::select();
        select(&mut statement, "u", &["balance", "id"]);
        select(&mut statement, "l", &["id", "order_id", "kind", "amount", "balance_after", "at"]);
        statement
            .from_as("users", "u")
            .join_as(JoinType::LeftJoin, "point_ledger", "l", entries)
            .and_where(Expr::col(("u", "id")).eq(user.0))
            .order_by(("l", "id"), Order::Desc)
            .limit(Ord::max(limit, 1));
        let rows = all(&self.db.reader_named("ledger"), &statement, ledger_row).await?;
        let Some(balance) = rows.first().map(|(balance, _)| *balance) else { return Ok(None) };
        Ok(Some(LedgerPage { balance, entries: rows.into_iter().filter_map(|(_, entry)| entry).collect() }))
    }

    async fn add_buyers(
        &self,
        buyers: Vec<NewBuyer>,
        ids: &dyn IdSource,
        at: Timestamp,
        sessions_expire_at: Timestamp,
        audit: AuditEntry,
    ) -> Result<Vec<UserId>, StorageError> {
        let ledger_ids = buyers.iter().map(|_| ids.uuid()).collect();
        buyers::add(&self.db, NewBuyers { buyers, ledger_ids, at, sessions_expire_at, audit }).await
    }
}

fn ledger_row(row: &mut Columns<'_>) -> Result<(Money, Option<LedgerEntry>), StorageError> {
    let (balance, user) = (row.money("balance")?, UserId(row.take()?));
    let Some(id) = row.take::<Option<uuid::Uuid>>()? else { return Ok((balance, None)) };
    let entry = LedgerEntry {
        id: LedgerId(id),
        user,
        order: row.take::<Option<uuid::Uuid>>()?.map(OrderId),
        kind: row.named("ledger kind", LedgerKind::parse)?,
        amount: row.money("amount")?,
        balance_after: row.money("balance after")?,
        at: row.time()?,
    };
    Ok((balance, Some(entry)))
}
