//! Classes of a server's error numbers.

use crate::ErrorClass;

/// From the server's number and SQLSTATE,
/// <https://dev.mysql.com/doc/mysql-errors/9.0/en/server-error-reference.html> and
/// <https://mariadb.com/docs/server/reference/error-codes>. Numbers decide before classes of states.
pub(crate) fn class_of_mysql(number: u16, state: &str) -> ErrorClass {
    match number {
        // LOCK_DEADLOCK; XA_RBDEADLOCK; a snapshot that another transaction overtook (MariaDB: CHECKREAD)
        1213 | 1614 | 1020 => ErrorClass::Deadlock,
        // LOCK_WAIT_TIMEOUT; NOWAIT
        1205 | 3572 => ErrorClass::LockTimeout,
        // DISK_FULL, RECORD_FILE_FULL, OUT_OF_RESOURCES of a temporary table's file
        1021 | 1114 | 3675 => ErrorClass::DiskFull,
        // DUP_ENTRY and its relatives
        1022 | 1062 | 1169 | 1586 => ErrorClass::UniqueViolation,
        // CHECK_CONSTRAINT_VIOLATED; MariaDB's CONSTRAINT_FAILED
        3819 | 4025 => ErrorClass::CheckViolation,
        // CON_COUNT, SERVER_SHUTDOWN, NORMAL_SHUTDOWN, ABORTING, network errors, a killed connection, read-only after a
        // change of the primary, a server that starts
        1040
        | 1043
        | 1047
        | 1053
        | 1077
        | 1080
        | 1152..=1161
        | 1184
        | 1203
        | 1226
        | 1290
        | 1792
        | 1836
        | 1927
        | 2000..=2099
        | 3032
        | 3168
        | 3169
        | 4031 => ErrorClass::Connection,
        // QUERY_INTERRUPTED, QUERY_TIMEOUT: the connection is good, the statement was cut short
        1317 | 3024 | 1969 => ErrorClass::Overloaded,
        _ => match state.get(..2) {
            Some("08") => ErrorClass::Connection,
            Some("40") => ErrorClass::Deadlock,
            // Values that do not fit, constraints, statements that are wrong
            Some("21" | "22" | "23" | "42" | "44") => ErrorClass::Data,
            _ => class_of_general(number),
        },
    }
}

/// Numbers of the general state `HY000` that are about the data of a statement.
fn class_of_general(number: u16) -> ErrorClass {
    match number {
        // NO_DEFAULT_FOR_FIELD, TRUNCATED_WRONG_VALUE_FOR_FIELD, WARN_DATA_TRUNCATED, invalid JSON and JSON_TABLE values
        1364 | 1366 | 1265 | 3140..=3158 | 3665..=3674 | 4036..=4044 => ErrorClass::Data,
        _ => ErrorClass::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_classes() {
        let table = [
            (1213, "40001", ErrorClass::Deadlock),
            (1205, "HY000", ErrorClass::LockTimeout),
            (3572, "HY000", ErrorClass::LockTimeout),
            (1062, "23000", ErrorClass::UniqueViolation),
            (3819, "HY000", ErrorClass::CheckViolation),
            (4025, "23000", ErrorClass::CheckViolation),
            (1114, "HY000", ErrorClass::DiskFull),
            (1053, "08S01", ErrorClass::Connection),
            (1040, "08004", ErrorClass::Connection),
            (2013, "HY000", ErrorClass::Connection),
            (1290, "HY000", ErrorClass::Connection),
            (1264, "22003", ErrorClass::Data),
            (1406, "22001", ErrorClass::Data),
            (1048, "23000", ErrorClass::Data),
            (1690, "22003", ErrorClass::Data),
            (3141, "22032", ErrorClass::Data),
            (1064, "42000", ErrorClass::Data),
            (1030, "HY000", ErrorClass::Other),
        ];
        for (number, state, class) in table {
            assert_eq!(class_of_mysql(number, state), class, "{number} {state}");
        }
    }
}
