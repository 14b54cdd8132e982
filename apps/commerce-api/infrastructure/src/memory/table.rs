use std::collections::BTreeMap;
use std::ops::RangeBounds;

/// Rows by key, and what the one open unit of work would change in them.
#[derive(Debug, Clone)]
pub(super) struct Table<K, V> {
    rows: BTreeMap<K, V>,
    /// New rows, and none for those that are deleted.
    staged: BTreeMap<K, Option<V>>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), staged: BTreeMap::new() }
    }
}

impl<K: Ord + Clone, V: Clone> Table<K, V> {
    /// The row as the open unit of work sees it.
    pub fn get(&self, key: &K) -> Option<&V> {
        match self.staged.get(key) {
            Some(staged) => staged.as_ref(),
            None => self.rows.get(key),
        }
    }

    /// The rows in `range` as the open unit of work sees them.
    pub fn range(&self, range: impl RangeBounds<K> + Clone) -> Vec<(&K, &V)> {
        let kept = self.rows.range(range.clone()).filter(|(key, _)| !self.staged.contains_key(key));
        let new = self.staged.range(range).filter_map(|(key, row)| row.as_ref().map(|row| (key, row)));
        kept.chain(new).collect()
    }

    /// Stages a row that must be new; false where the key is taken.
    #[must_use]
    pub fn insert(&mut self, key: K, row: V) -> bool {
        let is_new = self.get(&key).is_none();
        if is_new {
            self.staged.insert(key, Some(row));
        }
        is_new
    }

    /// Stages a row, new or not.
    pub fn put(&mut self, key: K, row: V) {
        self.staged.insert(key, Some(row));
    }

    /// Stages the end of a row.
    pub fn remove(&mut self, key: K) {
        self.staged.insert(key, None);
    }

    /// The rows as everybody else sees them.
    pub const fn committed(&self) -> &BTreeMap<K, V> {
        &self.rows
    }

    /// Makes what is staged visible.
    pub fn commit(&mut self) {
        for (key, row) in std::mem::take(&mut self.staged) {
            match row {
                Some(row) => self.rows.insert(key, row),
                None => self.rows.remove(&key),
            };
        }
    }

    /// Forgets what is staged.
    pub fn discard(&mut self) {
        self.staged.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_staged_is_seen_inside_and_not_outside() {
        let mut table = Table::default();
        assert!(table.insert(1, "one"));
        assert!(table.insert(2, "two"));
        table.commit();
        table.put(1, "uno");
        table.remove(2);
        assert!(!table.insert(1, "again"));
        assert!(table.insert(3, "three"));
        assert_eq!(table.get(&1), Some(&"uno"));
        assert_eq!(table.get(&2), None);
        assert_eq!(
            table.range(1..).into_iter().map(|(key, row)| (*key, *row)).collect::<Vec<_>>(),
            [(1, "uno"), (3, "three")]
        );
        assert_eq!(table.committed(), &BTreeMap::from([(1, "one"), (2, "two")]));
        let mut discarded = table.clone();
        discarded.discard();
        assert_eq!(discarded.get(&1), Some(&"one"));
        assert_eq!(discarded.get(&3), None);
        table.commit();
        assert_eq!(table.committed(), &BTreeMap::from([(1, "uno"), (3, "three")]));
    }
}
