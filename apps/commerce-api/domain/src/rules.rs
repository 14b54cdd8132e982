use std::time::Duration;

use crate::Money;

/// The shop's adjustable rules; the same for every command of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Share of the paid total that is earned as points, in hundredths of a percent.
    pub earn_basis_points: u32,
    /// Largest single point charge.
    pub charge_max: Money,
    /// Largest sum of a user's point charges in one business day.
    pub charge_day_max: Money,
    /// How long an order may wait whose payment was not yet sent to the gateway.
    pub unsent_deadline: Duration,
    /// How long an order may wait, from its placing, once its payment was sent.
    pub sent_deadline: Duration,
    /// Most lines of one order.
    pub lines_max: usize,
    /// The gateway honours keys, so that under one reference it captures once. Without them the network may have brought a
    /// charge twice, and a payment that is paid is not done before somebody has looked.
    pub captures_once: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            earn_basis_points: 100,
            charge_max: MILLION,
            charge_day_max: TEN_MILLION,
            unsent_deadline: Duration::from_mins(15),
            sent_deadline: Duration::from_mins(30),
            lines_max: 100,
            captures_once: true,
        }
    }
}

const MILLION: Money = match Money::new(1_000_000) {
    Ok(money) => money,
    Err(_) => Money::ZERO,
};
const TEN_MILLION: Money = match Money::new(10_000_000) {
    Ok(money) => money,
    Err(_) => Money::ZERO,
};
