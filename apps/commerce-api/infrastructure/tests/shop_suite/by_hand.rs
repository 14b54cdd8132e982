//! What an administrator does to a payment by hand.

use std::time::Duration;

use commerce_api_application::Caller;
use commerce_api_application::desk::{DeskReply, KeyedRequest};
use commerce_api_application::payments::{ByHand, ByHandError, Payments};
use commerce_api_application::ports::GatewayAbilities;
use commerce_api_domain::*;
use commerce_api_infrastructure::memory::MemoryStorage;

use crate::gateway::Meets;
use crate::shop::*;
use crate::till::*;

struct Office {
    till: Till,
    payments: Payments,
    admin: Caller,
}

async fn office(abilities: GatewayAbilities) -> Office {
    let till = Till::open(Shop::memory(), abilities).await;
    let ports = till.shop.payments();
    let (ids, clock) = (till.shop.ids.clone(), till.shop.clock.clone());
    let payments = Payments::new(till.desk.clone(), ports.queries, ports.checks, ids, clock);
    let admin = Caller { user: till.shop.user(0).await, role: Role::Admin, traceparent: None };
    Office { till, payments, admin }
}

impl Office {
    fn memory(&self) -> &MemoryStorage {
        match &self.till.shop.backend {
            Backend::Memory(memory) => memory,
            Backend::Sql { .. } => unreachable!(),
        }
    }

    fn keyed(&self, key: &str) -> KeyedRequest {
        let anything = CommandKind::ChargePoints { user: self.admin.user, amount: won(1) };
        keyed(self.admin.user, key, 1, anything).keyed.unwrap()
    }

    async fn resolve(&self, order: &Order, by_hand: ByHand) -> Result<DeskReply, ByHandError> {
        let key = format!("{by_hand:?}");
        self.payments.resolve(&self.admin, self.keyed(&key), order.payment.id, by_hand, "they said so").await
    }

    fn audited(&self) -> Vec<&'static str> {
        self.memory().audit_log().into_iter().map(|entry| entry.action).collect()
    }
}

