//! What a handler gives back instead of an answer.

use axum::response::{IntoResponse, Response};
use commerce_boards::BoardError;
use commerce_http::Problem;

use crate::application::Chain;
use crate::application::ports::{BoxError, StoreError};

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

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = %Chain(&error), "storage failed");
        match error {
            // Trying again does not help.
            StoreError::Data(_) => Self(Problem::internal()),
            StoreError::Unavailable(_) | StoreError::Fenced => Self(unavailable()),
        }
    }
}

impl From<BoardError> for Failure {
    fn from(error: BoardError) -> Self {
        tracing::error!(error = %Chain(&error), "the boards cannot be read");
        Self(unavailable())
    }
}

impl From<BoxError> for Failure {
    fn from(error: BoxError) -> Self {
        tracing::error!(error = %Chain(&*error), "the lag is not known");
        Self(unavailable())
    }
}

fn unavailable() -> Problem {
    Problem::unavailable("STORAGE_UNAVAILABLE", "Storage cannot be reached now", RETRY_AFTER_S)
}
