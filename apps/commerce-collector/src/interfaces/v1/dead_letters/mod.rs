//! Records that could not be counted, and what operators do with them.

mod letter;
mod many;

use axum::extract::State;
use commerce_http::{Caller, Json, Page, PageLimit, Path, Principal, Problem, Query, cursor};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Routes, Shared};
use crate::application::dead_letters::{LetterFilter, Outcome};
use crate::interfaces::failure::{Answered, Failure};
use crate::interfaces::input::{LetterId, Moment, Reason, Word};
use crate::interfaces::problems::{
    AdminOnly, Always, BadBody, BadParameter, LetterInPath, LetterProblems, NoSuchLetter,
};
use letter::{DeadLetterResponse, LetterState, ShownLetterResponse};

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_dead_letters))
        .routes(routes!(show_dead_letter))
        .routes(routes!(replay_dead_letter))
        .routes(routes!(discard_dead_letter))
        .merge(many::routes())
}

/// Name of the list in its cursors.
const DEAD_LETTERS: &str = "dead-letters";

/// Which dead letters.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeadLetterQuery {
    /// Only in this state.
    #[param(inline)]
    state: Option<LetterState>,
    /// Only of this event type, as the record says.
    #[serde(rename = "type")]
    #[param(value_type = Option<String>, max_length = 64, example = "OrderPaid")]
    event_type: Option<Word>,
    /// Only with this cause.
    #[param(value_type = Option<String>, max_length = 64, example = "FUTURE_DATED")]
    cause: Option<Word>,
    /// Only those set aside at this moment or later, RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Moment>,
    /// Only those set aside before this moment, RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Moment>,
    /// `nextCursor` of the page before; none for the first page.
    cursor: Option<String>,
    /// Items of the page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    limit: PageLimit,
}

/// What became of a letter.
#[derive(Serialize, ToSchema)]
struct LetterOutcomeResponse {
    /// Which letter.
    id: i64,
    /// Its state now.
    state: LetterState,
    /// What was done.
    outcome: OutcomeName,
    /// Why it cannot be counted, for REFUSED.
    #[schema(required = true, example = "UNKNOWN_VERSION")]
    cause: Option<&'static str>,
    /// The same for people.
    #[schema(required = true)]
    detail: Option<String>,
}

/// What was done with a letter.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum OutcomeName {
    /// Its event is counted now.
    Counted,
    /// Its event had been counted already.
    Duplicate,
    /// It cannot be counted today either; it stays open.
    Refused,
    /// It is given up.
    Discarded,
    /// Nothing: the same had been done before.
    Unchanged,
}

/// Why letters are given up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DiscardRequest {
    /// For the operator's log.
    reason: Reason,
}

/// Name of a caller in the operator's log.
fn actor(caller: Principal) -> String {
    format!("user:{}", caller.user_id)
}

fn no_such_letter() -> Failure {
    Problem::not_found("DEAD_LETTER_NOT_FOUND", "There is no such dead letter", "no dead letter has this id")
        .into()
}

/// `wanted` is the state that the caller asked for: asking twice is no conflict.
fn outcome_response(
    id: i64,
    outcome: Option<Outcome>,
    wanted: LetterState,
) -> Answered<Json<LetterOutcomeResponse>> {
    let (state, outcome, refused) = match outcome.ok_or_else(no_such_letter)? {
        Outcome::Counted => (LetterState::Replayed, OutcomeName::Counted, None),
        Outcome::Duplicate => (LetterState::Replayed, OutcomeName::Duplicate, None),
        Outcome::Discarded => (LetterState::Discarded, OutcomeName::Discarded, None),
        Outcome::Refused(cause) => (LetterState::Open, OutcomeName::Refused, Some(cause)),
        Outcome::Settled(state) if LetterState::from(state) == wanted => {
            (wanted, OutcomeName::Unchanged, None)
        }
        Outcome::Settled(state) => {
            let title = "The dead letter has been dealt with";
            let detail = format!("dead letter {id} is {}", state.name());
            let problem = Problem::new(StatusCode::CONFLICT, "DEAD_LETTER_STATE_CONFLICT", title);
            return Err(problem.detail(detail).extra("state", state.name()).into());
        }
    };
    let (cause, detail) = refused.map_or((None, None), |cause| (Some(cause.class), Some(cause.detail)));
    Ok(Json(LetterOutcomeResponse { id, state, outcome, cause, detail }))
}

