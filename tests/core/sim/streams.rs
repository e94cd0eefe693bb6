//! Whole presentations of synthetic media, as DASH and as HLS.

use super::files::{Index, Told, fragmented};
use super::media::{Aside, Codec, Mark, Track};
use super::site::{Body, Site};
use super::ts;
use millrace::bytes::ByteWriter;
use std::fmt::Write;
use std::rc::Rc;

pub const MPD: &str = "https://media.test/manifest.mpd";
pub const M3U8: &str = "https://media.test/main.m3u8";
pub const MP3: &str = "https://media.test/all.mp3";
pub const TS: &str = "https://media.test/all.ts";
pub const MP4: &str = "https://media.test/all.mp4";
pub const MKV: &str = "https://media.test/all.mkv";
pub const ROOT: &str = "https://media.test/";
pub const DASH_TYPE: &str = "application/dash+xml";
pub const HLS_TYPE: &str = "application/vnd.apple.mpegurl";

/// A multivariant playlist that lists everything once more, under another root (redundant streams).
pub fn redundant(multivariant: &str, root: &str) -> String {
    let mut out = String::new();
    let mut copies = String::new();
    for line in multivariant.lines() {
        let _ = writeln!(out, "{line}");
        let copy = if line.starts_with("#EXT-X-MEDIA:") {
            line.replace("GROUP-ID=\"sound", "GROUP-ID=\"backup").replace("URI=\"", &format!("URI=\"{root}"))
        } else if line.starts_with("#EXT-X-STREAM-INF:") {
            format!("{},PATHWAY-ID=\"backup\"", line.replace("AUDIO=\"sound", "AUDIO=\"backup"))
        } else if line.starts_with('#') {
            continue;
        } else {
            format!("{root}{line}")
        };
        let _ = writeln!(copies, "{copy}");
    }
    out + &copies
}

/// A stretch of the timeline: a DASH period, an HLS discontinuity.
#[derive(Clone, Debug)]
pub struct Part {
    /// Seconds.
    pub duration: f64,
    /// Media time of its start, in seconds.
    pub base: f64,
    pub video: Codec,
    pub audio: Codec,
    /// Media that the segments lack although the manifest promises it: seconds of the part.
    pub hole: Option<(f64, f64)>,
}

/// What is to be streamed.
#[derive(Clone, Debug)]
pub struct Stream {
    pub parts: Vec<Part>,
    /// Bit/s of the video rungs; empty: audio alone.
    pub ladder: Vec<u64>,
    /// The manifest gives all rungs the size of the lowest.
    pub one_size: bool,
    /// Languages of separate audio; empty: none.
    pub languages: Vec<&'static str>,
    /// HLS-TS: audio in the same segments as video.
    pub muxed: bool,
    /// Seconds of a segment.
    pub segment: f64,
    pub fps: u32,
    pub b_frames: bool,
    /// DASH: seconds by which the media begins after the time that the manifest gives it.
    pub late: f64,
    /// Segments marked EXT-X-GAP, by position.
    pub gaps: Vec<usize>,
    /// Seconds of the first part in which there are pictures and no sound.
    pub silence: Option<(f64, f64)>,
    /// What goes along with the first part, by seconds in it.
    pub asides: Vec<(f64, Aside)>,
}

/// How a DASH manifest names its segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    Number,
    Time,
    List,
    Sidx,
}

/// What HLS segments are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    Fmp4,
    Ts,
    /// Pictures in transport streams, sound in ADTS behind an ID3 tag with its time.
    Packed,
    /// The same without tags.
    Untimed,
}

impl Container {
    fn suffix(self) -> &'static str {
        if self == Self::Fmp4 { "m4s" } else { "ts" }
    }
}

const AUDIO_BANDWIDTH: u64 = 64_000;

