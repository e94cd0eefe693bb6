//! FLV: samples against golden dumps and ffprobe, enhanced RTMP made here, streams joined in the middle, every split and damage.

use millrace::bytes::ByteWriter;
use millrace::container::flv::{FlvDemuxer, Layout, Progress, time_in};
use millrace::container::mp4::{FragmentDemuxer, progressive};
use millrace::container::{Demuxer, Format, Metadata, Sample, Sink, TrackId, TrackInfo, open, sniff};

use crate::support::{
    Call, Random, Recorder, check_damage, check_golden, check_splits, crc32, demux, demux_again, ffprobe,
    fixture_path, fixtures, media, quiet,
};

const VIDEO: TrackId = TrackId(1);
const AUDIO: TrackId = TrackId(2);

fn new() -> Box<dyn Demuxer> {
    Box::new(FlvDemuxer::new())
}

fn files() -> Vec<(std::path::PathBuf, Vec<u8>)> {
    fixtures("flv", &[".flv"])
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(fixture_path("flv").join(name)).unwrap()
}

fn samples(calls: &[Call], track: TrackId) -> Vec<(Sample, u32)> {
    Recorder::of(calls).samples(track)
}

fn all(data: &[u8]) -> Vec<Call> {
    demux(new().as_mut(), [data])
}

fn warnings(calls: &[Call]) -> Vec<&'static str> {
    calls.iter().filter_map(|c| if let Call::Warning(_, what) = c { Some(*what) } else { None }).collect()
}

#[test]
fn fixtures_give_the_samples_of_their_golden_dumps() {
    let files = files();
    assert!(files.len() >= 8);
    for (path, data) in files {
        assert_eq!(sniff(&data), Some(Format::Flv));
        check_golden(&|| open(Format::Flv).unwrap(), &path, &data);
    }
}

#[test]
fn any_split_of_the_input_gives_the_same_calls() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (path, data) in files() {
        check_splits(&new, &path, &data, &mut random);
        // Joined somewhere.
        let at = random.below(data.len() / 2);
        check_splits(&new, &path, &data[at..], &mut random);
    }
}

#[test]
fn damaged_input_never_panics_and_does_not_depend_on_how_it_is_split() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for (path, data) in files() {
        check_damage(&new, &path, &data, 160, &mut random);
    }
}

#[test]
fn what_the_end_looks_like_does_not_depend_on_the_split() {
    let data = file("ffmpeg-aac.flv");
    for tail in [&b"F"[..], b"FLV", b"FLV\x01\x05", b"FLx??????", b"\x08\0\0", b"\x08\0\0?????????"] {
        for start in [0, data.len()] {
            let bytes = [&data[start..], tail].concat();
            assert_eq!(demux(new().as_mut(), bytes.chunks(1)), all(&bytes), "{tail:?}");
        }
    }
}

#[test]
fn every_packet_is_the_one_that_ffprobe_reads() {
    let clip = media().map(|m| m.join("flv/sample.flv")).filter(|p| p.exists());
    let clip = clip.map(|p| (p.clone(), std::fs::read(p).unwrap()));
    let mut compared = 0;
    for (path, data) in files().into_iter().chain(clip) {
        let name = path.display();
        // ffprobe ends at the second header.
        if path.ends_with("two-streams.flv") {
            continue;
        }
        let calls = all(&data);
        for info in Recorder::of(&calls).tracks() {
            let Some(theirs) = ffprobe(&path, if info.id == VIDEO { "v:0" } else { "a:0" }) else { return };
            let ours = samples(&calls, info.id);
            let payload: Vec<_> = ours.iter().map(|(s, crc)| (s.size as usize, *crc, s.sync)).collect();
            assert!(payload == theirs.iter().map(|t| (t.size, t.crc, t.sync)).collect::<Vec<_>>(), "{name}");
            for ((s, _), t) in ours.iter().zip(&theirs) {
                let scale = i64::from(info.timescale.get());
                if info.id == VIDEO {
                    assert_eq!((Some(s.pts), Some(s.dts)), (t.pts, t.dts), "{name}");
                } else {
                    // Samples, that were rounded to milliseconds one way or the other.
                    let off = s.pts * 1000 - t.pts.unwrap() * scale;
                    assert!(off.abs() <= scale, "{name}: {s:?} for {t:?}");
                }
            }
            compared += ours.len();
        }
    }
    assert!(compared > 500);
}

