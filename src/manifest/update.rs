//! A manifest that was read again takes the place of the one before.
//!
//! Presentation time 0 stays the same moment as long as a source is played, whatever later manifests say: where their times begin
//! elsewhere they are moved.

use super::index::truncate;
use super::{
    Bases, Live, Period, Presentation, PresentationType, Protocol, Representation, SegmentIndex, date_time,
};
use crate::bytes::place_of;
use crate::time::Seconds;
use std::ops::Range;
use std::rc::Rc;

/// Times of different manifests are the same if they differ by less.
const SAME: Seconds = 0.1;

/// An @availabilityStartTime that moves by less is computed anew each time with some error; by more, the encoder started again.
const JITTER: Seconds = 1.0;

/// A segment that starts less than this before the end of its period is none.
const SLIVER: Seconds = 0.002;

/// When this many manifests were refused one after the other, the next is taken: better to follow a server that was set back than to
/// stop for ever.
const MAX_REFUSED: u32 = 5;

/// Period, set and representation by position.
pub type Position = (usize, usize, usize);

/// What [`Presentation::update`] did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    /// Why the new manifest was not taken; the old one stands.
    pub refused: Option<&'static str>,
    /// The source began anew: its media times or numbers jumped, so that segments of the same number or time may be others.
    pub restarted: bool,
    /// Where each representation of before is now. Those that are not in it are gone.
    pub moved: Vec<(Position, Position)>,
    /// Warnings that the manifest before did not give.
    pub warnings: Vec<String>,
}

impl Update {
    /// Where the representation at an old position is now. `None`: it is gone.
    pub fn map(&self, old: Position) -> Option<Position> {
        if self.refused.is_some() {
            return Some(old);
        }
        self.moved.iter().find(|m| m.0 == old).map(|m| m.1)
    }
}

impl Presentation {
    /// Takes over a manifest that was read again. Segments that both list keep their numbers; indexes that were fetched are kept where
    /// their source is the same; periods that the new manifest has dropped stay at the front as long as they are in the time-shift
    /// buffer. A manifest older than the one before, or without any segment, is refused. Call [`Presentation::advance`]
    /// afterwards where the clock has moved on since the manifest was parsed.
    pub fn update(&mut self, mut new: Presentation) -> Update {
        let mut update = Update::default();
        update.warnings.extend(new.warnings.iter().filter(|w| !self.warnings.contains(w)).cloned());
        let restarted = self.align(&mut new);
        let clock = |p: &Presentation| p.live.as_ref().and_then(|l| l.now);
        let now = clock(&new).or(clock(self));
        if let Some(now) = now {
            new.advance(now);
        }
        let matches: Vec<Option<usize>> = self.periods.iter().map(|p| counterpart(p, &new.periods)).collect();
        let mut by = 0.0;
        for (i, period) in new.periods.iter_mut().enumerate() {
            if let Some(old) =
                matches.iter().position(|to| *to == Some(i)).and_then(|at| self.periods.get(at))
            {
                by = moved(old, period).unwrap_or(0.0);
            }
            // One that is new was computed along with the one before it.
            period.shift(by);
        }
        let kept = if restarted { 0..0 } else { self.still_in_window(&matches, &new) };
        let loses_all = kept.is_empty() && !nothing(&self.periods);
        if let Some(live) = &mut self.live
            && live.refused < MAX_REFUSED
            && let Some(why) = refusal(live, &new, loses_all)
        {
            live.refused += 1;
            return Update { refused: Some(why), ..update };
        }
        update.restarted = restarted;
        let listed_by_mpd = self.protocol == Protocol::Dash;
        let mut moved = Vec::new();
        for (p, (old, to)) in self.periods.iter_mut().zip(&matches).enumerate() {
            let Some((to, period)) = to.and_then(|to| Some((to, new.periods.get_mut(to)?))) else { continue };
            for (s, old) in old.sets.iter_mut().enumerate() {
                let Some(to_set) = period.sets.iter().position(|set| set.id == old.id) else { continue };
                for (r, old) in old.representations.iter_mut().enumerate() {
                    let representations = &mut period.sets[to_set].representations;
                    let Some(to_rep) = representations.iter().position(|rep| rep.id == old.id) else {
                        continue;
                    };
                    update.restarted |= take_over(old, &mut representations[to_rep], listed_by_mpd);
                    moved.push(((p, s, r), (to, to_set, to_rep)));
                }
            }
        }
        let kept = if update.restarted { 0..0 } else { kept };
        for (_, to) in &mut moved {
            to.0 += kept.len();
        }
        for (to, mut period) in self.periods.drain(kept.clone()).enumerate() {
            let from = kept.start + to;
            if let Some(next) = new.periods.get(to) {
                end_at(&mut period, next.start);
            }
            for (s, set) in period.sets.iter().enumerate() {
                moved.extend((0..set.representations.len()).map(|r| ((from, s, r), (to, s, r))));
            }
            new.periods.insert(to, period);
        }
        update.moved = moved;
        new.start_hint = self.start_hint;
        *self = new;
        if let Some(now) = now {
            self.advance(now);
        }
        update
    }

