use async_trait::async_trait;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use commerce_api_application::Accounts;
use commerce_api_domain::Role;
use commerce_telemetry::{Access, DetailsGuard};

/// Admits an administrator's session to the actuator's details.
pub struct AdminSession(pub Accounts);

#[async_trait]
impl DetailsGuard for AdminSession {
    async fn access(&self, parts: &Parts) -> Access {
        let token = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
        let Some((_, token)) = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer")) else {
            return Access::Anonymous;
        };
        match self.0.who(token.trim()).await {
            Ok(Some(owner)) if owner.role == Role::Admin => Access::Granted,
            Ok(Some(_)) => Access::Denied,
            // A session store that fails closes the door.
            Ok(None) | Err(_) => Access::Anonymous,
        }
    }
}