#[test]
fn tracks_and_metadata_are_told_before_the_first_sample() {
    let calls = all(&file("ffmpeg-avc-aac.flv"));
    let recorder = Recorder::of(&calls);
    let tracks: Vec<_> =
        recorder.tracks().map(|t| (t.id, t.codec.as_str(), t.width, t.sample_rate)).collect();
    assert_eq!(tracks, [(VIDEO, "avc1.64000b", 160, 0), (AUDIO, "mp4a.40.2", 0, 44_100)]);
    let at = |f: &dyn Fn(&Call) -> bool| calls.iter().position(f).unwrap();
    let complete = at(&|c| matches!(c, Call::Complete));
    assert!(complete < at(&|c| matches!(c, Call::Sample(..))));
    let Call::Metadata(None, None, Metadata::Script(values)) = &calls[0] else { panic!("{:?}", calls[0]) };
    let value = |name: &str| values.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!(
        (value("width"), value("framerate"), value("stereo")),
        (Some("160"), Some("25"), Some("false"))
    );
    assert!(values.iter().all(|(name, _)| !name.starts_with("keyframes")));
}

#[test]
fn audio_has_neither_gaps_nor_overlaps() {
    for name in ["ffmpeg-avc-aac.flv", "ffmpeg-avc-mp3.flv", "gstreamer-mp3.flv", "ffmpeg-aac.flv"] {
        let samples = samples(&all(&file(name)), AUDIO);
        assert!(samples.len() > 50);
        for pair in samples.windows(2) {
            assert_eq!(pair[0].0.dts + i64::from(pair[0].0.duration.unwrap()), pair[1].0.dts, "{name}");
        }
    }
}

#[test]
fn one_kind_alone_starts_at_once() {
    for (name, bytes) in [("ffmpeg-aac.flv", 800), ("gstreamer-mp3.flv", 3000), ("ffmpeg-avc.flv", 3000)] {
        let data = file(name);
        let mut demuxer = new();
        let mut recorder = Recorder::default();
        demuxer.push(&data[..bytes], &mut recorder).unwrap();
        assert!(recorder.calls.contains(&Call::Complete), "{name}");
        assert!(recorder.calls.iter().any(|c| matches!(c, Call::Sample(..))), "{name}");
    }
}

/// A tag with the size behind it.
fn tag(kind: u8, time: u32, body: &[u8]) -> Vec<u8> {
    let mut w = ByteWriter::new();
    w.u8(kind);
    w.u24(body.len() as u32);
    w.u24(time & 0xff_ffff);
    w.u8((time >> 24) as u8);
    w.u24(0);
    w.bytes(body);
    w.u32(body.len() as u32 + 11);
    w.into_vec()
}

fn header(flags: u8) -> Vec<u8> {
    [b"FLV\x01", &[flags, 0, 0, 0, 9, 0, 0, 0, 0][..]].concat()
}

/// The tags of a file: position, kind, time, body.
fn tags(data: &[u8]) -> Vec<(usize, u8, u32, &[u8])> {
    let mut at = 13;
    let mut out = Vec::new();
    while at + 15 <= data.len() {
        let field = |i: usize| u32::from_be_bytes([0, data[at + i], data[at + i + 1], data[at + i + 2]]);
        let size = field(1) as usize;
        out.push((at, data[at], field(4) | u32::from(data[at + 7]) << 24, &data[at + 11..at + 11 + size]));
        at += size + 15;
    }
    out
}

