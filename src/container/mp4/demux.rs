//! Reads fragmented MP4 as it arrives: each sample is given out with its last byte, not with the end of its fragment.

use std::collections::VecDeque;

use crate::container::{Demuxer, Sink, TrackId};
use crate::error::{Code, PlayerError, Result};
use crate::time::{Seconds, Ticks, Timescale};

use super::boxes::{BoxHeader, FourCc, HeaderRead};
use super::emsg::{self, Emsg};
use super::moof::{self, Pending, TrackState};
use super::moov::{self, Moov};
#[cfg(feature = "progressive")]
use super::segments::{Merge, out_of_order};
#[cfg(feature = "progressive")]
use super::table::SampleTable;

/// Largest `moov` or `moof` that is read, in bytes: the tables of a day-long progressive file. What claims more is not media.
const MAX_BOX: u64 = 64 << 20;

/// Reads fMP4 and CMAF: init segments and media segments, one after the other or each by itself. With the feature `progressive` it
/// also reads the samples of the `moov` itself, if that comes before the media data; where it does not, the position
/// of the error is that of the box behind the data, which is most likely the `moov`.
///
/// `finish` ends a segment: positions in errors count from its start. A fragment whose data offsets are absolute in a file
/// of which only a range was fetched is read all the same. `emsg` becomes metadata; `prft`, `sidx` and unknown boxes are passed over.
#[derive(Debug, Default)]
pub struct FragmentDemuxer {
    state: State,
    /// What came of a header or of a box that is read as a whole.
    buf: Vec<u8>,
    /// Bytes consumed of this segment.
    pos: u64,
    tracks: Vec<TrackState>,
    /// Samples still to come, by offset.
    pending: VecDeque<Pending>,
    /// Bytes of the first one of `pending` that are written.
    filled: u32,
    /// A fragment came in this segment.
    fragment_seen: bool,
    /// Media data came since the last fragment.
    data_seen: bool,
    /// The samples of the last fragment may be moved to where its data is.
    movable: bool,
    /// Where the media of this segment begins: the first time of a track.
    begins: Option<(TrackId, Ticks)>,
    /// Event messages whose time counts from there.
    events: Vec<Emsg>,
    /// The input begins as a file does.
    is_file: bool,
    /// The last `moov` announced fragments.
    fragmented: bool,
    /// Samples of a file that is not fragmented, those after `pending`.
    #[cfg(feature = "progressive")]
    file: Option<(std::rc::Rc<SampleTable>, Merge)>,
}

#[derive(Debug, Default)]
enum State {
    /// Between boxes.
    #[default]
    Header,
    /// In a box that is read as a whole.
    Collect { name: FourCc, start: u64, body: usize },
    /// In a box that is passed over; `None`: to the end.
    Skip { end: Option<u64> },
    /// In the media data; `None`: to the end.
    Data { end: Option<u64> },
    /// Nothing more is read of this segment.
    Failed(Box<PlayerError>),
}

const OUTSIDE: &str = "a sample lies outside of the media data";

fn malformed(what: &'static str) -> PlayerError {
    PlayerError::new(Code::MediaMalformed, what)
}

/// Sorts samples by place, stably: joins ascending runs in pairs. There are as few as tracks in a fragment, and the general sort
/// of the standard library would be 3 kB of code.
fn by_offset(mut samples: Vec<Pending>) -> Vec<Pending> {
    loop {
        let mut joined = Vec::with_capacity(samples.len());
        let mut runs = samples.chunk_by(|a, b| a.offset <= b.offset);
        let mut pairs = 0;
        while let Some(mut a) = runs.next() {
            pairs += 1;
            let mut b = runs.next().unwrap_or_default();
            while let (Some(first), Some(second)) = (a.first(), b.first()) {
                let from = if second.offset < first.offset { &mut b } else { &mut a };
                joined.extend(from.split_off_first().copied());
            }
            joined.extend_from_slice(a);
            joined.extend_from_slice(b);
        }
        if pairs <= 1 {
            return joined;
        }
        samples = joined;
    }
}

