//! Which segments of a dynamic presentation can be had at a moment of the clock (ISO/IEC 23009-1 §5.3.9.5.3).
//!
//! Nothing is added to an index as time goes by: the runs of a template hold all segments of its period, those to come too, and what
//! is listed is a window on them that moves.

use super::{ContentType, Period, Presentation, Protocol, SegmentIndex, TemplateIndex};
use crate::time::{Seconds, Ticks};

/// A segment counts as over this much before its end: clocks are told in milliseconds, and seconds since 1970 are rounded.
const HAIR: Seconds = 1e-4;

/// Segments that are available long before their time (`@availabilityTimeOffset="INF"`) are listed this far ahead of the clock.
const AHEAD: Seconds = 60.0;

/// More segments of one representation than this are not listed: it is 11 days of segments of a second.
const MAX_LISTED: u64 = 1_000_000;

/// What a template needs to know, beside its runs, to tell when its segments can be had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Availability {
    /// Seconds before its end that a segment can be had (`@availabilityTimeOffset`, summed over the levels). Infinite values are large.
    pub offset: Seconds,
    /// A segment is whole when it can be had; else it comes while it is made (`@availabilityTimeComplete="false"`).
    pub complete: bool,
    /// Start of the period on the presentation's timeline.
    pub period_start: Seconds,
    /// End of the period, where known.
    pub period_end: Option<Seconds>,
    /// The manifest lists every segment (SegmentTimeline without an open end): the list may be behind or ahead of the clock.
    pub listed: bool,
}

impl Availability {
    /// How long before its end a segment is listed.
    fn lead(&self) -> Seconds {
        self.offset.min(AHEAD)
    }
}

/// The clock as the rules see it.
#[derive(Clone, Copy)]
struct Clock {
    /// On the presentation's timeline.
    at: Seconds,
    /// Time-shift buffer.
    depth: Option<Seconds>,
    /// Nothing is available any more.
    over: bool,
    /// Where lists without a rule end at the latest.
    limit: Seconds,
}

/// What is available of the segments of a template, by position among all of them.
struct Bounds {
    first: u64,
    end: u64,
    /// The first that is not whole.
    whole: u64,
    /// The list is far ahead of the clock and so was taken as it is.
    trusted: bool,
    /// The time that the time-shift buffer is measured from.
    newest: Seconds,
}

impl TemplateIndex {
    /// How many segments end at or before a time of the presentation.
    pub(super) fn ended(&self, time: Seconds) -> u64 {
        let time = time - self.timestamp_offset + HAIR;
        let ticks = (time * f64::from(self.timescale.get())).floor() as Ticks;
        let at = self.runs.partition_point(|r| r.time.saturating_add(r.duration) <= ticks);
        let Some(run) = at.checked_sub(1).and_then(|at| self.runs.get(at)) else { return 0 };
        let within = ticks.saturating_sub(run.time) / run.duration.max(1);
        run.first.saturating_add(run.count.min(u64::try_from(within).unwrap_or(0)))
    }

    fn bounds(&self, rule: &Availability, clock: Clock) -> Bounds {
        let total = self.total();
        let limit = clock.at + rule.lead();
        let mut end = self.ended(limit);
        let first = self.span_of(0).map_or(0.0, |s| s.0);
        // The clock or the packager's idea of it is wrong by more than the whole list: what is listed is there, nevertheless.
        let trusted = rule.listed && end == 0 && clock.at >= rule.period_start && first > limit + HAIR;
        if trusted {
            end = total;
        }
        let whole = if rule.complete { end } else { self.ended(clock.at).min(end) };
        // A list that lags behind the clock keeps its depth, as long as its period goes on.
        let goes_on = rule.period_end.is_none_or(|e| e > clock.at);
        let newest = match total.checked_sub(1).and_then(|i| self.span_of(i)) {
            Some((start, duration)) if rule.listed && goes_on => clock.at.min(start + duration),
            _ => clock.at,
        };
        let mut gone = clock.depth.map_or(0, |depth| self.ended(newest - depth));
        if goes_on {
            // The buffer may be shorter than a segment: the newest one can be had for its own duration more.
            gone = gone.min(whole.saturating_sub(1));
        }
        let first = if clock.over { end } else { gone.max(end.saturating_sub(MAX_LISTED)).min(end) };
        Bounds { first, end, whole: whole.max(first), trusted, newest }
    }

    /// From where to where it can be played.
    fn reach(&self, rule: &Availability, clock: Clock) -> Option<(Seconds, Seconds)> {
        let bounds = self.bounds(rule, clock);
        let last = bounds.end.checked_sub(1).filter(|_| bounds.first < bounds.end)?;
        let (mut start, _) = self.span_of(bounds.first)?;
        let (last, duration) = self.span_of(last)?;
        let mut edge = last + duration;
        if !bounds.trusted {
            edge = edge.min(clock.at);
        }
        if bounds.whole < bounds.end && !bounds.trusted {
            // What is being made comes in chunks: one can be had when it is over.
            let chunk = (duration - rule.offset).max(0.0);
            let (making, _) = self.span_of(bounds.whole)?;
            edge = (edge - chunk).max(making).min(last + duration);
        }
        // A last segment may lap over the next period.
        edge = edge.min(rule.period_end.unwrap_or(edge));
        if let Some(depth) = clock.depth {
            let (newest, _) = self.span_of(bounds.whole.saturating_sub(1).max(bounds.first))?;
            start = start.max(newest.min(bounds.newest - depth));
        }
        Some((start.min(edge), edge))
    }
}

