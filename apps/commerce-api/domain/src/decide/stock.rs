use std::sync::Arc;

use super::Outcome;
use crate::working_set::Scratch;
use crate::{EventKind, MovementId, MovementKind, Product, ProductId, Quantity, Refusal, StockMovement};

pub(super) fn move_stock(
    scratch: &mut Scratch<'_>,
    product: ProductId,
    kind: MovementKind,
    quantity: i64,
    reason: Option<Arc<str>>,
) -> Result<Outcome, Refusal> {
    match kind {
        MovementKind::Receipt if quantity < 1 => {
            return Err(Refusal::MovementInvalid("a receipt brings at least 1 piece"));
        }
        MovementKind::Adjustment if quantity == 0 => {
            return Err(Refusal::MovementInvalid("an adjustment of 0 changes nothing"));
        }
        MovementKind::Receipt | MovementKind::Adjustment => {}
    }
    let (id, at) = (MovementId(scratch.next_id()), scratch.now);
    let row = scratch.product(product)?;
    let before = row.stock;
    let after = before.checked_add(quantity).ok_or(Refusal::StockTooLarge)?;
    if after < 0 {
        return Err(Refusal::StockTooLow { available: before, requested: quantity.saturating_neg() });
    }
    if after > Product::STOCK_MAX {
        return Err(Refusal::StockTooLarge);
    }
    row.stock = after;
    tell_of_change(scratch, product, before, after)?;
    let movement = StockMovement { id, product, kind, quantity, stock_after: after, reason, at };
    scratch.put_movement(movement.clone());
    Ok(Outcome::StockMoved(movement))
}

/// Takes pieces for an order line.
pub(super) fn take(scratch: &mut Scratch<'_>, product: ProductId, quantity: Quantity) -> Result<(), Refusal> {
    let row = scratch.product(product)?;
    let before = row.stock;
    row.take(quantity).map_err(|available| Refusal::OutOfStock {
        product,
        available,
        requested: quantity.get(),
    })?;
    let after = row.stock;
    tell_of_change(scratch, product, before, after)
}

/// Puts the pieces of an order line back.
pub(super) fn give_back(
    scratch: &mut Scratch<'_>,
    product: ProductId,
    quantity: Quantity,
) -> Result<(), Refusal> {
    let row = scratch.product(product)?;
    let before = row.stock;
    row.give_back(quantity);
    let after = row.stock;
    tell_of_change(scratch, product, before, after)
}

fn tell_of_change(
    scratch: &mut Scratch<'_>,
    product: ProductId,
    before: i64,
    after: i64,
) -> Result<(), Refusal> {
    match (before, after) {
        (1.., 0) => scratch.emit_product(product, EventKind::StockDepleted),
        (0, 1..) => scratch.emit_product(product, EventKind::StockRestored { stock: after }),
        _ => Ok(()),
    }
}
