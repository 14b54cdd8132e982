//! Accounts, sessions, coupons, leases and retention on SQL.

use std::time::Duration;

use crate::support::*;
use commerce_api_application::ports::{
    AccountStore, CouponStore, IdSource, Lease, LeaseStore, Maintenance, NewBuyer, NewCoupon, NewSession,
    NewUser, SessionOwner, SessionStore, SessionTouch, StorageError, Taken, TokenHash, UpdateRefused,
};
use commerce_api_domain::{Discount, IssuedCouponStatus, LedgerKind, Role, Timestamp, UserId};
use commerce_api_infrastructure::sql::{SqlCoupons, SqlLeases, SqlMaintenance, SqlSessions};
use uuid::Uuid;

fn new_user(login_id: &str, email: &str) -> NewUser {
    NewUser {
        login_id: login_id.to_owned(),
        email: email.to_owned(),
        password_hash: "hash".to_owned(),
        role: Role::Admin,
        birth_date: Some("1990-02-28".to_owned()),
        gender: Some("X".to_owned()),
    }
}

#[tokio::test]
async fn accounts_are_added_once_and_read_back() {
    let stores = Stores::open().await;
    let audit = Some(stores.audit());
    let added = stores.accounts.add_user(new_user("admin", "a@example.com"), NOW, audit).await.unwrap();
    assert_eq!(stores.accounts.profile(added.id).await.unwrap(), Some(added.clone()));
    assert_eq!(
        (added.birth_date.as_deref(), added.balance, added.created_at),
        (Some("1990-02-28"), won(0), NOW)
    );
    let again = new_user("admin", "b@example.com");
    let login = stores.accounts.add_user(again, NOW, Some(stores.audit())).await;
    assert!(matches!(login, Err(Taken::LoginId)), "{login:?}");
    let email = stores.accounts.add_user(new_user("other", "a@example.com"), NOW, None).await;
    assert!(matches!(email, Err(Taken::Email)), "{email:?}");
    assert_eq!(stores.number("SELECT COUNT(*) FROM audit_log").await, 1, "of what was done only");
    let credentials = stores.accounts.credentials("admin").await.unwrap().unwrap();
    assert_eq!(
        (credentials.user, credentials.password_hash.as_str(), credentials.role),
        (added.id, "hash", Role::Admin)
    );
    assert!(stores.accounts.credentials("ADMIN").await.unwrap().is_none(), "ids are case-sensitive");
    assert!(stores.accounts.profile(UserId(99)).await.unwrap().is_none());
    for index in 0..4 {
        stores.user(&format!("u{index}")).await;
    }
    let first = stores.accounts.profiles(None, 3).await.unwrap();
    let rest = stores.accounts.profiles(Some(first[2].id), 3).await.unwrap();
    // A server does not give an id again whose row was refused.
    let ids: Vec<_> = first.iter().chain(&rest).map(|user| user.id.0).collect();
    assert!(ids.len() == 5 && ids.is_sorted(), "{ids:?}");
}

fn buyers(range: std::ops::Range<u16>, points: i64) -> Vec<NewBuyer> {
    let buyer = |index: u16| {
        let mut hash = [0; 32];
        hash[..2].copy_from_slice(&index.to_be_bytes());
        NewBuyer { login_id: format!("demo-{index}"), points: won(points), session: TokenHash(hash) }
    };
    range.rev().map(buyer).collect()
}

#[tokio::test]
async fn buyers_come_in_five_statements_with_points_and_sessions() {
    let stores = Stores::open().await;
    let sessions = SqlSessions::new(stores.db.clone());
    let add = async |buyers, until| {
        stores.accounts.add_buyers(buyers, &stores.ids, NOW, until, stores.audit()).await
    };
    for range in [0..2, 2..1_500] {
        let new = buyers(range, 500);
        stores.db.statements().reset();
        let added = add(new.clone(), at(60)).await.unwrap();
        assert_eq!(stores.db.statements().count("add_buyers"), 5);
        for (buyer, id) in new.iter().zip(&added).step_by(300) {
            assert_eq!(sessions.find(buyer.session, NOW).await.unwrap().unwrap().user, *id);
            let profile = stores.accounts.profile(*id).await.unwrap().unwrap();
            assert_eq!((&profile.login_id, profile.balance), (&buyer.login_id, won(500)));
            assert_eq!(profile.email, format!("{}@demo.invalid", buyer.login_id));
            assert_eq!(
                stores.accounts.credentials(&buyer.login_id).await.unwrap().unwrap().password_hash,
                "!"
            );
        }
    }
    let balanced = "SELECT COUNT(*) FROM users u WHERE balance = \
                    (SELECT SUM(signed_amount) FROM point_ledger l WHERE l.user_id = u.id)";
    assert_eq!(stores.number(balanced).await, 1_500);
    assert_eq!(add(Vec::new(), NOW).await.unwrap(), []);
    let poor = add(buyers(2_000..2_001, 0), NOW).await.unwrap();
    let page = stores.accounts.ledger(poor[0], None, 10).await.unwrap().unwrap();
    assert_eq!((page.balance, page.entries), (won(0), Vec::new()));
    let twice = add(buyers(1_499..1_502, 1), NOW).await;
    assert!(matches!(twice, Err(StorageError::Data(_))));
    assert_eq!(stores.number("SELECT COUNT(*) FROM audit_log").await, 3, "an entry for each that added some");
    assert_eq!(stores.number("SELECT COUNT(*) FROM users").await, 1_501, "all or nothing");
}

