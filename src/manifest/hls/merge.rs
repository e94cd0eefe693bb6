//! What a new reading of a media playlist changes in its index (RFC 8216bis §6.2.2, §6.2.5.1), and two playlists on one timeline.

use super::media::{MAX_COMPARED, MAX_DATE_RANGES};
use super::{MediaPlaylist, Reload};
use crate::error::{Code, PlayerError, Result};
use crate::manifest::{ByteRange, ListIndex, ListPart, ListSegment};
use crate::time::Seconds;

/// What a reading brought.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Change {
    /// Segments or parts were added.
    pub grew: bool,
    /// The numbering or the timeline was broken: what is new does not follow on what was known, and has a discontinuity number of its
    /// own. All that was listed before is gone.
    pub restarted: bool,
    /// Nothing will be added.
    pub complete: bool,
    /// Older than what is known (a cache on the way, as a rule): nothing was taken over.
    pub stale: bool,
    /// Segments that slid out of the playlist.
    pub dropped: u64,
    /// The part that was hinted at has come under another number: (segment, part) then and now.
    pub renamed: Option<((u64, u32), (u64, u32))>,
}

/// What [`Reload::align`] went by, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aligned {
    /// EXT-X-PROGRAM-DATE-TIME.
    Dates,
    /// The same number in the same discontinuity, or the first segment of a discontinuity: an estimate, as segments of one number need
    /// not hold the same.
    Sequence,
    /// The playlists have nothing in common but that they end at about the same time.
    Ends,
}

/// How a reading relates to what is known.
enum Place {
    Follows,
    Stale,
    /// Behind what is known, as far as this.
    Breaks(Seconds),
}

/// No stream is taken up again after longer than this: 30 days. Dates and numbers that say so make no sense.
const LONGEST_GAP: Seconds = 30.0 * 86_400.0;
/// Segments that are kept: 12 days of one second each, in 100 MB. Servers that list more lose their oldest.
const MAX_SEGMENTS: usize = 1 << 20;

/// Parts of the segment `number` that are there.
fn parts_of(parts: &[ListPart], number: u64) -> u32 {
    let last = parts.iter().rfind(|p| !p.hint && p.number == number);
    last.map_or(0, |p| p.part.saturating_add(1))
}

/// Without the query, which often holds a token that changes.
fn path(uri: &str) -> &str {
    uri.split('?').next().unwrap_or(uri)
}

/// Date of the segment at a position of a full playlist.
fn date_in(list: &MediaPlaylist, at: u64) -> Option<f64> {
    let start = |i: u64| {
        let segment = usize::try_from(i).ok().and_then(|i| list.index.segments.get(i));
        segment.map_or(list.duration, |s| s.start)
    };
    let (from, date) = list.dates.iter().rfind(|d| d.0 <= at).or(list.dates.first())?;
    Some(date + (start(at) - start(*from)))
}

fn position(number: u64, first: u64) -> Option<usize> {
    usize::try_from(number.checked_sub(first)?).ok()
}

fn unusable(what: &'static str) -> PlayerError {
    PlayerError::new(Code::ManifestMalformed, what)
}

impl Reload {
    /// Takes over what [`Reload::read`] gave, in place. What was listed before keeps its numbers and times.
    ///
    /// An error means that nothing was taken over, and that [`Reload::failed`] is to be told: a delta update to something else than what
    /// is known, or numbers out of all reason.
    pub fn update(&mut self, index: &mut ListIndex, mut new: MediaPlaylist, now: f64) -> Result<Change> {
        let too_large = || unusable("The media sequence number is out of all reason.");
        self.shift -= self.miscounted(index, &new).unwrap_or(0);
        let first = new.media_sequence.saturating_add_signed(self.shift);
        let listed = first.checked_add(new.skipped).ok_or_else(too_large)?;
        let end = listed.checked_add(new.index.segments.len() as u64).ok_or_else(too_large)?;
        let known = position(listed, index.first).and_then(|i| index.segments.get(i));
        let fits = new.primed
            && index.first <= first
            && index.first < listed
            && listed <= self.next
            && known.zip(new.index.segments.first()).is_none_or(|(a, b)| path(&a.uri) == path(&b.uri));
        if new.skipped > 0 && !fits {
            return Err(unusable("The delta update is not to the playlist that is known."));
        }
        let change = match self.place(index, &new, (first, end), now) {
            Place::Stale => Change { stale: true, complete: self.complete, ..Change::default() },
            Place::Follows => self.take(index, new, listed, false),
            Place::Breaks(gap) => {
                let known = self.leave_out_known(index, &mut new);
                let first = first.saturating_add(known);
                let number = self.break_off(index, &new, first, gap).ok_or_else(too_large)?;
                self.take(index, new, number, true)
            }
        };
        let changed = change.grew || change.dropped > 0 || change.renamed.is_some();
        self.answered(now, changed, change.stale);
        Ok(change)
    }

