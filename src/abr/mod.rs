//! Choice of quality: how fast the link is, which representation to fetch next, and when to give a download up.
//!
//! Import rule: `time` only. No clock and no IO: the player tells what happened and when, and asks.
//!
//! The numbers are on a plateau: 15 % more or less of any one of them moves QoE_log by at most 0.006 on the mean of seven sets of recorded
//! links, and the change that is best for six of them wins on the seventh in one case of seven, 0.009 (`npm run simulate -- --sensitivity`).

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
