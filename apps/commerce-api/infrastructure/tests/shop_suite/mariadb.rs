//! `MariaDB`, by a walk through what the shop does: `MySQL` has every test, this one the differences between the two.

use commerce_api_domain::*;
use commerce_servers::ServerKind;

use crate::shop::{Shop, by_points, keyed, order_of};

#[tokio::test]
async fn a_shop_on_mariadb_sells_cancels_refuses_and_its_audit_is_clean() {
    let shop = Shop::on_server(ServerKind::MariaDb).await;
    let desk = shop.desk();
    let (user, product) = (shop.user(10_000).await, shop.product(1_000, 5).await);
    let place = || by_points(user, product, 2);
    let first = order_of(shop.run(&desk, place()).await.unwrap());
    let keyed_once = desk.submit(keyed(user, "key", 1, place())).await.unwrap();
    let keyed_twice = desk.submit(keyed(user, "key", 1, place())).await.unwrap();
    assert_ne!(format!("{keyed_once:?}"), format!("{keyed_twice:?}"), "the second is the first's answer");
    shop.run(&desk, place()).await.unwrap_err();
    let cancel = CommandKind::Cancel { order: first.id, by: Actor::Customer(user) };
    shop.run(&desk, cancel).await.unwrap();
    let books = shop.books().await;
    assert_eq!(books.stocks[&product.0], 3, "five, less two twice, and two back");
    assert_eq!(books.orders.len(), 2);
    assert_eq!(shop.violations().await, Vec::<String>::new());
}
