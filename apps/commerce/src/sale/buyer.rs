use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::shop::{Buyer, Order, Shop, backoff, code_of, is_busy};

/// Tries of one order, all under one key.
const TRIES: u32 = 12;

/// State of an order that the gateway has not decided about.
const WAITING: &str = "PAYMENT_PENDING";

/// What came of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Told PAID.
    Paid(Box<Order>),
    /// Told that the gateway decides; the order's id.
    Waiting(String),
    /// Told that there is nothing left.
    OutOfStock,
    /// Told something else, by its code.
    Other(String),
    /// Never told anything but "later", or nothing; by the last cause.
    None(String),
}

/// One order's way.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// What came of it.
    pub answer: Answer,
    /// When it was sent first.
    pub sent_at: Instant,
    /// When its answer was there, or it was given up.
    pub ended_at: Instant,
    /// When it was settled: at its answer, or when the gateway had decided.
    pub settled_at: Instant,
    /// Requests beyond the first.
    pub repeats: u32,
    /// Whether the answer was one given before: the order was decided though its first answer was lost.
    pub replayed: bool,
}

/// Places one order, repeating it under its key while the shop is busy or the connection breaks, and waits until it is
/// settled.
pub async fn place(shop: &Arc<Shop>, buyer: &Buyer, key: &str, body: Bytes, salt: u64) -> Attempt {
    let sent_at = Instant::now();
    let Told { answer, repeats, replayed } = ask(shop, buyer, key, body, salt).await;
    let ended_at = Instant::now();
    let answer = settled(shop, buyer, answer, salt).await;
    Attempt { answer, sent_at, ended_at, settled_at: Instant::now(), repeats, replayed }
}

/// What the shop answered.
#[derive(Debug, Clone)]
pub struct Told {
    /// Its answer.
    pub answer: Answer,
    /// Requests beyond the first.
    pub repeats: u32,
    /// Whether it is one given before.
    pub replayed: bool,
}

/// The same until it is answered.
pub async fn ask(shop: &Shop, buyer: &Buyer, key: &str, body: Bytes, salt: u64) -> Told {
    let mut tries = 1;
    loop {
        let repeats = tries - 1;
        let (cause, retry_after) = match shop.order(buyer, key, body.clone()).await {
            Ok(reply) if !is_busy(&reply) => {
                return Told { answer: read(&reply), repeats, replayed: reply.replayed };
            }
            Ok(reply) => (code_of(&reply), reply.retry_after),
            Err(error) => (error.kind().to_owned(), None),
        };
        if tries == TRIES {
            return Told { answer: Answer::None(cause), repeats, replayed: false };
        }
        tokio::time::sleep(backoff(tries, salt, retry_after)).await;
        tries += 1;
    }
}

/// Longest wait until the gateway has decided.
const SETTLE_MAX: Duration = Duration::from_mins(2);

/// What comes of an order that waits for the gateway.
async fn settled(shop: &Shop, buyer: &Buyer, answer: Answer, salt: u64) -> Answer {
    let Answer::Waiting(id) = answer else { return answer };
    let give_up_at = Instant::now() + SETTLE_MAX;
    let mut looks = 2;
    loop {
        tokio::time::sleep(backoff(looks.min(3), salt, None)).await;
        looks += 1;
        match shop.find_order(buyer, &id).await {
            Ok(order) if order.status == "PAID" => return Answer::Paid(Box::new(order)),
            Ok(order) if order.status == WAITING && Instant::now() < give_up_at => {}
            Ok(order) => return Answer::Other(format!("ORDER_{}", order.status)),
            Err(_) => return Answer::None("SETTLEMENT_NOT_SEEN".to_owned()),
        }
    }
}