fn decided(reply: DeskReply) -> Result<Outcome, Refusal> {
    match reply {
        DeskReply::Decided { decision, .. } => *decision,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_unknown_payment_is_resolved_as_failed_and_gives_everything_back() {
    let office = office(GatewayAbilities::NONE).await;
    office.till.gateway.next(&[Meets::LostBefore]);
    let order = office.till.place(3_000).await;
    office.till.step().await;
    decided(office.resolve(&order, ByHand::Failed).await.unwrap()).unwrap();
    assert_eq!(office.till.state(&order).await, "PAYMENT_FAILED/FAILED");
    office.till.gave_everything_back().await;
    assert_eq!(office.till.open_payments().await, [order.payment.id], "the gateway is asked once more");
    office.till.work_for(Duration::from_mins(3)).await;
    office.till.is_settled().await;
    let log = office.memory().audit_log();
    let [entry] = &log[..] else { panic!("{log:?}") };
    assert_eq!(
        (entry.action, entry.target.clone()),
        ("PAYMENT_RESOLVED", format!("payment:{}", order.payment.id))
    );
    assert_eq!(entry.detail, r#"{"outcome":"FAILED","reason":"they said so"}"#);
}

#[tokio::test]
async fn a_payment_that_the_gateway_does_not_tell_of_is_resolved_as_captured() {
    let office = office(GatewayAbilities::NONE).await;
    office.till.gateway.next(&[Meets::AnswerLost]);
    let order = office.till.place(0).await;
    office.till.step().await;
    office.till.gateway.capture();
    let key = office.till.gateway.transactions()[0].key.clone();
    decided(office.resolve(&order, ByHand::Captured { key }).await.unwrap()).unwrap();
    assert_eq!(office.till.state(&order).await, "PAID/SUCCESS");
    office.till.work_for(Duration::from_secs(5)).await;
    office.till.is_settled().await;
    let other = office.till.place(0).await;
    let key = office.till.gateway.transactions()[0].key.clone();
    let foreign = office.resolve(&other, ByHand::Captured { key }).await;
    assert!(matches!(foreign, Err(ByHandError::ForeignKey(owner)) if owner == order.payment.id));
}

#[tokio::test]
async fn a_refund_that_the_gateway_does_not_make_is_made_by_hand() {
    let office = office(GatewayAbilities::NONE).await;
    let order = office.till.place(3_000).await;
    office.till.step().await;
    office.till.gateway.capture();
    office.till.work_for(Duration::from_secs(5)).await;
    let refund = office.payments.refund(&office.admin, office.keyed("r"), order.payment.id, "broken");
    decided(refund.await.unwrap()).unwrap();
    assert_eq!(office.till.state(&order).await, "CANCEL_PENDING/REFUND_PENDING");
    decided(office.resolve(&order, ByHand::Refunded).await.unwrap()).unwrap();
    assert_eq!(office.till.state(&order).await, "CANCELED/REFUNDED");
    office.till.gave_everything_back().await;
    office.till.is_sound().await;
    let mut audited = office.audited();
    audited.sort_unstable();
    assert_eq!(audited, ["PAYMENT_REFUNDED", "PAYMENT_RESOLVED"]);
}

#[tokio::test]
async fn what_does_not_fit_the_state_is_refused_and_not_in_the_audit_log() {
    let office = office(GatewayAbilities::ALL).await;
    let order = office.till.place(0).await;
    for by_hand in [ByHand::Failed, ByHand::Refunded, ByHand::Captured { key: "K".into() }] {
        let refused = decided(office.resolve(&order, by_hand.clone()).await.unwrap());
        assert!(matches!(refused, Err(Refusal::Payment(_))), "{by_hand:?}: {refused:?}");
    }
    assert_eq!(office.till.state(&order).await, "PAYMENT_PENDING/PENDING");
    assert_eq!(office.audited(), [""; 0]);
    let points = office.till.run(by_points(office.till.user, office.till.product, 1)).await.unwrap();
    let unknown = Order { payment: Payment { id: PaymentId(order.id.0), ..order.payment.clone() }, ..order };
    for order in [points, unknown] {
        let missing = office.resolve(&order, ByHand::Failed).await;
        assert!(matches!(missing, Err(ByHandError::NotFound)), "{missing:?}");
    }
}

#[tokio::test]
async fn a_payment_in_processing_is_resolved_as_failed_with_the_reason() {
    let office = office(GatewayAbilities::ALL).await;
    let order = office.till.place(3_000).await;
    office.till.step().await;
    decided(office.resolve(&order, ByHand::Failed).await.unwrap()).unwrap();
    assert_eq!(office.till.state(&order).await, "PAYMENT_FAILED/FAILED");
    assert_eq!(office.till.payment(&order).await.reason.as_deref(), Some("they said so"));
    office.till.gave_everything_back().await;
    // It was captured after all: that is found out when somebody looks, and goes back.
    office.till.gateway.capture();
    office.payments.recheck(&office.admin, order.payment.id).await.unwrap();
    office.till.work_for(Duration::from_secs(5)).await;
    assert_eq!(office.till.state(&order).await, "PAYMENT_FAILED/REFUNDED");
    office.till.gave_everything_back().await;
    office.till.is_settled().await;
}

#[tokio::test]
async fn what_is_resolved_as_failed_while_its_charge_is_on_its_way_is_refunded_in_the_end() {
    let office = office(GatewayAbilities::ALL).await;
    let (payments, admin, checks) =
        (office.payments.clone(), office.admin.clone(), office.till.payments.checks.clone());
    let keys = [office.keyed("visited"), office.keyed("free")];
    office.till.gateway.before_answer(Box::new(move |transaction| {
        let (payments, admin, checks, [first, second]) =
            (payments.clone(), admin.clone(), checks.clone(), keys.clone());
        Box::pin(async move {
            let payment = PaymentId(transaction.reference.parse().unwrap());
            let refused = payments.resolve(&admin, first, payment, ByHand::Failed, "silence").await;
            assert!(matches!(refused, Err(ByHandError::Visited)), "{refused:?}");
            // A hint takes the claim away from the visit, which is still waiting for its answer.
            checks.hasten(payment, NOW, None).await.unwrap();
            let done = payments.resolve(&admin, second, payment, ByHand::Failed, "silence").await;
            decided(done.unwrap()).unwrap();
        })
    }));
    let order = office.till.place(3_000).await;
    office.till.step().await;
    assert_eq!(office.till.state(&order).await, "PAYMENT_FAILED/FAILED");
    office.till.gateway.capture();
    office.till.work_for(Duration::from_secs(5)).await;
    assert_eq!(office.till.state(&order).await, "PAYMENT_FAILED/REFUNDED");
    assert!(office.till.gateway.is_voided(order.payment.id), "nothing more can be recorded");
    assert_eq!(office.till.gateway.refunds().len(), 1);
    office.till.gave_everything_back().await;
    office.till.is_settled().await;
}

#[tokio::test]
async fn a_recheck_has_the_gateway_asked_now_and_is_in_the_audit_log() {
    let office = office(GatewayAbilities::ALL).await;
    let order = office.till.place(0).await;
    office.till.step().await;
    office.till.gateway.capture();
    assert_eq!(office.till.step().await, 0, "not due");
    let mut woken = office.till.desk.payments_due().listen();
    office.payments.recheck(&office.admin, order.payment.id).await.unwrap();
    let in_time = tokio::time::timeout(Duration::from_secs(10), woken.raised()).await;
    assert!(in_time.is_ok(), "the dispatcher is woken");
    assert_eq!(office.till.step().await, 1);
    assert_eq!(office.till.state(&order).await, "PAID/SUCCESS");
    assert_eq!(office.audited(), ["PAYMENT_RECHECKED"]);
    let missing = office.payments.recheck(&office.admin, PaymentId(order.id.0)).await;
    assert!(matches!(missing, Err(ByHandError::NotFound)), "{missing:?}");
}
