//! Those who use the shop: each command goes out under a key of its own, again and again until it is answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use commerce_api_application::desk::{DeskReply, KeyedRequest, Submission};
use commerce_api_application::ports::{
    Answer, CardCipher as _, CardNumber, Clock as _, Fingerprint, IdSource as _, IdempotencyScope,
    PaymentChecks as _,
};
use commerce_api_domain::{
    Actor, CardBrand, CardDetails, CommandKind, CouponId, IssuedCouponId, LikeChange, Money, MovementKind,
    OrderId, OrderLineRequest, Outcome, PaymentRequest, PlaceOrder, ProductId, Quantity, Refusal, UserId,
};
use uuid::Uuid;

use crate::fault::Fault;
use crate::fleet::{Fleet, Node, PlainCipher};
use crate::plan::{Command, Deed};
use crate::world::locked;

/// The one coupon.
pub const COUPON: CouponId = CouponId(1);

/// `won` won, and nothing where that is no amount.
pub fn won(won: i64) -> Money {
    Money::new(won).unwrap_or_default()
}

/// What clients know.
pub struct Clients {
    fleet: Arc<Fleet>,
    users: Vec<UserId>,
    products: Vec<ProductId>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    placed: Vec<OrderId>,
    coupons: BTreeMap<UserId, IssuedCouponId>,
    answers: BTreeMap<usize, String>,
    busy: usize,
}

/// What became of a try.
enum Tried {
    Answered(String),
    /// Nobody knows, or the shop could not.
    Again,
}

impl Clients {
    /// Of these customers and products.
    pub fn new(fleet: Arc<Fleet>, users: Vec<UserId>, products: Vec<ProductId>) -> Arc<Self> {
        Arc::new(Self { fleet, users, products, known: Mutex::default() })
    }

    /// Answers by the number of the command.
    pub fn answers(&self) -> BTreeMap<usize, String> {
        locked(&self.known).answers.clone()
    }

    /// Commands that are not answered.
    pub fn busy(&self) -> usize {
        locked(&self.known).busy
    }

    /// Does all of it at its time.
    pub async fn run(self: Arc<Self>, commands: Vec<Command>) {
        locked(&self.known).busy = commands.len();
        for command in commands {
            // tidy: sleep simulated time
            tokio::time::sleep(command.at.saturating_sub(self.fleet.world.clock.elapsed())).await;
            let clients = self.clone();
            tokio::spawn(async move {
                clients.act(&command).await;
                locked(&clients.known).busy -= 1;
            });
        }
    }

    async fn act(&self, command: &Command) {
        let world = &self.fleet.world;
        world.note(|| format!("command {} by {}: {:?}", command.number, command.user, command.deed));
        let Some(user) = self.users.get(command.user).copied() else { return };
        match &command.deed {
            Deed::View { product } => self.view(user, *product),
            Deed::Like { product, active } => self.like(user, *product, *active).await,
            Deed::Recheck { nth } => self.recheck(*nth).await,
            deed => {
                if let Some(kind) = self.kind(user, deed) {
                    self.submit_until_answered(command.number, user, kind).await;
                }
            }
        }
    }

    fn product(&self, index: usize) -> ProductId {
        self.products.get(index).copied().unwrap_or(ProductId(0))
    }

    fn order(&self, nth: usize) -> Option<OrderId> {
        let known = locked(&self.known);
        let index = nth.checked_rem(known.placed.len())?;
        known.placed.get(index).copied()
    }

    /// The command of a deed; none where there is nothing yet that it could be done to.
    fn kind(&self, user: UserId, deed: &Deed) -> Option<CommandKind> {
        Some(match deed {
            Deed::Place { lines, coupon, points, card } => {
                let line = |(product, pieces): &(usize, i64)| {
                    let quantity = Quantity::new(*pieces).ok()?;
                    Some(OrderLineRequest { product: self.product(*product), quantity })
                };
                let card = card.then(|| CardDetails { brand: CardBrand::Kb, last_four: "1451".into() });
                let points = card.is_some().then(|| won(*points));
                let issued = locked(&self.known).coupons.get(&user).copied().filter(|_| *coupon);
                CommandKind::Place(PlaceOrder {
                    user,
                    lines: lines.iter().filter_map(line).collect(),
                    issued_coupon: issued,
                    payment: PaymentRequest { points, card },
                    expected_total: None,
                })
            }
            Deed::Cancel { nth } => CommandKind::Cancel { order: self.order(*nth)?, by: Actor::Admin(user) },
            Deed::Charge { amount } => CommandKind::ChargePoints { user, amount: won(*amount) },
            Deed::MoveStock { product, pieces } => {
                let is_receipt = *pieces > 0;
                CommandKind::MoveStock {
                    product: self.product(*product),
                    kind: if is_receipt { MovementKind::Receipt } else { MovementKind::Adjustment },
                    quantity: *pieces,
                    reason: Some("counted".into()),
                }
            }
            Deed::IssueCoupon => CommandKind::IssueCoupon { coupon: COUPON, user },
            Deed::Like { .. } | Deed::View { .. } | Deed::Recheck { .. } => return None,
        })
    }

