//! The jobs: closing days, aggregating weeks and months, forgetting.

mod aggregate;
mod close;
mod forget;
mod periods;