#[test]
fn flags_and_metadata_that_lie_cost_half_a_second_at_most() {
    let data = file("ffmpeg-avc-aac.flv");
    let keep = |flags: u8, kind: u8| -> Vec<u8> {
        let tags = tags(&data).into_iter().filter(|t| t.1 == kind);
        [header(flags), tags.flat_map(|t| tag(t.1, t.2, t.3)).collect()].concat()
    };
    for (flags, kind, id) in [(5, 9, VIDEO), (0, 9, VIDEO), (4, 9, VIDEO), (5, 8, AUDIO), (1, 8, AUDIO)] {
        let calls = all(&keep(flags, kind));
        let complete = calls.iter().position(|c| *c == Call::Complete).unwrap();
        let before = samples(&calls[..complete], id);
        let scale = i64::from(Recorder::of(&calls).tracks().next().unwrap().timescale.get());
        let waited = before.last().map_or(0, |l| (l.0.dts - before[0].0.dts) * 1000 / scale);
        assert!(waited <= 540, "{waited} ms with flags {flags} and tags of kind {kind}");
    }
    // Audio comes although the header says there is none: it is told late, and completeness again.
    let mut lying = data.clone();
    lying[4] = 1;
    let no_script: Vec<u8> =
        tags(&lying).into_iter().filter(|t| t.1 != 18).flat_map(|t| tag(t.1, t.2, t.3)).collect();
    let calls = all(&[&lying[..13], &no_script].concat());
    assert_eq!(calls.iter().filter(|c| **c == Call::Complete).count(), 2);
    assert_eq!(samples(&calls, AUDIO), samples(&all(&data), AUDIO));
}

#[test]
fn a_stream_that_is_joined_in_the_middle_gives_what_is_whole() {
    for name in ["ffmpeg-avc-aac.flv", "gstreamer-avc-aac.flv", "ffmpeg-avc-mp3.flv"] {
        let data = file(name);
        let whole = all(&data);
        let mut demuxer = new();
        demux(demuxer.as_mut(), [&data[..]]);
        let mut random = Random(9);
        for _ in 0..50 {
            demuxer.reset();
            let at = random.below(data.len() - 2000);
            let calls = demux_again(demuxer.as_mut(), &whole, random.split(&data[at..], 700));
            for track in [VIDEO, AUDIO] {
                let got: Vec<_> =
                    samples(&calls, track).iter().map(|(s, crc)| (s.size, s.sync, *crc)).collect();
                let all = samples(&whole, track);
                let expected: Vec<_> =
                    all[all.len() - got.len()..].iter().map(|(s, crc)| (s.size, s.sync, *crc)).collect();
                assert!(got == expected, "{name} from {at}");
                assert!(
                    got.len()
                        >= tags(&data).iter().filter(|t| t.0 > at && t.1 == 9 - (track.0 as u8 - 1)).count()
                            - 2
                );
            }
            for ((s, _), (w, _)) in
                samples(&calls, VIDEO).iter().rev().zip(samples(&whole, VIDEO).iter().rev())
            {
                assert_eq!((s.pts, s.dts), (w.pts, w.dts));
            }
        }
        // A relay that begins with the configuration, without a header, in the middle of a tag before it.
        let config: Vec<u8> = tags(&data)
            .into_iter()
            .filter(|t| matches!(t.3, [0x17, 0, ..] | [0xaf, 0, ..]))
            .flat_map(|t| tag(t.1, 99_000, t.3))
            .collect();
        let rest = tags(&data)[20].0;
        let calls = all(&[&b"\x99\x08\x09garbage"[..], &config, &data[rest..]].concat());
        assert!(samples(&calls, VIDEO).len() > 20, "{name}");
        assert!(Recorder::of(&calls).tracks().count() == 2, "{name}");
        // And one that sends no configuration at all.
        let calls = all(&data[tags(&data)[20].0..]);
        assert_eq!(samples(&calls, VIDEO), [], "{name}");
        assert!(warnings(&calls).contains(&"pictures before their decoder configuration"));
    }
}

