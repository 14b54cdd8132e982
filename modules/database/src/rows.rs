//! Rows for statements that take any number of them in one bound JSON parameter: one statement a table,
//! one prepared shape, no limit on binds.

use std::borrow::Cow;

use uuid::Uuid;

use crate::{Dialect, dialect::quoted};

/// How a column's values travel in the JSON and what they become in the database. All may be NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// A 64-bit signed integer, exact.
    Int,
    /// Text without NUL characters.
    Text,
    /// 16 bytes; hex in the JSON.
    Uuid,
    /// Any bytes; hex in the JSON.
    Bytes,
    /// UTF-8 text stored as bytes; text in the JSON, so half the size of [`Bytes`](Self::Bytes).
    Blob,
    /// Stored as 0 or 1.
    Bool,
}

/// A column of a row set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name in the table, or the name a statement refers to it by.
    pub name: &'static str,
    /// Its kind.
    pub kind: ColumnKind,
}

impl Column {
    /// An integer.
    pub const fn int(name: &'static str) -> Self {
        Self { name, kind: ColumnKind::Int }
    }

    /// Text.
    pub const fn text(name: &'static str) -> Self {
        Self { name, kind: ColumnKind::Text }
    }

    /// A UUID.
    pub const fn uuid(name: &'static str) -> Self {
        Self { name, kind: ColumnKind::Uuid }
    }

    /// Bytes.
    pub const fn bytes(name: &'static str) -> Self {
        Self { name, kind: ColumnKind::Bytes }
    }

    /// Text stored as bytes.
    pub const fn blob(name: &'static str) -> Self {
        Self { name, kind: ColumnKind::Blob }
    }

    /// A flag.
    pub const fn bool(name: &'static str) -> Self {
        Self { name, kind: ColumnKind::Bool }
    }
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowValue<'a> {
    /// NULL, for any kind.
    Null,
    /// For [`ColumnKind::Int`].
    Int(i64),
    /// For [`ColumnKind::Bool`].
    Bool(bool),
    /// For [`ColumnKind::Text`] and [`ColumnKind::Blob`].
    Text(Cow<'a, str>),
    /// For [`ColumnKind::Uuid`].
    Uuid(Uuid),
    /// For [`ColumnKind::Bytes`].
    Bytes(Cow<'a, [u8]>),
}

impl RowValue<'_> {
    fn fits(&self, kind: ColumnKind) -> bool {
        match self {
            Self::Null => true,
            Self::Int(_) => kind == ColumnKind::Int,
            Self::Bool(_) => kind == ColumnKind::Bool,
            Self::Text(_) => matches!(kind, ColumnKind::Text | ColumnKind::Blob),
            Self::Uuid(_) => kind == ColumnKind::Uuid,
            Self::Bytes(_) => kind == ColumnKind::Bytes,
        }
    }

    fn write(&self, json: &mut Vec<u8>) {
        match self {
            Self::Null => json.extend_from_slice(b"null"),
            Self::Int(value) => written(&serde_json::to_writer(json, value)),
            Self::Bool(value) => json.push(if *value { b'1' } else { b'0' }),
            Self::Text(value) => written(&serde_json::to_writer(json, value)),
            Self::Uuid(value) => write_hex(json, value.as_bytes()),
            Self::Bytes(value) => write_hex(json, value),
        }
    }
}

fn written(result: &serde_json::Result<()>) {
    assert!(result.is_ok(), "a number or string has a JSON form, and a Vec takes it");
}

fn write_hex(json: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    json.push(b'"');
    for byte in bytes {
        json.push(DIGITS[usize::from(byte >> 4)]);
        json.push(DIGITS[usize::from(byte & 15)]);
    }
    json.push(b'"');
}

macro_rules! row_value_from {
    ($($from:ty => |$value:ident| $into:expr;)*) => {$(
        impl<'a> From<$from> for RowValue<'a> {
            fn from($value: $from) -> Self {
                $into
            }
        }
    )*};
}

row_value_from! {
    i64 => |value| Self::Int(value);
    i32 => |value| Self::Int(value.into());
    u32 => |value| Self::Int(value.into());
    bool => |value| Self::Bool(value);
    &'a str => |value| Self::Text(Cow::Borrowed(value));
    &'a String => |value| Self::Text(Cow::Borrowed(value));
    String => |value| Self::Text(Cow::Owned(value));
    Uuid => |value| Self::Uuid(value);
    &'a [u8] => |value| Self::Bytes(Cow::Borrowed(value));
    Vec<u8> => |value| Self::Bytes(Cow::Owned(value));
}

impl<'a, T: Into<RowValue<'a>>> From<Option<T>> for RowValue<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Rows on their way into a statement, already written as JSON.
#[derive(Debug, Clone)]
pub struct RowSet {
    columns: &'static [Column],
    /// `[` and the rows, without the closing bracket.
    json: Vec<u8>,
    len: usize,
}

impl RowSet {
    /// No rows yet, of these columns.
    pub fn new(columns: &'static [Column]) -> Self {
        Self { columns, json: vec![b'['], len: 0 }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If the values do not match the columns in number and kind: that is a bug of the caller.
    pub fn push<'a>(&mut self, values: impl IntoIterator<Item = RowValue<'a>>) {
        self.json.extend_from_slice(if self.len == 0 { b"[" } else { b",[" });
        let mut columns = self.columns.iter();
        for (index, value) in values.into_iter().enumerate() {
            let Some(column) = columns.next() else {
                panic!("a row has more than {} values", self.columns.len());
            };
            assert!(value.fits(column.kind), "column {} is {:?}, got {value:?}", column.name, column.kind);
            if index > 0 {
                self.json.push(b',');
            }
            value.write(&mut self.json);
        }
        assert!(columns.next().is_none(), "a row has fewer than {} values", self.columns.len());
        self.json.push(b']');
        self.len += 1;
    }