    /// By how much a full playlist counts higher than those before it, which had the segments under other numbers: what another server
    /// has made, or one that was started again, may count from elsewhere.
    fn miscounted(&self, index: &ListIndex, new: &MediaPlaylist) -> Option<i64> {
        let same = |a: &ListSegment, b: &ListSegment| path(&a.uri) == path(&b.uri) && a.range == b.range;
        let [.., before, last] = &*index.segments else { return None };
        let segments = new.index.segments.get(..).filter(|_| new.skipped == 0)?;
        let at = segments.windows(2).rposition(|w| same(&w[0], before) && same(&w[1], last))? as u64 + 1;
        let number = self.next.checked_add_signed(-self.shift)?.checked_sub(1)?;
        // Names may be used again: that another segment has this number, or the date tells that it is not so.
        let both = number.min(new.media_sequence + segments.len() as u64 - 1);
        let found = position(both, new.media_sequence).and_then(|i| segments.get(i));
        let known = position(both.saturating_add_signed(self.shift), index.first);
        let other = known.and_then(|i| index.segments.get(i)).zip(found).map(|(a, b)| !same(a, b));
        let dates = self.date_at(last.start).zip(date_in(new, at));
        let dated = dates.map(|(a, b)| (a - b).abs() < last.duration);
        let is = other != Some(false) && dated.or(other) == Some(true);
        is.then(|| new.media_sequence.saturating_add(at) as i64 - number as i64)
    }

    fn place(&mut self, index: &ListIndex, new: &MediaPlaylist, (first, end): (u64, u64), now: f64) -> Place {
        if first > self.next {
            self.behind = None;
            let missing = (first - self.next) as f64 * self.target.max(self.longest);
            return Place::Breaks(self.gap(new, missing));
        }
        // The last segment that both have.
        let both = end.min(self.next).checked_sub(1).filter(|n| *n >= first && *n >= index.first);
        let unlike = both.map(|n| {
            if new.skipped > 0 {
                // Made for what is known, or compared with it.
                return (false, None);
            }
            let known = position(n, index.first).and_then(|i| index.segments.get(i));
            let found = position(n, first).and_then(|i| new.index.segments.get(i));
            let dates = known.and_then(|s| self.date_at(s.start)).zip(date_in(new, n - first));
            let other = dates.map(|(a, b)| (a - b).abs() > self.target.max(1.0));
            let uris = known.zip(found).is_some_and(|(a, b)| path(&a.uri) != path(&b.uri));
            (uris, other)
        });
        let fewer = end == self.next && !new.is_complete() && {
            let number = new.index.first.saturating_add(new.index.segments.len() as u64);
            parts_of(&new.index.parts, number) < self.next_part
        };
        if end >= self.next && !fewer {
            if let Some((true, Some(true))) = unlike {
                return Place::Breaks(self.gap(new, 0.0));
            }
            self.behind = None;
            return Place::Follows;
        }
        // It ends before what is known. A cache on the way may have an older copy; an encoder that was restarted may count anew.
        let restarted = match unlike {
            Some((uris, dates)) => uris && dates.unwrap_or(true),
            // Nothing in common: a restart, unless its date tells that it is old.
            None if new.skipped > 0 => false,
            None => {
                let known = index.segments.first().and_then(|s| self.date_at(s.start));
                let last = (new.index.segments.len() as u64).saturating_sub(1);
                known.zip(date_in(new, last)).is_none_or(|(known, date)| date > known)
            }
        };
        // What is behind and moves on is no old copy. A window that slides over the same segments is that of a server that lags.
        let (since, from, to) = *self.behind.get_or_insert((now, first, end));
        let lags = first > from && unlike.is_some_and(|(uris, _)| !uris);
        let moves_on = end > to && !lags && now - since > 2.0 * self.target.max(self.longest);
        if restarted || moves_on && new.skipped == 0 {
            self.behind = None;
            return Place::Breaks(self.gap(new, 0.0));
        }
        Place::Stale
    }

