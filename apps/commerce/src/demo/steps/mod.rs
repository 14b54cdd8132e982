//! The steps of the walk, in their order.

mod account;
mod boards;
mod cards;
mod orders;

use futures::future::LocalBoxFuture;

use super::report::Told;
use super::walk::Walk;
use crate::failure::Failure;

type Run = for<'w, 'o> fn(&'w mut Walk<'o>) -> LocalBoxFuture<'w, Result<Told, Failure>>;

/// A step.
pub struct StepDefinition {
    /// What is done.
    pub name: &'static str,
    /// Does it.
    pub run: Run,
}

macro_rules! steps {
    ($($name:literal => $run:path,)*) => {
        &[$(StepDefinition { name: $name, run: |walk| Box::pin($run(walk)) },)*]
    };
}

/// All of them.
pub const STEPS: &[StepDefinition] = steps! {
    "sign up" => account::sign_up,
    "log in" => account::log_in,
    "charge points" => account::charge,
    "search, cheapest first" => account::search_cheapest,
    "search, dearest first" => account::search_dearest,
    "like a product" => account::like,
    "get a coupon" => account::get_coupon,
    "order with points" => orders::with_points,
    "order by card" => cards::approved,
    "card declined" => cards::declined,
    "points, card and coupon" => cards::mixed,
    "cancel before it is paid" => cards::cancel_unpaid,
    "cancel what a card paid" => cards::cancel_paid,
    "the same key twice" => orders::twice_under_one_key,
    "another customer's order" => orders::of_another,
    "more than there is" => orders::out_of_stock,
    "rank of the product" => boards::rank,
    "what was counted" => boards::counted,
    "today's ranking" => boards::today,
    "audit --settled" => boards::audit,
};
