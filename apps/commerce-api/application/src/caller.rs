use std::sync::Arc;

use commerce_api_domain::{Actor, CommandKind, Role, UserId};

use crate::desk::{KeyedRequest, Submission};
use crate::ports::{AuditEntry, Clock, IdSource};

/// Who calls, as their session says; never taken from a body.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub user: UserId,
    /// What they may do.
    pub role: Role,
    /// W3C trace context of the request, for the events that it causes.
    pub traceparent: Option<Arc<str>>,
}

impl Caller {
    /// Whether the caller runs the shop.
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }

    /// Whether the caller may see what belongs to `owner`.
    pub fn may_see(&self, owner: UserId) -> bool {
        self.is_admin() || self.user == owner
    }

    /// The caller as the domain knows them.
    pub fn actor(&self) -> Actor {
        match self.role {
            Role::Customer => Actor::Customer(self.user),
            Role::Admin => Actor::Admin(self.user),
        }
    }

    /// A command of the caller, under the caller's key and in the caller's trace.
    pub(crate) fn submission(
        &self,
        kind: CommandKind,
        keyed: KeyedRequest,
        audit: Option<AuditEntry>,
    ) -> Submission {
        Submission {
            keyed: Some(keyed),
            audit,
            traceparent: self.traceparent.clone(),
            ..Submission::internal(kind)
        }
    }

    /// An entry of the audit log for something that the caller does by hand.
    pub fn audit(
        &self,
        ids: &dyn IdSource,
        clock: &dyn Clock,
        action: &'static str,
        target: String,
        detail: &serde_json::Value,
    ) -> AuditEntry {
        AuditEntry {
            id: ids.uuid(),
            actor: format!("user:{}", self.user),
            action,
            target,
            detail: detail.to_string(),
            at: clock.now(),
        }
    }
}
