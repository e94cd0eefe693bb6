//! Where segments are: a rule (template), runs of equal durations (timeline), or a list. Segments are computed when asked for.

use super::{ByteRange, IndexSource, InitRef, KeyRef, SegmentRef};
use crate::time::{Seconds, Ticks, Timescale};
use std::rc::Rc;

/// Dates and low-latency tags are for live streams, and for tools: the builds on demand have no use for their readers.
pub(super) const READS_LIVE_TAGS: bool = cfg!(any(feature = "live", not(target_arch = "wasm32")));

/// Only an MPD has templates: builds without DASH leave their reading out.
const HAS_TEMPLATES: bool = cfg!(feature = "dash");

/// A time on a boundary that rounding put a hair before it belongs to the later segment.
const EPSILON: Seconds = 1e-4;
/// The durations of a segment's parts add up to its own up to this many seconds.
const ROUNDED: Seconds = 0.1;

/// The segments of a representation.
#[derive(Clone, Debug)]
pub enum SegmentIndex {
    /// Must be fetched first.
    Pending(IndexSource),
    /// DASH SegmentTemplate.
    Template(TemplateIndex),
    /// SegmentList, sidx, Cues, or an HLS media playlist.
    List(ListIndex),
    /// No index: a file or an endless stream that is read from its start on. One segment, whose end is not known before it came.
    #[cfg(feature = "progressive")]
    Continuous(String),
}

impl SegmentIndex {
    /// Segments known at present; 0 while pending.
    pub fn len(&self) -> usize {
        match self {
            Self::Pending(_) => 0,
            Self::Template(t) => usize::try_from(t.listed).unwrap_or(usize::MAX),
            Self::List(l) => l.segments.len(),
            #[cfg(feature = "progressive")]
            Self::Continuous(_) => 1,
        }
    }

    /// Whether no segment is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of the first segment, see [`SegmentRef::number`].
    pub fn first(&self) -> u64 {
        match self {
            Self::Template(t) => t.start_number.saturating_add(t.skip),
            Self::List(l) => l.first,
            _ => 0,
        }
    }

    /// Position of the segment with this number. `None`: it is not listed, no more or not yet.
    pub fn position(&self, number: u64) -> Option<usize> {
        let i = usize::try_from(number.checked_sub(self.first())?).ok()?;
        (i < self.len()).then_some(i)
    }

    /// What follows the segment `number`, or its part `part`, which ended at `end`: a part or hint where the whole segment is not
    /// listed. `None`: it is not told yet.
    pub fn after(&self, number: u64, part: Option<u32>, end: Seconds) -> Option<SegmentRef> {
        if let (Self::List(list), Some(part)) = (self, part) {
            let next = part.saturating_add(1);
            if let Some(i) = list.parts().iter().position(|p| p.number == number && p.part == next) {
                return list.part(i);
            }
            // Where the list begins behind it, it was never completed: the encoder started again.
            if number >= list.first {
                let whole = self.position(number)?;
                // Unless it was the last of them, its other parts are listed no more.
                let last = list.parts().iter().any(|p| p.number == number);
                let open = self.span(whole).is_some_and(|(start, duration)| start + duration > end + ROUNDED);
                if open && !last {
                    return self.segment(whole);
                }
            }
        }
        self.numbered(number.checked_add(1)?)
    }

    /// The segment of this number, or its first part.
    fn numbered(&self, number: u64) -> Option<SegmentRef> {
        if let Some(i) = self.position(number) {
            return self.segment(i);
        }
        let Self::List(list) = self else { return None };
        list.part(list.parts().iter().position(|p| p.number == number && p.part == 0)?)
    }

    /// What is to be fetched to play on from `time`: the segment that holds it, or the part, where the segment's start lies before it or
    /// the whole is not listed. `None` past the end.
    pub fn at(&self, time: Seconds) -> Option<SegmentRef> {
        let whole = self.find(time);
        let inside = whole.and_then(|i| self.span(i)).is_none_or(|(start, _)| start + EPSILON < time);
        if let Self::List(list) = self
            && inside
            && let Some(i) = list.part_at(time)
        {
            return list.part(i);
        }
        self.segment(whole?)
    }

