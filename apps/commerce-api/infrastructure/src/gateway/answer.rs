//! From the bytes of an answer to what it says. The gateway is not trusted: what has not the form of the protocol is
//! no answer, and nothing of it is repeated that could be a card number.

use std::sync::Arc;

use commerce_api_application::ports::{GatewayTransaction, TransactionState, TransactionSummary};
use commerce_contracts::gateway::{self, CallResult, Envelope, Meta, TransactionStatus};
use commerce_contracts::mask_card_numbers;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::fault::Fault;
use super::transport::Answer;

/// Characters of a reason or message that are kept.
const TEXT_CHARS_MAX: usize = 200;
/// Characters of a transaction key; the column has as many.
pub(super) const KEY_CHARS_MAX: usize = 128;

/// The data of an answer that went well.
pub(super) fn data<T: DeserializeOwned>(answer: &Answer) -> Result<T, Fault> {
    let status = answer.status;
    if status.is_success() {
        // The parser's own text would quote the answer.
        let envelope: Envelope<T> = serde_json::from_slice(&answer.body).map_err(|_| unreadable(answer))?;
        return match envelope {
            Envelope { meta: Meta { result: CallResult::Success, .. }, data: Some(data) } => Ok(data),
            _ => Err(Fault::Unknown(format!("HTTP {status} without data"))),
        };
    }
    // These say nothing of the request itself.
    let of_the_request = status.is_client_error() && !matches!(status.as_u16(), 408 | 425 | 429);
    if !of_the_request {
        return Err(Fault::Unknown(format!("HTTP {status}")));
    }
    match serde_json::from_slice(&answer.body) {
        Ok(Refusal { meta: Meta { result: CallResult::Fail, error_code, message }, data: None }) => {
            let words = [error_code, message].into_iter().flatten().collect::<Vec<_>>().join(": ");
            Err(Fault::Refused { status: status.as_u16(), text: shortened(&words) })
        }
        // A proxy or another server answers like this: it says nothing of the gateway.
        _ => Err(unreadable(answer)),
    }
}

#[derive(Deserialize)]
struct Refusal {
    meta: Meta,
    data: Option<IgnoredAny>,
}

fn unreadable(answer: &Answer) -> Fault {
    Fault::Unknown(format!("HTTP {} with a body that is not of the protocol", answer.status))
}

/// One line that may be kept and shown.
pub(super) fn shortened(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    mask_card_numbers(&line).chars().take(TEXT_CHARS_MAX).collect()
}

/// A transaction as a list or the answer to a charge shows it.
pub(super) fn summary(summary: &gateway::TransactionSummary) -> Result<TransactionSummary, Fault> {
    let key = key(&summary.transaction_key)?;
    Ok(TransactionSummary { key, state: state(summary.status, summary.reason.as_deref()) })
}

/// The transactions under `reference`, newest first.
pub(super) fn summaries(
    list: &gateway::Transactions,
    reference: &str,
) -> Result<Vec<TransactionSummary>, Fault> {
    if list.order_id != reference {
        return Err(Fault::Unknown("the list is of another reference".to_owned()));
    }
    list.transactions.iter().map(summary).collect()
}

/// A transaction in full, asked for by `asked`.
pub(super) fn transaction(found: &gateway::Transaction, asked: &str) -> Result<GatewayTransaction, Fault> {
    if found.transaction_key != asked {
        return Err(Fault::Unknown("the answer is of another transaction".to_owned()));
    }
    let key = key(&found.transaction_key)?;
    let state = state(found.status, found.reason.as_deref());
    Ok(GatewayTransaction { key, reference: found.order_id.as_str().into(), amount: found.amount, state })
}

