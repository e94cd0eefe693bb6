//! One SourceBuffer as the core sees it: operations one at a time, what is buffered, what was appended, eviction.

use super::io::{BufferId, Command, Output};
use super::wrapping::ASKED;
use crate::bytes::MediaBytes;
use crate::codec::mpeg_audio::MpegAudioHeader;
use crate::time::{Seconds, TimeRanges};
use std::collections::VecDeque;
use std::rc::Rc;

/// Seams between segments of up to this many seconds do not stop any engine: audio frames and video frames do not end
/// together, and packagers round.
pub(super) const SEAM: Seconds = 0.12;

/// Names an initialization segment as appended: who made it, and its generation.
pub(super) type InitKey = (u32, u32);

/// A piece of media on its way into a buffer.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub buffer: BufferId,
    pub init_key: InitKey,
    /// Full type with codecs, as MSE wants it.
    pub mime: Rc<str>,
    /// The initialization segment that `data` needs; empty for formats that carry it in their bytes.
    pub init: Rc<[u8]>,
    pub data: MediaBytes,
    /// On the media's own timeline, in seconds, edit list applied.
    pub start: Seconds,
    pub end: Seconds,
    /// Added to media time by the browser, before the presentation's own offset: the edit list.
    pub edit: Seconds,
    /// Where in it decoding can start first, on the media's own timeline.
    pub first_sync: Option<Seconds>,
    /// Appended bytes may end inside an element of the format, so that a broken-off append needs `abort()`.
    pub partial: bool,
    /// Frames without times: the browser counts on from `timestampOffset`.
    pub raw: bool,
}

#[derive(Debug)]
enum Op {
    ChangeType(Rc<str>),
    Append {
        data: MediaBytes,
        offset: Seconds,
        window: (Seconds, Seconds),
        span: Option<(Seconds, Seconds)>,
    },
    Remove {
        start: Seconds,
        end: Seconds,
    },
    Abort,
    /// What was queued before it is in place.
    Anew,
}

/// The operation that failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// An append, with where its media lies.
    Append(Option<(Seconds, Seconds)>),
    /// `changeType`.
    ChangeType,
}

/// What was appended, for bytes and quality over time.
#[derive(Debug)]
struct Entry {
    start: Seconds,
    end: Seconds,
    bytes: u64,
    bandwidth: u64,
}

#[derive(Debug)]
pub(super) struct Buffer {
    id: BufferId,
    mime: Rc<str>,
    queue: VecDeque<Op>,
    /// The operation that the shell works on.
    current: Option<Op>,
    /// The SourceBuffer is being made.
    adding: bool,
    init: Option<InitKey>,
    buffered: TimeRanges,
    inventory: Vec<Entry>,
    /// Where decoding can start, as far as it is known, ascending by time of append.
    syncs: Vec<Seconds>,
    /// The parser of the SourceBuffer may be inside an element.
    mid_element: bool,
    /// The time in the file (no edit list applied) that its parser began with.
    began: Option<Seconds>,
    /// Of frames without times: the offset that was set, and where the frames appended since end.
    counted: Option<(Seconds, Seconds)>,
    /// A Quota error came and nothing has been freed since.
    pub full: bool,
    /// Media that the decoder may have taken has been replaced.
    pub anew: bool,
}

impl Buffer {
    /// Asks for the SourceBuffer.
    pub fn add(id: BufferId, mime: Rc<str>, out: &mut VecDeque<Output>) -> Self {
        out.push_back(Output::Command(Command::AddSourceBuffer { buffer: id, mime: mime.to_string() }));
        Self {
            id,
            mime,
            queue: VecDeque::new(),
            current: None,
            adding: true,
            init: None,
            buffered: TimeRanges::default(),
            inventory: Vec::new(),
            syncs: Vec::new(),
            mid_element: false,
            began: None,
            counted: None,
            full: false,
            anew: false,
        }
    }

    /// Whether it is this one.
    pub fn is(&self, id: BufferId) -> bool {
        self.id == id
    }

