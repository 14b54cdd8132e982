//! A shop with a gateway, a dispatcher and callbacks, driven step by step on the shop's clock.

use std::sync::Arc;
use std::time::Duration;

use commerce_api_application::desk::OrderDesk;
use commerce_api_application::payments::{
    CallbackOutcome, Callbacks, DispatchOptions, PaymentDispatcher, VerifiedCallback,
};
use commerce_api_application::ports::{Clock as _, GatewayAbilities, GatewayTransaction, OpenFilter};
use commerce_api_domain::*;

use crate::gateway::ScriptedGateway;
use crate::shop::*;

/// What the gateways of this world can do: all of it, nothing, and in between.
pub const GATEWAYS: [GatewayAbilities; 4] = [
    GatewayAbilities::ALL,
    GatewayAbilities::NONE,
    GatewayAbilities { idempotency: true, ..GatewayAbilities::NONE },
    GatewayAbilities { idempotency: false, ..GatewayAbilities::ALL },
];

pub struct Till {
    pub shop: Shop,
    pub desk: OrderDesk,
    pub gateway: Arc<ScriptedGateway>,
    pub payments: Payments,
    pub dispatcher: PaymentDispatcher,
    pub callbacks: Callbacks,
    pub user: UserId,
    pub product: ProductId,
}

/// Points that the customer starts with, and pieces of the product, at 10,000 won each.
pub const POINTS: i64 = 50_000;
pub const PIECES: i64 = 10;

impl Till {
    pub async fn open(shop: Shop, abilities: GatewayAbilities) -> Self {
        let gateway = Arc::new(ScriptedGateway::new(abilities, shop.clock.clone()));
        let (desk, payments) = (shop.desk_for(abilities), shop.payments());
        let dispatcher = dispatcher(&shop, &desk, &gateway);
        let callbacks = Callbacks::new(
            desk.clone(),
            payments.queries.clone(),
            payments.checks.clone(),
            payments.inbox.clone(),
            gateway.clone(),
            shop.clock.clone(),
        );
        let (user, product) = (shop.user(POINTS).await, shop.product(10_000, PIECES).await);
        Self { shop, desk, gateway, payments, dispatcher, callbacks, user, product }
    }

    /// The same shop with another dispatcher, as after a crash.
    pub fn another_dispatcher(&self) -> PaymentDispatcher {
        dispatcher(&self.shop, &self.desk, &self.gateway)
    }

    pub async fn run(&self, kind: CommandKind) -> Result<Order, Refusal> {
        self.shop.run(&self.desk, kind).await.map(order_of)
    }

    /// An order of one piece, of which points pay a part.
    pub async fn place(&self, points: i64) -> Order {
        self.run(by_card(self.user, self.product, 1, points)).await.unwrap()
    }

    pub async fn cancel(&self, order: &Order) -> Order {
        self.run(CommandKind::Cancel { order: order.id, by: Actor::Customer(self.user) }).await.unwrap()
    }

    pub async fn expire(&self, order: &Order) -> Order {
        self.run(CommandKind::Expire { order: order.id }).await.unwrap()
    }

    /// One pass of the dispatcher.
    pub async fn step(&self) -> usize {
        self.dispatcher.step().await.unwrap()
    }

    pub fn later(&self, duration: Duration) {
        self.shop.clock.advance(duration);
    }

    /// Lets the dispatcher work for so long, each visit at the moment it is due.
    pub async fn work_for(&self, duration: Duration) {
        self.work_with(&self.dispatcher, duration).await;
    }

    pub async fn work_with(&self, dispatcher: &PaymentDispatcher, duration: Duration) {
        let end = self.shop.clock.now().plus(duration);
        loop {
            while dispatcher.step().await.unwrap() > 0 {}
            match self.payments.checks.next_due().await.unwrap().filter(|due| *due <= end) {
                Some(due) => self.shop.clock.set(due.max(self.shop.clock.now())),
                None => break,
            }
        }
        self.shop.clock.set(end);
    }

    /// Order and payment, as their states are called.
    pub async fn state(&self, order: &Order) -> String {
        let (order, payment) = self.shop.books().await.orders[&order.id.0].clone();
        format!("{order}/{payment}")
    }