#[test]
fn configurations_that_change_are_told_anew_and_those_that_repeat_are_not() {
    let calls = all(&file("two-streams.flv"));
    let recorder = Recorder::of(&calls);
    let tracks: Vec<_> =
        recorder.tracks().map(|t| (t.id, t.codec.as_str(), t.width, t.timescale.get())).collect();
    let (v, a) = (VIDEO, AUDIO);
    assert_eq!(
        tracks,
        [
            (v, "avc1.64000a", 96, 1000),
            (a, "mp3", 0, 22_050),
            (v, "avc1.64000a", 128, 1000),
            (a, "mp4a.40.2", 0, 48_000)
        ]
    );
    assert!(warnings(&calls).contains(&"time stamps jump back"));
    let data = file("ffmpeg-avc-aac.flv");
    let repeated: Vec<u8> = tags(&data)
        .into_iter()
        .flat_map(|t| {
            let again =
                if matches!(t.3, [0x17, 0, ..] | [0xaf, 0, ..]) { tag(t.1, t.2, t.3) } else { vec![] };
            [again, tag(t.1, t.2, t.3)].concat()
        })
        .collect();
    let calls = all(&[header(5), repeated].concat());
    assert_eq!(quiet(&calls), quiet(&all(&data)));
}

#[test]
fn time_stamps_use_all_32_bits_and_jumps_are_said() {
    let data = file("ffmpeg-avc.flv");
    let shifted = |by: u32| -> Vec<u8> {
        let tags = tags(&data).into_iter().flat_map(|t| tag(t.1, t.2.wrapping_add(by), t.3));
        [header(1), tags.collect()].concat()
    };
    let plain = samples(&all(&data), VIDEO);
    let calls = all(&shifted(0x0100_0000));
    let far: Vec<_> = samples(&calls, VIDEO).iter().map(|(s, _)| s.dts - 0x0100_0000).collect();
    assert_eq!(far, plain.iter().map(|(s, _)| s.dts).collect::<Vec<_>>());
    assert_eq!(warnings(&calls), [""; 0]);
    // 700 ms before the end of the 32 bits.
    let calls = all(&shifted(u32::MAX - 700));
    assert_eq!(warnings(&calls), ["time stamps jump back"]);
    assert_eq!(samples(&calls, VIDEO).len(), plain.len());
}

#[test]
fn wrong_sizes_behind_tags_are_said_once_and_wrong_tags_dropped() {
    let data = file("ffmpeg-avc-aac.flv");
    let mut wrong = data.clone();
    for (at, _, _, body) in tags(&data) {
        wrong[at + 11 + body.len()..][..4].fill(0);
    }
    let calls = all(&wrong);
    assert_eq!(quiet(&calls), quiet(&all(&data)));
    assert_eq!(warnings(&calls), ["sizes behind the tags are wrong"]);
    // A tag whose size is too small: it is dropped, and the next one found.
    let mut damaged = data.clone();
    let tags = tags(&data);
    let (at, ..) = tags[40];
    damaged[at + 3] ^= 4;
    let calls = all(&damaged);
    let (lost_video, lost_audio) = (75 - samples(&calls, VIDEO).len(), 131 - samples(&calls, AUDIO).len());
    assert!((1..=2).contains(&(lost_video + lost_audio)), "{lost_video} and {lost_audio}");
}

#[test]
fn tags_of_another_stream_are_read_and_found_again() {
    let data = file("ffmpeg-avc-aac.flv");
    let mut other = data.clone();
    for (at, ..) in tags(&data) {
        other[at + 8..at + 11].copy_from_slice(&[0, 0, 1]);
    }
    let calls = all(&other);
    assert_eq!(quiet(&calls), quiet(&all(&data)));
    assert_eq!(warnings(&calls), ["tags of another stream than 0"]);
    // After a seek.
    let mut demuxer = FlvDemuxer::new();
    let before = demux(&mut demuxer, [&other[..]]);
    demuxer.reset();
    let again = demux_again(&mut demuxer, &quiet(&before), [&other[data.len() / 2..]]);
    assert!(samples(&again, VIDEO).len() > 30);
}