    /// Whether no operation runs or waits.
    pub fn idle(&self) -> bool {
        !self.adding && self.current.is_none() && self.queue.is_empty()
    }

    /// Whether the shell works on an operation.
    pub fn busy(&self) -> bool {
        self.adding || self.current.is_some()
    }

    /// What the browser said last.
    pub fn buffered(&self) -> &TimeRanges {
        &self.buffered
    }

    /// What will be buffered once the queue is through.
    pub fn expected(&self) -> TimeRanges {
        let mut all: Vec<(Seconds, Seconds)> = self.buffered.iter().map(|r| (r.start, r.end)).collect();
        for op in self.current.iter().chain(&self.queue) {
            match op {
                Op::Append { span: Some(span), .. } => all.push(*span),
                Op::Remove { start, end } => {
                    all = all
                        .iter()
                        .flat_map(|&(s, e)| [(s, e.min(*start)), (s.max(*end), e)])
                        .filter(|(s, e)| e > s)
                        .collect();
                }
                _ => {}
            }
        }
        // A handful, and nearly in order: the sort of the standard library would be 3 kB of code.
        for i in 1..all.len() {
            let mut at = i;
            while at > 0 && all[at].0 < all[at - 1].0 {
                all.swap(at, at - 1);
                at -= 1;
            }
        }
        let mut merged: Vec<(Seconds, Seconds)> = Vec::new();
        for (s, e) in all {
            match merged.last_mut() {
                Some(last) if s <= last.1 + SEAM => last.1 = last.1.max(e),
                _ => merged.push((s, e)),
            }
        }
        TimeRanges::from_pairs(merged)
    }

    /// Queues the initialization segment of the first piece to come: the browser sets up its decoders while that is on its way.
    pub fn begin(&mut self, (key, data): (InitKey, Vec<u8>)) {
        self.init = Some(key);
        let window = (0.0, f64::INFINITY);
        self.queue.push_back(Op::Append { data: data.into(), offset: 0.0, window, span: None });
    }

    /// Queues a piece, with what must come before it.
    pub fn append(&mut self, mut piece: Piece, offset: Seconds, window: (Seconds, Seconds), bandwidth: u64) {
        if ASKED && piece.raw {
            begin_at_zero(&mut piece, offset);
        }
        let is_new = self.init != Some(piece.init_key);
        if is_new && self.mid_element {
            self.abort();
        }
        if is_new && !same_decoder(&self.mime, &piece.mime) {
            self.queue.push_back(Op::ChangeType(piece.mime.clone()));
        }
        if is_new {
            self.mime = piece.mime.clone();
        }
        // WebKitGTK 2.50 drops sound whose times in the file lie before those that its parser began with.
        let raw = piece.start + piece.edit;
        if self.began.is_some_and(|t| raw < t) && !piece.init.is_empty() {
            self.abort();
        }
        if piece.end > piece.start {
            self.began.get_or_insert(raw);
        }
        if self.init != Some(piece.init_key) {
            self.init = Some(piece.init_key);
            if !piece.init.is_empty() {
                // One operation for both: each costs a turn of the browser's event loop.
                piece.data = [&piece.init[..], &piece.data].concat().into();
            }
        }
        let span = (piece.start + offset, piece.end + offset);
        let mut applied = offset - piece.edit;
        if ASKED && piece.raw {
            // Rounding of times moves nothing; the browser counts by samples.
            const SLACK: Seconds = 0.1;
            applied = match self.counted {
                Some((set, end)) if (end - span.0).abs() < SLACK => set,
                // Setting the same value again would begin no new count. (abort() would, but is refused after the end.)
                Some((set, _)) if set == span.0 => span.0 + 1e-6,
                Some(_) => span.0,
                None => span.0,
            };
            self.counted = Some((applied, span.1));
        }
        self.mid_element = piece.partial;
        if let Some(sync) = piece.first_sync.map(|t| t + offset).filter(|t| self.syncs.last() != Some(t)) {
            self.syncs.push(sync);
        }
        // Pictures are removed from one keyframe to another: no entry is to reach over one.
        let parts = self.id == BufferId::Video && piece.first_sync.is_some();
        self.note(span, piece.data.len() as u64, bandwidth, parts);
        // The end of a segment that is passed through brings no bytes of its own.
        if piece.data.is_empty() {
            return;
        }
        self.queue.push_back(Op::Append {
            data: piece.data,
            offset: applied,
            window,
            span: (span.1 > span.0).then_some(span),
        });
    }

