use std::time::Duration;

use super::BreakerState::{Closed, ForcedOpen, HalfOpen, Open};
use super::*;
use crate::testing::{Bench, SECOND, gateway, measured, ms};
use crate::{Backoff, Verdict, WindowKind};

mod half_open;
mod operator;
mod rates;
mod told;
