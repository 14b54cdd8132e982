//! The circuit breakers of this node, for those who run the shop.

use std::sync::Arc;

use serde_json::json;

use crate::Caller;
use crate::ports::{AuditTrail, BreakerSwitch, BreakerView, CircuitBreakers, Clock, IdSource, StorageError};

/// Shows and switches the circuit breakers of this node.
#[derive(Clone)]
pub struct Breakers {
    of_node: Arc<dyn CircuitBreakers>,
    trail: Arc<dyn AuditTrail>,
    ids: Arc<dyn IdSource>,
    clock: Arc<dyn Clock>,
}

impl Breakers {
    /// With these adapters.
    pub fn new(
        of_node: Arc<dyn CircuitBreakers>,
        trail: Arc<dyn AuditTrail>,
        ids: Arc<dyn IdSource>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { of_node, trail, ids, clock }
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<BreakerView> {
        self.of_node.all()
    }

    /// Switches the breaker of this name; none where there is none. It is written to the audit log first: what is not
    /// written does not happen. Once more changes nothing more.
    pub async fn switch(
        &self,
        caller: &Caller,
        name: &str,
        to: BreakerSwitch,
        reason: &str,
    ) -> Result<Option<BreakerView>, StorageError> {
        let Some(before) = self.of_node.all().into_iter().find(|breaker| breaker.name == name) else {
            return Ok(None);
        };
        let detail = json!({ "to": to.name(), "from": before.state, "reason": reason });
        let target = format!("breaker:{name}");
        let entry = caller.audit(&*self.ids, &*self.clock, "BREAKER_SWITCHED", target, &detail);
        self.trail.record(entry).await?;
        Ok(self.of_node.switch(name, to))
    }
}