    /// Segment at position `i`.
    pub fn segment(&self, i: usize) -> Option<SegmentRef> {
        match self {
            Self::Template(t) if HAS_TEMPLATES => t.segment(i),
            Self::Pending(_) | Self::Template(_) => None,
            Self::List(l) => l.segment(i),
            #[cfg(feature = "progressive")]
            Self::Continuous(url) => (i == 0).then(|| SegmentRef {
                number: 0,
                part: None,
                url: url.clone(),
                range: None,
                start: 0.0,
                duration: Seconds::INFINITY,
                discontinuity: 0,
                gap: false,
                init: None,
                timestamp_offset: None,
                keys: Vec::new(),
                ahead: false,
            }),
        }
    }

    /// Start and duration of segment `i`, without its URL: cheap.
    pub fn span(&self, i: usize) -> Option<(Seconds, Seconds)> {
        match self {
            Self::Template(t) if HAS_TEMPLATES => t.span(i),
            Self::Pending(_) | Self::Template(_) => None,
            Self::List(l) => l.segments.get(i).map(|s| (s.start, s.duration)),
            #[cfg(feature = "progressive")]
            Self::Continuous(_) => (i == 0).then_some((0.0, Seconds::INFINITY)),
        }
    }

    /// Bytes of the segment that holds `time`, where the index tells them: `sidx`, byte ranges.
    pub fn bytes_at(&self, time: Seconds) -> Option<u64> {
        match self {
            Self::List(l) => l.segments.get(self.find(time)?)?.range?.len(),
            _ => None,
        }
    }

    /// The segment that holds `time`: the last that starts at or before it; the first if `time` is before all. `None` past
    /// the end of the last one or with no segments. Binary search.
    pub fn find(&self, time: Seconds) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let mid = low + (high - low) / 2;
            match self.span(mid) {
                Some((start, _)) if start <= time + EPSILON => low = mid + 1,
                _ => high = mid,
            }
        }
        let i = low.saturating_sub(1);
        let (start, duration) = self.span(i)?;
        (time < start + duration - EPSILON || i + 1 < self.len()).then_some(i)
    }

    /// End of the last segment, or of the last part that is there.
    pub fn end(&self) -> Option<Seconds> {
        #[cfg(feature = "progressive")]
        if matches!(self, Self::Continuous(_)) {
            return None;
        }
        if let Self::List(list) = self
            && let Some(part) = list.parts().iter().rfind(|p| !p.hint)
            && part.number >= list.first.saturating_add(list.segments.len() as u64)
        {
            return Some(part.start + part.duration);
        }
        let (start, duration) = self.span(self.len().checked_sub(1)?)?;
        Some(start + duration)
    }
}

/// A run of equal segments in a SegmentTimeline (`S` with its `@r` resolved), kept run-length encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimelineRun {
    /// Media time of the first, in ticks.
    pub time: Ticks,
    /// Ticks of each.
    pub duration: Ticks,
    /// How many; at least 1.
    pub count: u64,
    /// Segments before this run.
    pub first: u64,
    /// Numbers before this run that no segment has (`S@n`, §5.3.9.6): `$Number$` is greater by so much than the segment's own number.
    pub gaps: u64,
}

/// Leaves the first `count` segments.
pub(super) fn truncate(runs: &mut Rc<Vec<TimelineRun>>, count: u64) {
    if runs.last().is_some_and(|r| r.first.saturating_add(r.count) > count) {
        let within = runs.iter().take_while(|r| r.first < count);
        *runs = Rc::new(within.map(|r| TimelineRun { count: r.count.min(count - r.first), ..*r }).collect());
    }
}

