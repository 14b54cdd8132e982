//! The gateway's report against our books: every way to differ, days, and that equal books give no finding.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use commerce_api_domain::*;
use proptest::prelude::*;
use uuid::Uuid;

const DAY: i64 = 86_400_000_000;

fn won(won: i64) -> Money {
    Money::new(won).unwrap()
}

fn payment(number: u128) -> PaymentId {
    PaymentId(Uuid::from_u128(0x0190_abcd_ef00_7000_8000_0000_0000_0000 + number))
}

fn entry(movement: MoneyMovement, key: &str, reference: &str, amount: i64, at: i64) -> SettlementEntry {
    let at = Timestamp::from_micros(at);
    SettlementEntry { movement, key: key.into(), reference: reference.into(), amount: won(amount), at }
}

fn capture(key: &str, of: PaymentId, amount: i64) -> SettlementEntry {
    entry(MoneyMovement::Capture, key, &of.to_string(), amount, 5)
}

fn ours(movement: MoneyMovement, key: &str, of: PaymentId, amount: i64) -> OurMovement {
    OurMovement {
        payment: of,
        movement,
        key: key.into(),
        amount: won(amount),
        status: PaymentStatus::Success,
        is_settled: true,
        from: Timestamp::default(),
        at: Timestamp::default(),
    }
}

fn standing(status: PaymentStatus, card_part: i64) -> BTreeMap<PaymentId, Standing> {
    [(payment(1), Standing { status, card_part: won(card_part) })].into()
}

fn one(
    reported: &SettlementEntry,
    known: &[OurMovement],
    payments: &BTreeMap<PaymentId, Standing>,
) -> Compared {
    let mut compared = compare_reported(0, &[(0, reported.clone())], known, payments);
    assert_eq!(compared.len(), 1);
    compared.pop().unwrap()
}

fn kind_and_action(compared: &Compared) -> Option<(MismatchKind, ProposedAction)> {
    match compared {
        Compared::Differs(mismatch) => Some((mismatch.kind, mismatch.action)),
        Compared::Agreed | Compared::Ask(_) => None,
    }
}

#[test]
fn what_is_not_in_our_books_is_judged_by_where_its_payment_stands() {
    use MismatchKind as K;
    use MoneyMovement as M;
    use PaymentStatus as S;
    use ProposedAction as A;
    for status in S::ALL {
        let open = matches!(status, S::Pending | S::Requesting | S::Processing | S::Unknown);
        for movement in M::ALL {
            for amount in [1_000, 999] {
                let reported = entry(movement, "k", &payment(1).to_string(), amount, 5);
                let compared = one(&reported, &[], &standing(status, 1_000));
                let expected = match (open, movement, amount) {
                    (true, M::Capture, 999) => Some((K::AmountDiffers, A::CompareAmounts)),
                    (true, ..) => {
                        assert_eq!(
                            compared,
                            Compared::Ask(payment(1)),
                            "a reason to ask, not a loss: {status:?}"
                        );
                        None
                    }
                    // A second capture, or one of a payment that failed: the rules of payments give it back.
                    (false, M::Capture, 1_000) => Some((K::MissingHere, A::Recheck)),
                    (false, M::Refund, _) if status == S::Success => Some((K::MissingHere, A::CancelOrder)),
                    (false, ..) => Some((K::MissingHere, A::AskGateway)),
                };
                assert_eq!(kind_and_action(&compared), expected, "{status:?} {movement:?} {amount}");
                if let Compared::Differs(mismatch) = compared {
                    assert_eq!(mismatch.payment, Some(payment(1)));
                    assert_eq!(mismatch.theirs.unwrap().amount, amount);
                    assert_eq!(mismatch.ours.unwrap(), OurSide { amount: won(1_000), status });
                }
            }
        }
    }
}

