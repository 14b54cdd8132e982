//! Jobs over HTTP.

use serde_json::{Value, json};

use super::{collector, counted, week};
use crate::http::{get, post_as};
use crate::support::{Bench, until};

#[tokio::test]
async fn administrators_start_look_at_and_stop_jobs() {
    let bench = Bench::open().await;
    let reader = collector(&bench).await;
    counted(&reader.database, &week("2027-01-04")).await;
    let running = bench.start().await;
    let addr = running.addr();
    let start = async |body: Value| post_as(addr, "/api/v1/jobs", Some("admin"), &body).await;
    let weekly = json!({"period": "WEEKLY", "date": "20270106"});
    for (who, status) in [(None, 401), (Some("customer"), 403)] {
        assert_eq!(post_as(addr, "/api/v1/jobs", who, &weekly).await.status, status);
    }
    let begun = start(weekly.clone()).await;
    assert_eq!((begun.status, &begun.json), (202, &json!({"executionId": 1})));
    let shown = async || get(addr, "/api/v1/jobs/1", Some("admin")).await.json;
    until("it is through", async || shown().await["execution"]["status"] == "COMPLETED").await;
    let shown = shown().await;
    assert_eq!(
        (&shown["execution"]["job"], &shown["execution"]["period"]),
        (&json!("weekly"), &json!("W202701"))
    );
    let step = &shown["steps"][0];
    assert_eq!(
        (&step["name"], &step["read"], &step["written"]),
        (&json!("aggregate"), &json!(10), &json!(10))
    );
    let board = get(addr, "/api/v1/rankings?period=WEEKLY&date=20270110&type=VIEW", None).await.json;
    assert_eq!((&board["complete"], &board["total"]), (&json!(true), &json!(10)));

    let again = start(weekly.clone()).await;
    assert_eq!((again.status, &again.json["code"]), (409, &json!("JOB_COMPLETE")));
    assert_eq!(again.json["executionId"], 1);
    let forced = start(json!({"period": "WEEKLY", "date": "20270106", "force": true})).await;
    assert_eq!((forced.status, &forced.json), (202, &json!({"executionId": 2})));
    let early = start(json!({"period": "MONTHLY", "date": "20270201"})).await;
    assert_eq!((early.status, &early.json["code"]), (409, &json!("PERIOD_NOT_BEGUN")));
    for bad in [json!({"period": "YEARLY", "date": "20270106"}), json!({"period": "DAILY"}), json!([])] {
        assert_eq!(start(bad.clone()).await.status, 400, "{bad}");
    }
    let list = get(addr, "/api/v1/jobs?limit=1", Some("admin")).await.json;
    assert_eq!(list["items"][0]["id"], 2);
    let rest = ["/api/v1/jobs?cursor=", list["nextCursor"].as_str().unwrap()].concat();
    assert_eq!(get(addr, &rest, Some("admin")).await.json["items"][0]["id"], 1);
    let stopping = async |id: &str| {
        post_as(addr, &["/api/v1/jobs/", id, "/stop"].concat(), Some("admin"), &json!({})).await
    };
    let over = stopping("1").await;
    assert_eq!((over.status, &over.json["code"]), (409, &json!("JOB_NOT_RUNNING")));
    assert_eq!(stopping("99").await.json["code"], "EXECUTION_NOT_FOUND");
    running.stop().await;
    reader.close().await;
}
