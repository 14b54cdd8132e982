//! Who of a group's members reads which partition.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

/// A member and the topics it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub id: Uuid,
    pub topics: BTreeSet<String>,
}

/// A partition and whom it belongs to now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Share {
    pub topic: String,
    pub partition: i32,
    pub owner: Option<Uuid>,
}

/// Shares the partitions out evenly among the members that asked for their topics; whoever has one keeps it where that
/// is even, so that little moves.
pub(super) fn share_out(mut shares: Vec<Share>, members: &[Member]) -> Vec<Share> {
    let mut loads: BTreeMap<Uuid, usize> = members.iter().map(|member| (member.id, 0)).collect();
    let asked = |member: &Member, share: &Share| member.topics.contains(&share.topic);
    for share in &mut shares {
        share.owner = share
            .owner
            .filter(|owner| members.iter().any(|member| member.id == *owner && asked(member, share)));
        if let Some(load) = share.owner.and_then(|owner| loads.get_mut(&owner)) {
            *load += 1;
        }
    }
    let least = |loads: &BTreeMap<Uuid, usize>, share: &Share| {
        let eligible = members.iter().filter(|member| asked(member, share));
        eligible.map(|member| (loads.get(&member.id).copied().unwrap_or_default(), member.id)).min()
    };
    for share in shares.iter_mut().filter(|share| share.owner.is_none()) {
        if let Some((_, id)) = least(&loads, share) {
            share.owner = Some(id);
            *loads.entry(id).or_default() += 1;
        }
    }
    // Each move makes the loads more even, so there is a last one.
    while let Some((index, from, to)) = shares.iter().enumerate().find_map(|(index, share)| {
        let from = share.owner?;
        let (least, to) = least(&loads, share)?;
        (loads.get(&from).copied()? >= least + 2).then_some((index, from, to))
    }) {
        shares[index].owner = Some(to);
        *loads.entry(from).or_default() -= 1;
        *loads.entry(to).or_default() += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u128, topics: &[&str]) -> Member {
        Member { id: Uuid::from_u128(id), topics: topics.iter().map(ToString::to_string).collect() }
    }

    fn shares(topic: &str, owners: &[u128]) -> Vec<Share> {
        let share = |(partition, owner): (i32, &u128)| Share {
            topic: topic.to_owned(),
            partition,
            owner: (*owner > 0).then(|| Uuid::from_u128(*owner)),
        };
        (0..).zip(owners).map(share).collect()
    }

    fn owners(shares: &[Share]) -> Vec<u128> {
        shares.iter().map(|share| share.owner.map_or(0, |owner| owner.as_u128())).collect()
    }

    #[test]
    fn partitions_are_shared_out_evenly_and_the_same_everywhere() {
        let two = [member(1, &["a"]), member(2, &["a"])];
        assert_eq!(owners(&share_out(shares("a", &[0, 0, 0]), &two)), [1, 2, 1]);
        assert_eq!(owners(&share_out(shares("a", &[0]), &two)), [1]);
        assert_eq!(owners(&share_out(shares("a", &[1, 1]), &[])), [0, 0]);
    }

    #[test]
    fn who_has_a_partition_keeps_it_where_that_is_even() {
        let two = [member(1, &["a"]), member(2, &["a"])];
        assert_eq!(owners(&share_out(shares("a", &[2, 2, 1, 1]), &two)), [2, 2, 1, 1]);
        assert_eq!(owners(&share_out(shares("a", &[1, 1, 1, 1]), &two)), [2, 2, 1, 1]);
        let three = [member(1, &["a"]), member(2, &["a"]), member(3, &["a"])];
        assert_eq!(owners(&share_out(shares("a", &[1, 1, 2, 2]), &three)), [3, 1, 2, 2]);
        // 9 is gone.
        assert_eq!(owners(&share_out(shares("a", &[9, 2, 9, 1]), &two)), [1, 2, 2, 1]);
    }

    #[test]
    fn nobody_gets_a_topic_that_it_did_not_ask_for() {
        let members = [member(1, &["a", "b"]), member(2, &["a"])];
        let both: Vec<Share> = [shares("a", &[0, 0]), shares("b", &[2, 0])].concat();
        let shared = share_out(both, &members);
        assert_eq!(owners(&shared), [2, 2, 1, 1]);
        assert_eq!(owners(&share_out(shares("c", &[1, 2]), &members)), [0, 0]);
    }
}
