//! Media playlists that are read again: when, from which URL, and how what is new joins what is known (RFC 8216bis §6.2.5, §6.3.4).

use super::media::MediaPlaylist;
use super::{ServerControl, malformed};
use crate::error::Result;
use crate::manifest::{ByteRange, ListIndex, ListPart, ListSegment, url};
use crate::time::Seconds;

/// Least seconds between two readings, whatever the playlist says of itself.
const SHORTEST: Seconds = 0.1;
/// Seconds after which a reading that failed is repeated; doubled each time, at most the second.
const PAUSES: (Seconds, Seconds) = (0.5, 8.0);
/// Blocking readings in a row that may fail before the server is taken at its word no more.
const BLOCKING_FAILURES: u32 = 2;
/// Target durations for which a playlist that goes back is taken for an old copy.
const STALE_COPY: f64 = 3.0;
/// Segments may be missing between two readings; more than these are not made up.
const MAX_MISSING: u64 = 10_000;

/// What became of a reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// There are new segments or parts.
    pub grew: bool,
    /// The numbers or names of the server began anew: what is new stands behind what was known.
    pub restarted: bool,
}

/// What to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// With delivery directives.
    pub url: String,
    /// The server answers when there is something new.
    pub blocks: bool,
}

/// One media playlist over all its readings. Times are on the presentation's timeline, `now` is any steady clock in seconds.
#[derive(Clone, Debug)]
pub struct Reload {
    url: String,
    target: Seconds,
    part_target: Option<Seconds>,
    control: ServerControl,
    complete: bool,
    /// Our numbers less the server's, which may begin anew.
    numbers: u64,
    /// The same for discontinuities.
    discontinuities: u32,
    /// Parts were listed.
    has_parts: bool,
    /// Number of the segment, ours, and of the part in it that comes next.
    next: (u64, u32),
    /// EXT-X-PROGRAM-DATE-TIME: places in time and their dates.
    dates: Vec<(Seconds, f64)>,
    reports: Vec<(String, u64, Option<u64>)>,
    begun: Seconds,
    read: Seconds,
    changed: Seconds,
    grew: bool,
    failures: u32,
    blocked: bool,
    blocking_failures: u32,
    hurried: bool,
}

impl Reload {
    /// Begins with the first reading of a playlist that came from `url` (after redirects), whose index the caller keeps.
    pub fn new(url: &str, playlist: &mut MediaPlaylist, now: Seconds) -> Self {
        let mut reload = Self {
            url: without_directives(url),
            target: 0.0,
            part_target: None,
            control: ServerControl::default(),
            complete: false,
            numbers: 0,
            discontinuities: 0,
            has_parts: false,
            next: (0, 0),
            dates: Vec::new(),
            reports: Vec::new(),
            begun: now,
            read: now,
            changed: now,
            grew: true,
            failures: 0,
            blocked: false,
            blocking_failures: 0,
            hurried: false,
        };
        reload.heed(playlist);
        let segments = &playlist.index.segments;
        let dates = playlist.dates.iter().map(|&(i, date)| (start_of(segments, i, playlist.duration), date));
        reload.dates = dates.collect();
        playlist.index.first = playlist.media_sequence;
        playlist.index.parts = reload.parts(playlist, &playlist.index);
        reload.follow(&playlist.index);
        reload
    }

    /// Takes over what a playlist says of itself.
    fn heed(&mut self, playlist: &MediaPlaylist) {
        self.target = if playlist.target_duration > 0.0 {
            playlist.target_duration
        } else {
            playlist.index.segments.iter().map(|s| s.duration).fold(1.0, f64::max)
        };
        self.complete = playlist.is_complete();
        let ll = playlist.low_latency.as_deref();
        self.part_target = ll.and_then(|ll| ll.part_target).filter(|t| *t > 0.0);
        self.control = ll.and_then(|ll| ll.server_control).unwrap_or_default();
        self.has_parts = ll.is_some_and(|ll| !ll.parts.is_empty() || !ll.preload_hints.is_empty());
        let reports = ll.map_or(&[][..], |ll| &ll.rendition_reports);
        self.reports = reports
            .iter()
            .filter_map(|r| {
                Some((without_directives(&url::resolve(&self.url, &r.uri)), r.last_msn?, r.last_part))
            })
            .collect();
    }

