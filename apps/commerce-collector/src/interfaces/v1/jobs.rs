use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use commerce_batch::{ExecutionView, Status, StepView};
use commerce_boards as boards;
use commerce_http::{Json, Page, PageLimit, Path, Query, cursor};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::rankings::Period;
use super::{Routes, Shared};
use crate::interfaces::failure::Answered;
use crate::interfaces::input::{Day, ExecutionId, time};
use crate::interfaces::problems::{
    AdminOnly, Always, BadBody, BadParameter, ExecutionInPath, JobRefused, NoExecution,
};

pub fn routes() -> Routes {
    Routes::new().routes(routes!(list_jobs, start_job)).routes(routes!(show_job)).routes(routes!(stop_job))
}

/// Name of the list in its cursors.
const JOBS: &str = "jobs";

/// How an execution or step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum JobStatus {
    /// At work; where its lease has run out, its runner died.
    Started,
    /// Done.
    Completed,
    /// Stopped when it was asked to; the next start goes on.
    Stopped,
    /// Ended by an error; the next start goes on.
    Failed,
    /// It was not known whether its last chunk was committed; the next start finds out.
    Unknown,
    /// Its runner died, and another took over.
    Abandoned,
}

impl From<Status> for JobStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Started => Self::Started,
            Status::Completed => Self::Completed,
            Status::Stopped => Self::Stopped,
            Status::Failed => Self::Failed,
            Status::Unknown => Self::Unknown,
            Status::Abandoned => Self::Abandoned,
        }
    }
}

/// Which executions.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct JobsQuery {
    /// `nextCursor` of the page before; none for the first page.
    cursor: Option<String>,
    /// Items of the page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    limit: PageLimit,
}

/// An attempt to run a job.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ExecutionResponse {
    /// Ascends.
    #[schema(example = 12)]
    id: i64,
    /// `daily`, `weekly`, `monthly` or `retention`.
    #[schema(example = "weekly")]
    job: String,
    /// The period that it works on.
    #[schema(example = "W202647")]
    period: String,
    /// How it is.
    status: JobStatus,
    /// Its runner did not renew its lease: it died.
    lease_over: bool,
    /// Somebody asked it to stop.
    stop_requested: bool,
    /// The state of the input that it works on.
    input: String,
    /// Started.
    #[schema(format = DateTime)]
    started_at: String,
    /// Ended.
    #[schema(required = true, format = DateTime)]
    ended_at: Option<String>,
    /// Why it ended as it did.
    #[schema(required = true)]
    message: Option<String>,
}

impl From<ExecutionView> for ExecutionResponse {
    fn from(execution: ExecutionView) -> Self {
        Self {
            id: execution.id,
            job: execution.job,
            period: execution.parameters,
            status: execution.status.into(),
            lease_over: execution.lease_over,
            stop_requested: execution.stop_requested,
            input: execution.input,
            started_at: time(execution.started_at_us),
            ended_at: execution.ended_at_us.map(time),
            message: execution.message,
        }
    }
}

/// An item that was left out.
#[derive(Serialize, ToSchema)]
struct SkipResponse {
    /// Its key.
    key: i64,
    /// What it could not pass: `PROCESS` or `WRITE`.
    phase: String,
    /// Why, as a name of a fixed set.
    kind: String,
}

/// A step of an execution; its counters go on over restarts.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StepResponse {
    /// Its name.
    name: String,
    /// How it is.
    status: JobStatus,
    /// Key of the last item that is done with.
    #[schema(required = true)]
    cursor: Option<i64>,
    /// Items read.
    read: i64,
    /// Items written.
    written: i64,
    /// Items that needed no writing.
    filtered: i64,
    /// Items that could not be processed.
    process_skips: i64,
    /// Items that could not be written.
    write_skips: i64,
    /// Chunks committed.
    commits: i64,
    /// Chunks rolled back.
    rollbacks: i64,
    /// Items left out, the first 100.
    skips: Vec<SkipResponse>,
}

