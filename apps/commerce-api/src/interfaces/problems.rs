//! Problems as the `OpenAPI` document describes them.

use commerce_http::ProblemDocument;
use commerce_http::problem::PROBLEM_JSON;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{ContentBuilder, Ref, RefOr};
use utoipa::{IntoParams, ToSchema};

/// A status and the codes that come with it.
pub fn response((status, codes): (u16, &str)) -> (String, RefOr<Response>) {
    let schema = Ref::from_schema_name(ProblemDocument::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let response = ResponseBuilder::new().description(codes).content(PROBLEM_JSON, content).build();
    (status.to_string(), RefOr::T(response))
}

/// The problems that some operations have in common.
macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident { $($status:literal => $codes:expr),+ $(,)? })+) => {$(
        $(#[$doc])*
        pub struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<
                String,
                utoipa::openapi::RefOr<utoipa::openapi::response::Response>,
            > {
                [$(($status, $codes)),+].into_iter().map($crate::interfaces::problems::response).collect()
            }
        }
    )+};
}
pub(crate) use problems;

/// Of every operation.
pub const RATE_LIMITED: &str = "RATE_LIMITED; `Retry-After` says when to try again";

problems! {
    /// Every operation: a bad token is refused also where none is needed.
    Always {
        401 => "AUTHENTICATION_REQUIRED, INVALID_TOKEN",
        429 => RATE_LIMITED,
        500 => "INTERNAL_ERROR",
        503 => "STORAGE_UNAVAILABLE, SESSIONS_UNAVAILABLE",
    }
    /// Operations at the order or like desk.
    AtDesk {
        401 => "AUTHENTICATION_REQUIRED, INVALID_TOKEN",
        429 => RATE_LIMITED,
        500 => "INTERNAL_ERROR",
        503 => "DESK_OVERLOADED, STORAGE_UNAVAILABLE, OUTCOME_UNKNOWN, SESSIONS_UNAVAILABLE",
    }
    /// Operations with path or query parameters.
    BadParameter { 400 => "INVALID_PARAMETER, UNKNOWN_PARAMETER, INVALID_CURSOR" }
    /// Operations with a body.
    BadBody {
        400 => "MALFORMED_REQUEST, UNKNOWN_FIELD, INVALID_PARAMETER",
        408 => "REQUEST_TIMEOUT",
        413 => "PAYLOAD_TOO_LARGE",
        415 => "UNSUPPORTED_MEDIA_TYPE",
    }
    /// Operations with a body and an `Idempotency-Key`.
    BadKeyed {
        400 => "MALFORMED_REQUEST, UNKNOWN_FIELD, INVALID_PARAMETER, IDEMPOTENCY_KEY_REQUIRED, \
                IDEMPOTENCY_KEY_INVALID",
        408 => "REQUEST_TIMEOUT",
        413 => "PAYLOAD_TOO_LARGE",
        415 => "UNSUPPORTED_MEDIA_TYPE",
    }
    /// Operations without a body that need an `Idempotency-Key`.
    BadKey { 400 => "INVALID_PARAMETER, IDEMPOTENCY_KEY_REQUIRED, IDEMPOTENCY_KEY_INVALID" }
    /// Operations of administrators.
    AdminOnly { 403 => "ACCESS_DENIED" }
}

/// The header of keyed operations.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its document is used")]
pub struct KeyHeader {
    /// A new unique key for every new operation, the same key when one is repeated: it is then done once, and the
    /// repetition gets the first answer with `Idempotent-Replayed: true`. Kept 24 hours.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]{1,255}$",
        example = "0198f2a1-order-1"
    )]
    idempotency_key: String,
}

/// The header of conditional updates.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its document is used")]
pub struct IfMatchHeader {
    /// The `ETag` of the version that the change is made on.
    #[param(rename = "If-Match", pattern = "^\"v[0-9]{1,18}\"$", example = "\"v3\"")]
    if_match: String,
}

/// The number in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its document is used")]
pub struct NumberInPath {
    /// Which one.
    #[param(minimum = 1, example = 7)]
    id: i64,
}

/// The UUID in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its document is used")]
pub struct UuidInPath {
    /// Which one.
    id: uuid::Uuid,
}
