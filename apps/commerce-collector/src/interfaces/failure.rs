//! What a handler gives back instead of an answer.

use axum::response::{IntoResponse, Response};
use commerce_batch::BatchError;
use commerce_boards::BoardError;
use commerce_http::Problem;
use http::StatusCode;

use crate::application::Chain;
use crate::application::jobs::JobError;
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

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        let conflict = |code, title| Problem::new(StatusCode::CONFLICT, code, title);
        let detail = error.to_string();
        match error {
            JobError::Store(error) => error.into(),
            JobError::NoSuchExecution(_) => {
                Self(Problem::not_found("EXECUTION_NOT_FOUND", "There is no such execution", &detail))
            }
            JobError::NotRunning(_) => {
                Self(conflict("JOB_NOT_RUNNING", "The execution is not running").detail(detail))
            }
            JobError::NotBegun(_) => {
                Self(conflict("PERIOD_NOT_BEGUN", "No day of the period is over").detail(detail))
            }
            JobError::Batch(BatchError::Running { execution }) => {
                Self(conflict("JOB_RUNNING", "The job is already running").extra("executionId", execution))
            }
            JobError::Batch(BatchError::Complete { execution }) => {
                Self(conflict("JOB_COMPLETE", "The job is already complete").extra("executionId", execution))
            }
            JobError::Batch(BatchError::StartLimit { .. }) => {
                Self(conflict("JOB_FAILED_TOO_OFTEN", "The job failed too often").detail(detail))
            }
            JobError::Batch(error) => {
                tracing::error!(error = %Chain(&error), "a job was not started");
                Self(unavailable())
            }
        }
    }
}

fn unavailable() -> Problem {
    Problem::unavailable("STORAGE_UNAVAILABLE", "Storage cannot be reached now", RETRY_AFTER_S)
}
