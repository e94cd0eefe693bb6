//! A file that is not fragmented, cut into segments: each can be fetched by one range of bytes and read by itself.

use std::rc::Rc;

use crate::container::{Demuxer, Sink, TrackId, TrackKind};
use crate::error::{Code, PlayerError, Result};
use crate::time::Seconds;

use super::table::{Cursor, Entry, SampleTable};

/// Where one set of byte ranges for all tracks would fetch more than so many times their payload, each track is fetched alone.
const MAX_OVERHEAD: u64 = 3;

/// Segments of a file at most: nine hours of half a second each. Of longer files, or where the times are absurd, they get longer.
const MAX_SEGMENTS: usize = 1 << 16;

/// One segment of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FileSegment {
    /// On the presentation's timeline, edit lists applied.
    pub start: Seconds,
    /// Up to the next one.
    pub duration: Seconds,
    /// First byte in the file.
    pub first: u64,
    /// Last byte in the file. The ranges of neighbours may overlap: their samples do not.
    pub last: u64,
}

/// Segments of one or more tracks that are fetched together.
#[derive(Clone, Debug)]
pub struct SegmentList {
    tracks: Vec<TrackId>,
    segments: Vec<FileSegment>,
    /// Places of `tracks` in the table.
    places: Vec<usize>,
    /// For each segment, and the end of the last one, the cursor of each track.
    cursors: Vec<Cursor>,
    /// Bytes of all samples, and of all ranges.
    payload: u64,
    fetched: u64,
}

/// How a file is fetched.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One list for all tracks, or one for each.
    pub lists: Vec<Rc<SegmentList>>,
    /// The tracks lie so far apart in the file that each is fetched alone.
    pub separate: bool,
}

impl SampleTable {
    /// Cuts the file into segments of at least `target` seconds (but the last one), at sync samples of the first video track among
    /// `tracks`; without one, at any sample of the first. A segment has the pictures from its sync sample on, in decoding
    /// order, and what of the other tracks is heard from the time on at which that is presented: also the frame that has begun
    /// then. Unknown tracks are passed over.
    pub fn plan(&self, tracks: &[TrackId], target: Seconds) -> Plan {
        let together = self.list(tracks, target);
        if tracks.len() > 1 && together.fetched > together.payload.saturating_mul(MAX_OVERHEAD) {
            let lists: Vec<_> = tracks.iter().map(|t| Rc::new(self.list(&[*t], target))).collect();
            // Of tracks that lie between others that are not wanted, nothing is gained.
            if lists.iter().map(|l| l.fetched).sum::<u64>() < together.fetched {
                return Plan { lists, separate: true };
            }
        }
        Plan { lists: vec![Rc::new(together)], separate: false }
    }

    /// The segments of all tracks with pictures or sound together, whatever that costs: for lists of segments without a choice of
    /// tracks.
    pub fn segments(&self, target: Seconds) -> Vec<FileSegment> {
        let media = |k| matches!(k, TrackKind::Video | TrackKind::Audio);
        let tracks: Vec<_> = self.tracks().filter(|t| media(t.kind)).map(|t| t.id).collect();
        self.list(&tracks, target).segments
    }

