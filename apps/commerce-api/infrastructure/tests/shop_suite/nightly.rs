//! The work of every night: which days are due, once among all nodes, and the audit.

use std::sync::Arc;
use std::time::Duration;

use commerce_api_application::Caller;
use commerce_api_application::desk::Signal;
use commerce_api_application::ports::{AuditStore as _, Audited, Clock as _, GatewayError};
use commerce_api_application::reconciliation::{Nightly, NightlyOptions, Reconciler, Reconciliations};
use commerce_api_domain::*;
use commerce_api_infrastructure::sql::{SqlAudit, SqlLeases};
use commerce_database::Database;
use tokio::sync::watch;

use crate::reconciliation::{Office, TODAY, day};
use crate::shop::*;

const HOUR: Duration = Duration::from_hours(1);

fn database(shop: &Shop) -> &Database {
    match &shop.backend {
        Backend::Sql { database, .. } => database,
        Backend::Memory(_) => panic!("the work of the night is done on SQL"),
    }
}

fn nightly(office: &Office, reconciler: Reconciler, requested: Signal) -> Nightly {
    let database = database(&office.till.shop).clone();
    let options = NightlyOptions { every: Duration::from_millis(5), ..NightlyOptions::default() };
    let leases = Arc::new(SqlLeases::new(database.clone()));
    Nightly::new(reconciler, Arc::new(SqlAudit::new(database)), leases, requested, options)
}

/// Both nodes of an office on SQL.
async fn two_nodes() -> (Office, Nightly, Nightly) {
    let office = Office::open(Shop::sqlite().await, "Asia/Seoul").await;
    let one = nightly(&office, office.reconciler.clone(), Signal::default());
    let other = nightly(&office, office.another_node(9), Signal::default());
    (office, one, other)
}

/// `hours:minutes` of the day so many days after today.
fn set(office: &Office, days: u32, hours: u32, minutes: u32) {
    let today = office.till.shop.clock.business_day_start(NOW);
    office.till.shop.clock.set(today.plus(24 * days * HOUR + hours * HOUR + minutes * HOUR / 60));
}

#[tokio::test]
async fn a_day_is_reconciled_in_the_night_after_it_once_and_once_more_when_it_is_over_everywhere() {
    let (office, one, other) = two_nodes().await;
    let due = async |node: &Nightly| {
        node.reconcile_due().await.unwrap();
        office.reports.asked()
    };
    assert!(due(&one).await.is_empty(), "before the first payment there is nothing to compare");
    office.paid().await;
    assert!(due(&one).await.is_empty(), "today is not over");
    set(&office, 1, 4, 29);
    assert!(due(&one).await.is_empty(), "not yet");
    set(&office, 1, 4, 30);
    assert_eq!(due(&one).await, [TODAY]);
    for node in [&one, &other, &one] {
        assert!(due(node).await.is_empty(), "it was");
    }
    set(&office, 2, 4, 30);
    assert_eq!(due(&other).await, [TODAY, "2027-01-16"], "its report may have grown where days end later");
    set(&office, 3, 4, 30);
    assert_eq!(due(&one).await, ["2027-01-16", "2027-01-17"], "that is settled");
    assert!(due(&other).await.is_empty());
}

#[tokio::test]
async fn days_that_were_missed_are_caught_up_within_a_bound() {
    let (office, one, _) = two_nodes().await;
    office.paid().await;
    set(&office, 11, 12, 0);
    one.reconcile_due().await.unwrap();
    let caught_up =
        ["2027-01-19", "2027-01-20", "2027-01-21", "2027-01-22", "2027-01-23", "2027-01-24", "2027-01-25"];
    assert_eq!(office.reports.asked(), caught_up);
}