impl FragmentDemuxer {
    /// Knows no tracks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Consumes some of `chunk`. `false`: it needs more.
    fn step(&mut self, chunk: &mut &[u8], sink: &mut dyn Sink) -> Result<bool> {
        match self.state {
            State::Header => self.read_header(chunk, sink),
            State::Collect { name, start, body } => self.collect(chunk, name, start, body, sink),
            State::Skip { end } => {
                self.take_up_to(chunk, end);
                Ok(self.ends_at(end))
            }
            State::Data { end } => self.read_data(chunk, end, sink),
            State::Failed(ref error) => Err((**error).clone()),
        }
    }

    /// Takes what there is of `chunk`, up to the position `end`.
    fn take_up_to<'a>(&mut self, chunk: &mut &'a [u8], end: Option<u64>) -> &'a [u8] {
        let left = end.map_or(u64::MAX, |end| end.saturating_sub(self.pos));
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
        let (taken, rest) = chunk.split_at(n);
        *chunk = rest;
        self.pos += n as u64;
        taken
    }

    /// Goes back to reading headers once `end` is reached.
    fn ends_at(&mut self, end: Option<u64>) -> bool {
        let ended = end == Some(self.pos);
        if ended {
            self.state = State::Header;
        }
        ended
    }

    fn read_header(&mut self, chunk: &mut &[u8], sink: &mut dyn Sink) -> Result<bool> {
        let read = if self.buf.is_empty() { BoxHeader::read(chunk) } else { BoxHeader::read(&self.buf) };
        match read {
            HeaderRead::Needs(len) => {
                if chunk.is_empty() {
                    return Ok(false);
                }
                let until = self.pos + (len - self.buf.len()) as u64;
                let part = self.take_up_to(chunk, Some(until));
                self.buf.extend_from_slice(part);
                Ok(true)
            }
            HeaderRead::Malformed => Err(malformed("a box is smaller than its header")),
            HeaderRead::Complete(header) => {
                let start = self.pos - self.buf.len() as u64;
                if self.buf.is_empty() {
                    self.take_up_to(chunk, Some(start + header.len as u64));
                }
                self.buf = Vec::new();
                self.enter(header, start, sink)?;
                Ok(true)
            }
        }
    }

    fn enter(&mut self, header: BoxHeader, start: u64, sink: &mut dyn Sink) -> Result<()> {
        let end = match header.body {
            Some(body) => {
                Some(self.pos.checked_add(body).ok_or_else(|| malformed("a box is larger than any file"))?)
            }
            None => None,
        };
        self.state = match &header.name {
            b"moov" | b"moof" => {
                let body = header.body.filter(|&n| n <= MAX_BOX).and_then(|n| usize::try_from(n).ok());
                let body = body.ok_or_else(|| malformed("a moov or moof box has an absurd size"))?;
                State::Collect { name: header.name, start, body }
            }
            b"mdat" => {
                self.enter_data(end, sink)?;
                State::Data { end }
            }
            name if *name == emsg::NAME => match header.body {
                Some(n @ 0..=emsg::MAX_SIZE) => State::Collect { name: *name, start, body: n as usize },
                _ => {
                    sink.warning(start, emsg::PASSED_OVER);
                    State::Skip { end }
                }
            },
            name => {
                self.is_file |= *name == *b"ftyp";
                State::Skip { end }
            }
        };
        self.refill(sink)?;
        // A sample that begins before the data now to come can never be completed.
        let reached = if matches!(self.state, State::Data { .. }) { Some(self.pos) } else { end };
        if let (Some(reached), Some(first)) = (reached, self.first_with_bytes())
            && first < reached
        {
            return Err(malformed(OUTSIDE));
        }
        Ok(())
    }

    fn first_with_bytes(&self) -> Option<u64> {
        self.pending.iter().find(|p| p.sample.size > 0).map(|p| p.offset)
    }

    /// At the start of an `mdat`.
    fn enter_data(&mut self, end: Option<u64>, sink: &mut dyn Sink) -> Result<()> {
        if end == Some(self.pos) {
            return Ok(());
        }
        self.refill(sink)?;
        if !self.fragment_seen && self.pending.is_empty() {
            return Err(match self.tracks.is_empty() {
                true if self.is_file => PlayerError::new(
                    Code::ContainerUnsupported,
                    "the media data of the MP4 file come before their index (moov)",
                )
                .at(end.unwrap_or(self.pos)),
                true => malformed("media data came before any init segment"),
                false if self.fragmented => return Ok(()),
                false => PlayerError::new(
                    Code::ContainerUnsupported,
                    "media data before a fragment header: the MP4 file is not fragmented",
                ),
            });
        }
        self.data_seen = true;
        let first = self.first_with_bytes().unwrap_or(self.pos);
        if std::mem::take(&mut self.movable) && first != self.pos {
            // Part of a larger file, or written without a place: the samples are meant to begin where the data does.
            sink.warning(self.pos, "data offsets of a fragment were taken to be relative to its data");
            for p in &mut self.pending {
                p.offset = p.offset.saturating_sub(first).saturating_add(self.pos);
            }
        }
        Ok(())
    }

    fn collect(
        &mut self,
        chunk: &mut &[u8],
        name: FourCc,
        start: u64,
        body: usize,
        sink: &mut dyn Sink,
    ) -> Result<bool> {
        let until = self.pos + (body - self.buf.len()) as u64;
        let part = self.take_up_to(chunk, Some(until));
        let buffered;
        let whole = if self.buf.is_empty() && part.len() == body {
            part
        } else {
            self.buf.extend_from_slice(part);
            if self.buf.len() < body {
                return Ok(false);
            }
            buffered = std::mem::take(&mut self.buf);
            &buffered
        };
        self.state = State::Header;
        match &name {
            b"moov" => self.read_moov(whole, start, sink)?,
            name if *name == emsg::NAME => self.read_emsg(whole, start, sink),
            _ => self.read_moof(whole, start, sink)?,
        }
        Ok(true)
    }

    fn read_moov(&mut self, body: &[u8], start: u64, sink: &mut dyn Sink) -> Result<()> {
        #[cfg_attr(
            not(feature = "progressive"),
            expect(unused_mut, reason = "the tables are taken out of it")
        )]
        let mut moov = moov::parse(body).map_err(|e| e.at(start))?;
        #[cfg(feature = "progressive")]
        {
            let table = SampleTable::from_moov(&mut moov).map_err(|e| e.at(start))?;
            self.file = table.map(|table| (table.clone(), Merge::all(&table)));
        }
        let Moov { tracks, warnings, fragmented, .. } = moov;
        self.fragmented = fragmented;
        for what in warnings {
            sink.warning(start, what);
        }
        let old = std::mem::take(&mut self.tracks);
        for track in tracks {
            sink.track(track.info.clone());
            let before = old.iter().find(|s| s.track.info.id == track.info.id);
            let next_dts =
                before.filter(|s| s.track.info.timescale == track.info.timescale).and_then(|s| s.next_dts);
            let description = track.defaults.description.max(1);
            self.tracks.push(TrackState { track, next_dts, description, changed: false });
        }
        sink.tracks_complete();
        Ok(())
    }

    fn read_moof(&mut self, body: &[u8], start: u64, sink: &mut dyn Sink) -> Result<()> {
        if self.tracks.is_empty() {
            return Err(malformed("a media segment came before its init segment").at(start));
        }
        if self.data_seen && self.first_with_bytes().is_some() {
            return Err(malformed(OUTSIDE).at(start));
        }
        #[cfg(feature = "progressive")]
        if self.file.take().is_some_and(|(table, mut merge)| merge.next(&table).is_some()) {
            sink.warning(start, "the samples before the fragments were passed over");
        }
        let mut samples = Vec::new();
        let notes = moof::parse(body, start, &mut self.tracks, &mut samples).map_err(|e| e.at(start))?;
        for what in notes.warnings {
            sink.warning(start, what);
        }
        for state in &mut self.tracks {
            if std::mem::take(&mut state.changed) {
                sink.track(state.track.info.clone());
            }
        }
        if let (None, Some(first)) = (self.begins, samples.first()) {
            let of_track = samples.iter().filter(|p| p.track == first.track).map(|p| p.sample.pts);
            self.begins = of_track.min().map(|time| (first.track, time));
            self.tell_events(sink);
        }
        self.fragment_seen = true;
        self.data_seen = false;
        // Of several fragments whose data is still to come, none can be moved by itself.
        self.movable = notes.movable && self.pending.is_empty();
        self.pending.extend(samples);
        if !self.pending.iter().is_sorted_by_key(|p| p.offset) {
            self.pending = by_offset(self.pending.drain(..).collect()).into();
        }
        Ok(())
    }

    fn read_emsg(&mut self, body: &[u8], start: u64, sink: &mut dyn Sink) {
        match emsg::parse(body) {
            // On the timeline of the presentation, edit lists applied.
            Some(emsg) if !emsg.relative => sink.metadata(None, Some(emsg.time), emsg.message),
            Some(emsg) if self.events.len() < emsg::MAX_WAITING => {
                self.events.push(emsg);
                self.tell_events(sink);
            }
            _ => sink.warning(start, emsg::PASSED_OVER),
        }
    }

    /// Tells the event messages whose time counts from the start of the segment, once that is known.
    fn tell_events(&mut self, sink: &mut dyn Sink) {
        let Some((track, begins)) = self.begins else { return };
        let Some(state) = self.tracks.iter().find(|t| t.track.info.id == track) else { return };
        let scale = state.track.info.timescale;
        for emsg in self.events.drain(..) {
            let time = begins.saturating_add(scale.ticks(Timescale::MPEG.seconds(emsg.time)));
            sink.metadata(Some(track), Some(time), emsg.message);
        }
    }

    fn read_data(&mut self, chunk: &mut &[u8], end: Option<u64>, sink: &mut dyn Sink) -> Result<bool> {
        loop {
            self.refill(sink)?;
            let Some(&Pending { offset, track, sample }) = self.pending.front() else { break };
            if sample.size == 0 {
                self.complete(sink);
                continue;
            }
            if self.filled == 0 && offset < self.pos {
                return Err(malformed("two samples of a fragment share bytes"));
            }
            if end.is_some_and(|end| offset >= end) {
                break;
            }
            if offset > self.pos {
                self.take_up_to(chunk, Some(offset));
                if self.pos < offset {
                    return Ok(false);
                }
            }
            let sample_end = offset.saturating_add(sample.size.into());
            if end.is_some_and(|end| sample_end > end) {
                return Err(malformed("a sample reaches over the end of the media data"));
            }
            let part = self.take_up_to(chunk, Some(sample_end));
            sink.buffer(track).extend_from_slice(part);
            self.filled += part.len() as u32;
            if self.filled < sample.size {
                return Ok(false);
            }
            self.complete(sink);
        }
        self.take_up_to(chunk, end);
        Ok(self.ends_at(end))
    }

    /// Of a file that is not fragmented, makes the next sample a pending one.
    #[cfg(feature = "progressive")]
    fn refill(&mut self, sink: &mut dyn Sink) -> Result<()> {
        let Some((table, merge)) = self.file.as_mut().filter(|_| self.pending.is_empty()) else {
            return Ok(());
        };
        let Some((track, entry, changed)) = merge.next(table) else { return Ok(()) };
        if entry.sample.size > 0 && entry.offset < self.pos {
            return Err(out_of_order().at(entry.offset));
        }
        if let Some(state) = self.tracks.iter_mut().find(|s| s.track.info.id == track) {
            // Fragments may follow, and go on from here if they do not tell their time.
            let duration = entry.sample.duration.unwrap_or(0).into();
            state.next_dts = Some(entry.sample.dts.saturating_add(duration));
            if changed && state.description != entry.description {
                state.description = entry.description;
                if let Some(info) = table.described(track, entry.description) {
                    sink.track(info);
                }
            }
        }
        self.pending.push_back(Pending { offset: entry.offset, track, sample: entry.sample });
        Ok(())
    }

    #[cfg(not(feature = "progressive"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the other one needs both")]
    fn refill(&mut self, _: &mut dyn Sink) -> Result<()> {
        Ok(())
    }

    /// Gives out the first pending sample.
    fn complete(&mut self, sink: &mut dyn Sink) {
        self.filled = 0;
        if let Some(p) = self.pending.pop_front() {
            sink.sample(p.track, p.sample);
        }
    }

    /// The track whose sample is partly written, and how much of it.
    fn forget_segment(&mut self) -> Option<(TrackId, u32)> {
        let partial = self.pending.front().map(|p| (p.track, self.filled)).filter(|&(_, filled)| filled > 0);
        self.state = State::Header;
        self.buf = Vec::new();
        self.pos = 0;
        self.pending.clear();
        self.filled = 0;
        self.fragment_seen = false;
        self.data_seen = false;
        self.movable = false;
        self.begins = None;
        self.events.clear();
        self.is_file = false;
        #[cfg(feature = "progressive")]
        {
            self.file = None;
        }
        partial
    }
}

