use metrics::{Unit, describe_counter};

/// Says what the simulator's metrics mean.
pub(crate) fn describe() {
    describe_counter!(
        "simulator_calls_total",
        Unit::Count,
        "Calls of the gateway's protocol, by call and status"
    );
    describe_counter!("simulator_decisions_total", Unit::Count, "Transactions decided, by status");
    describe_counter!("simulator_callbacks_total", Unit::Count, "Attempts to deliver a callback, by result");
    describe_counter!("simulator_faults_total", Unit::Count, "Faults of the script that happened, by fault");
}