#[tokio::test]
async fn a_day_with_an_open_finding_is_looked_at_every_night() {
    let (office, one, _) = two_nodes().await;
    office.paid().await;
    office.reports.change(Vec::clear);
    for days in 1..5 {
        set(&office, days, 4, 30);
        one.reconcile_due().await.unwrap();
        assert!(office.reports.asked().contains(&TODAY.to_owned()), "night {days}");
        assert_eq!(office.findings(None).await.len(), 1, "and is found once");
    }
}

#[tokio::test]
async fn a_gateway_that_fails_is_asked_again_after_ten_minutes() {
    let (office, one, other) = two_nodes().await;
    office.paid().await;
    set(&office, 2, 4, 30);
    office.reports.answer_instead(Some(Err(GatewayError::Unavailable("down".to_owned()))));
    one.reconcile_due().await.unwrap();
    assert_eq!(office.reports.asked(), [TODAY, "2027-01-16"], "one that fails stands in no other's way");
    for node in [&one, &other] {
        node.reconcile_due().await.unwrap();
        assert!(office.reports.asked().is_empty(), "not at once");
    }
    office.reports.answer_instead(None);
    office.till.later(Duration::from_mins(10));
    other.reconcile_due().await.unwrap();
    assert_eq!(office.reports.asked(), [TODAY, "2027-01-16"]);
}

#[tokio::test]
async fn a_day_that_somebody_asks_for_is_reconciled_by_one_of_the_nodes_at_once() {
    let (office, ..) = two_nodes().await;
    office.paid().await;
    set(&office, 40, 12, 0);
    let (stop, stopped) = watch::channel(false);
    let requested = [Signal::default(), Signal::default()];
    let nodes: Vec<_> = requested
        .iter()
        .zip([7, 8])
        .map(|(requested, ids)| nightly(&office, office.another_node(ids), requested.clone()))
        .map(|node| tokio::spawn(node.run(stopped.clone())))
        .collect();
    let days = async || office.till.shop.reconciliation().days(day("2027-03-01"), 100).await.unwrap();
    eventually(async || days().await.iter().filter(|(day, _)| day.compared_at.is_some()).count() == 7).await;
    office.reports.asked();
    // Whichever node is asked.
    let caller = Caller { user: UserId(1), role: Role::Admin, traceparent: None };
    for (requested, date) in requested.iter().zip([TODAY, "2027-01-16"]) {
        let facade = Reconciliations::new(office.reconciler.clone(), requested.clone());
        facade.request(&caller, day(date)).await.unwrap();
        let is_done = async || {
            days().await.iter().any(|(known, _)| known.date == day(date) && known.compared_at.is_some())
        };
        eventually(is_done).await;
        assert_eq!(office.reports.asked(), [date]);
    }
    assert_eq!(office.till.shop.audited("RECONCILIATION_REQUESTED").await, 2);
    stop.send(true).unwrap();
    for node in nodes {
        node.await.unwrap();
    }
}

async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let reached = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), reached).await.is_ok(), "it does not come");
}

#[tokio::test]
async fn the_nightly_audit_finds_a_broken_rule_once_a_night() {
    let (office, one, other) = two_nodes().await;
    let audit = SqlAudit::new(database(&office.till.shop).clone());
    office.paid().await;
    set(&office, 1, 5, 0);
    one.audit_due().await.unwrap();
    let at = office.till.shop.clock.now();
    assert_eq!(audit.last_audit().await.unwrap(), Some(Audited { at, violated: 0, pending: 0 }));
    // A piece of stock is gone that nobody bought.
    execute(database(&office.till.shop), "UPDATE products SET stock = stock - 1", []).await;
    office.till.later(HOUR);
    for node in [&one, &other] {
        node.audit_due().await.unwrap();
        assert_eq!(audit.last_audit().await.unwrap().unwrap().at, at, "not again in this night");
    }
    set(&office, 2, 5, 0);
    other.audit_due().await.unwrap();
    let at = office.till.shop.clock.now();
    assert_eq!(audit.last_audit().await.unwrap(), Some(Audited { at, violated: 1, pending: 0 }));
}
