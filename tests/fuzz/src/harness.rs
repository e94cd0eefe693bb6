//! What is held against every input: no panic, the same calls however the bytes are split, memory in proportion to the input. (That
//! nothing hangs and no single allocation is large, libFuzzer watches itself: see `www/tools/fuzz.mjs`.)

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use millrace::codec::{aac, ac3, avc, hevc, latm, mpeg_audio, sei};
use millrace::container::packed::Mp3Layout;
use millrace::container::{Demuxer, Format, Metadata, Sample, Sink, TrackId, TrackInfo, open, sniff};
use millrace::error::Result;
use millrace::time::Ticks;

/// Bytes that a sink may hold beyond twice the input: tables and headers that are written out, not copied.
const SLACK: usize = 1 << 20;

/// Remembers a digest of its calls.
#[derive(Default)]
struct Digest {
    calls: Vec<u64>,
    buffers: Vec<(TrackId, Vec<u8>)>,
    metadata: usize,
}

impl Digest {
    fn note(&mut self, call: impl Hash) {
        let mut hasher = DefaultHasher::new();
        call.hash(&mut hasher);
        self.calls.push(hasher.finish());
    }

    fn held(&self) -> usize {
        self.buffers.iter().map(|(_, b)| b.len()).sum::<usize>() + self.metadata
    }
}

impl Sink for Digest {
    fn track(&mut self, info: TrackInfo) {
        self.note(format!("{info:?}"));
        if !self.buffers.iter().any(|(id, _)| *id == info.id) {
            self.buffers.push((info.id, Vec::new()));
        }
    }

    fn tracks_complete(&mut self) {
        self.note("complete");
    }

    fn buffer(&mut self, track: TrackId) -> &mut Vec<u8> {
        let at = self.buffers.iter().position(|(id, _)| *id == track).expect("bytes come after their track");
        &mut self.buffers[at].1
    }

    fn sample(&mut self, track: TrackId, sample: Sample) {
        let buffer = self.buffer(track);
        assert!(buffer.len() >= sample.size as usize, "a sample has its bytes");
        let payload = std::mem::take(buffer);
        self.note((track.0, format!("{sample:?}"), payload));
    }

    fn metadata(&mut self, track: Option<TrackId>, at: Option<Ticks>, data: Metadata) {
        let text = format!("{track:?} {at:?} {data:?}");
        self.metadata += text.len() / 8;
        self.note(text);
    }

    /// Where and when a warning comes may depend on how much had come by then.
    fn warning(&mut self, _: u64, _: &'static str) {}
}

fn run<'a>(
    demuxer: &mut dyn Demuxer,
    digest: &mut Digest,
    pieces: impl Iterator<Item = &'a [u8]>,
    len: usize,
) {
    let mut result: Result<()> = Ok(());
    for piece in pieces {
        result = demuxer.push(piece, digest);
        assert!(digest.held() <= 2 * len + SLACK, "memory grows beyond the input");
        if result.is_err() {
            break;
        }
    }
    let result = result.and_then(|()| demuxer.finish(digest));
    digest.note(result.err().map(|error| error.code.as_str()));
}

/// Pieces of 0 to 400 bytes, always the same for the same bytes.
fn split(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut state = data.iter().fold(0x9e37_79b9_7f4a_7c15u64, |s, &b| s.rotate_left(7) ^ u64::from(b)) | 1;
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let (piece, tail) = rest.split_at((state % 400) as usize % (rest.len() + 1));
        rest = tail;
        Some(piece)
    })
}

/// Reads the input as a format: whole, in pieces, and once more after a reset.
pub fn demuxer(format: Format, data: &[u8]) {
    let _ = sniff(data);
    let Some(mut demuxer) = open(format) else { return };
    let mut whole = Digest::default();
    run(demuxer.as_mut(), &mut whole, std::iter::once(data), data.len());
    let mut pieces = Digest::default();
    if let Some(mut second) = open(format) {
        run(second.as_mut(), &mut pieces, split(data), data.len());
        assert!(whole.calls == pieces.calls, "what is told depends on the split");
    }
    let _ = demuxer.duration(Some(data.len() as u64));
    for time in [0.0, 0.3, 1e9] {
        if let Some(at) = demuxer.seek(time, data.len() as u64) {
            let from = usize::try_from(at).unwrap_or(usize::MAX).min(data.len());
            run(demuxer.as_mut(), &mut whole, split(&data[from..]), data.len());
        }
        whole.calls.clear();
        whole.buffers.iter_mut().for_each(|(_, b)| b.clear());
        whole.metadata = 0;
    }
    demuxer.reset();
    run(demuxer.as_mut(), &mut whole, split(data), data.len());
}

/// Reads the input as a whole MP4 file with sample tables.
pub fn progressive(data: &[u8]) {
    let mut digest = Digest::default();
    let _ = millrace::container::mp4::progressive::demux(data, &mut digest);
}

