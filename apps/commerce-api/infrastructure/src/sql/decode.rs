//! From columns to domain values. What does not decode is refused data, never a panic.

use std::fmt::Display;
use std::sync::Arc;

use commerce_api_application::ports::StorageError;
use commerce_api_domain::{
    CardBrand, CouponId, CouponPolicy, Discount, DuplicateCapture, Money, OrderId, OrderLine, Payment,
    PaymentEvent, PaymentEventRecord, PaymentId, PaymentMethod, PaymentStatus, ProductId, Quantity,
    Timestamp, UserId,
};
use sea_orm::{QueryResult, TryGetable};

/// A stored value that the code does not know.
#[derive(Debug, thiserror::Error)]
#[error("the database holds {value} as {what}")]
struct Undecodable {
    what: &'static str,
    value: String,
}

pub(crate) fn undecodable(what: &'static str, value: impl Display) -> StorageError {
    StorageError::Data(Undecodable { what, value: value.to_string() }.into())
}

/// The value of that stored name.
pub(crate) fn named<T>(
    what: &'static str,
    name: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, StorageError> {
    parse(name).ok_or_else(|| undecodable(what, name))
}

/// An amount of won.
pub(crate) fn money(what: &'static str, won: i64) -> Result<Money, StorageError> {
    Money::new(won).map_err(|_| undecodable(what, won))
}

/// The columns of a row, taken in the order of the SELECT.
pub(crate) struct Columns<'a> {
    row: &'a QueryResult,
    next: usize,
}

impl<'a> Columns<'a> {
    pub(crate) const fn of(row: &'a QueryResult) -> Self {
        Self { row, next: 0 }
    }

    /// The next column.
    pub(crate) fn take<T: TryGetable>(&mut self) -> Result<T, StorageError> {
        let index = self.next;
        self.next += 1;
        self.row.try_get_by_index(index).map_err(|error| StorageError::Data(error.into()))
    }

    /// The next column, which stays the next.
    pub(crate) fn peek<T: TryGetable>(&self) -> Result<T, StorageError> {
        Self { row: self.row, next: self.next }.take()
    }

    pub(crate) fn text(&mut self) -> Result<Arc<str>, StorageError> {
        Ok(self.take::<String>()?.into())
    }

    pub(crate) fn optional_text(&mut self) -> Result<Option<Arc<str>>, StorageError> {
        Ok(self.take::<Option<String>>()?.map(Arc::from))
    }

    pub(crate) fn money(&mut self, what: &'static str) -> Result<Money, StorageError> {
        money(what, self.take()?)
    }

