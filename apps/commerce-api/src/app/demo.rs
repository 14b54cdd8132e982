//! What a first start finds in the shop: brands, products, coupons and two public accounts. Demo mode only.

use std::time::Duration;

use commerce_api_application::ports::{AuditEntry, NewBrand, NewCoupon, NewProduct, UpdateRefused};
use commerce_api_application::{AccountError, SignUp};
use commerce_api_domain::{BrandId, Discount, Money, ProductStatus, Role};

use super::Platform;
use super::error::StartError;

/// A public account of the demonstration.
#[derive(Debug, Clone, Copy)]
pub struct DemoAccount {
    /// Login id.
    pub login_id: &'static str,
    /// Password; public on purpose.
    pub password: &'static str,
    role: Role,
}

/// Runs the demonstration shop.
pub const ADMIN: DemoAccount = DemoAccount { login_id: "admin", password: "admin-demo", role: Role::Admin };
/// Buys in the demonstration shop.
pub const SHOPPER: DemoAccount =
    DemoAccount { login_id: "shopper", password: "shopper-demo", role: Role::Customer };

/// Products that a first start seeds.
pub const PRODUCTS: usize = 200;

const BRANDS: [&str; 20] = [
    "Hanok Living",
    "Jeju Green",
    "Seoul Stitch",
    "Namsan Audio",
    "Busan Blue",
    "Moonjar Studio",
    "Pine & Paper",
    "Onggi",
    "Bukchon Books",
    "River Han Cycling",
    "Dokdo Outdoor",
    "Sori",
    "Cloud Nine Bedding",
    "Dalgona Sweets",
    "Maru Kids",
    "Gaon Tech",
    "Nuri Beauty",
    "Baram Sports",
    "Haneul Optics",
    "Toji Garden",
];

const KINDS: [(&str, i64); 16] = [
    ("Tea Cup", 12_000),
    ("Linen Shirt", 49_000),
    ("Wireless Earbuds", 89_000),
    ("Notebook", 6_500),
    ("Wool Blanket", 72_000),
    ("Desk Lamp", 38_000),
    ("Canvas Bag", 27_000),
    ("Running Socks", 9_000),
    ("Ceramic Bowl", 18_000),
    ("Green Tea 100 g", 15_000),
    ("Rain Jacket", 119_000),
    ("Wooden Puzzle", 21_000),
    ("Face Cream", 33_000),
    ("Water Bottle", 24_000),
    ("Sunglasses", 64_000),
    ("Flower Pot", 11_000),
];

const COLOURS: [&str; 8] = ["White", "Indigo", "Persimmon", "Sand", "Moss", "Charcoal", "Celadon", "Rose"];

/// `count` products from number `first` on, and the brands that they name by position. Equal numbers give equal
/// products, so seeding again adds only what is missing.
pub fn catalogue(first: usize, count: usize) -> (Vec<NewBrand>, Vec<(usize, NewProduct)>) {
    let brand = |name: &&str| NewBrand {
        name: (*name).to_owned(),
        description: format!("Everything that {name} makes, straight from the workshop."),
    };
    let products = (first..first + count).map(|number| {
        let (kind, price) = KINDS[number % KINDS.len()];
        let colour = COLOURS[(number / KINDS.len()) % COLOURS.len()];
        let brand = (number * 7 + number / BRANDS.len()) % BRANDS.len();
        let step = i64::try_from(number % 9).unwrap_or_default();
        let product = NewProduct {
            code: format!("P-{number:07}"),
            name: format!("{colour} {kind} No. {number}"),
            description: format!("{kind} in {}, by {}.", colour.to_lowercase(), BRANDS[brand]),
            // Replaced by the store with the id of the brand at `brand`.
            brand: BrandId(0),
            price: Money::new(price + step * 500).unwrap_or_default(),
            stock: 100_000,
            status: ProductStatus::OnSale,
            purchase_limit: None,
        };
        (brand, product)
    });
    (BRANDS.iter().map(brand).collect(), products.collect())
}

/// Fills an empty shop; what is there already stays as it is.
pub async fn seed(platform: &Platform, products: usize) -> Result<(), StartError> {
    let (brands, products) = catalogue(1, products);
    platform.catalogue.seed(&brands, &products, platform.ids.seed(), platform.clock.now()).await?;
    for account in [ADMIN, SHOPPER] {
        add_account(platform, account).await?;
    }
    for coupon in coupons(platform) {
        let audit = AuditEntry {
            id: platform.ids.uuid(),
            actor: "demo".to_owned(),
            action: "COUPON_ADDED",
            target: format!("coupon:{}", coupon.code),
            detail: "{}".to_owned(),
            at: platform.clock.now(),
        };
        match platform.coupons.add(coupon, platform.clock.now(), audit).await {
            Ok(_) | Err(UpdateRefused::Taken(_)) => {}
            Err(error) => return Err(StartError::Seed(error.into())),
        }
    }
    Ok(())
}

async fn add_account(platform: &Platform, account: DemoAccount) -> Result<(), StartError> {
    let sign_up = SignUp {
        login_id: account.login_id.to_owned(),
        email: format!("{}@demo.invalid", account.login_id),
        password: account.password.to_owned(),
        birth_date: None,
        gender: None,
    };
    if platform.accounts.is_taken(account.login_id).await? {
        return Ok(());
    }
    match platform.accounts.create_user(sign_up, account.role, None).await {
        Ok(_) | Err(AccountError::LoginIdTaken | AccountError::EmailTaken) => Ok(()),
        Err(error) => Err(StartError::Seed(error.into())),
    }
}

fn coupons(platform: &Platform) -> [NewCoupon; 3] {
    let won = |won| Money::new(won).unwrap_or_default();
    let valid_from = platform.clock.now();
    let coupon = |code: &str, name: &str, discount, minimum, issue_limit| NewCoupon {
        code: code.to_owned(),
        name: name.to_owned(),
        discount,
        minimum_total: won(minimum),
        valid_from,
        valid_until: valid_from.plus(Duration::from_hours(24 * 365)),
        issue_limit,
    };
    let ten_percent = Discount::Rate { basis_points: 1_000, cap: Some(won(5_000)) };
    [
        coupon("WELCOME", "1,000 won off your first order", Discount::Amount(won(1_000)), 5_000, None),
        coupon("TEN", "10 % off, at most 5,000 won", ten_percent, 10_000, None),
        coupon(
            "FIRST100",
            "3,000 won off for the first hundred",
            Discount::Amount(won(3_000)),
            10_000,
            Some(100),
        ),
    ]
}
