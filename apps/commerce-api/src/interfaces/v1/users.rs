//! Accounts.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use commerce_api_application::ports::Profile;
use commerce_api_application::{AccountError, SignUp};
use commerce_api_domain::UserId;
use commerce_http::{Caller, Json, Problem};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Routes, Shared};
use crate::interfaces::failure::{Answered, Failure, user_not_found};
use crate::interfaces::input::{Time, Won, invalid};
use crate::interfaces::problems::{Always, BadBody, problems};

use super::names::Role;

pub fn routes() -> Routes {
    Routes::new().routes(routes!(sign_up)).routes(routes!(my_profile))
}

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SignUpRequest {
    /// 3 to 30 letters, digits, `_`, `-` or `.`; upper and lower case are the same.
    #[schema(min_length = 3, max_length = 30, example = "shopper1")]
    login_id: String,
    /// E-mail address, unique.
    #[schema(max_length = 254, example = "shopper1@example.com")]
    email: String,
    /// 8 to 128 characters.
    #[schema(min_length = 8, max_length = 128, format = Password, example = "correct horse battery")]
    password: String,
    /// Date of birth, if you tell it.
    #[schema(format = Date, example = "1999-12-31")]
    birth_date: Option<String>,
    /// `F`, `M` or `X`, if you tell it.
    #[schema(example = "F")]
    gender: Option<String>,
}

/// An account, as its owner and administrators see it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserResponse {
    /// Which account.
    #[schema(example = 7)]
    id: i64,
    /// Login id, in lower case.
    #[schema(example = "shopper1")]
    login_id: String,
    /// E-mail address, in lower case.
    #[schema(example = "shopper1@example.com")]
    email: String,
    /// What the user may do.
    role: Role,
    /// Date of birth, if told.
    #[schema(required = true, example = "1999-12-31")]
    birth_date: Option<String>,
    /// `F`, `M` or `X`, if told.
    #[schema(required = true, example = "F")]
    gender: Option<String>,
    /// Points that can be spent.
    balance: Won,
    /// Since when.
    created_at: Time,
}

impl From<Profile> for UserResponse {
    fn from(profile: Profile) -> Self {
        let Profile { id, login_id, email, role, birth_date, gender, balance, created_at } = profile;
        Self {
            id: id.0,
            login_id,
            email,
            role: role.into(),
            birth_date,
            gender,
            balance: balance.into(),
            created_at: created_at.into(),
        }
    }
}

/// The failure of an account use case.
pub fn account_failure(error: AccountError) -> Failure {
    match error {
        AccountError::Invalid { field, detail } => invalid(&format!("/{field}"), detail).into(),
        AccountError::LoginIdTaken => {
            Problem::new(StatusCode::CONFLICT, "LOGIN_ID_TAKEN", "The login id is taken")
                .detail("an account has it, in upper or lower case; choose another one")
                .field("/loginId", "is taken")
                .into()
        }
        AccountError::EmailTaken => {
            Problem::new(StatusCode::CONFLICT, "EMAIL_TAKEN", "The e-mail address is taken")
                .detail(
                    "an account has it, in upper or lower case; log in to that one or take another address",
                )
                .field("/email", "is taken")
                .into()
        }
        AccountError::BadCredentials => {
            let detail = "no account has this login id and this password";
            Problem::unauthorized("BAD_CREDENTIALS", "Login id or password is wrong", detail).into()
        }
        AccountError::Storage(error) => error.into(),
    }
}

problems! {
    /// Of a sign-up.
    Taken { 409 => "LOGIN_ID_TAKEN, EMAIL_TAKEN" }
    /// Where the account is gone.
    Gone { 404 => "USER_NOT_FOUND" }
}

/// Signs up.
#[utoipa::path(
    post, path = "/api/v1/users", operation_id = "signUp", tag = "users",
    request_body = SignUpRequest,
    responses(
        (status = 201, description = "The account", body = UserResponse, headers(("Location" = String))),
        BadBody, Taken, Always
    ),
    security((), ("bearer" = [])),
    extensions(("x-policy" = json!("ANYONE")))
)]
async fn sign_up(State(api): State<Shared>, Json(request): Json<SignUpRequest>) -> Answered<Response> {
    let SignUpRequest { login_id, email, password, birth_date, gender } = request;
    let sign_up = SignUp { login_id, email, password, birth_date, gender };
    let profile = api.accounts.sign_up(sign_up).await.map_err(account_failure)?;
    let location = [(LOCATION, HeaderValue::from_static("/api/v1/users/me"))];
    Ok((StatusCode::CREATED, location, Json(UserResponse::from(profile))).into_response())
}

/// The caller's account.
#[utoipa::path(
    get, path = "/api/v1/users/me", operation_id = "getMyProfile", tag = "users",
    responses((status = 200, description = "The account", body = UserResponse), Gone, Always),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("CUSTOMER")))
)]
async fn my_profile(State(api): State<Shared>, Caller(caller): Caller) -> Answered<Json<UserResponse>> {
    let profile = api.accounts.profile(UserId(caller.user_id)).await?.ok_or_else(user_not_found)?;
    Ok(Json(profile.into()))
}