    /// Takes the segments away from the start of a playlist that by its dates are in what is known, though under other names: another
    /// server has made it. Tells how many.
    fn leave_out_known(&self, index: &ListIndex, new: &mut MediaPlaylist) -> u64 {
        let window = index.segments.first().map_or(0.0, |s| self.end - s.start);
        let dates = self.date_at(self.end).zip(date_in(new, 0)).map(|(end, date)| end - date);
        let Some(both) = dates.filter(|both| *both > 0.0 && *both <= 2.0 * window) else { return 0 };
        let count = new.index.segments.partition_point(|s| s.start + s.duration / 2.0 <= both);
        let known = count as u64;
        new.dates = date_in(new, known).map(|date| (0, date)).into_iter().collect();
        new.index.segments.drain(..count);
        new.index.first += known;
        new.media_sequence += known;
        known
    }

    /// Seconds between what is known and a playlist that does not follow on it: by the dates of both, else `otherwise`.
    fn gap(&self, new: &MediaPlaylist, otherwise: Seconds) -> Seconds {
        let dates = self.date_at(self.end).zip(date_in(new, 0));
        let gap = dates.map(|(known, date)| date - known).filter(|gap| gap.abs() < LONGEST_GAP);
        let gap = gap.unwrap_or(otherwise);
        if gap < LONGEST_GAP { gap.max(0.0) } else { 0.0 }
    }

    /// Ends what is known, `gap` before what `new` begins with. Gives the number for its first segment.
    fn break_off(
        &mut self,
        index: &mut ListIndex,
        new: &MediaPlaylist,
        first: u64,
        gap: Seconds,
    ) -> Option<u64> {
        // No number is given twice, and the parts of a segment that was never completed have its number.
        let used = index.parts.last().map_or(self.next, |p| p.number.saturating_add(1)).max(self.next);
        let number = first.max(used);
        number.checked_add(new.index.segments.len() as u64)?.checked_add(1)?;
        let shift = i64::try_from(number).ok()?.checked_sub_unsigned(new.media_sequence)?;
        let last = index.parts.iter().rfind(|p| !p.hint).map_or(self.end, |p| p.start + p.duration);
        self.end = (self.end + gap).max(last);
        self.shift = shift;
        let told = new.index.segments.first().map(|s| s.discontinuity);
        let told = told.or(new.index.parts.first().map(|p| p.discontinuity));
        let told = i64::from(told.unwrap_or(new.discontinuity_sequence));
        let least = i64::from(self.discontinuity) + 1 - told;
        // Where only readings were missed, the server's count goes on to be right.
        let missed = first == number;
        self.discontinuity_shift = if missed { least.max(self.discontinuity_shift) } else { least };
        self.dates.push(number, self.end, date_in(new, 0).unwrap_or(f64::NAN));
        index.segments.clear();
        index.parts.clear();
        index.inits.clear();
        index.keys.clear();
        index.first = number;
        self.next = number;
        Some(number)
    }