impl Stream {
    /// One part, three rungs, English audio, 4-second segments.
    pub fn of(seconds: f64) -> Self {
        Self {
            parts: vec![Part {
                duration: seconds,
                base: 0.0,
                video: Codec::Avc(0x64),
                audio: Codec::Aac,
                hole: None,
            }],
            ladder: vec![300_000, 800_000, 2_000_000],
            one_size: false,
            languages: vec!["en"],
            muxed: false,
            segment: 4.0,
            fps: 25,
            b_frames: false,
            late: 0.0,
            gaps: Vec::new(),
            silence: None,
            asides: Vec::new(),
        }
    }

    fn doublings(&self, rung: usize) -> usize {
        if self.one_size { 0 } else { rung }
    }

    /// The same with one rung.
    pub fn simple(seconds: f64) -> Self {
        Self { ladder: vec![300_000], ..Self::of(seconds) }
    }

    /// Adds a part.
    pub fn then(mut self, duration: f64, change: impl FnOnce(&mut Part)) -> Self {
        let mut part = Part { duration, ..self.parts[self.parts.len() - 1].clone() };
        change(&mut part);
        self.parts.push(part);
        self
    }

    /// Changes fields in passing.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn duration(&self) -> f64 {
        self.parts.iter().map(|p| p.duration).sum()
    }

    fn start_of(&self, part: usize) -> f64 {
        self.parts[..part].iter().map(|p| p.duration).sum()
    }

    /// Half a segment, where that is whole pictures.
    fn gop(&self) -> u32 {
        let frames = (self.segment * f64::from(self.fps)).round() as u32;
        if frames.is_multiple_of(2) { frames / 2 } else { frames }
    }

    pub fn video(&self, part: usize, rung: usize) -> Track {
        let p = &self.parts[part];
        Track {
            codec: p.video,
            part: part as u32,
            rung: rung as u32,
            bandwidth: self.ladder[rung],
            fps: self.fps,
            gop: self.gop(),
            b_frames: self.b_frames,
            base: p.base,
        }
    }

    pub fn audio(&self, part: usize, language: usize) -> Track {
        let p = &self.parts[part];
        Track {
            codec: p.audio,
            part: part as u32,
            rung: language as u32,
            bandwidth: AUDIO_BANDWIDTH,
            fps: self.fps,
            gop: 1,
            b_frames: false,
            base: p.base,
        }
    }

    /// Segments of a part.
    pub fn count(&self, part: usize) -> usize {
        (self.parts[part].duration / self.segment - 1e-6).ceil() as usize
    }

    /// Frames of a segment.
    pub fn frames_of(&self, track: &Track, n: usize) -> (u32, u32) {
        let duration = self.parts[track.part as usize].duration;
        let at = |n: usize| track.frames_until((n as f64 * self.segment).min(duration));
        (at(n), at(n + 1))
    }

    fn kept(&self, track: &Track) -> impl Fn(&super::media::Frame) -> bool + use<> {
        let part = track.part as usize;
        let hole = self.parts[part].hole;
        let silence = self.silence.filter(|_| part == 0);
        let track = *track;
        move |frame| {
            let scale = if frame.mark.kind == 'v' { f64::from(track.fps) } else { 48_000.0 / 1024.0 };
            let time = f64::from(frame.mark.number) / scale;
            let hole = hole.or(silence.filter(|_| frame.mark.kind == 'a'));
            hole.is_none_or(|(from, to)| time < from - 1e-9 || time >= to - 1e-9)
        }
    }

    pub fn fmp4(&self, track: &Track, n: usize) -> Vec<u8> {
        let (from, to) = self.frames_of(track, n);
        let asides = self.asides_of(track, n);
        let front = |frame: &super::media::Frame| {
            let captions = asides.iter().find(|(at, a)| *at == frame.pts && matches!(a, Aside::Captions(_)));
            captions.filter(|_| track.is_video()).map_or_else(Vec::new, |(_, aside)| {
                let nal = aside.bytes();
                [&(nal.len() as u32).to_be_bytes()[..], &nal].concat()
            })
        };
        let mut out = ByteWriter::new();
        for (at, aside) in &asides {
            self.emsg(&mut out, track, n, *at, aside);
        }
        out.bytes(&track.segment(from, to, self.kept(track), front));
        out.into_vec()
    }

    /// What goes along with a segment, by media time in ticks of 90 kHz. Event messages of version 1 are said again in the next one.
    fn asides_of(&self, track: &Track, n: usize) -> Vec<(i64, Aside)> {
        let begins = n as f64 * self.segment;
        let within = |(at, aside): &&(f64, Aside)| {
            let again = matches!(aside, Aside::Emsg { version: 1, .. }) && at + self.segment >= begins;
            track.part == 0 && *at < begins + self.segment && (*at >= begins || again)
        };
        let ticks = |at: f64| ((track.base + at) * 90_000.0).round() as i64;
        self.asides.iter().filter(within).map(|(at, aside)| (ticks(*at), aside.clone())).collect()
    }

    fn emsg(&self, w: &mut ByteWriter, track: &Track, n: usize, at: i64, aside: &Aside) {
        let Aside::Emsg { version, id, duration, data } = aside else { return };
        let texts = |w: &mut ByteWriter| w.bytes(b"urn:millrace:test\x00one\0");
        let begins = self.time_of(track, n) as f64 / f64::from(track.timescale());
        w.full_boxed(b"emsg", *version, 0, |w| {
            if *version == 0 {
                texts(w);
            }
            w.u32(1000);
            let ms = at as f64 / 90.0;
            match version {
                0 => w.u32((ms - begins * 1000.0).round() as u32),
                _ => w.u64(ms.round() as u64),
            }
            w.u32(duration.map_or(u32::MAX, |d| (d * 1000.0) as u32));
            w.u32(*id);
            if *version == 1 {
                texts(w);
            }
            w.bytes(data.as_bytes());
        });
    }

    fn tracks(&self) -> Vec<(String, Track)> {
        let mut all = Vec::new();
        for part in 0..self.parts.len() {
            for rung in 0..self.ladder.len() {
                all.push((format!("v{rung}"), self.video(part, rung)));
            }
            for language in 0..self.languages.len() {
                all.push((format!("a{language}"), self.audio(part, language)));
            }
        }
        all
    }

    /// The presentation with an MPD at [`MPD`].
    pub fn dash(&self, addressing: Addressing) -> Site {
        let mut site = Site::default();
        let this = Rc::new(self.clone());
        for (name, track) in self.tracks() {
            let part = track.part as usize;
            let folder = format!("{ROOT}{name}/{part}/");
            if addressing == Addressing::Sidx {
                let this = this.clone();
                site.put_made(&format!("{folder}all.mp4"), "video/mp4", move || this.single_file(&track).0);
                continue;
            }
            site.put_made(&format!("{folder}init.mp4"), "video/mp4", move || track.init_segment());
            for n in 0..self.count(part) {
                let place = match addressing {
                    Addressing::Time => self.time_of(&track, n).to_string(),
                    _ => n.to_string(),
                };
                let this = this.clone();
                site.put_made(&format!("{folder}{place}.m4s"), "video/mp4", move || this.fmp4(&track, n));
            }
        }
        site.put(MPD, DASH_TYPE, self.mpd(addressing));
        site
    }

    /// The presentation without sound, in WebM, with an MPD at [`MPD`].
    #[cfg(all(feature = "webm", feature = "progressive"))]
    pub fn dash_webm(&self) -> Site {
        let this = Self { languages: Vec::new(), ..self.clone() };
        let mut site = this.dash(Addressing::Number);
        site.edit(MPD, "video/mp4", "video/webm");
        site.edit(MPD, &this.parts[0].video.name(), "vp8");
        for (name, track) in this.tracks() {
            let folder = format!("{ROOT}{name}/{}/", track.part);
            site.put(&format!("{folder}init.mp4"), "video/webm", super::files::webm_init());
            for n in 0..this.count(track.part as usize) {
                let (from, to) = this.frames_of(&track, n);
                site.put(
                    &format!("{folder}{n}.m4s"),
                    "video/webm",
                    super::files::webm_segment(&track, from, to),
                );
            }
        }
        site
    }

    /// Start of a segment in ticks of the media.
    pub fn time_of(&self, track: &Track, n: usize) -> u64 {
        let (from, _) = self.frames_of(track, n);
        let base = (track.base * f64::from(track.timescale())).round() as u64;
        base + u64::from(from) * u64::from(track.frame_ticks())
    }

    fn mpd(&self, addressing: Addressing) -> String {
        let mut x = String::new();
        let _ = writeln!(
            x,
            "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" profiles=\"\" \
             minBufferTime=\"PT2S\" mediaPresentationDuration=\"PT{}S\">",
            self.duration()
        );
        for (part, p) in self.parts.iter().enumerate() {
            let _ = writeln!(
                x,
                "<Period id=\"p{part}\" start=\"PT{}S\" duration=\"PT{}S\">",
                self.start_of(part),
                p.duration
            );
            if !self.ladder.is_empty() {
                x.push_str("<AdaptationSet id=\"1\" contentType=\"video\" mimeType=\"video/mp4\" segmentAlignment=\"true\">\n");
                for (rung, bandwidth) in self.ladder.iter().enumerate() {
                    let _ = write!(
                        x,
                        "<Representation id=\"v{rung}\" bandwidth=\"{bandwidth}\" codecs=\"{}\" width=\"{}\" \
                         height=\"{}\" frameRate=\"{}\">",
                        p.video.name(),
                        320 << self.doublings(rung),
                        180 << self.doublings(rung),
                        self.fps
                    );
                    self.addresses(&mut x, addressing, &format!("v{rung}/{part}/"), &self.video(part, rung));
                    x.push_str("</Representation>\n");
                }
                x.push_str("</AdaptationSet>\n");
            }
            for (language, lang) in self.languages.iter().enumerate() {
                let _ = write!(
                    x,
                    "<AdaptationSet id=\"{}\" contentType=\"audio\" mimeType=\"audio/mp4\" lang=\"{lang}\">\n\
                     <Representation id=\"a{language}\" bandwidth=\"{AUDIO_BANDWIDTH}\" codecs=\"{}\" \
                     audioSamplingRate=\"48000\">",
                    language + 2,
                    p.audio.name(),
                );
                self.addresses(
                    &mut x,
                    addressing,
                    &format!("a{language}/{part}/"),
                    &self.audio(part, language),
                );
                x.push_str("</Representation></AdaptationSet>\n");
            }
            x.push_str("</Period>\n");
        }
        x.push_str("</MPD>\n");
        x
    }

    fn addresses(&self, x: &mut String, addressing: Addressing, folder: &str, track: &Track) {
        let scale = track.timescale();
        let offset = ((track.base - self.late) * f64::from(scale)).round() as u64;
        let part = track.part as usize;
        let _ = match addressing {
            Addressing::Number => write!(
                x,
                "<SegmentTemplate timescale=\"{scale}\" presentationTimeOffset=\"{offset}\" startNumber=\"0\" \
                 duration=\"{}\" initialization=\"{folder}init.mp4\" media=\"{folder}$Number$.m4s\"/>",
                (self.segment * f64::from(scale)).round()
            ),
            Addressing::Time => {
                let _ = write!(
                    x,
                    "<SegmentTemplate timescale=\"{scale}\" presentationTimeOffset=\"{offset}\" \
                     initialization=\"{folder}init.mp4\" media=\"{folder}$Time$.m4s\"><SegmentTimeline>"
                );
                for n in 0..self.count(part) {
                    let (from, to) = self.frames_of(track, n);
                    let _ = write!(
                        x,
                        "<S t=\"{}\" d=\"{}\"/>",
                        self.time_of(track, n),
                        (to - from) * track.frame_ticks()
                    );
                }
                write!(x, "</SegmentTimeline></SegmentTemplate>")
            }
            Addressing::List => {
                let _ = write!(
                    x,
                    "<SegmentList timescale=\"{scale}\" presentationTimeOffset=\"{offset}\" duration=\"{}\">\
                     <Initialization sourceURL=\"{folder}init.mp4\"/>",
                    (self.segment * f64::from(scale)).round()
                );
                for n in 0..self.count(part) {
                    let _ = write!(x, "<SegmentURL media=\"{folder}{n}.m4s\"/>");
                }
                write!(x, "</SegmentList>")
            }
            Addressing::Sidx => {
                let (_, init, sidx) = self.single_file(track);
                write!(
                    x,
                    "<BaseURL>{folder}all.mp4</BaseURL><SegmentBase timescale=\"{scale}\" presentationTimeOffset=\"{offset}\" \
                     indexRange=\"{}-{}\"><Initialization range=\"0-{}\"/></SegmentBase>",
                    init,
                    init + sidx - 1,
                    init - 1
                )
            }
        };
    }

    /// Init segment, sidx and all fragments in one file; with the sizes of the first two.
    fn single_file(&self, track: &Track) -> (Vec<u8>, usize, usize) {
        let mut file = track.init_segment();
        let init = file.len();
        let segments: Vec<(Vec<u8>, u32)> = (0..self.count(track.part as usize))
            .map(|n| {
                let (from, to) = self.frames_of(track, n);
                (self.fmp4(track, n), (to - from) * track.frame_ticks())
            })
            .collect();
        let mut w = ByteWriter::new();
        w.full_boxed(b"sidx", 1, 0, |w| {
            w.u32(1);
            w.u32(track.timescale());
            w.u64(self.time_of(track, 0));
            w.u64(0);
            w.u16(0);
            w.u16(segments.len() as u16);
            for (bytes, ticks) in &segments {
                w.u32(bytes.len() as u32);
                w.u32(*ticks);
                w.u32(0x9000_0000);
            }
        });
        let sidx = w.len();
        file.extend(w.into_vec());
        for (bytes, _) in segments {
            file.extend(bytes);
        }
        (file, init, sidx)
    }

    /// The first rung and the first language as one transport stream at [`TS`].
    pub fn ts_file(&self) -> Site {
        let mut site = Site::default();
        let this = Rc::new(self.clone());
        site.put_made(TS, "video/mp2t", move || {
            let parts = 0..this.parts.len();
            let all = parts.flat_map(|part| (0..this.count(part)).map(move |n| (part, n)));
            all.flat_map(|(part, n)| this.transport(&this.video(part, 0), n)).collect()
        });
        site
    }

    /// The first rung as one fragmented MP4 file without an index, at [`MP4`].
    pub fn fmp4_file(&self) -> Site {
        let mut site = Site::default();
        let this = Rc::new(self.clone());
        site.put_made(MP4, "video/mp4", move || {
            let track = this.video(0, 0);
            let media = (0..this.count(0)).flat_map(|n| this.fmp4(&track, n));
            track.init_segment().into_iter().chain(media).collect()
        });
        site
    }

    /// [`Self::fmp4_file`], with the frames of the first segment in the sample tables of the `moov` and fragments from the second one on.
    #[cfg(feature = "progressive")]
    pub fn continued_mp4_file(&self) -> Site {
        let mut site = Site::default();
        let this = Rc::new(self.clone());
        site.put_made(MP4, "video/mp4", move || {
            let track = this.video(0, 0);
            let (from, to) = this.frames_of(&track, 0);
            let start = super::files::mp4_to_be_continued(&[(track, track.frames(from, to))]);
            start.into_iter().chain((1..this.count(0)).flat_map(|n| this.fmp4(&track, n))).collect()
        });
        site
    }

    /// [`Self::ts_file`], of any size: what of it is sent is made then. Segments are filled up to one length with packets of no program.
    pub fn large_ts_file(&self) -> Site {
        let length = self.transport(&self.video(0, 0), 0).len() + 16 * 188;
        let mut null = [0xff; 188];
        null[..4].copy_from_slice(&[0x47, 0x1f, 0xff, 0x10]);
        let this = self.clone();
        let body = Body::of_parts(vec![length as u64; self.count(0)], move |n| {
            let media = this.transport(&this.video(0, 0), n);
            let filling = null.repeat((length - media.len()) / 188);
            [media, filling].concat()
        });
        let mut site = Site::default();
        site.put_body(TS, "video/mp2t", body);
        site
    }

    /// [`Self::fmp4_file`] of any size with an index, and where each fragment begins: time and byte. What of it is sent is made then; fragments
    /// are filled up to one length with boxes that are passed over. `change`: applied to what the index tells of a fragment.
    pub fn indexed_fmp4(&self, index: Index, change: impl Fn(Told) -> Told) -> (Site, Vec<(f64, u64)>) {
        let track = self.video(0, 0);
        let length = self.fmp4(&track, 0).len() + 1024;
        let tell = |n: usize| {
            let (from, to) = self.frames_of(&track, n);
            let (start, ticks) = (self.time_of(&track, n), (to - from) * track.frame_ticks());
            Told { start, ticks, bytes: length as u32, place: 0 }
        };
        let told: Vec<_> = (0..self.count(0)).map(tell).collect();
        let this = self.clone();
        let make = move |n| {
            let mut media = this.fmp4(&track, n);
            let filling = length - media.len();
            media.extend((filling as u32).to_be_bytes());
            media.extend(b"free");
            media.resize(length, 0);
            media
        };
        let scale = track.timescale();
        let (body, places) = fragmented(track.init_segment(), scale, &told, make, index, change);
        let mut site = Site::default();
        site.put_body(MP4, "video/mp4", body);
        let seconds = told.iter().map(|t| t.start as f64 / f64::from(scale));
        (site, seconds.zip(places).collect())
    }

    /// So many seconds of MPEG audio of 128 kbit/s and 48 kHz without any header, at [`MP3`].
    pub fn mp3_file(seconds: f64) -> Site {
        let mut site = Site::default();
        site.put_made(MP3, "audio/mpeg", move || {
            let count = (seconds * 48_000.0 / 1152.0).ceil() as u32;
            let mark = |number| Mark { kind: 'a', part: 0, number, rung: 0 };
            (0..count).flat_map(|number| super::files::mpeg_audio_frame(mark(number))).collect()
        });
        site
    }

    /// The first rung and all languages as one MP4 file with sample tables, at [`MP4`].
    #[cfg(feature = "progressive")]
    pub fn mp4_file(&self, moov_last: bool) -> Site {
        let sounds = (0..self.languages.len()).map(|language| self.audio(0, language));
        self.mp4_of(std::iter::once(self.video(0, 0)).chain(sounds).collect(), moov_last)
    }

    /// The same of these tracks.
    #[cfg(feature = "progressive")]
    pub fn mp4_of(&self, tracks: Vec<Track>, moov_last: bool) -> Site {
        let mut site = Site::default();
        let seconds = self.parts[0].duration;
        site.put_made(MP4, "video/mp4", move || {
            let with_frames = |t: &Track| (*t, t.frames(0, t.frames_until(seconds)));
            super::files::mp4(&tracks.iter().map(with_frames).collect::<Vec<_>>(), moov_last)
        });
        site
    }

    /// The first rung, and MPEG audio, as one Matroska file of the kind that is written while it is sent, at [`MKV`].
    pub fn live_matroska_file(&self) -> Site {
        let mut site = Site::default();
        let (video, seconds) = (self.video(0, 0), self.parts[0].duration);
        let frames = video.frames(0, video.frames_until(seconds));
        site.put(MKV, "video/x-matroska", super::files::live_matroska(&video, &frames, seconds));
        site
    }

    /// The presentation with a multivariant playlist at [`M3U8`].
    pub fn hls(&self, container: Container) -> Site {
        let mut site = Site::default();
        let this = Rc::new(self.clone());
        let suffix = container.suffix();
        for (name, track) in self.tracks() {
            let part = track.part as usize;
            let folder = format!("{ROOT}{name}/{part}/");
            if container == Container::Fmp4 {
                site.put_made(&format!("{folder}init.mp4"), "video/mp4", move || track.init_segment());
            }
            for n in 0..self.count(part) {
                let this = this.clone();
                site.put_made(&format!("{folder}{n}.{suffix}"), "video/mp4", move || match container {
                    Container::Fmp4 => this.fmp4(&track, n),
                    Container::Packed | Container::Untimed if !track.is_video() => {
                        let (from, to) = this.frames_of(&track, n);
                        ts::packed(&track, from, to, container == Container::Packed, this.kept(&track))
                    }
                    Container::Ts | Container::Packed | Container::Untimed => this.transport(&track, n),
                });
            }
        }
        for rung in 0..self.ladder.len() {
            site.put(&format!("{ROOT}v{rung}.m3u8"), HLS_TYPE, self.playlist(&format!("v{rung}"), container));
        }
        for language in 0..self.languages.len() {
            site.put(
                &format!("{ROOT}a{language}.m3u8"),
                HLS_TYPE,
                self.playlist(&format!("a{language}"), container),
            );
        }
        site.put(M3U8, HLS_TYPE, self.multivariant());
        site
    }

    /// A segment as a transport stream.
    pub fn transport(&self, track: &Track, n: usize) -> Vec<u8> {
        let (from, to) = self.frames_of(track, n);
        if !track.is_video() {
            return ts::segment(None, Some((track, from, to)), self.kept(track), &self.asides_of(track, n));
        }
        let sound = self.audio(track.part as usize, 0);
        let (a, b) = self.frames_of(&sound, n);
        ts::segment(
            Some((track, from, to)),
            self.muxed.then_some((&sound, a, b)),
            self.kept(track),
            &self.asides_of(track, n),
        )
    }

    pub fn multivariant(&self) -> String {
        let mut x = String::from("#EXTM3U\n#EXT-X-VERSION:7\n");
        for (language, lang) in self.languages.iter().enumerate() {
            let default = if language == 0 { "YES" } else { "NO" };
            let _ = writeln!(
                x,
                "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"sound\",NAME=\"{lang}\",LANGUAGE=\"{lang}\",DEFAULT={default},\
                 AUTOSELECT=YES,URI=\"a{language}.m3u8\""
            );
        }
        let p = &self.parts[0];
        let sound = self.muxed || !self.languages.is_empty();
        for (rung, bandwidth) in self.ladder.iter().enumerate() {
            let codecs =
                if sound { format!("{},{}", p.video.name(), p.audio.name()) } else { p.video.name() };
            let group = if self.languages.is_empty() { "" } else { ",AUDIO=\"sound\"" };
            let _ = writeln!(
                x,
                "#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},RESOLUTION={}x{},FRAME-RATE={}.000,CODECS=\"{codecs}\"{group}\n\
                 v{rung}.m3u8",
                320 << self.doublings(rung),
                180 << self.doublings(rung),
                self.fps
            );
        }
        x
    }

    fn playlist(&self, name: &str, container: Container) -> String {
        let mut x = format!(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}\n#EXT-X-PLAYLIST-TYPE:VOD\n",
            self.segment.ceil()
        );
        let suffix = container.suffix();
        let mut position = 0;
        for (part, p) in self.parts.iter().enumerate() {
            if part > 0 {
                x.push_str("#EXT-X-DISCONTINUITY\n");
            }
            if container == Container::Fmp4 {
                let _ = writeln!(x, "#EXT-X-MAP:URI=\"{name}/{part}/init.mp4\"");
            }
            for n in 0..self.count(part) {
                let rest = p.duration - n as f64 * self.segment;
                if self.gaps.contains(&position) {
                    x.push_str("#EXT-X-GAP\n");
                }
                let _ = writeln!(x, "#EXTINF:{:.5},\n{name}/{part}/{n}.{suffix}", rest.min(self.segment));
                position += 1;
            }
        }
        x.push_str("#EXT-X-ENDLIST\n");
        x
    }
}