    fn list(&self, tracks: &[TrackId], target: Seconds) -> SegmentList {
        let found = |id: &TrackId| self.tracks().position(|t| t.id == *id).map(|place| (*id, place));
        // Tables may also be too broken for any.
        let has_samples = |place| self.next(place, &mut Cursor::default()).is_some();
        let (tracks, places): (Vec<_>, Vec<_>) =
            tracks.iter().filter_map(found).filter(|(_, place)| has_samples(*place)).unzip();
        let kind = |place: &usize| self.track_at(*place).map(|t| t.info.kind);
        let lead = places.iter().position(|p| kind(p) == Some(TrackKind::Video)).unwrap_or(0);
        let mut list =
            SegmentList { tracks, segments: Vec::new(), places, cursors: Vec::new(), payload: 0, fetched: 0 };
        let Some(&lead_place) = list.places.get(lead) else { return list };

        // Where the segments begin.
        let mut starts: Vec<Seconds> = Vec::new();
        let mut target = target;
        let mut cursor = Cursor::default();
        while let Some(Entry { sample, .. }) = self.next(lead_place, &mut cursor) {
            let time = self.time(lead_place, sample.pts);
            if starts.last().is_none_or(|last| sample.sync && time >= last + target) {
                if starts.len() == MAX_SEGMENTS {
                    target = 2.0 * target.max(1e-3);
                    let mut kept = 0usize;
                    starts.retain(|_| {
                        kept += 1;
                        kept % 2 == 1
                    });
                }
                starts.push(time);
            }
        }
        if let Some(first) = starts.first_mut() {
            // Priming is not presented.
            *first = first.max(0.0);
        }
        let count = starts.len();
        let width = list.places.len();
        list.cursors = vec![Cursor::default(); (count + 1) * width];
        let mut ranges = vec![(u64::MAX, 0u64); count];
        let mut end: Seconds = 0.0;
        for (column, &place) in list.places.iter().enumerate() {
            let (mut at, mut segment) = (Cursor::default(), 0);
            loop {
                let before = at;
                let Some(Entry { offset, sample, .. }) = self.next(place, &mut at) else { break };
                let duration = i64::from(sample.duration.unwrap_or(0));
                let end_of_sample = self.time(place, sample.pts.saturating_add(duration));
                let (time, may_cut) = match column == lead {
                    true => (self.time(place, sample.pts), sample.sync),
                    // Up to a microsecond is rounding.
                    false => (self.time(place, sample.dts.saturating_add(duration)) - 1e-6, true),
                };
                while may_cut && starts.get(segment + 1).is_some_and(|next| time >= *next) {
                    segment += 1;
                    list.cursors[segment * width + column] = before;
                }
                list.payload += u64::from(sample.size);
                let range = &mut ranges[segment];
                range.0 = range.0.min(offset);
                range.1 = range.1.max(offset.saturating_add(sample.size.into()));
                end = end.max(end_of_sample);
                if before.index == 0 {
                    starts[0] = starts[0].min(self.time(place, sample.pts).max(0.0));
                }
            }
            // A track that ends early has nothing in the segments that remain.
            for after in segment + 1..=count {
                list.cursors[after * width + column] = at;
            }
        }
        let last_start = starts.last().copied().unwrap_or(0.0);
        let next = starts.iter().skip(1).copied().chain(std::iter::once(end.max(last_start)));
        for ((start, next), (first, after)) in starts.iter().zip(next).zip(ranges) {
            let first = first.min(after);
            let last = after.max(first.saturating_add(1)) - 1;
            list.fetched = list.fetched.saturating_add(last - first + 1);
            list.segments.push(FileSegment { start: *start, duration: next - start, first, last });
        }
        list
    }

    /// Seconds of the presentation.
    fn time(&self, place: usize, ticks: i64) -> Seconds {
        let info = self.track_at(place).map(|t| &t.info);
        info.map_or(0.0, |i| i.timescale.seconds(ticks.saturating_sub(i.edit_start)))
    }
}

impl SegmentList {
    /// The tracks whose samples are in the segments.
    pub fn tracks(&self) -> &[TrackId] {
        &self.tracks
    }

    /// In order of time.
    pub fn segments(&self) -> &[FileSegment] {
        &self.segments
    }
}

/// One track on the way through a file.
#[derive(Clone, Debug)]
struct Lane {
    place: usize,
    id: TrackId,
    cursor: Cursor,
    /// The number of the first sample that does not belong to it any more.
    end: u32,
    next: Option<Entry>,
    /// The sample entry in use.
    description: u32,
}

/// The samples of several tracks, in the order in which they lie in the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Merge {
    lanes: Vec<Lane>,
}

impl Merge {
    /// All samples of all tracks.
    pub fn all(table: &SampleTable) -> Self {
        let lanes = table.tracks().enumerate().map(|(place, info)| Lane {
            place,
            id: info.id,
            cursor: Cursor::default(),
            end: u32::MAX,
            next: None,
            description: 0,
        });
        Self { lanes: lanes.collect() }.filled(table)
    }

