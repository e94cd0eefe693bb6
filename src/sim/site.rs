//! What the server has: a manifest of the movie, and segments whose boxes are real and whose payload is zeros.
//!
//! A segment is one `moof` and one `mdat` of true size. Its samples are few, spread over the `mdat` as the pictures of a real one are
//! over its bytes, and all but the first are tiny: the demuxer passes over what lies between them, which costs nothing, while the player
//! counts each byte as it comes. Where playback may begin the first one fills its share, since the player asks for no bytes in front
//! of the picture that it begins with. The size of a sample tells its rung ([`rung_of`]), so the model of the SourceBuffer knows what it plays.

use super::movie::Movie;
use crate::bytes::ByteWriter;
use crate::codec::aac::{AudioSpecificConfig, write_mp4a};
use crate::codec::avc::{Sps, write_avcc, write_visual_entry};
use crate::container::{Sink, TrackId, TrackInfo, TrackKind};
use crate::manifest::ByteRange;
use crate::remux::Muxer;
use crate::time::{Seconds, Timescale};
use std::fmt::Write;
use std::sync::Arc;

/// How the manifest tells where the segments are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// DASH SegmentList with byte ranges: all sizes are known from the start.
    List,
    /// DASH SegmentBase: a `sidx` is fetched before the first segment of each quality.
    Index,
    /// DASH SegmentTemplate: no sizes are known.
    Template,
}

/// Where the manifest is.
pub(super) const MANIFEST: &str = "https://sim.test/movie.mpd";
/// Ticks per second of all tracks.
const TICKS: u32 = 1000;
/// Milliseconds of media that come out of a segment at once: some pictures. Larger: quicker, and playback begins later than it would.
const PIECE_MS: u32 = 100;
/// Qualities that the size of a sample can tell apart.
const RUNGS: u64 = 64;
/// A text as an MPD is about this many times smaller on the wire, with gzip.
const COMPRESSED: u64 = 10;

/// The rung that a sample of so many bytes is of.
pub(super) fn rung_of(size: u32) -> usize {
    (u64::from(size).saturating_sub(1) % RUNGS) as usize
}

/// A response.
#[derive(Clone, Debug)]
pub(super) struct Body {
    /// HTTP status.
    pub status: u16,
    /// The bytes in front; all others are zero.
    pub front: Arc<[u8]>,
    /// Bytes of `front` that the range leaves out.
    pub skipped: u64,
    /// Bytes of the body.
    pub length: u64,
    /// Bytes on the wire.
    pub wire: u64,
    /// Whether it may come from a cache.
    pub cacheable: bool,
}

/// The server.
#[derive(Debug)]
pub struct Site {
    pub(super) movie: Movie,
    /// Of sound, in bit/s, in a track of its own.
    pub(super) audio: Option<u64>,
    pub(super) listing: Listing,
    inits: Vec<Arc<[u8]>>,
    audio_init: Arc<[u8]>,
    indexes: Vec<Arc<[u8]>>,
    /// Of each file: where the segments begin, and the end.
    places: Vec<Vec<u64>>,
    manifest: Arc<[u8]>,
    live_manifest: Arc<[u8]>,
}

/// As a live presentation the movie began so many seconds before the session: what is older than a few segments is there at once.
pub(super) const LIVE_SINCE: Seconds = 60.0;
/// When it began, by the clock of the world, and in seconds since 1970.
const LIVE_BEGAN: (&str, f64) = ("2026-01-01T00:00:00Z", 1_767_225_600.0);
/// The clock of the world at time 0 of a session, in seconds since 1970.
pub(super) const EPOCH: f64 = LIVE_BEGAN.1 + LIVE_SINCE;