    fn follow(&mut self, index: &ListIndex) {
        let number = index.first.saturating_add(index.segments.len() as u64);
        let parts = index.parts.iter().filter(|p| p.number == number && !p.hint).count();
        self.next = (number, u32::try_from(parts).unwrap_or(u32::MAX));
    }

    /// Parts and the hint of a playlist, for an index that has its segments already.
    fn parts(&self, playlist: &MediaPlaylist, index: &ListIndex) -> Vec<ListPart> {
        let Some(ll) = playlist.low_latency.as_deref() else { return Vec::new() };
        let first = playlist.media_sequence.saturating_add(ll.skipped).saturating_add(self.numbers);
        let mut out: Vec<ListPart> = Vec::with_capacity(ll.parts.len() + 1);
        let end = index.segments.last().map_or(0.0, |s| s.start + s.duration);
        // Where the first part of a segment starts.
        let begins = |number: u64| {
            let at = number.checked_sub(index.first).and_then(|at| usize::try_from(at).ok());
            at.map_or(end, |at| start_of(&index.segments, at, end))
        };
        let next = |out: &[ListPart], number: u64| match out.last() {
            Some(last) if last.number == number => (last.part.saturating_add(1), last.start + last.duration),
            _ => (0, begins(number)),
        };
        for p in &ll.parts {
            let number = first.saturating_add(p.segment as u64);
            let (part, start) = next(&out, number);
            out.push(ListPart {
                number,
                part,
                uri: p.uri.clone(),
                range: p.range,
                start,
                duration: p.duration,
                independent: p.independent,
                gap: p.gap,
                hint: false,
                discontinuity: p.discontinuity.saturating_add(self.discontinuities),
                init: p
                    .init
                    .and_then(|i| playlist.index.inits.get(i as usize))
                    .and_then(|init| place(&index.inits, init)),
                keys: p
                    .keys
                    .and_then(|i| playlist.index.keys.get(i as usize))
                    .and_then(|keys| place(&index.keys, keys)),
            });
        }
        let hint = ll.preload_hints.iter().find(|h| !h.map);
        if let (Some(hint), false) = (hint, self.complete) {
            let number = index.first.saturating_add(index.segments.len() as u64);
            let (part, start) = next(&out, number);
            let told = hint.first > 0 || hint.length.is_some();
            let last = hint.length.map(|l| hint.first.saturating_add(l).saturating_sub(1));
            let before = out.last().map(|p| (p.discontinuity, p.init, p.keys));
            let whole = index.segments.last().map(|s| (s.discontinuity, s.init, s.keys));
            let (discontinuity, init, keys) = before.or(whole).unwrap_or_default();
            out.push(ListPart {
                number,
                part,
                uri: hint.uri.clone(),
                range: told.then_some(ByteRange { first: hint.first, last }),
                start,
                duration: self.part_target.unwrap_or(self.target),
                independent: part == 0,
                gap: false,
                hint: true,
                discontinuity,
                init,
                keys,
            });
        }
        out
    }

