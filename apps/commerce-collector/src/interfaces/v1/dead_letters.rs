use axum::extract::State;
use commerce_http::{Json, Page, PageLimit, Query, cursor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{Routes, Shared};
use crate::application::ports::DeadLetter;
use crate::interfaces::failure::Answered;
use crate::interfaces::input::time;
use crate::interfaces::mask::Raw;
use crate::interfaces::problems::{AdminOnly, Always, BadParameter};

pub fn routes() -> Routes {
    Routes::new().routes(routes!(list_dead_letters))
}

/// Name of the list in its cursors.
const DEAD_LETTERS: &str = "dead-letters";

/// State of a dead letter.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum LetterState {
    /// Nobody has dealt with it.
    Open,
}

/// Which dead letters.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeadLetterQuery {
    /// Only in this state.
    #[param(inline)]
    state: Option<LetterState>,
    /// `nextCursor` of the page before; none for the first page.
    cursor: Option<String>,
    /// Items of the page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    limit: PageLimit,
}

/// A header of a record.
#[derive(Serialize, ToSchema)]
struct HeaderResponse {
    /// Its name.
    name: String,
    /// Its value.
    value: Raw,
}

/// A record that could not be counted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeadLetterResponse {
    /// Ascends in the order of setting aside.
    id: i64,
    /// Where it came from.
    topic: String,
    /// Where it came from.
    partition: i32,
    /// Where it came from.
    offset: i64,
    /// When the bus took it.
    #[schema(format = DateTime)]
    kept_at: String,
    /// When it was set aside.
    #[schema(format = DateTime)]
    set_aside_at: String,
    /// Why, as a name of a fixed set.
    #[schema(example = "UNKNOWN_VERSION")]
    cause: String,
    /// Why, for people.
    detail: String,
    /// Times it was tried.
    attempts: u32,
    /// `OPEN`, or what was made of it.
    #[schema(example = "OPEN")]
    state: String,
    /// Its event id, where one can be read.
    #[schema(required = true)]
    event_id: Option<Uuid>,
    /// Its type, where one can be read.
    #[schema(required = true)]
    event_type: Option<String>,
    /// Whose sequence it counts in, where that can be read.
    #[schema(required = true)]
    aggregate_type: Option<String>,
    /// Which of them, where that can be read.
    #[schema(required = true)]
    aggregate_id: Option<String>,
    /// Its place in that sequence, where one can be read.
    #[schema(required = true)]
    sequence: Option<i64>,
    /// Its key.
    key: Raw,
    /// Its headers.
    headers: Vec<HeaderResponse>,
    /// Its value.
    value: Raw,
}

impl From<DeadLetter> for DeadLetterResponse {
    fn from(letter: DeadLetter) -> Self {
        let header = |(name, value): (String, bytes::Bytes)| HeaderResponse { name, value: Raw::of(&value) };
        Self {
            id: letter.id,
            topic: letter.topic,
            partition: letter.partition,
            offset: letter.offset,
            kept_at: time(letter.kept_at_us),
            set_aside_at: time(letter.set_aside_at_us),
            cause: letter.cause,
            detail: letter.detail,
            attempts: letter.attempts,
            state: letter.state,
            event_id: letter.identity.event_id,
            event_type: letter.identity.event_type,
            aggregate_type: letter.identity.aggregate_type,
            aggregate_id: letter.identity.aggregate_id,
            sequence: letter.identity.sequence,
            key: Raw::of(&letter.key),
            headers: letter.headers.into_iter().map(header).collect(),
            value: Raw::of(&letter.value),
        }
    }
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
    let state = query.state.map(|LetterState::Open| "OPEN");
    let rows = u64::from(query.limit.get()) + 1;
    let letters = api.queries.dead_letters(state, before, rows).await?;
    let page = Page::from_rows(letters, query.limit, |letter| cursor::encode(DEAD_LETTERS, &letter.id));
    Ok(Json(page.map(DeadLetterResponse::from)))
}