#[test]
fn what_is_in_our_books_agrees_by_its_amount_only() {
    let payments = standing(PaymentStatus::Success, 1_000);
    for movement in MoneyMovement::ALL {
        let known = ours(movement, "k", payment(1), 1_000);
        let said = |amount| entry(movement, "k", &payment(1).to_string(), amount, 5);
        assert_eq!(one(&said(1_000), std::slice::from_ref(&known), &payments), Compared::Agreed);
        let differs = one(&said(1_001), std::slice::from_ref(&known), &payments);
        let expected = (MismatchKind::AmountDiffers, ProposedAction::CompareAmounts);
        assert_eq!(kind_and_action(&differs), Some(expected));
        let due = OurMovement { is_settled: false, ..known };
        assert_eq!(one(&said(1_000), &[due], &payments), Compared::Ask(payment(1)), "a refund that is due");
    }
}

#[test]
fn another_key_movement_or_reference_is_another_movement() {
    let payments = standing(PaymentStatus::Success, 1_000);
    let reported = capture("k", payment(1), 1_000);
    for known in [
        ours(MoneyMovement::Capture, "other", payment(1), 1_000),
        ours(MoneyMovement::Refund, "k", payment(1), 1_000),
        ours(MoneyMovement::Capture, "k", payment(2), 1_000),
    ] {
        let compared = one(&reported, std::slice::from_ref(&known), &payments);
        let expected = (MismatchKind::MissingHere, ProposedAction::Recheck);
        assert_eq!(kind_and_action(&compared), Some(expected), "{known:?}");
        let missing = compare_ours(&known, [&reported]).unwrap();
        assert_eq!((missing.kind, missing.theirs), (MismatchKind::MissingThere, None));
        assert_eq!((missing.payment, missing.action), (Some(known.payment), ProposedAction::AskGateway));
    }
    assert_eq!(compare_ours(&ours(MoneyMovement::Capture, "k", payment(1), 1), [&reported]), None);
}

#[test]
fn a_reference_that_is_nobodys_is_to_be_found_out() {
    let id = payment(1).to_string();
    let braced = format!("{{{id}}}");
    for reference in ["order-1", &id.to_uppercase(), &id.replace('-', ""), &braced, &payment(2).to_string()] {
        let reported = entry(MoneyMovement::Capture, "k", reference, 1_000, 5);
        let known = ours(MoneyMovement::Capture, "k", payment(1), 1_000);
        let Compared::Differs(mismatch) = one(&reported, &[known], &standing(PaymentStatus::Success, 1_000))
        else {
            panic!("{reference}");
        };
        assert_eq!((mismatch.kind, mismatch.action), (MismatchKind::MissingHere, ProposedAction::FindOwner));
        assert_eq!((mismatch.payment, mismatch.ours, &*mismatch.reference), (None, None, reference));
    }
}

#[test]
fn an_entry_that_two_reports_share_counts_once_and_one_that_a_report_has_twice_counts_twice() {
    let payments = standing(PaymentStatus::Success, 1_000);
    let known = [ours(MoneyMovement::Capture, "k", payment(1), 1_000)];
    let said = capture("k", payment(1), 1_000);
    let shared = [(1, said.clone()), (2, said.clone())];
    assert_eq!(compare_reported(1, &shared, &known, &payments), [], "it belongs to the last of them");
    assert_eq!(compare_reported(2, &shared, &known, &payments), [Compared::Agreed]);
    let twice = [(1, said.clone()), (1, said)];
    let compared = compare_reported(1, &twice, &known, &payments);
    let Compared::Differs(mismatch) = &compared[0] else { panic!("{compared:?}") };
    assert_eq!((mismatch.kind, mismatch.theirs.unwrap().amount), (MismatchKind::AmountDiffers, 2_000));
}