    /// Joins another reading, a whole one or a delta update, to what is known. On an error nothing has changed but that `failed` is to be
    /// called, and the whole playlist to be read.
    pub fn update(&mut self, index: &mut ListIndex, mut new: MediaPlaylist, now: Seconds) -> Result<Change> {
        let skipped = new.low_latency.as_ref().map_or(0, |ll| ll.skipped);
        let told = new.media_sequence.saturating_add(skipped);
        let old_end = index.first.saturating_add(index.segments.len() as u64);
        let mut change = Change::default();
        // In our numbers.
        let mut first = told.saturating_add(self.numbers);
        let stands = |number: u64| {
            number.checked_sub(index.first).and_then(|at| index.segments.get(usize::try_from(at).ok()?))
        };
        if skipped > 0 {
            let base = new.media_sequence.saturating_add(self.numbers);
            let known = base >= index.first && first <= old_end;
            if !known {
                return Err(malformed(1, "The delta update leaves out segments that are not known."));
            }
        }
        let new_end = first.saturating_add(new.index.segments.len() as u64);
        let same = |at: usize, s: &ListSegment| {
            stands(first.saturating_add(at as u64)).is_none_or(|known| same_place(&known.uri, &s.uri))
        };
        let agrees = new.index.segments.iter().enumerate().all(|(at, s)| same(at, s));
        let behind = new_end < old_end;
        if agrees && behind && new_end > index.first && self.stale_for(now) < STALE_COPY * self.target {
            // An older copy, from a cache.
            self.settle(now, false);
            return Ok(change);
        }
        // Numbers that began anew, or far ahead, or others under the same numbers.
        if !agrees || behind || first > old_end.saturating_add(MAX_MISSING) {
            change.restarted = true;
            self.numbers = old_end.saturating_sub(told);
            if told > old_end {
                // The server's numbers are ahead of ours: ours jump there.
                self.numbers = 0;
            }
            first = told.saturating_add(self.numbers);
            let last = index.segments.last().map_or(0, |s| s.discontinuity);
            let opens = new.index.segments.first().map_or(0, |s| s.discontinuity);
            self.discontinuities = last.saturating_add(1).saturating_sub(opens);
        }
        self.heed(&new);
        let end = index.segments.last().map_or(0.0, |s| s.start + s.duration);
        // Media that was never seen lasted about as long as the rest; dates tell it better.
        let missing = first.saturating_sub(old_end);
        let mut end = end + missing as f64 * self.target;
        let dated = new.dates.first().filter(|_| missing > 0 || change.restarted).copied();
        if let Some((i, date)) = dated
            && let Some(time) = self.time_at(date)
        {
            let before: Seconds = new.index.segments.iter().take(i).map(|s| s.duration).sum();
            end = end.max(time - before);
        }
        if missing > 0 || change.restarted {
            index.segments.clear();
            index.first = first;
        }
        let from = old_end.max(first).saturating_sub(first);
        let mut dates = std::mem::take(&mut new.dates).into_iter().peekable();
        let segments = std::mem::take(&mut new.index.segments);
        for (at, mut segment) in segments.into_iter().enumerate() {
            let date = dates.next_if(|(i, _)| *i == at);
            segment.init =
                segment.init.and_then(|i| keep(&mut index.inits, new.index.inits.get(i as usize)?));
            segment.keys = segment.keys.and_then(|i| keep(&mut index.keys, new.index.keys.get(i as usize)?));
            let known = first
                .saturating_add(at as u64)
                .checked_sub(index.first)
                .and_then(|at| usize::try_from(at).ok());
            if (at as u64) < from
                && let Some(known) = known.and_then(|at| index.segments.get_mut(at))
            {
                // Names may hold tokens that run out. Delta updates do not repeat EXT-X-MAP and EXT-X-KEY.
                (known.uri, known.range, known.gap) = (segment.uri, segment.range, segment.gap);
                known.init = segment.init.or(known.init);
                known.keys = segment.keys.or(if skipped > 0 { known.keys } else { None });
                continue;
            }
            if known.is_none() {
                continue;
            }
            if let Some((_, date)) = date {
                self.dates.push((end, date));
            }
            let before = index.segments.last();
            if skipped > 0 {
                segment.init = segment.init.or(before.and_then(|b| b.init));
                segment.keys = segment.keys.or(before.and_then(|b| b.keys));
            }
            segment.discontinuity = segment.discontinuity.saturating_add(self.discontinuities);
            segment.start = end;
            end += segment.duration;
            index.segments.push(segment);
            change.grew = true;
        }
        let start = new.media_sequence.saturating_add(self.numbers);
        let gone = usize::try_from(start.saturating_sub(index.first))
            .unwrap_or(usize::MAX)
            .min(index.segments.len());
        index.segments.drain(..gone);
        index.first = index.first.saturating_add(gone as u64);
        let before = self.next;
        index.base.clone_from(&new.index.base);
        index.parts = self.parts(&new, index);
        self.follow(index);
        change.grew |= self.next != before;
        self.forget(index);
        self.settle(now, change.grew);
        Ok(change)
    }

    fn settle(&mut self, now: Seconds, grew: bool) {
        self.read = now;
        self.failures = 0;
        self.grew = grew;
        self.hurried = false;
        if self.blocked {
            self.blocking_failures = 0;
        }
        if grew {
            self.changed = now;
        }
    }

