//! WebM and Matroska as a stream of samples (RFC 9559), in files and in streams without an end.
//!
//! Segment and Cluster are entered and their ends hardly looked for: all other elements that matter have ids of their own, so
//! that unknown sizes, media segments without a header and cut files need no special care. Damage shows by elements that
//! cannot be where they are; reading then goes on with the next Cluster.
//!
//! Time stamps are the container's, in its own ticks (a millisecond, as a rule), also of audio: nothing is smoothed, so that they never
//! drift. Frames of a lace lie side by side in the time of their block. Decoding times: see `reorder`.

mod blocks;

use blocks::{Group, Head, Held};

use super::cues::DEFAULT_SCALE;
use super::ebml::{self, Read, id};
use super::malformed;
use super::tracks::{self, Track};
use crate::container::{Demuxer, Metadata, Sink};
use crate::error::{PlayerError, Result};
use crate::time::Timescale;

/// Largest frame, in bytes: one of 8K video has some megabytes. It is written to the sink as it comes.
const MAX_FRAME: u64 = 64 << 20;

/// Largest element that is kept until it is complete, in bytes: Tracks with fonts for subtitles in CodecPrivate, laces.
const MAX_COLLECT: u64 = 16 << 20;

/// Largest element of an unknown id in a cluster, in bytes; what claims more is damage.
const MAX_UNKNOWN: u64 = 64 << 10;

/// Bytes in which no Cluster is found after damage, before the rest is given up.
const MAX_RESYNC: u64 = 64 << 20;

/// Tracks taken from a file; more are ignored.
const MAX_TRACKS: usize = 64;

/// Tags given on as metadata at most.
const MAX_TAGS: usize = 64;

/// Nanoseconds of media after which a track that has had no frame is taken to have none.
const PATIENCE: u64 = 2_000_000_000;

/// Reads WebM and Matroska.
#[derive(Debug)]
pub struct WebmDemuxer {
    state: State,
    /// Bytes of a header or of an element that is kept until it is complete.
    pending: Vec<u8>,
    /// With fewer bytes pending, there is nothing to be done.
    need: usize,
    /// Bytes consumed since the last reset, those pending not counted.
    pos: u64,
    timestamp_scale: u64,
    tracks: Vec<Track>,
    /// Whether the sink was told that the tracks are complete.
    complete: bool,
    /// Time of the first block since Tracks, in nanoseconds.
    first_time: Option<u64>,
    /// In a cluster, whose time follows.
    in_cluster: bool,
    /// Of the current cluster, in units of the file.
    cluster: Option<u64>,
    /// Where it ends, if it tells.
    cluster_end: Option<u64>,
    group: Option<Group>,
}

#[derive(Debug)]
enum State {
    /// Between elements.
    Header,
    /// In an element that is passed over.
    Skip(u64),
    /// In one that is read as a whole.
    Collect { id: u32, size: usize },
    /// At the start of a block of so many bytes.
    Block(u64),
    /// In the only frame of a block, which is written as it comes.
    Frame { head: Head, left: u64, size: u32 },
    /// In a block that is read as a whole.
    Lace { head: Head, size: usize },
    /// After damage, or in an element that may be damage (`doubtful`): the last four bytes, and how many are left to look at.
    Resync { window: u32, left: u64, doubtful: bool },
    /// After the id of a Cluster that was found so.
    Found,
    /// Nothing more is read.
    Failed(Box<PlayerError>),
}

/// What a step gives.
enum Step {
    /// It came on.
    Again,
    /// So many bytes are needed at once.
    Needs(usize),
}

impl Default for WebmDemuxer {
    fn default() -> Self {
        Self {
            state: State::Header,
            pending: Vec::new(),
            need: 0,
            pos: 0,
            timestamp_scale: DEFAULT_SCALE,
            tracks: Vec::new(),
            complete: false,
            first_time: None,
            in_cluster: false,
            cluster: None,
            cluster_end: None,
            group: None,
        }
    }
}