#[test]
fn what_is_not_played_is_named() {
    let calls = all(&file("sorenson-aac.flv"));
    assert_eq!(warnings(&calls), ["Sorenson H.263 video is not supported"]);
    assert!(samples(&calls, AUDIO).len() > 40);
    let complete = calls.iter().position(|c| *c == Call::Complete).unwrap();
    assert!(samples(&calls[..complete], AUDIO).len() < 3, "the video is not waited for");
    let alone = [header(1), tag(9, 0, &[0x12, 1, 2, 3]), tag(9, 40, &[0x22, 1, 2, 3])].concat();
    let Some(Call::Error(code, message, _)) = all(&alone).last().cloned() else { panic!() };
    assert_eq!((code, message.contains("H.263")), ("CODEC_UNSUPPORTED", true));
    let mut random = Random(4);
    let garbage: Vec<u8> = (0..3 << 20).map(|_| random.below(256) as u8).collect();
    let calls = demux(new().as_mut(), garbage.chunks(65_536));
    assert!(matches!(calls.last(), Some(Call::Error("MEDIA_MALFORMED", ..))));
    for nothing in [&b""[..], b"FLV", b"FLV\x01\x05\0\0\0\x09\0\0\0\0"] {
        assert!(matches!(all(nothing).last(), Some(Call::Error("MEDIA_MALFORMED", ..))));
    }
}

#[test]
fn tags_of_absurd_size_are_passed_over() {
    let data = file("ffmpeg-avc-aac.flv");
    let plain = quiet(&all(&data));
    let at = tags(&data)[3].0;
    // A message of 2 MB is not held; a tag that claims 15 MB is taken for damage, and what is behind its header read.
    let message = tag(18, 0, &vec![2; 2 << 20]);
    let calls = all(&[&data[..at], &message, &data[at..]].concat());
    assert_eq!(quiet(&calls), plain);
    assert_eq!(warnings(&calls), ["a configuration or message that is too long"]);
    let absurd = [9, 0xf0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let calls = all(&[&data[..at], &absurd, &data[at..]].concat());
    assert_eq!(quiet(&calls), plain);
    assert_eq!(warnings(&calls), ["bytes that are no tag", "bytes are passed over up to the next tag"]);
}

#[test]
fn the_layout_gives_duration_and_keyframes() {
    let data = file("ffmpeg-avc-aac.flv");
    let Progress::Done(layout) = Layout::read(&data) else { panic!() };
    assert!((layout.duration.unwrap() - 3.08).abs() < 0.05, "{layout:?}");
    let times: Vec<_> = layout.keyframes.iter().map(|k| k.time).collect();
    assert_eq!(times.len(), 3, "{times:?}");
    let whole = all(&data);
    for keyframe in &layout.keyframes {
        let mut demuxer = new();
        demux(demuxer.as_mut(), [&data[..]]);
        demuxer.reset();
        let calls = demux_again(demuxer.as_mut(), &whole, [&data[keyframe.position as usize..]]);
        let first = samples(&calls, VIDEO)[0].0;
        assert!(first.sync && (first.dts as f64 / 1000.0 - keyframe.time).abs() < 1e-3, "{first:?}");
    }
    assert_eq!(layout.keyframe(1.5).map(|k| k.time), Some(times[1]));
    assert_eq!(layout.keyframe(-1.0).map(|k| k.time), Some(times[0]));
    // As the bytes come.
    let mut have = 0;
    while let Progress::Needs(n) = Layout::read(&data[..have]) {
        assert!(n as usize > have);
        have = n as usize;
    }
    assert!(have < 1000, "{have}");
    let last = tags(&data).last().unwrap().2;
    assert_eq!(Layout::end_time(&data[data.len() - 3000..]), Some(f64::from(last) / 1000.0));
    assert_eq!(Layout::end_time(&data[..3]), None);
    let (at, time) = time_in(&data[5000..]).unwrap();
    assert!(tags(&data).iter().any(|t| t.0 == at + 5000 && f64::from(t.2) / 1000.0 == time));
    assert_eq!(Layout::read(b"garbage"), Progress::Done(Layout::default()));
    assert_eq!(Layout::read(&file("ffmpeg-avc.flv")), Progress::Done(Layout::default()), "no metadata");
}

/// What an MP4 file holds: track and samples with their bytes.
#[derive(Default)]
struct Source {
    info: Option<TrackInfo>,
    buffer: Vec<u8>,
    samples: Vec<(Sample, Vec<u8>)>,
}

impl Sink for Source {
    fn track(&mut self, info: TrackInfo) {
        self.info = Some(info);
    }
    fn tracks_complete(&mut self) {}
    fn buffer(&mut self, _: TrackId) -> &mut Vec<u8> {
        &mut self.buffer
    }
    fn sample(&mut self, _: TrackId, sample: Sample) {
        self.samples.push((sample, std::mem::take(&mut self.buffer)));
    }
    fn warning(&mut self, _: u64, _: &'static str) {}
}

fn source(name: &str) -> (TrackInfo, Vec<(Sample, Vec<u8>)>) {
    let data = std::fs::read(fixture_path("mp4").join(name)).unwrap();
    let mut source = Source::default();
    if !progressive::demux(&data, &mut source).unwrap() {
        let mut demuxer = FragmentDemuxer::new();
        demuxer.push(&data, &mut source).unwrap();
        demuxer.finish(&mut source).unwrap();
    }
    (source.info.unwrap(), source.samples)
}

/// The body of a box anywhere in a sample entry.
fn find<'a>(entry: &'a [u8], name: &[u8; 4]) -> &'a [u8] {
    let at = entry.windows(4).position(|w| w == name).unwrap();
    let size = u32::from_be_bytes(entry[at - 4..at].try_into().unwrap()) as usize;
    &entry[at + 4..at - 4 + size]
}

