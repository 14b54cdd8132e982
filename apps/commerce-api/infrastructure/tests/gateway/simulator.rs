//! Our client and the real simulator keep the same protocol: with everything that the simulator offers, and with the
//! plain protocol of the reference platform.

use std::time::Duration;

use commerce_api_application::ports::{
    CardNumber, Charge, ChargeError, GatewayAbilities, GatewayError, GatewayTransaction, PaymentGateway as _,
    TransactionState,
};
use commerce_api_domain::{CardBrand, Money, PaymentId};
use commerce_api_infrastructure::gateway::{GatewayOptions, HttpGateway, gateway_url};
use pg_simulator::{Capabilities, Chance, Faults, Options, Preset, Running, Simulator};
use tempfile::TempDir;
use uuid::Uuid;

const APPROVED: &str = "1234-5678-9814-1451";
const OVER_LIMIT: &str = "1234-5678-9814-0002";
const INVALID: &str = "1234-5678-9814-0005";

/// A simulator and our client of it.
struct World {
    simulator: Running,
    gateway: HttpGateway,
    // Dropped last: the file is in use until then.
    _directory: TempDir,
}

const BOTH: [GatewayAbilities; 2] = [GatewayAbilities::ALL, GatewayAbilities::NONE];

impl World {
    async fn open(abilities: GatewayAbilities, faults: Faults) -> Self {
        let directory = TempDir::new().unwrap();
        let mut options = Options::new(directory.path().join("gateway.sqlite"), Preset::Demo);
        let GatewayAbilities { idempotency, refund, void, .. } = abilities;
        // Nobody takes the callbacks of these tests.
        options.capabilities = Capabilities { idempotency, refund, void, signature: false };
        options.callback_retry.attempts_max = 1;
        (options.port, options.faults, options.seed) = (0, faults, 7);
        let simulator = Simulator::start(options).await.unwrap();
        let base = gateway_url(&format!("http://{}", simulator.addr())).unwrap();
        let callback = "http://127.0.0.1:1/api/v1/payments/callback".to_owned();
        let mut options = GatewayOptions::new(base, "135135".to_owned(), callback, abilities);
        options.retry_first = Duration::from_millis(1);
        Self { simulator, gateway: HttpGateway::new(options).unwrap(), _directory: directory }
    }