    /// Drops what nothing refers to any more.
    fn forget(&mut self, index: &mut ListIndex) {
        /// Initialization segments and sets of keys that are not worth a search.
        const FEW: usize = 8;
        let start = index.segments.first().map_or(f64::INFINITY, |s| s.start);
        // The last date before the first segment tells its date.
        let dead = self.dates.partition_point(|d| d.0 <= start).saturating_sub(1);
        self.dates.drain(..dead);
        if index.inits.len() > FEW || index.keys.len() > FEW {
            let lowest = |of: fn(&ListSegment) -> Option<u32>, part: fn(&ListPart) -> Option<u32>| {
                let used = index.segments.iter().filter_map(of).chain(index.parts.iter().filter_map(part));
                used.min().unwrap_or(0)
            };
            // They are referred to in the order in which they came.
            let (init, keys) = (lowest(|s| s.init, |p| p.init), lowest(|s| s.keys, |p| p.keys));
            index.inits.drain(..(init as usize).min(index.inits.len()));
            index.keys.drain(..(keys as usize).min(index.keys.len()));
            for segment in &mut index.segments {
                segment.init = segment.init.map(|i| i.saturating_sub(init));
                segment.keys = segment.keys.map(|i| i.saturating_sub(keys));
            }
            for part in &mut index.parts {
                part.init = part.init.map(|i| i.saturating_sub(init));
                part.keys = part.keys.map(|i| i.saturating_sub(keys));
            }
        }
    }

    /// What to read next. `report`: what the playlist of another rendition says of the last segment and part of this one.
    pub fn request(&mut self, report: Option<(u64, Option<u64>)>) -> Request {
        let blocks = self.can_block();
        self.blocked = blocks;
        let mut directives: Vec<(&str, u64)> = Vec::new();
        if blocks {
            let own = self.next.0.saturating_sub(self.numbers);
            let part = self.has_parts.then_some(u64::from(self.next.1));
            let (msn, part) = report.filter(|r| r.0 > own).unwrap_or((own, part));
            directives.push(("_HLS_msn", msn));
            directives.extend(part.map(|part| ("_HLS_part", part)));
        }
        let mut url = self.url.clone();
        for (name, value) in directives {
            add_directive(&mut url, name, &value.to_string());
        }
        let fresh = self
            .control
            .can_skip_until
            .is_some_and(|until| self.begun.max(self.read) - self.read < until / 2.0);
        if fresh && self.failures == 0 {
            add_directive(&mut url, "_HLS_skip", "YES");
        }
        Request { url, blocks }
    }

    fn can_block(&self) -> bool {
        self.control.can_block_reload && self.blocking_failures < BLOCKING_FAILURES && self.failures == 0
    }

    /// When the next reading is due; infinite when there is none.
    pub fn due(&self) -> Seconds {
        if self.complete {
            return f64::INFINITY;
        }
        if self.failures > 0 {
            let pause = PAUSES.0 * f64::from(1u32 << (self.failures - 1).min(8));
            return self.begun + pause.min(PAUSES.1);
        }
        if self.hurried {
            return self.begun + SHORTEST;
        }
        let step = self.part_target.filter(|_| self.has_parts).unwrap_or(self.target);
        if self.can_block() {
            // The server has answered with nothing new: it does not wait after all.
            return if self.grew { self.read } else { self.read + (step / 2.0).max(SHORTEST) };
        }
        self.begun + (if self.grew { step } else { step / 2.0 }).max(SHORTEST)
    }

    /// Reads soon.
    pub fn hurry(&mut self, _: Seconds) {
        self.hurried = !self.can_block();
    }

    /// A reading begins.
    pub fn begun(&mut self, now: Seconds) {
        self.begun = now;
    }

    /// A reading brought nothing that can be used.
    pub fn failed(&mut self, now: Seconds) {
        self.begun = now;
        self.failures = self.failures.saturating_add(1);
        self.hurried = false;
        if std::mem::take(&mut self.blocked) {
            self.blocking_failures += 1;
        }
    }

    /// Seconds that a blocking reading may take longer than another (§6.2.5.2: servers give up after three target durations).
    pub fn blocked_timeout(&self) -> Seconds {
        3.0 * self.target
    }

    /// Where it is read from, without directives.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What this playlist says of another rendition's: its last segment and part.
    pub fn report_for(&self, url: &str) -> Option<(u64, Option<u64>)> {
        self.reports.iter().find(|r| r.0 == url).map(|r| (r.1, r.2))
    }

    /// EXT-X-TARGETDURATION, or the longest segment where it is missing.
    pub fn target_duration(&self) -> Seconds {
        self.target
    }

    /// PART-TARGET, where there are parts.
    pub fn part_target(&self) -> Option<Seconds> {
        self.part_target.filter(|_| self.has_parts)
    }

    /// Whether segments come in parts.
    pub fn is_low_latency(&self) -> bool {
        self.part_target().is_some()
    }

    /// HOLD-BACK; three target durations where it is not told.
    pub fn hold_back(&self) -> Seconds {
        self.control.hold_back.unwrap_or(3.0 * self.target)
    }