    fn segment(table: &SampleTable, list: &SegmentList, number: usize) -> Self {
        let width = list.places.len();
        let row = |n: usize| list.cursors.get(n * width..(n + 1) * width).unwrap_or_default();
        let (from, to) = (row(number), row(number.saturating_add(1)));
        let last = number + 1 >= list.segments.len();
        let mut lanes = Vec::with_capacity(width);
        for (((&place, &id), cursor), end) in list.places.iter().zip(&list.tracks).zip(from).zip(to) {
            let end = if last { u32::MAX } else { end.index };
            lanes.push(Lane { place, id, cursor: *cursor, end, next: None, description: 0 });
        }
        Self { lanes }.filled(table)
    }

    fn filled(mut self, table: &SampleTable) -> Self {
        for lane in &mut self.lanes {
            lane.advance(table);
        }
        self
    }

    /// The next sample, and whether it uses another sample entry than the one before.
    pub fn next(&mut self, table: &SampleTable) -> Option<(TrackId, Entry, bool)> {
        let lanes = self.lanes.iter_mut().filter(|l| l.next.is_some());
        let lane = lanes.min_by_key(|l| l.next.map(|e| e.offset))?;
        let entry = lane.next?;
        lane.advance(table);
        let changed = lane.description != entry.description;
        lane.description = entry.description;
        Some((lane.id, entry, changed))
    }
}

impl Lane {
    fn advance(&mut self, table: &SampleTable) {
        self.next =
            if self.cursor.index < self.end { table.next(self.place, &mut self.cursor) } else { None };
    }
}

/// Reads the segments of a [`SegmentList`]: after [`Self::begin`], `push` takes the bytes of the file from the segment's first one
/// on. `finish` goes on to the next segment.
///
/// Positions in errors count from the start of the file.
#[derive(Debug)]
pub struct SegmentDemuxer {
    table: Rc<SampleTable>,
    list: Rc<SegmentList>,
    number: usize,
    merge: Merge,
    current: Option<(TrackId, Entry)>,
    /// Bytes of the current sample that are written.
    filled: u32,
    /// In the file.
    pos: u64,
    announced: bool,
    /// Of the sample entries that the sink knows.
    descriptions: Vec<(TrackId, u32)>,
    failed: Option<PlayerError>,
}

impl SegmentDemuxer {
    /// Begins with the first segment.
    pub fn new(table: Rc<SampleTable>, list: Rc<SegmentList>) -> Self {
        let mut demuxer = Self {
            table,
            list,
            number: 0,
            merge: Merge::default(),
            current: None,
            filled: 0,
            pos: 0,
            announced: false,
            descriptions: Vec::new(),
            failed: None,
        };
        demuxer.begin(0);
        demuxer
    }

    /// The bytes to come are those of this segment. What was unfinished of another one is forgotten; after an unfinished sample,
    /// the sink's buffers are to be reset too (as `Demuxer::reset` wants it), or `finish` to be called first.
    pub fn begin(&mut self, number: usize) {
        self.number = number;
        self.merge = Merge::segment(&self.table, &self.list, number);
        self.pos = self.list.segments.get(number).map_or(0, |s| s.first);
        self.current = None;
        self.filled = 0;
        self.failed = None;
    }

    /// As [`Self::begin`], for bytes that go on to the end of the file: the segments behind follow without another call. Sound begins
    /// with the frame that is heard at the start of the segment, which may belong to the one before. Gives the first byte.
    pub fn begin_from(&mut self, number: usize) -> Option<u64> {
        self.begin(number);
        let start = self.list.segments.get(number)?.start;
        let width = self.list.places.len();
        let row = number.saturating_sub(1) * width;
        let before = self.list.cursors.get(row..row + width).unwrap_or_default();
        for (lane, cursor) in self.merge.lanes.iter_mut().zip(before) {
            let sound = self.table.track_at(lane.place).is_some_and(|t| t.info.kind == TrackKind::Audio);
            lane.end = u32::MAX;
            if sound && width > 1 && number > 0 {
                let mut next = *cursor;
                loop {
                    lane.cursor = next;
                    let Some(Entry { sample, .. }) = self.table.next(lane.place, &mut next) else { break };
                    let end = sample.pts.saturating_add(sample.duration.unwrap_or(0).into());
                    if self.table.time(lane.place, end) > start {
                        break;
                    }
                }
                lane.next = None;
            }
            if lane.next.is_none() {
                lane.advance(&self.table);
            }
        }
        self.pos = self.merge.lanes.iter().filter_map(|l| l.next.map(|e| e.offset)).min()?;
        Some(self.pos)
    }

