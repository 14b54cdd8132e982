//! A member of a group: keeps itself alive in the background and hands out the partitions it is given.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use commerce_database::DatabaseError;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::Inner;
use super::append::unavailable;
use super::membership::{Membership, Owned, Standing};
use super::reader::PartitionReader;
use crate::{BusError, GroupConsumer, PartitionConsumer};

pub(super) struct EmbeddedMember {
    inner: Arc<Inner>,
    membership: Membership,
    owned: watch::Receiver<Arc<[Owned]>>,
    handed_out: HashSet<Owned>,
    stop: Option<oneshot::Sender<()>>,
    alive: Option<JoinHandle<Result<(), DatabaseError>>>,
}

impl EmbeddedMember {
    /// Joins, and keeps the membership alive from then on.
    pub async fn join(inner: Arc<Inner>, membership: Membership) -> Result<Self, BusError> {
        // Before the first look, so that nothing that moves after it is missed.
        let moves = inner.moves.subscribe();
        let first = membership.renew(inner.clock.now_us()).await.map_err(unavailable)?;
        let (owned, follow) = watch::channel(Arc::from(first.owned));
        if first.moved {
            inner.tell_moved();
        }
        let (stop, stopped) = oneshot::channel();
        let alive = KeptAlive { inner: inner.clone(), membership: membership.clone(), owned, moves };
        let alive = tokio::spawn(alive.run(stopped));
        Ok(Self {
            inner,
            membership,
            owned: follow,
            handed_out: HashSet::new(),
            stop: Some(stop),
            alive: Some(alive),
        })
    }
}

#[async_trait]
impl GroupConsumer for EmbeddedMember {
    async fn assigned(&mut self) -> Result<Box<dyn PartitionConsumer>, BusError> {
        loop {
            let owned = self.owned.borrow_and_update().clone();
            self.handed_out.retain(|handed| owned.contains(handed));
            if let Some(new) = owned.iter().find(|owned| !self.handed_out.contains(*owned)) {
                self.handed_out.insert(new.clone());
                let (inner, membership) = (self.inner.clone(), self.membership.clone());
                return Ok(Box::new(PartitionReader::new(
                    inner,
                    membership,
                    new.clone(),
                    self.owned.clone(),
                )));
            }
            self.owned.changed().await.map_err(|_| BusError::Closed)?;
        }
    }

    async fn leave(mut self: Box<Self>) -> Result<(), BusError> {
        drop(self.stop.take());
        match self.alive.take() {
            Some(alive) => alive.await.map_err(unavailable)?.map_err(unavailable),
            None => Ok(()),
        }
    }
}

/// What goes on in the background for as long as the member is not dropped.
struct KeptAlive {
    inner: Arc<Inner>,
    membership: Membership,
    owned: watch::Sender<Arc<[Owned]>>,
    moves: watch::Receiver<u64>,
}

impl KeptAlive {
    /// Renews until `stopped` ends, then leaves.
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) -> Result<(), DatabaseError> {
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                () = tokio::time::sleep(self.inner.options.heartbeat) => {}
                moved = self.moves.changed() => {
                    if moved.is_err() {
                        break;
                    }
                }
            }
            match self.membership.renew(self.inner.clock.now_us()).await {
                Ok(standing) => self.tell(standing),
                Err(DatabaseError::Closed) => return Ok(()),
                // The row is good for a session yet, and who reads asks the file itself.
                Err(error) => {
                    tracing::warn!(%error, group = %self.membership.group, "a member could not renew itself");
                }
            }
        }
        self.owned.send_replace(Arc::default());
        match self.membership.leave(self.inner.clock.now_us()).await {
            Ok(standing) if standing.moved => {
                self.inner.tell_moved();
                Ok(())
            }
            Ok(_) | Err(DatabaseError::Closed) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, group = %self.membership.group, "a member left without a word");
                Err(error)
            }
        }
    }

    fn tell(&self, standing: Standing) {
        let owned: Arc<[Owned]> = standing.owned.into();
        self.owned.send_if_modified(|before| {
            let changed = *before != owned;
            *before = owned;
            changed
        });
        if standing.moved {
            self.inner.tell_moved();
        }
    }
}
