//! Forward-only migrations: numbered statements, each applied once and remembered with a checksum.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait as _, DbErr, Statement};

use crate::{Database, DatabaseError, Dialect, WriteTransaction};

const NAME: &str = "migrate";
/// `done` is 0 from before a step to after it: a server commits a statement of DDL by itself, so its record cannot stand
/// in the same transaction.
const CREATE_TABLE_MYSQL: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (id INTEGER PRIMARY KEY, \
     name VARCHAR(200) NOT NULL, checksum VARCHAR(32) NOT NULL, applied_at_us BIGINT NOT NULL, \
     done INTEGER NOT NULL) ENGINE = InnoDB COLLATE utf8mb4_bin";
const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (id INTEGER PRIMARY KEY, \
     name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at_us BIGINT NOT NULL)";

/// One step of the schema: one DDL statement.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Its number; steps ascend and a number is never used again.
    pub id: u32,
    /// What it does, for people.
    pub name: &'static str,
    /// Its text in a dialect. Once released it must not change; add a step instead.
    pub statement: fn(Dialect) -> String,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MigrationReport {
    /// The names of the steps applied now, in order.
    pub applied: Vec<&'static str>,
    /// How many steps had been applied before, or by another process meanwhile.
    pub already: usize,
}

/// The schema and the code do not fit together.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MigrationError {
    /// A mistake in the list of steps.
    #[error("migration {id} does not come after the one before it in the list")]
    Disordered {
        /// The step.
        id: u32,
    },
    /// A step was edited after it had been applied.
    #[error(
        "migration {id} ({name}) was applied with another text (checksum {recorded}, now {expected}); \
         released steps must not change, add a new one"
    )]
    Changed {
        /// The step.
        id: u32,
        /// Its name.
        name: &'static str,
        /// The checksum in the database.
        recorded: String,
        /// The checksum of the text in the code.
        expected: String,
    },
    /// The database was migrated by a newer version of the program.
    #[error(
        "the database has migration {id} ({name}), which this version does not know; run a newer version"
    )]
    Newer {
        /// The step.
        id: u32,
        /// Its name in the database.
        name: String,
    },
    /// A step was added before one that had been applied.
    #[error("migration {id} ({name}) comes before migration {newest}, which is applied already; renumber it")]
    Skipped {
        /// The step.
        id: u32,
        /// Its name.
        name: &'static str,
        /// The newest applied step.
        newest: u32,
    },
}

/// Applies the steps that are missing: on a file each in one transaction with its record; on a server, where DDL commits by
/// itself, under a lock, with a record before it and another after it, so that a step that was cut off is done again. Safe to
/// run again, and in several processes at once. `now_us`: microseconds since the epoch, for the record.
pub async fn migrate(
    database: &Database,
    steps: &[Step],
    now_us: i64,
) -> Result<MigrationReport, DatabaseError> {
    if let Some(pair) = steps.windows(2).find(|pair| pair[0].id >= pair[1].id) {
        return Err(MigrationError::Disordered { id: pair[1].id }.into());
    }
    let lock = database.lock(NAME).await?;
    let report = apply_missing(database, steps, now_us).await;
    if let Some(lock) = lock {
        lock.release().await;
    }
    report
}

async fn apply_missing(
    database: &Database,
    steps: &[Step],
    now_us: i64,
) -> Result<MigrationReport, DatabaseError> {
    let recorded = database.write(NAME, |transaction| Box::pin(read_records(transaction))).await?;
    check(database.dialect(), steps, &recorded)?;

    let mut report = MigrationReport::default();
    for step in steps {
        let known = recorded.get(&step.id);
        if known.is_some_and(|record| record.done) || !apply(database, *step, known, now_us).await? {
            report.already += 1;
        } else {
            tracing::debug!(id = step.id, name = step.name, "migration applied");
            report.applied.push(step.name);
        }
    }
    Ok(report)
}

struct Record {
    name: String,
    checksum: String,
    done: bool,
}

type Records = BTreeMap<u32, Record>;

async fn read_records(transaction: &WriteTransaction) -> Result<Records, DatabaseError> {
    let (create, read) = match transaction.dialect() {
        Dialect::Sqlite => (CREATE_TABLE, "SELECT id, name, checksum, 1 FROM schema_migrations ORDER BY id"),
        Dialect::MySql => {
            (CREATE_TABLE_MYSQL, "SELECT id, name, checksum, done FROM schema_migrations ORDER BY id")
        }
    };
    transaction.execute_unprepared(create).await?;
    let rows =
        transaction.query_all_raw(Statement::from_string(transaction.get_database_backend(), read)).await?;
    let records = rows.into_iter().map(|row| {
        let id = u32::try_from(row.try_get_by_index::<i64>(0)?).unwrap_or(u32::MAX);
        let (name, checksum) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        Ok((id, Record { name, checksum, done: row.try_get_by_index::<i64>(3)? != 0 }))
    });
    Ok(records.collect::<Result<_, DbErr>>()?)
}

