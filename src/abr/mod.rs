//! Choice of quality: how fast the link is, which representation to fetch next, and when to give a download up.
//!
//! Import rule: `time` only. No clock and no IO: the player tells what happened and when, and asks.

mod abandon;
mod bola;
mod estimator;
mod selector;
mod tuned;

pub use abandon::{Download, abandon};
pub use estimator::Estimator;
pub use selector::{Decision, IMPROVING, Reason, Rule, Selector, Situation};
#[cfg(feature = "simulate")]
pub use tuned::{TUNED, Tuned, tune};

#[cfg(test)]
mod tests;
