use async_trait::async_trait;
use commerce_api_application::ports::{
    NewSession, SessionOwner, SessionStore, SessionTouch, StorageError, TokenHash,
};
use commerce_api_domain::{Role, Timestamp, UserId};
use commerce_database::{Column, Database, Insert, Template, Update};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ConnectionTrait, Statement};

use super::query::{Failure, one};
use crate::sql::decode::Columns;

/// [`SessionStore`] on SQL.
#[derive(Debug, Clone)]
pub struct SqlSessions {
    db: Database,
}

pub(super) const SESSION: Insert = Insert {
    table: "sessions",
    columns: &[
        Column::bytes("hash"),
        Column::int("user_id"),
        Column::text("role"),
        Column::int("expires_at"),
        Column::int("touched_at"),
        Column::int("created_at"),
    ],
};

const TOUCHED: Update = Update {
    table: "sessions",
    columns: &[Column::bytes("hash"), Column::int("expires_at"), Column::int("touched_at")],
    keys: &["hash"],
    set: &["expires_at", "touched_at"],
    expect: &[],
};

/// One that is over stays over, and another node's later use is not undone.
const STILL_OPEN: Template =
    Template::new("sessions.expires_at > v.touched_at AND sessions.expires_at < v.expires_at");

impl SqlSessions {
    /// Works on `db`, which has the schema of this code.
    pub const fn new(db: Database) -> Self {
        Self { db }
    }

    async fn run(&self, name: &'static str, statement: Statement) -> Result<(), StorageError> {
        let done = self.db.write(name, move |tx| {
            let statement = statement.clone();
            Box::pin(async move { Ok::<_, Failure<StorageError>>(tx.execute_raw(statement).await?) })
        });
        done.await.map(drop).map_err(Failure::into_port)
    }
}

#[async_trait]
impl SessionStore for SqlSessions {
    async fn open(&self, session: NewSession) -> Result<(), StorageError> {
        let mut row = SESSION.rows();
        row.push([
            session.hash.0.as_slice().into(),
            session.user.0.into(),
            session.role.name().into(),
            session.expires_at.as_micros().into(),
            session.at.as_micros().into(),
            session.at.as_micros().into(),
        ]);
        self.run("open_session", SESSION.statement(self.db.dialect(), &row)).await
    }

    async fn find(&self, hash: TokenHash, now: Timestamp) -> Result<Option<SessionOwner>, StorageError> {
        let mut statement = Query::select();
        statement
            .columns(["user_id", "role", "expires_at", "touched_at"])
            .from("sessions")
            .and_where(Expr::col("hash").eq(hash.0.as_slice()))
            .and_where(Expr::col("expires_at").gt(now.as_micros()));
        let owner = |row: &mut Columns<'_>| {
            Ok(SessionOwner {
                user: UserId(row.take()?),
                role: row.named("role", Role::parse)?,
                expires_at: row.time()?,
                touched_at: row.time()?,
            })
        };
        one(&self.db.reader_named("find_session"), &statement, owner).await
    }

    async fn touch(&self, touches: &[SessionTouch]) -> Result<(), StorageError> {
        let mut rows = TOUCHED.rows();
        for touch in touches {
            rows.push([
                touch.hash.0.as_slice().into(),
                touch.expires_at.as_micros().into(),
                touch.at.as_micros().into(),
            ]);
        }
        if rows.is_empty() {
            return Ok(());
        }
        self.run("touch_sessions", TOUCHED.statement_where(self.db.dialect(), &rows, &STILL_OPEN)).await
    }

    async fn end(&self, hash: TokenHash) -> Result<(), StorageError> {
        let mut statement = Query::delete();
        statement.from_table("sessions").and_where(Expr::col("hash").eq(hash.0.as_slice()));
        self.run("end_session", self.db.dialect().backend().build(&statement)).await
    }
}
