//! Samples of any container become fragmented MP4 for Media Source Extensions (ISO/IEC 14496-12 §8.8).
//!
//! Import rule: `container` and what that may import.
//!
//! A demuxer writes each sample's bytes straight into the buffer that becomes the payload of `mdat`. Room is kept in front of
//! it, into which `moof` is written once the samples are known: media is copied once on its way through the core. The codecs that
//! MP4 does not carry go out as WebM in the same way: there, room is kept in front of each sample.

mod boxes;
mod timing;
#[cfg(feature = "webm")]
mod webm;

use crate::bytes::{ByteWriter, MediaBytes};
use crate::container::{Metadata, Sample, Sink, TrackId, TrackInfo, TrackKind, captions};
use crate::time::{Seconds, Ticks, Timescale};

use timing::{Clock, Opening};

/// Room for `moof` in front of the payload, in bytes: the header of about 500 samples of video with B-frames. Where a fragment
/// needs more, its payload is moved once and the room grows for the ones to come.
const HEADROOM: usize = 4096;

/// The same for the header of a cluster.
const CLUSTER_HEADROOM: usize = 32;

/// Payload of one fragment at most, in bytes; keeps every size and offset in 31 bits. What is over goes into the next one.
const MAX_PAYLOAD: u64 = 1 << 30;

/// Capacity that a new buffer gets at most from the size of the one before, in bytes: saves the copies of growing and does
/// not keep the memory of one huge segment.
const MAX_CAPACITY_HINT: usize = 1 << 20;

/// Warnings kept until they are taken.
const MAX_WARNINGS: usize = 64;

/// Something that was skipped or put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Bytes from the start of the input since the demuxer's last reset; `None` where the muxer noticed it.
    pub offset: Option<u64>,
    /// In words.
    pub what: &'static str,
}

/// What a track is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// Fragmented MP4: `moof` + `mdat`.
    Mp4,
    /// WebM: clusters of blocks.
    Webm,
}

impl Wrapping {
    /// What tracks are written as unless [`Muxer::set_wrapping`] says otherwise: MP4 if it has a sample entry. `None`: nothing
    /// carries it.
    pub fn of(info: &TrackInfo) -> Option<Self> {
        [Self::Mp4, Self::Webm].into_iter().find(|w| w.carries(info))
    }

    /// Whether the track can be written so.
    pub fn carries(self, info: &TrackInfo) -> bool {
        match self {
            Self::Mp4 => !info.sample_entry.is_empty(),
            #[cfg(feature = "webm")]
            Self::Webm => webm::carries(info),
            #[cfg(not(feature = "webm"))]
            Self::Webm => false,
        }
    }

    /// Bytes kept free in front of each sample.
    fn gap(self) -> usize {
        match self {
            Self::Mp4 => 0,
            #[cfg(feature = "webm")]
            Self::Webm => webm::BLOCK_HEADER,
            #[cfg(not(feature = "webm"))]
            Self::Webm => 0,
        }
    }
}

/// One `moof` + `mdat`, or cluster, of one track.
#[derive(Clone, Debug, PartialEq)]
pub struct Fragment {
    /// Both boxes, or the cluster.
    pub data: MediaBytes,
    /// Counts the parameter sets of the track from 0. Where it differs from the fragment before (or is the first), the
    /// init segment of [`Muxer::init_segment`] is appended before `data`.
    pub generation: u32,
    /// Decoding time of the first sample in ticks, as written: never negative.
    pub first_dts: Ticks,
    /// Earliest presentation time in ticks.
    pub first_pts: Ticks,
    /// Latest presentation time plus duration in ticks.
    pub end: Ticks,
    /// How many samples.
    pub samples: u32,
    /// Whether the first one, in decoding order, is a sync sample.
    pub starts_with_sync: bool,
    /// Presentation time of the first sync sample in ticks.
    pub first_sync: Option<Ticks>,
}

impl Fragment {
    /// All of it, as one slice.
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }
}

/// A sample as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// Never negative; increases within a fragment.
    dts: Ticks,
    pts: Ticks,
    duration: u32,
    /// Whether `duration` is final or still waits for the next sample.
    timed: bool,
    /// Whether the time line breaks before it, so that it starts a fragment.
    breaks: bool,
    /// Whether `duration` is too short, as `Opening` moved its decoding time.
    short: bool,
    sync: bool,
    size: u32,
}

