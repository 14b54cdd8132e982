//! The administrators' lists.

use axum::extract::State;
use commerce_api_application::ports::{OrderFilter, Profile};
use commerce_api_domain::UserId;
use commerce_http::{Caller, Json, Page, PageLimit, Query};
use serde::Deserialize;
use utoipa_axum::routes;

use super::names::OrderStatus;
use super::orders::{OrderResponse, order_page, position};
use super::paging::{PageQuery, after, page, rows};
use super::users::UserResponse;
use super::{Routes, Shared};
use crate::interfaces::auth;
use crate::interfaces::failure::Answered;
use crate::interfaces::input::Id;
use crate::interfaces::problems::{AdminOnly, Always, BadParameter};

pub fn routes() -> Routes {
    Routes::new().routes(routes!(list_orders)).routes(routes!(list_users))
}

const USERS: &str = "users";

/// Which orders to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct OrderListQuery {
    /// Only this customer's.
    #[param(value_type = Option<i64>, minimum = 1)]
    user_id: Option<Id>,
    /// Only in this state.
    status: Option<OrderStatus>,
    /// `nextCursor` of the page before; none for the first page.
    cursor: Option<String>,
    /// Items of the page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    limit: PageLimit,
}

/// Orders of all customers, newest first.
#[utoipa::path(
    get, path = "/api/v1/admin/orders", operation_id = "listOrders", tag = "admin",
    params(OrderListQuery),
    responses(
        (status = 200, description = "A page", body = Page<OrderResponse>),
        BadParameter, AdminOnly, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn list_orders(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Query(query): Query<OrderListQuery>,
) -> Answered<Json<Page<OrderResponse>>> {
    let filter = OrderFilter {
        user: query.user_id.map(|id| UserId(id.get())),
        status: query.status.map(Into::into),
        after: position(query.cursor.as_deref())?,
        limit: rows(query.limit),
    };
    Ok(Json(order_page(api.orders.orders(&auth::caller(caller), filter).await?, query.limit)))
}

/// Accounts by id.
#[utoipa::path(
    get, path = "/api/v1/admin/users", operation_id = "listUsers", tag = "admin",
    params(PageQuery),
    responses(
        (status = 200, description = "A page", body = Page<UserResponse>),
        BadParameter, AdminOnly, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn list_users(
    State(api): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Answered<Json<Page<UserResponse>>> {
    let after = after(USERS, query.cursor.as_deref())?.map(UserId);
    let users = api.admin.users(after, rows(query.limit)).await?;
    Ok(Json(page((USERS, query.limit), users, |user: &Profile| user.id.0, UserResponse::from)))
}
