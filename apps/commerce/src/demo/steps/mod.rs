//! The steps of the walk, in their order.

mod account;
mod boards;
mod cards;
mod faults;
mod orders;
mod periods;

use futures::future::LocalBoxFuture;

use super::report::Told;
use super::walk::Walk;
use crate::failure::Failure;

type Run = for<'w, 'o> fn(&'w mut Walk<'o>) -> LocalBoxFuture<'w, Result<Told, Failure>>;

/// A step.
pub struct StepDefinition {
    /// What is done.
    pub name: &'static str,
    /// What it proves, where something was made to go wrong.
    pub proves: Option<&'static str>,
    /// Does it.
    pub run: Run,
}

macro_rules! steps {
    ($($name:literal => $run:path $([$proves:literal])?,)*) => {
        &[$(StepDefinition {
            name: $name,
            proves: [$(Some($proves),)? None][0],
            run: |walk| Box::pin($run(walk)),
        },)*]
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
    "gateway down" => faults::down::gateway_down
        ["the breaker stops calls that would fail; an order waits, and nothing is charged"],
    "gateway back" => faults::down::gateway_back
        ["the breaker lets two calls try and closes; what waited settles by itself or when rechecked, each once"],
    "callback lost" => faults::callbacks::lost
        ["a callback is not needed: the gateway is asked"],
    "callback ten times" => faults::callbacks::ten_times
        ["ten callbacks are one transition"],
    "answer lost" => faults::answers::lost
        ["an outcome that nobody told is asked for by our reference, never guessed, and charged once"],
    "callback forged" => faults::callbacks::forged
        ["who has not the gateway's secret changes nothing"],
    "callback of another amount" => faults::callbacks::another_amount
        ["a signed callback that does not fit is set aside, and the gateway asked"],
    "money after the cancel" => faults::late::after_cancel
        ["it goes back exactly once, also where the refund's answer is lost; the order stays closed"],
    "500 after charging" => faults::answers::failed_after
        ["the repetition under the same key finds the same transaction"],
    "rank of the product" => boards::rank,
    "what was counted" => boards::counted,
    "today's ranking" => boards::today,
    "a week that comes late" => periods::past,
    "ranking of the past week" => periods::weekly,
    "ranking of its month" => periods::monthly,
    "audit --settled" => boards::audit,
};
