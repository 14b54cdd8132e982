//! The gateway's settlement report against the books, on every storage: what is found, once, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use commerce_api_application::Caller;
use commerce_api_application::desk::Signal;
use commerce_api_application::ports::{
    Clock as _, FindingFilter, GatewayAbilities, GatewayError, IdSource, ReconciliationFinding,
    ReconciliationState, ResolvedHow, SettlementPage, TransactionState,
};
use commerce_api_application::reconciliation::{ReconcileError, Reconciled, Reconciler, Reconciliations};
use commerce_api_domain::*;
use commerce_api_infrastructure::runtime::SequenceIds;

use crate::gateway::Meets;
use crate::reports::{Reporting, entry};
use crate::shop::*;
use crate::till::*;

const HOUR: Duration = Duration::from_hours(1);

/// A till whose gateway reports, and the reconciliation of it.
pub struct Office {
    pub till: Till,
    pub reports: Arc<Reporting>,
    pub reconciler: Reconciler,
}

pub fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// The day of [`NOW`] in Seoul.
pub const TODAY: &str = "2027-01-15";

impl Office {
    pub async fn open(shop: Shop, zone: &str) -> Self {
        let till = Till::open(shop, GatewayAbilities::ALL).await;
        let reports = Arc::new(Reporting::new(till.gateway.clone(), zone));
        let ids = till.shop.ids.clone();
        let reconciler = reconciler(&till, &reports, ids);
        Self { till, reports, reconciler }
    }

    /// Another node on the same storage, with ids of its own.
    pub fn another_node(&self, ids: u16) -> Reconciler {
        reconciler(&self.till, &self.reports, Arc::new(SequenceIds::new(ids)))
    }

    /// An order by card that is paid, in the report as well.
    pub async fn paid(&self) -> Order {
        let order = self.till.place(0).await;
        self.till.step().await;
        self.till.gateway.capture();
        self.till.work_for(Duration::from_secs(5)).await;
        let payment = self.till.payment(&order).await;
        assert_eq!(payment.status, PaymentStatus::Success);
        let (key, amount) = (payment.gateway_key.unwrap(), payment.card_part.won());
        let at = self.till.shop.clock.now();
        self.reports.add(entry(MoneyMovement::Capture, &key, &payment.id.to_string(), amount, at));
        order
    }

    /// A refund of it, in the report as well.
    pub async fn refunded(&self, order: &Order) {
        self.till.cancel(order).await;
        self.till.work_for(Duration::from_secs(5)).await;
        let payment = self.till.payment(order).await;
        assert_eq!(payment.status, PaymentStatus::Refunded);
        let (key, amount) = (payment.gateway_key.unwrap(), payment.card_part.won());
        let at = self.till.shop.clock.now();
        self.reports.add(entry(MoneyMovement::Refund, &key, &payment.id.to_string(), amount, at));
    }

    pub async fn reconcile(&self, date: &str) -> Reconciled {
        self.reconciler.reconcile(day(date)).await.unwrap()
    }

    pub async fn findings(&self, state: Option<ReconciliationState>) -> Vec<ReconciliationFinding> {
        let filter = FindingFilter { state, limit: 100, ..FindingFilter::default() };
        self.till.shop.reconciliation().findings(&filter).await.unwrap()
    }

    pub async fn open_kinds(&self) -> Vec<(MismatchKind, MoneyMovement)> {
        let open = self.findings(Some(ReconciliationState::Open)).await;
        let mut kinds: Vec<_> =
            open.iter().map(|found| (found.mismatch.kind, found.mismatch.movement)).collect();
        kinds.sort_unstable();
        kinds
    }
}

fn reconciler(till: &Till, reports: &Arc<Reporting>, ids: Arc<dyn IdSource>) -> Reconciler {
    let (store, clock) = (till.shop.reconciliation(), till.shop.clock.clone());
    Reconciler::new(store, reports.clone(), ids, clock, till.desk.payments_due().clone())
}

