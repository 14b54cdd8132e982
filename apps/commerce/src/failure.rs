use std::path::PathBuf;
use std::process::ExitCode;

use commerce_api::app::StartError;
use commerce_api_application::AccountError;
use commerce_api_application::ports::StorageError;
use commerce_api_application::reconciliation::ReconcileError;
use commerce_config::ConfigError;
use commerce_database::DatabaseError;
use commerce_telemetry::LoggingError;

use crate::data_dir::LockError;
use crate::mode::ModeError;
use crate::ports::PortError;
use crate::shop::ShopError;

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The logs do not start.
    #[error(transparent)]
    Logging(#[from] LoggingError),
    /// Flags or input do not make sense.
    #[error("{0}")]
    Usage(String),
    /// The data directory is in use or cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The data directory belongs to the other mode.
    #[error(transparent)]
    Mode(#[from] ModeError),
    /// There is nothing to work on.
    #[error(
        "there is no database {}; check `--data-dir`, or make one with `commerce up` or `commerce migrate`",
        path.display()
    )]
    NoDatabase {
        /// The file looked for.
        path: PathBuf,
    },
    /// Something else lies in the database's place.
    #[error(
        "{} is no database; put the files of a backup into an empty directory and name that with `--data-dir`",
        path.display()
    )]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The audit could not be made, which is not to be taken for a broken rule.
    #[error(transparent)]
    NotAudited(Box<Self>),
    /// Whether there is a difference could not be told, which is not to be taken for one.
    #[error(transparent)]
    NotTold(Box<Self>),
    /// A day is not reconciled.
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
    /// A port is taken.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The API does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A process of one app does not start.
    #[error(transparent)]
    Process(#[from] commerce_api::process::ProcessError),
    /// The process of the collector does not start.
    #[error(transparent)]
    CollectorProcess(#[from] commerce_collector::process::ProcessError),
    /// The collector does not start.
    #[error(transparent)]
    Collector(#[from] commerce_collector::StartError),
    /// The simulated gateway does not start.
    #[error(transparent)]
    Simulator(#[from] pg_simulator::StartError),
    /// What the collector counted cannot be read or changed.
    #[error("the collector's database cannot be used")]
    Facts(#[from] commerce_collector::audit::FactsError),
    /// A job was not run, or not to its end.
    #[error(transparent)]
    Job(#[from] commerce_collector::application::jobs::JobError),
    /// How far counting is cannot be told.
    #[error("how far counting is cannot be told: {0}")]
    Lag(String),
    /// The event log failed.
    #[error(transparent)]
    Bus(#[from] commerce_bus::BusError),
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The account is not made.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The shop does not answer as expected.
    #[error(transparent)]
    Shop(#[from] ShopError),
    /// A file, a signal or a task.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A task of ours panicked.
    #[error("a task failed")]
    Task(#[from] tokio::task::JoinError),
}

impl Failure {
    /// `what` was tried and failed.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// 2: call it differently, or there is no audit; 1: it failed.
    pub fn code(&self) -> ExitCode {
        let differently = match self {
            Self::Config(_)
            | Self::Logging(_)
            | Self::Usage(_)
            | Self::Lock(_)
            | Self::Mode(_)
            | Self::Port(_)
            | Self::NoDatabase { .. }
            | Self::NotADatabase { .. }
            | Self::NotAudited(_)
            | Self::NotTold(_) => true,
            Self::Start(error) => error.is_for_the_caller(),
            Self::Process(error) => return error.code(),
            Self::CollectorProcess(error) => return error.code(),
            Self::Collector(error) => error.is_for_the_caller(),
            Self::Simulator(error) => matches!(
                error,
                pg_simulator::StartError::PortTaken { .. } | pg_simulator::StartError::Bind { .. }
            ),
            Self::Account(error) => !matches!(error, AccountError::Storage(_)),
            Self::Storage(_)
            | Self::Database(_)
            | Self::Facts(_)
            | Self::Reconcile(_)
            | Self::Job(_)
            | Self::Lag(_)
            | Self::Bus(_)
            | Self::Shop(_)
            | Self::Io { .. }
            | Self::Task(_) => false,
        };
        if differently { ExitCode::from(2) } else { ExitCode::FAILURE }
    }

    /// The error and what caused it, in one line.
    pub fn text(&self) -> String {
        commerce_process::chain(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_told_once() {
        let cause = || std::io::Error::other("the disk is on fire");
        let plain = Failure::io("`x` cannot be written")(cause());
        assert_eq!(plain.text(), "`x` cannot be written: the disk is on fire");
        let quoting = Failure::from(StartError::DataDir { path: "x".into(), source: cause() });
        assert_eq!(quoting.text().matches("on fire").count(), 1, "{}", quoting.text());
    }

    #[test]
    fn what_the_caller_can_mend_is_2() {
        let two = format!("{:?}", ExitCode::from(2));
        let taken = StartError::PortTaken { addr: ([127, 0, 0, 1], 8080).into() };
        for (failure, code) in [
            (Failure::Usage(String::new()), &two),
            (Failure::NoDatabase { path: "x".into() }, &two),
            (taken.into(), &two),
            (Failure::NotAudited(Box::new(StorageError::Unavailable("x".into()).into())), &two),
            (AccountError::LoginIdTaken.into(), &two),
            (StorageError::Unavailable("x".into()).into(), &format!("{:?}", ExitCode::FAILURE)),
        ] {
            assert_eq!(&format!("{:?}", failure.code()), code, "{failure:?}");
        }
    }
}