/// Whether an element stands at the top of a file or of its Segment. Those of one byte (Void, CRC-32) are not worth the doubt.
fn is_top(id: u32) -> bool {
    use id::{ATTACHMENTS, CHAPTERS, CLUSTER, CUES, EBML, INFO, SEEK_HEAD, SEGMENT, TAGS, TRACKS};
    [EBML, SEGMENT, SEEK_HEAD, INFO, TRACKS, CLUSTER, CUES, CHAPTERS, TAGS, ATTACHMENTS].contains(&id)
}

impl Demuxer for WebmDemuxer {
    fn push(&mut self, chunk: &[u8], sink: &mut dyn Sink) -> Result<()> {
        if let State::Failed(error) = &self.state {
            return Err((**error).clone());
        }
        self.read(chunk, sink).inspect_err(|error| {
            self.drop_partial(sink);
            self.pending = Vec::new();
            self.state = State::Failed(Box::new(error.clone()));
        })
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> Result<()> {
        let between = matches!(self.state, State::Header | State::Failed(_)) && self.pending.is_empty();
        let group_done = self.group.as_ref().is_none_or(|g| g.end == self.pos);
        if between && group_done {
            self.end_group(sink);
        } else {
            sink.warning(self.pos, "the file ends within an element");
        }
        self.forget_position(sink);
        self.complete_tracks(sink);
        Ok(())
    }

    fn reset(&mut self) {
        self.pending.clear();
        self.need = 0;
        self.pos = 0;
        self.state = State::Header;
        (self.in_cluster, self.cluster, self.cluster_end, self.group) = (false, None, None, None);
        self.tracks.iter_mut().for_each(Track::reset);
    }
}

impl WebmDemuxer {
    fn read(&mut self, mut chunk: &[u8], sink: &mut dyn Sink) -> Result<()> {
        loop {
            if self.pending.is_empty() {
                if let Step::Needs(n) = self.step(&mut chunk, sink)? {
                    self.pending.extend_from_slice(chunk);
                    self.need = n;
                    return Ok(());
                }
                continue;
            }
            let missing = self.need.saturating_sub(self.pending.len());
            let (part, rest) = chunk.split_at(missing.min(chunk.len()));
            self.pending.extend_from_slice(part);
            chunk = rest;
            if self.pending.len() < self.need {
                return Ok(());
            }
            let mut pending = std::mem::take(&mut self.pending);
            let mut left = &pending[..];
            let step = self.step(&mut left, sink)?;
            let taken = pending.len() - left.len();
            pending.drain(..taken);
            self.pending = pending;
            if let Step::Needs(n) = step {
                self.need = n;
                if chunk.is_empty() {
                    return Ok(());
                }
            }
        }
    }