impl From<StepView> for StepResponse {
    fn from(step: StepView) -> Self {
        let counters = step.counters;
        let skip = |(key, phase, kind)| SkipResponse { key, phase, kind };
        Self {
            name: step.step,
            status: step.status.into(),
            cursor: step.cursor,
            read: counters.read,
            written: counters.written,
            filtered: counters.filtered,
            process_skips: counters.process_skips,
            write_skips: counters.write_skips,
            commits: counters.commits,
            rollbacks: counters.rollbacks,
            skips: step.skips.into_iter().map(skip).collect(),
        }
    }
}

/// An execution and its steps.
#[derive(Serialize, ToSchema)]
struct JobResponse {
    /// The execution.
    execution: ExecutionResponse,
    /// Its steps.
    steps: Vec<StepResponse>,
}

/// What was run, latest first.
#[utoipa::path(
    get, path = "/api/v1/jobs", operation_id = "listJobs", tag = "operations",
    params(JobsQuery),
    responses(
        (status = 200, description = "A page", body = Page<ExecutionResponse>),
        BadParameter, AdminOnly, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn list_jobs(
    State(api): State<Shared>,
    Query(query): Query<JobsQuery>,
) -> Answered<Json<Page<ExecutionResponse>>> {
    let before = query.cursor.map(|cursor| cursor::decode(JOBS, &cursor)).transpose()?;
    let executions = api.jobs.executions(before, u64::from(query.limit.get()) + 1).await?;
    let page = Page::from_rows(executions, query.limit, |execution| cursor::encode(JOBS, &execution.id));
    Ok(Json(page.map(ExecutionResponse::from)))
}

/// An execution, its steps and what they left out.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}", operation_id = "getJob", tag = "operations",
    params(ExecutionInPath),
    responses(
        (status = 200, description = "The execution", body = JobResponse),
        BadParameter, AdminOnly, NoExecution, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn show_job(
    State(api): State<Shared>,
    Path(ExecutionId(id)): Path<ExecutionId>,
) -> Answered<Json<JobResponse>> {
    let (execution, steps) = api.jobs.execution(id).await?;
    Ok(Json(JobResponse {
        execution: execution.into(),
        steps: steps.into_iter().map(StepResponse::from).collect(),
    }))
}

/// Which job.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StartRequest {
    /// Length of the period.
    period: Period,
    /// Any day of the period, `yyyyMMdd`.
    date: Day,
    /// Also what is complete, or failed too often.
    #[serde(default)]
    force: bool,
}

/// What was begun.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StartedResponse {
    /// The execution; look at it to learn how it goes.
    #[schema(example = 12)]
    execution_id: i64,
}

/// Closes a day, or aggregates and ranks a week or month; answered when it has begun.
#[utoipa::path(
    post, path = "/api/v1/jobs", operation_id = "startJob", tag = "operations",
    request_body = StartRequest,
    responses(
        (status = 202, description = "It runs", body = StartedResponse),
        BadBody, AdminOnly, JobRefused, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn start_job(State(api): State<Shared>, Json(request): Json<StartRequest>) -> Answered<Response> {
    let StartRequest { period, date: Day(day), force } = request;
    let execution_id = api.jobs.start(boards::Period::of(period.into(), day), force).await?;
    Ok((StatusCode::ACCEPTED, Json(StartedResponse { execution_id })).into_response())
}

/// Asks an execution to stop at the edge of its chunk; the next start goes on from there.
#[utoipa::path(
    post, path = "/api/v1/jobs/{id}/stop", operation_id = "stopJob", tag = "operations",
    params(ExecutionInPath),
    responses(
        (status = 202, description = "It was asked to"), BadParameter, AdminOnly, NoExecution, JobRefused, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn stop_job(State(api): State<Shared>, Path(ExecutionId(id)): Path<ExecutionId>) -> Answered<Response> {
    api.jobs.stop_execution(id).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}
