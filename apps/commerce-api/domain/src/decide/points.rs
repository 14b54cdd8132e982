use super::Outcome;
use crate::working_set::Scratch;
use crate::{LedgerKind, Money, Refusal, UserId};

pub(super) fn charge(scratch: &mut Scratch<'_>, user: UserId, amount: Money) -> Result<Outcome, Refusal> {
    let rules = scratch.rules;
    if amount.is_zero() {
        return Err(Refusal::ChargeZero);
    }
    if amount > rules.charge_max {
        return Err(Refusal::ChargeTooLarge { max: rules.charge_max });
    }
    let account = scratch.user(user)?;
    let charged = account.charged_today.checked_add(amount)?;
    if charged > rules.charge_day_max {
        let left = rules.charge_day_max.checked_sub(account.charged_today).unwrap_or(Money::ZERO);
        return Err(Refusal::DailyChargeExceeded { max: rules.charge_day_max, left });
    }
    account.charged_today = charged;
    scratch.move_points(user, None, LedgerKind::Charge, amount).map(Outcome::PointsCharged)
}
