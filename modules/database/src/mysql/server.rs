//! What can be wrong with a server, found out when it is first reached, so that the message says it.

use std::time::Duration;

use tokio::time::timeout;

use super::{MySqlOptions, bridge};
use crate::{DatabaseError, ServerProblem};

/// Whether anything listens there. The driver is shown a socket of ours, which always accepts.
pub(super) async fn reach(options: &MySqlOptions) -> Result<(), DatabaseError> {
    let Some((host, port)) = options.address() else { return Ok(()) };
    let limit = options.connect_timeout.max(Duration::from_millis(1));
    let error = match timeout(limit, bridge::connect(&host, port)).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => error,
        Err(_) => std::io::Error::new(std::io::ErrorKind::TimedOut, "no connection within the time limit"),
    };
    Err(options.problem(ServerProblem::Unreachable, Some(sqlx::Error::Io(error).into())))
}

/// The problem behind the first connection's error.
pub(super) fn problem(options: &MySqlOptions, error: sqlx::Error) -> DatabaseError {
    let number = match &error {
        sqlx::Error::Database(error) => error
            .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
            .map(sqlx::mysql::MySqlDatabaseError::number),
        _ => None,
    };
    let problem = match (number, &error) {
        // ACCESS_DENIED_ERROR, ACCESS_DENIED_NO_PASSWORD_ERROR, a locked account, an expired password
        (Some(1045 | 1698 | 3118 | 1820 | 1862), _) => ServerProblem::AccessDenied,
        // DBACCESS_DENIED_ERROR
        (Some(1044), _) => ServerProblem::MissingPrivilege,
        // BAD_DB_ERROR
        (Some(1049), _) => ServerProblem::NoDatabase { database: options.database().to_owned() },
        (_, sqlx::Error::Tls(_)) => ServerProblem::Tls,
        // A certificate that is not believed.
        (_, sqlx::Error::Io(error)) if error.kind() == std::io::ErrorKind::InvalidData => ServerProblem::Tls,
        _ => ServerProblem::Unreachable,
    };
    options.problem(problem, Some(error.into()))
}

/// Whether a server of this version has what the statements need: `JSON_TABLE`, `SKIP LOCKED`, CHECK, window functions.
pub(super) fn is_known(version: &str) -> bool {
    let numbers: Vec<u32> =
        version.split(['.', '-']).map_while(|number| number.parse().ok()).take(3).collect();
    let oldest: &[u32] = if version.contains("MariaDB") { &[10, 6] } else { &[8, 0] };
    numbers.as_slice() >= oldest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        for good in
            ["8.0.11", "8.4.3", "9.7.4-1", "10.6.2-MariaDB", "10.11.6-MariaDB-0+deb12u1", "11.4.2-MariaDB"]
        {
            assert!(is_known(good), "{good}");
        }
        for old in ["5.7.44-log", "10.5.9-MariaDB", "", "MariaDB"] {
            assert!(!is_known(old), "{old}");
        }
    }
}