    /// PART-HOLD-BACK, or three part targets, where there are parts.
    pub fn part_hold_back(&self) -> Option<Seconds> {
        let target = self.part_target()?;
        Some(self.control.part_hold_back.unwrap_or(3.0 * target))
    }

    /// EXT-X-ENDLIST has come.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Seconds since something new came.
    pub fn stale_for(&self, now: Seconds) -> Seconds {
        now - self.changed
    }

    /// Seconds since 1970 at a place in time.
    pub fn date_at(&self, time: Seconds) -> Option<f64> {
        let (start, date) = self.dates.iter().rfind(|d| d.0 <= time).or(self.dates.first())?;
        Some(date + time - start)
    }

    /// The place in time of a date.
    pub fn time_at(&self, date: f64) -> Option<Seconds> {
        let (start, at) = self.dates.iter().rfind(|d| d.1 <= date).or(self.dates.first())?;
        Some(start + date - at)
    }

    /// By how much this playlist's times are to be moved to lie on the timeline of another rendition's (§6.2.4): their dates tell, else
    /// the media sequence numbers, else their ends are taken for the same moment.
    pub fn offset_to(&self, index: &ListIndex, other: &Reload, other_index: &ListIndex) -> Seconds {
        let by_date = self.dates.first().and_then(|(start, date)| Some(other.time_at(*date)? - start));
        let end = |index: &ListIndex| index.segments.last().map_or(0.0, |s| s.start + s.duration);
        let ends = end(other_index) - end(index);
        // Clocks of encoders that disagree by more than a window tell nothing.
        let plausible = |offset: &Seconds| (offset - ends).abs() < 3.0 * self.target.max(other.target) + 10.0;
        let numbered = || {
            // In the server's numbers.
            let first = |i: &ListIndex, r: &Reload| i.first.saturating_sub(r.numbers);
            let at = |i: &ListIndex, r: &Reload, number: u64| {
                i.segments.get(usize::try_from(number.checked_sub(first(i, r))?).ok()?).map(|s| s.start)
            };
            let number = first(index, self).max(first(other_index, other));
            Some(at(other_index, other, number)? - at(index, self, number)?)
        };
        by_date.filter(plausible).or_else(|| numbered().filter(plausible)).unwrap_or(ends)
    }

    /// Moves all times.
    pub fn shift(&mut self, index: &mut ListIndex, by: Seconds) {
        self.retime(index, 0, by);
        for date in &mut self.dates {
            date.0 += by;
        }
    }

    /// Moves the times of a segment and of all that follow it.
    pub fn retime(&mut self, index: &mut ListIndex, number: u64, by: Seconds) {
        let at = usize::try_from(number.saturating_sub(index.first)).unwrap_or(usize::MAX);
        for segment in index.segments.iter_mut().skip(at) {
            segment.start += by;
        }
        for part in index.parts.iter_mut().filter(|p| p.number >= number) {
            part.start += by;
        }
    }
}

fn start_of(segments: &[ListSegment], at: usize, end: Seconds) -> Seconds {
    segments.get(at).map_or(end, |s| s.start)
}

/// Whether two names are of one segment: what follows `?` may be a token that changes.
fn same_place(a: &str, b: &str) -> bool {
    let path = |s: &str| s.split('?').next().map(str::len).unwrap_or(0);
    a == b || a.get(..path(a)) == b.get(..path(b))
}

fn place<T: PartialEq>(all: &[T], one: &T) -> Option<u32> {
    u32::try_from(all.iter().rposition(|i| i == one)?).ok()
}

/// The place of what is kept once.
fn keep<T: PartialEq + Clone>(all: &mut Vec<T>, one: &T) -> Option<u32> {
    if all.last() != Some(one) && !all.contains(one) {
        all.push(one.clone());
    }
    place(all, one)
}

const DIRECTIVES: &str = "_HLS_";

/// The URL without delivery directives (§6.2.5).
fn without_directives(url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else { return url.to_owned() };
    let mut out = path.to_owned();
    for (i, pair) in query.split('&').filter(|pair| !pair.starts_with(DIRECTIVES)).enumerate() {
        out.push(if i == 0 { '?' } else { '&' });
        out.push_str(pair);
    }
    out
}

fn add_directive(url: &mut String, name: &str, value: &str) {
    url.push(if url.contains('?') { '&' } else { '?' });
    url.push_str(name);
    url.push('=');
    url.push_str(value);
}