    /// Takes over a playlist whose first listed segment has the number `listed`, and which begins at or before the end of what is known.
    fn take(&mut self, index: &mut ListIndex, new: MediaPlaylist, listed: u64, restarted: bool) -> Change {
        self.take_header(&new);
        let before = (self.next, self.next_part, index.parts.last().filter(|p| p.hint).cloned());
        let first = listed.saturating_sub(new.skipped);
        let discontinuity = self.discontinuities(index, &new, listed);
        let MediaPlaylist { index: list, low_latency, date_ranges, removed_ranges, dates, duration, .. } =
            new;

        // What slid out.
        let mut dropped = position(first, index.first).unwrap_or(0).min(index.segments.len());
        index.segments.drain(..dropped);
        index.first = index.first.max(first);
        index.base = list.base;

        // Parts lie in their segments, whose times are those that are known.
        let mut parts = list.parts;
        for part in &mut parts {
            let segment = position(part.number, list.first).and_then(|i| list.segments.get(i));
            part.start -= segment.map_or(duration, |s| s.start);
            part.number = part.number.saturating_add_signed(self.shift);
        }

        let inits = share(&mut index.inits, list.inits);
        let keys = share(&mut index.keys, list.keys);
        let (init_of, keys_of) = (
            |i: Option<u32>| inits.get(i? as usize).copied(),
            |i: Option<u32>| keys.get(i? as usize).copied(),
        );
        for (number, mut segment) in (listed..).zip(list.segments) {
            if number < self.next {
                // Known. A token in the URI may be new.
                let known = position(number, index.first).and_then(|i| index.segments.get_mut(i));
                if let Some(known) = known {
                    (known.uri, known.range, known.gap) = (segment.uri, segment.range, segment.gap);
                }
                continue;
            }
            segment.start = self.end;
            segment.discontinuity = discontinuity(segment.discontinuity);
            segment.init = init_of(segment.init);
            segment.keys = keys_of(segment.keys);
            self.end += segment.duration;
            self.longest = self.longest.max(segment.duration);
            self.next = number + 1;
            index.segments.push(segment);
        }
        if let Some(excess) = index.segments.len().checked_sub(MAX_SEGMENTS) {
            index.segments.drain(..excess);
            index.first += excess as u64;
            dropped += excess;
        }

        parts.retain(|p| p.number >= index.first);
        for part in &mut parts {
            let segment = position(part.number, index.first).and_then(|i| index.segments.get(i));
            part.start += segment.map_or(self.end, |s| s.start);
            part.discontinuity =
                segment.map_or_else(|| discontinuity(part.discontinuity), |s| s.discontinuity);
            part.init = init_of(part.init);
            part.keys = keys_of(part.keys);
        }
        index.parts = parts;
        self.note_end(index);
        forget_unused(index);

        self.take_dates(index, first, &dates);
        self.dates.prune(index.first);
        match removed_ranges {
            None => self.date_ranges = date_ranges,
            Some(removed) => {
                let again = |id: &str| date_ranges.iter().any(|r| *r.id == *id);
                let gone = |id: &str| removed.split('\t').take(MAX_DATE_RANGES).any(|r| *r == *id);
                self.date_ranges.retain(|r| !gone(&r.id) && !again(&r.id));
                self.date_ranges.extend(date_ranges);
                let excess = self.date_ranges.len().saturating_sub(MAX_DATE_RANGES);
                self.date_ranges.drain(..excess);
            }
        }
        self.reports = low_latency.rendition_reports;
        self.map_hint = low_latency.map_hint;

        let renamed = before.2.filter(|_| !restarted).and_then(|hint| {
            let start = |range: Option<ByteRange>| range.map_or(0, |r| r.first);
            let same = |p: &&ListPart| p.uri == hint.uri && start(p.range) == start(hint.range);
            let now = index.parts.iter().rfind(same)?;
            let (then, now) = ((hint.number, hint.part), (now.number, now.part));
            (then != now).then_some((then, now))
        });
        Change {
            grew: (self.next, self.next_part) > (before.0, before.1) || restarted,
            restarted,
            complete: self.complete,
            stale: false,
            dropped: dropped as u64,
            renamed,
        }
    }

