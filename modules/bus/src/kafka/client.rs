//! What all clients of a cluster have in common.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::BusError;

/// Passes on what the clients say, and remembers why the brokers were last not reached.
#[derive(Debug, Clone, Default)]
pub(super) struct Listener {
    last: Arc<Mutex<Option<String>>>,
}

impl ClientContext for Listener {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(fac, message, "kafka");
            }
            // A broker that is not there is told of once for each attempt; who waits for it says so itself.
            _ => tracing::debug!(fac, message, "kafka"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
    }
}

impl ConsumerContext for Listener {}

/// Nobody answers.
#[derive(Debug, thiserror::Error)]
#[error("no Kafka broker of {brokers} answers{}; check that it runs and that `kafka.brokers` names it", reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default())]
struct Unreachable {
    brokers: String,
    reason: Option<String>,
    source: KafkaError,
}

impl Listener {
    /// What a failed call means. `brokers`: whom it was for.
    pub fn failed(&self, brokers: &str, error: KafkaError) -> BusError {
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::Authentication,
            ) => {
                let reason = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
                BusError::Unavailable(
                    Unreachable { brokers: brokers.to_owned(), reason, source: error }.into(),
                )
            }
            Some(code) => coded(code, error),
            None => BusError::Unavailable(error.into()),
        }
    }
}

/// What a code of the cluster means that says more than that it cannot be reached.
fn coded(code: RDKafkaErrorCode, error: KafkaError) -> BusError {
    match code {
        RDKafkaErrorCode::UnknownTopic
        | RDKafkaErrorCode::UnknownTopicOrPartition
        | RDKafkaErrorCode::UnknownPartition
        | RDKafkaErrorCode::InvalidTopic
        | RDKafkaErrorCode::MessageSizeTooLarge
        | RDKafkaErrorCode::InvalidMessageSize
        | RDKafkaErrorCode::TopicAuthorizationFailed
        | RDKafkaErrorCode::GroupAuthorizationFailed
        | RDKafkaErrorCode::ClusterAuthorizationFailed
        | RDKafkaErrorCode::InvalidReplicationFactor
        | RDKafkaErrorCode::InvalidPartitions
        | RDKafkaErrorCode::PolicyViolation => BusError::Refused(code.to_string()),
        _ => BusError::Unavailable(error.into()),
    }
}

/// A client that cannot be made: its settings are wrong, or of a feature that this program was built without.
pub(super) fn misconfigured(error: &KafkaError) -> BusError {
    let message = match error {
        // Neither the value, which may be a password, nor the reason, which repeats it.
        KafkaError::ClientConfig(_, _, key, _) => {
            format!("Kafka's setting {key} is wrong, or of a feature that this program was built without")
        }
        other => format!("Kafka's settings are wrong: {other}"),
    };
    BusError::Refused(message)
}

/// Whether an offset was not committed only because the group is being shared out anew or has just been.
pub(super) fn is_of_a_rebalance(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::State
            | RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::RebalanceInProgress
            | RDKafkaErrorCode::UnknownMemberId
            | RDKafkaErrorCode::AssignmentLost
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_rebalance_does_to_an_offset_is_told_from_what_is_wrong_with_it() {
        for code in [
            RDKafkaErrorCode::State,
            RDKafkaErrorCode::IllegalGeneration,
            RDKafkaErrorCode::RebalanceInProgress,
            RDKafkaErrorCode::UnknownMemberId,
            RDKafkaErrorCode::AssignmentLost,
        ] {
            assert!(is_of_a_rebalance(code), "{code:?}");
        }
        assert!(!is_of_a_rebalance(RDKafkaErrorCode::GroupAuthorizationFailed));
    }

    #[test]
    fn a_setting_that_is_wrong_is_named_without_its_value() {
        let mut config = super::super::options::KafkaOptions::new("a:1").client();
        config.set("security.protocol", "hunter2");
        let error = config.create_native_config().err();
        let BusError::Refused(why) = misconfigured(&error.unwrap()) else { panic!() };
        assert!(why.contains("security.protocol") && !why.contains("hunter2"), "{why}");
    }
}
