use commerce_api_application::ports::ProductView;
use commerce_api_domain::{BrandId, Money, ProductId, ProductStatus, Quantity, Timestamp};
use serde::{Deserialize, Serialize};

/// The catalogue fields of a product as they are shared. Of another form it is not there: a new form gets a new kind of
/// key.
#[derive(Serialize, Deserialize)]
pub struct StoredProduct {
    code: String,
    name: String,
    description: String,
    brand: i64,
    brand_name: String,
    price: i64,
    status: String,
    purchase_limit: Option<i64>,
    version: i64,
    created_at: i64,
    updated_at: i64,
}

impl StoredProduct {
    /// As text.
    pub fn encode(view: &ProductView) -> Option<String> {
        let stored = Self {
            code: view.code.clone(),
            name: view.name.clone(),
            description: view.description.clone(),
            brand: view.brand.0,
            brand_name: view.brand_name.clone(),
            price: view.price.won(),
            status: view.status.name().to_owned(),
            purchase_limit: view.purchase_limit.map(Quantity::get),
            version: view.version,
            created_at: view.created_at.as_micros(),
            updated_at: view.updated_at.as_micros(),
        };
        serde_json::to_string(&stored).ok()
    }

    /// Of text. Stock, likes and views are not shared; they are 0, and nobody shows them.
    pub fn decode(id: ProductId, text: &str) -> Option<ProductView> {
        let stored: Self = serde_json::from_str(text).ok()?;
        Some(ProductView {
            id,
            code: stored.code,
            name: stored.name,
            description: stored.description,
            brand: BrandId(stored.brand),
            brand_name: stored.brand_name,
            price: Money::new(stored.price).ok()?,
            stock: 0,
            like_count: 0,
            view_count: 0,
            status: ProductStatus::parse(&stored.status)?,
            purchase_limit: match stored.purchase_limit {
                Some(limit) => Some(Quantity::new(limit).ok()?),
                None => None,
            },
            version: stored.version,
            created_at: Timestamp::from_micros(stored.created_at),
            updated_at: Timestamp::from_micros(stored.updated_at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_read_as_it_was_stored() {
        let view = ProductView {
            id: ProductId(7),
            code: "P-7".to_owned(),
            name: "Tea \"한\"".to_owned(),
            description: "\u{0}".to_owned(),
            brand: BrandId(3),
            brand_name: "Boseong".to_owned(),
            price: Money::new(1_000).unwrap(),
            stock: 0,
            like_count: 0,
            view_count: 0,
            status: ProductStatus::Stopped,
            purchase_limit: Some(Quantity::new(2).unwrap()),
            version: 9,
            created_at: Timestamp::from_micros(1),
            updated_at: Timestamp::from_micros(2),
        };
        let text = StoredProduct::encode(&view).unwrap();
        let read = StoredProduct::decode(view.id, &text).unwrap();
        assert_eq!(format!("{read:?}"), format!("{view:?}"));
        for bad in ["", "{}", &text.replace("STOPPED", "SOLD"), &text.replace("1000", "-1")] {
            assert!(StoredProduct::decode(view.id, bad).is_none(), "{bad}");
        }
    }
}