    /// How the discontinuity numbers of a reading become those of the index: by a segment that both have, else by what the server counts.
    fn discontinuities(
        &mut self,
        index: &ListIndex,
        new: &MediaPlaylist,
        listed: u64,
    ) -> impl Fn(u32) -> u32 + use<> {
        let known = index.segments.last().map(|s| s.discontinuity);
        let last = self.next.checked_sub(1).and_then(|n| position(n, listed));
        let found = last.and_then(|i| new.index.segments.get(i)).map(|s| s.discontinuity);
        let behind = new.primed.then_some(new.discontinuity_sequence);
        let (told, own) = match (known, found.or(behind)) {
            (Some(known), Some(told)) => {
                if !new.primed {
                    self.discontinuity_shift = i64::from(known) - i64::from(told);
                }
                (i64::from(told), i64::from(known))
            }
            _ => (-self.discontinuity_shift, 0),
        };
        let least = known.unwrap_or(0);
        move |number| {
            let number = i64::from(number) - told + own;
            u32::try_from(number.max(0)).unwrap_or(u32::MAX).max(least)
        }
    }

    pub(super) fn note_end(&mut self, index: &ListIndex) {
        self.next = index.first.saturating_add(index.segments.len() as u64);
        self.next_part = parts_of(&index.parts, self.next);
        let of_part = index.parts.last().map(|p| p.discontinuity);
        let last = index.segments.last().map(|s| s.discontinuity).max(of_part);
        self.discontinuity = self.discontinuity.max(last.unwrap_or(0));
    }

    /// Dates by position in a playlist whose first segment has the number `first`.
    pub(super) fn take_dates(&mut self, index: &ListIndex, first: u64, dates: &[(u64, f64)]) {
        for (at, date) in dates {
            let number = first.saturating_add(*at);
            let segment = position(number, index.first).and_then(|i| index.segments.get(i));
            if number >= index.first {
                self.dates.push(number, segment.map_or(self.end, |s| s.start), *date);
            }
        }
    }

    /// Puts this playlist, whose index is `index`, on the timeline of another one of the same presentation, once, before it is played
    /// from: all its times are shifted.
    pub fn align(&mut self, index: &mut ListIndex, other: &Reload, other_index: &ListIndex) -> Aligned {
        let by_date = self.dates.any().and_then(|(start, date)| Some(other.time_at(date)? - start));
        let (shift, how) = match by_date {
            Some(shift) => (shift, Aligned::Dates),
            None => match by_sequence((self, index), (other, other_index)) {
                Some(shift) => (shift, Aligned::Sequence),
                None => (other.end - self.end, Aligned::Ends),
            },
        };
        self.move_by(index, shift);
        // What is there at the same time is of the same discontinuity, where a server does not count them.
        let at = |index: &ListIndex, time: Seconds| {
            let found = index.segments.iter().rfind(|s| s.start <= time)?;
            (time < found.start + found.duration).then_some(found.discontinuity)
        };
        let middle =
            index.segments.last().map_or(0.0, |s| s.start.min(other.end - s.duration) + s.duration / 2.0);
        let both = at(index, middle).zip(at(other_index, middle));
        if let Some((own, theirs)) = both.filter(|(own, theirs)| theirs > own && uncounted(index)) {
            let by = theirs - own;
            index.segments.iter_mut().for_each(|s| s.discontinuity += by);
            index.parts.iter_mut().for_each(|p| p.discontinuity += by);
            self.discontinuity += by;
            self.discontinuity_shift += i64::from(by);
        }
        how
    }

    /// Moves all of it on the timeline.
    pub fn move_by(&mut self, index: &mut ListIndex, by: Seconds) {
        for segment in &mut index.segments {
            segment.start += by;
        }
        for part in &mut index.parts {
            part.start += by;
        }
        self.dates.shift(by);
        self.end += by;
    }
}

/// Whether a list may be of a server that does not count the discontinuities it has (no EXT-X-DISCONTINUITY-SEQUENCE).
fn uncounted(index: &ListIndex) -> bool {
    let ends = index.segments.first().zip(index.segments.last());
    ends.is_some_and(|(first, last)| first.discontinuity <= 1 && first.discontinuity < last.discontinuity)
}

