use commerce_contracts::gateway::{Transaction, TransactionStatus};

use super::APPROVED;

/// Which callback of a transaction it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// The gateway's own.
    True,
    /// Signed by somebody who has no secret.
    Forged,
    /// The gateway's own, caught and sent again.
    Replayed,
}

impl Variant {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::True => "TRUE",
            Self::Forged => "FORGED",
            Self::Replayed => "REPLAYED",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::True, Self::Forged, Self::Replayed].into_iter().find(|variant| variant.as_str() == name)
    }
}

/// A callback that is to be sent.
#[derive(Clone)]
pub(crate) struct Callback {
    /// `webhook-id`: the same for every attempt and copy.
    pub event_id: String,
    pub variant: Variant,
    pub body: Transaction,
    /// When, in microseconds since the epoch.
    pub due_at: i64,
    /// Time of its signature; that of the attempt where there is none.
    pub signed_at: Option<i64>,
    /// Whether it waits until another callback overtook it, until `due_at` at most.
    pub held: bool,
    /// Whether it is only kept in the books.
    pub lost: bool,
}

/// What goes wrong with the callback of one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mishaps {
    pub lost: bool,
    pub delay_ms: u64,
    /// Copies more than one.
    pub copies: u32,
    pub held_ms: Option<u64>,
    pub forged: bool,
    pub replay_age_ms: Option<u64>,
    pub wrong_amount: bool,
}

/// Every callback of a transaction that was decided now, in the order in which they are sent.
pub(crate) fn callbacks_of(transaction: &Transaction, mishaps: Mishaps, now_us: i64) -> Vec<Callback> {
    let later = |ms: u64| now_us.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000));
    let mut body = transaction.clone();
    if mishaps.wrong_amount {
        body.amount = body.amount.saturating_add(1);
    }
    let own = Callback {
        event_id: format!("evt_{}", transaction.transaction_key),
        variant: Variant::True,
        body,
        due_at: later(mishaps.delay_ms.saturating_add(mishaps.held_ms.unwrap_or_default())),
        signed_at: None,
        held: mishaps.held_ms.is_some(),
        lost: mishaps.lost,
    };
    let mut callbacks = Vec::new();
    if mishaps.forged {
        callbacks.push(forged(transaction, now_us));
    }
    callbacks.extend(std::iter::repeat_n(own.clone(), 1 + mishaps.copies as usize));
    if let Some(age_ms) = mishaps.replay_age_ms {
        let signed_at = now_us.saturating_sub(later(age_ms).saturating_sub(now_us));
        let (variant, signed_at) = (Variant::Replayed, Some(signed_at));
        callbacks.push(Callback { variant, signed_at, held: false, lost: false, ..own });
    }
    callbacks
}

/// What somebody would send who wants goods without paying.
fn forged(transaction: &Transaction, now_us: i64) -> Callback {
    let (status, reason) = (TransactionStatus::Success, Some(APPROVED.to_owned()));
    Callback {
        event_id: format!("evt_forged_{}", transaction.transaction_key),
        variant: Variant::Forged,
        body: Transaction { status, reason, ..transaction.clone() },
        due_at: now_us,
        signed_at: None,
        held: false,
        lost: false,
    }
}

#[cfg(test)]
mod tests {
    use commerce_contracts::gateway::CardType;

    use super::*;

    const NOW_US: i64 = 1_000_000_000_000;

    fn declined() -> Transaction {
        Transaction {
            transaction_key: "20260302:TR:00abcd".to_owned(),
            order_id: "order1".to_owned(),
            card_type: CardType::Kb,
            card_no: "1234-5678-9012-3456".to_owned(),
            amount: 5_000,
            status: TransactionStatus::Failed,
            reason: Some("limit exceeded".to_owned()),
        }
    }

    fn callbacks(mishaps: Mishaps) -> Vec<Callback> {
        callbacks_of(&declined(), mishaps, NOW_US)
    }

    #[test]
    fn without_mishaps_there_is_one_at_once() {
        let callbacks = callbacks(Mishaps::default());
        assert_eq!(callbacks.len(), 1);
        assert_eq!(callbacks[0].event_id, "evt_20260302:TR:00abcd");
        assert_eq!((callbacks[0].due_at, callbacks[0].signed_at), (NOW_US, None));
        assert!(callbacks[0].body == declined() && !callbacks[0].held && !callbacks[0].lost);
    }

    #[test]
    fn a_forged_one_claims_success_before_and_a_replayed_one_comes_after() {
        let mishaps = Mishaps { forged: true, replay_age_ms: Some(600_000), copies: 1, ..Mishaps::default() };
        let callbacks = callbacks(mishaps);
        let variants: Vec<_> = callbacks.iter().map(|callback| callback.variant).collect();
        assert_eq!(variants, [Variant::Forged, Variant::True, Variant::True, Variant::Replayed]);
        assert_eq!(callbacks[0].body.status, TransactionStatus::Success);
        assert_ne!(callbacks[0].event_id, callbacks[1].event_id);
        assert_eq!(callbacks[3].event_id, callbacks[1].event_id);
        assert_eq!(callbacks[3].signed_at, Some(NOW_US - 600_000_000));
    }

    #[test]
    fn what_is_lost_delayed_held_or_wrong_says_so() {
        let all = callbacks(Mishaps {
            lost: true,
            delay_ms: 10,
            held_ms: Some(5),
            wrong_amount: true,
            ..Mishaps::default()
        });
        assert!(all[0].lost && all[0].held);
        assert_eq!((all[0].due_at, all[0].body.amount), (NOW_US + 15_000, 5_001));
    }

    #[test]
    fn variants_are_stored_by_name() {
        for variant in [Variant::True, Variant::Forged, Variant::Replayed] {
            assert_eq!(Variant::parse(variant.as_str()), Some(variant));
        }
        assert_eq!(Variant::parse("OTHER"), None);
    }
}
