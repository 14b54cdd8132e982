//! Problems as the `OpenAPI` document describes them.

use commerce_http::ProblemDocument;
use commerce_http::problem::PROBLEM_JSON;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{ContentBuilder, Ref, RefOr};
use utoipa::{IntoParams, ToSchema};

/// A status and the codes that come with it.
fn response((status, codes): (u16, &str)) -> (String, RefOr<Response>) {
    let schema = Ref::from_schema_name(ProblemDocument::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let response = ResponseBuilder::new().description(codes).content(PROBLEM_JSON, content).build();
    (status.to_string(), RefOr::T(response))
}

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident { $($status:literal => $codes:expr),+ $(,)? })+) => {$(
        $(#[$doc])*
        pub struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<String, RefOr<Response>> {
                [$(($status, $codes)),+].into_iter().map(response).collect()
            }
        }
    )+};
}

problems! {
    /// Every operation: a bad token is refused also where none is needed.
    Always {
        401 => "AUTHENTICATION_REQUIRED, INVALID_TOKEN",
        500 => "INTERNAL_ERROR",
        503 => "STORAGE_UNAVAILABLE, SESSIONS_UNAVAILABLE",
    }
    /// Operations with path or query parameters.
    BadParameter { 400 => "INVALID_PARAMETER, UNKNOWN_PARAMETER, INVALID_CURSOR" }
    /// Operations with a path and a body.
    BadBody {
        400 => "MALFORMED_REQUEST, UNKNOWN_FIELD, INVALID_PARAMETER",
        408 => "REQUEST_TIMEOUT",
        413 => "PAYLOAD_TOO_LARGE",
        415 => "UNSUPPORTED_MEDIA_TYPE",
    }
    /// Of an execution of a job.
    NoExecution { 404 => "EXECUTION_NOT_FOUND" }
    /// A job that is not started, or not stopped.
    JobRefused {
        409 => "JOB_RUNNING, JOB_COMPLETE, JOB_FAILED_TOO_OFTEN, JOB_NOT_RUNNING, PERIOD_NOT_BEGUN",
    }
    /// Operations with a body.
    BadJson {
        400 => "MALFORMED_REQUEST, UNKNOWN_FIELD",
        408 => "REQUEST_TIMEOUT",
        413 => "PAYLOAD_TOO_LARGE",
        415 => "UNSUPPORTED_MEDIA_TYPE",
    }
    /// Operations of administrators.
    AdminOnly { 403 => "ACCESS_DENIED" }
    /// Where no dead letter has that id.
    NoSuchLetter { 404 => "DEAD_LETTER_NOT_FOUND" }
    /// Of what is done with a dead letter.
    LetterProblems { 404 => "DEAD_LETTER_NOT_FOUND", 409 => "DEAD_LETTER_STATE_CONFLICT" }
    /// Of a consumer that runs.
    NotHalted { 409 => "CONSUMER_NOT_HALTED" }
}

/// The dead letter in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its document is used")]
pub struct LetterInPath {
    /// Which letter.
    #[param(minimum = 1, example = 7)]
    id: i64,
}

/// The product in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its document is used")]
pub struct ProductInPath {
    /// Which product.
    #[param(minimum = 1, example = 7)]
    id: i64,
}

/// The execution of a job in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its document is used")]
pub struct ExecutionInPath {
    /// Which execution.
    #[param(minimum = 1, example = 12)]
    id: i64,
}
