//! One representation's way from bytes to pieces for the SourceBuffers: container found by its first bytes, demuxed, muxed
//! to fragments as samples become complete, or passed through.

use super::buffer::{InitKey, Piece};
use super::io::BufferId;
use super::loading::named_by;
use super::wrapping::{ASKED, Form, Wrapping, mp4_mime};
use crate::container::{self, Demuxer, Format, SNIFFED, TrackId, TrackInfo, TrackKind};
use crate::error::{Code, PlayerError, Result};
use crate::remux::{self, Muxer};
use crate::time::Seconds;
use std::rc::Rc;

/// Tracks of sound in a file that are offered at the most.
#[cfg(feature = "progressive")]
pub(super) const MOST_SOUNDS: usize = 16;

/// Which kinds of track are taken from the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub video: bool,
    pub audio: bool,
}

/// A track on its way to a buffer.
struct Lane {
    track: TrackId,
    buffer: BufferId,
    mime: Rc<str>,
    init: Rc<[u8]>,
    generation: u32,
    form: Form,
}

enum Kind {
    /// The first bytes, until the format is known.
    Unknown(Vec<u8>),
    Remux {
        demuxer: Box<dyn Demuxer>,
        muxer: Box<Muxer>,
        lanes: Vec<Lane>,
        generation: u32,
    },
    /// WebM: engines that take it parse it at any split.
    #[cfg(feature = "webm")]
    Pass {
        init: Rc<[u8]>,
        pending: Vec<u8>,
        generation: u32,
        /// A piece of this segment has come out.
        begun: bool,
    },
}

/// Bytes of one representation in, pieces out. Lives as long as segments of it follow each other.
pub(super) struct Pipeline {
    serial: u32,
    wanted: Wanted,
    /// What the manifest says, for formats that are passed through.
    #[cfg_attr(not(feature = "webm"), expect(dead_code, reason = "WebM alone is passed through"))]
    declared_mime: Rc<str>,
    /// The format that the URL names.
    named: Option<Format>,
    kind: Kind,
    in_init: bool,
    opens: Seconds,
    /// Start of the segment according to the manifest.
    start: Option<Seconds>,
    /// What tracks go as, where the browser was asked; all others go as MP4. `None`: the browser takes the track in no form.
    wrappings: Vec<(TrackId, Option<Wrapping>)>,
    wrapped: bool,
}

impl Pipeline {
    /// `serial` tells this pipeline's initialization segments from those of others.
    pub fn new(serial: u32, wanted: Wanted, declared_mime: &str) -> Self {
        Self {
            serial,
            wanted,
            declared_mime: declared_mime.into(),
            named: None,
            kind: Kind::Unknown(Vec::new()),
            in_init: false,
            opens: f64::NEG_INFINITY,
            start: None,
            wrappings: Vec::new(),
            wrapped: false,
        }
    }

    /// A pipeline that begins with this demuxer, whatever the bytes look like.
    #[cfg(feature = "progressive")]
    pub fn demuxing(serial: u32, demuxer: Box<dyn Demuxer>) -> Self {
        let mut pipeline = Self::new(serial, Wanted { video: true, audio: true }, "");
        pipeline.kind = remux(demuxer);
        pipeline
    }

    /// The tracks that are wanted, once the headers have told them all.
    pub fn infos(&self) -> Option<Vec<TrackInfo>> {
        match &self.kind {
            Kind::Remux { muxer, .. } if muxer.is_complete() => {
                Some(chosen(muxer.tracks(), self.wanted, &self.wrappings).cloned().collect())
            }
            _ => None,
        }
    }

    /// The same with all tracks of sound, of which one can be played.
    #[cfg(feature = "progressive")]
    pub fn offered(&self) -> Option<Vec<TrackInfo>> {
        let mut infos = self.infos()?;
        if let Kind::Remux { muxer, .. } = &self.kind {
            let sounds = muxer.tracks().iter().filter(|t| t.kind == TrackKind::Audio);
            infos.retain(|t| t.kind != TrackKind::Audio);
            infos.extend(sounds.take(MOST_SOUNDS).cloned());
        }
        Some(infos)
    }

    /// Sets what tracks go as.
    pub fn wrap(&mut self, wrappings: Vec<(TrackId, Option<Wrapping>)>) {
        self.wrappings = wrappings;
        self.wrapped = true;
    }

    /// Whether it was said what tracks go as.
    pub fn is_wrapped(&self) -> bool {
        self.wrapped
    }

    /// See [`Demuxer::duration`].
    #[cfg(feature = "progressive")]
    pub fn duration(&self, length: Option<u64>) -> Option<Seconds> {
        match &self.kind {
            Kind::Remux { demuxer, .. } => demuxer.duration(length),
            _ => None,
        }
    }

