use proptest::prelude::*;

use super::*;

const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const AT_S: i64 = 1_614_265_330;
const BODY: &[u8] = br#"{"test": 2432232314}"#;

/// The example of the Standard Webhooks libraries.
fn known() -> Secret {
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap()
}

fn headers<'a>(timestamp: &'a str, signature: &'a str) -> Headers<'a> {
    Headers { id: Some(ID), timestamp: Some(timestamp), signature: Some(signature) }
}

fn check(secrets: &[Secret], signature: &str, now_s: i64) -> Result<(), Unverified> {
    verify(secrets, headers(&AT_S.to_string(), signature), BODY, now_s, TOLERANCE).map(drop)
}

#[test]
fn the_example_of_the_standard_is_signed_as_it_says() {
    let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert_eq!(sign(&known(), ID, AT_S, BODY), expected);
    let at = AT_S.to_string();
    let id = verify(&[known()], headers(&at, expected), BODY, AT_S, TOLERANCE);
    assert_eq!(id, Ok(ID));
}

#[test]
fn another_body_id_time_or_secret_does_not_fit() {
    let (at, signature) = (AT_S.to_string(), sign(&known(), ID, AT_S, BODY));
    let good = headers(&at, &signature);
    let refused = |headers, body| verify(&[known()], headers, body, AT_S, TOLERANCE);
    assert_eq!(refused(good, br#"{"test":2432232314}"#), Err(Unverified::NoMatch));
    assert_eq!(refused(good, &BODY[1..]), Err(Unverified::NoMatch));
    assert_eq!(refused(Headers { id: Some("msg_other"), ..good }, BODY), Err(Unverified::NoMatch));
    let later = (AT_S + 1).to_string();
    assert_eq!(refused(Headers { timestamp: Some(&later), ..good }, BODY), Err(Unverified::NoMatch));
    assert_eq!(check(&[Secret::new(b"another")], &signature, AT_S), Err(Unverified::NoMatch));
    assert_eq!(check(&[], &signature, AT_S), Err(Unverified::NoMatch));
}

#[test]
fn a_truncated_signature_does_not_fit() {
    let signature = sign(&known(), ID, AT_S, BODY);
    let mac = STANDARD.decode(&signature[3..]).unwrap();
    for bytes in [1, 16, 31] {
        let short = format!("v1,{}", STANDARD.encode(&mac[..bytes]));
        assert_eq!(check(&[known()], &short, AT_S), Err(Unverified::NoMatch), "{bytes}");
    }
}

#[test]
fn one_of_several_signatures_and_secrets_is_enough() {
    let (old, new) = (Secret::new(&[1; 32]), Secret::new(&[2; 32]));
    let both = format!("{} {}", sign(&old, ID, AT_S, BODY), sign(&new, ID, AT_S, BODY));
    for secrets in [vec![old.clone()], vec![new.clone()], vec![known(), new.clone()]] {
        assert_eq!(check(&secrets, &both, AT_S), Ok(()));
    }
    assert_eq!(check(&[known()], &both, AT_S), Err(Unverified::NoMatch));
    let other_version = sign(&old, ID, AT_S, BODY).replace("v1,", "v1a,");
    assert_eq!(check(std::slice::from_ref(&old), &other_version, AT_S), Err(Unverified::NoMatch));
    assert_eq!(
        check(&[new], &format!("{other_version} {}", sign(&old, ID, AT_S, BODY)), AT_S),
        Err(Unverified::NoMatch)
    );
    assert_eq!(
        check(std::slice::from_ref(&old), &format!("{other_version} {}", sign(&old, ID, AT_S, BODY)), AT_S),
        Ok(())
    );
}

#[test]
fn an_attempt_counts_within_the_tolerance_on_both_sides() {
    let signature = sign(&known(), ID, AT_S, BODY);
    let seconds = 300;
    for now_s in [AT_S - seconds, AT_S, AT_S + seconds] {
        assert_eq!(check(&[known()], &signature, now_s), Ok(()), "{now_s}");
    }
    assert_eq!(check(&[known()], &signature, AT_S + 301), Err(Unverified::TooOld(301)));
    assert_eq!(check(&[known()], &signature, AT_S - 301), Err(Unverified::TooNew(301)));
    assert!(matches!(check(&[known()], &signature, i64::MIN), Err(Unverified::TooNew(_))));
    assert!(matches!(check(&[known()], &signature, i64::MAX), Err(Unverified::TooOld(_))));
}

#[test]
fn a_missing_header_is_named() {
    let (at, signature) = (AT_S.to_string(), sign(&known(), ID, AT_S, BODY));
    let good = headers(&at, &signature);
    let cases = [
        (Headers { id: None, ..good }, ID_HEADER),
        (Headers { timestamp: None, ..good }, TIMESTAMP_HEADER),
        (Headers { signature: None, ..good }, SIGNATURE_HEADER),
    ];
    for (headers, name) in cases {
        assert_eq!(verify(&[known()], headers, BODY, AT_S, TOLERANCE), Err(Unverified::Missing(name)));
    }
}

#[test]
fn a_header_in_another_form_is_refused_before_anything_is_compared() {
    let (at, signature) = (AT_S.to_string(), sign(&known(), ID, AT_S, BODY));
    let good = headers(&at, &signature);
    let refused = |headers| verify(&[known()], headers, BODY, AT_S, TOLERANCE);
    let long = "a".repeat(ID_BYTES_MAX + 1);
    for id in ["", "a.b", "a b", "ä", long.as_str()] {
        let headers = Headers { id: Some(id), ..good };
        assert_eq!(refused(headers), Err(Unverified::Malformed(ID_HEADER)), "{id:?}");
    }
    for timestamp in ["", "now", "+1614265330", "01614265330", "1614265330.0", "-1", "99999999999999999999"] {
        let headers = Headers { timestamp: Some(timestamp), ..good };
        assert_eq!(refused(headers), Err(Unverified::Malformed(TIMESTAMP_HEADER)), "{timestamp:?}");
    }
    let many = vec![signature.as_str(); SIGNATURES_MAX + 1].join(" ");
    for signature in ["", "v1", "v1,", ",AA==", "v1,%%%", "v1,AA== ", many.as_str()] {
        let headers = Headers { signature: Some(signature), ..good };
        assert_eq!(refused(headers), Err(Unverified::Malformed(SIGNATURE_HEADER)), "{signature:?}");
    }
}

#[test]
fn a_dot_cannot_move_from_the_body_into_the_id() {
    let signature = sign(&known(), "a", 1, b"2.x");
    let moved = Headers { id: Some("a.1"), timestamp: Some("2"), signature: Some(&signature) };
    assert_eq!(verify(&[known()], moved, b"x", 1, TOLERANCE), Err(Unverified::Malformed(ID_HEADER)));
}

#[test]
fn a_secret_is_never_shown_and_its_text_is_checked() {
    assert_eq!(format!("{:?}", known()), "Secret(hidden)");
    for bad in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_AA==", "whsec_%"] {
        assert_eq!(bad.parse::<Secret>().err(), Some(SecretError), "{bad:?}");
    }
    assert_eq!(SecretError.to_string(), "a webhook secret is `whsec_` and the base64 of 24 to 64 bytes");
}

#[test]
fn a_key_of_any_length_is_a_key_of_hmac() {
    for length in [0, 1, 24, 63, 64, 65, 131] {
        let key = vec![0xaa; length];
        let mut expected = <hmac::Hmac<sha2::Sha256> as hmac::KeyInit>::new_from_slice(&key).unwrap();
        expected.update(b"a.b.c");
        let mac = Secret::new(&key).mac("a", "b", b"c");
        assert_eq!(mac.finalize().into_bytes(), expected.finalize().into_bytes(), "{length}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Nobody without the secret gets in, whatever they send.
    #[test]
    fn no_headers_and_body_of_somebody_elses_are_believed(
        id in ".{0,40}", timestamp in "[0-9+-]{0,20}|.{0,20}", signature in "(v1,)?[A-Za-z0-9+/=, ]{0,200}|.{0,100}",
        body in prop::collection::vec(any::<u8>(), 0..100), now_s: i64,
    ) {
        let headers = Headers { id: Some(&id), timestamp: Some(&timestamp), signature: Some(&signature) };
        prop_assert!(verify(&[known()], headers, &body, now_s, TOLERANCE).is_err());
    }

    /// One bit of what is signed, or of the signature, and it does not fit any more.
    #[test]
    fn one_bit_changed_is_refused(at: prop::sample::Index, bit in 0_u8..8, part in 0_usize..4) {
        let timestamp = AT_S.to_string();
        let mut parts = [ID.into(), timestamp.into_bytes(), sign(&known(), ID, AT_S, BODY).into_bytes(), BODY.to_vec()];
        let at = at.index(parts[part].len());
        parts[part][at] ^= 1 << bit;
        let [id, timestamp, signature, body]: [Vec<u8>; 4] = parts;
        let texts = [id, timestamp, signature].map(String::from_utf8);
        // What is no text never gets through a header.
        if let [Ok(id), Ok(timestamp), Ok(signature)] = texts {
            let headers = Headers { id: Some(&id), timestamp: Some(&timestamp), signature: Some(&signature) };
            prop_assert!(verify(&[known()], headers, &body, AT_S, TOLERANCE).is_err());
        }
    }
}