impl Demuxer for FragmentDemuxer {
    fn push(&mut self, mut chunk: &[u8], sink: &mut dyn Sink) -> Result<()> {
        loop {
            match self.step(&mut chunk, sink) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => {
                    let error = if error.position.is_some() { error } else { error.at(self.pos) };
                    self.state = State::Failed(Box::new(error.clone()));
                    return Err(error);
                }
            }
        }
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> Result<()> {
        while self.pending.front().is_some_and(|p| p.sample.size == 0) {
            self.complete(sink);
            let _ = self.refill(sink);
        }
        let at = self.pos;
        let nothing_missing = self.pending.is_empty();
        let result = match self.state {
            State::Failed(_) => Ok(()),
            State::Header if self.buf.is_empty() && nothing_missing => Ok(()),
            // All boxes are whole.
            State::Header if self.buf.is_empty() && self.data_seen => Err(malformed(OUTSIDE).at(at)),
            State::Skip { end } | State::Data { end } if nothing_missing => {
                if end.is_some() {
                    sink.warning(at, "the last box is cut off");
                }
                Ok(())
            }
            _ => Err(PlayerError::new(Code::Truncated, "the segment ends in the middle of its media").at(at)),
        };
        if let Some((track, filled)) = self.forget_segment() {
            let buffer = sink.buffer(track);
            buffer.truncate(buffer.len().saturating_sub(filled as usize));
        }
        result
    }

    /// Only in the data of a fragment of one track, where all that is to come is known.
    fn skip_to_sync(&mut self, time: Seconds, least: u64, sink: &mut dyn Sink) -> Option<u64> {
        let State::Data { .. } = self.state else { return None };
        if !self.fragment_seen {
            return None;
        }
        let track = self.pending.front()?.track;
        if self.pending.iter().any(|p| p.track != track) {
            return None;
        }
        let info = &self.tracks.iter().find(|t| t.track.info.id == track)?.track.info;
        let until = info.timescale.ticks(time).checked_add(info.edit_start)?;
        let at = self.pending.iter().rposition(|p| p.sample.sync && p.sample.pts <= until)?;
        let offset = self.pending[at].offset;
        if offset < self.pos.checked_add(least)? {
            return None;
        }
        self.pending.drain(..at);
        let buffer = sink.buffer(track);
        buffer.truncate(buffer.len().saturating_sub(self.filled as usize));
        self.filled = 0;
        self.pos = offset;
        Some(offset)
    }

    fn reset(&mut self) {
        self.forget_segment();
        for state in &mut self.tracks {
            state.next_dts = None;
        }
    }
}