    pub async fn payment(&self, order: &Order) -> Payment {
        self.payments.queries.payment(order.payment.id).await.unwrap().unwrap()
    }

    /// Payments that are listed as open.
    pub async fn open_payments(&self) -> Vec<PaymentId> {
        let filter = OpenFilter {
            made_before: self.shop.clock.now().plus(Duration::from_secs(1)),
            limit: 100,
            ..OpenFilter::default()
        };
        let open = self.payments.checks.open(&filter).await.unwrap();
        open.into_iter().map(|open| open.payment.id).collect()
    }

    /// The callback that the gateway sends of `transaction`.
    pub async fn called_back(&self, event_id: &str, transaction: &GatewayTransaction) -> CallbackOutcome {
        self.callbacks.receive(callback(event_id, transaction)).await.unwrap()
    }

    /// Nothing is broken on the way.
    pub async fn is_sound(&self) {
        assert_eq!(self.shop.violations().await, [""; 0]);
    }

    /// Everything came to an end: nobody has to visit anything, no card number is left, and the gateway holds exactly what
    /// paid orders cost. Without keys the dispatcher looks for a second capture until none can come any more.
    pub async fn is_settled(&self) {
        if !self.gateway.abilities.idempotency {
            self.work_for(Duration::from_mins(3)).await;
        }
        self.is_sound().await;
        let books = self.shop.books().await;
        assert_eq!(books.checks.len(), 0, "no payment has to be visited");
        assert_eq!(books.vault.len(), 0, "no card number is kept");
        let mut held = 0;
        for (order, (status, _)) in &books.orders {
            if status == "PAID" {
                let parts =
                    self.shop.storage().begin("test").await.unwrap().lock(&self.lock(*order).await).await;
                held += parts.unwrap().snapshot.orders[&OrderId(*order)].payment.card_part.won();
            }
        }
        assert_eq!(self.gateway.holds(), held, "the gateway holds what is paid by card");
    }

    async fn lock(&self, order: uuid::Uuid) -> commerce_api_application::ports::LockRequest {
        let orders = [OrderId(order)].into();
        let orders = self.shop.storage().order_parts(&orders).await.unwrap();
        commerce_api_application::ports::LockRequest { orders, ..Default::default() }
    }

    /// What the order took is back: stock, and the points part.
    pub async fn gave_everything_back(&self) {
        let books = self.shop.books().await;
        assert_eq!(books.stocks[&self.product.0], PIECES);
        assert_eq!(books.balances[&self.user.0], POINTS);
    }
}

fn dispatcher(shop: &Shop, desk: &OrderDesk, gateway: &Arc<ScriptedGateway>) -> PaymentDispatcher {
    PaymentDispatcher::new(
        desk.clone(),
        shop.payments().checks,
        gateway.clone(),
        Arc::new(cipher()),
        &*shop.ids,
        shop.clock.clone(),
        DispatchOptions { poll_every: Duration::from_millis(5), ..DispatchOptions::default() },
    )
}

pub fn callback(event_id: &str, transaction: &GatewayTransaction) -> VerifiedCallback {
    VerifiedCallback {
        event_id: Some(event_id.to_owned()),
        headers: "{}".to_owned(),
        body: format!("{{\"transactionKey\":\"{}\"}}", transaction.key),
        transaction: transaction.clone(),
    }
}

/// Runs `test` on every storage, with every kind of gateway.
pub async fn at_every_till<F: Future<Output = ()>>(test: impl Fn(Till) -> F) {
    for abilities in GATEWAYS {
        let storages = on_every_storage(|shop| async { test(Till::open(shop, abilities).await).await });
        named(&format!("{abilities:?}"), Box::pin(storages)).await;
    }
}

/// The same with a gateway that can do everything.
pub async fn at_a_till<F: Future<Output = ()>>(test: impl Fn(Till) -> F) {
    Box::pin(on_every_storage(|shop| async { test(Till::open(shop, GatewayAbilities::ALL).await).await }))
        .await;
}