fn check(dialect: Dialect, steps: &[Step], recorded: &Records) -> Result<(), MigrationError> {
    for (id, record) in recorded {
        if !steps.iter().any(|step| step.id == *id) {
            return Err(MigrationError::Newer { id: *id, name: record.name.clone() });
        }
    }
    let newest = recorded.keys().next_back().copied();
    for step in steps {
        match (recorded.get(&step.id), newest) {
            (Some(record), _) => same(step, &record.checksum, &(step.statement)(dialect))?,
            (None, Some(newest)) if step.id < newest => {
                return Err(MigrationError::Skipped { id: step.id, name: step.name, newest });
            }
            (None, _) => {}
        }
    }
    Ok(())
}

fn same(step: &Step, recorded: &str, text: &str) -> Result<(), MigrationError> {
    let expected = checksum(text);
    if recorded == expected {
        return Ok(());
    }
    Err(MigrationError::Changed { id: step.id, name: step.name, recorded: recorded.to_owned(), expected })
}

/// False if another process was faster.
async fn apply(
    database: &Database,
    step: Step,
    known: Option<&Record>,
    now_us: i64,
) -> Result<bool, DatabaseError> {
    match database.dialect() {
        Dialect::Sqlite => apply_at_once(database, step, now_us).await,
        Dialect::MySql => apply_in_three(database, step, known.is_some(), now_us).await.map(|()| true),
    }
}

async fn apply_at_once(database: &Database, step: Step, now_us: i64) -> Result<bool, DatabaseError> {
    database
        .write(NAME, move |transaction| {
            Box::pin(async move {
                let backend = transaction.get_database_backend();
                let find = "SELECT checksum FROM schema_migrations WHERE id = ?";
                let find = Statement::from_sql_and_values(backend, find, [step.id.into()]);
                let text = (step.statement)(transaction.dialect());
                if let Some(row) = transaction.query_one_raw(find).await? {
                    same(&step, &row.try_get_by_index::<String>(0)?, &text)?;
                    return Ok(false);
                }
                transaction.execute_unprepared(&text).await?;
                let record =
                    "INSERT INTO schema_migrations (id, name, checksum, applied_at_us) VALUES (?, ?, ?, ?)";
                let values = [step.id.into(), step.name.into(), checksum(&text).into(), now_us.into()];
                transaction.execute_raw(Statement::from_sql_and_values(backend, record, values)).await?;
                Ok(true)
            })
        })
        .await
}

/// Under the lock. `begun`: an earlier run recorded it and did not come to its end; whether the statement was done, nothing
/// tells but that it cannot be done twice.
async fn apply_in_three(
    database: &Database,
    step: Step,
    begun: bool,
    now_us: i64,
) -> Result<(), DatabaseError> {
    let text = (step.statement)(Dialect::MySql);
    if !begun {
        let record =
            "INSERT INTO schema_migrations (id, name, checksum, applied_at_us, done) VALUES (?, ?, ?, ?, 0)";
        let values = [step.id.into(), step.name.into(), checksum(&text).into(), now_us.into()];
        run(database, Statement::from_sql_and_values(Dialect::MySql.backend(), record, values)).await?;
    }
    match run(database, Statement::from_string(Dialect::MySql.backend(), text)).await {
        Err(error) if begun && is_done_already(&error) => {
            tracing::info!(step = step.name, "a migration that was cut off had been applied");
        }
        ended => ended?,
    }
    let done = "UPDATE schema_migrations SET done = 1 WHERE id = ?";
    run(database, Statement::from_sql_and_values(Dialect::MySql.backend(), done, [step.id.into()])).await
}

async fn run(database: &Database, statement: Statement) -> Result<(), DatabaseError> {
    database
        .write(NAME, move |transaction| {
            let statement = statement.clone();
            Box::pin(async move {
                match statement.values {
                    Some(_) => transaction.execute_raw(statement).await?,
                    // Not all DDL can be prepared.
                    None => transaction.execute_unprepared(&statement.sql).await?,
                };
                Ok(())
            })
        })
        .await
}

/// The server's words for "that is so already": a table, column or index that exists, or one to drop that does not.
fn is_done_already(error: &DatabaseError) -> bool {
    matches!(error.server_number(), Some(1050 | 1060 | 1061 | 1091 | 1051))
}

/// FNV-1a, 64 bit: finds an edit, and stays the same across versions of everything.
fn checksum(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_fnv_1a() {
        // Published test vectors of the function.
        assert_eq!(super::checksum(""), "cbf29ce484222325");
        assert_eq!(super::checksum("a"), "af63dc4c8601ec8c");
        assert_eq!(super::checksum("foobar"), "85944171f73967e8");
    }
}
