//! The contract of the checks, held by every storage: who visits a payment, and when.

use std::time::Duration;

use crate::shop::*;
use commerce_api_application::ports::{
    AuditEntry, CardCipher as _, ClaimedCheck, IdSource as _, NextCheck, OpenFilter, SealedCard,
};
use commerce_api_domain::*;
use uuid::Uuid;

const TTL: Duration = Duration::from_mins(1);

fn at(secs: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(secs))
}

fn owner(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

async fn place(shop: &Shop, count: usize) -> Vec<Order> {
    let (user, product) = (shop.user(0).await, shop.product(1_000, 100).await);
    let desk = shop.desk();
    let mut orders = Vec::new();
    for _ in 0..count {
        orders.push(order_of(shop.run(&desk, by_card(user, product, 1, 0)).await.unwrap()));
    }
    orders
}

async fn claim(shop: &Shop, who: u128, now: Timestamp, limit: u64) -> Vec<ClaimedCheck> {
    shop.payments().checks.claim(owner(who), now, TTL, limit).await.unwrap()
}

async fn reschedule(shop: &Shop, claimed: &ClaimedCheck, at: Timestamp, tries: i64) {
    let next = NextCheck { payment: claimed.payment.id, fence: claimed.fence, at, tries };
    shop.payments().checks.reschedule(&[next]).await.unwrap();
}

#[tokio::test]
async fn what_is_due_is_claimed_once_and_again_when_the_lease_is_over() {
    on_every_storage(|shop| async move {
        let orders = place(&shop, 5).await;
        assert_eq!(claim(&shop, 1, NOW.minus(Duration::from_secs(1)), 10).await, [], "nothing is due");
        let first = claim(&shop, 1, NOW, 2).await;
        let second = claim(&shop, 2, NOW, 10).await;
        assert_eq!((first.len(), second.len()), (2, 3));
        assert_eq!(claim(&shop, 1, NOW, 10).await, [], "all are held");
        assert_eq!(shop.payments().checks.next_due().await.unwrap(), Some(NOW.plus(TTL)));
        let again = claim(&shop, 2, NOW.plus(TTL), 10).await;
        assert_eq!(again.len(), 5, "whose dispatcher died");
        assert!(again.iter().all(|check| check.fence == 2), "and its conclusions are refused");
        let one = &first[0];
        let order = orders.iter().find(|order| order.id == one.order).unwrap();
        assert_eq!(one.payment, order.payment);
        assert!(one.order_waits && one.card.is_some() && one.refunds.is_empty());
        assert_eq!((one.fence, one.tries, one.since), (1, 0, order.payment.updated_at));
    })
    .await;
}

#[tokio::test]
async fn whoever_is_alone_takes_over_what_a_dead_dispatcher_had_claimed() {
    on_every_storage(|shop| async move {
        place(&shop, 3).await;
        let (later, checks) = (at(1), shop.payments().checks);
        let dead = claim(&shop, 1, NOW, 2).await;
        assert_eq!(claim(&shop, 2, later, 10).await.len(), 1, "two are held");
        assert_eq!(checks.take_over(later).await.unwrap(), 3, "of both");
        reschedule(&shop, &dead[0], at(3_600), 7).await;
        let taken = claim(&shop, 2, later, 10).await;
        assert_eq!(taken.len(), 3, "at once, and not when the lease is over");
        assert!(taken.iter().all(|check| check.fence == 2 && check.tries == 0), "{taken:?}");
        assert_eq!(checks.take_over(later).await.unwrap(), 3);
        assert_eq!(checks.take_over(later).await.unwrap(), 0, "nothing is held any more");
    })
    .await;
}

#[tokio::test]
async fn a_check_is_put_off_only_by_the_claim_that_holds_it() {
    on_every_storage(|shop| async move {
        place(&shop, 1).await;
        let [stale] = &claim(&shop, 1, NOW, 1).await[..] else { panic!("due") };
        let [held] = &claim(&shop, 2, NOW.plus(TTL), 1).await[..] else { panic!("due again") };
        reschedule(&shop, stale, at(9_000), 9).await;
        assert_eq!(shop.payments().checks.next_due().await.unwrap(), Some(NOW.plus(TTL).plus(TTL)));
        reschedule(&shop, held, at(100), 3).await;
        assert_eq!(shop.payments().checks.next_due().await.unwrap(), Some(at(100)));
        assert_eq!(claim(&shop, 1, at(99), 1).await, []);
        let [again] = &claim(&shop, 1, at(100), 1).await[..] else { panic!("due at its time") };
        assert_eq!((again.tries, again.fence), (3, 3));
        // What was made due while it was held is not put off by its holder.
        shop.payments().checks.hasten(again.payment.id, at(101), None).await.unwrap();
        reschedule(&shop, again, at(9_000), 4).await;
        let [hastened] = &claim(&shop, 2, at(101), 1).await[..] else { panic!("made due") };
        assert_eq!((hastened.tries, hastened.fence), (0, 4));
    })
    .await;
}

#[tokio::test]
async fn a_final_payment_has_no_check_until_somebody_doubts_it() {
    on_every_storage(|shop| async move {
        let order = place(&shop, 1).await.remove(0);
        let (desk, checks) = (shop.desk(), shop.payments().checks);
        let pay = |command| CommandKind::Payment { order: order.id, command };
        let id = order.payment.id;
        let has_check = async || shop.books().await.checks.contains(&id.0);
        assert_eq!(checks.fence(id).await.unwrap(), Some(0));
        let [claimed] = &claim(&shop, 1, NOW, 1).await[..] else { panic!("due") };
        assert_eq!(checks.fence(id).await.unwrap(), None, "a visit holds it");
        checks.finish(id, claimed.fence).await.unwrap();
        assert!(has_check().await, "it is not final");
        for command in [PaymentCommand::Send, PaymentCommand::Captured { key: "K1".into() }] {
            shop.run(&desk, pay(command)).await.unwrap();
        }
        assert!(!has_check().await);
        reschedule(&shop, claimed, at(5), 1).await;
        assert_eq!(checks.next_due().await.unwrap(), None, "a late holder does not bring it back");
        checks.hasten(id, at(7), None).await.unwrap();
        let [doubted] = &claim(&shop, 1, at(7), 1).await[..] else { panic!("doubted") };
        assert_eq!(doubted.payment.status, PaymentStatus::Success);
        // Doubted once more in the meantime: it stays.
        checks.hasten(id, at(8), None).await.unwrap();
        checks.finish(id, doubted.fence).await.unwrap();
        let [again] = &claim(&shop, 1, at(8), 1).await[..] else { panic!("stays") };
        checks.finish(id, doubted.fence).await.unwrap();
        assert!(has_check().await, "under another fence");
        // A refund that is due keeps it, too.
        shop.run(&desk, pay(PaymentCommand::Captured { key: "K2".into() })).await.unwrap();
        checks.finish(id, again.fence).await.unwrap();
        let [due] = &claim(&shop, 1, at(9), 1).await[..] else { panic!("a refund is due") };
        checks.finish(id, due.fence).await.unwrap();
        assert!(has_check().await);
        let [refund] = &due.refunds[..] else { panic!("{:?}", due.refunds) };
        assert_eq!((refund.gateway_key.as_str(), refund.amount), ("K2", order.payment.card_part));
        shop.run(&desk, pay(PaymentCommand::DuplicateRefunded { key: "K2".into() })).await.unwrap();
        checks.finish(id, due.fence).await.unwrap();
        assert!(!has_check().await);
        assert_eq!(shop.violations().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn both_refunds_of_a_payment_are_due_and_settled_each_by_its_key() {
    on_every_storage(|shop| async move {
        let order = place(&shop, 1).await.remove(0);
        let desk = shop.desk();
        let pay = |command| CommandKind::Payment { order: order.id, command };
        let captured = |key: &str| pay(PaymentCommand::Captured { key: key.into() });
        let cancel = CommandKind::Cancel { order: order.id, by: Actor::Customer(order.user) };
        for kind in [pay(PaymentCommand::Send), captured("K1"), captured("K2"), cancel] {
            shop.run(&desk, kind).await.unwrap();
        }
        let [due] = &claim(&shop, 1, NOW, 1).await[..] else { panic!("due") };
        let keys: Vec<_> = due.refunds.iter().map(|refund| refund.gateway_key.as_str()).collect();
        assert_eq!(keys, ["K1", "K2"]);
        assert_ne!(due.refunds[0].refund_key, due.refunds[1].refund_key);
        assert_eq!(shop.violations().await, [""; 0]);
        shop.run(&desk, pay(PaymentCommand::RefundSettled)).await.unwrap();
        assert_eq!(shop.violations().await, [""; 0]);
        assert_eq!(shop.books().await.checks.len(), 1, "the duplicate is still due");
        shop.run(&desk, pay(PaymentCommand::DuplicateRefunded { key: "K2".into() })).await.unwrap();
        assert_eq!(shop.violations().await, [""; 0]);
    })
    .await;
}

/// A command about an order.
type Move = fn(&Order) -> CommandKind;

#[tokio::test]
async fn a_card_number_is_kept_exactly_as_long_as_it_may_have_to_be_sent() {
    on_every_storage(|shop| async move {
        let desk = shop.desk();
        let kept = async || shop.books().await.vault.len();
        let send: Move = |order| CommandKind::Payment { order: order.id, command: PaymentCommand::Send };
        let unknown: Move = |order| {
            let command = PaymentCommand::OutcomeUnknown { attempt: 1 };
            CommandKind::Payment { order: order.id, command }
        };
        let accepted: Move = |order| {
            let command = PaymentCommand::Accepted { key: order.id.to_string().into() };
            CommandKind::Payment { order: order.id, command }
        };
        let declined: Move = |order| {
            let (key, reason) = (order.id.to_string().into(), "no".into());
            CommandKind::Payment { order: order.id, command: PaymentCommand::Declined { key, reason } }
        };
        let cancel: Move = |order| CommandKind::Cancel { order: order.id, by: Actor::Customer(order.user) };
        for (path, ends) in [
            (&[send, unknown][..], accepted),
            (&[send], accepted),
            (&[send, unknown], declined),
            (&[], cancel),
            (&[send], cancel),
            (&[send, unknown], cancel),
        ] {
            let order = place(&shop, 1).await.remove(0);
            for step in path {
                shop.run(&desk, step(&order)).await.unwrap();
                assert_eq!(kept().await, 1);
            }
            shop.run(&desk, ends(&order)).await.unwrap();
            assert_eq!(kept().await, 0);
        }
        // An order that is refused, or that points pay, keeps none.
        let (poor, product) = (shop.user(0).await, shop.product(1_000, 0).await);
        assert!(shop.run(&desk, by_card(poor, product, 1, 0)).await.is_err());
        assert_eq!(kept().await, 0);
        assert_eq!(shop.violations().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn the_sealed_number_comes_back_as_it_was_and_in_the_clear_it_is_nowhere() {
    on_every_storage(|shop| async move {
        place(&shop, 1).await;
        let [claimed] = &claim(&shop, 1, NOW, 1).await[..] else { panic!("due") };
        let SealedCard(bytes) = claimed.card.clone().unwrap();
        let number = cipher().open(&SealedCard(bytes)).unwrap();
        assert_eq!(number.expose(), CARD_NUMBER);
        if let Backend::Sql { place: Place::Directory(directory), .. } = &shop.backend {
            for file in std::fs::read_dir(directory.path()).unwrap() {
                let bytes = std::fs::read(file.unwrap().path()).unwrap();
                for number in [CARD_NUMBER.to_owned(), CARD_NUMBER.replace('-', "")] {
                    assert!(!bytes.windows(number.len()).any(|window| window == number.as_bytes()));
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn open_payments_page_from_the_oldest() {
    on_every_storage(|shop| async move {
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.extend(place(&shop, 2).await.into_iter().map(|order| (order.created_at, order.payment.id)));
            shop.clock.advance(Duration::from_secs(1));
        }
        ids.sort_unstable();
        let checks = shop.payments().checks;
        let filter = OpenFilter { made_before: at(2), limit: 3, ..OpenFilter::default() };
        let page = async |after| {
            let page = checks.open(&OpenFilter { after, ..filter }).await.unwrap();
            page.iter().map(|open| (open.payment.created_at, open.payment.id)).collect::<Vec<_>>()
        };
        let first = page(None).await;
        let second = page(first.last().copied()).await;
        assert_eq!([first, second].concat(), ids[..4], "those made before");
        let none = OpenFilter { status: Some(PaymentStatus::Unknown), ..filter };
        assert_eq!(checks.open(&none).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_payment_that_cannot_be_read_stands_in_no_others_way() {
    let shop = Shop::sqlite().await;
    let Backend::Sql { database, .. } = &shop.backend else { unreachable!() };
    let orders = place(&shop, 3).await;
    let bad = orders[0].payment.id;
    let spoil = "UPDATE payments SET card_brand = 'SHELL' WHERE id = ?1";
    execute(database, spoil, [bad.0.into()]).await;
    let claimed = claim(&shop, 1, NOW, 10).await;
    assert_eq!(claimed.len(), 2);
    assert!(claimed.iter().all(|check| check.payment.id != bad));
    assert_eq!(claim(&shop, 1, NOW, 10).await, [], "its lease spaces it out");
    let filter = OpenFilter { made_before: at(1), limit: 10, ..OpenFilter::default() };
    assert_eq!(shop.payments().checks.open(&filter).await.unwrap().len(), 2);
    assert_eq!(shop.payments().checks.by_state().await.unwrap()[0].count, 3);
    let mend = "UPDATE payments SET card_brand = 'KB' WHERE id = ?1";
    execute(database, mend, [bad.0.into()]).await;
    assert_eq!(claim(&shop, 1, NOW.plus(TTL), 10).await.len(), 3);
}

#[tokio::test]
async fn a_check_made_due_by_hand_is_in_the_audit_log() {
    let shop = Shop::memory();
    let Backend::Memory(memory) = &shop.backend else { unreachable!() };
    let order = place(&shop, 1).await.remove(0);
    let audit = AuditEntry {
        id: shop.ids.uuid(),
        actor: "user:1".to_owned(),
        action: "PAYMENT_RECHECKED",
        target: format!("payment:{}", order.payment.id),
        detail: "{}".to_owned(),
        at: NOW,
    };
    shop.payments().checks.hasten(order.payment.id, NOW, Some(audit.clone())).await.unwrap();
    assert_eq!(memory.audit_log(), [audit]);
}

#[tokio::test]
async fn a_claim_costs_the_same_for_one_payment_and_for_fifty() {
    let shop = Shop::sqlite().await;
    let Backend::Sql { database, .. } = &shop.backend else { unreachable!() };
    for count in [1, 50] {
        place(&shop, count).await;
        database.statements().reset();
        let claimed = claim(&shop, 1, NOW, 100).await;
        assert_eq!(claimed.len(), count);
        assert_eq!(
            database.statements().count("claim_checks"),
            4,
            "one outside of the transaction, three inside"
        );
        let next = |check: &ClaimedCheck| NextCheck {
            payment: check.payment.id,
            fence: check.fence,
            at: at(1_000),
            tries: 1,
        };
        shop.payments().checks.reschedule(&claimed.iter().map(next).collect::<Vec<_>>()).await.unwrap();
        assert_eq!(database.statements().count("reschedule_checks"), 1);
        database.statements().reset();
        assert_eq!(claim(&shop, 1, NOW, 100).await, []);
        assert_eq!(database.statements().total(), 1, "where nothing is due nobody waits for the writer");
        assert_eq!(database.statements().transactions("claim_checks"), 0);
    }
}