fn read(reply: &crate::client::Reply) -> Answer {
    if !matches!(reply.status.as_u16(), 201 | 202) {
        let code = code_of(reply);
        return if code == "OUT_OF_STOCK" { Answer::OutOfStock } else { Answer::Other(code) };
    }
    match serde_json::from_slice::<Order>(&reply.body) {
        Ok(order) if order.status == "PAID" => Answer::Paid(Box::new(order)),
        Ok(order) if order.status == WAITING => Answer::Waiting(order.id),
        Ok(order) => Answer::Other(format!("ORDER_{}", order.status)),
        Err(_) => Answer::Other("UNREADABLE_ANSWER".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::client::{Client, Reply};

    #[test]
    fn answers_are_told_apart() {
        let told = |status: StatusCode, body: &'static str| {
            read(&Reply {
                status,
                replayed: false,
                retry_after: None,
                body: Bytes::from_static(body.as_bytes()),
            })
        };
        let paid = r#"{"id":"a","status":"PAID","total":10,"pointsEarned":1,"payment":{"pointsPart":10,"cardPart":0}}"#;
        assert!(
            matches!(told(StatusCode::CREATED, paid), Answer::Paid(order) if order.payment.points_part == 10)
        );
        let pending =
            r#"{"id":"a","status":"PAYMENT_PENDING","total":1,"pointsEarned":0,"payment":{"pointsPart":0}}"#;
        assert_eq!(told(StatusCode::ACCEPTED, pending), Answer::Waiting("a".into()));
        let canceled =
            r#"{"id":"a","status":"CANCELED","total":1,"pointsEarned":0,"payment":{"pointsPart":0}}"#;
        assert_eq!(told(StatusCode::CREATED, canceled), Answer::Other("ORDER_CANCELED".into()));
        assert_eq!(told(StatusCode::CREATED, "{}"), Answer::Other("UNREADABLE_ANSWER".into()));
        assert_eq!(told(StatusCode::CONFLICT, r#"{"code":"OUT_OF_STOCK"}"#), Answer::OutOfStock);
        assert_eq!(told(StatusCode::INTERNAL_SERVER_ERROR, "oops"), Answer::Other("HTTP_500".into()));
    }

    const PAID: &str =
        r#"{"id":"a","status":"PAID","total":10,"pointsEarned":1,"payment":{"pointsPart":10}}"#;

    /// A request without a body, whole.
    fn is_read(text: &[u8]) -> bool {
        text.starts_with(b"GET") && text.ends_with(b"\r\n\r\n")
    }

    /// Gives each connection one of `answers`, then closes it; none is given no answer. Gives back the keys it saw.
    async fn serve(listener: TcpListener, answers: Vec<Option<String>>) -> Vec<String> {
        let mut keys = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut text = Vec::new();
            while !text.ends_with(b"}") && !is_read(&text) {
                assert_ne!(stream.read_buf(&mut text).await.unwrap(), 0);
            }
            let text = String::from_utf8(text).unwrap();
            keys.extend(
                text.lines().find_map(|line| line.strip_prefix("idempotency-key: ")).map(str::to_owned),
            );
            if let Some(answer) = answer {
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
        keys
    }

    fn answer(status: &str, headers: &str, body: &str) -> String {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}")
    }

    async fn place_against(answers: Vec<Option<String>>) -> (Attempt, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(serve(listener, answers));
        let shop = Arc::new(Shop::new(Client::new(&url, 1).unwrap()));
        let buyer = Buyer { token: "t".to_owned() };
        let attempt = place(&shop, &buyer, "the-key", Shop::order_body(1), 1).await;
        (attempt, server.await.unwrap())
    }

    #[tokio::test]
    async fn busy_and_broken_are_repeated_under_the_same_key() {
        let busy = answer("503 Busy", "retry-after: 0\r\n", r#"{"code":"DESK_OVERLOADED"}"#);
        let paid = answer("201 Created", "idempotent-replayed: true\r\n", PAID);
        let (attempt, keys) = place_against(vec![Some(busy), None, Some(paid)]).await;
        assert!(matches!(attempt.answer, Answer::Paid(_)), "{attempt:?}");
        assert_eq!((attempt.repeats, attempt.replayed), (2, true));
        assert_eq!(keys, ["the-key"; 3]);
    }

    #[tokio::test]
    async fn an_order_by_card_ends_when_the_gateway_has_decided() {
        let (waiting, paid) = (PAID.replace("PAID", WAITING), answer("200 OK", "", PAID));
        let placed = answer("202 Accepted", "", &waiting);
        let (attempt, _) =
            place_against(vec![Some(placed), Some(answer("200 OK", "", &waiting)), Some(paid)]).await;
        assert!(matches!(attempt.answer, Answer::Paid(_)), "{attempt:?}");
        assert!(attempt.settled_at > attempt.ended_at);
        let failed = answer("200 OK", "", &PAID.replace("PAID", "PAYMENT_FAILED"));
        let (attempt, _) =
            place_against(vec![Some(answer("202 Accepted", "", &waiting)), Some(failed)]).await;
        assert_eq!(attempt.answer, Answer::Other("ORDER_PAYMENT_FAILED".into()));
    }

    #[tokio::test]
    async fn a_refusal_is_not_repeated() {
        let refused = answer("409 Conflict", "", r#"{"code":"OUT_OF_STOCK"}"#);
        let (attempt, keys) = place_against(vec![Some(refused)]).await;
        assert_eq!((attempt.answer, attempt.repeats, keys.len()), (Answer::OutOfStock, 0, 1));
    }
}
