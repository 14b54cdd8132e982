//! The settlement report. Money is compared by it, so what is not exactly of its form is no report.

use std::sync::Arc;

use chrono::NaiveDate;
use commerce_api_application::ports::SettlementPage;
use commerce_api_domain::{Money, MoneyMovement, SettlementEntry, Timestamp};
use commerce_contracts::gateway::{self, SettlementKind, Settlements};

use super::answer::{self, KEY_CHARS_MAX};
use super::fault::Fault;

/// Entries of a page that are asked for; the gateway may give fewer.
pub(super) const ENTRIES_MAX: usize = 1_000;

fn wrong(what: &'static str) -> Fault {
    Fault::Unknown(format!("a settlement report with {what}"))
}

/// A page of the report of `asked`.
pub(super) fn page(report: Settlements, asked: NaiveDate) -> Result<SettlementPage, Fault> {
    let Settlements { date, captured, refunded, entries, next } = report;
    if date != asked.to_string() {
        return Err(wrong("another date than was asked for"));
    }
    if captured < 0 || refunded < 0 {
        return Err(wrong("a sum below 0"));
    }
    if entries.len() > ENTRIES_MAX {
        return Err(wrong("more entries than were asked for"));
    }
    let entries = entries.iter().map(entry).collect::<Result<_, _>>()?;
    Ok(SettlementPage { entries, captured, refunded, next })
}

fn entry(entry: &gateway::SettlementEntry) -> Result<SettlementEntry, Fault> {
    let amount = Money::new(entry.amount).ok().filter(|amount| !amount.is_zero());
    Ok(SettlementEntry {
        movement: match entry.kind {
            SettlementKind::Capture => MoneyMovement::Capture,
            SettlementKind::Refund => MoneyMovement::Refund,
        },
        key: answer::key(&entry.transaction_key)?,
        reference: reference(&entry.order_id)?,
        amount: amount.ok_or_else(|| wrong("an amount that is none"))?,
        at: Timestamp::from_micros(entry.at),
    })
}

/// One of ours is kept as it is; one of somebody else may hold anything.
fn reference(text: &str) -> Result<Arc<str>, Fault> {
    if text.is_empty() || text.chars().count() > KEY_CHARS_MAX {
        return Err(wrong("a reference of another form"));
    }
    let ours = uuid::Uuid::try_parse(text).is_ok();
    Ok(if ours { text.into() } else { answer::shortened(text).into() })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::StatusCode;

    use super::super::transport::Answer;
    use super::*;

    const DAY: &str = "2027-01-15";
    const ENTRY: &str = r#"{"kind":"CAPTURE","transactionKey":"20270115:TR:00000a","orderId":"order-1","amount":1000,"at":1800000000000000}"#;

    fn read(body: &str) -> Result<SettlementPage, Fault> {
        let answer = Answer { status: StatusCode::OK, body: Bytes::from(body.to_owned()) };
        answer::data(&answer).and_then(|report| page(report, DAY.parse().unwrap()))
    }

    fn report(entries: &str) -> String {
        let meta = r#"{"result":"SUCCESS","errorCode":null,"message":null}"#;
        format!(
            r#"{{"meta":{meta},"data":{{"date":"{DAY}","captured":1000,"refunded":0,"entries":[{entries}],"next":null}}}}"#
        )
    }

    #[test]
    fn a_page_is_read_with_its_sums() {
        let page = read(&report(ENTRY)).unwrap();
        assert_eq!((page.captured, page.refunded, page.next), (1_000, 0, None));
        let entry = &page.entries[0];
        assert_eq!((entry.movement, &*entry.key), (MoneyMovement::Capture, "20270115:TR:00000a"));
        assert_eq!((&*entry.reference, entry.amount.won()), ("order-1", 1_000));
    }

    #[test]
    fn what_is_not_exactly_a_report_is_none() {
        let changed = |from: &str, to: &str| report(&ENTRY.replace(from, to));
        let bad = [
            changed("1000,", "0,"),
            changed("1000,", "-1,"),
            changed("1000,", "9007199254740992,"),
            changed("1000,", "99999999999999999999,"),
            changed("1000,", "1000.5,"),
            changed("1000,", "\"1000\","),
            changed("\"CAPTURE\"", "\"CHARGEBACK\""),
            changed("\"CAPTURE\"", "7"),
            changed("20270115:TR:00000a", "a b"),
            changed("20270115:TR:00000a", ".."),
            changed("\"order-1\"", "7"),
            changed("order-1", ""),
            changed("order-1", &"x".repeat(129)),
            changed("1800000000000000", "null"),
            report(ENTRY).replace(DAY, "2027-01-16"),
            report(ENTRY).replace("\"captured\":1000", "\"captured\":-1"),
            report(ENTRY).replace("\"next\":null", "\"next\":\"2\""),
            report(&vec![ENTRY; ENTRIES_MAX + 1].join(",")),
            "[]".to_owned(),
        ];
        for body in bad {
            assert!(matches!(read(&body), Err(Fault::Unknown(_))), "{}", body.get(..300).unwrap_or(&body));
        }
    }

    #[test]
    fn a_reference_that_could_be_a_card_number_is_masked_and_one_of_ours_is_not() {
        let page = read(&report(&ENTRY.replace("order-1", "1234-5678-9814-1451"))).unwrap();
        assert_eq!(&*page.entries[0].reference, "****-****-****-1451");
        let ours = "01234567-1234-7123-8123-123456789012";
        let page = read(&report(&ENTRY.replace("order-1", ours))).unwrap();
        assert_eq!(&*page.entries[0].reference, ours);
    }
}
