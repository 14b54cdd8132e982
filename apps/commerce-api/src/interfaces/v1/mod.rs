//! Version 1 of the API.

mod admin;
mod admin_breakers;
mod admin_payments;
mod brands;
mod callback;
mod coupons;
mod demo;
mod likes;
mod names;
mod orders;
mod paging;
mod payments;
mod points;
mod products;
mod rankings;
mod reconciliations;
mod sessions;
mod stock_movements;
mod users;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use super::{Facades, docs};

/// What handlers share.
pub type Shared = Arc<Facades>;

/// A route and what it says of itself; only such routes exist.
type Routes = OpenApiRouter<Shared>;

/// Every route.
pub fn router() -> Routes {
    let parts: [fn() -> Routes; 17] = [
        users::routes,
        sessions::routes,
        points::routes,
        brands::routes,
        products::routes,
        rankings::routes,
        stock_movements::routes,
        likes::routes,
        coupons::routes,
        orders::routes,
        payments::routes,
        callback::routes,
        admin::routes,
        admin_payments::routes,
        reconciliations::routes,
        admin_breakers::routes,
        demo::routes,
    ];
    parts.into_iter().fold(Routes::with_openapi(docs::frame()), |all, part| all.merge(part()))
}
