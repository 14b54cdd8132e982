//! Answers of the order desk: made inside of the transaction, stored under the caller's key, sent as they were stored.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use commerce_api_application::desk::{DeskReply, Encode, KeyedRequest, SubmitError};
use commerce_api_application::ports::Answer;
use commerce_api_application::{Caller, Idempotency};
use commerce_api_domain::Outcome;
use commerce_http::problem::PROBLEM_JSON;
use commerce_http::{IdempotencyKey, Problem, RequestContext};
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use super::failure::{Answered, Failure};
use super::refusal::{self, Names};

/// Tells that an answer was given before.
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Seconds after which a 202 is worth asking about.
const RETRY_AFTER_S: u64 = 1;

/// What an outcome looks like.
pub struct Shown {
    status: StatusCode,
    location: Option<String>,
    body: Vec<u8>,
}

impl Shown {
    /// `body` under `status`; none where it cannot be JSON, which would be a bug of ours.
    pub fn new(status: StatusCode, location: Option<String>, body: &impl Serialize) -> Option<Self> {
        serde_json::to_vec(body).ok().map(|body| Self { status, location, body })
    }
}

/// How a decision is answered. It runs in the desk's transaction, away from the request, so it keeps the request's
/// trace and path; `names` says what of a refusal stands in the path.
pub fn encode(names: Names, show: impl Fn(&Outcome) -> Option<Shown> + Send + Sync + 'static) -> Encode {
    let context = RequestContext::current();
    let refuse = move |problem: &Problem, context: &RequestContext| Answer {
        status: problem.status().as_u16(),
        location: None,
        body: problem.to_bytes(context),
    };
    Arc::new(move |decision| match decision {
        Ok(outcome) => {
            let Some(Shown { status, location, body }) = show(outcome) else {
                tracing::error!(?outcome, "the outcome cannot be shown");
                return refuse(&Problem::internal(), &context);
            };
            Answer { status: status.as_u16(), location: location.map(Into::into), body: Bytes::from(body) }
        }
        Err(refusal) => refuse(&refusal::problem(refusal, names), &context),
    })
}

/// Ties a request to its key. `request` is all that it asks for: path parameters and the body as it was understood,
/// so that a field left out is the same as its default.
pub fn keyed(
    idempotency: &Idempotency,
    caller: &Caller,
    (route, key): (&'static str, &IdempotencyKey),
    request: &impl Serialize,
    encode: Encode,
) -> Answered<KeyedRequest> {
    let canonical = serde_json::to_vec(request).map_err(|error| {
        tracing::error!(%error, route, "the request cannot be made canonical");
        Failure::from(Problem::internal())
    })?;
    Ok(idempotency.request(caller.user, route, key.as_str(), &canonical, encode))
}

/// The response to what the desk replied.
pub fn respond(reply: Result<DeskReply, SubmitError>) -> Answered {
    match reply? {
        DeskReply::Decided { answer: Some(answer), .. } | DeskReply::Confirmed(answer) => Ok(send(answer)),
        DeskReply::Replayed(answer) => {
            let mut response = send(answer);
            response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
            Ok(response)
        }
        DeskReply::KeyReused => Err(Problem::idempotency_key_reused().into()),
        DeskReply::Decided { decision, answer: None } => {
            tracing::error!(?decision, "a keyed command was decided without an answer");
            Err(Problem::internal().into())
        }
    }
}

fn send(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let is_problem = status.is_client_error() || status.is_server_error();
    let content_type = if is_problem { PROBLEM_JSON } else { "application/json" };
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(location) = answer.location.and_then(|location| HeaderValue::from_str(&location).ok()) {
        headers.insert(LOCATION, location);
    }
    if status == StatusCode::ACCEPTED {
        headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    }
    response
}

#[cfg(test)]
mod tests {
    use commerce_api_domain::Refusal;

    use super::*;

    fn answer(status: u16) -> Answer {
        Answer { status, location: Some("/api/v1/orders/7".into()), body: Bytes::from_static(b"{}") }
    }

    #[test]
    fn only_a_replay_says_so() {
        let decision = Box::new(Err(Refusal::OrderNotFound));
        let replies = [
            (DeskReply::Decided { decision, answer: Some(answer(201)) }, false),
            (DeskReply::Confirmed(answer(201)), false),
            (DeskReply::Replayed(answer(201)), true),
        ];
        for (reply, replayed) in replies {
            let response = respond(Ok(reply)).ok().unwrap();
            assert_eq!(response.status(), 201);
            assert_eq!(response.headers()[LOCATION], "/api/v1/orders/7");
            assert_eq!(response.headers().contains_key(IDEMPOTENT_REPLAYED), replayed);
        }
    }

    #[test]
    fn an_accepted_answer_tells_when_to_ask_and_a_problem_its_type() {
        let accepted = send(answer(202));
        assert_eq!(accepted.headers()[RETRY_AFTER], "1");
        assert_eq!(accepted.headers()[CONTENT_TYPE], "application/json");
        let refused = send(answer(409));
        assert_eq!(refused.headers()[CONTENT_TYPE], PROBLEM_JSON);
        assert!(!refused.headers().contains_key(RETRY_AFTER));
    }

    #[test]
    fn a_reused_key_is_refused() {
        let response = respond(Ok(DeskReply::KeyReused)).err().unwrap().into_response();
        assert_eq!(response.status(), 422);
    }

    #[tokio::test]
    async fn a_stored_refusal_names_the_request_that_it_refused() {
        let context = RequestContext {
            trace_id: [0xab; 16],
            span_id: [1; 8],
            sampled: true,
            path: "/api/v1/orders".into(),
        };
        let encode = context.scope(async { encode(Names::InBody, |_| None) }).await;
        // As the desk does: outside of the request.
        let answer = encode(Err(&Refusal::OrderNotFound));
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["instance"], "/api/v1/orders");
        assert_eq!(body["traceId"], "ab".repeat(16));
        assert_eq!((answer.status, body["code"].as_str()), (404, Some("ORDER_NOT_FOUND")));
    }
}