impl Entry {
    /// `sample_composition_time_offset`, signed (§8.8.8.2); saturates.
    fn composition_offset(&self) -> i32 {
        self.pts.saturating_sub(self.dts).clamp(i32::MIN.into(), i32::MAX.into()) as i32
    }
}

/// Samples that share one sample entry, with their payload.
#[derive(Debug)]
struct Run {
    info: TrackInfo,
    generation: u32,
    samples: Vec<Entry>,
    /// `headroom` unused bytes, the payload of `samples`, then what is written of the next sample. Empty before the first use.
    buffer: Vec<u8>,
    headroom: usize,
    /// Where the payload of the next sample begins in `buffer`.
    done: usize,
    wrapping: Wrapping,
}

impl Run {
    fn new(info: TrackInfo, generation: u32, headroom: usize, wrapping: Wrapping) -> Self {
        Self { info, generation, samples: Vec::new(), buffer: Vec::new(), headroom, done: 0, wrapping }
    }

    fn payload(&mut self) -> &mut Vec<u8> {
        if self.buffer.is_empty() {
            self.start_buffer(&[], 0);
            self.keep_gap();
        }
        &mut self.buffer
    }

    /// Keeps room in front of the next sample.
    fn keep_gap(&mut self) {
        self.buffer.resize(self.buffer.len() + self.wrapping.gap(), 0);
        self.done = self.buffer.len();
    }

    /// Bytes of the samples with the room in front of each.
    fn length(&self, samples: &[Entry]) -> usize {
        samples.iter().map(|e| e.size as usize + self.wrapping.gap()).sum()
    }

    /// Lays out what has been written for another wrapping.
    fn rewrap(&mut self, wrapping: Wrapping) {
        let old = std::mem::replace(&mut self.wrapping, wrapping);
        if old == wrapping || self.buffer.is_empty() {
            return;
        }
        let written = self.start_buffer(&[], 0);
        self.keep_gap();
        let mut at = self.headroom;
        for i in 0..self.samples.len() {
            at += old.gap();
            let end = at.saturating_add(self.samples[i].size as usize);
            self.buffer.extend_from_slice(written.get(at..end).unwrap_or_default());
            self.keep_gap();
            at = end;
        }
        self.buffer.extend_from_slice(written.get(at + old.gap()..).unwrap_or_default());
    }

    /// Replaces the buffer by a new one that begins with `rest`, which counts as not completed.
    fn start_buffer(&mut self, rest: &[u8], capacity_hint: usize) -> Vec<u8> {
        let mut next =
            Vec::with_capacity(self.headroom + rest.len().max(capacity_hint.min(MAX_CAPACITY_HINT)));
        next.resize(self.headroom, 0);
        next.extend_from_slice(rest);
        self.done = self.headroom;
        std::mem::replace(&mut self.buffer, next)
    }
}

/// One track of the muxer.
#[derive(Debug)]
struct Track {
    id: TrackId,
    /// By `set_wrapping`.
    chosen: Option<Wrapping>,
    /// Never empty. The first one gives out fragments, the last one takes samples.
    runs: Vec<Run>,
    clock: Clock,
    opening: Opening,
    sequence: u32,
}

impl Track {
    fn last(&mut self) -> &mut Run {
        self.runs.last_mut().expect("a track has a run from its start, and the last one stays")
    }
}

/// Rewrites samples as fragmented MP4 or WebM, one track per SourceBuffer.
///
/// It is the [`Sink`] of a demuxer. After each `push`, `take_fragment` gives out what has become complete. Time stamps are written as
/// they come: edit lists are not, so the presenter applies [`TrackInfo::edit_start`] itself. Two things differ from the
/// input where they must: decoding times that are negative (not representable in `tfdt`) or that do not increase are moved
/// forward, with composition offsets that keep the presentation times exact.
///
/// Auxiliary information of encrypted samples is not carried over.
#[derive(Debug, Default)]
pub struct Muxer {
    /// As the init segments describe them; same order as `states`.
    infos: Vec<TrackInfo>,
    states: Vec<Track>,
    opens: Seconds,
    complete: bool,
    warnings: Vec<Warning>,
    asides: Vec<Aside>,
    /// Takes payload that belongs to no known track.
    stray: Vec<u8>,
}

