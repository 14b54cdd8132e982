//! Pages of lists.

use commerce_http::{Page, PageLimit, Problem, cursor};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Rows to read: one more than the page shows, which tells whether there is a next page.
pub fn rows(limit: PageLimit) -> u64 {
    u64::from(limit.get()) + 1
}

/// The position that a cursor of the list `tag` names; none on the first page.
pub fn after<T: DeserializeOwned>(tag: &str, cursor: Option<&str>) -> Result<Option<T>, Problem> {
    cursor.map(|cursor| cursor::decode(tag, cursor)).transpose()
}

/// A page of rows, each shown by `show`; `key` is the position of a row.
pub fn page<R, K: Serialize, T>(
    (tag, limit): (&str, PageLimit),
    rows: Vec<R>,
    key: impl FnOnce(&R) -> K,
    show: impl FnMut(R) -> T,
) -> Page<T> {
    Page::from_rows(rows, limit, |row| cursor::encode(tag, &key(row))).map(show)
}

/// Which page of a list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// `nextCursor` of the page before; none for the first page.
    pub cursor: Option<String>,
    /// Items of the page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    pub limit: PageLimit,
}