/// DASH SegmentTemplate (ISO/IEC 23009-1 §5.3.9.4) with `@duration` (one run) or a SegmentTimeline.
#[derive(Clone, Debug)]
pub struct TemplateIndex {
    /// Absolute; a `$` in it is no template.
    pub base: String,
    /// Relative to the base, with `$Number$`, `$Time$`, `%0Nd`, `$$` left in; `$RepresentationID$` and `$Bandwidth$` already filled.
    pub media: String,
    /// Initialization segment, filled.
    pub init: Option<Rc<InitRef>>,
    /// Of the runs.
    pub timescale: Timescale,
    /// Number of the first segment in the runs. Where only `$Time$` names segments, it is carried on when the manifest is read again.
    pub start_number: u64,
    /// In order of time. Representations that inherit one SegmentTimeline share it.
    pub runs: Rc<Vec<TimelineRun>>,
    /// Start of the period - presentationTimeOffset, in seconds.
    pub timestamp_offset: Seconds,
    /// Of a dynamic presentation: when segments can be had. `None`: all of them always.
    pub rule: Option<super::Availability>,
    /// Segments of the runs before the first that is listed.
    pub skip: u64,
    /// How many are listed: those that can be had.
    pub listed: u64,
    /// How many of these are whole; the server sends the others while it makes them.
    pub whole: u64,
}

impl TemplateIndex {
    /// Segments in the runs, listed or not.
    pub fn total(&self) -> u64 {
        self.runs.last().map_or(0, |r| r.first.saturating_add(r.count))
    }

    /// The run of the `i`th segment that is listed, and its position there.
    fn run(&self, i: usize) -> Option<(&TimelineRun, u64)> {
        let i = i as u64;
        if i < self.listed { self.run_of(self.skip.saturating_add(i)) } else { None }
    }

    /// The run of the `i`th segment of all, and its position there.
    fn run_of(&self, i: u64) -> Option<(&TimelineRun, u64)> {
        let at = self.runs.partition_point(|r| r.first <= i).checked_sub(1)?;
        let run = self.runs.get(at)?;
        let within = i - run.first;
        (within < run.count).then_some((run, within))
    }

    fn media_time(run: &TimelineRun, within: u64) -> Ticks {
        run.time.saturating_add(run.duration.saturating_mul(within as Ticks))
    }

    fn span(&self, i: usize) -> Option<(Seconds, Seconds)> {
        self.run(i).map(|(run, within)| self.span_in(run, within))
    }

    /// Start and duration of the `i`th segment of all, listed or not.
    pub(super) fn span_of(&self, i: u64) -> Option<(Seconds, Seconds)> {
        self.run_of(i).map(|(run, within)| self.span_in(run, within))
    }

    fn span_in(&self, run: &TimelineRun, within: u64) -> (Seconds, Seconds) {
        let start = self.timescale.seconds(Self::media_time(run, within)) + self.timestamp_offset;
        (start, self.timescale.seconds(run.duration))
    }

    fn segment(&self, i: usize) -> Option<SegmentRef> {
        let (run, within) = self.run(i)?;
        let (start, duration) = self.span_in(run, within);
        let number = self.start_number.saturating_add(self.skip).saturating_add(i as u64);
        let named = number.saturating_add(run.gaps);
        let media = super::url::fill_template(&self.media, named, Self::media_time(run, within));
        Some(SegmentRef {
            number,
            part: None,
            url: super::url::resolve(&self.base, &media),
            range: None,
            start,
            duration,
            discontinuity: 0,
            gap: false,
            init: self.init.clone(),
            timestamp_offset: Some(self.timestamp_offset),
            keys: Vec::new(),
            ahead: i as u64 >= self.whole,
        })
    }
}

/// One entry of a [`ListIndex`].
#[derive(Clone, Debug, PartialEq)]
pub struct ListSegment {
    /// Relative to the list's base, as written; empty: the base itself.
    pub uri: Box<str>,
    /// Part of the resource.
    pub range: Option<ByteRange>,
    /// On the presentation's timeline.
    pub start: Seconds,
    /// Seconds.
    pub duration: Seconds,
    /// Discontinuity number.
    pub discontinuity: u32,
    /// EXT-X-GAP.
    pub gap: bool,
    /// Index into [`ListIndex::inits`].
    pub init: Option<u32>,
    /// Index into [`ListIndex::keys`]: the set of keys in force.
    pub keys: Option<u32>,
}

