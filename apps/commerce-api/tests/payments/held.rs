//! A gateway that takes a connection and then says nothing, for as long as the test wants.

use std::net::SocketAddr;

use pg_simulator::{Capabilities, Faults};
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::{APPROVED, PATIENCE, World};

/// Stands before the gateway. Closed, it accepts and keeps what comes; open, it passes everything on.
struct Gate {
    addr: SocketAddr,
    open: watch::Sender<bool>,
    held: watch::Receiver<usize>,
    // Ends with the gate, and with it everything that goes through it.
    _passing: JoinSet<()>,
}

impl Gate {
    async fn closed_before(gateway: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (open, opened) = watch::channel(false);
        let (count, held) = watch::channel(0);
        let mut passing = JoinSet::new();
        passing.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(pass(client, gateway, count.clone(), opened.clone()));
            }
        });
        Self { addr, open, held, _passing: passing }
    }

    /// Waits until so many requests have come.
    async fn holds(&mut self, requests: usize) {
        let all = self.held.wait_for(|held| *held >= requests);
        tokio::time::timeout(PATIENCE, all).await.unwrap().unwrap();
    }
}

async fn pass(
    mut client: TcpStream,
    gateway: SocketAddr,
    count: watch::Sender<usize>,
    mut opened: watch::Receiver<bool>,
) {
    // Held is what has come: a connection without a request is none.
    if client.readable().await.is_err() {
        return;
    }
    count.send_modify(|held| *held += 1);
    let _ = opened.wait_for(|open| *open).await;
    if let Ok(mut gateway) = TcpStream::connect(gateway).await {
        // Either end may go away.
        let _ = copy_bidirectional(&mut client, &mut gateway).await;
    }
}

#[tokio::test]
async fn the_shop_goes_on_while_every_charge_hangs_at_the_gateway() {
    const CHARGES: usize = 8;
    const CANCELED: usize = 2;
    const OTHERS: i64 = 15;
    let mut world = World::open(Capabilities::ALL, Faults::default()).await;
    let mut gate = Gate::closed_before(world.gateway_addr).await;
    world.stop_shop().await;
    world.config.gateway.url = format!("http://{}", gate.addr);
    // Longer than the test: nothing but the gate lets a charge go on.
    (world.config.gateway.call_timeout_ms, world.config.gateway.attempts_max) = (120_000, 1);
    world.config.gateway.breaker_slow_call_ms = 120_000;
    // One to read and one to write: a charge that kept either would stop the shop, and as many wait as there are visits.
    (world.config.database.readers, world.config.payments.concurrency) = (1, CHARGES);
    world.start_shop().await;
    let shopper = world.shopper().await;
    let stock = world.stock(&shopper).await;

    let mut orders = Vec::new();
    for _ in 0..CHARGES {
        orders.push(world.order(&shopper, APPROVED).await);
    }
    gate.holds(CHARGES).await;

    let points = json!({"lines": [{"productId": 1, "quantity": 1}], "payment": {}});
    world.post(&shopper, "/api/v1/users/me/points/charges", &json!({"amount": 1_000_000}), 201).await;
    for number in 1..=OTHERS {
        let placed = world.post(&shopper, "/api/v1/orders", &points, 201).await;
        assert_eq!(placed["status"], "PAID");
        let path = format!("/api/v1/orders/{}", placed["id"].as_str().unwrap());
        assert_eq!(world.get(&shopper, &path).await["status"], "PAID");
        if number % 5 == 0 {
            assert_eq!(
                world.post(&shopper, &format!("{path}/cancel"), &json!({}), 200).await["status"],
                "CANCELED"
            );
        }
        world.get(&shopper, "/api/v1/orders").await;
        world.get(&shopper, "/api/v1/products").await;
    }
    // Of those that hang, too.
    for order in &orders[..CANCELED] {
        world.post(&shopper, &format!("{order}/cancel"), &json!({}), 200).await;
    }
    let waiting = i64::try_from(CHARGES - CANCELED).unwrap();
    assert_eq!(world.stock(&shopper).await, stock - waiting - OTHERS + OTHERS / 5);
    assert!(!*gate.open.borrow(), "all of that while nothing came back from the gateway");
    assert_eq!(world.books().await, (0, 0));

    gate.open.send_replace(true);
    for order in &orders[..CANCELED] {
        world.until(&shopper, order, "CANCELED", "REFUNDED").await;
    }
    for order in &orders[CANCELED..] {
        world.until(&shopper, order, "PAID", "SUCCESS").await;
    }
    world.settles().await;
}