    fn take<'a>(&mut self, bytes: &mut &'a [u8], n: usize) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(n.min(bytes.len()));
        *bytes = rest;
        self.pos += taken.len() as u64;
        taken
    }

    fn step(&mut self, bytes: &mut &[u8], sink: &mut dyn Sink) -> Result<Step> {
        match self.state {
            State::Header => {
                if self.group.as_ref().is_some_and(|g| g.end <= self.pos) {
                    self.end_group(sink);
                }
                match ebml::header(bytes) {
                    Read::Short => return Ok(Step::Needs(bytes.len() + 1)),
                    // After a seek without an index the first bytes are of anything, and look like an element often enough.
                    Read::Got(header) if self.pos == 0 && !self.tracks.is_empty() && !is_top(header.id) => {
                        self.damage("reading begins inside an element", sink)?;
                        self.take(bytes, 1);
                    }
                    Read::Bad => {
                        let first = bytes.first().copied().unwrap_or(0);
                        self.damage("no EBML element where one must be", sink)?;
                        self.state =
                            State::Resync { window: first.into(), left: MAX_RESYNC, doubtful: false };
                        self.take(bytes, 1);
                    }
                    Read::Got(header) => {
                        self.take(bytes, header.len);
                        self.enter(header, sink)?;
                    }
                }
            }
            State::Skip(left) => {
                if bytes.is_empty() && left > 0 {
                    return Ok(Step::Needs(1));
                }
                let n = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                self.take(bytes, n);
                self.state = if left == n as u64 { State::Header } else { State::Skip(left - n as u64) };
            }
            State::Collect { id, size } => {
                let Some(content) = bytes.get(..size) else { return Ok(Step::Needs(size)) };
                self.state = State::Header;
                self.element(id, content, sink)?;
                self.take(bytes, size);
            }
            State::Block(size) => return self.block(bytes, size, sink),
            State::Frame { head, left, size } => {
                if bytes.is_empty() && left > 0 {
                    return Ok(Step::Needs(1));
                }
                let n = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let part = self.take(bytes, n);
                sink.buffer(self.tracks[head.track].info.id).extend_from_slice(part);
                let (left, size) = (left - n as u64, size + n as u32);
                self.state = State::Frame { head, left, size };
                if left == 0 {
                    self.state = State::Header;
                    match &mut self.group {
                        Some(group) => group.block = Held::Written(head, size),
                        None => self.written(head, size, None, 0, sink),
                    }
                }
            }
            State::Lace { head, size } => {
                let Some(content) = bytes.get(..size) else { return Ok(Step::Needs(size)) };
                self.state = State::Header;
                match &mut self.group {
                    Some(group) => group.block = Held::Whole(head, content.to_vec()),
                    None => self.whole(head, content, None, 0, sink),
                }
                self.take(bytes, size);
            }
            State::Resync { mut window, left, doubtful } => {
                if left == 0 && doubtful {
                    self.state = State::Header;
                    return Ok(Step::Again);
                }
                if left == 0 {
                    return Err(malformed("No cluster follows after damage", self.pos));
                }
                if bytes.is_empty() {
                    return Ok(Step::Needs(1));
                }
                let mut looked = 0;
                for &b in bytes.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
                    window = window << 8 | u32::from(b);
                    looked += 1;
                    if window == id::CLUSTER {
                        break;
                    }
                }
                self.take(bytes, looked);
                self.state = State::Resync { window, left: left - looked as u64, doubtful };
                if window == id::CLUSTER {
                    if doubtful {
                        self.damage("a cluster where none can be", sink)?;
                    }
                    self.state = State::Found;
                }
            }
            State::Found => match ebml::vint(bytes) {
                Some((size, n)) => {
                    self.take(bytes, n);
                    let size = (size != (1 << (7 * n)) - 1).then_some(size);
                    self.enter_cluster(size);
                    self.state = State::Header;
                }
                None if bytes.first() == Some(&0) => {
                    self.state = State::Resync { window: 0, left: MAX_RESYNC, doubtful: false };
                }
                None => return Ok(Step::Needs(bytes.len() + 1)),
            },
            State::Failed(ref error) => return Err((**error).clone()),
        }
        Ok(Step::Again)
    }

    /// Something is not as it must be: goes on with the next Cluster, or gives up where none has come.
    fn damage(&mut self, what: &'static str, sink: &mut dyn Sink) -> Result<()> {
        if self.tracks.is_empty() {
            return Err(malformed(what, self.pos));
        }
        sink.warning(self.pos, what);
        self.drop_partial(sink);
        (self.in_cluster, self.cluster, self.cluster_end) = (false, None, None);
        self.state = State::Resync { window: 0, left: MAX_RESYNC, doubtful: false };
        Ok(())
    }

    /// Takes back what is written of a frame that will not be completed.
    fn drop_partial(&mut self, sink: &mut dyn Sink) {
        let mut partial = None;
        if let State::Frame { head, size, .. } = self.state {
            partial = Some((head.track, size));
        }
        if let Some(Group { block: Held::Written(head, size), .. }) = self.group.take() {
            partial = Some((head.track, size));
        }
        if let Some((track, size)) = partial
            && let Some(track) = self.tracks.get(track)
        {
            let buffer = sink.buffer(track.info.id);
            buffer.truncate(buffer.len().saturating_sub(size as usize));
        }
    }

    /// The input ends or breaks off: what comes next begins with an element.
    fn forget_position(&mut self, sink: &mut dyn Sink) {
        self.drop_partial(sink);
        self.pending.clear();
        self.need = 0;
        self.state = State::Header;
        (self.in_cluster, self.cluster, self.cluster_end) = (false, None, None);
    }

    fn enter_cluster(&mut self, size: Option<u64>) {
        self.in_cluster = true;
        self.cluster = None;
        self.cluster_end = size.and_then(|s| self.pos.checked_add(s));
    }

    /// After the header of an element.
    fn enter(&mut self, header: ebml::Header, sink: &mut dyn Sink) -> Result<()> {
        let end = header.size.map(|size| self.pos.saturating_add(size));
        let start = self.pos - header.len as u64;
        if header.id == id::CLUSTER {
            if self.group.is_some() {
                sink.warning(start, "a group of blocks is cut off");
                self.drop_partial(sink);
            }
            self.enter_cluster(header.size);
            return Ok(());
        }
        let outer = match &self.group {
            Some(group) => Some(group.end),
            None => {
                if self.cluster_end.is_some_and(|c| start >= c) {
                    (self.in_cluster, self.cluster, self.cluster_end) = (false, None, None);
                }
                self.cluster_end
            }
        };
        if let Some(outer) = outer
            && end.is_none_or(|end| end > outer)
        {
            return self.damage("an element reaches over the end of the one that it is in", sink);
        }
        if header.id == id::SEGMENT && self.group.is_none() {
            return Ok(());
        }
        let Some(size) = header.size else { return self.damage("an element of unknown size", sink) };
        let collect = |most: u64| match usize::try_from(size) {
            Ok(bytes) if size <= most => Some(State::Collect { id: header.id, size: bytes }),
            _ => None,
        };
        let next = match header.id {
            id::BLOCK_DURATION | id::REFERENCE_BLOCK | id::DISCARD_PADDING if self.group.is_some() => {
                collect(8)
            }
            id::BLOCK if matches!(self.group, Some(Group { block: Held::None, .. })) => {
                Some(State::Block(size))
            }
            _ if self.group.is_some() => Some(State::Skip(size)),
            id::INFO | id::TRACKS => collect(MAX_COLLECT),
            id::TAGS => collect(MAX_UNKNOWN).or(Some(State::Skip(size))),
            id::TIMESTAMP => collect(8),
            id::SIMPLE_BLOCK => Some(State::Block(size)),
            id::BLOCK_GROUP => {
                self.group = Some(Group {
                    end: end.unwrap_or(self.pos),
                    block: Held::None,
                    duration: None,
                    referring: false,
                    discard: 0,
                });
                return Ok(());
            }
            id::EBML => {
                // Another file follows: what was before does not go on.
                self.tracks.iter_mut().for_each(Track::reset);
                (self.in_cluster, self.cluster, self.cluster_end) = (false, None, None);
                Some(State::Skip(size))
            }
            // Also behind a cluster of unknown size.
            id::SEEK_HEAD | id::CUES | id::CHAPTERS | id::ATTACHMENTS => Some(State::Skip(size)),
            id::VOID | id::CRC_32 | id::POSITION | id::PREV_SIZE | id::SILENT_TRACKS if !self.in_cluster => {
                Some(State::Skip(size))
            }
            _ if self.in_cluster && size > MAX_UNKNOWN => None,
            // A newer version's, or damage: then the next cluster may be in it.
            _ if self.in_cluster => Some(State::Resync { window: 0, left: size, doubtful: true }),
            _ => Some(State::Skip(size)),
        };
        match next {
            Some(state) => {
                self.state = state;
                Ok(())
            }
            None => self.damage("an element of absurd size", sink),
        }
    }

    fn element(&mut self, id: u32, content: &[u8], sink: &mut dyn Sink) -> Result<()> {
        match id {
            id::INFO => {
                let scale = ebml::unsigned_child(content, id::TIMESTAMP_SCALE).filter(|s| *s > 0);
                let before = std::mem::replace(&mut self.timestamp_scale, scale.unwrap_or(DEFAULT_SCALE));
                if before != self.timestamp_scale {
                    self.count_anew(sink);
                }
                if let Some(title) = ebml::child(content, id::TITLE).and_then(ebml::string)
                    && !title.is_empty()
                {
                    let comments = vec![("TITLE".to_owned(), title.to_owned())];
                    sink.metadata(None, None, Metadata::Comments(comments));
                }
            }
            id::TAGS => {
                let comments = tags(content);
                if !comments.is_empty() {
                    sink.metadata(None, None, Metadata::Comments(comments));
                }
            }
            id::TRACKS => self.read_tracks(content, sink)?,
            id::TIMESTAMP => self.cluster = ebml::unsigned(content),
            _ => {
                if let Some(group) = &mut self.group {
                    match id {
                        id::BLOCK_DURATION => group.duration = ebml::unsigned(content),
                        id::REFERENCE_BLOCK => group.referring = true,
                        _ => group.discard = ebml::signed(content).unwrap_or(0),
                    }
                }
            }
        }
        Ok(())
    }

    /// Ticks of the tracks: those of the file where they divide a second, else nanoseconds.
    fn timescale(&self) -> (Timescale, u64) {
        const SECOND: u64 = 1_000_000_000;
        const NANOSECONDS: Timescale = match Timescale::new(SECOND as u32) {
            Some(t) => t,
            None => unreachable!(), // a thousand million is not 0
        };
        let exact = (SECOND.is_multiple_of(self.timestamp_scale))
            .then(|| u32::try_from(SECOND / self.timestamp_scale).ok().and_then(Timescale::new));
        match exact.flatten() {
            Some(timescale) => (timescale, 1),
            None => (NANOSECONDS, self.timestamp_scale),
        }
    }

    /// Info came behind Tracks, which RFC 9559 does not forbid: the tracks count in its units.
    fn count_anew(&mut self, sink: &mut dyn Sink) {
        let (timescale, _) = self.timescale();
        for track in &mut self.tracks {
            track.reset();
            track.count_in(timescale);
            if track.announced {
                sink.track(track.info.clone());
            }
        }
    }

    fn read_tracks(&mut self, content: &[u8], sink: &mut dyn Sink) -> Result<()> {
        self.tracks.clear();
        self.complete = false;
        self.first_time = None;
        let (timescale, _) = self.timescale();
        for (_, entry) in ebml::children(content).filter(|c| c.0 == id::TRACK_ENTRY).take(MAX_TRACKS) {
            match tracks::track(entry, timescale) {
                Some(mut track)
                    if self.tracks.iter().all(|t| t.number != track.number && t.info.id != track.info.id) =>
                {
                    if track.resolved {
                        track.announced = true;
                        sink.track(track.info.clone());
                    }
                    self.tracks.push(track);
                }
                _ => sink.warning(self.pos, "a track that cannot be read"),
            }
        }
        if self.tracks.is_empty() {
            return Err(malformed("No track can be read", self.pos));
        }
        if self.tracks.iter().all(|t| t.resolved) {
            self.complete_tracks(sink);
        }
        Ok(())
    }

    /// Tells the sink that all tracks are there; those of which not all is known are given as they are.
    fn complete_tracks(&mut self, sink: &mut dyn Sink) {
        if self.tracks.is_empty() || std::mem::replace(&mut self.complete, true) {
            return;
        }
        for track in self.tracks.iter_mut().filter(|t| !t.announced) {
            track.announced = true;
            sink.track(track.info.clone());
        }
        sink.tracks_complete();
    }
}

/// Names and values of the tags that concern the whole file (§5.1.8).
fn tags(content: &[u8]) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for (_, tag) in ebml::children(content).filter(|c| c.0 == id::TAG) {
        let targets = ebml::child(tag, id::TARGETS).unwrap_or_default();
        if ebml::unsigned_child(targets, id::TAG_TRACK_UID).is_some_and(|uid| uid != 0) {
            continue;
        }
        for (_, simple) in ebml::children(tag).filter(|c| c.0 == id::SIMPLE_TAG) {
            let text = |id| ebml::child(simple, id).and_then(ebml::string);
            if let (Some(name), Some(value)) = (text(id::TAG_NAME), text(id::TAG_STRING))
                && out.len() < MAX_TAGS
            {
                out.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    out
}