pub(super) fn key(text: &str) -> Result<Arc<str>, Fault> {
    // At least one letter or digit: `..` in a path would lead elsewhere.
    let good = (1..=KEY_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && text.bytes().any(|byte| byte.is_ascii_alphanumeric());
    if good { Ok(text.into()) } else { Err(Fault::Unknown("a transaction key of another form".to_owned())) }
}

fn state(status: TransactionStatus, reason: Option<&str>) -> TransactionState {
    match status {
        TransactionStatus::Pending => TransactionState::Pending,
        TransactionStatus::Success => TransactionState::Captured,
        TransactionStatus::Failed => {
            TransactionState::Declined(shortened(reason.unwrap_or("no reason given")).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use reqwest::StatusCode;

    use super::*;

    const OK: &str = r#"{"meta":{"result":"SUCCESS","errorCode":null,"message":null},"data":
        {"transactionKey":"20260814:TR:9577c5","status":"PENDING","reason":null,"more":1}}"#;

    fn read(status: u16, body: &str) -> Result<TransactionSummary, Fault> {
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer { status, body: Bytes::from(body.to_owned()) };
        data(&answer).and_then(|data| summary(&data))
    }

    fn with_data(data: &str) -> String {
        format!(r#"{{"meta":{{"result":"SUCCESS","errorCode":null,"message":null}},"data":{data}}}"#)
    }

    #[test]
    fn a_good_answer_is_read_and_members_that_are_new_are_passed_over() {
        let read = read(200, OK).unwrap();
        assert_eq!((&*read.key, read.state), ("20260814:TR:9577c5", TransactionState::Pending));
    }

    #[test]
    fn what_has_not_the_form_of_the_protocol_is_no_answer() {
        let key = |key: &str| {
            with_data(&format!(r#"{{"transactionKey":{key:?},"status":"SUCCESS","reason":null}}"#))
        };
        let bad = [
            String::new(),
            "<html>".to_owned(),
            "null".to_owned(),
            with_data("null"),
            with_data("[]"),
            with_data(r#"{"transactionKey":7,"status":"SUCCESS","reason":null}"#),
            with_data(r#"{"transactionKey":"k","status":"success","reason":null}"#),
            with_data(r#"{"transactionKey":"k","status":"REFUNDED","reason":null}"#),
            with_data(r#"{"transactionKey":"k","status":NaN,"reason":null}"#),
            key(""),
            key("a b"),
            key(".."),
            key("키"),
            key(&"k".repeat(129)),
            OK.replace("SUCCESS", "FAIL"),
            OK.replace("SUCCESS", "OK"),
            format!("{OK} x"),
            "[".repeat(10_000),
        ];
        for body in bad {
            assert!(matches!(read(200, &body), Err(Fault::Unknown(_))), "{body}");
        }
    }

    /// A transaction that was captured, as the gateway shows it in full.
    const CAPTURED: &str = r#"{"meta":{"result":"SUCCESS","errorCode":null,"message":null},"data":
        {"transactionKey":"20260814:TR:9577c5","orderId":"0198f2a1","cardType":"KB","cardNo":"1234-****-****-1451",
        "amount":5000,"status":"SUCCESS","reason":null}}"#;

    fn read_whole(body: &[u8]) -> Result<GatewayTransaction, Fault> {
        let answer = Answer { status: StatusCode::OK, body: Bytes::copy_from_slice(body) };
        data(&answer).and_then(|found| transaction(&found, "20260814:TR:9577c5"))
    }

    #[test]
    fn a_member_of_another_type_or_size_is_no_answer() {
        assert_eq!(read_whole(CAPTURED.as_bytes()).unwrap().state, TransactionState::Captured);
        let wrong = [
            "null",
            "true",
            "[]",
            "{}",
            "1.5",
            "5e3",
            "-1e400",
            "1e309",
            "NaN",
            "Infinity",
            "99999999999999999999",
            "\"NaN\"",
            "\"\"",
            "[\"SUCCESS\"]",
            "0x10",
            "\"\\ud800\"",
        ];
        let members = [
            "\"SUCCESS\",\"errorCode\"",
            "\"20260814:TR:9577c5\"",
            "5000",
            "\"SUCCESS\",\"reason\"",
            "\"KB\"",
        ];
        for member in members {
            let (value, rest) = member
                .split_once(',')
                .map_or((member, String::new()), |(value, rest)| (value, format!(",{rest}")));
            for wrong in wrong {
                let body = CAPTURED.replacen(&format!("{value}{rest}"), &format!("{wrong}{rest}"), 1);
                assert_ne!(body, CAPTURED, "{member}");
                let end = read_whole(body.as_bytes());
                assert!(matches!(end, Err(Fault::Unknown(_))), "{wrong} for {member}: {end:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// Bytes of any kind, and a good answer with some of its bytes replaced, cut out or repeated: it is no answer, or
        /// one of the same transaction. What is not read is unknown, never refused.
        #[test]
        fn noise_is_unknown_and_never_another_transaction(
            noise in prop::collection::vec(any::<u8>(), 0..300),
            from: prop::sample::Index, length in 0_usize..40, with in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            prop_assert!(matches!(read_whole(&noise), Err(Fault::Unknown(_))));
            let from = from.index(CAPTURED.len());
            let to = (from + length).min(CAPTURED.len());
            let changed = [&CAPTURED.as_bytes()[..from], &with, &CAPTURED.as_bytes()[to..]].concat();
            match read_whole(&changed) {
                Ok(found) => prop_assert_eq!(&*found.key, "20260814:TR:9577c5"),
                Err(fault) => prop_assert!(matches!(fault, Fault::Unknown(_)), "{:?}", fault),
            }
        }
    }

    #[test]
    fn only_the_gateways_own_refusal_is_one() {
        let fail = r#"{"meta":{"result":"FAIL","errorCode":"Bad Request","message":"orderId is short"},"data":null}"#;
        let refused = Fault::Refused { status: 400, text: "Bad Request: orderId is short".to_owned() };
        assert_eq!(read(400, fail), Err(refused));
        assert!(matches!(read(404, fail), Err(Fault::Refused { status: 404, .. })));
        for (status, body) in [(400, "<html>"), (404, ""), (404, "{}"), (400, OK), (500, fail), (503, fail)] {
            assert!(matches!(read(status, body), Err(Fault::Unknown(_))), "{status} {body}");
        }
        for status in [408, 425, 429, 301, 302, 307] {
            assert!(matches!(read(status, fail), Err(Fault::Unknown(_))), "{status}");
        }
    }

    #[test]
    fn nothing_that_could_be_a_card_number_is_repeated() {
        let fail = r#"{"meta":{"result":"FAIL","errorCode":null,"message":"1234-5678-9814-1451\n1234567898141451"},"data":null}"#;
        let Err(Fault::Refused { text, .. }) = read(400, fail) else { panic!("refused") };
        assert!(!text.contains("9814") && !text.contains('\n'), "{text}");
        let long = with_data(&format!(
            r#"{{"transactionKey":"k","status":"FAILED","reason":"1234-5678-9814-1451 {}"}}"#,
            "x".repeat(500)
        ));
        let TransactionState::Declined(reason) = read(200, &long).unwrap().state else { panic!("declined") };
        assert!(!reason.contains("9814") && reason.chars().count() == TEXT_CHARS_MAX, "{reason}");
    }

    #[test]
    fn an_answer_about_something_else_is_none() {
        let list = gateway::Transactions { order_id: "a".to_owned(), transactions: Vec::new() };
        assert!(summaries(&list, "a").is_ok() && summaries(&list, "b").is_err());
        let found = gateway::Transaction {
            transaction_key: "k".to_owned(),
            order_id: "a".to_owned(),
            card_type: gateway::CardType::Kb,
            card_no: String::new(),
            amount: -1,
            status: TransactionStatus::Success,
            reason: None,
        };
        assert!(transaction(&found, "other").is_err());
        assert_eq!(transaction(&found, "k").unwrap().amount, -1);
    }
}
