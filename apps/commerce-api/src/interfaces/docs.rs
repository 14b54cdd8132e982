//! The `OpenAPI` document and the page that shows it.

use axum::Router;
use commerce_http::{FieldError, ProblemDocument};
use commerce_webhook::SIGNATURE_HEADER;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, OpenApi};
use utoipa::{Modify, OpenApi as _};
use utoipa_swagger_ui::{Config, SwaggerUi};

/// Where the document is.
pub const DOCUMENT_PATH: &str = "/v3/api-docs";
/// Where the page is.
pub const PAGE_PATH: &str = "/swagger-ui.html";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Commerce API",
        description = "Users, points, catalogue, likes, coupons, orders and payments of a shop that does not oversell. \
                       Money is whole won. Lists are pages: send `nextCursor` back as `cursor`. Errors are RFC 9457 \
                       problems with a stable `code`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(ProblemDocument, FieldError)),
    modifiers(&Schemes),
    tags(
        (name = "users", description = "Accounts"),
        (name = "sessions", description = "Logging in and out"),
        (name = "points", description = "Balance, ledger and charges"),
        (name = "brands", description = "Brands"),
        (name = "products", description = "Products, their likes and their stock"),
        (name = "rankings", description = "Boards of products"),
        (name = "likes", description = "What a customer likes"),
        (name = "coupons", description = "Coupons and who has them"),
        (name = "orders", description = "Placing, seeing and cancelling orders"),
        (name = "payments", description = "Payments and their history"),
        (name = "admin", description = "For those who run the shop"),
        (name = "demo", description = "Demo mode only")
    )
)]
struct Document;

/// The security schemes that operations name.
struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The token of `POST /api/v1/sessions`"))
            .build();
        let components = document.components.get_or_insert_with(Components::new);
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        let signature = ApiKeyValue::with_description(
            SIGNATURE_HEADER,
            "HMAC-SHA-256 over `webhook-id.webhook-timestamp.body`, after Standard Webhooks",
        );
        components.add_security_scheme("signature", SecurityScheme::ApiKey(ApiKey::Header(signature)));
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
    SwaggerUi::new(PAGE_PATH).url(DOCUMENT_PATH, document).config(config).into()
}