/// What is to be added to the times of `own` so that they are those of `other`.
fn by_sequence(own: (&Reload, &ListIndex), other: (&Reload, &ListIndex)) -> Option<Seconds> {
    // The numbers as the servers have them.
    let first = |(reload, index): (&Reload, &ListIndex)| index.first.checked_add_signed(-reload.shift);
    let (a, b) = (first(own)?, first(other)?);
    let number = a.max(b);
    let at = |(_, index): (&Reload, &ListIndex), first| {
        index.segments.get(position(number, first)?).map(|s| (s.start, s.discontinuity))
    };
    if let (Some(x), Some(y)) = (at(own, a), at(other, b))
        && (x.1 == y.1 || uncounted(own.1))
    {
        return Some(y.0 - x.0);
    }
    let starts = |index: &ListIndex| -> Vec<(u32, Seconds)> {
        let pairs = index.segments.windows(2).rev().filter(|w| w[0].discontinuity < w[1].discontinuity);
        pairs.map(|w| (w[1].discontinuity, w[1].start)).take(MAX_COMPARED).collect()
    };
    let theirs = starts(other.1);
    let both = starts(own.1).into_iter().find_map(|(number, start)| {
        let (_, theirs) = theirs.iter().find(|(n, _)| *n == number)?;
        Some(theirs - start)
    });
    // One begins where the other has ended already, by not much.
    both.or_else(|| {
        let away = |near: u64, far: u64| (far - near) as f64 * own.0.target.max(own.0.longest);
        let (ours, theirs) = (own.1.segments.first()?.start, other.1.segments.first()?.start);
        let shift = if a > b { theirs + away(b, a) - ours } else { theirs - away(a, b) - ours };
        let overlap =
            a.abs_diff(b) <= (own.1.segments.len().max(other.1.segments.len()) as u64).saturating_mul(2);
        overlap.then_some(shift)
    })
}

/// Adds those of `new` that are not there yet; gives for each where it is now.
fn share<T: PartialEq>(all: &mut Vec<T>, new: Vec<T>) -> Vec<u32> {
    let place = |it: T| {
        let found = all.iter().rev().take(MAX_COMPARED).position(|i| *i == it);
        let at = found.map_or(all.len(), |back| all.len() - 1 - back);
        if at == all.len() {
            all.push(it);
        }
        at as u32
    };
    new.into_iter().map(place).collect()
}

/// Drops initialization segments and keys that no segment refers to any more.
fn forget_unused(index: &mut ListIndex) {
    let ListIndex { segments, parts, inits, keys, .. } = index;
    if inits.len() > 1 || inits.len() == 1 && segments.first().is_some_and(|s| s.init.is_none()) {
        let of_parts = parts.iter_mut().map(|p| &mut p.init);
        retain_used(inits, segments.iter_mut().map(|s| &mut s.init).chain(of_parts));
    }
    if keys.len() > 1 || keys.len() == 1 && segments.first().is_some_and(|s| s.keys.is_none()) {
        let of_parts = parts.iter_mut().map(|p| &mut p.keys);
        retain_used(keys, segments.iter_mut().map(|s| &mut s.keys).chain(of_parts));
    }
}

fn retain_used<'a, T>(all: &mut Vec<T>, references: impl Iterator<Item = &'a mut Option<u32>>) {
    let mut places = vec![None; all.len()];
    let mut kept = 0;
    for reference in references {
        let Some(place) = reference.and_then(|i| places.get_mut(i as usize)) else { continue };
        *reference = Some(*place.get_or_insert_with(|| {
            kept += 1;
            kept - 1
        }));
    }
    let mut order: Vec<(u32, T)> =
        places.into_iter().zip(all.drain(..)).filter_map(|(place, it)| Some((place?, it))).collect();
    order.sort_by_key(|(place, _)| *place);
    all.extend(order.into_iter().map(|(_, it)| it));
}