pub async fn at_an_office<F: Future<Output = ()>>(test: impl Fn(Office) -> F) {
    on_every_storage(|shop| async { test(Office::open(shop, "Asia/Seoul").await).await }).await;
}

#[tokio::test]
async fn equal_books_give_no_finding() {
    at_an_office(|office| async move {
        for _ in 0..3 {
            office.paid().await;
        }
        let order = office.paid().await;
        office.refunded(&order).await;
        office.till.later(12 * HOUR);
        let done = office.reconcile(TODAY).await;
        assert_eq!((done.entries, done.ours, done.found, done.asked), (5, 5, 0, 0));
        assert!(office.findings(None).await.is_empty());
        assert_eq!(office.reports.asked(), [TODAY], "nothing is missing, so no other day is asked for");
        office.till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn each_difference_is_found_once_however_often_and_where_it_is_looked_for() {
    at_an_office(|office| async move {
        let (order, other, refunded) = (office.paid().await, office.paid().await, office.paid().await);
        office.refunded(&refunded).await;
        let at = office.till.shop.clock.now();
        office.reports.add(entry(MoneyMovement::Capture, "20270115:TR:ffffff", "order-1", 500, at));
        let keep = |order: &Order, movement| {
            let reference = order.payment.id.to_string();
            move |entry: &SettlementEntry| *entry.reference != *reference || entry.movement != movement
        };
        office.reports.change(|entries| {
            entries.retain(keep(&order, MoneyMovement::Capture));
            entries.retain(keep(&refunded, MoneyMovement::Refund));
            let theirs = |entry: &&mut SettlementEntry| *entry.reference == *other.payment.id.to_string();
            entries.iter_mut().filter(theirs).for_each(|entry| entry.amount = won(9_999));
        });
        office.till.later(12 * HOUR);
        let expected = [
            (MismatchKind::MissingHere, MoneyMovement::Capture),
            (MismatchKind::MissingThere, MoneyMovement::Capture),
            (MismatchKind::MissingThere, MoneyMovement::Refund),
            (MismatchKind::AmountDiffers, MoneyMovement::Capture),
        ];
        let first = office.reconcile(TODAY).await;
        assert_eq!((first.found, first.new), (4, 4));
        assert_eq!(office.open_kinds().await, expected);
        let kept = office.findings(None).await;
        // Again, and on another node, also at the same time.
        let node = office.another_node(9);
        let again = tokio::join!(office.reconciler.reconcile(day(TODAY)), node.reconcile(day(TODAY)));
        for done in [again.0.unwrap(), again.1.unwrap(), node.reconcile(day(TODAY)).await.unwrap()] {
            assert_eq!((done.found, done.new, done.gone), (4, 0, 0));
        }
        let ids = |found: &[ReconciliationFinding]| found.iter().map(|found| found.id).collect::<Vec<_>>();
        assert_eq!(ids(&office.findings(None).await), ids(&kept), "the same ones");
        let missing = kept.iter().find(|found| found.mismatch.payment == Some(order.payment.id)).unwrap();
        assert_eq!(
            missing.mismatch.ours.unwrap(),
            OurSide { amount: won(10_000), status: PaymentStatus::Success }
        );
        assert_eq!((missing.mismatch.theirs, missing.mismatch.action), (None, ProposedAction::AskGateway));
        office.till.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_second_capture_that_nobody_knows_of_is_found_and_given_back() {
    at_an_office(|office| async move {
        let till = &office.till;
        let order = office.paid().await;
        assert!(till.open_payments().await.is_empty(), "nobody visits it any more");
        // Under our reference, and nobody ever tells.
        let second = till.gateway.record_unheard(order.payment.id, 10_000);
        let at = till.shop.clock.now();
        office.reports.add(entry(MoneyMovement::Capture, &second, &order.payment.id.to_string(), 10_000, at));
        till.later(12 * HOUR);
        let done = office.reconcile(TODAY).await;
        assert_eq!((done.found, done.new), (1, 1));
        let found = &office.findings(None).await[0];
        assert_eq!(
            (found.mismatch.kind, found.mismatch.action),
            (MismatchKind::MissingHere, ProposedAction::Recheck)
        );
        till.work_for(Duration::from_mins(1)).await;
        assert_eq!(till.gateway.refunds().len(), 1);
        assert_eq!(&*till.gateway.refunds()[0].0, &*second, "the second, not the one that counts");
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        till.is_settled().await;
        // It is in the books now, so a later run has nothing to tell of it.
        let again = office.reconcile(TODAY).await;
        assert_eq!((again.found, again.gone), (0, 1));
        let closed = &office.findings(None).await[0];
        assert_eq!(closed.resolution.as_ref().unwrap().how, ResolvedHow::Gone);
    })
    .await;
}

#[tokio::test]
async fn a_capture_of_a_payment_that_failed_is_found_and_given_back() {
    at_an_office(|office| async move {
        let till = &office.till;
        let order = till.place(0).await;
        till.step().await;
        till.gateway.decline();
        till.work_for(Duration::from_secs(5)).await;
        assert_eq!(till.state(&order).await, "PAYMENT_FAILED/FAILED");
        let late = till.gateway.record_unheard(order.payment.id, 10_000);
        let at = till.shop.clock.now();
        office.reports.add(entry(MoneyMovement::Capture, &late, &order.payment.id.to_string(), 10_000, at));
        till.later(12 * HOUR);
        assert_eq!(office.reconcile(TODAY).await.new, 1);
        till.work_for(Duration::from_mins(1)).await;
        assert_eq!(till.state(&order).await, "PAYMENT_FAILED/REFUNDED");
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn an_open_payment_is_asked_about_and_is_no_difference() {
    at_an_office(|office| async move {
        let till = &office.till;
        till.gateway.next(&[Meets::AnswerLost]);
        let order = till.place(0).await;
        till.step().await;
        assert_eq!(till.state(&order).await, "PAYMENT_PENDING/UNKNOWN");
        till.gateway.decide_one(1, TransactionState::Captured);
        let transaction = &till.gateway.transactions()[0];
        let at = till.shop.clock.now();
        let reference = order.payment.id.to_string();
        office.reports.add(entry(MoneyMovement::Capture, &transaction.key, &reference, 10_000, at));
        till.later(12 * HOUR);
        let done = office.reconcile(TODAY).await;
        assert_eq!((done.found, done.asked), (0, 1));
        assert!(office.findings(None).await.is_empty());
        till.step().await;
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        assert_eq!(office.reconcile(TODAY).await.asked, 0);
        // We heard of it a day after it happened; neither that day nor the next has a difference.
        till.later(24 * HOUR);
        let next = office.reconcile("2027-01-16").await;
        assert_eq!((next.found, next.ours), (0, 1));
    })
    .await;
}

#[tokio::test]
async fn the_days_of_the_gateway_need_not_be_ours() {
    for zone in ["Asia/Seoul", "UTC", "America/Los_Angeles", "Pacific/Kiritimati", "Etc/GMT+12"] {
        on_every_storage(|shop| async {
            let office = Office::open(shop, zone).await;
            let midnight = office.till.shop.clock.business_day_start(NOW).plus(24 * HOUR);
            // Captured at 23:59:59.9, and recorded by us after midnight.
            office.till.shop.clock.set(midnight.minus(Duration::from_millis(100)));
            let order = office.till.place(0).await;
            office.till.step().await;
            office.till.gateway.capture();
            let key = office.till.gateway.transactions()[0].key.clone();
            let at = office.till.shop.clock.now();
            let reference = order.payment.id.to_string();
            office.reports.add(entry(MoneyMovement::Capture, &key, &reference, 10_000, at));
            office.till.work_for(Duration::from_secs(5)).await;
            assert_eq!(office.till.state(&order).await, "PAID/SUCCESS");
            // And one in the middle of each of three days.
            for hours in [5, 24, 24] {
                office.till.later(hours * HOUR);
                office.paid().await;
            }
            office.till.later(30 * HOUR);
            for date in ["2027-01-14", TODAY, "2027-01-16", "2027-01-17", "2027-01-18"] {
                let done = office.reconcile(date).await;
                assert_eq!((done.found, done.asked), (0, 0), "{date} in {zone}");
            }
            // Nor with the days in another order, and none of those before known.
            let done = office.reconcile("2027-01-16").await;
            assert_eq!(done.found, 0, "{zone}");
        })
        .await;
    }
}

#[tokio::test]
async fn the_first_day_that_is_reconciled_needs_no_other() {
    for zone in ["Asia/Seoul", "America/Los_Angeles"] {
        on_every_storage(|shop| async {
            let office = Office::open(shop, zone).await;
            office.paid().await;
            office.till.later(8 * HOUR);
            office.paid().await;
            office.till.later(26 * HOUR);
            assert_eq!(office.reconcile("2027-01-16").await.found, 0, "{zone}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_report_that_cannot_be_right_is_an_error_and_no_finding() {
    at_an_office(|office| async move {
        let order = office.paid().await;
        office.till.later(12 * HOUR);
        let at = office.till.shop.clock.now();
        let good = |amount| entry(MoneyMovement::Capture, "k", "order-1", amount, at);
        let page = |entries: Vec<SettlementEntry>, captured, next| {
            Ok(SettlementPage { entries, captured, refunded: 0, next })
        };
        let bad = [
            Err(GatewayError::Unavailable("HTTP 302".to_owned())),
            Err(GatewayError::Refused("HTTP 404".to_owned())),
            page(vec![good(1_000)], 999, None),
            page(vec![], 0, Some(1)),
            page(vec![good(1_000)], 1_000, Some(1)),
        ];
        for answer in bad {
            let text = format!("{answer:?}");
            office.reports.answer_instead(Some(answer));
            let error = office.reconciler.reconcile(day(TODAY)).await.unwrap_err();
            assert!(matches!(error, ReconcileError::Gateway(..) | ReconcileError::Report(..)), "{text}");
            assert!(office.findings(None).await.is_empty(), "{text}");
            let days = office.till.shop.reconciliation().days(day(TODAY), 10).await.unwrap();
            assert_eq!(
                (days[0].0.compared_at, days[0].0.error.as_deref()),
                (None, Some(&*error.to_string()))
            );
        }
        // What a bad answer had left is replaced by the report.
        office.reports.answer_instead(None);
        assert_eq!(office.reconcile(TODAY).await.found, 0);
        let days = office.till.shop.reconciliation().days(day(TODAY), 10).await.unwrap();
        assert_eq!((days[0].0.error.as_deref(), days[0].0.entries), (None, 1));
        assert_eq!(office.till.state(&order).await, "PAID/SUCCESS");
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_reconciled_is_said() {
    at_an_office(|office| async move {
        let error = async |date: &str| office.reconciler.reconcile(day(date)).await.unwrap_err();
        assert!(matches!(error(TODAY).await, ReconcileError::NotOver(_)));
        assert!(matches!(error("2027-02-01").await, ReconcileError::NotOver(_)));
        assert!(matches!(error("2025-01-01").await, ReconcileError::TooOld(_)));
        assert!(office.till.shop.reconciliation().days(day(TODAY), 10).await.unwrap().is_empty());
        let plain = Till::open(Shop::memory(), GatewayAbilities::NONE).await;
        let reports = Arc::new(Reporting::new(plain.gateway.clone(), "Asia/Seoul"));
        let without = reconciler(&plain, &reports, plain.shop.ids.clone());
        let error = without.reconcile(day("2027-01-14")).await.unwrap_err();
        assert!(matches!(error, ReconcileError::NoReport));
        assert!(error.to_string().contains("gateway.settlement"), "{error}");
        assert!(reports.asked().is_empty());
    })
    .await;
}

fn admin() -> Caller {
    Caller { user: UserId(1), role: Role::Admin, traceparent: None }
}

#[tokio::test]
async fn a_finding_is_resolved_by_hand_once_and_stays_so_until_somebody_says_something_else() {
    at_an_office(|office| async move {
        let order = office.paid().await;
        let key = office.till.payment(&order).await.gateway_key.unwrap();
        let say = |amount| {
            office.reports.change(|entries| {
                entries
                    .iter_mut()
                    .filter(|entry| entry.key == key)
                    .for_each(|entry| entry.amount = won(amount));
            });
        };
        say(9_999);
        office.till.later(12 * HOUR);
        office.reconcile(TODAY).await;
        let found = office.findings(None).await.remove(0);
        let facade = Reconciliations::new(office.reconciler.clone(), Signal::default());
        let resolve = async |reason: &str| facade.resolve(&admin(), found.id, reason).await.unwrap().unwrap();
        let resolved = resolve("the gateway mended its books").await;
        assert_eq!(resolved.resolution.as_ref().unwrap().how, ResolvedHow::ByHand);
        assert_eq!(resolve("again").await, resolved, "nothing changes");
        assert_eq!(office.till.shop.audited("RECONCILIATION_RESOLVED").await, 1);
        assert!(facade.resolve(&admin(), uuid::Uuid::nil(), "none").await.unwrap().is_none());
        let again = office.reconcile(TODAY).await;
        assert_eq!((again.found, again.new, again.gone), (1, 0, 0), "still there, and seen to");
        assert!(office.findings(Some(ReconciliationState::Open)).await.is_empty());
        say(9_998);
        assert_eq!(office.reconcile(TODAY).await.new, 1, "that is something else");
        office.till.later(HOUR);
        say(10_000);
        assert_eq!(office.reconcile(TODAY).await.gone, 1);
        say(9_999);
        assert_eq!(office.reconcile(TODAY).await.new, 1, "and back again");
        let all = office.findings(None).await;
        assert_eq!((all.len(), all[0].id), (1, found.id));
    })
    .await;
}

#[tokio::test]
async fn a_report_of_many_pages_is_compared_in_a_fixed_number_of_statements_each() {
    at_an_office(|office| async move {
        office.paid().await;
        let at = office.till.shop.clock.now();
        office.till.later(12 * HOUR);
        let run = async |count: usize| {
            office.reports.change(|entries| entries.truncate(1));
            for number in 0..count {
                let key = format!("k{number}");
                office.reports.add(entry(MoneyMovement::Capture, &key, "order-1", 100, at));
            }
            office.till.shop.reset_statements();
            let done = office.reconcile(TODAY).await;
            assert_eq!(done.found, i64::try_from(count).unwrap());
            office.till.shop.statements(&["settlement_page", "record_findings", "our_captures"])
        };
        let (few, many) = (run(400).await, run(1_600).await);
        // One page and an empty one, then four and an empty one; all within the same captures of ours.
        assert!(many <= 4 * few, "{few} statements for 1 page, {many} for 4");
        let filter = FindingFilter { limit: 10_000, ..FindingFilter::default() };
        let found = office.till.shop.reconciliation().findings(&filter).await.unwrap();
        assert_eq!(found.len(), 1_600, "each once, though the first 400 were found before");
        let mut seen = Vec::new();
        let mut before = None;
        loop {
            let filter = FindingFilter { before, limit: 700, ..FindingFilter::default() };
            let page = office.till.shop.reconciliation().findings(&filter).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some((last.found_at, last.id));
            seen.extend(page.iter().map(|found| found.id));
        }
        assert_eq!(seen, found.iter().map(|found| found.id).collect::<Vec<_>>(), "pages by key");
    })
    .await;
}
