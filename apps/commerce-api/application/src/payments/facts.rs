//! What the gateway says, held against what we asked for.

use commerce_api_domain::{Payment, PaymentCommand};

use crate::ports::{GatewayTransaction, TransactionState, Verdict};

/// What is wrong with a transaction as a fact about `payment`; none where it may be believed.
pub(super) fn mismatch(payment: &Payment, transaction: &GatewayTransaction) -> Option<Verdict> {
    if *transaction.reference != *payment.id.to_string() {
        Some(Verdict::ForeignKey)
    } else if transaction.amount != payment.card_part.won() {
        Some(Verdict::WrongAmount)
    } else {
        None
    }
}

/// The command that tells the desk of a transaction.
pub(super) fn told(transaction: &GatewayTransaction) -> PaymentCommand {
    let key = transaction.key.clone();
    match &transaction.state {
        TransactionState::Pending => PaymentCommand::Accepted { key },
        TransactionState::Captured => PaymentCommand::Captured { key },
        TransactionState::Declined(reason) => PaymentCommand::Declined { key, reason: reason.clone() },
    }
}