/// Reads the input as each of the headers of elementary streams.
pub fn codecs(data: &[u8]) {
    let _ = avc::Sps::parse(data);
    let _ = avc::pps_ids(data);
    if let Some(sps) = hevc::Sps::parse(data) {
        let _ = sps.codec_string(b"hvc1");
    }
    let _ = hevc::pps_ids(data);
    sei::messages(data, |_, payload| {
        let _ = sei::captions(payload);
    });
    let mut reader = latm::LatmReader::default();
    let _ = reader.read(data, |config, frame| {
        let _ = (config.audio.codec_string(), aac::carries_sbr(frame));
    });
    let _ = aac::carries_sbr(data);
    if let Some(config) = aac::AudioSpecificConfig::parse(data) {
        let _ = aac::AudioSpecificConfig::parse(&config.to_bytes());
    }
    if let Some(header) = data.first_chunk().and_then(mpeg_audio::MpegAudioHeader::parse) {
        let _ = (mpeg_audio::VbrHeader::parse(&header, data), header.sample_entry());
    }
    if let Some(layout) = Mp3Layout::read(data) {
        let _ = (layout.duration(Some(1 << 40)), layout.seek(1e6, Some(1 << 40)), layout.seek(1.0, None));
    }
    let _ = ac3::Ac3Config::from_unit(data);
}

/// Reads the input as the head, the tail and the middle of an FLV file.
pub fn flv_layout(data: &[u8]) {
    use millrace::container::flv::{Layout, Progress, time_in};
    if let Progress::Done(layout) = Layout::read(data) {
        let _ = (layout.keyframe(1.0), layout.keyframe(-1.0));
    }
    let _ = (Layout::end_time(data), time_in(data));
}

/// Reads the input as both ends of an Ogg file.
pub fn ogg_layout(data: &[u8]) {
    use millrace::container::ogg::Layout;
    let tail = &data[data.len() / 3..];
    if let Some(layout) = Layout::read(data, tail) {
        let _ = (layout.duration(), layout.estimate(1.0, data.len() as u64), layout.estimate(1e9, u64::MAX));
        let _ = layout.time_in(tail);
    }
}

/// Reads the input as headers of Opus, Vorbis and FLAC.
pub fn audio_headers(data: &[u8]) {
    use millrace::codec::{flac, opus, vorbis};
    let heads = [opus::OpusHead::parse(data), opus::OpusHead::parse_dops(data)];
    for head in heads.into_iter().flatten() {
        assert_eq!(opus::OpusHead::parse(&head.to_bytes()).as_ref(), Some(&head));
        let _ = head.sample_entry();
    }
    let _ = (opus::packet_duration(data), vorbis::read_comments(data), vorbis::comments(data));
    if let Some([a, b, c]) = vorbis::unlace(data) {
        assert_eq!(vorbis::unlace(&vorbis::lace([a, b, c])), Some([a, b, c]));
    }
    if let Some(headers) = vorbis::Headers::from_codec_private(data) {
        let _ = headers.block_size(data);
    }
    if let Some(info) = flac::StreamInfo::from_codec_private(data).or_else(|| flac::StreamInfo::parse(data)) {
        let _ = info.sample_entry();
        if let flac::ReadFrame::Got(header) = flac::FrameHeader::parse(data) {
            let _ = (info.frame_limit(&header), header.first_sample(&info), info.agrees(&header));
        }
    }
    let _ = flac::seek_table(data);
}

/// Reads the input as a list of stations, and as a stream with metadata in it.
pub fn radio(data: &[u8]) {
    use millrace::container::icy::{IcyReader, Piece};
    use millrace::manifest::lists::{ListFormat, read, recognize};
    let url = "http://a.test/b/c.m3u";
    let _ = recognize(data, Some("audio/x-mpegurl"), url);
    for format in [ListFormat::Pls, ListFormat::M3u, ListFormat::Xspf] {
        let _ = read(format, data, url);
    }
    let Some(mut reader) = IcyReader::new(16) else { return };
    let mut media = 0;
    for mut piece in split(data) {
        while let Some(found) = reader.next(&mut piece) {
            if let Piece::Media(bytes) = found {
                media += bytes.len();
            }
        }
    }
    assert_eq!(media as u64, reader.media_bytes());
}

