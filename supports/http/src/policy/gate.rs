//! The middleware that holds every route to its policy.

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Method};

use super::{BearerToken, Policy, PolicyTable, Principal};
use crate::problem::Problem;

/// Characters that a token may have; far above ours, far below a header that costs something to look up.
const TOKEN_CHARS_MAX: usize = 512;

/// Seconds after which a caller may try again when sessions cannot be read.
const RETRY_AFTER_S: u64 = 1;

/// The session store cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("sessions cannot be read")]
pub struct AuthUnavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Finds the user behind a session token.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// The user, or `None` for a token that is unknown or expired.
    async fn authenticate(&self, token: &str) -> Result<Option<Principal>, AuthUnavailable>;
}

/// What [`enforce`] needs.
pub struct AccessGate {
    table: PolicyTable,
    authenticator: Arc<dyn Authenticator>,
}

impl AccessGate {
    /// A gate over these policies and sessions.
    pub fn new(table: PolicyTable, authenticator: Arc<dyn Authenticator>) -> Self {
        Self { table, authenticator }
    }

    /// The policy of the route that matched. A route that the document does not have is closed.
    fn policy(&self, request: &Request) -> Result<Policy, Problem> {
        let Some(matched) = request.extensions().get::<MatchedPath>() else {
            return Err(Problem::route_not_found());
        };
        let (method, template) = (request.method(), matched.as_str());
        if let Some(policy) = self.table.policy(method, template) {
            return Ok(policy);
        }
        if let Some(methods) = self.table.methods(template) {
            return Err(method_not_allowed(methods));
        }
        tracing::error!(%method, template, "route has no policy");
        Err(Problem::forbidden())
    }

    async fn admit(&self, mut request: Request) -> Result<Request, Problem> {
        let policy = self.policy(&request)?;
        let mut caller = None;
        if let Some(token) = bearer_token(request.headers())? {
            let found = self.authenticator.authenticate(&token.0).await.map_err(|error| {
                tracing::warn!(error = &error as &dyn std::error::Error, "caller cannot be identified");
                Problem::unavailable("SESSIONS_UNAVAILABLE", "Sessions cannot be read now", RETRY_AFTER_S)
            })?;
            let principal = found.ok_or_else(Problem::invalid_token)?;
            request.extensions_mut().insert(principal);
            request.extensions_mut().insert(token);
            caller = Some(principal);
        }
        match (policy, caller) {
            (Policy::Anyone | Policy::Signed, _) | (Policy::Customer | Policy::Owner, Some(_)) => Ok(request),
            (Policy::Admin, Some(principal)) if principal.admin => Ok(request),
            (Policy::Admin, Some(_)) => Err(Problem::forbidden()),
            (Policy::Customer | Policy::Owner | Policy::Admin, None) => {
                Err(Problem::authentication_required())
            }
        }
    }
}