    /// A number of pieces, or none.
    pub(crate) fn quantity(&mut self, what: &'static str) -> Result<Option<Quantity>, StorageError> {
        let pieces = self.take::<Option<i64>>()?;
        pieces.map(|pieces| Quantity::new(pieces).map_err(|_| undecodable(what, pieces))).transpose()
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp, StorageError> {
        Ok(Timestamp::from_micros(self.take()?))
    }

    pub(crate) fn optional_time(&mut self) -> Result<Option<Timestamp>, StorageError> {
        Ok(self.take::<Option<i64>>()?.map(Timestamp::from_micros))
    }

    pub(crate) fn named<T>(
        &mut self,
        what: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, StorageError> {
        named(what, &self.take::<String>()?, parse)
    }

    /// The columns of [`PAYMENT_COLUMNS`].
    pub(crate) fn payment(&mut self) -> Result<Payment, StorageError> {
        Ok(Payment {
            id: PaymentId(self.take()?),
            order: OrderId(self.take()?),
            user: UserId(self.take()?),
            method: self.named("payment method", PaymentMethod::parse)?,
            points_part: self.money("points part")?,
            card_part: self.money("card part")?,
            card: self.card()?,
            status: self.named("payment status", PaymentStatus::parse)?,
            gateway_key: self.optional_text()?,
            reason: self.optional_text()?,
            attempt: self.take()?,
            event_seq: self.take()?,
            created_at: self.time()?,
            updated_at: self.time()?,
            duplicates: self.duplicates()?,
        })
    }

    fn duplicates(&mut self) -> Result<Vec<DuplicateCapture>, StorageError> {
        let Some(stored) = self.take::<Option<String>>()? else { return Ok(Vec::new()) };
        let known: Vec<(String, bool)> =
            serde_json::from_str(&stored).map_err(|_| undecodable("duplicate captures", &stored))?;
        let duplicate = |(key, refunded): (String, bool)| DuplicateCapture { key: key.into(), refunded };
        Ok(known.into_iter().map(duplicate).collect())
    }

    fn card(&mut self) -> Result<Option<(CardBrand, Arc<str>)>, StorageError> {
        let (brand, last_four) = (self.take::<Option<String>>()?, self.optional_text()?);
        match (brand, last_four) {
            (Some(brand), Some(last_four)) => {
                Ok(Some((named("card brand", &brand, CardBrand::parse)?, last_four)))
            }
            (None, None) => Ok(None),
            (brand, _) => Err(undecodable("half a card", brand.unwrap_or_default())),
        }
    }

    /// The columns of [`PAYMENT_EVENT_COLUMNS`].
    pub(crate) fn payment_event(&mut self) -> Result<PaymentEventRecord, StorageError> {
        let (payment, seq) = (PaymentId(self.take()?), self.take()?);
        let (name, attempt) = (self.take::<String>()?, self.take()?);
        let (key, reason) = (self.optional_text()?, self.optional_text()?);
        Ok(PaymentEventRecord {
            payment,
            seq,
            event: PaymentEvent::from_parts(&name, attempt, key.as_deref(), reason.as_deref())
                .ok_or_else(|| undecodable("payment event", &name))?,
            attempt,
            status: self.named("payment status", PaymentStatus::parse)?,
            at: self.time()?,
        })
    }

    /// The columns of [`LINE_COLUMNS`].
    pub(crate) fn line(&mut self) -> Result<(OrderId, OrderLine), StorageError> {
        let order = OrderId(self.take()?);
        let line = OrderLine {
            product: ProductId(self.take()?),
            name: self.text()?,
            unit_price: self.money("unit price")?,
            quantity: {
                let pieces = self.take()?;
                Quantity::new(pieces).map_err(|_| undecodable("quantity", pieces))?
            },
        };
        Ok((order, line))
    }

    /// The columns of [`POLICY_COLUMNS`].
    pub(crate) fn policy(&mut self) -> Result<CouponPolicy, StorageError> {
        Ok(CouponPolicy {
            id: CouponId(self.take()?),
            name: self.text()?,
            discount: {
                let kind = self.take::<String>()?;
                discount(&kind, self.take()?, self.take()?, self.take()?)?
            },
            minimum_total: self.money("minimum total")?,
            valid_from: self.time()?,
            valid_until: self.time()?,
            issue_limit: self.take()?,
        })
    }
}

/// The discount of a coupon's columns.
pub(crate) fn discount(
    kind: &str,
    amount: Option<i64>,
    basis_points: Option<i64>,
    cap: Option<i64>,
) -> Result<Discount, StorageError> {
    let rate = basis_points
        .and_then(|points| u32::try_from(points).ok())
        .filter(|points| (1..=10_000).contains(points));
    match (kind, amount, rate) {
        ("AMOUNT", Some(amount), _) => Ok(Discount::Amount(money("coupon amount", amount)?)),
        ("RATE", _, Some(basis_points)) => {
            Ok(Discount::Rate { basis_points, cap: cap.map(|cap| money("coupon cap", cap)).transpose()? })
        }
        _ => Err(undecodable("coupon kind", kind)),
    }
}

/// Columns of [`Columns::payment`].
pub(crate) const PAYMENT_COLUMNS: &[&str] = &[
    "id",
    "order_id",
    "user_id",
    "method",
    "points_part",
    "card_part",
    "card_brand",
    "card_last_four",
    "status",
    "gateway_key",
    "reason",
    "attempt",
    "event_seq",
    "created_at",
    "updated_at",
    "duplicates",
];

/// What is stored of duplicate captures: a JSON array of key and whether it was given back; nothing where there is none.
pub(crate) fn duplicates(payment: &Payment) -> Result<Option<String>, StorageError> {
    if payment.duplicates.is_empty() {
        return Ok(None);
    }
    let known: Vec<_> = payment.duplicates.iter().map(|known| (&*known.key, known.refunded)).collect();
    serde_json::to_string(&known).map(Some).map_err(|error| StorageError::Data(error.into()))
}

/// Columns of [`Columns::payment_event`].
pub(crate) const PAYMENT_EVENT_COLUMNS: &[&str] =
    &["payment_id", "seq", "event", "attempt", "gateway_key", "reason", "status", "at"];

/// Columns of [`Columns::line`].
pub(crate) const LINE_COLUMNS: &[&str] = &["order_id", "product_id", "name", "unit_price", "quantity"];

/// Columns of [`Columns::policy`].
pub(crate) const POLICY_COLUMNS: &[&str] = &[
    "id",
    "name",
    "kind",
    "amount",
    "basis_points",
    "cap",
    "minimum_total",
    "valid_from",
    "valid_until",
    "issue_limit",
];