    /// The media that was being appended breaks off here: what comes next is another segment.
    pub fn break_off(&mut self) {
        if self.mid_element {
            self.abort();
        }
    }

    /// The parser begins anew, with an initialization segment.
    fn abort(&mut self) {
        self.queue.push_back(Op::Abort);
        self.mid_element = false;
        self.began = None;
        self.counted = None;
        self.init = None;
    }

    fn note(&mut self, span: (Seconds, Seconds), bytes: u64, bandwidth: u64, parts: bool) {
        if let Some(last) = self.inventory.last_mut()
            && !parts
            && last.bandwidth == bandwidth
            && (last.end - span.0).abs() < SEAM
            && span.1 - last.start < 10.0
        {
            last.end = last.end.max(span.1);
            last.bytes += bytes;
            return;
        }
        self.inventory.push(Entry { start: span.0, end: span.1, bytes, bandwidth });
    }

    /// Queues a removal.
    pub fn remove(&mut self, start: Seconds, end: Seconds) {
        self.inventory.retain(|e| e.end <= start || e.start >= end);
        self.syncs.retain(|t| *t < start || *t >= end);
        let op = Op::Remove { start, end };
        // Appends that wait for room must not stand in the way of making it.
        if self.full {
            self.queue.push_front(op);
        } else {
            self.queue.push_back(op);
        }
    }

    /// Drops appends that wait and have not begun; those are fetched again when needed.
    pub fn drop_waiting(&mut self) {
        self.queue.retain(|op| !matches!(op, Op::Append { .. } | Op::Anew));
        // Whether the init segment went with them is not known: it is small, append it again.
        self.init = None;
        self.counted = self.counted.map(|(set, _)| (set, f64::NEG_INFINITY));
    }

    /// What was appended last is in place of media that the decoder may have taken: [`Self::anew`] tells when it is.
    pub fn mark_anew(&mut self) {
        self.queue.push_back(Op::Anew);
    }

    /// Starts the next operation, if none is under way.
    pub fn pump(&mut self, out: &mut VecDeque<Output>) {
        if self.busy() || (self.full && matches!(self.queue.front(), Some(Op::Append { .. }))) {
            return;
        }
        while let Some(Op::Anew) = self.queue.front() {
            self.queue.pop_front();
            self.anew = true;
        }
        let Some(mut op) = self.queue.pop_front() else { return };
        self.join_following(&mut op);
        let buffer = self.id;
        let command = match &mut op {
            Op::ChangeType(mime) => Command::ChangeType { buffer, mime: mime.to_string() },
            // The bytes go out with the command; a refused append is fetched again, see `failed`.
            Op::Append { data, offset, window, .. } => Command::Append {
                buffer,
                data: std::mem::take(data),
                timestamp_offset: *offset,
                window: *window,
            },
            Op::Remove { start, end } => Command::Remove { buffer, start: *start, end: *end },
            Op::Abort => Command::AbortBuffer { buffer },
            Op::Anew => return,
        };
        self.current = Some(op);
        out.push_back(Output::Command(command));
    }

