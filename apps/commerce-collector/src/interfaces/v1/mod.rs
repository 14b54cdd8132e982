//! Version 1 of the API.

mod boards;
mod consumer;
mod dead_letters;
mod jobs;
mod lag;
mod metrics;
mod rankings;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use super::{Facades, docs};

/// What handlers share.
type Shared = Arc<Facades>;

/// A route and what it says of itself; only such routes exist.
type Routes = OpenApiRouter<Shared>;

/// Every route.
pub fn router() -> Routes {
    [
        rankings::routes(),
        metrics::routes(),
        boards::routes(),
        dead_letters::routes(),
        jobs::routes(),
        consumer::routes(),
        lag::routes(),
    ]
    .into_iter()
    .fold(Routes::with_openapi(docs::frame()), Routes::merge)
}