/// Part of a segment (EXT-X-PART), or the one to come (EXT-X-PRELOAD-HINT).
#[derive(Clone, Debug, PartialEq)]
pub struct ListPart {
    /// Number of the segment that it belongs to; the segment itself may not be listed yet.
    pub number: u64,
    /// Position in that segment, from 0.
    pub part: u32,
    /// As [`ListSegment::uri`].
    pub uri: Box<str>,
    /// Part of the resource.
    pub range: Option<ByteRange>,
    /// On the presentation's timeline.
    pub start: Seconds,
    /// Seconds; of a hint, the part target.
    pub duration: Seconds,
    /// Decoding can start here.
    pub independent: bool,
    /// GAP=YES.
    pub gap: bool,
    /// It is not there yet, but can be asked for.
    pub hint: bool,
    /// Discontinuity number.
    pub discontinuity: u32,
    /// Index into [`ListIndex::inits`].
    pub init: Option<u32>,
    /// Index into [`ListIndex::keys`].
    pub keys: Option<u32>,
}

/// Segments one by one.
#[derive(Clone, Debug, Default)]
pub struct ListIndex {
    /// Absolute; URIs resolve against it.
    pub base: String,
    /// Number of the first segment (EXT-X-MEDIA-SEQUENCE).
    pub first: u64,
    /// In order of time.
    pub segments: Vec<ListSegment>,
    /// Parts of the last segments and of the one that is being made, in order of time; a hint comes last.
    pub parts: Vec<ListPart>,
    /// Initialization segments that are referred to.
    pub inits: Vec<Rc<InitRef>>,
    /// Sets of keys that are referred to.
    pub keys: Vec<Vec<KeyRef>>,
    /// See [`SegmentRef::timestamp_offset`].
    pub timestamp_offset: Option<Seconds>,
}

impl ListIndex {
    fn segment(&self, i: usize) -> Option<SegmentRef> {
        let s = self.segments.get(i)?;
        Some(SegmentRef {
            number: self.first.saturating_add(i as u64),
            part: None,
            url: if s.uri.is_empty() { self.base.clone() } else { super::url::resolve(&self.base, &s.uri) },
            range: s.range,
            start: s.start,
            duration: s.duration,
            discontinuity: s.discontinuity,
            gap: s.gap,
            init: s.init.and_then(|i| self.inits.get(i as usize).cloned()),
            timestamp_offset: self.timestamp_offset,
            keys: s.keys.and_then(|i| self.keys.get(i as usize).cloned()).unwrap_or_default(),
            ahead: false,
        })
    }

    /// The parts, which builds on demand have none of.
    fn parts(&self) -> &[ListPart] {
        if READS_LIVE_TAGS { &self.parts } else { &[] }
    }

    /// The part that playback from `time` begins with: the last independent one of the segment that starts at or before it, else its
    /// first. `None` where the whole segment serves as well.
    fn part_at(&self, time: Seconds) -> Option<usize> {
        let holds = |p: &ListPart| p.start <= time + EPSILON;
        let last = self.parts().iter().rposition(holds)?;
        let part = &self.parts()[last];
        if time >= part.start + part.duration - EPSILON {
            return None;
        }
        let of_segment = |p: &ListPart| holds(p) && p.number == part.number;
        if let Some(i) = self.parts().iter().rposition(|p| of_segment(p) && p.independent) {
            return Some(i);
        }
        // None is said to be independent: decoding starts with the segment.
        let listed = part.number < self.first.saturating_add(self.segments.len() as u64);
        if listed { None } else { self.parts().iter().position(of_segment) }
    }

    fn part(&self, i: usize) -> Option<SegmentRef> {
        let p = self.parts().get(i)?;
        Some(SegmentRef {
            number: p.number,
            part: Some(p.part),
            url: if p.uri.is_empty() { self.base.clone() } else { super::url::resolve(&self.base, &p.uri) },
            range: p.range,
            start: p.start,
            duration: p.duration,
            discontinuity: p.discontinuity,
            gap: p.gap,
            init: p.init.and_then(|i| self.inits.get(i as usize).cloned()),
            timestamp_offset: self.timestamp_offset,
            keys: p.keys.and_then(|i| self.keys.get(i as usize).cloned()).unwrap_or_default(),
            ahead: p.hint,
        })
    }
}
