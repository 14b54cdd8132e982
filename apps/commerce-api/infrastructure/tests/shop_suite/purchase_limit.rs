//! What one customer may hold of a product: read by every storage alike, and exact under a race.

use crate::desk::all_at_once;
use crate::shop::*;
use commerce_api_application::desk::{DeskOptions, DeskReply};
use commerce_api_application::ports::LockRequest;
use commerce_api_domain::*;

#[tokio::test]
async fn pieces_in_live_orders_are_read_of_what_has_a_limit() {
    on_every_storage(|shop| async move {
        let (user, other) = (shop.user(1_000_000).await, shop.user(1_000_000).await);
        let (limited, free) = (shop.product(1_000, 100).await, shop.product(1_000, 100).await);
        let unsold = shop.product(1_000, 100).await;
        let desk = shop.desk();
        // Bought before there was a limit; it counts all the same.
        shop.run(&desk, by_points(user, limited, 2)).await.unwrap();
        shop.run(&desk, by_points(user, free, 7)).await.unwrap();
        shop.run(&desk, by_points(other, limited, 5)).await.unwrap();
        shop.run(&desk, by_card(user, limited, 3, 0)).await.unwrap();
        let canceled = order_of(shop.run(&desk, by_points(user, limited, 4)).await.unwrap()).id;
        let by = Actor::Customer(user);
        shop.run(&desk, CommandKind::Cancel { order: canceled, by }).await.unwrap();
        shop.limit(limited, 6).await;
        shop.limit(unsold, 6).await;
        let purchases = [(user, limited), (user, free), (user, unsold), (other, limited)].into();
        let products = [limited, free, unsold].into();
        let request =
            LockRequest { users: [user, other].into(), products, purchases, ..LockRequest::default() };
        let locked = shop.storage().begin("test").await.unwrap().lock(&request).await.unwrap();
        let expected = [((user, limited), 5), ((user, unsold), 0), ((other, limited), 5)];
        assert_eq!(locked.snapshot.purchased, expected.into());
        let limit_of = |product| locked.snapshot.products[&product].purchase_limit.map(Quantity::get);
        assert_eq!((limit_of(limited), limit_of(free)), (Some(6), None));
    })
    .await;
}

#[tokio::test]
async fn one_customer_at_once_on_two_nodes_buys_exactly_the_limit() {
    on_every_storage(|shop| async move {
        let (user, product) = (shop.user(1_000_000).await, shop.product(1_000, 1_000).await);
        shop.limit(product, 7).await;
        let small = DeskOptions { batch_max: 8, ..DeskOptions::default() };
        let nodes = [shop.desk(), shop.desk_on(shop.second_node().await, small)];
        let order = |key: i32| keyed(user, &key.to_string(), 1, by_points(user, product, 1));
        let (mut sold, mut refused) = (0, 0);
        for reply in all_at_once(&nodes, (0..100).map(order).collect()).await {
            let DeskReply::Decided { decision, .. } = reply.unwrap() else { panic!("no key came twice") };
            match *decision {
                Ok(_) => sold += 1,
                Err(Refusal::PurchaseLimitExceeded { limit: 7, left: 0, requested: 1, .. }) => refused += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((sold, refused), (7, 93));
        assert_eq!(shop.books().await.stocks[&product.0], 993);
        assert_eq!(shop.violations().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn cancels_and_orders_at_once_never_hold_more_than_the_limit() {
    on_every_storage(|shop| async move {
        let (user, product) = (shop.user(1_000_000).await, shop.product(1_000, 1_000).await);
        shop.limit(product, 3).await;
        let nodes = [shop.desk(), shop.desk_on(shop.second_node().await, DeskOptions::default())];
        let mut live: Vec<OrderId> = Vec::new();
        for round in 0..10 {
            let order = |key: i32| keyed(user, &format!("{round}-{key}"), 1, by_points(user, product, 1));
            let mut submissions: Vec<_> = (0..6).map(order).collect();
            let by = Actor::Customer(user);
            let cancel =
                |order: OrderId| keyed(user, &order.to_string(), 1, CommandKind::Cancel { order, by });
            submissions.splice(3..3, live.drain(..).map(cancel));
            let replies = all_at_once(&nodes, submissions).await;
            assert!(replies.iter().all(Result::is_ok));
            let orders = shop.books().await.orders;
            let paid = orders.into_iter().filter(|(_, (order, _))| order == "PAID");
            live.extend(paid.map(|(id, _)| OrderId(id)));
            assert!((1..=3).contains(&live.len()), "{} live orders", live.len());
        }
        assert_eq!(shop.violations().await, [""; 0]);
    })
    .await;
}
