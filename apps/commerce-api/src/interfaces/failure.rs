//! What a handler gives back instead of an answer.

use std::error::Error;
use std::fmt;

use axum::response::{IntoResponse, Response};
use commerce_api_application::desk::SubmitError;
use commerce_api_application::payments::CallbackError;
use commerce_api_application::ports::{StorageError, UpdateRefused};
use commerce_http::Problem;
use http::StatusCode;

/// Seconds after which it is worth to try again.
const RETRY_AFTER_S: u64 = 1;

/// A problem on its way out of a handler.
pub struct Failure(Problem);

/// What a handler answers.
pub type Answered<T = Response> = Result<T, Failure>;

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self(storage(&error))
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        Self(undecided(error))
    }
}

impl From<CallbackError> for Failure {
    fn from(error: CallbackError) -> Self {
        match error {
            CallbackError::Storage(error) => error.into(),
            CallbackError::Desk(error) => error.into(),
        }
    }
}

fn storage(error: &StorageError) -> Problem {
    tracing::error!(error = %Chain(error), "storage failed");
    match error {
        StorageError::Transient(_) | StorageError::Unavailable(_) => {
            Problem::unavailable("STORAGE_UNAVAILABLE", "Storage cannot be reached now", RETRY_AFTER_S)
        }
        // Trying again does not help.
        StorageError::Data(_) => Problem::internal(),
    }
}

fn undecided(error: SubmitError) -> Problem {
    match error {
        SubmitError::Overloaded => {
            Problem::unavailable("DESK_OVERLOADED", "Too many requests wait", RETRY_AFTER_S)
                .detail("nothing was done; try again")
        }
        SubmitError::Unavailable => {
            Problem::unavailable("STORAGE_UNAVAILABLE", "Storage cannot be reached now", RETRY_AFTER_S)
                .detail("nothing was done; try again")
        }
        SubmitError::OutcomeUnknown => {
            Problem::unavailable("OUTCOME_UNKNOWN", "It may or may not have been done", RETRY_AFTER_S)
                .detail("repeat the request with the same Idempotency-Key: it is done once")
        }
        SubmitError::Failed => Problem::internal(),
    }
}

/// The problem of a change of the catalogue; `taken` is the code of a unique text that is taken.
pub fn update_refused(error: &UpdateRefused, taken: &'static str) -> Problem {
    match error {
        UpdateRefused::NotFound => product_not_found(),
        UpdateRefused::BrandNotFound => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "BRAND_NOT_FOUND", "The brand does not exist")
                .detail("no brand has the id of brandId")
                .field("/brandId", "no such brand")
        }
        UpdateRefused::Taken(_) => {
            Problem::new(StatusCode::CONFLICT, taken, "It is taken").detail(error.to_string())
        }
        UpdateRefused::VersionMismatch { .. } => Problem::precondition_failed(),
        UpdateRefused::Storage(error) => storage(error),
    }
}

/// 404 `PRODUCT_NOT_FOUND`.
pub fn product_not_found() -> Problem {
    Problem::not_found("PRODUCT_NOT_FOUND", "The product does not exist", "no product has this id")
}

/// 404 `USER_NOT_FOUND`.
pub fn user_not_found() -> Problem {
    Problem::not_found("USER_NOT_FOUND", "The account does not exist", "no account has this id")
}

/// An error and its sources in one line.
struct Chain<'a>(&'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        std::iter::successors(self.0.source(), |&error| error.source())
            .try_for_each(|error| write!(f, ": {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lack_of_a_decision_has_its_code() {
        let codes = [
            (SubmitError::Overloaded, 503, "DESK_OVERLOADED"),
            (SubmitError::Unavailable, 503, "STORAGE_UNAVAILABLE"),
            (SubmitError::OutcomeUnknown, 503, "OUTCOME_UNKNOWN"),
            (SubmitError::Failed, 500, "INTERNAL_ERROR"),
        ];
        for (error, status, code) in codes {
            let problem = undecided(error);
            assert_eq!((problem.status().as_u16(), problem.code()), (status, code));
            let retry = problem.into_response().headers().contains_key("retry-after");
            assert_eq!(retry, status == 503, "{error}");
        }
    }

    #[test]
    fn storage_errors_tell_nothing_of_the_driver() {
        let down = StorageError::Unavailable("file /secret is gone".into());
        assert_eq!(Chain(&down).to_string(), "storage is unavailable: file /secret is gone");
        let problem = storage(&down);
        assert_eq!((problem.status().as_u16(), problem.code()), (503, "STORAGE_UNAVAILABLE"));
        let body = problem.to_bytes(&commerce_http::RequestContext::detached());
        assert!(!String::from_utf8_lossy(&body).contains("secret"));
        assert_eq!(storage(&StorageError::Data("x".into())).code(), "INTERNAL_ERROR");
    }
}
