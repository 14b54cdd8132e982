//! What this gateway offers beyond the plain protocol.

use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use bytes::Bytes;
use chrono::{Days, NaiveDate};
use commerce_contracts::gateway::{CancelRequest, Settlements, Transactions};
use http::HeaderMap;
use serde::Deserialize;

use super::App;
use super::envelope::{Refused, success};
use super::payments::{idempotency_key, not_found, parse};
use crate::dice::Purpose;
use crate::domain::ORDER_ID_CHARS_MAX;
use crate::storage::{Failure, RefundRefused, RefundRequest};

const REASON_CHARS_MAX: usize = 500;

/// Entries of a page of a settlement report.
const ENTRIES_MAX: u64 = 1_000;

pub(super) async fn cancel(
    State(app): State<App>,
    key: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    if !app.gateway.capabilities.refund {
        return Err(Refused::no_route());
    }
    let Path(transaction_key) = key.map_err(|_| not_found())?;
    let request: CancelRequest = parse(&body?)?;
    if request.reason.trim().is_empty() || request.reason.chars().count() > REASON_CHARS_MAX {
        let message = format!("`reason` must have from 1 to {REASON_CHARS_MAX} characters");
        return Err(Refused::bad_request(message));
    }
    let refund_key = if app.gateway.capabilities.idempotency { idempotency_key(&headers)? } else { None };
    if app.gateway.script.fires(Purpose::RefundFailBefore) {
        return Err(Refused::Internal("the gateway is unstable; nothing was refunded"));
    }
    let now_us = app.gateway.now_us();
    let request = RefundRequest { transaction_key, amount: request.amount, refund_key, now_us };
    let refund = app.gateway.storage.refund(request).await?;
    if app.gateway.script.fires(Purpose::RefundFailAfter) {
        return Err(Refused::Internal("the gateway is unstable; the answer was lost"));
    }
    Ok(success(refund))
}

impl From<Failure<RefundRefused>> for Refused {
    fn from(failure: Failure<RefundRefused>) -> Self {
        match failure {
            Failure::Database(error) => error.into(),
            Failure::Refused(refused) => match refused {
                RefundRefused::NotFound => not_found(),
                RefundRefused::NotCaptured => Self::bad_request(
                    "nothing was captured by this transaction, so there is nothing to refund",
                ),
                RefundRefused::NoAmount => {
                    Self::bad_request("`amount` must be above 0; leave it out to refund all")
                }
                RefundRefused::TooMuch { left } => {
                    Self::bad_request(format!("{left} won of this transaction are left to refund"))
                }
                RefundRefused::OtherBody => {
                    Self::bad_request("this Idempotency-Key was used for another refund; a new one is needed")
                }
            },
        }
    }
}

pub(super) async fn void(
    State(app): State<App>,
    order_id: Result<Path<String>, PathRejection>,
) -> Result<Response, Refused> {
    if !app.gateway.capabilities.void {
        return Err(Refused::no_route());
    }
    let Path(order_id) = order_id.map_err(|_| Refused::no_route())?;
    if order_id.chars().count() > ORDER_ID_CHARS_MAX {
        return Err(Refused::bad_request(format!("a reference has at most {ORDER_ID_CHARS_MAX} characters")));
    }
    let recorded = app.gateway.storage.void(&order_id, app.gateway.now_us()).await?;
    let transactions = recorded.iter().map(crate::domain::Recorded::summary).collect();
    Ok(success(Transactions { order_id, transactions }))
}

#[derive(Deserialize)]
pub(super) struct SettlementQuery {
    date: NaiveDate,
    after: Option<i64>,
    limit: Option<u64>,
}

pub(super) async fn settlements(
    State(app): State<App>,
    query: Result<Query<SettlementQuery>, QueryRejection>,
) -> Result<Response, Refused> {
    let form = "the parameter `date` must be a day as yyyy-MM-dd, `after` the `next` of the page before, `limit` from 1 to 1000";
    let Query(query) = query.map_err(|_| Refused::bad_request(form))?;
    let limit = query.limit.unwrap_or(ENTRIES_MAX);
    if !(1..=ENTRIES_MAX).contains(&limit) {
        return Err(Refused::bad_request(form));
    }
    let zone = app.gateway.zone;
    let next_day = query.date.checked_add_days(Days::new(1)).ok_or_else(|| Refused::bad_request(form))?;
    let span = (zone.start_of(query.date), zone.start_of(next_day));
    let page = app.gateway.storage.settlements(span, query.after.unwrap_or_default(), limit).await?;
    let next = page.entries.last().map(|(id, _)| *id).filter(|_| page.entries.len() as u64 == limit);
    let entries = page.entries.into_iter().map(|(_, entry)| entry).collect();
    let (captured, refunded) = (page.captured, page.refunded);
    Ok(success(Settlements { date: query.date.to_string(), captured, refunded, entries, next }))
}
