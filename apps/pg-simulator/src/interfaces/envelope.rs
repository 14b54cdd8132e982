use axum::response::{IntoResponse, Response};
use commerce_contracts::gateway::{CallResult, Envelope, Meta};
use commerce_database::DatabaseError;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;

/// An answer that went well.
pub(super) fn success<T: Serialize>(data: T) -> Response {
    let meta = Meta { result: CallResult::Success, error_code: None, message: None };
    respond(StatusCode::OK, &Envelope { meta, data: Some(data) })
}

/// Why a call is not answered as it was asked. The text goes to the caller as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    BadRequest(String),
    NotFound(String),
    MethodNotAllowed,
    Internal(&'static str),
}

impl Refused {
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::BadRequest(message.into())
    }

    pub(super) fn no_route() -> Self {
        Self::NotFound("the gateway has no such call".to_owned())
    }
}

impl From<DatabaseError> for Refused {
    fn from(error: DatabaseError) -> Self {
        tracing::error!(%error, "the simulator's database failed");
        Self::Internal("the gateway's database failed; see its log")
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::BadRequest(message) => (StatusCode::BAD_REQUEST, message),
            Self::NotFound(message) => (StatusCode::NOT_FOUND, message),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "this call has another method".to_owned())
            }
            Self::Internal(message) => (StatusCode::INTERNAL_SERVER_ERROR, message.to_owned()),
        };
        let error_code = status.canonical_reason().map(str::to_owned);
        let meta = Meta { result: CallResult::Fail, error_code, message: Some(message) };
        respond(status, &Envelope::<()> { meta, data: None })
    }
}

fn respond<T: Serialize>(status: StatusCode, envelope: &Envelope<T>) -> Response {
    match serde_json::to_vec(envelope) {
        Ok(body) => (status, [(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be serialised");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
