//! Doing the same again and again, at once or in a circle, brings nobody more than once.

use crate::desk::all_at_once;
use crate::shop::*;
use commerce_api_application::desk::{DeskOptions, DeskReply};
use commerce_api_domain::*;

#[tokio::test]
async fn one_customer_a_thousand_times_at_once_gets_one_coupon() {
    on_every_storage(|shop| async move {
        let (coupon, user) = (shop.coupon(None).await, shop.user(0).await);
        let nodes = [shop.desk(), shop.desk_on(shop.second_node().await, DeskOptions::default())];
        let grab = |key: i32| keyed(user, &key.to_string(), 1, CommandKind::IssueCoupon { coupon, user });
        let (mut issued, mut refused) = (0, 0);
        for reply in all_at_once(&nodes, (0..1_000).map(grab).collect()).await {
            let DeskReply::Decided { decision, .. } = reply.unwrap() else { panic!("no key came twice") };
            match *decision {
                Ok(_) => issued += 1,
                Err(Refusal::CouponAlreadyIssued) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!((issued, refused, shop.books().await.issued), (1, 999, 1));
        assert_eq!(shop.violations().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn orders_and_refunds_in_a_circle_net_zero() {
    on_every_storage(|shop| async move {
        let (user, product) = (shop.user(50_000).await, shop.product(7_000, 10).await);
        let coupon = shop.coupon(None).await;
        let desk = shop.desk();
        let Outcome::CouponIssued(issued, _) =
            shop.run(&desk, CommandKind::IssueCoupon { coupon, user }).await.unwrap()
        else {
            panic!("no coupon")
        };
        let before = shop.books().await;
        for round in 0..15 {
            let CommandKind::Place(place) = by_card(user, product, 2, 3_000) else { unreachable!() };
            let with_coupon = PlaceOrder { issued_coupon: Some(issued.id), ..place };
            let by_card = order_of(shop.run(&desk, CommandKind::Place(with_coupon)).await.unwrap());
            let pay = |command| CommandKind::Payment { order: by_card.id, command };
            let cancel = |order| CommandKind::Cancel { order, by: Actor::Customer(user) };
            let captured = PaymentCommand::Captured { key: format!("T{round}").into() };
            for kind in [
                pay(PaymentCommand::Send),
                pay(captured),
                cancel(by_card.id),
                cancel(by_card.id),
                pay(PaymentCommand::RefundSettled),
                pay(PaymentCommand::RefundSettled),
            ] {
                shop.run(&desk, kind).await.unwrap();
            }
            let by_points = order_of(shop.run(&desk, by_points(user, product, 3)).await.unwrap());
            shop.run(&desk, cancel(by_points.id)).await.unwrap();
        }
        let after = shop.books().await;
        assert_eq!((&after.balances, &after.stocks), (&before.balances, &before.stocks));
        assert_eq!((after.orders.len(), after.refunds), (30, 15));
        let is_over = |(order, payment): &(String, String)| order == "CANCELED" && payment == "REFUNDED";
        assert!(after.orders.values().all(is_over), "{:?}", after.orders);
        assert_eq!(after.ledger.iter().map(|(_, _, amount)| amount).sum::<i64>(), 0);
        assert_eq!(shop.violations().await, [""; 0]);
    })
    .await;
}
