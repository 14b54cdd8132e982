//! What can be wrong with a request whose head is HTTP.

use serde_json::Value;

use super::requests::Request;

/// Numbers that look random and are the same in every run (`SplitMix64`).
pub struct Dice(u64);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `bound - 1`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

const METHODS: &[&str] =
    &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "get"];

/// Segments, and values of parameters.
const TEXTS: &[&str] = &[
    "0",
    "-1",
    "1.5",
    "9223372036854775807",
    "9223372036854775808",
    "99999999999999999999999999",
    "1e3",
    "%00",
    "%ff%fe",
    "..%2f..%2fetc%2fpasswd",
    "%F0%9F%8D%B5",
    "'%20OR%201=1--",
    "null",
    "%25",
    "%zz",
    "a+b",
    "",
    "0190a0b0-7000-7000-8000-000000000000",
    "%D7%90%E2%80%AE",
];

const PARAMETERS: &[&str] = &[
    "cursor", "limit", "sort", "search", "brandId", "status", "state", "page", "size", "date", "period", "x",
];

/// What stands where a value stood, as JSON text that a serializer would not write.
const RAW: &[&str] = &[
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "1e400",
    "-0",
    "9223372036854775807",
    "9223372036854775808",
    "123456789012345678901234567890",
    "\"\"",
    "\" \"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\u{202e}\u{5d0}\u{1f375}\"",
    "\"Robert'); DROP TABLE products;--\"",
    "\"2026-02-30T25:61:61Z\"",
    "[]",
    "{}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "{\"a\":{\"a\":{\"a\":1}}}",
    "NaN",
    "01",
];

/// Headers that mean something, with values that mean nothing.
const HEADERS: &[(&str, &[u8])] = &[
    ("Authorization", b"Bearer "),
    ("Authorization", b"Bearer \xff\xfe"),
    ("Authorization", b"Basic c2hvcHBlcjpzaG9wcGVyLWRlbW8="),
    ("Authorization", b"Bearer 0000000000000000000000000000000000000000000"),
    ("Idempotency-Key", b""),
    ("Idempotency-Key", b"two words"),
    ("Idempotency-Key", b"\xf0\x9f\x8d\xb5"),
    ("Idempotency-Key", b"the-same-for-everybody"),
    ("Content-Type", b"text/plain"),
    ("Content-Type", b"application/json; charset=utf-16"),
    ("Content-Type", b"\xff"),
    ("Content-Encoding", b"gzip"),
    ("Accept", b"application/xml"),
    ("Accept-Encoding", b"gzip, br;q=\xe9"),
    ("If-Match", b"*"),
    ("If-Match", b"\"v99999999999999999999\""),
    ("If-Match", b"W/\"v1\""),
    ("If-Match", b"\xff"),
    ("traceparent", b"00-00000000000000000000000000000000-0000000000000000-ff"),
    ("traceparent", b"zz"),
    ("X-Forwarded-For", b"999.1.1.1, ::::"),
    ("Origin", b"null"),
    ("webhook-id", b"msg_1"),
    ("webhook-timestamp", b"-99999999999999999999"),
    ("webhook-signature", b"v1,AAAA"),
    ("Range", b"bytes=0-0"),
    ("Expect", b"201-created"),
];

/// Spoils one thing.
pub fn mutate(request: &mut Request, dice: &mut Dice) {
    match dice.below(10) {
        0 => dice.of(METHODS).clone_into(&mut request.method),
        1 => segment(request, dice),
        2 | 3 => query(request, dice),
        4 | 5 => header(request, dice),
        6 => text(request, dice),
        _ => body(request, dice),
    }
}

fn segment(request: &mut Request, dice: &mut Dice) {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut segments: Vec<&str> = path.split('/').collect();
    let at = 1 + dice.below(segments.len() - 1);
    match dice.below(3) {
        0 => segments.insert(at, dice.of(TEXTS)),
        1 if segments.len() > 2 => {
            segments.remove(at);
        }
        _ => segments[at] = dice.of(TEXTS),
    }
    let (path, mark) = (segments.join("/"), if query.is_empty() { "" } else { "?" });
    request.target = format!("{path}{mark}{query}");
}

fn query(request: &mut Request, dice: &mut Dice) {
    let mark = if request.target.contains('?') { '&' } else { '?' };
    let (name, value) = (dice.of(PARAMETERS), dice.of(TEXTS));
    request.target = format!("{}{mark}{name}={value}", request.target);
}

fn header(request: &mut Request, dice: &mut Dice) {
    let count = request.headers.len();
    if count > 0 && dice.below(3) == 0 {
        request.headers.remove(dice.below(count));
        return;
    }
    let (name, value) = dice.of(HEADERS);
    // Twice what may be there once, or in its place.
    if dice.below(4) > 0 {
        request.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }
    request.headers.push((name.to_owned(), value.to_vec()));
}

/// The body as bytes.
fn text(request: &mut Request, dice: &mut Dice) {
    let length = request.body.len();
    if length == 0 {
        request.body = dice.of(RAW).as_bytes().to_vec();
        return;
    }
    let at = dice.below(length);
    match dice.below(4) {
        0 => request.body.truncate(at),
        1 => request.body[at] ^= u8::try_from(1 + dice.below(255)).unwrap(),
        2 => {
            request.body.remove(at);
        }
        _ => request.body.extend_from_slice(b"}"),
    }
}

/// The body as JSON; where it is none any more, it stays.
fn body(request: &mut Request, dice: &mut Dice) {
    /// Stands for what is no JSON that a serializer writes.
    const GAP: &str = "@gap@";
    let Ok(mut json) = serde_json::from_slice::<Value>(&request.body) else { return };
    spoil(&mut json, dice, GAP);
    request.body = json.to_string().replace(&format!("\"{GAP}\""), dice.of(RAW)).into_bytes();
}

fn spoil(json: &mut Value, dice: &mut Dice, gap: &str) {
    match json {
        Value::Object(members) if !members.is_empty() => {
            let name = members.keys().nth(dice.below(members.len())).unwrap().clone();
            match dice.below(6) {
                0 => drop(members.remove(&name)),
                1 => drop(members.insert(format!("{name}x"), gap.into())),
                2 => members[&name] = gap.into(),
                _ => spoil(&mut members[&name], dice, gap),
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let at = dice.below(items.len());
            match dice.below(4) {
                0 => drop(items.remove(at)),
                1 => items.push(items[at].clone()),
                _ => spoil(&mut items[at], dice, gap),
            }
        }
        value => *value = gap.into(),
    }
}