impl Site {
    /// A site with this movie, and sound of so many kbit/s if it is to have any.
    pub fn new(movie: Movie, audio_kbps: Option<f64>, listing: Listing) -> Self {
        let rungs = movie.kbps.len();
        let inits: Vec<Arc<[u8]>> = vec![init(TrackKind::Video).unwrap_or_default().into(); rungs];
        let mut site = Self {
            audio: audio_kbps.map(|k| (k * 1000.0) as u64),
            listing,
            inits,
            audio_init: init(TrackKind::Audio).unwrap_or_default().into(),
            indexes: Vec::new(),
            places: Vec::new(),
            manifest: Arc::from(&[][..]),
            live_manifest: Arc::from(&[][..]),
            movie,
        };
        site.indexes = (0..rungs).map(|r| site.sidx(r).into()).collect();
        site.places = (0..rungs)
            .map(|rung| {
                let mut at = (site.inits[rung].len() + site.indexes[rung].len()) as u64;
                let mut places = vec![at];
                for n in 0..site.movie.bytes.len() {
                    at += site.size(rung, n);
                    places.push(at);
                }
                places
            })
            .collect();
        site.manifest = site.mpd(None).into_bytes().into();
        site.live_manifest = site.mpd(Some(LIVE_BEGAN.0)).into_bytes().into();
        site
    }

    /// The movie.
    pub fn movie(&self) -> &Movie {
        &self.movie
    }

    /// Bytes that the boxes and samples of a segment need.
    fn least_size(&self) -> u64 {
        1024 + u64::from(self.movie.segment_ms / PIECE_MS + 1) * 2 * RUNGS
    }

    fn size(&self, rung: usize, n: usize) -> u64 {
        self.movie.bytes.get(n).and_then(|s| s.get(rung)).copied().unwrap_or(0).max(self.least_size())
    }

    fn audio_size(&self) -> u64 {
        let bits = self.audio.unwrap_or(0) as f64 * self.movie.segment();
        ((bits / 8.0) as u64).max(self.least_size())
    }

    fn sidx(&self, rung: usize) -> Vec<u8> {
        let mut w = ByteWriter::new();
        w.full_boxed(b"sidx", 1, 0, |w| {
            w.u32(1);
            w.u32(TICKS);
            w.u64(0);
            w.u64(0);
            w.u16(0);
            w.u16(self.movie.bytes.len() as u16);
            for n in 0..self.movie.bytes.len() {
                w.u32(self.size(rung, n) as u32);
                w.u32(self.movie.segment_ms);
                w.u32(0x9000_0000);
            }
        });
        w.into_vec()
    }

    /// The MPD; `live`: when the presentation began, as text.
    fn mpd(&self, live: Option<&str>) -> String {
        let mut x = String::from(
            "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" minBufferTime=\"PT2S\" ",
        );
        let _ = match live {
            Some(began) => write!(
                x,
                "type=\"dynamic\" availabilityStartTime=\"{began}\" publishTime=\"{began}\" timeShiftBufferDepth=\"PT120S\">"
            ),
            None => {
                write!(x, "type=\"static\" mediaPresentationDuration=\"PT{:.3}S\">", self.movie.duration())
            }
        };
        x.push_str("<Period start=\"PT0S\">");
        if let Some(bandwidth) = self.audio {
            let _ = write!(
                x,
                "<AdaptationSet mimeType=\"audio/mp4\" contentType=\"audio\"><Representation id=\"a0\" codecs=\"mp4a.40.2\" \
                 audioSamplingRate=\"48000\" bandwidth=\"{bandwidth}\"><SegmentTemplate timescale=\"{TICKS}\" duration=\"{}\" \
                 startNumber=\"0\" initialization=\"a/init.mp4\" media=\"a/$Number$.m4s\"/></Representation></AdaptationSet>",
                self.movie.segment_ms
            );
        }
        x.push_str("<AdaptationSet mimeType=\"video/mp4\" contentType=\"video\" segmentAlignment=\"true\" startWithSAP=\"1\">");
        for (rung, kbps) in self.movie.kbps.iter().enumerate() {
            // Sizes of pictures as they are usual for such bitrates; nothing depends on them.
            let height = 144 + 72 * rung;
            let _ = write!(
                x,
                "<Representation id=\"v{rung}\" codecs=\"avc1.64001f\" width=\"{}\" height=\"{height}\" frameRate=\"30\" bandwidth=\"{}\">",
                height * 16 / 9,
                (kbps * 1000.0).round()
            );
            let listing = if live.is_some() { Listing::Template } else { self.listing };
            let init = self.inits.get(rung).map_or(0, |i| i.len());
            let index = self.indexes.get(rung).map_or(0, |i| i.len());
            let _ = match listing {
                Listing::List => {
                    let _ = write!(
                        x,
                        "<BaseURL>v{rung}.mp4</BaseURL><SegmentList timescale=\"{TICKS}\" duration=\"{}\"><Initialization range=\"0-{}\"/>",
                        self.movie.segment_ms,
                        init.saturating_sub(1)
                    );
                    for place in self.places.get(rung).map_or(&[][..], |p| p).windows(2) {
                        let _ = write!(x, "<SegmentURL mediaRange=\"{}-{}\"/>", place[0], place[1] - 1);
                    }
                    write!(x, "</SegmentList>")
                }
                Listing::Index => write!(
                    x,
                    "<BaseURL>v{rung}.mp4</BaseURL><SegmentBase timescale=\"{TICKS}\" indexRange=\"{init}-{}\">\
                     <Initialization range=\"0-{}\"/></SegmentBase>",
                    (init + index).saturating_sub(1),
                    init.saturating_sub(1)
                ),
                Listing::Template => write!(
                    x,
                    "<SegmentTemplate timescale=\"{TICKS}\" duration=\"{}\" startNumber=\"0\" initialization=\"v{rung}/init.mp4\" \
                     media=\"v{rung}/$Number$.m4s\"/>",
                    self.movie.segment_ms
                ),
            };
            x.push_str("</Representation>");
        }
        x.push_str("</AdaptationSet></Period></MPD>");
        x
    }

