//! The SQL dialects that statements are written for.

use sea_orm::DbBackend;

/// Which SQL a statement is rendered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `SQLite` 3.46 or later, with its JSON functions.
    Sqlite,
    /// `MySQL` 8.0 or later, or `MariaDB` 10.6 or later (`JSON_TABLE`).
    MySql,
}

impl Dialect {
    /// `SeaORM`'s name for the same thing.
    pub fn backend(self) -> DbBackend {
        match self {
            Self::Sqlite => DbBackend::Sqlite,
            Self::MySql => DbBackend::MySql,
        }
    }

    /// Behind a SELECT, what locks its rows until the transaction ends. `SQLite` has no row locks and needs none: its write
    /// transaction is alone.
    pub const fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::MySql => " FOR UPDATE",
        }
    }
}

/// Quotes a name for either dialect. `SQLite` takes a misspelt name in double quotes for a string;
/// in backticks it stays a name, and an error.
pub(crate) fn quoted(name: &str) -> String {
    assert!(!name.contains('`'), "not a name: {name}");
    format!("`{name}`")
}

/// Names, quoted and separated by commas.
pub(crate) fn quoted_list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(quoted).collect::<Vec<_>>().join(", ")
}
