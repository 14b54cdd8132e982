//! Statements with places to fill in, for what cannot be bound: names of enums, integers, identifiers.

use sea_orm::{Statement, Value};

use crate::{
    Dialect,
    dialect::{quoted, quoted_list},
};

/// A constant statement, or a part of one, with places in braces:
/// `SELECT id FROM orders WHERE status IN ({live}) AND user_id = ? LIMIT {max}`.
///
/// Values are bound by `?`. What fills a place is checked by its kind, so that no data gets into the text; it is
/// not searched for places again.
///
/// # Panics
/// All methods panic on a bug of the statement's author: a place that the text does not have, that is filled twice or
/// not at all, a brace that belongs to no place, a name or identifier with another character than allowed. Since
/// texts are constant, any test that builds the statement finds it.
#[derive(Debug, Clone)]
#[must_use]
pub struct Template {
    text: &'static str,
    filled: Vec<(&'static str, String)>,
}

impl From<&'static str> for Template {
    fn from(text: &'static str) -> Self {
        Self::new(text)
    }
}

impl Template {
    /// The statement `text`, nothing filled in.
    pub const fn new(text: &'static str) -> Self {
        Self { text, filled: Vec::new() }
    }

    /// Fills `place` with names of an enum as literals: `'PAID', 'CANCEL_PENDING'`.
    ///
    /// # Panics
    /// On no name at all, which would be no valid list, or one with anything but `A-Z` and `_`.
    #[track_caller]
    pub fn names(self, place: &'static str, names: impl IntoIterator<Item = &'static str>) -> Self {
        let names: Vec<_> = names.into_iter().map(literal).collect();
        assert!(!names.is_empty(), "no name for {place}");
        self.fill(place, names.join(", "))
    }

    /// Fills `place` with an integer.
    #[track_caller]
    pub fn number(self, place: &'static str, number: impl Into<i64>) -> Self {
        self.fill(place, number.into().to_string())
    }

    /// Fills `place` with the name of a table or column, quoted.
    ///
    /// # Panics
    /// On a name with anything but `a-z`, `0-9` and `_`, or that begins with a digit.
    #[track_caller]
    pub fn identifier(self, place: &'static str, name: &str) -> Self {
        self.fill(place, quoted(identifier(name)))
    }

    /// Fills `place` with names of tables or columns, quoted and separated by commas.
    ///
    /// # Panics
    /// On no name at all, and where [`Self::identifier`] would.
    #[track_caller]
    pub fn identifiers<'a>(self, place: &'static str, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<_> = names.into_iter().map(identifier).collect();
        assert!(!names.is_empty(), "no identifier for {place}");
        self.fill(place, quoted_list(names))
    }

    /// Fills `place` with another template, which must be complete.
    #[track_caller]
    pub fn fragment(self, place: &'static str, fragment: impl Into<Self>) -> Self {
        self.fill(place, fragment.into().text())
    }

    /// Fills `place` with other templates, which must be complete, separated by `separator`.
    #[track_caller]
    pub fn fragments(
        self,
        place: &'static str,
        separator: &'static str,
        fragments: impl IntoIterator<Item = Self>,
    ) -> Self {
        let fragments: Vec<_> = fragments.into_iter().map(|fragment| fragment.text()).collect();
        self.fill(place, fragments.join(separator))
    }

    /// The SQL.
    ///
    /// # Panics
    /// On a place that is not filled, or a brace that belongs to none.
    #[track_caller]
    pub fn text(&self) -> String {
        let mut sql = String::with_capacity(self.text.len());
        let mut rest = self.text;
        while let Some((before, place)) = rest.split_once('{') {
            let (place, after) = place.split_once('}').unwrap_or((place, ""));
            let Some(filling) = self.filling(place) else {
                panic!("nothing fills {place} in: {}", self.text)
            };
            sql.push_str(literally(before));
            sql.push_str(filling);
            rest = after;
        }
        sql.push_str(literally(rest));
        sql
    }

    /// The SQL with `values` for its `?`, in their order.
    #[track_caller]
    pub fn statement(&self, dialect: Dialect, values: impl IntoIterator<Item = Value>) -> Statement {
        Statement::from_sql_and_values(dialect.backend(), self.text(), values)
    }

    #[track_caller]
    fn fill(mut self, place: &'static str, filling: String) -> Self {
        assert!(self.text.contains(&format!("{{{place}}}")), "no place {place} in: {}", self.text);
        assert!(self.filling(place).is_none(), "{place} is filled twice in: {}", self.text);
        self.filled.push((place, filling));
        self
    }

    fn filling(&self, place: &str) -> Option<&str> {
        self.filled.iter().find_map(|(name, filling)| (*name == place).then_some(filling.as_str()))
    }
}