    /// See [`Muxer::take_asides`].
    pub fn take_asides(&mut self) -> Vec<crate::remux::Aside> {
        match &mut self.kind {
            Kind::Remux { muxer, .. } => muxer.take_asides(),
            _ => Vec::new(),
        }
    }

    /// See [`Demuxer::seek`].
    #[cfg(feature = "progressive")]
    pub fn seek(&mut self, time: Seconds, length: u64) -> Option<u64> {
        match &mut self.kind {
            Kind::Remux { demuxer, muxer, .. } => {
                let at = demuxer.seek(time, length)?;
                muxer.reset();
                Some(at)
            }
            _ => None,
        }
    }

    /// What is presented before this time of the media is the start of the presentation: see [`Muxer::set_opens`].
    pub fn set_opens(&mut self, opens: Seconds) {
        self.opens = opens;
        if let Kind::Remux { muxer, .. } = &mut self.kind {
            muxer.set_opens(opens);
        }
    }

    /// A segment comes from this URL.
    pub fn set_url(&mut self, url: &str) {
        self.named = named_by(url);
    }

    /// A segment comes: where the manifest has it.
    pub fn begin_segment(&mut self, start: Seconds) {
        self.start = Some(start);
        match &mut self.kind {
            Kind::Remux { demuxer, .. } => demuxer.begin_segment(start),
            #[cfg(feature = "webm")]
            Kind::Pass { begun, .. } => *begun = false,
            Kind::Unknown(_) => {}
        }
    }

    /// See [`Demuxer::is_untimed`].
    pub fn is_untimed(&self) -> bool {
        matches!(&self.kind, Kind::Remux { demuxer, .. } if demuxer.is_untimed())
    }

    /// The bytes of an initialization segment, whole.
    pub fn push_init(&mut self, bytes: &[u8]) -> Result<()> {
        self.in_init = true;
        let result = self.push(bytes);
        self.in_init = false;
        result?;
        // Positions count from the start of the media segment.
        match &mut self.kind {
            // That of a transport stream has tables alone (RFC 8216bis §3.1.1): media tells what the tracks are.
            Kind::Remux { demuxer, muxer, .. } if muxer.tracks().is_empty() => {
                demuxer.reset();
                Ok(())
            }
            Kind::Remux { demuxer, muxer, .. } => demuxer.finish(muxer.as_mut()),
            _ => Ok(()),
        }
    }