    /// What a URL answers at a time.
    pub(super) fn answer(&self, url: &str, range: Option<ByteRange>, live: bool, now: Seconds) -> Body {
        self.find(url, range, live, now).unwrap_or_else(|| Body {
            status: 404,
            front: Arc::from(&[][..]),
            skipped: 0,
            length: 0,
            wire: 0,
            cacheable: false,
        })
    }

    fn find(&self, url: &str, range: Option<ByteRange>, live: bool, now: Seconds) -> Option<Body> {
        if url == MANIFEST {
            let manifest = if live { &self.live_manifest } else { &self.manifest };
            return Some(Body {
                wire: manifest.len() as u64 / COMPRESSED,
                cacheable: false,
                ..Body::small(manifest.clone(), None)
            });
        }
        let path = url.strip_prefix("https://sim.test/")?;
        if let Some((folder, name)) = path.split_once('/') {
            let rung = folder.strip_prefix('v').and_then(|r| r.parse::<usize>().ok());
            if name == "init.mp4" {
                let init = if folder == "a" { &self.audio_init } else { self.inits.get(rung?)? };
                return Some(Body::small(init.clone(), None));
            }
            let n: usize = name.strip_suffix(".m4s")?.parse().ok()?;
            let made = !live || (n + 1) as f64 * self.movie.segment() <= now + LIVE_SINCE + 1e-6;
            if n >= self.movie.bytes.len() || !made {
                return None;
            }
            return Some(match rung {
                Some(rung) if rung < self.movie.kbps.len() => self.segment(rung, n, 0, range, live),
                _ if folder == "a" => {
                    let size = self.audio_size();
                    Body::media(self.boxes(0, n, size, true).into(), size, 0, range)
                }
                _ => return None,
            });
        }
        // One file: the initialization segment, the index, the segments.
        let rung: usize = path.strip_prefix('v')?.strip_suffix(".mp4")?.parse().ok()?;
        let places = self.places.get(rung)?;
        let range = range?;
        if range.first >= *places.last()? {
            return None;
        }
        match places.partition_point(|p| *p <= range.first).checked_sub(1) {
            Some(n) => Some(self.segment(rung, n, places[n], Some(range), live)),
            None => {
                let front = [&self.inits[rung][..], &self.indexes[rung]].concat();
                Some(Body::small(front.into(), Some(range)))
            }
        }
    }

    /// A segment that lies at a place in its file, or the part of it that is asked for.
    fn segment(&self, rung: usize, n: usize, place: u64, range: Option<ByteRange>, live: bool) -> Body {
        let size = self.size(rung, n);
        Body::media(self.boxes(rung, n, size, live || n == 0).into(), size, place, range)
    }

