//! Who may call a route: declared beside the route in its `OpenAPI` operation, held by one gate.

mod caller;
mod gate;

use std::collections::BTreeMap;

use http::Method;
use utoipa::openapi::path::{Operation, PathItem};

pub use caller::{BearerToken, Caller, MaybeCaller, Principal};
pub use gate::{AccessGate, AuthUnavailable, Authenticator, enforce};

/// The `OpenAPI` extension that carries an operation's policy.
pub const POLICY_EXTENSION: &str = "x-policy";

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Everybody, with or without a session.
    Anyone,
    /// Every user with a session.
    Customer,
    /// Every user with a session; the use case shows only what is the caller's own.
    Owner,
    /// Administrators.
    Admin,
    /// Another system, which proves itself by a signature over the body; the handler checks it before anything else.
    Signed,
}

impl Policy {
    /// The policy of that name in the `OpenAPI` document.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "ANYONE" => Some(Self::Anyone),
            "CUSTOMER" => Some(Self::Customer),
            "OWNER" => Some(Self::Owner),
            "ADMIN" => Some(Self::Admin),
            "SIGNED" => Some(Self::Signed),
            _ => None,
        }
    }

    /// The name in the `OpenAPI` document.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anyone => "ANYONE",
            Self::Customer => "CUSTOMER",
            Self::Owner => "OWNER",
            Self::Admin => "ADMIN",
            Self::Signed => "SIGNED",
        }
    }
}

/// The policy of every operation, by path template and method.
#[derive(Debug, Clone, Default)]
pub struct PolicyTable(BTreeMap<String, Vec<(Method, Policy)>>);

impl PolicyTable {
    /// Reads the policies out of the document; `Err` lists every operation that has none or an unknown one.
    pub fn from_openapi(document: &utoipa::openapi::OpenApi) -> Result<Self, Vec<String>> {
        let mut table = BTreeMap::new();
        let mut faults = Vec::new();
        for (path, item) in &document.paths.paths {
            let mut of_path = Vec::new();
            for (method, operation) in operations(item) {
                match (Method::from_bytes(method.as_bytes()), policy_of(operation)) {
                    (Ok(method), Ok(policy)) => of_path.push((method, policy)),
                    (Ok(_), Err(fault)) => faults.push(format!("{method} {path}: {fault}")),
                    (Err(_), _) => faults.push(format!("{method} {path}: not an HTTP method")),
                }
            }
            table.insert(path.clone(), of_path);
        }
        if faults.is_empty() { Ok(Self(table)) } else { Err(faults) }
    }

    /// The policy of one operation; a HEAD is answered by its GET.
    pub fn policy(&self, method: &Method, template: &str) -> Option<Policy> {
        let of_path = self.0.get(template)?;
        let find =
            |wanted: &Method| of_path.iter().find(|(method, _)| method == wanted).map(|(_, policy)| *policy);
        find(method).or_else(|| if method == Method::HEAD { find(&Method::GET) } else { None })
    }

    /// The methods of a path, or `None` when the document does not have it.
    pub fn methods(&self, template: &str) -> Option<impl Iterator<Item = &Method>> {
        self.0.get(template).map(|of_path| of_path.iter().map(|(method, _)| method))
    }

    /// Every operation, by path; for tests that walk over routes and roles.
    pub fn iter(&self) -> impl Iterator<Item = (&Method, &str, Policy)> {
        self.0.iter().flat_map(|(path, of_path)| {
            of_path.iter().map(move |(method, policy)| (method, path.as_str(), *policy))
        })
    }
}

fn policy_of(operation: &Operation) -> Result<Policy, String> {
    let value = operation.extensions.as_ref().and_then(|extensions| extensions.get(POLICY_EXTENSION));
    let value = value.ok_or_else(|| format!("no {POLICY_EXTENSION}"))?;
    value.as_str().and_then(Policy::parse).ok_or_else(|| format!("unknown {POLICY_EXTENSION} {value}"))
}

fn operations(item: &PathItem) -> impl Iterator<Item = (&str, &Operation)> {
    let fixed = [
        ("GET", &item.get),
        ("PUT", &item.put),
        ("POST", &item.post),
        ("DELETE", &item.delete),
        ("OPTIONS", &item.options),
        ("HEAD", &item.head),
        ("PATCH", &item.patch),
        ("TRACE", &item.trace),
        ("QUERY", &item.query),
    ];
    let others = item.additional_operations.iter().map(|(method, operation)| (method.as_str(), operation));
    fixed
        .into_iter()
        .filter_map(|(method, operation)| operation.as_ref().map(|found| (method, found)))
        .chain(others)
}

#[cfg(test)]
mod tests {
    use utoipa::OpenApi;

    use super::*;

    #[utoipa::path(get, path = "/open", responses((status = 200)), extensions(("x-policy" = json!("ANYONE"))))]
    #[expect(dead_code, reason = "only its document is used")]
    fn open() {}

    #[utoipa::path(delete, path = "/open", responses((status = 200)), extensions(("x-policy" = json!("ADMIN"))))]
    #[expect(dead_code, reason = "only its document is used")]
    fn close() {}

    #[utoipa::path(get, path = "/orders/{id}", responses((status = 200)), extensions(("x-policy" = json!("OWNER"))))]
    #[expect(dead_code, reason = "only its document is used")]
    fn order() {}

    #[utoipa::path(get, path = "/none", responses((status = 200)))]
    #[expect(dead_code, reason = "only its document is used")]
    fn none() {}

    #[utoipa::path(post, path = "/odd", responses((status = 200)), extensions(("x-policy" = json!("ROOT"))))]
    #[expect(dead_code, reason = "only its document is used")]
    fn odd() {}

    #[derive(OpenApi)]
    #[openapi(paths(open, close, order))]
    struct Good;

    #[derive(OpenApi)]
    #[openapi(paths(open, none, odd))]
    struct Bad;

    #[test]
    fn policies_are_read_from_the_document() {
        let table = PolicyTable::from_openapi(&Good::openapi()).unwrap();
        assert_eq!(table.policy(&Method::GET, "/open"), Some(Policy::Anyone));
        assert_eq!(table.policy(&Method::HEAD, "/open"), Some(Policy::Anyone));
        assert_eq!(table.policy(&Method::DELETE, "/open"), Some(Policy::Admin));
        assert_eq!(table.policy(&Method::GET, "/orders/{id}"), Some(Policy::Owner));
        assert_eq!(table.policy(&Method::POST, "/open"), None);
        assert_eq!(table.policy(&Method::GET, "/orders/7"), None);
        assert_eq!(table.iter().count(), 3);
    }

    #[test]
    fn an_operation_without_a_policy_is_listed() {
        let faults = PolicyTable::from_openapi(&Bad::openapi()).unwrap_err();
        assert_eq!(faults, ["GET /none: no x-policy", "POST /odd: unknown x-policy \"ROOT\""]);
    }

    #[test]
    fn names_and_policies_match() {
        for policy in [Policy::Anyone, Policy::Customer, Policy::Owner, Policy::Admin, Policy::Signed] {
            assert_eq!(Policy::parse(policy.name()), Some(policy));
        }
    }
}