/// Records that could not be counted, latest first. Digits that could be a card number are hidden.
#[utoipa::path(
    get, path = "/api/v1/dead-letters", operation_id = "listDeadLetters", tag = "operations",
    params(DeadLetterQuery),
    responses(
        (status = 200, description = "A page", body = Page<DeadLetterResponse>),
        BadParameter, AdminOnly, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn list_dead_letters(
    State(api): State<Shared>,
    Query(query): Query<DeadLetterQuery>,
) -> Answered<Json<Page<DeadLetterResponse>>> {
    let before = query.cursor.map(|cursor| cursor::decode(DEAD_LETTERS, &cursor)).transpose()?;
    let filter = LetterFilter {
        state: query.state.map(Into::into),
        event_type: query.event_type.map(Into::into),
        cause: query.cause.map(Into::into),
        since_us: query.since.map(|Moment(at_us)| at_us),
        until_us: query.until.map(|Moment(at_us)| at_us),
        ids: None,
    };
    let letters = api.dead_letters.list(&filter, before, u64::from(query.limit.get()) + 1).await?;
    let page = Page::from_rows(letters, query.limit, |letter| cursor::encode(DEAD_LETTERS, &letter.id));
    Ok(Json(page.map(DeadLetterResponse::from)))
}

/// One record that could not be counted, and what was done with it. Digits that could be a card number are hidden.
#[utoipa::path(
    get, path = "/api/v1/dead-letters/{id}", operation_id = "getDeadLetter", tag = "operations",
    params(LetterInPath),
    responses(
        (status = 200, description = "The letter", body = ShownLetterResponse),
        BadParameter, AdminOnly, NoSuchLetter, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn show_dead_letter(
    State(api): State<Shared>,
    Path(LetterId(id)): Path<LetterId>,
) -> Answered<Json<ShownLetterResponse>> {
    let shown = api.dead_letters.show(id).await?.ok_or_else(no_such_letter)?;
    Ok(Json(shown.into()))
}

/// Counts the letter's event, under its own id and once, if today's code can. Asking again changes nothing.
#[utoipa::path(
    post, path = "/api/v1/dead-letters/{id}/replay", operation_id = "replayDeadLetter", tag = "operations",
    params(LetterInPath),
    responses(
        (status = 200, description = "What became of it", body = LetterOutcomeResponse),
        BadParameter, AdminOnly, LetterProblems, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn replay_dead_letter(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Path(LetterId(id)): Path<LetterId>,
) -> Answered<Json<LetterOutcomeResponse>> {
    let outcome = api.dead_letters.replay_one(id, &actor(caller)).await?;
    outcome_response(id, outcome, LetterState::Replayed)
}

/// Gives a letter up: what it tells is never counted. Asking again changes nothing.
#[utoipa::path(
    post, path = "/api/v1/dead-letters/{id}/discard", operation_id = "discardDeadLetter", tag = "operations",
    params(LetterInPath), request_body = DiscardRequest,
    responses(
        (status = 200, description = "What became of it", body = LetterOutcomeResponse),
        BadBody, AdminOnly, LetterProblems, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn discard_dead_letter(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Path(LetterId(id)): Path<LetterId>,
    Json(request): Json<DiscardRequest>,
) -> Answered<Json<LetterOutcomeResponse>> {
    let outcome = api.dead_letters.discard_one(id, &request.reason.0, &actor(caller)).await?;
    outcome_response(id, outcome, LetterState::Discarded)
}