#[tokio::test]
async fn the_ledger_pages_from_the_latest_with_the_balance() {
    let stores = Stores::open().await;
    let user = stores.user("a").await;
    stores.user("b").await;
    let order = stores.ids.uuid();
    for (kind, amount) in [("CHARGE", 100_i64), ("CHARGE", 50), ("USE", 30)] {
        let row = "INSERT INTO point_ledger VALUES (?, ?, ?, ?, ?, 0, 120, ?)";
        let order = (kind == "USE").then_some(order);
        let id = stores.ids.uuid();
        let at = NOW.as_micros();
        let values = [id.into(), user.0.into(), order.into(), kind.into(), amount.into(), at.into()];
        stores.execute(row, values).await;
    }
    stores.execute("UPDATE users SET balance = 120 WHERE id = ?", [user.0.into()]).await;
    stores.db.statements().reset();
    let first = stores.accounts.ledger(user, None, 2).await.unwrap().unwrap();
    assert_eq!(stores.db.statements().total(), 1);
    let kinds: Vec<_> = first.entries.iter().map(|row| (row.kind, row.amount, row.order.is_some())).collect();
    assert_eq!(kinds, [(LedgerKind::Use, won(30), true), (LedgerKind::Charge, won(50), false)]);
    let rest = stores.accounts.ledger(user, Some(first.entries[1].id), 2).await.unwrap().unwrap();
    assert_eq!((rest.balance, rest.entries.len(), rest.entries[0].amount), (won(120), 1, won(100)));
    let end = stores.accounts.ledger(user, Some(rest.entries[0].id), 2).await.unwrap().unwrap();
    assert_eq!((end.balance, end.entries.len()), (won(120), 0));
    assert!(stores.accounts.ledger(UserId(99), None, 2).await.unwrap().is_none());
}

#[tokio::test]
async fn a_session_lives_until_it_expires_or_ends() {
    let stores = Stores::open().await;
    let sessions = SqlSessions::new(stores.db.clone());
    let (hash, other, unknown) = (TokenHash([1; 32]), TokenHash([2; 32]), TokenHash([9; 32]));
    let user = UserId(7);
    let open = |hash| NewSession { hash, user, role: Role::Admin, expires_at: at(10), at: NOW };
    sessions.open(open(hash)).await.unwrap();
    sessions.open(open(other)).await.unwrap();
    assert!(matches!(sessions.open(open(hash)).await, Err(StorageError::Data(_))));
    stores.db.statements().reset();
    let owner = SessionOwner { user, role: Role::Admin, expires_at: at(10), touched_at: NOW };
    assert_eq!(sessions.find(hash, at(9)).await.unwrap(), Some(owner));
    assert_eq!(stores.db.statements().transactions("find_session"), 0, "a read takes no write transaction");
    assert_eq!(sessions.find(hash, at(10)).await.unwrap(), None);
    let touch = |hash, used, expires| SessionTouch { hash, at: at(used), expires_at: at(expires) };
    stores.db.statements().reset();
    sessions.touch(&[touch(hash, 9, 30), touch(other, 10, 30), touch(unknown, 9, 30)]).await.unwrap();
    assert_eq!(stores.db.statements().total(), 1, "one statement for all");
    let touched = SessionOwner { expires_at: at(30), touched_at: at(9), ..owner };
    assert_eq!(sessions.find(hash, at(29)).await.unwrap(), Some(touched));
    assert_eq!(sessions.find(other, at(11)).await.unwrap(), None, "over is over");
    assert_eq!(sessions.find(unknown, NOW).await.unwrap(), None);
    sessions.touch(&[touch(hash, 8, 29)]).await.unwrap();
    assert_eq!(sessions.find(hash, at(29)).await.unwrap(), Some(touched), "never shorter");
    sessions.touch(&[]).await.unwrap();
    sessions.end(hash).await.unwrap();
    sessions.end(hash).await.unwrap();
    sessions.touch(&[touch(hash, 10, 50)]).await.unwrap();
    assert_eq!(sessions.find(hash, NOW).await.unwrap(), None, "what was ended stays ended");
}

fn new_coupon(code: &str, discount: Discount) -> NewCoupon {
    NewCoupon {
        code: code.to_owned(),
        name: format!("coupon {code}"),
        discount,
        minimum_total: won(10),
        valid_from: NOW,
        valid_until: at(100),
        issue_limit: Some(5),
    }
}

