//! The simulator over HTTP, with a server that receives its callbacks.
#![cfg(test)]

mod admin;
mod durability;
mod extensions;
mod faults;
mod protocol;
mod support;