/// Lets a request through when its route's policy admits the caller, and leaves the [`Principal`] to the
/// extractors. A bad token is refused also where none is needed.
///
/// Closed by default: a path that the table does not have is 403. Use it as
/// `router.route_layer(axum::middleware::from_fn_with_state(gate, enforce))`, inside of `track`.
pub async fn enforce(State(gate): State<Arc<AccessGate>>, request: Request, next: Next) -> Response {
    match gate.admit(request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn method_not_allowed<'a>(methods: impl Iterator<Item = &'a Method>) -> Problem {
    let allowed = methods.map(Method::as_str).collect::<Vec<_>>().join(",");
    let problem = Problem::method_not_allowed();
    match HeaderValue::from_str(&allowed) {
        Ok(allowed) => problem.header(ALLOW, allowed),
        Err(_) => problem,
    }
}

/// The token of the one `Authorization: Bearer` header; another scheme or form is 401.
fn bearer_token(headers: &HeaderMap) -> Result<Option<BearerToken>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::invalid_token());
    }
    let text = value.to_str().map_err(|_| Problem::invalid_token())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(Problem::invalid_token)?;
    let token = token.trim_matches(' ');
    let well_formed = scheme.eq_ignore_ascii_case("Bearer")
        && (1..=TOKEN_CHARS_MAX).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte));
    if well_formed { Ok(Some(BearerToken(token.to_owned()))) } else { Err(Problem::invalid_token()) }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use http::StatusCode;
    use http::header::WWW_AUTHENTICATE;

    use super::super::{Caller, MaybeCaller};
    use super::*;
    use crate::testing;

    #[derive(Default)]
    struct Sessions(AtomicUsize);

    #[async_trait]
    impl Authenticator for Sessions {
        async fn authenticate(&self, token: &str) -> Result<Option<Principal>, AuthUnavailable> {
            self.0.fetch_add(1, Ordering::SeqCst);
            match token {
                "customer" => Ok(Some(Principal { user_id: 7, admin: false })),
                "admin" => Ok(Some(Principal { user_id: 1, admin: true })),
                "down" => Err(AuthUnavailable("no store".into())),
                _ => Ok(None),
            }
        }
    }

    fn table() -> PolicyTable {
        let entry = |path: &str, policy| (format!("/api/{path}"), vec![(Method::GET, policy)]);
        PolicyTable(
            [
                entry("anyone", Policy::Anyone),
                entry("customer", Policy::Customer),
                entry("owner/{id}", Policy::Owner),
                entry("admin", Policy::Admin),
                entry("signed", Policy::Signed),
            ]
            .into(),
        )
    }

    fn app(sessions: &Arc<Sessions>) -> Router {
        let gate = Arc::new(AccessGate::new(table(), Arc::<Sessions>::clone(sessions)));
        let api = Router::new()
            .route("/anyone", get(|MaybeCaller(caller): MaybeCaller| async move { format!("{caller:?}") }))
            .route("/customer", get(|Caller(caller): Caller| async move { caller.user_id.to_string() }))
            .route("/owner/{id}", get(|token: BearerToken| async move { format!("{token:?} {}", token.0) }))
            .route("/admin", get(|| async { "admin" }))
            .route("/signed", get(|| async { "the handler looks at the signature" }))
            .route("/forgotten", get(|| async { "open by mistake" }));
        Router::new().nest("/api", api).route_layer(from_fn_with_state(gate, enforce))
    }

    async fn call(path: &str, authorization: &[&str]) -> Response {
        let mut request = Request::get(format!("/api/{path}"));
        for value in authorization {
            request = request.header(AUTHORIZATION, *value);
        }
        testing::send(&app(&Arc::default()), request.body(Body::empty()).unwrap()).await
    }

    async fn refusal(path: &str, authorization: &[&str]) -> (u16, String) {
        let response = call(path, authorization).await;
        let status = response.status().as_u16();
        (status, testing::json(response).await["code"].as_str().unwrap_or_default().to_owned())
    }

    #[tokio::test]
    async fn every_policy_admits_whom_it_names() {
        let matrix = [
            ("anyone", [200, 200, 200]),
            ("customer", [401, 200, 200]),
            ("owner/9", [401, 200, 200]),
            ("admin", [401, 403, 200]),
            ("signed", [200, 200, 200]),
            ("forgotten", [403, 403, 403]),
            ("nowhere", [404, 404, 404]),
        ];
        for (path, statuses) in matrix {
            let credentials: [&[&str]; 3] = [&[], &["Bearer customer"], &["Bearer admin"]];
            for (credentials, status) in credentials.into_iter().zip(statuses) {
                assert_eq!(call(path, credentials).await.status().as_u16(), status, "{path} {credentials:?}");
            }
        }
        assert_eq!(refusal("admin", &["Bearer customer"]).await, (403, "ACCESS_DENIED".to_owned()));
        assert_eq!(refusal("customer", &[]).await, (401, "AUTHENTICATION_REQUIRED".to_owned()));
    }

    #[tokio::test]
    async fn handlers_see_the_caller() {
        assert_eq!(testing::text(call("customer", &["bEaReR customer"]).await).await, "7");
        assert_eq!(testing::text(call("anyone", &[]).await).await, "None");
        assert!(testing::text(call("anyone", &["Bearer admin"]).await).await.contains("admin: true"));
        assert_eq!(
            testing::text(call("owner/1", &["Bearer customer"]).await).await,
            "BearerToken(***) customer"
        );
    }

    #[tokio::test]
    async fn a_bad_token_is_refused_everywhere() {
        let long = format!("Bearer {}", "x".repeat(TOKEN_CHARS_MAX + 1));
        let bad: [&[&str]; 9] = [
            &["Bearer unknown"],
            &["Bearer"],
            &["Bearer "],
            &["Basic customer"],
            &["customer"],
            &["Bearer cus tomer"],
            &["Bearer cust;omer"],
            &[&long],
            &["Bearer customer", "Bearer customer"],
        ];
        for credentials in bad {
            for path in ["anyone", "customer", "admin"] {
                assert_eq!(
                    refusal(path, credentials).await,
                    (401, "INVALID_TOKEN".to_owned()),
                    "{credentials:?}"
                );
            }
        }
        let response = call("anyone", &["Bearer unknown"]).await;
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer error=\"invalid_token\"");
    }

    #[tokio::test]
    async fn an_unreachable_store_is_503() {
        let response = call("customer", &["Bearer down"]).await;
        assert_eq!(response.headers()[http::header::RETRY_AFTER], "1");
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn a_malformed_token_never_reaches_the_store() {
        let sessions = Arc::<Sessions>::default();
        let request =
            Request::get("/api/customer").header(AUTHORIZATION, "Bearer a;b").body(Body::empty()).unwrap();
        testing::send(&app(&sessions), request).await;
        assert_eq!(sessions.0.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn another_method_is_405_and_head_is_get() {
        for (method, status) in [("POST", 405), ("HEAD", 200)] {
            let request = Request::builder().method(method).uri("/api/anyone").body(Body::empty()).unwrap();
            let response = testing::send(&app(&Arc::default()), request).await;
            assert_eq!(response.status().as_u16(), status);
            if status == 405 {
                assert_eq!(response.headers()[ALLOW], "GET");
            }
        }
    }

    #[tokio::test]
    async fn without_the_gate_nobody_is_a_caller() {
        let open = Router::new()
            .route("/x", get(|Caller(caller): Caller| async move { caller.user_id.to_string() }));
        let request = Request::get("/x").header(AUTHORIZATION, "Bearer admin").body(Body::empty()).unwrap();
        assert_eq!(testing::send(&open, request).await.status(), StatusCode::UNAUTHORIZED);
    }
}
