//! Records as rows of the file.

use bytes::Bytes;
use commerce_database::{Column, Insert};
use sea_orm::QueryResult;
use serde::{Deserialize, Serialize};

use super::schema;
use crate::{BoxError, BusError, Received, Record};

const TABLE: &str = "log_records";

/// Rows of text, which travel as they are.
pub(super) const TEXTS: Insert = Insert {
    table: TABLE,
    columns: &[
        Column::int("place"),
        Column::blob("record_key"),
        Column::blob("headers"),
        Column::blob("value"),
        Column::int("kept_at"),
    ],
};

/// Rows of any bytes, which travel as hexadecimal digits.
pub(super) const BYTES: Insert = Insert {
    table: TABLE,
    columns: &[
        Column::int("place"),
        Column::bytes("record_key"),
        Column::bytes("headers"),
        Column::bytes("value"),
        Column::int("kept_at"),
    ],
};

/// A header's value in the file: text where it is text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum HeaderValue<'a> {
    #[serde(borrow)]
    Text(std::borrow::Cow<'a, str>),
    Bytes(Vec<u8>),
}

/// Headers as a JSON array of pairs.
pub(super) fn headers_to_json(headers: &[(String, Bytes)]) -> Result<String, BusError> {
    let value = |value| match std::str::from_utf8(value) {
        Ok(text) => HeaderValue::Text(text.into()),
        Err(_) => HeaderValue::Bytes(value.to_vec()),
    };
    let pairs: Vec<(&str, HeaderValue<'_>)> =
        headers.iter().map(|(name, bytes)| (name.as_str(), value(bytes))).collect();
    serde_json::to_string(&pairs).map_err(|error| BusError::Refused(error.to_string()))
}

fn headers_from_json(json: &[u8]) -> Result<Vec<(String, Bytes)>, BusError> {
    let pairs: Vec<(String, HeaderValue<'_>)> = serde_json::from_slice(json).map_err(undecodable)?;
    let bytes = |value| match value {
        HeaderValue::Text(text) => Bytes::from(text.into_owned()),
        HeaderValue::Bytes(bytes) => Bytes::from(bytes),
    };
    Ok(pairs.into_iter().map(|(name, value)| (name, bytes(value))).collect())
}

fn undecodable(error: impl Into<BoxError>) -> BusError {
    BusError::Unavailable(error.into())
}

/// Text that the row statements carry as it is: UTF-8 without NUL.
pub(super) fn as_text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// Bytes of a record that count against the limits.
pub(super) fn size(record: &Record) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    record.key.len() + headers + record.value.len()
}

/// A row of `place, record_key, headers, value, kept_at`.
pub(super) fn received(topic: &str, partition: i32, row: &QueryResult) -> Result<Received, BusError> {
    let bytes = |index| row.try_get_by_index::<Vec<u8>>(index).map_err(undecodable);
    Ok(Received {
        topic: topic.to_owned(),
        partition,
        offset: schema::offset_at(row.try_get_by_index(0).map_err(undecodable)?),
        key: bytes(1)?.into(),
        headers: headers_from_json(&bytes(2)?)?,
        value: bytes(3)?.into(),
        kept_at_us: row.try_get_by_index(4).map_err(undecodable)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_as_they_were_in_their_order() {
        let headers: Vec<(String, Bytes)> = vec![
            ("ce_type".into(), Bytes::from_static(b"OrderPaid")),
            ("b".into(), Bytes::from_static(b"\xff\x00\"")),
            ("a".into(), Bytes::new()),
            ("a".into(), Bytes::from("한\0\n\"")),
            ("c".into(), Bytes::from_static(b"[1,2]")),
        ];
        let json = headers_to_json(&headers).unwrap();
        assert_eq!(headers_from_json(json.as_bytes()).unwrap(), headers);
        assert!(headers_from_json(b"[]").unwrap().is_empty());
        assert!(headers_from_json(b"{").is_err());
    }
}
