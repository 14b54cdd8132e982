//! The gateway's settlement reports against the books, as those who run the shop see them.

use std::time::Duration;

use commerce_api_application::ports::ReconciliationState;
use commerce_api_domain::MismatchKind;
use serde_json::{Value, json};

use crate::support::{Reply, Shop, User};

const PATH: &str = "/api/v1/admin/reconciliations";

async fn get(shop: &Shop, admin: &User, query: &str) -> Reply {
    shop.get(&format!("{PATH}{query}")).by(admin).send().await
}

async fn post(shop: &Shop, admin: &User, path: &str, body: Value) -> Reply {
    shop.post(&format!("{PATH}{path}")).by(admin).json(&body).send().await
}

#[tokio::test]
async fn findings_are_listed_by_day_kind_and_state_newest_first() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let mut ids = Vec::new();
    for (date, key, kind) in [
        ("2027-01-13", "k1", MismatchKind::MissingHere),
        ("2027-01-14", "k2", MismatchKind::MissingThere),
        ("2027-01-14", "k3", MismatchKind::AmountDiffers),
    ] {
        shop.clock.advance(Duration::from_secs(1));
        ids.insert(0, shop.finding(date, key, kind).await);
    }
    let listed = async |query: &str| get(&shop, &admin, query).await.expect(200).items("id");
    assert_eq!(listed("").await, ids);
    assert_eq!(listed("?date=20270114").await, ids[..2]);
    assert_eq!(listed("?kind=MISSING_HERE").await, ids[2..]);
    assert_eq!(listed("?state=RESOLVED").await, [""; 0]);
    assert_eq!(listed("?date=20270114&kind=MISSING_HERE").await, [""; 0]);
    let first = get(&shop, &admin, "?limit=2").await.expect(200);
    let cursor = first["nextCursor"].as_str().unwrap().to_owned();
    assert_eq!(listed(&format!("?limit=2&cursor={cursor}")).await, ids[2..]);
    let shown = &get(&shop, &admin, "?kind=MISSING_HERE").await.expect(200)["items"][0];
    assert_eq!((&shown["date"], &shown["state"]), (&json!("20270113"), &json!("OPEN")));
    assert_eq!((&shown["movement"], &shown["proposedAction"]), (&json!("CAPTURE"), &json!("FIND_OWNER")));
    assert_eq!((&shown["theirs"]["amount"], &shown["ours"]), (&json!(1_000), &Value::Null));
    for wrong in ["?date=2027-01-14", "?kind=OTHER", "?state=open", "?limit=0"] {
        get(&shop, &admin, wrong).await.refused(400, "INVALID_PARAMETER");
    }
    get(&shop, &admin, "?cursor=x").await.refused(400, "INVALID_CURSOR");
}

#[tokio::test]
async fn a_finding_is_resolved_with_a_reason_and_once() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let id = shop.finding("2027-01-14", "k1", MismatchKind::MissingHere).await;
    let path = format!("/{id}/resolve");
    post(&shop, &admin, &path, json!({})).await.refused(400, "MALFORMED_REQUEST");
    post(&shop, &admin, &path, json!({"reason": " "})).await.refused(400, "MALFORMED_REQUEST");
    let resolved = post(&shop, &admin, &path, json!({"reason": "it was a test of theirs"})).await.expect(200);
    assert_eq!((resolved.text("state"), resolved.text("id")), ("RESOLVED".to_owned(), id));
    assert_eq!(resolved["resolution"]["how"], "BY_HAND");
    shop.clock.advance(Duration::from_mins(1));
    let again = post(&shop, &admin, &path, json!({"reason": "something else"})).await.expect(200);
    assert_eq!(again.json, resolved.json, "it stays as it is");
    let unknown = "/0190163d-8694-739b-aea5-966c26f8ad91/resolve";
    post(&shop, &admin, unknown, json!({"reason": "none"})).await.refused(404, "FINDING_NOT_FOUND");
    let open = shop.reconciliation.open_findings().await.unwrap();
    assert!(open.is_empty(), "{open:?}");
    assert_eq!(ReconciliationState::parse("RESOLVED"), Some(ReconciliationState::Resolved));
}

#[tokio::test]
async fn a_day_is_asked_for_only_where_it_is_over() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let accepted = post(&shop, &admin, "", json!({"date": "20270114"})).await.expect(202);
    assert_eq!(accepted.header("location"), "/api/v1/admin/reconciliations/days");
    assert!(!accepted.header("retry-after").is_empty());
    assert_eq!((&accepted["date"], &accepted["reconciledAt"]), (&json!("20270114"), &Value::Null));
    for date in ["20270115", "20280101", "20250101"] {
        post(&shop, &admin, "", json!({"date": date})).await.refused(422, "DAY_NOT_RECONCILABLE");
    }
    post(&shop, &admin, "", json!({"date": "2027-01-14"})).await.refused(400, "MALFORMED_REQUEST");
    post(&shop, &admin, "", json!({})).await.refused(400, "MALFORMED_REQUEST");
    post(&shop, &admin, "", json!({"date": "20270110"})).await.expect(202);
    shop.finding("2027-01-14", "k1", MismatchKind::MissingHere).await;
    let days = shop.get(&format!("{PATH}/days?limit=1")).by(&admin).send().await.expect(200);
    let day = &days["items"][0];
    assert_eq!((&day["date"], &day["reconciledAt"]), (&json!("20270114"), &Value::Null));
    assert_eq!(day["openFindings"], 1);
    let next = format!("{PATH}/days?cursor={}", days["nextCursor"].as_str().unwrap());
    let next = shop.get(&next).by(&admin).send().await.expect(200);
    assert_eq!(next.items("date"), ["20270110"]);
}