    /// Moves the times of a new manifest to where those of this one are. Tells whether the source began anew.
    fn align(&self, new: &mut Presentation) -> bool {
        let epoch = |p: &Presentation| p.live.as_ref().and_then(|l| l.epoch);
        if let (Some(before), Some(after)) = (epoch(self), epoch(new)) {
            let by = after - before;
            if by.abs() <= JITTER {
                return false;
            }
            new.shift(by);
            return !self.periods.iter().any(|p| counterpart(p, &new.periods).is_some());
        }
        if new.kind == PresentationType::Static {
            // Without a clock the media themselves tell how the times are related.
            let by = self.periods.iter().find_map(|old| {
                let same = new.periods.iter().filter(|p| p.id == old.id);
                same.filter_map(|p| offsets(old, p)).map(|(before, after)| before - after).next()
            });
            if let Some(by) = by.filter(|by| by.abs() > SAME) {
                new.shift(by);
            }
        }
        false
    }

    /// Adds seconds to all times.
    fn shift(&mut self, by: Seconds) {
        self.duration = self.duration.map(|d| d + by);
        if let Some(live) = &mut self.live {
            live.epoch = live.epoch.map(|e| e - by);
            live.producer.iter_mut().for_each(|p| p.time += by);
        }
        self.periods.iter_mut().for_each(|p| p.shift(by));
    }

    /// Periods that the new manifest no longer begins with, though they are in the time-shift buffer.
    fn still_in_window(&self, matches: &[Option<usize>], new: &Presentation) -> Range<usize> {
        let Some(live) = &new.live else { return 0..0 };
        let (Some(now), Some(depth), Some(first)) = (live.now, live.depth, new.periods.first()) else {
            return 0..0;
        };
        let oldest = now - live.epoch.unwrap_or(0.0) - depth;
        let gone =
            self.periods.iter().zip(matches).take_while(|(p, m)| m.is_none() && p.start < first.start - SAME);
        let end = gone.count();
        let over = |p: &&Period| p.duration.is_some_and(|d| p.start + d <= oldest);
        let outside = self.periods.iter().take(end).take_while(over).count();
        outside..if first.start <= oldest { outside } else { end }
    }
}

impl Period {
    /// Adds seconds to all times.
    fn shift(&mut self, by: Seconds) {
        let add = |time: &mut Option<Seconds>| *time = time.map(|t| t + by);
        self.start += by;
        self.events.iter_mut().for_each(|e| e.start += by);
        for representation in self.sets.iter_mut().flat_map(|s| &mut s.representations) {
            match &mut representation.index {
                SegmentIndex::Pending(source) => {
                    source.timestamp_offset += by;
                    add(&mut source.end);
                }
                SegmentIndex::Template(template) => {
                    template.timestamp_offset += by;
                    if let Some(rule) = &mut template.rule {
                        rule.period_start += by;
                        add(&mut rule.period_end);
                    }
                }
                SegmentIndex::List(list) => {
                    list.segments.iter_mut().for_each(|s| s.start += by);
                    list.parts.iter_mut().for_each(|p| p.start += by);
                    add(&mut list.timestamp_offset);
                }
                #[cfg(feature = "progressive")]
                SegmentIndex::Continuous(_) => {}
            }
        }
    }
}