    /// The next bytes of a media segment.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        if let Kind::Unknown(prefix) = &mut self.kind {
            prefix.extend_from_slice(bytes);
            let Some(kind) = open(prefix, prefix.len() >= SNIFFED, self.named)? else { return Ok(()) };
            let prefix = std::mem::take(prefix);
            self.kind = kind;
            self.tell_opened();
            return self.feed(&prefix);
        }
        self.feed(bytes)
    }

    /// The format is known now: what was told before is told again.
    fn tell_opened(&mut self) {
        self.set_opens(self.opens);
        if let Some(start) = self.start {
            self.begin_segment(start);
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.kind {
            Kind::Remux { demuxer, muxer, .. } => demuxer.push(bytes, muxer.as_mut()),
            #[cfg(feature = "webm")]
            Kind::Pass { init, generation, .. } if self.in_init => {
                *init = bytes.into();
                *generation += 1;
                Ok(())
            }
            #[cfg(feature = "webm")]
            Kind::Pass { pending, .. } => {
                pending.extend_from_slice(bytes);
                Ok(())
            }
            Kind::Unknown(_) => Ok(()),
        }
    }

    /// See [`Demuxer::skip_to_sync`].
    pub fn skip_to_sync(&mut self, time: Seconds, least: u64) -> Option<u64> {
        match &mut self.kind {
            Kind::Remux { demuxer, muxer, .. } => demuxer.skip_to_sync(time, least, muxer.as_mut()),
            _ => None,
        }
    }

    /// The segment is complete.
    pub fn finish(&mut self) -> Result<()> {
        if let Kind::Unknown(prefix) = &mut self.kind {
            if prefix.is_empty() {
                return Err(PlayerError::new(Code::MediaEmpty, "the segment is empty"));
            }
            match open(prefix, true, self.named)? {
                Some(kind) => {
                    let prefix = std::mem::take(prefix);
                    self.kind = kind;
                    self.tell_opened();
                    self.feed(&prefix)?;
                }
                None => return Err(unknown_format()),
            }
        }
        match &mut self.kind {
            Kind::Remux { demuxer, muxer, .. } => demuxer.finish(muxer.as_mut()),
            _ => Ok(()),
        }
    }

    /// Another segment follows that does not continue the last one, or the last one broke off.
    pub fn reset(&mut self) {
        match &mut self.kind {
            Kind::Unknown(prefix) => prefix.clear(),
            Kind::Remux { demuxer, muxer, .. } => {
                demuxer.reset();
                muxer.reset();
            }
            #[cfg(feature = "webm")]
            Kind::Pass { pending, begun, .. } => {
                pending.clear();
                *begun = false;
            }
        }
    }

    /// The tracks that will give pieces, once the headers have told them all.
    pub fn tracks(&self) -> Option<Vec<(BufferId, Rc<str>)>> {
        match &self.kind {
            Kind::Unknown(_) => None,
            Kind::Remux { muxer, .. } if muxer.is_complete() => {
                let all = chosen(muxer.tracks(), self.wanted, &self.wrappings);
                let taken = all.filter_map(|t| Some((buffer_of(t.kind), wrapping(&self.wrappings, t)?.mime)));
                Some(taken.collect())
            }
            Kind::Remux { .. } => None,
            #[cfg(feature = "webm")]
            Kind::Pass { .. } => {
                let id =
                    if self.declared_mime.starts_with("audio/") { BufferId::Audio } else { BufferId::Video };
                Some(vec![(id, self.declared_mime.clone())])
            }
        }
    }

    /// The initialization segment of what will go to a buffer, if it is known before any of that has come out.
    pub fn init_ahead(&self, buffer: BufferId) -> Option<(InitKey, Vec<u8>)> {
        match &self.kind {
            Kind::Remux { muxer, lanes, .. } => {
                let track = chosen(muxer.tracks(), self.wanted, &self.wrappings)
                    .find(|t| buffer_of(t.kind) == buffer)?;
                let raw = wrapping(&self.wrappings, track)?.form == Form::Raw;
                if raw || track.encrypted || lanes.iter().any(|l| l.track == track.id) {
                    return None;
                }
                Some(((self.serial, 0), muxer.init_segment(track.id)?))
            }
            _ => None,
        }
    }

    /// Gives out what is complete. `flush`: the segment has ended; `span`: where it lies on the media's timeline according to
    /// the manifest, for formats that are not read.
    #[cfg_attr(not(feature = "webm"), expect(unused_variables, reason = "WebM alone is passed through"))]
    pub fn drain(&mut self, flush: bool, span: (Seconds, Seconds), pieces: &mut Vec<Piece>) -> Result<()> {
        match &mut self.kind {
            Kind::Unknown(_) => {}
            #[cfg(feature = "webm")]
            Kind::Pass { init, pending, generation, begun } => {
                if pending.is_empty() && !flush {
                    return Ok(());
                }
                let buffer =
                    if self.declared_mime.starts_with("audio/") { BufferId::Audio } else { BufferId::Video };
                pieces.push(Piece {
                    buffer,
                    init_key: (self.serial, *generation),
                    mime: self.declared_mime.clone(),
                    init: init.clone(),
                    data: std::mem::take(pending).into(),
                    start: span.0,
                    end: if flush { span.1 } else { span.0 },
                    edit: 0.0,
                    // What follows is of the same group, as far as is known.
                    first_sync: (!std::mem::replace(begun, true)).then_some(span.0),
                    partial: !flush,
                    raw: false,
                });
            }
            Kind::Remux { muxer, lanes, generation, .. } => {
                if !muxer.is_complete() {
                    return Ok(());
                }
                let mut tracks: Vec<TrackInfo> =
                    chosen(muxer.tracks(), self.wanted, &self.wrappings).cloned().collect();
                tracks.retain(|t| wrapping(&self.wrappings, t).is_some());
                for track in &tracks {
                    if wrapping(&self.wrappings, track).is_some_and(|w| w.form == Form::Webm) {
                        muxer.set_wrapping(track.id, remux::Wrapping::Webm);
                    }
                    if track.encrypted {
                        return Err(PlayerError::new(Code::Encrypted, "the media is encrypted"));
                    }
                    while let Some(fragment) = muxer.take_fragment(track.id, flush) {
                        let known = lanes.iter().position(|l| l.track == track.id);
                        let fresh = known.is_none_or(|i| lanes[i].generation != fragment.generation);
                        if fresh {
                            let Some(Wrapping { mime, form }) = wrapping(&self.wrappings, track) else {
                                break;
                            };
                            let init = match form {
                                Form::Raw => Vec::new(),
                                Form::Mp4 | Form::Webm => muxer.init_segment(track.id).ok_or_else(|| {
                                    PlayerError::new(Code::Internal, "a fragment came without a track")
                                })?,
                            };
                            *generation += 1;
                            let lane = Lane {
                                track: track.id,
                                buffer: buffer_of(track.kind),
                                mime,
                                init: init.into(),
                                generation: fragment.generation,
                                form,
                            };
                            match known {
                                Some(i) => lanes[i] = lane,
                                None => lanes.push(lane),
                            }
                        }
                        let Some(lane) = lanes.iter().find(|l| l.track == track.id) else { continue };
                        let edit = track.timescale.seconds(track.edit_start);
                        let mut data = fragment.data;
                        let raw = lane.form == Form::Raw;
                        if raw {
                            let moof = data.first_chunk().map_or(0, |b| u32::from_be_bytes(*b));
                            data.advance((moof as usize).saturating_add(8));
                        }
                        pieces.push(Piece {
                            buffer: lane.buffer,
                            init_key: (self.serial, lane.generation),
                            mime: lane.mime.clone(),
                            init: lane.init.clone(),
                            start: track.timescale.seconds(fragment.first_pts) - edit,
                            end: track.timescale.seconds(fragment.end) - edit,
                            data,
                            edit,
                            first_sync: fragment.first_sync.map(|t| track.timescale.seconds(t) - edit),
                            partial: false,
                            raw,
                        });
                    }
                }
                let ids: Vec<TrackId> = muxer.tracks().iter().map(|t| t.id).collect();
                for id in ids.into_iter().filter(|id| !tracks.iter().any(|t| t.id == *id)) {
                    while muxer.take_fragment(id, flush).is_some() {}
                }
            }
        }
        Ok(())
    }
}