    /// Asks until the transaction is decided.
    async fn decided(&self, key: &str) -> GatewayTransaction {
        let asked = async {
            loop {
                let found = self.gateway.find(key).await.unwrap().unwrap();
                if found.state != TransactionState::Pending {
                    return found;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), asked).await.unwrap()
    }

    /// The keys under a reference.
    async fn keys(&self, payment: PaymentId) -> Vec<String> {
        let list = self.gateway.find_by_reference(payment).await.unwrap();
        list.into_iter().map(|summary| summary.key.to_string()).collect()
    }

    async fn captured(&self) -> (PaymentId, String) {
        let charge = charge(1, APPROVED);
        let key = self.gateway.charge(&charge).await.unwrap().key;
        assert_eq!(self.decided(&key).await.state, TransactionState::Captured);
        (charge.payment, key.to_string())
    }
}

fn charge(number: u128, card: &str) -> Charge {
    Charge {
        payment: PaymentId(Uuid::from_u128(0x0198_f2a1_0000_7000_8000_0000_0000_0000 + number)),
        attempt: 1,
        brand: CardBrand::Hyundai,
        card: CardNumber::new(card.to_owned()),
        amount: won(12_000),
    }
}

fn won(amount: i64) -> Money {
    Money::new(amount).unwrap()
}

#[tokio::test]
async fn a_charge_is_found_by_key_and_by_reference_until_it_is_decided() {
    for abilities in BOTH {
        let world = World::open(abilities, Faults::default()).await;
        let cases = [
            (APPROVED, TransactionState::Captured),
            (OVER_LIMIT, TransactionState::Declined("".into())),
            (INVALID, TransactionState::Declined("".into())),
        ];
        for (number, (card, expected)) in (1..).zip(cases) {
            let charge = charge(number, card);
            let asked = world.gateway.charge(&charge).await.unwrap();
            let found = world.decided(&asked.key).await;
            assert_eq!((&*found.reference, found.amount), (&*charge.payment.to_string(), 12_000));
            let same = matches!((&found.state, &expected), (TransactionState::Declined(reason), TransactionState::Declined(_)) if !reason.is_empty())
                || found.state == expected;
            assert!(same, "{card}: {found:?}");
            let list = world.gateway.find_by_reference(charge.payment).await.unwrap();
            assert_eq!(list.len(), 1);
            assert_eq!((&list[0].key, &list[0].state), (&found.key, &found.state));
        }
        world.simulator.stop().await;
    }
}

#[tokio::test]
async fn what_was_never_recorded_is_not_found() {
    for abilities in BOTH {
        let world = World::open(abilities, Faults::default()).await;
        assert_eq!(world.gateway.find("20260101:TR:000000").await, Ok(None));
        assert_eq!(world.keys(charge(1, APPROVED).payment).await, [] as [String; 0]);
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_is_found_by_our_reference() {
    // With keys the repetition gets the transaction; without them nothing is sent twice.
    let world =
        World::open(GatewayAbilities::ALL, faults(|faults| faults.fail_after = Chance::next(2))).await;
    let asked = world.gateway.charge(&charge(1, APPROVED)).await.unwrap();
    assert_eq!(world.keys(charge(1, APPROVED).payment).await, [asked.key.to_string()]);

    let world =
        World::open(GatewayAbilities::NONE, faults(|faults| faults.fail_after = Chance::next(1))).await;
    let lost = world.gateway.charge(&charge(1, APPROVED)).await;
    assert!(matches!(lost, Err(ChargeError::Unknown(_))), "{lost:?}");
    let keys = world.keys(charge(1, APPROVED).payment).await;
    assert_eq!(keys.len(), 1);
    assert_eq!(world.decided(&keys[0]).await.state, TransactionState::Captured);
}

#[tokio::test]
async fn a_gateway_that_hangs_is_given_up_and_asked() {
    let hang = || faults(|faults| faults.hang_after = Chance::next(1));
    let world = World::open(GatewayAbilities::NONE, hang()).await;
    let charge = charge(1, APPROVED);
    // Far more than the two seconds of a call, and far less than the gateway hangs.
    let lost = tokio::time::timeout(Duration::from_secs(20), world.gateway.charge(&charge)).await.unwrap();
    assert!(matches!(lost, Err(ChargeError::Unknown(_))), "{lost:?}");
    assert_eq!(world.keys(charge.payment).await.len(), 1);

    let world = World::open(GatewayAbilities::ALL, hang()).await;
    let asked = world.gateway.charge(&charge).await.unwrap();
    assert_eq!(world.keys(charge.payment).await, [asked.key.to_string()]);
}

#[tokio::test]
async fn a_failure_before_recording_records_nothing_and_is_repeated_only_under_a_key() {
    let fail = |times| faults(move |faults| faults.fail_before = Chance::next(times));
    let world = World::open(GatewayAbilities::NONE, fail(1)).await;
    let charge = charge(1, APPROVED);
    let end = world.gateway.charge(&charge).await;
    assert!(matches!(end, Err(ChargeError::Unknown(_))), "{end:?}");
    assert_eq!(world.keys(charge.payment).await, [] as [String; 0]);

    let world = World::open(GatewayAbilities::ALL, fail(2)).await;
    let asked = world.gateway.charge(&charge).await.unwrap();
    assert_eq!(world.keys(charge.payment).await, [asked.key.to_string()]);
    let world = World::open(GatewayAbilities::ALL, fail(3)).await;
    assert!(matches!(world.gateway.charge(&charge).await, Err(ChargeError::Unknown(_))));
}

#[tokio::test]
async fn only_a_gateway_with_keys_makes_two_requests_one() {
    let world = World::open(GatewayAbilities::ALL, Faults::default()).await;
    let first = world.gateway.charge(&charge(1, APPROVED)).await.unwrap();
    let again = world.gateway.charge(&Charge { attempt: 2, ..charge(1, APPROVED) }).await.unwrap();
    assert_eq!(first.key, again.key);
    // Another body under the key is refused, which says nothing of the first.
    let other = world.gateway.charge(&Charge { amount: won(1), ..charge(1, APPROVED) }).await;
    assert!(matches!(other, Err(ChargeError::Unknown(_))), "{other:?}");

    let world = World::open(GatewayAbilities::NONE, Faults::default()).await;
    world.gateway.charge(&charge(1, APPROVED)).await.unwrap();
    world.gateway.charge(&charge(1, APPROVED)).await.unwrap();
    assert_eq!(world.keys(charge(1, APPROVED).payment).await.len(), 2);
}

#[tokio::test]
async fn a_request_that_is_not_to_be_taken_is_refused() {
    for abilities in BOTH {
        let world = World::open(abilities, Faults::default()).await;
        for bad in [charge(1, "no card"), Charge { amount: Money::ZERO, ..charge(1, APPROVED) }] {
            let refused = world.gateway.charge(&bad).await;
            assert!(matches!(refused, Err(ChargeError::Refused(_))), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn a_capture_is_given_back_once_however_often_it_is_asked_for() {
    let lost = faults(|faults| {
        faults.refund_fail_before = Chance::next(1);
        faults.refund_fail_after = Chance::next(1);
    });
    let world = World::open(GatewayAbilities::ALL, lost).await;
    let (_, key) = world.captured().await;
    for _ in 0..3 {
        assert_eq!(world.gateway.refund(&key, won(12_000), "refund-1").await, Ok(()));
    }
    let more = world.gateway.refund(&key, won(12_000), "refund-2").await;
    assert!(matches!(more, Err(GatewayError::Refused(_))), "{more:?}");
    let unknown = world.gateway.refund("20260101:TR:000000", won(1), "refund-3").await;
    assert!(matches!(unknown, Err(GatewayError::Refused(_))), "{unknown:?}");
}

#[tokio::test]
async fn nothing_is_recorded_under_a_reference_that_is_void() {
    let world = World::open(GatewayAbilities::ALL, Faults::default()).await;
    let charge = charge(2, APPROVED);
    assert_eq!(world.gateway.void(charge.payment).await, Ok(Vec::new()));
    assert_eq!(world.gateway.void(charge.payment).await, Ok(Vec::new()));
    let refused = world.gateway.charge(&charge).await;
    assert!(matches!(refused, Err(ChargeError::Refused(_))), "{refused:?}");
    assert_eq!(world.keys(charge.payment).await, [] as [String; 0]);
    // It tells what was recorded before.
    let (payment, key) = world.captured().await;
    let recorded = world.gateway.void(payment).await.unwrap();
    assert_eq!((recorded.len(), &*recorded[0].key), (1, &*key));
}

#[tokio::test]
async fn what_the_plain_protocol_has_not_is_not_believed_to_be_done() {
    let world = World::open(GatewayAbilities::NONE, Faults::default()).await;
    let (payment, key) = world.captured().await;
    // A client that is told of more than there is.
    let base = gateway_url(&format!("http://{}", world.simulator.addr())).unwrap();
    let mut options = GatewayOptions::new(base, "135135".to_owned(), String::new(), GatewayAbilities::ALL);
    options.retry_first = Duration::from_millis(1);
    let hopeful = HttpGateway::new(options).unwrap();
    assert!(hopeful.refund(&key, won(12_000), "refund-1").await.is_err());
    assert!(hopeful.void(payment).await.is_err());
}

#[tokio::test]
async fn a_query_is_repeated_until_it_is_answered() {
    for abilities in BOTH {
        let unsteady = faults(|faults| faults.query_failing = Chance::next(2));
        let world = World::open(abilities, unsteady).await;
        assert_eq!(world.gateway.find("20260101:TR:000000").await, Ok(None));
        let down = faults(|faults| faults.query_failing = Chance::ALWAYS);
        let world = World::open(abilities, down).await;
        let end = world.gateway.find("20260101:TR:000000").await;
        assert!(matches!(end, Err(GatewayError::Unavailable(_))), "{end:?}");
    }
}

#[tokio::test]
async fn a_gateway_that_is_gone_was_sent_nothing() {
    for abilities in BOTH {
        let World { simulator, gateway, _directory } = World::open(abilities, Faults::default()).await;
        gateway.charge(&charge(1, APPROVED)).await.unwrap();
        simulator.stop().await;
        let end = gateway.charge(&charge(2, APPROVED)).await;
        assert!(matches!(end, Err(ChargeError::NotSent(_))), "{end:?}");
        let end = gateway.find_by_reference(charge(1, APPROVED).payment).await;
        assert!(matches!(end, Err(GatewayError::Unavailable(_))), "{end:?}");
    }
}

#[tokio::test]
async fn another_merchant_sees_nothing() {
    let world = World::open(GatewayAbilities::ALL, Faults::default()).await;
    let (payment, key) = world.captured().await;
    let base = gateway_url(&format!("http://{}", world.simulator.addr())).unwrap();
    let mut options = GatewayOptions::new(base, "999999".to_owned(), String::new(), GatewayAbilities::ALL);
    options.retry_first = Duration::from_millis(1);
    let stranger = HttpGateway::new(options).unwrap();
    assert!(!matches!(stranger.find(&key).await, Ok(Some(_))));
    assert!(!matches!(stranger.find_by_reference(payment).await, Ok(list) if !list.is_empty()));
    assert!(stranger.refund(&key, won(1), "r").await.is_err());
}

fn faults(change: impl FnOnce(&mut Faults)) -> Faults {
    let mut faults = Faults::default();
    change(&mut faults);
    faults
}
