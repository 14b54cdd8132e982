use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::breaker::{BreakerListener, BreakerOptions, BreakerSnapshot, CircuitBreaker};
use crate::environment::Environment;
use crate::options::OptionsError;

/// A breaker cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Two breakers of one name could not be told apart in metrics or by an operator.
    #[error("a circuit breaker `{0}` is registered already; give this one another name")]
    Taken(String),
    /// Its options mean nothing.
    #[error(transparent)]
    Options(#[from] OptionsError),
}

/// The breakers of one node, by name. Clones are the same one.
#[derive(Clone, Default)]
pub struct BreakerRegistry(Arc<Inner>);

#[derive(Default)]
struct Inner {
    environment: Environment,
    listeners: Vec<Arc<dyn BreakerListener>>,
    breakers: Mutex<BTreeMap<String, CircuitBreaker>>,
}

impl std::fmt::Debug for BreakerRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}

impl BreakerRegistry {
    /// None yet; those to come go by this environment and tell these listeners.
    pub fn new(environment: Environment, listeners: Vec<Arc<dyn BreakerListener>>) -> Self {
        Self(Arc::new(Inner { environment, listeners, breakers: Mutex::default() }))
    }

    /// A new breaker under a name that is free.
    pub fn register(&self, name: &str, options: BreakerOptions) -> Result<CircuitBreaker, RegistryError> {
        let mut breakers = self.lock();
        let Entry::Vacant(vacant) = breakers.entry(name.to_owned()) else {
            return Err(RegistryError::Taken(name.to_owned()));
        };
        let breaker =
            CircuitBreaker::new(name, options, self.0.environment.clone(), self.0.listeners.clone())?;
        Ok(vacant.insert(breaker).clone())
    }

    /// Shows a breaker that was made elsewhere as one of this node, under its name, which must be free.
    pub fn adopt(&self, breaker: CircuitBreaker) -> Result<(), RegistryError> {
        match self.lock().entry(breaker.name().to_owned()) {
            Entry::Occupied(taken) => Err(RegistryError::Taken(taken.key().clone())),
            Entry::Vacant(vacant) => {
                vacant.insert(breaker);
                Ok(())
            }
        }
    }

    /// The breaker of this name.
    pub fn get(&self, name: &str) -> Option<CircuitBreaker> {
        self.lock().get(name).cloned()
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<CircuitBreaker> {
        self.lock().values().cloned().collect()
    }

    /// How all of them are, by name.
    pub fn snapshots(&self) -> Vec<BreakerSnapshot> {
        self.all().iter().map(CircuitBreaker::snapshot).collect()
    }

    /// Writes the gauges of all of them anew; to be called before metrics are read.
    pub fn refresh(&self) {
        self.all().iter().for_each(CircuitBreaker::refresh);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, CircuitBreaker>> {
        self.0.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breaker_of_elsewhere_is_shown_under_its_name_once() {
        let registry = BreakerRegistry::default();
        let made = |name| {
            CircuitBreaker::new(name, BreakerOptions::default(), Environment::default(), Vec::new()).unwrap()
        };
        registry.register("one", BreakerOptions::default()).unwrap();
        registry.adopt(made("two")).unwrap();
        registry.get("two").unwrap().force_open();
        assert_eq!(registry.snapshots().iter().map(|shown| &*shown.name).collect::<Vec<_>>(), ["one", "two"]);
        for name in ["one", "two"] {
            assert_eq!(registry.adopt(made(name)), Err(RegistryError::Taken(name.to_owned())));
        }
    }
}
