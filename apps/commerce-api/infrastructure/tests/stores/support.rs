//! A migrated database of its own for each test, with the stores on it.

use commerce_api_application::ports::{
    AccountStore, AuditEntry, Brand, CatalogueStore, IdSource, NewBrand, NewProduct, NewUser, ProductView,
};
use commerce_api_domain::{BrandId, IdSeed, Money, ProductId, ProductStatus, Role, Timestamp, UserId};
use commerce_api_infrastructure::runtime::SequenceIds;
use commerce_api_infrastructure::sql::{self, SqlAccounts, SqlCatalogue};
use commerce_database::{Database, SqliteOptions};
use commerce_databases::Scratch;
use commerce_servers::ServerKind;
use sea_orm::{ConnectionTrait, Statement, Value};
use tempfile::TempDir;

pub const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

pub const fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(NOW.as_micros() + micros)
}

pub fn won(won: i64) -> Money {
    Money::new(won).unwrap()
}

pub struct Stores {
    pub db: Database,
    pub catalogue: SqlCatalogue,
    pub accounts: SqlAccounts,
    pub ids: SequenceIds,
    /// What the database is in; goes with this.
    _place: Place,
}

enum Place {
    Directory { _path: TempDir },
    Server { _scratch: Scratch },
}

/// On a file, or on a server: the same tests are built twice.
async fn database() -> (Database, Place) {
    if env!("CARGO_CRATE_NAME") == "stores_on_mysql" {
        let migrated = |database: Database| async move { sql::migrate(&database, NOW).await.map(drop) };
        let scratch = Scratch::migrated(ServerKind::MySql, "oltp", migrated).await;
        return (scratch.open().await, Place::Server { _scratch: scratch });
    }
    let directory = TempDir::new().unwrap();
    let options = SqliteOptions { durable: false, ..SqliteOptions::new(directory.path().join("oltp.db")) };
    let db = Database::open_sqlite(options).await.unwrap();
    sql::migrate(&db, NOW).await.unwrap();
    (db, Place::Directory { _path: directory })
}

impl Stores {
    pub async fn open() -> Self {
        let (db, place) = database().await;
        Self {
            catalogue: SqlCatalogue::new(db.clone()),
            accounts: SqlAccounts::new(db.clone()),
            db,
            ids: SequenceIds::new(1),
            _place: place,
        }
    }

    pub fn seed(&self) -> IdSeed {
        self.ids.seed()
    }

    pub fn audit(&self) -> AuditEntry {
        AuditEntry {
            id: self.ids.uuid(),
            actor: "cli".to_owned(),
            action: "TESTED",
            target: "test:1".to_owned(),
            detail: "{}".to_owned(),
            at: NOW,
        }
    }

    pub async fn brand(&self, name: &str) -> Brand {
        let brand = NewBrand { name: name.to_owned(), description: format!("{name} makes things") };
        self.catalogue.add_brand(brand, NOW, self.audit()).await.unwrap()
    }

    pub async fn product(&self, product: NewProduct, added_at: Timestamp) -> ProductView {
        self.catalogue.add_product(product, self.seed(), added_at, self.audit()).await.unwrap()
    }

    pub async fn user(&self, login_id: &str) -> UserId {
        let user = NewUser {
            login_id: login_id.to_owned(),
            email: format!("{login_id}@example.com"),
            password_hash: "$argon2id$".to_owned(),
            role: Role::Customer,
            birth_date: None,
            gender: None,
        };
        self.accounts.add_user(user, NOW, None).await.unwrap().id
    }

    pub async fn like(&self, user: UserId, product: ProductId, active: bool, changed_at: Timestamp) {
        let like = "REPLACE INTO product_likes (user_id, product_id, active, event_seq, changed_at) \
                    VALUES (?, ?, ?, 1, ?)";
        let values = [user.0.into(), product.0.into(), active.into(), changed_at.as_micros().into()];
        self.execute(like, values).await;
    }

    pub async fn execute(&self, sql: &str, values: impl IntoIterator<Item = Value>) -> u64 {
        let tx = self.db.begin_write("test").await.unwrap();
        let statement = Statement::from_sql_and_values(self.db.dialect().backend(), sql, values);
        let affected = tx.execute_raw(statement).await.unwrap().rows_affected();
        tx.commit().await.unwrap();
        affected
    }

    pub async fn number(&self, sql: &str) -> i64 {
        self.number_of(sql, []).await
    }

    pub async fn number_of(&self, sql: &str, values: impl IntoIterator<Item = Value>) -> i64 {
        let statement = Statement::from_sql_and_values(self.db.dialect().backend(), sql, values);
        let row = self.db.reader().query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }
}

pub fn new_product(code: &str, brand: BrandId, name: &str, price: i64, stock: i64) -> NewProduct {
    NewProduct {
        code: code.to_owned(),
        name: name.to_owned(),
        description: String::new(),
        brand,
        price: won(price),
        stock,
        status: ProductStatus::OnSale,
        purchase_limit: None,
    }
}
