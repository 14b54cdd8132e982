//! The file's tables, as forward-only steps.

use commerce_database::Step;

/// A record's place in the file is its partition's id times 2^40, plus its offset: one tree, in which every partition is a
/// range that grows at its end.
const OFFSET_BITS: u32 = 40;

pub(super) const STEPS: &[Step] = &[
    Step {
        id: 1,
        name: "log_partitions",
        // AUTOINCREMENT: an id is never given twice, or records of a partition would be found in another.
        statement: |_| {
            "CREATE TABLE log_partitions (id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, \
             partition INTEGER NOT NULL, next_offset INTEGER NOT NULL CHECK (next_offset >= 0))"
                .to_owned()
        },
    },
    Step {
        id: 2,
        name: "uq_log_partitions",
        statement: |_| {
            "CREATE UNIQUE INDEX uq_log_partitions ON log_partitions (topic, partition)".to_owned()
        },
    },
    Step {
        id: 3,
        name: "log_records",
        statement: |_| {
            "CREATE TABLE log_records (place INTEGER PRIMARY KEY, record_key BLOB NOT NULL, \
             headers BLOB NOT NULL, value BLOB NOT NULL, kept_at INTEGER NOT NULL)"
                .to_owned()
        },
    },
    Step {
        id: 4,
        name: "group_members",
        statement: |_| {
            "CREATE TABLE group_members (group_name TEXT NOT NULL, member BLOB NOT NULL, \
             topics TEXT NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (group_name, member)) WITHOUT ROWID"
                .to_owned()
        },
    },
    Step {
        id: 5,
        name: "group_partitions",
        statement: |_| {
            "CREATE TABLE group_partitions (group_name TEXT NOT NULL, topic TEXT NOT NULL, \
             partition INTEGER NOT NULL, owner BLOB, epoch INTEGER NOT NULL, committed INTEGER, \
             PRIMARY KEY (group_name, topic, partition)) WITHOUT ROWID"
                .to_owned()
        },
    },
];

/// The place of the record at `offset` of the partition with that id.
pub(super) const fn place(partition_id: i64, offset: i64) -> i64 {
    (partition_id << OFFSET_BITS) + offset
}

/// The offset of the record at `place` in its partition.
pub(super) const fn offset_at(place: i64) -> i64 {
    place & ((1 << OFFSET_BITS) - 1)
}
