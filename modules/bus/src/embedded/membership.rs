//! Membership in a group: a row that says until when a member is believed to live, and who owns which partition since
//! which epoch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use commerce_database::{Column, Database, DatabaseError, Delete, Merge, Template, Upsert, WriteTransaction};
use sea_orm::ConnectionTrait as _;
use uuid::Uuid;

use super::share::{Member, Share, share_out};
use crate::Assignment;

/// A partition that belongs to a member, as its reader needs it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Owned {
    pub assignment: Assignment,
    /// The partition's id in the file.
    pub partition_id: i64,
}

/// What a member learned when it told that it lives.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    pub owned: Vec<Owned>,
    /// Something moved, so that others should look as well.
    pub moved: bool,
}

/// Who tells that it lives.
#[derive(Debug, Clone)]
pub(super) struct Membership {
    pub db: Database,
    pub group: Arc<str>,
    pub id: Uuid,
    pub topics: Arc<BTreeSet<String>>,
    pub session: Duration,
}

impl Membership {
    /// Tells that the member lives, forgets those that were not heard of for too long, and shares the partitions out.
    pub async fn renew(&self, now_us: i64) -> Result<Standing, DatabaseError> {
        let this = self.clone();
        let renewed = self.db.write("group_renew", move |tx| {
            let this = this.clone();
            Box::pin(async move {
                this.hold(tx, now_us).await?;
                this.share(tx, now_us).await
            })
        });
        renewed.await
    }

    /// Gives everything back, so that the others take it over at once; tells whether anything moved.
    pub async fn leave(&self, now_us: i64) -> Result<Standing, DatabaseError> {
        let this = self.clone();
        let left = self.db.write("group_leave", move |tx| {
            let this = this.clone();
            Box::pin(async move {
                let mut row = LEAVE.rows();
                row.push([(&*this.group).into(), this.id.into()]);
                tx.execute_raw(LEAVE.statement(tx.dialect(), &row)).await?;
                this.share(tx, now_us).await
            })
        });
        left.await
    }

    async fn hold(&self, tx: &WriteTransaction, now_us: i64) -> Result<(), DatabaseError> {
        let session_us = i64::try_from(self.session.as_micros()).unwrap_or(i64::MAX);
        let topics = self.topics.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
        let mut row = HOLD.rows();
        let until = now_us.saturating_add(session_us);
        row.push([(&*self.group).into(), self.id.into(), topics.into(), until.into()]);
        tx.execute_raw(HOLD.statement(tx.dialect(), &row)).await?;
        Ok(())
    }

    async fn share(&self, tx: &WriteTransaction, now_us: i64) -> Result<Standing, DatabaseError> {
        let group = || (*self.group).into();
        let expired = Template::new(EXPIRE).statement(tx.dialect(), [group(), now_us.into()]);
        tx.execute_raw(expired).await?;
        let mut members = Vec::new();
        for row in tx.query_all_raw(Template::new(MEMBERS).statement(tx.dialect(), [group()])).await? {
            let topics: String = row.try_get_by_index(1)?;
            let topics = topics.split('\n').map(str::to_owned).collect();
            members.push(Member { id: row.try_get_by_index(0)?, topics });
        }
        let (mut before, mut places) = (Vec::new(), BTreeMap::new());
        for row in tx.query_all_raw(Template::new(PARTITIONS).statement(tx.dialect(), [group()])).await? {
            let (topic, partition) = (row.try_get_by_index::<String>(1)?, row.try_get_by_index(2)?);
            let epoch = row.try_get_by_index::<Option<i64>>(4)?.unwrap_or_default();
            places.insert((topic.clone(), partition), (row.try_get_by_index::<i64>(0)?, epoch));
            before.push(Share { topic, partition, owner: row.try_get_by_index(3)? });
        }
        let after = share_out(before.clone(), &members);
        let mut standing = Standing::default();
        let mut moved = MOVE.rows();
        for (before, after) in before.iter().zip(after) {
            let key = (after.topic, after.partition);
            let Some((partition_id, epoch)) = places.get(&key).copied() else { continue };
            let is_new = before.owner != after.owner;
            // An epoch belongs to one owner: it grows also where the partition is left to nobody.
            let epoch = epoch + i64::from(is_new);
            let (topic, partition) = key;
            if is_new {
                let owner = after.owner.into();
                moved.push([(&*self.group).into(), (&topic).into(), partition.into(), owner, epoch.into()]);
            }
            if after.owner == Some(self.id) {
                standing
                    .owned
                    .push(Owned { assignment: Assignment { topic, partition, epoch }, partition_id });
            }
        }
        if !moved.is_empty() {
            standing.moved = true;
            tx.execute_raw(MOVE.statement(tx.dialect(), &moved)).await?;
        }
        Ok(standing)
    }
}

const HOLD: Upsert = Upsert {
    table: "group_members",
    columns: &[
        Column::text("group_name"),
        Column::uuid("member"),
        Column::text("topics"),
        Column::int("until"),
    ],
    key: &["group_name", "member"],
    update: &[("topics", Merge::Set), ("until", Merge::Set)],
};

const LEAVE: Delete =
    Delete { table: "group_members", keys: &[Column::text("group_name"), Column::uuid("member")] };

const EXPIRE: &str = "DELETE FROM group_members WHERE group_name = ? AND until <= ?";

const MEMBERS: &str = "SELECT member, topics FROM group_members WHERE group_name = ? ORDER BY member";

const PARTITIONS: &str = "SELECT p.id, p.topic, p.partition, g.owner, g.epoch FROM log_partitions p \
     LEFT JOIN group_partitions g ON g.group_name = ? AND g.topic = p.topic AND g.partition = p.partition \
     ORDER BY p.topic, p.partition";

const MOVE: Upsert = Upsert {
    table: "group_partitions",
    columns: &[
        Column::text("group_name"),
        Column::text("topic"),
        Column::int("partition"),
        Column::uuid("owner"),
        Column::int("epoch"),
    ],
    key: &["group_name", "topic", "partition"],
    update: &[("owner", Merge::Set), ("epoch", Merge::Set)],
};
