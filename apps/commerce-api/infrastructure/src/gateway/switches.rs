use commerce_api_application::ports::{BreakerSwitch, BreakerView, CircuitBreakers};
use commerce_resilience::{BreakerRegistry, BreakerSnapshot, BreakerState, CircuitBreaker};

/// The breakers of a registry, for the operator.
#[derive(Debug, Clone)]
pub struct RegistryBreakers(BreakerRegistry);

impl RegistryBreakers {
    /// Shows and switches the breakers of `registry`.
    pub const fn new(registry: BreakerRegistry) -> Self {
        Self(registry)
    }
}

impl CircuitBreakers for RegistryBreakers {
    fn all(&self) -> Vec<BreakerView> {
        self.0.snapshots().iter().map(view).collect()
    }

    fn switch(&self, name: &str, to: BreakerSwitch) -> Option<BreakerView> {
        let breaker = self.0.get(name)?;
        switch(&breaker, to);
        Some(view(&breaker.snapshot()))
    }
}

fn switch(breaker: &CircuitBreaker, to: BreakerSwitch) {
    match to {
        BreakerSwitch::ForceOpen => breaker.force_open(),
        BreakerSwitch::Reset => breaker.reset(),
        BreakerSwitch::Close => {
            // The only refusal is that it is closed already.
            let _ = breaker.transition(BreakerState::Closed);
        }
    }
}

fn view(snapshot: &BreakerSnapshot) -> BreakerView {
    // The breaker says -1 of a rate that is not known.
    let known = |rate: f64| (rate >= 0.0).then_some(rate);
    BreakerView {
        name: snapshot.name.to_string(),
        state: snapshot.state.name(),
        failure_rate: known(snapshot.failure_rate),
        slow_call_rate: known(snapshot.slow_call_rate),
        failure_rate_threshold: snapshot.failure_rate_threshold,
        slow_call_rate_threshold: snapshot.slow_call_rate_threshold,
        buffered_calls: snapshot.buffered_calls,
        failed_calls: snapshot.failed_calls,
        slow_calls: snapshot.slow_calls,
        not_permitted_calls: snapshot.not_permitted_calls,
        open_for: snapshot.open_for,
    }
}
