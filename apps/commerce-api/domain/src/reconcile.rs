//! The gateway's settlement report against our books.
//!
//! A movement is known by the gateway's transaction key, its direction and our reference, never by a time: on which day the
//! gateway counts it, in which zone, and when we heard of it do not matter. Days are given by the caller as anything that
//! sorts.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::{Money, PaymentId, PaymentStatus, Timestamp};

/// Which way money moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MoneyMovement {
    /// To us.
    Capture,
    /// Back to the buyer.
    Refund,
}

impl MoneyMovement {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Capture, Self::Refund];

    /// The stored and published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Capture => "CAPTURE",
            Self::Refund => "REFUND",
        }
    }

    /// The movement of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|movement| movement.name() == name)
    }
}

/// One line of the gateway's settlement report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlementEntry {
    /// Which way.
    pub movement: MoneyMovement,
    /// The gateway's transaction key.
    pub key: Arc<str>,
    /// The reference it was made under, as the gateway has it.
    pub reference: Arc<str>,
    /// Above 0.
    pub amount: Money,
    /// When, as the gateway says.
    pub at: Timestamp,
}

impl SettlementEntry {
    /// The payment of ours that the reference names, whether or not it exists.
    pub fn payment(&self) -> Option<PaymentId> {
        payment_of(&self.reference)
    }

    fn is_of(&self, ours: &OurMovement) -> bool {
        self.movement == ours.movement && self.key == ours.key && self.payment() == Some(ours.payment)
    }
}

/// Our references are payment ids as we write them, and nothing that merely parses as one.
fn payment_of(reference: &str) -> Option<PaymentId> {
    let id = Uuid::try_parse(reference).ok().filter(|id| id.to_string() == reference)?;
    Some(PaymentId(id))
}

/// A movement that stands in our books, found by the gateway's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OurMovement {
    /// Which payment.
    pub payment: PaymentId,
    /// Which way.
    pub movement: MoneyMovement,
    /// The gateway's transaction key.
    pub key: Arc<str>,
    /// Won.
    pub amount: Money,
    /// Where the payment stands.
    pub status: PaymentStatus,
    /// Whether it is done; a refund may be due only.
    pub is_settled: bool,
    /// Before this moment it cannot have happened at the gateway.
    pub from: Timestamp,
    /// When we recorded it.
    pub at: Timestamp,
}

/// A payment that the report refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Where it stands.
    pub status: PaymentStatus,
    /// What is to be captured.
    pub card_part: Money,
}

impl Standing {
    /// Whether its outcome is not known yet: what the report says of it is a reason to ask, and no difference.
    const fn is_open(&self) -> bool {
        use PaymentStatus as S;
        matches!(self.status, S::Pending | S::Requesting | S::Processing | S::Unknown)
    }
}

/// How report and books differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MismatchKind {
    /// The gateway has a movement that our books do not know.
    MissingHere,
    /// Our books have a movement that no report of the gateway has.
    MissingThere,
    /// Both have it, with different amounts.
    AmountDiffers,
}

impl MismatchKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::MissingHere, Self::MissingThere, Self::AmountDiffers];

    /// The stored and published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MissingHere => "MISSING_HERE",
            Self::MissingThere => "MISSING_THERE",
            Self::AmountDiffers => "AMOUNT_DIFFERS",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What is to be done about a mismatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProposedAction {
    /// It is in motion: the gateway is asked about the payment, and a capture that our books do not expect goes back by
    /// itself.
    Recheck,
    /// Nobody of ours has this reference: find out whose money it is.
    FindOwner,
    /// Ask the gateway's operator why its report does not have it, or has it.
    AskGateway,
    /// Find out which amount is right, and settle the difference by hand.
    CompareAmounts,
    /// The buyer got the money back without us: cancel the order.
    CancelOrder,
}

impl ProposedAction {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Recheck, Self::FindOwner, Self::AskGateway, Self::CompareAmounts, Self::CancelOrder];

    /// The stored and published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recheck => "RECHECK",
            Self::FindOwner => "FIND_OWNER",
            Self::AskGateway => "ASK_GATEWAY",
            Self::CompareAmounts => "COMPARE_AMOUNTS",
            Self::CancelOrder => "CANCEL_ORDER",
        }
    }

    /// The action of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

/// What our books say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OurSide {
    /// Won; of a movement that is missing here, what the payment is to capture.
    pub amount: Money,
    /// Where the payment stands.
    pub status: PaymentStatus,
}

/// What the gateway's report says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TheirSide {
    /// Won, all entries of the movement together.
    pub amount: i64,
    /// When the first of them happened.
    pub at: Timestamp,
}

/// A difference between report and books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// How they differ.
    pub kind: MismatchKind,
    /// In which movement.
    pub movement: MoneyMovement,
    /// The gateway's transaction key.
    pub key: Arc<str>,
    /// The reference, as the gateway has it.
    pub reference: Arc<str>,
    /// The payment of ours that it is about; none where the reference is nobody's.
    pub payment: Option<PaymentId>,
    /// What our books say.
    pub ours: Option<OurSide>,
    /// What the report says.
    pub theirs: Option<TheirSide>,
    /// What is to be done.
    pub action: ProposedAction,
}