/// Reads the input as a live MPD, lets time pass, and reads it again: as it is, and over a live MPD of before.
pub fn live(data: &[u8]) {
    use millrace::manifest::{Presentation, dash};
    const BEFORE: &[u8] = include_bytes!("../../fixtures/dash/live/multi-period-2.mpd");
    let url = "https://a.test/b/c.mpd";
    let walk = |p: &mut Presentation, now: f64| {
        p.advance(now);
        let _ = (p.window(now), p.edge(now), p.next_available(now));
        for r in p.periods.iter_mut().flat_map(|p| &mut p.sets).flat_map(|s| &mut s.representations) {
            let count = r.index.len();
            for i in [0, count / 2, count.wrapping_sub(1)] {
                if let Some(segment) = r.index.segment(i) {
                    let _ = (r.index.after(segment.number, None, segment.start), r.index.at(segment.start));
                }
            }
            r.switch_base(1);
        }
    };
    for now in [1.7e9 + 5.0, 1_795_511_441.0, 0.0] {
        let Ok(mut presentation) = dash::parse_at(data, url, Some(now)) else { return };
        let Ok(before) = dash::parse_at(BEFORE, url, Some(1.7e9 + 5.0)) else { return };
        for old in [before, presentation.clone()] {
            let mut old = old;
            old.update(presentation.clone());
            for step in [0.0, 1.5, 1e3, 1e12, -1e12, f64::NAN] {
                walk(&mut old, now + step);
            }
        }
        walk(&mut presentation, now + 3.0);
    }
    let _ = (dash::clock(data), dash::validity(data));
    let _ = std::str::from_utf8(data).map(millrace::manifest::http_date);
}

/// Reads the input as a patch, and as what is patched.
pub fn patch(data: &[u8]) {
    use millrace::manifest::dash;
    const MPD: &[u8] = include_bytes!("../../fixtures/dash/live/livesim-time-1.mpd");
    const PATCH: &[u8] = include_bytes!("../../fixtures/dash/live/livesim-time.mpp");
    for (mpd, patch) in [(MPD, data), (data, PATCH)] {
        if let Ok(text) = dash::patch(mpd, patch) {
            assert!(text.len() <= mpd.len() + 10 * patch.len() + 1000);
            let _ = dash::parse_at(&text, "https://a.test/b/c.mpd", Some(1.7e9));
        }
    }
}

/// Reads the input as answers for one media playlist, each of which begins with `#EXTM3U`.
pub fn hls_reloads(data: &[u8]) {
    use millrace::manifest::SegmentIndex;
    use millrace::manifest::hls::{Playlist, Reload, Variables, parse};
    const HEAD: &[u8] = b"#EXTM3U";
    const URL: &str = "https://a.test/b/c.m3u8";
    let mut starts: Vec<_> =
        data.windows(HEAD.len()).enumerate().filter(|(_, w)| *w == HEAD).map(|(i, _)| i).collect();
    starts.push(data.len());
    let mut answers = starts.windows(2).map(|w| &data[w[0]..w[1]]);
    let none = Variables::default();
    let first = answers.find_map(|text| match parse(text, URL, &none) {
        Ok(Playlist::Media(list)) => Some(list),
        _ => None,
    });
    let Some(first) = first else { return };
    let mut reload = Reload::new(URL, &first, 0.0);
    let mut index = first.index;
    let (mut now, mut next, mut end) = (0.0, 0, f64::NEG_INFINITY);
    for text in answers {
        let request = reload.request(now);
        assert!(request.url.starts_with(URL));
        reload.begun(now);
        now += 0.7;
        let read = reload.read(&index, text, URL, &none);
        // All that is there was listed in one of the answers.
        match read.and_then(|new| reload.update(&mut index, new, now)) {
            Ok(change) => assert!(reload.complete() || change.complete || reload.due().is_finite()),
            Err(_) => reload.failed(now),
        }
        now = if reload.due().is_finite() { reload.due() } else { now + 1.0 };
        assert!(index.segments.len() + index.parts.len() <= data.len());
        let number = index.first.saturating_add(index.segments.len() as u64);
        assert!(number >= next, "numbers go back");
        next = number;
        let mut last = f64::NEG_INFINITY;
        for segment in &index.segments {
            assert!(segment.start.is_finite() && segment.start >= last, "segments are not in order");
            last = segment.start;
            assert!(segment.init.is_none_or(|i| (i as usize) < index.inits.len()));
            assert!(segment.keys.is_none_or(|i| (i as usize) < index.keys.len()));
        }
        if !index.segments.is_empty() {
            assert!(last >= end, "time goes back");
            end = last;
        }
        let whole = SegmentIndex::List(index.clone());
        for part in &index.parts {
            assert!(part.start.is_finite() && part.number >= index.first);
            let _ = (whole.at(part.start), whole.after(part.number, Some(part.part), part.start));
            let _ = (reload.date_at(part.start), reload.time_at(1.7e9));
        }
    }
    if let Ok(Playlist::Media(other)) = parse(data, URL, &none) {
        let mut second = Reload::new(URL, &other, now);
        let mut other = other.index;
        second.align(&mut other, &reload, &index);
        assert!(other.segments.iter().all(|s| s.start.is_finite()));
    }
}