/// What is to be known of the samples besides.
#[derive(Clone, Debug, PartialEq)]
pub enum Aside {
    /// Data that goes along with them, and its presentation time in seconds of the media (`None`: from where it came on).
    Data(Option<Seconds>, Metadata),
    /// Sound did not follow what came before it; times in seconds of the media.
    Sound {
        /// Where what came before ends.
        from: Seconds,
        /// Where the sound goes on: behind that, and what lies between is silence; or before that, and what comes twice is
        /// dropped.
        to: Seconds,
    },
}

/// Asides that are kept until they are taken: the captions of ten seconds. Larger: memory where nobody takes them.
const MAX_ASIDES: usize = 600;

impl Muxer {
    /// No tracks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Samples that are presented before this time (seconds of the media, by its edit list), and come first after a reset, open the
    /// presentation: nothing of it is decoded before its first sample is presented.
    ///
    /// The decoding times of reordered pictures begin before the first presentation time. Where that is moved to 0, they become
    /// negative, and WebKit (2.50) drops such frames and all that depend on them; it does not take negative composition offsets
    /// either (it moves presentation times then). So the first few decoding times are pressed together instead.
    pub fn set_opens(&mut self, before: Seconds) {
        self.opens = before;
    }

    /// The tracks seen so far.
    pub fn tracks(&self) -> &[TrackInfo] {
        &self.infos
    }

    /// Whether all tracks that the headers announce are there.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// What was noted since the last call; at most a few dozen are kept.
    pub fn take_warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.warnings)
    }

    /// What goes along with the samples and came since the last call; the first `MAX_ASIDES` of it.
    pub fn take_asides(&mut self) -> Vec<Aside> {
        std::mem::take(&mut self.asides)
    }

    /// Chooses what a track is written as, if that can carry it; [`Wrapping::of`] is the default. Best before its first fragment is
    /// taken; samples that wait are copied.
    pub fn set_wrapping(&mut self, track: TrackId, wrapping: Wrapping) -> bool {
        let Some(state) = self.states.iter_mut().find(|t| t.id == track) else { return false };
        if !state.runs.iter().all(|run| wrapping.carries(&run.info)) {
            return false;
        }
        state.chosen = Some(wrapping);
        state.runs.iter_mut().for_each(|run| run.rewrap(wrapping));
        true
    }

    /// `ftyp` + `moov`, or the header of WebM, with one track. It goes with the fragment taken last or, before the first, with the one
    /// to come. `None` for an unknown track or one that nothing carries.
    pub fn init_segment(&self, track: TrackId) -> Option<Vec<u8>> {
        let index = self.states.iter().position(|t| t.id == track)?;
        let info = self.infos.get(index)?;
        let wrapping = self.states[index].runs.first()?.wrapping;
        if !wrapping.carries(info) {
            return None;
        }
        match wrapping {
            Wrapping::Mp4 => Some(boxes::init_segment(info)),
            #[cfg(feature = "webm")]
            Wrapping::Webm => webm::init_segment(info),
            #[cfg(not(feature = "webm"))]
            Wrapping::Webm => None,
        }
    }

    /// All samples of the track that are complete, as one fragment; `None` if there are none. A change of parameters or a break
    /// in the time line ends a fragment early, and so does the span of a cluster: call until `None`. The last sample is held back as
    /// long as its duration depends on the next, and pictures as long as others are to be presented between them; with `flush`, at
    /// the end of a segment, all come, and the last one lasts as long as the one before.
    pub fn take_fragment(&mut self, track: TrackId, flush: bool) -> Option<Fragment> {
        let index = self.states.iter().position(|t| t.id == track)?;
        let state = &mut self.states[index];
        while state.runs.len() > 1 && state.runs[0].samples.is_empty() {
            state.runs.remove(0);
            self.infos[index] = state.runs[0].info.clone();
        }
        let last_run = state.runs.len() == 1;
        let run = &mut state.runs[0];
        let mut payload = 0u64;
        let mut count = 0;
        let mut ends = flush || !last_run;
        for (i, e) in run.samples.iter().enumerate() {
            if i > 0 && (e.breaks || payload + u64::from(e.size) > MAX_PAYLOAD) {
                ends = true;
                break;
            }
            if !e.timed && !ends && i + 1 == run.samples.len() {
                break;
            }
            payload += u64::from(e.size) + run.wrapping.gap() as u64;
            count += 1;
        }
        if !ends {
            count = timing::without_holes(&run.samples, count);
        }
        #[cfg(feature = "webm")]
        if run.wrapping == Wrapping::Webm {
            count = webm::fitting(&run.samples[..count], run.info.timescale);
        }
        let rest_of_samples = run.samples.split_off(count);
        let taken = std::mem::replace(&mut run.samples, rest_of_samples);
        let first = *taken.first()?;
        state.sequence = state.sequence.wrapping_add(1);

        let payload = run.length(&taken);
        let mut header = ByteWriter::append_to(Vec::with_capacity(160 + 16 * count));
        match run.wrapping {
            Wrapping::Mp4 => {
                boxes::fragment_header(&mut header, track.0, state.sequence, &taken, payload as u32);
            }
            #[cfg(feature = "webm")]
            Wrapping::Webm => {
                let bytes = run.buffer.get_mut(run.headroom..run.headroom + payload).unwrap_or_default();
                webm::cluster(&mut header, &taken, run.info.timescale, bytes);
            }
            #[cfg(not(feature = "webm"))]
            Wrapping::Webm => {}
        }
        let data = run.split_payload(payload, header.as_slice());
        Some(Fragment {
            data,
            generation: run.generation,
            first_dts: first.dts,
            first_pts: taken.iter().map(|e| e.pts).min().unwrap_or(first.pts),
            end: taken.iter().map(|e| e.pts.saturating_add(e.duration.into())).max().unwrap_or(first.pts),
            samples: count as u32,
            starts_with_sync: first.sync,
            first_sync: taken.iter().find(|e| e.sync).map(|e| e.pts),
        })
    }

    /// Forgets all samples, taken or not, for a seek or a segment that does not follow. Tracks and generations stay.
    pub fn reset(&mut self) {
        for (state, info) in self.states.iter_mut().zip(&mut self.infos) {
            if let Some(run) = state.runs.pop() {
                info.clone_from(&run.info);
                state.runs = vec![Run::new(run.info, run.generation, run.headroom, run.wrapping)];
            }
            state.clock = Clock::default();
            state.opening = Opening::default();
        }
        self.asides.clear();
        self.stray = Vec::new();
    }

    fn aside(&mut self, aside: Aside) {
        if self.asides.len() < MAX_ASIDES {
            self.asides.push(aside);
        } else {
            self.warn(None, "more metadata than is kept");
        }
    }

    fn warn(&mut self, offset: Option<u64>, what: &'static str) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(Warning { offset, what });
        }
    }
}

