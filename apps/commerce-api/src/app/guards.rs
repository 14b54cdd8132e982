use async_trait::async_trait;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use commerce_api_application::Accounts;
use commerce_api_domain::Role;
use commerce_telemetry::DetailsGuard;

/// Admits an administrator's session to the actuator's details.
pub(super) struct AdminSession(pub Accounts);

#[async_trait]
impl DetailsGuard for AdminSession {
    async fn allows(&self, parts: &Parts) -> bool {
        let token = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
        let Some((_, token)) = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer")) else {
            return false;
        };
        // A session store that fails closes the door.
        matches!(self.0.who(token.trim()).await, Ok(Some(owner)) if owner.role == Role::Admin)
    }
}