/// Why a manifest is not taken.
fn refusal(live: &Live, new: &Presentation, loses_all: bool) -> Option<&'static str> {
    // A static one says that it is over.
    let new_live = new.live.as_ref()?;
    let published = |live: &Live| live.published.as_deref().and_then(date_time);
    if let (Some(before), Some(after)) = (published(live), published(new_live))
        && after < before
    {
        return Some("it is older than the one before (@publishTime)");
    }
    (loses_all && nothing(&new.periods)).then_some("it lists nothing that can be had now")
}

/// Whether nothing is listed.
fn nothing(periods: &[Period]) -> bool {
    let mut all = periods.iter().flat_map(|p| &p.sets).flat_map(|s| &s.representations);
    all.all(|r| r.index.is_empty() && !matches!(r.index, SegmentIndex::Pending(_)))
}

/// The period of the new manifest that an old one has become: of its id and with the same times, else of its start.
fn counterpart(old: &Period, new: &[Period]) -> Option<usize> {
    let starts = |p: &Period| (p.start - old.start).abs() <= SAME;
    let tied = |p: &Period| offsets(old, p).is_some_and(|(a, b)| (a - b).abs() <= SAME);
    let named = new.iter().position(|p| p.id == old.id && (starts(p) || tied(p) || moved(old, p).is_some()));
    named.or_else(|| new.iter().position(starts))
}

/// Seconds from the start that the new manifest gives a period back to the one that it had, where that alone has changed: it is computed
/// anew each time with some error, and what was appended lies where it lies.
fn moved(old: &Period, new: &Period) -> Option<Seconds> {
    let by = old.start - new.start;
    let alone = offsets(old, new).is_some_and(|(before, after)| (before - after - by).abs() < SLIVER);
    (alone && by.abs() <= JITTER).then_some(by)
}

/// What is added to media time in an old and in a new period, by the first representation that both have.
fn offsets(old: &Period, new: &Period) -> Option<(Seconds, Seconds)> {
    let offset = |r: &Representation| match &r.index {
        SegmentIndex::Pending(source) => Some(source.timestamp_offset),
        SegmentIndex::Template(template) => Some(template.timestamp_offset),
        SegmentIndex::List(list) => list.timestamp_offset,
        #[cfg(feature = "progressive")]
        SegmentIndex::Continuous(_) => None,
    };
    old.sets.iter().find_map(|set| {
        let other = new.sets.iter().find(|s| s.id == set.id)?;
        set.representations.iter().find_map(|r| {
            let other = other.representations.iter().find(|o| o.id == r.id)?;
            Some((offset(r)?, offset(other)?))
        })
    })
}

/// Takes over what was learnt of a representation. Tells whether its source began anew.
fn take_over(old: &mut Representation, new: &mut Representation, listed_by_mpd: bool) -> bool {
    let at = |bases: &Bases, url: &str| bases.all.iter().position(|b| b.url == url);
    if let Some(base) = old.bases.all.get(old.bases.current)
        && let Some(position) = at(&new.bases, &base.url)
    {
        new.switch_base(position);
        let all = &old.bases.all;
        if all.len() == new.bases.all.len() && all.iter().all(|b| at(&new.bases, &b.url).is_some()) {
            // Chance has given them an order once.
            new.bases = old.bases.clone();
        }
    }
    match (&mut old.index, &mut new.index) {
        (SegmentIndex::List(list), SegmentIndex::Pending(source))
            if list.base == source.url
                && list.timestamp_offset.is_none_or(|o| (o - source.timestamp_offset).abs() <= SAME) =>
        {
            let end = source.end.unwrap_or(f64::INFINITY) - SLIVER;
            let count = list.segments.iter().take_while(|s| s.start < end).count();
            list.segments.truncate(count);
            new.index = SegmentIndex::List(std::mem::take(list));
            false
        }
        (SegmentIndex::Template(a), SegmentIndex::Template(b))
            if (a.timestamp_offset - b.timestamp_offset).abs() > SAME =>
        {
            true
        }
        (SegmentIndex::Template(_), SegmentIndex::Template(_)) => {
            continue_numbers(&old.index, &mut new.index)
        }
        // A media playlist numbers its segments itself.
        (SegmentIndex::List(_), SegmentIndex::List(_)) if listed_by_mpd => {
            continue_numbers(&old.index, &mut new.index)
        }
        _ => false,
    }
}

