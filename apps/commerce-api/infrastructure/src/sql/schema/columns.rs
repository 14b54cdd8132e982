//! The column types of the schema.

pub(super) use commerce_database::ddl::{
    add_column, auto_id, bytes, count, create, flag, index, int, long_bytes, long_text, optional, primary,
    table, text, unique, uuid,
};
