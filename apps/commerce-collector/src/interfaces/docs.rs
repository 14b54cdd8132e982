//! The `OpenAPI` document and the page that shows it, and the `AsyncAPI` document of the events.

use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use commerce_http::{FieldError, ProblemDocument};
use http::HeaderValue;
use http::header::{REFERRER_POLICY, X_FRAME_OPTIONS};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, OpenApi};
use utoipa::{Modify, OpenApi as _};
use utoipa_swagger_ui::{Config, SwaggerUi};

/// Where the document is.
pub const DOCUMENT_PATH: &str = "/v3/api-docs";
/// Where the page is.
pub const PAGE_PATH: &str = "/swagger-ui.html";
/// Where the `AsyncAPI` document is.
pub const EVENTS_PATH: &str = commerce_contracts::asyncapi::DOCUMENT_PATH;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Commerce Collector",
        description = "Ranking boards and metrics of products, counted from the shop's events. Days are business days \
                       of the shop's zone, written `yyyyMMdd`. Errors are RFC 9457 problems with a stable `code`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(ProblemDocument, FieldError)),
    modifiers(&Bearer),
    tags(
        (name = "rankings", description = "Boards of products"),
        (name = "metrics", description = "What was counted of a product"),
        (name = "operations", description = "For those who run the collector")
    )
)]
struct Document;

/// The security scheme that operations name.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The token of a session of commerce-api"))
            .build();
        let components = document.components.get_or_insert_with(Components::new);
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// What the document says besides its operations.
pub fn frame() -> OpenApi {
    Document::openapi()
}

/// The document and the page. They belong to no policy: whoever can reach the API may read how to call it.
pub fn router(document: OpenApi) -> Router {
    // Swagger UI would ask a validator on the internet otherwise.
    let config = Config::from(DOCUMENT_PATH).validator_url("none").try_it_out_enabled(true);
    let page: Router = SwaggerUi::new(PAGE_PATH).url(DOCUMENT_PATH, document).config(config).into();
    page.route_layer(map_response(shielded)).route(EVENTS_PATH, get(events))
}

/// What the collector reads. It is served here because this is the side that reads events, as whoever follows the
/// document does; it belongs to no policy either.
async fn events() -> Json<serde_json::Value> {
    Json(commerce_contracts::asyncapi::document())
}

/// The page sends requests with the token that it is given: no other page may frame it.
async fn shielded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