/// Gives segments of a new index that the old one has too their numbers, where the manifest does not number them. Tells whether times
/// or numbers jumped.
fn continue_numbers(old: &SegmentIndex, new: &mut SegmentIndex) -> bool {
    let (Some(first), Some(first_of_old)) = (span_of(new, 0), span_of(old, 0)) else { return false };
    let before = number(old);
    let after = before.saturating_add(count(old));
    // Where the same segment stands in both.
    let common = near(old, first).map(|at| (at, 0)).or_else(|| near(new, first_of_old).map(|at| (0, at)));
    let named = common.map(|(at, to)| (name(old, at), name(new, to)));
    let common = common.map(|(at, to)| before.saturating_add(at).saturating_sub(to));
    let back = common.is_none() && first.0 < first_of_old.0;
    match new {
        SegmentIndex::Template(template) if place_of(&template.media, "$Number").is_some() => {
            let is = template.start_number;
            let (Some(number), Some((old, new))) = (common, named) else { return back || is < after };
            let Some(gaps) = is.checked_sub(number).filter(|_| old == new) else { return true };
            if gaps > 0 {
                // Numbers that no segment had lie before the window now.
                template.start_number = number;
                Rc::make_mut(&mut template.runs).iter_mut().for_each(|r| r.gaps += gaps);
            }
            return false;
        }
        _ if back => return true,
        SegmentIndex::Template(template) => {
            template.start_number = common.unwrap_or(template.start_number.max(after));
        }
        SegmentIndex::List(list) => list.first = common.unwrap_or(list.first.max(after)),
        _ => {}
    }
    false
}

/// What `$Number$` of the `i`th of all segments of a template is.
fn name(index: &SegmentIndex, i: u64) -> u64 {
    let SegmentIndex::Template(template) = index else { return 0 };
    let gaps = template.runs.iter().rfind(|r| r.first <= i).map_or(0, |r| r.gaps);
    template.start_number.saturating_add(i).saturating_add(gaps)
}

/// Number of the first of all segments of an index, listed or not.
fn number(index: &SegmentIndex) -> u64 {
    if let SegmentIndex::Template(template) = index { template.start_number } else { index.first() }
}

/// How many there are, listed or not.
fn count(index: &SegmentIndex) -> u64 {
    if let SegmentIndex::Template(template) = index { template.total() } else { index.len() as u64 }
}

/// Start and duration of the `i`th of all.
fn span_of(index: &SegmentIndex, i: u64) -> Option<(Seconds, Seconds)> {
    match index {
        SegmentIndex::Template(template) => template.span_of(i),
        _ => index.span(usize::try_from(i).ok()?),
    }
}

/// Position among all of the segment that starts where another does, or half of it away at most.
fn near(index: &SegmentIndex, (start, duration): (Seconds, Seconds)) -> Option<u64> {
    let middle = start + duration / 2.0;
    let at = match index {
        SegmentIndex::Template(template) => template.ended(middle),
        _ => index.find(middle)? as u64,
    };
    span_of(index, at).filter(|s| (s.0 - start).abs() < duration / 2.0).map(|_| at)
}

/// Ends a period where the next begins.
fn end_at(period: &mut Period, end: Seconds) {
    let duration = (end - period.start).max(0.0);
    period.duration = Some(period.duration.map_or(duration, |d| d.min(duration)));
    for representation in period.sets.iter_mut().flat_map(|s| &mut s.representations) {
        let SegmentIndex::Template(template) = &mut representation.index else { continue };
        if let Some(rule) = &mut template.rule
            && rule.period_end.is_none_or(|e| e > end)
        {
            rule.period_end = Some(end);
            let whole = template.ended(end - SLIVER);
            let begun = template.span_of(whole).is_some_and(|s| s.0 < end - SLIVER);
            truncate(&mut template.runs, whole + u64::from(begun));
        }
    }
}