impl Run {
    /// Cuts the first `payload` bytes off, with `header` in front of them.
    fn split_payload(&mut self, payload: usize, header: &[u8]) -> MediaBytes {
        let room = self.headroom;
        let end = (room + payload).min(self.buffer.len());
        let completed = self.done.saturating_sub(end);
        let rest = self.buffer.split_off(end);
        if header.len() > room {
            self.headroom = header.len().next_power_of_two();
        }
        let mut data = self.start_buffer(&rest, payload);
        self.done += completed;
        match room.checked_sub(header.len()) {
            Some(start) if data.len() >= room => {
                data[start..room].copy_from_slice(header);
                MediaBytes::new(data, start)
            }
            _ => {
                data.splice(..room.min(data.len()), header.iter().copied());
                data.into()
            }
        }
    }
}

impl Sink for Muxer {
    fn track(&mut self, info: TrackInfo) {
        let Some(index) = self.states.iter().position(|t| t.id == info.id) else {
            let wrapping = Wrapping::of(&info).unwrap_or(Wrapping::Mp4);
            let headroom = match wrapping {
                Wrapping::Mp4 => HEADROOM,
                Wrapping::Webm => CLUSTER_HEADROOM,
            };
            let run = Run::new(info.clone(), 0, headroom, wrapping);
            self.states.push(Track {
                id: info.id,
                chosen: None,
                runs: vec![run],
                clock: Clock::default(),
                opening: Opening::default(),
                sequence: 0,
            });
            self.infos.push(info);
            return;
        };
        let state = &mut self.states[index];
        let chosen = state.chosen;
        let run = state.last();
        let old = &run.info;
        let same_init = (old.kind, old.timescale) == (info.kind, info.timescale)
            && old.sample_entry == info.sample_entry
            && old.codec_private == info.codec_private;
        let chosen = chosen.filter(|w| w.carries(&info)).or_else(|| Wrapping::of(&info));
        let wrapping = chosen.unwrap_or(run.wrapping);
        let recounted = old.timescale != info.timescale;
        if same_init || run.samples.is_empty() {
            run.generation += u32::from(!same_init);
            run.info = info;
            run.rewrap(wrapping);
        } else {
            // What is written of the next sample belongs to the new parameters.
            let mut next = Run::new(info, run.generation + 1, run.headroom, wrapping);
            let partial = run.buffer.split_off(run.done.min(run.buffer.len()));
            next.payload().extend_from_slice(&partial);
            state.runs.push(next);
        }
        if recounted {
            // What it remembers is in ticks of another length.
            state.clock = Clock::default();
            state.opening = Opening::default();
        }
        if state.runs.len() == 1 {
            self.infos[index].clone_from(&state.runs[0].info);
        }
    }