/// How the generator writes a stream.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    /// `PacketTypeCodedFrames` or `AudioPacketType::CodedFrames`.
    Plain,
    /// `PacketTypeCodedFramesX` where the composition time is 0.
    X,
    /// Codec number 12.
    Legacy,
    /// A `ModEx` with nanoseconds in front.
    ModEx,
    /// Multitrack with track 1 in front of track 0.
    Multitrack,
}

/// Writes the samples of an MP4 track as Enhanced RTMP has them (v1 for video, v2 for audio and the rest), milliseconds rounded down.
fn enhanced(
    fourcc: &[u8; 4],
    config: &[u8],
    info: &TrackInfo,
    samples: &[(Sample, Vec<u8>)],
    style: Style,
) -> Vec<u8> {
    let video = info.kind == millrace::container::TrackKind::Video;
    let kind = if video { 9 } else { 8 };
    let ms = |t: i64| t * 1000 / i64::from(info.timescale.get());
    let wrap = |packet: u8, frame: u8, body: &[u8]| -> Vec<u8> {
        let first = |packet: u8| if video { 0x80 | frame << 4 | packet } else { 0x90 | packet };
        match style {
            Style::Legacy => {
                [&[frame << 4 | 12, packet][..], if packet == 0 { &[0; 3] } else { &[] }, body].concat()
            }
            Style::ModEx => [&[first(7), 2, 0, 1, 2, packet][..], fourcc, body].concat(),
            Style::Multitrack => {
                let size = (body.len() as u32).to_be_bytes();
                let many = if video { 6 } else { 5 };
                let other = [&[1, 0, 0, 3][..], b"abc"].concat();
                [&[first(many), 0x10 | packet][..], fourcc, &other, &[0], &size[1..], body].concat()
            }
            _ => [&[first(packet)][..], fourcc, body].concat(),
        }
    };
    let mut out = header(if video { 1 } else { 4 });
    if !config.is_empty() {
        out.extend(tag(kind, 0, &wrap(0, 1, config)));
    }
    for (s, bytes) in samples {
        let composition = (ms(s.pts) - ms(s.dts)) as i32;
        let frame = if s.sync { 1 } else { 2 };
        let has_composition = video && (matches!(fourcc, b"hvc1" | b"avc1") || style == Style::Legacy);
        let body = if style == Style::X && composition == 0 {
            wrap(3, frame, bytes)
        } else if has_composition {
            wrap(1, frame, &[&composition.to_be_bytes()[1..], bytes].concat())
        } else {
            wrap(1, frame, bytes)
        };
        out.extend(tag(kind, ms(s.dts) as u32, &body));
    }
    out
}