#[tokio::test]
async fn coupons_are_kept_as_they_were_made() {
    let stores = Stores::open().await;
    let coupons = SqlCoupons::new(stores.db.clone());
    let discounts = [
        Discount::Amount(won(5)),
        Discount::Rate { basis_points: 10_000, cap: Some(won(3)) },
        Discount::Rate { basis_points: 1, cap: None },
    ];
    let mut made = Vec::new();
    for (index, discount) in discounts.into_iter().enumerate() {
        let coupon = new_coupon(&format!("C{index}"), discount);
        made.push(coupons.add(coupon, at(1), stores.audit()).await.unwrap());
    }
    assert_eq!(made.iter().map(|coupon| coupon.policy.discount).collect::<Vec<_>>(), discounts);
    let first = coupons.coupons(None, 2).await.unwrap();
    let rest = coupons.coupons(Some(first[1].policy.id), 2).await.unwrap();
    assert_eq!([first, rest].concat(), made);
    let again = coupons.add(new_coupon("C0", discounts[0]), NOW, stores.audit()).await;
    assert!(matches!(again, Err(UpdateRefused::Taken("coupon code"))), "{again:?}");
    assert_eq!(stores.number("SELECT COUNT(*) FROM audit_log").await, 3);

    for (index, user) in [(0_usize, 1_i64), (1, 1), (2, 1), (0, 2)] {
        let issued = "INSERT INTO issued_coupons VALUES (?, ?, ?, 'USABLE', NULL, 1, ?)";
        let coupon = made[index].policy.id.0;
        let values = [stores.ids.uuid().into(), coupon.into(), user.into(), NOW.as_micros().into()];
        stores.execute(issued, values).await;
    }
    let latest = coupons.issued_to(UserId(1), None, 2).await.unwrap();
    let earlier = coupons.issued_to(UserId(1), Some(latest[1].issued.id), 2).await.unwrap();
    let seen: Vec<_> = latest.iter().chain(&earlier).map(|view| view.policy.clone()).collect();
    assert_eq!(seen, made.iter().rev().map(|view| view.policy.clone()).collect::<Vec<_>>());
    assert_eq!(latest[0].issued.status, IssuedCouponStatus::Usable);
    assert!(coupons.issued_to(UserId(9), None, 2).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lease_has_one_holder_and_a_growing_fence() {
    let stores = Stores::open().await;
    let leases = SqlLeases::new(stores.db.clone());
    let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let take = async |owner, now: Timestamp| {
        leases
            .acquire("expiry", owner, now, Duration::from_micros(10))
            .await
            .unwrap()
            .map(|lease| lease.fence)
    };
    assert_eq!(take(a, at(0)).await, Some(1));
    assert_eq!(take(b, at(9)).await, None);
    assert_eq!(take(a, at(9)).await, Some(1), "prolonged until 19");
    assert_eq!(take(b, at(18)).await, None);
    assert_eq!(take(b, at(19)).await, Some(2), "taken over");
    assert_eq!(take(a, at(20)).await, None);
    assert_eq!(take(b, at(40)).await, Some(3), "lapsed: somebody may have acted in between");
    let other = leases.acquire("retention", a, at(40), Duration::from_secs(1)).await.unwrap();
    assert_eq!(other, Some(Lease { fence: 1 }), "leases do not share fences");
}

#[tokio::test]
async fn two_nodes_do_not_both_take_a_lapsed_lease() {
    let stores = Stores::open().await;
    let leases = SqlLeases::new(stores.db.clone());
    let acquire = |owner: u128| {
        let leases = leases.clone();
        tokio::spawn(async move {
            leases.acquire("expiry", Uuid::from_u128(owner), NOW, Duration::from_secs(1)).await.unwrap()
        })
    };
    let nodes: Vec<_> = (1..=8).map(acquire).collect();
    let mut holders = 0;
    for node in nodes {
        holders += usize::from(node.await.unwrap().is_some());
    }
    assert_eq!(holders, 1);
}

#[tokio::test]
async fn what_expired_is_purged_within_the_limit() {
    let stores = Stores::open().await;
    let maintenance = SqlMaintenance::new(stores.db.clone());
    let sessions = SqlSessions::new(stores.db.clone());
    for index in 0..6_u8 {
        let hash = TokenHash([index; 32]);
        let expires_at = at(i64::from(index));
        let session = NewSession { hash, user: UserId(1), role: Role::Customer, expires_at, at: NOW };
        sessions.open(session).await.unwrap();
        let key = "INSERT INTO idempotency_keys VALUES (1, 'orders', ?, x'00', 200, NULL, x'', ?, 0)";
        stores.execute(key, [format!("k{index}").into(), expires_at.as_micros().into()]).await;
    }
    let left = async || {
        let keys = stores.number("SELECT MIN(expires_at) FROM idempotency_keys").await;
        (keys, stores.number("SELECT MIN(expires_at) FROM sessions").await)
    };
    for (expected, first_left) in [(3, 3), (1, 4), (0, 4)] {
        assert_eq!(maintenance.purge_idempotency_keys(at(3), 3).await.unwrap(), expected);
        assert_eq!(maintenance.purge_sessions(at(3), 3).await.unwrap(), expected);
        let first_left = at(first_left).as_micros();
        assert_eq!(left().await, (first_left, first_left), "the oldest go first, the valid stay");
    }
}
