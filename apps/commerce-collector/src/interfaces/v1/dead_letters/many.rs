//! The same for many letters at once.

use std::collections::BTreeMap;

use axum::extract::State;
use commerce_http::{Caller, Json, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::actor;
use crate::application::dead_letters::{LetterFilter, Selection, Summary};
use crate::interfaces::failure::Answered;
use crate::interfaces::input::{LetterIds, LettersMax, Moment, Reason, Word};
use crate::interfaces::problems::{AdminOnly, Always, BadJson};
use crate::interfaces::v1::{Routes, Shared};

pub fn routes() -> Routes {
    Routes::new().routes(routes!(replay_dead_letters)).routes(routes!(discard_dead_letters))
}

/// Which open letters are replayed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ReplayRequest {
    /// Only tells what would happen.
    #[serde(default)]
    dry_run: bool,
    /// Only these.
    #[schema(value_type = Option<Vec<i64>>, max_items = 1000)]
    ids: Option<LetterIds>,
    /// Only of this event type, as the record says.
    #[serde(rename = "type")]
    #[schema(value_type = Option<String>, max_length = 64, example = "OrderPaid")]
    event_type: Option<Word>,
    /// Only with this cause.
    #[schema(value_type = Option<String>, max_length = 64, example = "FUTURE_DATED")]
    cause: Option<Word>,
    /// Only those set aside at this moment or later, RFC 3339.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Moment>,
    /// Only those set aside before this moment, RFC 3339.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Moment>,
    /// `nextAfter` of the answer before.
    after: Option<i64>,
    /// Letters of one request.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 10_000, default = 1_000)]
    limit: LettersMax,
}

/// Which open letters are given up, and why. At least one of `ids`, `type`, `cause`, `since` and `until` must be there.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DiscardManyRequest {
    /// For the operator's log.
    reason: Reason,
    /// Only tells what would happen.
    #[serde(default)]
    dry_run: bool,
    /// Only these.
    #[schema(value_type = Option<Vec<i64>>, max_items = 1000)]
    ids: Option<LetterIds>,
    /// Only of this event type, as the record says.
    #[serde(rename = "type")]
    #[schema(value_type = Option<String>, max_length = 64)]
    event_type: Option<Word>,
    /// Only with this cause.
    #[schema(value_type = Option<String>, max_length = 64)]
    cause: Option<Word>,
    /// Only those set aside at this moment or later, RFC 3339.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Moment>,
    /// Only those set aside before this moment, RFC 3339.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Moment>,
    /// `nextAfter` of the answer before.
    after: Option<i64>,
    /// Letters of one request.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 10_000, default = 1_000)]
    limit: LettersMax,
}

/// What became of the letters, or would.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SummaryResponse {
    /// Whether nothing was changed.
    dry_run: bool,
    /// Open letters that were looked at.
    examined: usize,
    /// Events counted now.
    counted: usize,
    /// Events that had been counted before; their letters are closed.
    duplicates: usize,
    /// Letters given up.
    discarded: usize,
    /// Letters that somebody else dealt with at the same moment.
    settled: usize,
    /// Letters that stay open, by cause.
    refused: BTreeMap<&'static str, usize>,
    /// Send it as `after` to go on; null where there is no more.
    #[schema(required = true)]
    next_after: Option<i64>,
}

impl SummaryResponse {
    fn of(summary: Summary, dry_run: bool) -> Self {
        let Summary { examined, counted, duplicates, discarded, settled, refused, next_after } = summary;
        Self { dry_run, examined, counted, duplicates, discarded, settled, refused, next_after }
    }
}

/// Replays the open letters that are asked for, in bounded steps. Letters that cannot be counted today either stay open.
#[utoipa::path(
    post, path = "/api/v1/dead-letters/replay", operation_id = "replayDeadLetters", tag = "operations",
    request_body = ReplayRequest,
    responses(
        (status = 200, description = "What became of them", body = SummaryResponse), BadJson, AdminOnly, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn replay_dead_letters(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Json(request): Json<ReplayRequest>,
) -> Answered<Json<SummaryResponse>> {
    let selection = Selection {
        filter: LetterFilter {
            state: None,
            event_type: request.event_type.map(Into::into),
            cause: request.cause.map(Into::into),
            since_us: request.since.map(|Moment(at_us)| at_us),
            until_us: request.until.map(|Moment(at_us)| at_us),
            ids: request.ids.map(|LetterIds(ids)| ids),
        },
        after: request.after.unwrap_or(i64::MIN),
        max: request.limit.0,
        dry_run: request.dry_run,
    };
    let summary = api.dead_letters.replay(&selection, &actor(caller)).await?;
    Ok(Json(SummaryResponse::of(summary, request.dry_run)))
}

/// Gives up the open letters that are asked for, in bounded steps.
#[utoipa::path(
    post, path = "/api/v1/dead-letters/discard", operation_id = "discardDeadLetters", tag = "operations",
    request_body = DiscardManyRequest,
    responses(
        (status = 200, description = "What became of them", body = SummaryResponse), BadJson, AdminOnly, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn discard_dead_letters(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Json(request): Json<DiscardManyRequest>,
) -> Answered<Json<SummaryResponse>> {
    let filter = LetterFilter {
        state: None,
        event_type: request.event_type.map(Into::into),
        cause: request.cause.map(Into::into),
        since_us: request.since.map(|Moment(at_us)| at_us),
        until_us: request.until.map(|Moment(at_us)| at_us),
        ids: request.ids.map(|LetterIds(ids)| ids),
    };
    if filter.is_open_to_all() {
        let what = "one of ids, type, cause, since and until says which letters are given up";
        return Err(Problem::malformed(what).into());
    }
    let selection = Selection {
        filter,
        after: request.after.unwrap_or(i64::MIN),
        max: request.limit.0,
        dry_run: request.dry_run,
    };
    let summary = api.dead_letters.discard(&selection, &request.reason.0, &actor(caller)).await?;
    Ok(Json(SummaryResponse::of(summary, request.dry_run)))
}