#[test]
fn enhanced_rtmp_gives_back_what_was_put_in() {
    let opus_head = |info: &TrackInfo| -> Vec<u8> {
        millrace::codec::opus::OpusHead::parse_dops(find(&info.sample_entry, b"dOps")).unwrap().to_bytes()
    };
    let boxed = |info: &TrackInfo, name: &[u8; 4]| find(&info.sample_entry, name).to_vec();
    type Config<'a> = &'a dyn Fn(&TrackInfo) -> Vec<u8>;
    let cases: [(&str, &[u8; 4], Config, &[Style]); 10] = [
        (
            "hevc-cmaf.mp4",
            b"hvc1",
            &|i| boxed(i, b"hvcC"),
            &[Style::Plain, Style::X, Style::Legacy, Style::ModEx, Style::Multitrack],
        ),
        ("avc-cmaf.mp4", b"avc1", &|i| boxed(i, b"avcC"), &[Style::Plain, Style::X]),
        ("av1-cmaf.mp4", b"av01", &|i| boxed(i, b"av1C"), &[Style::Plain, Style::X, Style::Multitrack]),
        // The record with and without version and flags of the box; none: the keyframes tell.
        ("vp9-cmaf.mp4", b"vp09", &|i| boxed(i, b"vpcC"), &[Style::Plain, Style::X, Style::ModEx]),
        ("vp9-cmaf.mp4", b"vp09", &|i| boxed(i, b"vpcC")[4..].to_vec(), &[Style::Plain]),
        ("vp9-cmaf.mp4", b"vp09", &|_| Vec::new(), &[Style::Plain]),
        ("opus.mp4", b"Opus", &opus_head, &[Style::Plain, Style::ModEx, Style::Multitrack]),
        ("flac.mp4", b"fLaC", &|i| [b"fLaC", &boxed(i, b"dfLa")[4..]].concat(), &[Style::Plain]),
        ("ac3.mp4", b"ac-3", &|_| Vec::new(), &[Style::Plain, Style::Multitrack]),
        ("eac3.mp4", b"ec-3", &|_| Vec::new(), &[Style::Plain]),
    ];
    let mut random = Random(12);
    for (name, fourcc, config, styles) in cases {
        let (info, source) = source(name);
        for &style in styles {
            let data = enhanced(fourcc, &config(&info), &info, &source, style);
            let calls = all(&data);
            let recorder = Recorder::of(&calls);
            let [track] = recorder.tracks().collect::<Vec<_>>()[..] else {
                panic!("{name}: one track: {calls:?}")
            };
            let expected_codec =
                if *fourcc == *b"hvc1" { info.codec.replace("hev1", "hvc1") } else { info.codec.clone() };
            if config(&info).is_empty() && *fourcc == *b"vp09" {
                assert!(track.codec.starts_with("vp09.00."), "{name}");
            } else {
                assert_eq!(track.codec, expected_codec, "{name}");
            }
            assert_eq!((track.width, track.height), (info.width, info.height), "{name}");
            assert_eq!((track.sample_rate, track.channels), (info.sample_rate, info.channels), "{name}");
            let got = recorder.samples(track.id);
            assert_eq!(got.len(), source.len(), "{name}");
            for ((s, crc), (expected, bytes)) in got.iter().zip(&source) {
                assert_eq!((*crc, s.sync), (crc32(bytes), expected.sync), "{name}");
                let ms = |t: i64, scale: u32| t * 1000 / i64::from(scale);
                let off = ms(s.pts, track.timescale.get()) - ms(expected.pts, info.timescale.get());
                assert!(off.abs() <= i64::from(track.id == AUDIO), "{name}: {s:?} for {expected:?}");
                if track.id == AUDIO && expected.size > 0 && !std::ptr::eq(bytes, &source.last().unwrap().1) {
                    let ticks = |d: Option<u32>, scale: u32| d.map(|d| ms(d.into(), scale));
                    assert_eq!(
                        ticks(s.duration, track.timescale.get()),
                        ticks(expected.duration, info.timescale.get()),
                        "{name}"
                    );
                }
            }
            let expected: &[&str] = if style == Style::Multitrack {
                &["more than one track of a kind: the first is played"]
            } else {
                &[]
            };
            assert_eq!(warnings(&calls), expected, "{name}");
            let path = fixture_path("mp4").join(name);
            check_splits(&new, &path, &data[..data.len().min(20_000)], &mut random);
            check_damage(&new, &path, &data, 40, &mut random);
        }
    }
}