    /// `moof` and the header of `mdat` of a segment of so many bytes. `filled`: its first sample begins where its data does.
    fn boxes(&self, rung: usize, n: usize, size: u64, filled: bool) -> Vec<u8> {
        let ms = self.movie.segment_ms;
        let pieces = (ms / PIECE_MS).max(1);
        let tiny = rung as u64 % RUNGS + 1;
        // All headers are of one length, whatever they tell: the first pass finds it.
        let (mut start, mut boxes) = (0, Vec::new());
        for _ in 0..2 {
            let share = size.saturating_sub(start) / u64::from(pieces);
            let mut w = ByteWriter::new();
            w.boxed(b"moof", |w| {
                w.full_boxed(b"mfhd", 0, 0, |w| w.u32(n as u32 + 1));
                w.boxed(b"traf", |w| {
                    // Offsets count from the moof (§8.8.7, default-base-is-moof).
                    w.full_boxed(b"tfhd", 0, 0x02_0000, |w| w.u32(1));
                    w.full_boxed(b"tfdt", 1, 0, |w| w.u64(n as u64 * u64::from(ms)));
                    for piece in 0..pieces {
                        let end = start + share * u64::from(piece + 1);
                        let bytes = if filled && piece == 0 {
                            (share / RUNGS).saturating_sub(1) * RUNGS + tiny
                        } else {
                            tiny
                        };
                        let offset = if filled && piece == 0 { start } else { end.saturating_sub(bytes) };
                        // A data offset, durations, sizes and flags (§8.8.8).
                        w.full_boxed(b"trun", 0, 0x0701, |w| {
                            w.u32(1);
                            w.u32(offset as u32);
                            w.u32(ms * (piece + 1) / pieces - ms * piece / pieces);
                            w.u32(bytes as u32);
                            w.u32(if piece == 0 { 0x0200_0000 } else { 0x0101_0000 });
                        });
                    }
                });
            });
            w.u32(size.saturating_sub(w.len() as u64) as u32);
            w.bytes(b"mdat");
            start = w.len() as u64;
            boxes = w.into_vec();
        }
        boxes
    }
}

impl Body {
    /// What a range asks for of a whole that is known.
    fn small(bytes: Arc<[u8]>, range: Option<ByteRange>) -> Self {
        let size = bytes.len() as u64;
        Self::media(bytes, size, 0, range)
    }

    /// What a range asks for of `size` bytes at a place in a file.
    fn media(front: Arc<[u8]>, size: u64, place: u64, range: Option<ByteRange>) -> Self {
        let (from, to) = span(range, place, size);
        let status = if range.is_some() { 206 } else { 200 };
        Self { status, front, skipped: from, length: to - from, wire: to - from, cacheable: true }
    }
}

/// What of `size` bytes at a place a range asks for.
fn span(range: Option<ByteRange>, place: u64, size: u64) -> (u64, u64) {
    let first = range.map_or(0, |r| r.first.saturating_sub(place)).min(size);
    let end = range.and_then(|r| r.last).map_or(size, |l| (l + 1).saturating_sub(place).min(size));
    (first, end.max(first))
}

/// An initialization segment; `None`: its constants are wrong.
fn init(kind: TrackKind) -> Option<Vec<u8>> {
    // Of a baseline stream, 640x368, and AAC-LC of 48 kHz in stereo.
    const SPS: &[u8] = &[0x67, 0x42, 0x00, 0x1f, 0xe5, 0x40, 0x50, 0x17, 0xc8];
    const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];
    const AAC_LC: &[u8] = &[0x11, 0x90];
    let mut info = TrackInfo::new(TrackId(1), kind, Timescale::new(TICKS)?);
    let mut w = ByteWriter::new();
    if kind == TrackKind::Video {
        let sps = Sps::parse(SPS)?;
        info.codec = "avc1.64001f".into();
        (info.width, info.height) = (sps.width, sps.height);
        write_visual_entry(&mut w, b"avc1", (sps.width, sps.height), sps.sample_aspect, |w| {
            write_avcc(w, &sps, [SPS].into_iter(), [PPS].into_iter());
        });
    } else {
        let config = AudioSpecificConfig::parse(AAC_LC)?;
        info.codec = "mp4a.40.2".into();
        (info.sample_rate, info.channels) = (config.output_rate(), config.channels());
        write_mp4a(&mut w, &config);
    }
    info.sample_entry = w.into_vec();
    let mut muxer = Muxer::new();
    muxer.track(info);
    muxer.tracks_complete();
    muxer.init_segment(TrackId(1))
}
