use std::net::IpAddr;

use commerce_contracts::gateway::PaymentRequest;
use http::Uri;

/// What is wrong with a request. It names no value: one may be a card number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    #[error("`orderId` must have from {ORDER_ID_CHARS_MIN} to {ORDER_ID_CHARS_MAX} characters")]
    OrderId,
    #[error("`cardNo` must have the form dddd-dddd-dddd-dddd")]
    CardNo,
    #[error("`amount` must be a whole number from 1 to {AMOUNT_MAX}")]
    Amount,
    #[error(
        "`callbackUrl` must be an http or https URL of this machine, or of a host that the simulator was told"
    )]
    CallbackUrl,
}

const ORDER_ID_CHARS_MIN: usize = 6;
/// The largest whole number that every JSON reader holds exactly.
const AMOUNT_MAX: i64 = 9_007_199_254_740_991;
pub(crate) const ORDER_ID_CHARS_MAX: usize = 128;
const URL_CHARS_MAX: usize = 2_048;

/// Checks a payment's request by the rules of the protocol.
pub(crate) fn check_request(request: &PaymentRequest, callback_hosts: &[String]) -> Result<(), Invalid> {
    let length = request.order_id.chars().count();
    let fits = (ORDER_ID_CHARS_MIN..=ORDER_ID_CHARS_MAX).contains(&length);
    if !fits || request.order_id.trim().is_empty() {
        return Err(Invalid::OrderId);
    }
    if !is_card_no(&request.card_no) {
        return Err(Invalid::CardNo);
    }
    if !(1..=AMOUNT_MAX).contains(&request.amount) {
        return Err(Invalid::Amount);
    }
    check_callback_url(&request.callback_url, callback_hosts)
}

/// Whether callbacks may go there: to this machine, or to one of `hosts`.
fn check_callback_url(url: &str, hosts: &[String]) -> Result<(), Invalid> {
    let uri = url.parse::<Uri>().ok().filter(|_| url.len() <= URL_CHARS_MAX).ok_or(Invalid::CallbackUrl)?;
    let http = matches!(uri.scheme_str(), Some("http" | "https"));
    // A user and password before the host would be sent with every callback.
    let plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    let host = uri.host().unwrap_or_default();
    let allowed = is_loopback(host) || hosts.iter().any(|known| known.eq_ignore_ascii_case(host));
    if http && plain && allowed { Ok(()) } else { Err(Invalid::CallbackUrl) }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

fn is_card_no(text: &str) -> bool {
    let mut groups = 0;
    let digits = text.split('-').all(|group| {
        groups += 1;
        group.len() == 4 && group.bytes().all(|byte| byte.is_ascii_digit())
    });
    digits && groups == 4
}

#[cfg(test)]
mod tests {
    use commerce_contracts::gateway::CardType;

    use super::*;

    fn request() -> PaymentRequest {
        PaymentRequest {
            order_id: "order1".to_owned(),
            card_type: CardType::Samsung,
            card_no: "1234-5678-9012-3456".to_owned(),
            amount: 1,
            callback_url: "http://localhost:8080/api/v1/callback".to_owned(),
        }
    }

    fn check(change: impl FnOnce(&mut PaymentRequest)) -> Result<(), Invalid> {
        let mut request = request();
        change(&mut request);
        check_request(&request, &["shop.example".to_owned()])
    }

    #[test]
    fn each_rule_of_the_protocol_is_checked() {
        assert_eq!(check(|_| ()), Ok(()));
        for order_id in ["", "12345", "      ", "가나다라마", &"a".repeat(129)] {
            assert_eq!(check(|r| r.order_id = order_id.to_owned()), Err(Invalid::OrderId), "{order_id:?}");
        }
        for order_id in ["123456", "가나다라마바", &"a".repeat(128)] {
            assert_eq!(check(|r| r.order_id = order_id.to_owned()), Ok(()), "{order_id:?}");
        }
        for card_no in [
            "",
            "1234567890123456",
            "1234-5678-9012-345",
            "1234-5678-9012-34567",
            "1234-5678-9012-345a",
            "1234-5678-9012-3456-",
            "1234-5678-9012-3456-7890",
            "1234-5678-9012-345\u{663}",
        ] {
            assert_eq!(check(|r| r.card_no = card_no.to_owned()), Err(Invalid::CardNo), "{card_no:?}");
        }
        for amount in [0, -1, i64::MIN, 1 << 53, i64::MAX] {
            assert_eq!(check(|r| r.amount = amount), Err(Invalid::Amount), "{amount}");
        }
    }

    #[test]
    fn callbacks_go_to_this_machine_and_to_known_hosts_only() {
        for url in [
            "http://localhost:8080/a?b=c",
            "https://LOCALHOST/a",
            "http://127.0.0.1:1/",
            "http://127.9.9.9/",
            "http://[::1]:8080/a",
            "https://shop.example/a",
        ] {
            assert_eq!(check(|r| r.callback_url = url.to_owned()), Ok(()), "{url}");
        }
        for url in [
            "",
            "localhost:8080",
            "/a",
            "ftp://localhost/a",
            "http://10.0.0.1/a",
            "http://localhost.evil.example/a",
            "http://evil.example/localhost",
            "http://user:secret@localhost/a",
            "http://shop.example@evil.example/a",
        ] {
            assert_eq!(check(|r| r.callback_url = url.to_owned()), Err(Invalid::CallbackUrl), "{url}");
        }
    }
}
