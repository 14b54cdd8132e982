//! A partition as its owner reads it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commerce_database::Template;
use sea_orm::ConnectionTrait as _;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::Inner;
use super::append::{Job, OffsetCommit, unavailable};
use super::membership::{Membership, Owned};
use super::record::received;
use super::schema::place;
use crate::{Assignment, BusError, PartitionConsumer, Received};

pub(super) struct PartitionReader {
    inner: Arc<Inner>,
    group: Arc<str>,
    member: Uuid,
    own: Owned,
    owned: watch::Receiver<Arc<[Owned]>>,
    end: watch::Receiver<i64>,
    /// Offset of the next record; none before the first use.
    next: Option<i64>,
}

/// The assignment as the file has it, and the page behind it: who lost the partition learns it with the same look.
const PAGE: &str = "SELECT -1 AS place, owner AS record_key, NULL AS headers, NULL AS value, epoch AS kept_at \
     FROM group_partitions WHERE group_name = ? AND topic = ? AND partition = ? \
     UNION ALL SELECT place, record_key, headers, value, kept_at FROM (\
     SELECT place, record_key, headers, value, kept_at FROM log_records \
     WHERE place >= ? AND place < ? ORDER BY place LIMIT ?)";

const COMMITTED: &str =
    "SELECT committed FROM group_partitions WHERE group_name = ? AND topic = ? AND partition = ?";

impl PartitionReader {
    pub fn new(
        inner: Arc<Inner>,
        membership: Membership,
        own: Owned,
        owned: watch::Receiver<Arc<[Owned]>>,
    ) -> Self {
        let end = inner.ends.subscribe(&own.assignment.topic, own.assignment.partition);
        Self { inner, group: membership.group, member: membership.id, own, owned, end, next: None }
    }

    /// Whether the member knows that it lost the partition.
    fn is_revoked(&mut self) -> bool {
        !self.owned.borrow_and_update().contains(&self.own)
    }

    async fn page(&self, next: i64, max: usize) -> Result<Vec<Received>, BusError> {
        let Assignment { topic, partition, epoch } = &self.own.assignment;
        let id = self.own.partition_id;
        let limit = i64::try_from(max).unwrap_or(i64::MAX);
        let values = [
            (*self.group).into(),
            topic.as_str().into(),
            (*partition).into(),
            place(id, next).into(),
            place(id + 1, 0).into(),
            limit.into(),
        ];
        let reader = self.inner.db.reader_named("log_fetch");
        let rows = reader.query_all_raw(Template::new(PAGE).statement(self.inner.db.dialect(), values)).await;
        let (mut records, mut is_owner) = (Vec::new(), false);
        for row in rows.map_err(unavailable)? {
            if row.try_get_by_index::<i64>(0).map_err(unavailable)? < 0 {
                let owner: Option<Uuid> = row.try_get_by_index(1).map_err(unavailable)?;
                let since: i64 = row.try_get_by_index(4).map_err(unavailable)?;
                is_owner = (owner, since) == (Some(self.member), *epoch);
            } else {
                records.push(received(topic, *partition, &row)?);
            }
        }
        if !is_owner {
            return Err(BusError::Revoked);
        }
        // It comes in this order; nothing in SQL says that it has to.
        records.sort_by_key(|record| record.offset);
        Ok(records)
    }

    /// Waits for a longer partition, a lost one, or `until`.
    async fn news(&mut self, until: Option<Instant>) -> Result<(), BusError> {
        let limit = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.end.changed() => changed.map_err(|_| BusError::Closed),
            // Its keeper is gone: the member left, or was dropped.
            changed = self.owned.changed() => changed.map_err(|_| BusError::Revoked),
            () = limit => Ok(()),
        }
    }
}

#[async_trait]
impl PartitionConsumer for PartitionReader {
    fn assignment(&self) -> &Assignment {
        &self.own.assignment
    }

    async fn committed(&self) -> Result<Option<i64>, BusError> {
        let Assignment { topic, partition, .. } = &self.own.assignment;
        let values = [(*self.group).into(), topic.as_str().into(), (*partition).into()];
        let statement = Template::new(COMMITTED).statement(self.inner.db.dialect(), values);
        let reader = self.inner.db.reader_named("log_committed");
        match reader.query_one_raw(statement).await.map_err(unavailable)? {
            Some(row) => row.try_get_by_index(0).map_err(unavailable),
            None => Ok(None),
        }
    }

    async fn seek(&mut self, next: i64) -> Result<(), BusError> {
        self.next = Some(next.max(0));
        Ok(())
    }

    async fn fetch(&mut self, max: usize, linger: Duration) -> Result<Vec<Received>, BusError> {
        let max = max.max(1);
        let mut next = match self.next {
            Some(next) => next,
            // Records begin where they begin: before the earliest there is nothing to skip.
            None => self.committed().await?.unwrap_or_default(),
        };
        let mut records: Vec<Received> = Vec::new();
        let mut until: Option<Instant> = None;
        loop {
            if self.is_revoked() {
                return Err(BusError::Revoked);
            }
            let end = *self.end.borrow_and_update();
            if next < end {
                let page = self.page(next, max - records.len()).await?;
                // An empty one: what stood there is past its time.
                next = page.last().map_or(end, |last| last.offset + 1);
                records.extend(page);
            }
            if !records.is_empty() {
                let until = *until.get_or_insert_with(|| Instant::now() + linger);
                if records.len() >= max || until <= Instant::now() {
                    self.next = Some(next);
                    return Ok(records);
                }
            }
            self.news(until).await?;
        }
    }

    async fn commit(&mut self, next: i64) -> Result<(), BusError> {
        let (reply, answer) = oneshot::channel();
        let assignment = self.own.assignment.clone();
        let commit = OffsetCommit { group: self.group.clone(), member: self.member, assignment, next };
        self.inner.jobs.send(Job::Commit { commit, reply }).await.map_err(|_| BusError::Closed)?;
        let committed = answer.await.unwrap_or(Err(BusError::Closed))?;
        if committed { Ok(()) } else { Err(BusError::Revoked) }
    }
}
