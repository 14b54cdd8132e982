use crate::{Aggregate, DomainEvent, EventId, EventKind, IdSeed, ProductId, Timestamp, UserId};

/// The kept row of a user and a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Like {
    /// Whose.
    pub user: UserId,
    /// Of what.
    pub product: ProductId,
    /// Whether the user likes it now.
    pub active: bool,
    /// Events so far.
    pub event_seq: i64,
    /// When it last changed.
    pub changed_at: Timestamp,
}

/// Like it, or no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LikeChange {
    /// The ids it may use, made before the first try.
    pub ids: IdSeed,
    /// Whose.
    pub user: UserId,
    /// Of what.
    pub product: ProductId,
    /// Whether the user likes it.
    pub active: bool,
}

/// Decides a like: nothing where it is as asked for already, else the new row and its event.
pub fn decide_like(
    change: &LikeChange,
    current: Option<&Like>,
    now: Timestamp,
) -> Option<(Like, DomainEvent)> {
    if current.is_some_and(|like| like.active) == change.active {
        return None;
    }
    let sequence = current.map_or(0, |like| like.event_seq) + 1;
    let like = Like {
        user: change.user,
        product: change.product,
        active: change.active,
        event_seq: sequence,
        changed_at: now,
    };
    // What runs again after a lost answer finds the row as it left it and has nothing to do, or as somebody else left it
    // meanwhile: then this is another event, and must not have the id of the first.
    let nth = u16::try_from(sequence & i64::from(u16::MAX)).unwrap_or_default();
    let event = DomainEvent {
        id: EventId(change.ids.nth(nth)),
        aggregate: Aggregate::ProductLike(change.product, change.user),
        sequence,
        user: Some(change.user),
        at: now,
        kind: if change.active { EventKind::LikeAdded } else { EventKind::LikeRemoved },
    };
    Some((like, event))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_like_that_repeats_changes_nothing() {
        let change = |active| LikeChange {
            ids: IdSeed::new(Uuid::from_u128(1 << 20)),
            user: UserId(1),
            product: ProductId(2),
            active,
        };
        let now = Timestamp::from_micros(5);
        assert_eq!(decide_like(&change(false), None, now), None);
        let (liked, event) = decide_like(&change(true), None, now).unwrap();
        assert_eq!((liked.active, liked.event_seq, event.sequence), (true, 1, 1));
        assert_eq!(decide_like(&change(true), Some(&liked), now), None);
        let (unliked, event) = decide_like(&change(false), Some(&liked), now).unwrap();
        assert_eq!((unliked.active, unliked.event_seq, event.kind), (false, 2, EventKind::LikeRemoved));
    }

    #[test]
    fn a_change_that_runs_again_after_somebody_elses_is_another_event() {
        let change = |active, seed: u128| LikeChange {
            ids: IdSeed::new(Uuid::from_u128(seed << 20)),
            user: UserId(1),
            product: ProductId(2),
            active,
        };
        let now = Timestamp::from_micros(5);
        let like = |like: Option<&Like>, active, seed| decide_like(&change(active, seed), like, now).unwrap();
        let (first, added) = like(None, true, 1);
        assert_eq!(like(None, true, 1).1.id, added.id, "the same event, where the first try came to nothing");
        // Its answer was lost; another takes it back before it runs again.
        let (removed, _) = like(Some(&first), false, 2);
        let (_, again) = like(Some(&removed), true, 1);
        assert_ne!(again.id, added.id);
    }
}