    async fn submit_until_answered(&self, number: usize, user: UserId, kind: CommandKind) {
        loop {
            if let Some(node) = self.fleet.node()
                && let Tried::Answered(answer) = self.tried(&node, number, user, &kind).await
            {
                self.answered(number, user, &answer);
                if !self.fleet.world.strikes(Fault::ClientRepeats) {
                    return;
                }
            }
            // tidy: sleep simulated time
            tokio::time::sleep(self.fleet.world.span(200, 3_000)).await;
        }
    }

    async fn tried(&self, node: &Node, number: usize, user: UserId, kind: &CommandKind) -> Tried {
        let world = self.fleet.world.clone();
        let (wrong, is_new) = (world.clone(), matches!(kind, CommandKind::Place(_)));
        let keyed = KeyedRequest {
            scope: IdempotencyScope { user, route: "simulated", key: format!("command-{number}").into() },
            fingerprint: Fingerprint([u8::try_from(number % 251).unwrap_or_default(); 32]),
            encode: Arc::new(move |decision| {
                if let Err(refusal @ Refusal::Inconsistent(_)) = decision {
                    wrong.wrong(format!("command {number}: {refusal}"));
                }
                Answer { status: 200, location: None, body: shown(decision, is_new).into() }
            }),
        };
        let by_card = matches!(kind, CommandKind::Place(place) if place.payment.card.is_some());
        let card = by_card.then(|| PlainCipher.seal(&CardNumber::new("1234-5678-9814-1451".to_owned())));
        let submission = Submission { keyed: Some(keyed), card, ..Submission::internal(kind.clone()) };
        let reply = tokio::time::timeout(Duration::from_secs(6), node.desk.submit(submission)).await;
        let tried = match reply {
            Ok(Ok(
                DeskReply::Replayed(answer)
                | DeskReply::Confirmed(answer)
                | DeskReply::Decided { answer: Some(answer), .. },
            )) => Tried::Answered(String::from_utf8_lossy(&answer.body).into_owned()),
            Ok(Ok(reply)) => {
                world.wrong(format!("command {number} was answered {reply:?}"));
                Tried::Answered("nothing".to_owned())
            }
            Ok(Err(_)) | Err(_) => Tried::Again,
        };
        world.note(|| match &tried {
            Tried::Answered(answer) => format!("command {number} at {}: {answer}", node.life.name),
            Tried::Again => format!("command {number} at {}: no answer", node.life.name),
        });
        tried
    }

    /// The first answer counts, and every later one must be the same.
    fn answered(&self, number: usize, user: UserId, answer: &str) {
        let mut known = locked(&self.known);
        if let Some(first) = known.answers.get(&number) {
            if first != answer {
                self.fleet.world.wrong(format!("command {number} was answered `{first}` and `{answer}`"));
            }
            return;
        }
        known.answers.insert(number, answer.to_owned());
        let id = |prefix: &str| Uuid::try_parse(answer.strip_prefix(prefix)?).ok();
        if let Some(order) = id("order ") {
            known.placed.push(OrderId(order));
        }
        if let Some(issued) = id("coupon ") {
            known.coupons.insert(user, IssuedCouponId(issued));
        }
    }

    fn view(&self, user: UserId, product: usize) {
        if let Some(node) = self.fleet.node() {
            node.views.record(self.product(product), Some(user), self.fleet.world.clock.now());
        }
    }

    async fn like(&self, user: UserId, product: usize, active: bool) {
        loop {
            if let Some(node) = self.fleet.node() {
                let change =
                    LikeChange { ids: node.ids.seed(), user, product: self.product(product), active };
                let liked = tokio::time::timeout(Duration::from_secs(6), node.likes.submit(change)).await;
                if matches!(liked, Ok(Ok(_))) {
                    return;
                }
            }
            // tidy: sleep simulated time
            tokio::time::sleep(self.fleet.world.span(200, 3_000)).await;
        }
    }

    async fn recheck(&self, nth: usize) {
        let payment =
            self.order(nth).and_then(|id| Some(self.fleet.database.rows.orders().get(&id)?.payment.clone()));
        if let (Some(payment), Some(node)) = (payment, self.fleet.node())
            && !payment.card_part.is_zero()
        {
            let now = self.fleet.world.clock.now();
            // An administrator who gets no answer lets it be.
            let hastened = node.connection.hasten(payment.id, now, None);
            let _ = tokio::time::timeout(Duration::from_secs(6), hastened).await;
            node.desk.payments_due().raise();
        }
    }
}

/// The answer of a decision.
fn shown(decision: Result<&Outcome, &Refusal>, is_new: bool) -> String {
    match decision {
        Ok(Outcome::Order(order)) if is_new => format!("order {}", order.id),
        Ok(Outcome::Order(order)) => format!("closed {}", order.id),
        Ok(Outcome::PointsCharged(entry)) => format!("charged {}", entry.amount),
        Ok(Outcome::StockMoved(movement)) => format!("moved {}", movement.quantity),
        Ok(Outcome::CouponIssued(issued, _)) => format!("coupon {}", issued.id),
        Err(refusal) => format!("refused: {refusal}"),
    }
}