fn remux(demuxer: Box<dyn Demuxer>) -> Kind {
    Kind::Remux { demuxer, muxer: Box::new(Muxer::new()), lanes: Vec::new(), generation: 0 }
}

/// `named`: the format by the URL. It tells audio that begins within a frame or behind something else, as no bytes do.
fn open(prefix: &[u8], complete: bool, named: Option<Format>) -> Result<Option<Kind>> {
    let named = named.filter(|f| complete && matches!(f, Format::Mp3 | Format::Adts | Format::Ac3));
    Ok(match container::sniff(prefix).or(named) {
        Some(Format::Mp4) => Some(remux(Box::new(container::mp4::FragmentDemuxer::new()))),
        #[cfg(feature = "ts")]
        Some(Format::Ts) if prefix.len() > 188 || complete => {
            Some(remux(Box::<container::ts::TsDemuxer>::default()))
        }
        #[cfg(feature = "webm")]
        Some(Format::Webm) => {
            Some(Kind::Pass { init: Rc::from(&[][..]), pending: Vec::new(), generation: 0, begun: false })
        }
        #[cfg(feature = "packed")]
        Some(Format::PackedAudio | Format::Adts | Format::Mp3 | Format::Ac3) => {
            Some(remux(Box::new(container::packed::PackedDemuxer::new())))
        }
        #[cfg(all(feature = "ts", not(feature = "ts-extra"), not(feature = "packed")))]
        Some(Format::PackedAudio | Format::Adts | Format::Mp3 | Format::Ac3) => {
            return Err(PlayerError::new(Code::ContainerUnsupported, container::ts::ABSENT));
        }
        Some(Format::WebVtt) => {
            return Err(PlayerError::new(Code::ContainerUnsupported, "the segment is WebVTT text"));
        }
        _ if complete => return Err(unknown_format()),
        _ => None,
    })
}

fn unknown_format() -> PlayerError {
    PlayerError::new(Code::ContainerUnsupported, "the segment is of no known container").at(0)
}

fn buffer_of(kind: TrackKind) -> BufferId {
    if kind == TrackKind::Audio { BufferId::Audio } else { BufferId::Video }
}

/// What a track goes as; `None`: it is left out.
fn wrapping(asked: &[(TrackId, Option<Wrapping>)], track: &TrackInfo) -> Option<Wrapping> {
    match asked.iter().find(|(id, _)| ASKED && *id == track.id) {
        Some((_, answer)) => answer.clone(),
        None => Some(Wrapping { mime: mp4_mime(track.kind, &track.codec).into(), form: Form::Mp4 }),
    }
}

/// The first video and the first audio track, as far as they are wanted and the browser takes them: a SourceBuffer each is all that engines take.
fn chosen<'a>(
    tracks: &'a [TrackInfo],
    wanted: Wanted,
    asked: &'a [(TrackId, Option<Wrapping>)],
) -> impl Iterator<Item = &'a TrackInfo> {
    let first = move |kind| {
        let mut all = tracks.iter().filter(move |t| t.kind == kind);
        all.clone().find(|t| wrapping(asked, t).is_some()).or_else(|| all.next())
    };
    let video = wanted.video.then(|| first(TrackKind::Video)).flatten();
    video.into_iter().chain(wanted.audio.then(|| first(TrackKind::Audio)).flatten())
}