/// What comes of one reported movement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// Both sides say the same.
    Agreed,
    /// The payment's outcome is not known here: the gateway is to be asked.
    Ask(PaymentId),
    /// They differ.
    Differs(Mismatch),
}

/// Entries of one movement under one reference.
struct Reported<'a, D> {
    entry: &'a SettlementEntry,
    amount: i64,
    at: Timestamp,
    last_day: D,
}

/// Compares what the reports say of one transaction key and movement, whatever their days, with what our books know of the
/// key, and the payments that the references name.
///
/// A movement belongs to the last day that has an entry of it, so of all days only that one tells of a difference. An entry
/// that the reports of two days share counts once; one that a report has twice counts twice.
pub fn compare_reported<D: Ord + Copy>(
    day: D,
    reported: &[(D, SettlementEntry)],
    known: &[OurMovement],
    payments: &BTreeMap<PaymentId, Standing>,
) -> Vec<Compared> {
    let of_day = by_reference(reported).into_iter().filter(|(_, reported)| reported.last_day == day);
    of_day.map(|(_, reported)| compare_one(&reported, known, payments)).collect()
}

fn by_reference<D: Ord + Copy>(reported: &[(D, SettlementEntry)]) -> BTreeMap<&str, Reported<'_, D>> {
    let mut times: BTreeMap<(&str, Money, Timestamp), BTreeMap<D, i64>> = BTreeMap::new();
    for (day, entry) in reported {
        let days = times.entry((&entry.reference, entry.amount, entry.at)).or_default();
        *days.entry(*day).or_default() += 1;
    }
    let mut movements: BTreeMap<&str, Reported<'_, D>> = BTreeMap::new();
    for (day, entry) in reported {
        let movement = movements.entry(&entry.reference).or_insert(Reported {
            entry,
            amount: 0,
            at: entry.at,
            last_day: *day,
        });
        movement.at = movement.at.min(entry.at);
        movement.last_day = movement.last_day.max(*day);
    }
    for ((reference, amount, _), days) in times {
        let count = days.into_values().max().unwrap_or_default();
        if let Some(movement) = movements.get_mut(reference) {
            movement.amount = movement.amount.saturating_add(amount.won().saturating_mul(count));
        }
    }
    movements
}

fn compare_one<D>(
    reported: &Reported<'_, D>,
    known: &[OurMovement],
    payments: &BTreeMap<PaymentId, Standing>,
) -> Compared {
    let entry = reported.entry;
    let Some((payment, standing)) = entry.payment().and_then(|id| Some((id, *payments.get(&id)?))) else {
        return differs(reported, MismatchKind::MissingHere, None, ProposedAction::FindOwner);
    };
    let at_stake = |amount: Money| Some((payment, OurSide { amount, status: standing.status }));
    match known.iter().find(|ours| entry.is_of(ours)) {
        // The visit that makes the refund hears that it was made.
        Some(ours) if !ours.is_settled => Compared::Ask(payment),
        Some(ours) if ours.amount.won() == reported.amount => Compared::Agreed,
        Some(ours) => {
            let action = ProposedAction::CompareAmounts;
            differs(reported, MismatchKind::AmountDiffers, at_stake(ours.amount), action)
        }
        None => {
            let as_asked = standing.card_part.won() == reported.amount;
            let (kind, action) = match (standing.is_open(), as_asked, entry.movement) {
                (true, true, _) | (true, false, MoneyMovement::Refund) => return Compared::Ask(payment),
                (true, false, MoneyMovement::Capture) => {
                    (MismatchKind::AmountDiffers, ProposedAction::CompareAmounts)
                }
                (false, true, MoneyMovement::Capture) => (MismatchKind::MissingHere, ProposedAction::Recheck),
                (false, _, MoneyMovement::Refund) if standing.status == PaymentStatus::Success => {
                    (MismatchKind::MissingHere, ProposedAction::CancelOrder)
                }
                (false, ..) => (MismatchKind::MissingHere, ProposedAction::AskGateway),
            };
            differs(reported, kind, at_stake(standing.card_part), action)
        }
    }
}

fn differs<D>(
    reported: &Reported<'_, D>,
    kind: MismatchKind,
    ours: Option<(PaymentId, OurSide)>,
    action: ProposedAction,
) -> Compared {
    let SettlementEntry { movement, key, reference, .. } = reported.entry;
    Compared::Differs(Mismatch {
        kind,
        movement: *movement,
        key: key.clone(),
        reference: reference.clone(),
        payment: ours.map(|(payment, _)| payment),
        ours: ours.map(|(_, side)| side),
        theirs: Some(TheirSide { amount: reported.amount, at: reported.at }),
        action,
    })
}

/// Our movement against every entry of its key in all reports that could have it; none where one of them has.
pub fn compare_ours<'a>(
    ours: &OurMovement,
    reported: impl IntoIterator<Item = &'a SettlementEntry>,
) -> Option<Mismatch> {
    let is_there = reported.into_iter().any(|entry| entry.is_of(ours));
    (!is_there).then(|| Mismatch {
        kind: MismatchKind::MissingThere,
        movement: ours.movement,
        key: ours.key.clone(),
        reference: ours.payment.to_string().into(),
        payment: Some(ours.payment),
        ours: Some(OurSide { amount: ours.amount, status: ours.status }),
        theirs: None,
        action: ProposedAction::AskGateway,
    })
}