    /// Appends that piled up while the browser was busy become one, up to some size.
    fn join_following(&mut self, op: &mut Op) {
        /// Bytes. Larger: fewer operations, later pictures.
        const MOST: usize = 512 * 1024;
        let Op::Append { data, offset, window, span } = op else { return };
        let mut total = data.len();
        let fits = |next: &&Op| match next {
            Op::Append { data, offset: o, window: w, .. } => {
                total += data.len();
                o == offset && w == window && total <= MOST
            }
            _ => false,
        };
        let count = self.queue.iter().take_while(fits).count();
        if count == 0 {
            return;
        }
        let mut joined = data.to_vec();
        for next in self.queue.drain(..count) {
            if let Op::Append { data, span: s, .. } = next {
                joined.extend_from_slice(&data);
                *span = match (*span, s) {
                    (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
                    (a, b) => a.or(b),
                };
            }
        }
        *data = joined.into();
    }

    /// The shell is done with the operation.
    pub fn done(&mut self, buffered: TimeRanges) {
        if matches!(self.current.take(), Some(Op::Remove { .. })) {
            self.full = false;
        }
        self.adding = false;
        self.buffered = buffered;
    }

    /// The shell could not do the operation.
    pub fn failed(&mut self) -> Option<Failed> {
        self.adding = false;
        match self.current.take() {
            Some(Op::Append { span, .. }) => Some(Failed::Append(span)),
            Some(Op::ChangeType(_)) => Some(Failed::ChangeType),
            _ => None,
        }
    }

    /// Where the media begins that waits to be appended.
    pub fn waits_from(&self) -> Option<Seconds> {
        self.queue.iter().find_map(|op| match op {
            Op::Append { span, .. } => span.map(|s| s.0),
            _ => None,
        })
    }

    /// Drops what waits and begins at `time` or later, types that were to be changed to included.
    pub fn drop_from(&mut self, time: Seconds) {
        self.queue.retain(|op| match op {
            Op::ChangeType(_) | Op::Append { span: None, .. } => false,
            Op::Append { span: Some(span), .. } => span.0 < time,
            Op::Remove { .. } | Op::Abort | Op::Anew => true,
        });
        self.init = None;
    }

    /// Bandwidth of what plays at `t`.
    pub fn bandwidth_at(&self, t: Seconds) -> Option<u64> {
        self.inventory.iter().rev().find(|e| t >= e.start && t < e.end).map(|e| e.bandwidth)
    }

    /// Bytes appended from `start` to `end`, about.
    pub fn bytes_between(&self, start: Seconds, end: Seconds) -> u64 {
        let share = |e: &Entry| (e.end.min(end) - e.start.max(start)) / (e.end - e.start).max(1e-3);
        self.inventory.iter().map(|e| (e.bytes as f64 * share(e).clamp(0.0, 1.0)) as u64).sum()
    }

    /// The last place at or before `t` from which what follows can be decoded: what lies before it can be removed. (Removal in the
    /// middle of a group of pictures takes the rest of it along, MSE §3.5.9.)
    pub fn sync_before(&self, t: Seconds) -> Option<Seconds> {
        self.syncs.iter().copied().filter(|s| *s <= t).reduce(f64::max)
    }

    /// Seconds that could be evicted behind `t`.
    pub fn behind(&self, t: Seconds) -> Seconds {
        self.buffered.bounds().map_or(0.0, |b| t - b.start)
    }
}

/// Leaves out frames of MPEG audio that would come before 0: WebKitGTK 2.50 loses all sound that follows such a one.
fn begin_at_zero(piece: &mut Piece, offset: Seconds) {
    while piece.start + offset < 0.0
        && let Some(header) = piece.data.first_chunk().and_then(MpegAudioHeader::parse)
        && usize::from(header.frame_size) < piece.data.len()
    {
        piece.data.advance(header.frame_size.into());
        piece.start += f64::from(header.samples()) / f64::from(header.sampling_rate);
    }
}

/// Whether the decoder that was set up for one type takes the other with a new initialization segment only: the same
/// container, and the same codecs up to profile and level.
fn same_decoder(a: &str, b: &str) -> bool {
    fn essence(mime: &str) -> impl Iterator<Item = &str> {
        mime.split([';', ',']).map(|part| {
            let part = part.trim_ascii();
            let part = part.strip_prefix("codecs=").unwrap_or(part).trim_matches('"');
            // An in-band parameter set variant (avc3, hev1) uses the same decoder, yet engines want to be told.
            part.split('.').next().unwrap_or(part)
        })
    }
    essence(a).eq(essence(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(key: InitKey, mime: &str, start: f64, end: f64) -> Piece {
        Piece {
            buffer: BufferId::Video,
            init_key: key,
            mime: mime.into(),
            init: Rc::from(&b"init,"[..]),
            data: b"media,".to_vec().into(),
            start,
            end,
            edit: 0.0,
            first_sync: Some(start),
            partial: false,
            raw: false,
        }
    }

    fn run(buffer: &mut Buffer) -> Vec<Command> {
        let mut all = Vec::new();
        loop {
            let mut out = VecDeque::new();
            buffer.pump(&mut out);
            let Some(Output::Command(c)) = out.pop_front() else { return all };
            all.push(c);
            buffer.done(TimeRanges::default());
        }
    }

    #[test]
    fn an_init_segment_comes_once_and_a_type_change_before_another_codec() {
        let (avc, vp9) = ("video/mp4; codecs=\"avc1.64001f\"", "video/mp4; codecs=\"vp09.00.10.08\"");
        let mut b = Buffer::add(BufferId::Video, avc.into(), &mut VecDeque::new());
        b.done(TimeRanges::default());
        let always = (0.0, f64::INFINITY);
        b.append(piece((1, 0), avc, 0.0, 1.0), 5.0, always, 1);
        b.append(piece((1, 0), avc, 1.0, 2.0), 5.0, always, 1);
        b.append(piece((2, 0), "video/mp4; codecs=\"avc1.4d401e\"", 2.0, 3.0), 5.0, always, 1);
        b.append(piece((3, 0), vp9, 3.0, 4.0), 5.0, always, 1);
        assert_eq!(b.expected(), TimeRanges::from_pairs([(5.0, 9.0)]));
        let said: Vec<String> = run(&mut b)
            .iter()
            .map(|c| match c {
                Command::Append { data, .. } => String::from_utf8_lossy(data).into_owned(),
                Command::ChangeType { mime, .. } => mime.clone(),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(said, ["init,media,media,init,media,", vp9, "init,media,"], "what waits is joined");
    }

    #[test]
    fn raw_frames_before_zero_are_left_out() {
        // MPEG-1 layer 3, 128 kbit/s, 48 kHz: 384 bytes and 24 ms each.
        let frame: Vec<u8> = [0xff, 0xfb, 0x94, 0x00].into_iter().chain([0; 380]).collect();
        let mut b = Buffer::add(BufferId::Audio, "audio/mpeg".into(), &mut VecDeque::new());
        b.done(TimeRanges::default());
        let mut raw = piece((1, 0), "audio/mpeg", 1.0, 1.096);
        (raw.raw, raw.init, raw.data) = (true, Rc::from(&b""[..]), frame.repeat(4).into());
        b.append(raw, -1.03, (0.0, f64::INFINITY), 1);
        let [Command::Append { data, timestamp_offset, .. }] = &run(&mut b)[..] else { panic!("one append") };
        assert_eq!(data.len(), 2 * 384);
        assert!((timestamp_offset - 0.018).abs() < 1e-9, "{timestamp_offset}");
    }

    #[test]
    fn what_is_expected_counts_queued_appends_and_removals() {
        let mut b = Buffer::add(BufferId::Audio, "audio/mp4".into(), &mut VecDeque::new());
        b.done(TimeRanges::from_pairs([(0.0, 10.0)]));
        b.remove(4.0, f64::INFINITY);
        b.append(piece((1, 0), "audio/mp4", 4.0, 6.0), 0.0, (0.0, f64::INFINITY), 1);
        assert_eq!(b.expected(), TimeRanges::from_pairs([(0.0, 6.0)]));
    }
}