    /// True if there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The columns.
    pub fn columns(&self) -> &'static [Column] {
        self.columns
    }

    /// The parameter: an array of arrays.
    pub fn json(&self) -> String {
        let mut text = String::with_capacity(self.json.len() + 1);
        match std::str::from_utf8(&self.json) {
            Ok(json) => text.push_str(json),
            Err(_) => unreachable!("serde_json and hex write UTF-8"),
        }
        text.push(']');
        text
    }
}

/// `SELECT value, ... FROM (the parameter as rows)`, each value named if asked for.
pub(crate) fn select_rows(dialect: Dialect, columns: &[Column], named: bool) -> String {
    let values: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let raw = match dialect {
                Dialect::Sqlite => format!("r.value ->> {index}"),
                Dialect::MySql => format!("r.{}", quoted(column.name)),
            };
            let value = match (column.kind, dialect) {
                (ColumnKind::Uuid | ColumnKind::Bytes, _) => format!("unhex({raw})"),
                (ColumnKind::Blob, Dialect::Sqlite) => format!("CAST({raw} AS BLOB)"),
                (ColumnKind::Blob, Dialect::MySql) => format!("CAST({raw} AS BINARY)"),
                (ColumnKind::Int | ColumnKind::Text | ColumnKind::Bool, _) => raw,
            };
            if named { format!("{value} AS {}", quoted(column.name)) } else { value }
        })
        .collect();
    let source = match dialect {
        Dialect::Sqlite => "json_each(?)".to_owned(),
        Dialect::MySql => json_table(columns),
    };
    format!("SELECT {} FROM {source} AS r", values.join(", "))
}

fn json_table(columns: &[Column]) -> String {
    let columns: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let kind = match column.kind {
                ColumnKind::Int => "BIGINT",
                ColumnKind::Bool => "TINYINT",
                ColumnKind::Uuid => "CHAR(32)",
                ColumnKind::Text | ColumnKind::Bytes | ColumnKind::Blob => "LONGTEXT",
            };
            format!("{} {kind} PATH '$[{index}]'", quoted(column.name))
        })
        .collect();
    format!("JSON_TABLE(?, '$[*]' COLUMNS ({}))", columns.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] =
        &[Column::int("i"), Column::text("t"), Column::uuid("u"), Column::bytes("x"), Column::bool("b")];

    #[test]
    fn rows_are_an_array_of_arrays() {
        let mut rows = RowSet::new(COLUMNS);
        assert_eq!(rows.json(), "[]");
        let id = Uuid::from_u128(0xff);
        let bytes: &[u8] = &[0, 0xa5];
        rows.push([i64::MIN.into(), "a\"\\\n한".into(), id.into(), bytes.into(), true.into()]);
        rows.push([
            Option::<i64>::None.into(),
            None::<&str>.into(),
            RowValue::Null,
            RowValue::Null,
            false.into(),
        ]);
        assert_eq!(
            rows.json(),
            "[[-9223372036854775808,\"a\\\"\\\\\\n한\",\"000000000000000000000000000000ff\",\"00a5\",1],\
             [null,null,null,null,0]]"
        );
        assert_eq!(rows.len(), 2);
    }

    #[test]
    #[should_panic(expected = "fewer than 5 values")]
    fn a_short_row_is_a_bug() {
        RowSet::new(COLUMNS).push([1_i64.into()]);
    }

    #[test]
    #[should_panic(expected = "more than 5 values")]
    fn a_long_row_is_a_bug() {
        RowSet::new(COLUMNS).push(std::iter::repeat_n(RowValue::Null, 6));
    }

    #[test]
    #[should_panic(expected = "column i is Int")]
    fn a_value_of_another_kind_is_a_bug() {
        RowSet::new(COLUMNS).push([
            "1".into(),
            RowValue::Null,
            RowValue::Null,
            RowValue::Null,
            RowValue::Null,
        ]);
    }
}