    /// The segment whose bytes are taken.
    pub fn number(&self) -> usize {
        self.number
    }

    fn announce(&mut self, sink: &mut dyn Sink) {
        if std::mem::replace(&mut self.announced, true) {
            return;
        }
        for info in self.table.tracks().filter(|t| self.list.tracks.contains(&t.id)) {
            sink.track(info.clone());
            self.descriptions.push((info.id, 1));
        }
        sink.tracks_complete();
    }

    /// Makes the next sample the current one. `false`: there is none.
    fn advance(&mut self, sink: &mut dyn Sink) -> Result<bool> {
        if self.current.is_some() {
            return Ok(true);
        }
        let Some((id, entry, changed)) = self.merge.next(&self.table) else { return Ok(false) };
        if entry.sample.size > 0 && entry.offset < self.pos {
            return Err(out_of_order().at(entry.offset));
        }
        let known = self.descriptions.iter_mut().find(|(track, _)| *track == id);
        if changed
            && let Some((_, known)) = known
            && *known != entry.description
        {
            *known = entry.description;
            if let Some(info) = self.table.described(id, entry.description) {
                sink.track(info);
            }
        }
        self.current = Some((id, entry));
        Ok(true)
    }

    fn read(&mut self, mut chunk: &[u8], sink: &mut dyn Sink) -> Result<()> {
        while self.advance(sink)? {
            let Some((id, entry)) = self.current else { break };
            let until = entry.offset.saturating_add(self.filled.into()).max(self.pos);
            if entry.sample.size > 0 {
                let gap = usize::try_from(until - self.pos).unwrap_or(usize::MAX).min(chunk.len());
                chunk = &chunk[gap..];
                self.pos += gap as u64;
                if self.pos < until {
                    return Ok(());
                }
                let part = chunk.len().min((entry.sample.size - self.filled) as usize);
                sink.buffer(id).extend_from_slice(&chunk[..part]);
                chunk = &chunk[part..];
                self.pos += part as u64;
                self.filled += part as u32;
                if self.filled < entry.sample.size {
                    return Ok(());
                }
            }
            self.filled = 0;
            self.current = None;
            sink.sample(id, entry.sample);
        }
        // What is left belongs to the neighbours.
        Ok(())
    }
}

/// A track whose chunks lie in another order than that of decoding cannot be given out while it streams in.
pub(super) fn out_of_order() -> PlayerError {
    PlayerError::new(Code::ContainerUnsupported, "the samples of a track do not lie in the order of decoding")
}

impl Demuxer for SegmentDemuxer {
    fn push(&mut self, chunk: &[u8], sink: &mut dyn Sink) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.announce(sink);
        self.read(chunk, sink).inspect_err(|error| self.failed = Some(error.clone()))
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> Result<()> {
        self.announce(sink);
        if let (Some((id, _)), true) = (self.current, self.filled > 0) {
            let buffer = sink.buffer(id);
            buffer.truncate(buffer.len().saturating_sub(self.filled as usize));
        }
        self.filled = 0;
        let missing = self.failed.is_none() && (self.advance(sink)? && self.read(&[], sink).is_ok());
        let missing = missing && self.current.is_some();
        let at = self.pos;
        self.begin(self.number.saturating_add(1));
        match missing {
            true => Err(PlayerError::new(Code::Truncated, "the segment ends before its last sample").at(at)),
            false => Ok(()),
        }
    }

    fn reset(&mut self) {
        self.begin(self.number);
    }
}