impl Presentation {
    /// Makes every index list the segments that can be had at `now` (seconds since 1970 on the server's clock), and no others. Cheap:
    /// it may be called many times a second.
    pub fn advance(&mut self, now: f64) {
        let clock = self.clock(now);
        let Some(live) = self.live.as_mut().filter(|_| now.is_finite()) else { return };
        live.now = Some(now);
        for representation in
            self.periods.iter_mut().flat_map(|p| &mut p.sets).flat_map(|s| &mut s.representations)
        {
            if let SegmentIndex::Template(template) = &mut representation.index
                && let Some(rule) = template.rule
            {
                let bounds = template.bounds(&rule, clock);
                template.skip = bounds.first;
                template.listed = bounds.end - bounds.first;
                template.whole = bounds.whole - bounds.first;
            }
        }
    }

    /// The first moment of the clock after `now` at which [`Presentation::advance`] lists another segment. `None`: none is known, the
    /// manifest has to be read again.
    pub fn next_available(&self, now: f64) -> Option<f64> {
        let clock = self.clock(now);
        let epoch = self.live.as_ref()?.epoch.unwrap_or(0.0);
        if clock.over {
            return None;
        }
        let mut soonest = f64::INFINITY;
        for representation in self.periods.iter().flat_map(|p| &p.sets).flat_map(|s| &s.representations) {
            if let SegmentIndex::Template(template) = &representation.index
                && let Some(rule) = &template.rule
                && let Some((start, duration)) = template.span_of(template.bounds(rule, clock).end)
            {
                soonest = soonest.min(epoch + start + duration - rule.lead());
            }
        }
        soonest.is_finite().then_some(soonest)
    }

    /// The live edge at `now`: the end of what can be had, on the presentation's timeline.
    pub fn edge(&self, now: f64) -> Option<Seconds> {
        self.window(now).map(|w| w.1)
    }

    /// What can be sought at `now`: from the start of the time-shift buffer to the live edge. Where pictures and sound reach to
    /// different times, it is what both have. `None`: there is nothing, or nothing is known of it.
    pub fn window(&self, now: f64) -> Option<(Seconds, Seconds)> {
        let clock = self.clock(now);
        let mut reaches = self.periods.iter().filter_map(|p| p.reach(clock));
        let (start, end) = reaches.next()?;
        let end = reaches.next_back().map_or(end, |last| last.1);
        Some((start.min(end), end))
    }

    fn clock(&self, now: f64) -> Clock {
        let live = self.live.as_deref();
        let at = now - live.and_then(|l| l.epoch).unwrap_or(0.0);
        // What HLS lists is there. The file of an advertisement in a DASH period can be read before its time has come.
        let clocked = live.is_some() && self.protocol == Protocol::Dash;
        Clock {
            at,
            depth: live.and_then(|l| l.depth),
            over: live.and_then(|l| l.available_until).is_some_and(|until| now >= until),
            limit: if clocked { at } else { f64::INFINITY },
        }
    }
}

impl Period {
    fn reach(&self, clock: Clock) -> Option<(Seconds, Seconds)> {
        let mut reach: Option<(Seconds, Seconds)> = None;
        let mut by_rule = false;
        for set in &self.sets {
            if !matches!(set.content, ContentType::Video | ContentType::Audio) {
                continue;
            }
            // Lists are read one by one, and those that are not played grow old: the newest counts.
            let mut newest: Option<(Seconds, Seconds)> = None;
            let mut ruled = false;
            for representation in &set.representations {
                let index = &representation.index;
                let this = if let SegmentIndex::Template(template) = index
                    && let Some(rule) = &template.rule
                {
                    ruled = true;
                    template.reach(rule, clock)
                } else {
                    let whole = index.span(0).and_then(|(start, _)| Some((start, index.end()?)));
                    whole.filter(|w| w.0 <= clock.limit).map(|(start, end)| (start, end.min(clock.limit)))
                };
                if let Some(this) = this.filter(|t| newest.is_none_or(|n| n.1 < t.1)) {
                    newest = Some(this);
                }
            }
            let Some((start, end)) = newest else { continue };
            reach = Some(match reach {
                None => (start, end),
                Some((s, e)) if ruled && by_rule => (start.max(s), end.min(e)),
                Some(_) if ruled => (start, end),
                Some(all) if by_rule => all,
                Some((s, e)) => (start.max(s), end.max(e)),
            });
            by_rule |= ruled;
        }
        reach
    }
}