#[track_caller]
fn literally(text: &str) -> &str {
    assert!(!text.contains('}'), "a brace closes nothing in: {text}");
    text
}

#[track_caller]
fn literal(name: &'static str) -> String {
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    assert!(plain, "not a name of an enum: {name}");
    format!("'{name}'")
}

#[track_caller]
fn identifier(name: &str) -> &str {
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    assert!(
        plain && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit()),
        "not an identifier: {name}"
    );
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_by_their_kind() {
        let lines = Template::new("SELECT order_id FROM {table} WHERE product_id = ?");
        let sql = Template::new(
            "SELECT {columns} FROM orders o WHERE o.status IN ({live}) AND o.id IN ({lines}) AND ({rules}) \
             AND 'PAID' IN ({live}) LIMIT {max}",
        )
        .identifiers("columns", ["id", "paid_at"])
        .names("live", ["PAID", "CANCEL_PENDING"])
        .fragment("lines", lines.identifier("table", "order_lines"))
        .fragments("rules", " OR ", [1, -2].map(|n| Template::new("o.total = {n}").number("n", n)))
        .number("max", 100_u32);
        assert_eq!(
            sql.text(),
            "SELECT `id`, `paid_at` FROM orders o WHERE o.status IN ('PAID', 'CANCEL_PENDING') AND o.id IN \
             (SELECT order_id FROM `order_lines` WHERE product_id = ?) AND (o.total = 1 OR o.total = -2) \
             AND 'PAID' IN ('PAID', 'CANCEL_PENDING') LIMIT 100"
        );
    }

    #[test]
    fn a_statement_binds_its_values() {
        let statement = Template::new("SELECT 1 WHERE ? = {one}").number("one", 1);
        for dialect in [Dialect::Sqlite, Dialect::MySql] {
            let statement = statement.statement(dialect, ["a' OR 1=1".into()]);
            assert_eq!(statement.sql, "SELECT 1 WHERE ? = 1");
            assert_eq!(statement.db_backend, dialect.backend());
            assert_eq!(statement.values.map(|values| values.0), Some(vec!["a' OR 1=1".into()]));
        }
    }

    #[test]
    #[should_panic(expected = "not a name of an enum: A' OR 'A' = 'A")]
    fn a_name_that_would_end_its_literal_is_refused() {
        let _ = Template::new("{kind}").names("kind", ["USE", "A' OR 'A' = 'A"]);
    }

    #[test]
    fn only_plain_names_and_identifiers_are_taken() {
        let refused = |fill: &dyn Fn() -> Template| {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fill().text())).is_err()
        };
        for name in ["", "paid", "PAID ", "É", "A\\", "A1", "A\0"] {
            assert!(refused(&|| Template::new("{kind}").names("kind", [name])), "{name:?}");
        }
        for name in ["", "1a", "Users", "a`b", "a.b", "a b", "a;", "é"] {
            assert!(refused(&|| Template::new("{table}").identifier("table", name)), "{name:?}");
            assert!(refused(&|| Template::new("{table}").identifiers("table", ["a", name])), "{name:?}");
        }
        assert!(!refused(&|| Template::new("{table}").identifier("table", "sqlite_autoindex_users_1")));
        assert!(refused(&|| Template::new("({list})").names("list", [])));
        assert!(refused(&|| Template::new("({list})").identifiers("list", [])));
    }

    #[test]
    #[should_panic(expected = "nothing fills max in: SELECT 1 LIMIT {max}")]
    fn a_place_that_is_not_filled_is_a_bug() {
        let _ = Template::new("SELECT 1 LIMIT {max}").text();
    }

    #[test]
    #[should_panic(expected = "no place min in: SELECT 1 LIMIT {max}")]
    fn a_place_that_is_not_there_is_a_bug() {
        let _ = Template::new("SELECT 1 LIMIT {max}").number("min", 1);
    }

    #[test]
    #[should_panic(expected = "max is filled twice")]
    fn a_place_that_is_filled_twice_is_a_bug() {
        let _ = Template::new("SELECT 1 LIMIT {max}").number("max", 1).number("max", 2);
    }

    #[test]
    fn a_brace_without_a_place_is_a_bug() {
        for text in ["SELECT '{}'", "SELECT }", "SELECT {", "SELECT {max"] {
            assert!(std::panic::catch_unwind(|| Template::new(text).text()).is_err(), "{text}");
        }
    }
}
