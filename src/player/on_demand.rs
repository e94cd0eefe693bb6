//! In the place of `live`, `refresh` and `lists` in builds that play on demand only: nothing grows.

use super::io::*;
use super::requests::Ticket;
use super::session::{Ctx, Session};
use super::stream::RepKey;
use crate::error::PlayerError;
use crate::time::Seconds;

/// Says that the stream is live: another build plays it.
pub(super) const ABSENT: &str = "a live stream, which this build does not play";

/// There is none.
pub(super) enum Live {}

impl Session {
    pub fn is_growing(&self) -> bool {
        false
    }

    pub fn may_grow(&self, _: &Ctx, _: RepKey, _: Seconds) -> bool {
        false
    }

    pub fn at_live_edge(&self) -> bool {
        false
    }

    pub fn edge(&self, _: &Ctx) -> Option<Seconds> {
        None
    }

    pub fn begin_live(&mut self, _: &mut Ctx) {}

    pub fn start_at_edge(&mut self, _: &mut Ctx) {}

    pub fn step_live(&mut self, _: &mut Ctx) {}

    pub fn report_live(&mut self, _: &mut Ctx) {}

    pub fn go_live(&mut self, _: &mut Ctx) {}

    pub fn seek_to_date(&mut self, _: &mut Ctx, _: f64) {}

    pub fn place_chosen(&mut self, _: &Ctx, _: bool) {}

    pub fn live_reported(&mut self, _: &mut Ctx, _: &MediaState) {}

    pub fn manifest_expires(&mut self) {}

    pub fn dated(&mut self, _: &mut Ctx, _: Option<Ticket>, _: f64) {}

    pub fn doubt_clock(&mut self, _: usize, _: Seconds) -> bool {
        false
    }

    pub fn segment_came(&mut self, _: usize, _: Seconds) {}

    pub fn is_live_request(&self, _: Ticket) -> bool {
        false
    }

    pub fn live_head(&mut self, _: Ticket, _: &str) {}

    pub fn live_bytes(&mut self, _: Ticket, _: &[u8]) {}

    pub fn live_again(&mut self, _: Ticket) {}

    pub fn live_end(&mut self, _: &mut Ctx, _: Ticket) {}

    pub fn live_failed(&mut self, _: &mut Ctx, _: Ticket, _: PlayerError) {}

    pub fn live_deadline(&self, _: &Ctx) -> Now {
        f64::INFINITY
    }
}
