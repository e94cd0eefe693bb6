//! The core under a virtual clock: a recorded network, an element and a movie, all modelled, around the very [`Player`](crate::player::Player)
//! that plays in the browser. What it chooses, how it waits and gives up is what a viewer gets; only the world is made up.
//!
//! Import rule: `player` and below. Native only, behind the feature `simulate`.
//!
//! | file | what it does |
//! | --- | --- |
//! | `trace.rs`, `movie.rs` | recorded links and sizes of segments, read and checked |
//! | `synthetic.rs` | such of our own, from a seed |
//! | `link.rs` | bytes over time: capacity, round trips, shares, slow start, caches |
//! | `site.rs` | manifest and segments of a movie: headers are real, payload is zeros |
//! | `element.rs` | SourceBuffers and the element's playback |
//! | `session.rs` | the shell: carries inputs and outputs between all of these and the player |
//! | `peer.rs` | the loop of a player that is not ours, around a rule of somebody else's |
//! | `decider.rs` | such a rule: what it is told, what it answers, its process (www/tools/peers) |
//! | `metrics.rs` | what a session was worth; means, percentiles, intervals |
//! | `report.rs`, `plots.rs` | tables, JSON, pairs; HTML with plots |
//! | `sensitivity.rs` | what each tuned number of the rule does, and with one set left out |

mod decider;
mod element;
mod error;
mod link;
mod metrics;
mod movie;
mod peer;
mod plots;
mod random;
mod report;
mod sensitivity;
mod session;
mod site;
mod synthetic;
mod trace;

pub use decider::{Decider, Event, Load, PeerError, Process, Reply, What};
pub use element::Played;
pub use error::{Fault, ReadError};
pub use link::{Delivery, Link, LinkOptions};
pub use metrics::{METRICS, Metric, Metrics, Summary, summarize};
pub use movie::Movie;
pub use peer::play_peer;
pub use plots::Plot;
pub use random::Random;
pub use report::{Group, Report, Run};
pub use sensitivity::{Field, Sensitivity};
pub use session::{Instant, Options, Rule, Session, Stall, play};
pub use site::{Listing, Site};
pub use synthetic::{KINDS, synthetic_movie, synthetic_traces};
pub use trace::{Step, Trace};

#[cfg(test)]
mod peer_tests;
#[cfg(test)]
mod tests;