    fn tracks_complete(&mut self) {
        self.complete = true;
    }

    fn metadata(&mut self, track: Option<TrackId>, at: Option<Ticks>, data: Metadata) {
        let info = track.and_then(|id| self.infos.iter().find(|t| t.id == id));
        let at = at.map(|at| match info {
            Some(info) => info.timescale.seconds(at.saturating_sub(info.edit_start)),
            None => Timescale::MPEG.seconds(at),
        });
        self.aside(Aside::Data(at, data));
    }

    fn buffer(&mut self, track: TrackId) -> &mut Vec<u8> {
        match self.states.iter_mut().find(|t| t.id == track) {
            Some(state) => state.last().payload(),
            None => &mut self.stray,
        }
    }

    fn sample(&mut self, track: TrackId, mut sample: Sample) {
        // Of several tracks with pictures the first one is played.
        let shown = self.infos.iter().find(|t| t.kind == TrackKind::Video).is_some_and(|t| t.id == track);
        let pts = sample.pts;
        let Some(state) = self.states.iter_mut().find(|t| t.id == track) else {
            self.stray.clear();
            return self.warn(None, "a sample of an unknown track was dropped");
        };
        let Track { runs, clock, opening, .. } = state;
        let (run, earlier) = runs.split_last_mut().expect("a track has a run from its start");
        let short = opening.press(&run.info, &mut sample, self.opens);
        run.payload();
        let written = run.buffer.len().saturating_sub(run.done);
        let size = written.min(sample.size as usize);
        // The sample is the last bytes written; what the demuxer left before them is not part of it.
        if size < written {
            run.buffer.drain(run.done..run.done + (written - size));
        }
        let (drop, uneven) = clock.unevenness(&run.info, &sample);
        let seconds = |ticks: Ticks| run.info.timescale.seconds(ticks.saturating_sub(run.info.edit_start));
        let sound = uneven.map(|(from, to)| Aside::Sound { from: seconds(from), to: seconds(to) });
        if drop {
            run.buffer.truncate(run.done);
            return sound.into_iter().for_each(|aside| self.aside(aside));
        }
        let captions = if shown { captions(&run.info, &run.buffer[run.done..]) } else { Vec::new() };
        let previous = run.samples.last_mut().or_else(|| earlier.last_mut()?.samples.last_mut());
        let (mut entry, timing_warning) = clock.place(&run.info, &sample, previous);
        entry.size = size as u32;
        entry.short = short;
        run.samples.push(entry);
        run.keep_gap();
        if size < sample.size as usize {
            self.warn(None, "a sample is larger than its bytes");
        }
        if let Some(what) = timing_warning {
            self.warn(None, what);
        }
        sound.into_iter().for_each(|aside| self.aside(aside));
        if !captions.is_empty() {
            self.metadata(Some(track), Some(pts), Metadata::Captions(captions));
        }
    }

    fn warning(&mut self, offset: u64, what: &'static str) {
        self.warn(Some(offset), what);
    }
}

#[cfg(test)]
mod tests;