#[test]
fn a_refund_in_two_parts_is_whole_on_the_day_of_the_second() {
    let payments = standing(PaymentStatus::Refunded, 1_000);
    let known = [ours(MoneyMovement::Refund, "k", payment(1), 1_000)];
    let part = |amount, at| entry(MoneyMovement::Refund, "k", &payment(1).to_string(), amount, at);
    let first = compare_reported(1, &[(1, part(400, 1))], &known, &payments);
    assert_eq!(kind_and_action(&first[0]).unwrap().0, MismatchKind::AmountDiffers);
    let both = [(1, part(400, 1)), (2, part(600, DAY))];
    assert_eq!(
        compare_reported(1, &both, &known, &payments),
        [],
        "the day before has no difference any more"
    );
    assert_eq!(compare_reported(2, &both, &known, &payments), [Compared::Agreed]);
}

#[test]
fn sums_do_not_wrap() {
    let payments = standing(PaymentStatus::Success, 1_000);
    let most = capture("k", payment(1), Money::MAX.won());
    let reported: Vec<_> = (0..2_000).map(|_| (1, most.clone())).collect();
    let compared = compare_reported(1, &reported, &[], &payments);
    let Compared::Differs(mismatch) = &compared[0] else { panic!("{compared:?}") };
    assert_eq!(mismatch.theirs.unwrap().amount, i64::MAX);
}

/// A payment that both sides know alike.
#[derive(Debug, Clone)]
struct Known {
    amount: i64,
    refunded: bool,
    duplicates: u8,
    captured_at: i64,
    heard_after: i64,
    refunded_after: i64,
}

fn known() -> impl Strategy<Value = Known> {
    let near_midnight = prop_oneof![
        0..10 * DAY,
        (1..9_i64).prop_map(|day| day * DAY - 1),
        (1..9_i64).prop_map(|day| day * DAY)
    ];
    (1..1_000_000_i64, any::<bool>(), 0..3_u8, near_midnight, 0..3 * DAY, 0..3 * DAY).prop_map(
        |(amount, refunded, duplicates, captured_at, heard_after, refunded_after)| Known {
            amount,
            refunded,
            duplicates,
            captured_at,
            heard_after,
            refunded_after,
        },
    )
}

proptest! {
    #[test]
    fn equal_books_give_no_finding_whatever_day_and_zone(
        payments in prop::collection::vec(known(), 1..20),
        zone_hours in -12..15_i64,
    ) {
        let (mut reported, mut books, mut standings) = (Vec::new(), Vec::new(), BTreeMap::new());
        // The gateway counts days in a zone of its own, and we recorded each movement later.
        let day_of = |at: i64| (at + zone_hours * 3_600_000_000).div_euclid(DAY);
        for (number, known) in payments.iter().enumerate() {
            let id = payment(number as u128);
            let status = if known.refunded { PaymentStatus::Refunded } else { PaymentStatus::Success };
            standings.insert(id, Standing { status, card_part: won(known.amount) });
            for copy in 0..=known.duplicates {
                let key = format!("{number}-{copy}");
                let mut moves = vec![(MoneyMovement::Capture, known.captured_at)];
                // Each capture beyond the one that counts goes back.
                if copy > 0 || known.refunded {
                    moves.push((MoneyMovement::Refund, known.captured_at + known.refunded_after));
                }
                for (movement, at) in moves {
                    reported.push((day_of(at), entry(movement, &key, &id.to_string(), known.amount, at)));
                    let heard = Timestamp::from_micros(at + known.heard_after);
                    books.push(OurMovement { at: heard, ..ours(movement, &key, id, known.amount) });
                }
            }
        }
        for ours in &books {
            prop_assert_eq!(compare_ours(ours, reported.iter().map(|(_, entry)| entry)), None);
        }
        for (day, asked) in &reported {
            let of_key: Vec<_> = reported.iter().filter(|(_, entry)| {
                (entry.movement, &entry.key) == (asked.movement, &asked.key)
            }).cloned().collect();
            prop_assert_eq!(compare_reported(*day, &of_key, &books, &standings), vec![Compared::Agreed]);
        }
    }
}
