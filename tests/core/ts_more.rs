//! MPEG-TS beyond H.264 and AAC: packet sizes, programs, other codecs, metadata.

use crate::support::{self, Call, Random, check_damage, crc32, fixture_path, media};
use crate::ts_cases::{Mux, adts, annex_b, raw_frame};
use millrace::container::ts::TsDemuxer;
use millrace::container::{Demuxer, Metadata, Sample, TrackId};
use millrace::remux::{Aside, Muxer};
use millrace::time::Timescale;

fn new() -> Box<dyn Demuxer> {
    Box::new(TsDemuxer::new())
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(fixture_path("ts").join(name)).unwrap()
}

fn demux(data: &[u8]) -> Vec<Call> {
    let calls = support::demux(new().as_mut(), [data]);
    assert!(support::demux(new().as_mut(), data.chunks(61)) == calls, "the split of the input shows");
    calls
}

/// All but warnings and their places.
fn content(calls: &[Call]) -> Vec<Call> {
    support::quiet(calls)
}

fn samples(calls: &[Call], track: u32) -> Vec<(Sample, u32)> {
    support::Recorder::of(calls).samples(TrackId(track))
}

fn codecs(calls: &[Call]) -> Vec<String> {
    support::Recorder::of(calls).tracks().map(|t| t.codec.clone()).collect()
}

fn metadata(calls: &[Call]) -> Vec<(Option<u32>, Option<i64>, &Metadata)> {
    let of = |c: &'_ Call| matches!(c, Call::Metadata(..));
    calls
        .iter()
        .filter(|c| of(c))
        .map(|c| match c {
            Call::Metadata(track, at, data) => (track.map(|t| t.0), *at, data),
            _ => unreachable!(),
        })
        .collect()
}

/// The packets with so many bytes in front and behind.
fn spaced(data: &[u8], front: usize, behind: usize) -> Vec<u8> {
    let mut random = Random(99);
    let mut out = Vec::new();
    for packet in data.chunks(188) {
        out.extend((0..front).map(|_| random.below(256) as u8));
        out.extend_from_slice(packet);
        out.extend((0..behind).map(|_| random.below(256) as u8));
    }
    out
}

#[test]
fn packets_of_192_and_204_bytes_give_what_plain_ones_do() {
    for name in ["bframes.ts", "wrap-33-bit.ts", "hevc-ac3.ts"] {
        let plain = file(name);
        let expected = demux(&plain);
        for (front, behind) in [(4, 0), (0, 16)] {
            let calls = demux(&spaced(&plain, front, behind));
            assert_eq!(calls, expected, "{name}, {front} in front, {behind} behind");
            // The last packet's code may be cut off.
            let mut cut = spaced(&plain, front, behind);
            cut.truncate(cut.len() - behind);
            assert_eq!(demux(&cut), expected);
        }
    }
}

#[test]
fn garbage_between_packets_of_any_size_is_passed_over() {
    let plain = file("bframes.ts");
    let whole = samples(&demux(&plain), 0x100).len();
    for (front, behind) in [(0, 0), (4, 0), (0, 16)] {
        let mut data = spaced(&plain, front, behind);
        let size = 188 + front + behind;
        let at = data.len() / size / 3 * size + 50;
        data.splice(at..at, (0..333).map(|i| if i % 50 == 0 { 0x47 } else { i as u8 }));
        let calls = demux(&data);
        let got = samples(&calls, 0x100).len();
        assert!(got + 3 >= whole, "{got} of {whole}");
        assert!(calls.iter().any(|c| matches!(c, Call::Warning(..))));
    }
}

#[test]
fn every_codec_is_named_as_mime_types_name_it() {
    for (name, expected) in [
        ("hevc-ac3.ts", &["hvc1.1.6.L30.90", "ac-3"][..]),
        ("avc-eac3-dvb.ts", &["avc1.64000a", "ec-3"]),
        ("ac3-dvb.ts", &["ac-3"]),
        ("eac3.ts", &["ec-3"]),
        ("mp3.ts", &["mp3"]),
        ("mp2.ts", &["mp2"]),
        ("latm.ts", &["mp4a.40.2"]),
        ("opus.ts", &["opus"]),
        ("gst-hevc-mp3.ts", &["hvc1.1.6.L30.90", "mp3"]),
        ("gst-avc-opus.ts", &["avc1.64000b", "opus"]),
        ("gst-avc-ac3.ts", &["avc1.64000b", "ac-3"]),
        ("gst-programs.ts", &["avc1.64000b", "mp4a.40.2"]),
    ] {
        let mut codecs = codecs(&demux(&file(name)));
        codecs.sort();
        let mut expected: Vec<_> = expected.iter().map(|c| (*c).to_owned()).collect();
        expected.sort();
        let family = |c: &String| c.split('.').next().unwrap().to_owned();
        assert_eq!(
            codecs.iter().map(family).collect::<Vec<_>>(),
            expected.iter().map(family).collect::<Vec<_>>(),
            "{name}"
        );
    }
}

#[test]
fn frames_in_latm_are_those_that_the_encoder_gives_in_adts() {
    // The same encoder with the same input.
    let latm = samples(&demux(&file("latm.ts")), 0x100);
    let adts = samples(&demux(&file("latm-as-adts.ts")), 0x100);
    assert_eq!(latm, adts);
    assert!(latm.len() > 30);
}

#[test]
fn random_access_points_of_hevc_are_sync_samples_and_times_are_those_of_ffprobe() {
    for (name, stream, track) in [
        ("hevc-ac3.ts", "v:0", 0x100),
        ("hevc-ac3.ts", "a:0", 0x101),
        ("opus.ts", "a:0", 0x100),
        ("mp2.ts", "a:0", 0x100),
        ("gst-hevc-mp3.ts", "v:0", 0x41),
    ] {
        let Some(theirs) = support::ffprobe(&fixture_path("ts").join(name), stream) else { return };
        let calls = demux(&file(name));
        let scale = support::Recorder::of(&calls).tracks().find(|t| t.id.0 == track).unwrap().timescale.get();
        let ours = samples(&calls, track);
        assert_eq!(ours.len(), theirs.len(), "{name}");
        for ((s, _), t) in ours.iter().zip(&theirs) {
            assert_eq!(s.sync, t.sync, "{name}");
            let ticks = |time: i64| time * 90_000 / i64::from(scale);
            assert!((ticks(s.pts) - t.pts.unwrap()).abs() <= 2, "{name}: {s:?} for {t:?}");
            assert!((ticks(s.dts) - t.dts.unwrap()).abs() <= 2, "{name}: {s:?} for {t:?}");
        }
    }
}

#[test]
fn the_first_program_with_video_and_audio_is_played() {
    let calls = demux(&file("gst-programs.ts"));
    let mut tracks: Vec<_> = support::Recorder::of(&calls).tracks().map(|t| t.id.0).collect();
    tracks.sort_unstable();
    assert_eq!(tracks, [0x12d, 0x12e], "program 1 has audio alone");
}

#[test]
fn tables_that_change_take_up_new_streams_and_drop_others() {
    let mut mux = Mux::new(&[(0x0f, 0x101)]);
    let frames = |mux: &mut Mux, pid: u16, from: u64, n: u64| {
        for i in from..from + n {
            mux.pes(pid, Some((i * 1920, 0)), true, 184, &adts(3, &raw_frame(0, false)));
        }
    };
    frames(&mut mux, 0x101, 0, 4);
    mux.tables(1, &[(0x0f, 0x102)]);
    frames(&mut mux, 0x102, 4, 4);
    // What is no longer listed is passed over.
    frames(&mut mux, 0x101, 8, 4);
    mux.tables(2, &[(0x03, 0x102)]);
    let mp2 = file("mp2.ts");
    let calls = demux(&mux.out);
    // In the place of the one that is gone the new one is the same track: a player goes on with it.
    let times: Vec<_> = samples(&calls, 0x101).iter().map(|(s, _)| s.pts).collect();
    assert_eq!(times, (0..8).map(|i| i * 1024).collect::<Vec<_>>());
    assert_eq!(samples(&calls, 0x102), []);
    // Another PAT: another program, on another PID.
    let calls = demux(&[&mux.out[..], &mp2].concat());
    assert!(codecs(&calls).iter().any(|c| c == "mp2"), "{:?}", codecs(&calls));
}

fn splice_insert() -> Vec<u8> {
    vec![0xfc, 0x30, 0x15, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xf0, 0, 0, 0, 0, 0, 0, 0]
}

#[test]
fn id3_klv_and_scte_35_are_handed_on_with_their_times() {
    let mut mux = Mux::new(&[(0x0f, 0x101), (0x15, 0x102), (0x86, 0x103)]);
    let id3 = b"ID3\x04\0\0\0\0\0\x0fTIT2\0\0\0\x05\0\0\x03abcd".to_vec();
    let klv = [&[6, 0x0e, 0x2b, 0x34][..], &[1; 300]].concat();
    mux.pes(0x101, Some((1920, 1920)), true, 184, &adts(3, &raw_frame(0, false)));
    mux.pes(0x102, Some((9000, 9000)), true, 184, &id3);
    mux.pes(0x101, Some((3840, 3840)), true, 184, &adts(3, &raw_frame(0, false)));
    mux.section_raw(0x103, &splice_insert());
    // Behind the header of an access unit cell.
    mux.pes(0x102, Some((18_000, 18_000)), true, 100, &[&[0, 0, 0xdf, 1, 48][..], &klv].concat());
    let calls = demux(&mux.out);
    let seen = metadata(&calls);
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert_eq!(seen[0], (None, Some(9000), &Metadata::Id3(id3)));
    assert!(
        matches!(seen[1], (None, Some(9000), Metadata::Scte35(section)) if section[0] == 0xfc && section.len() == 24)
    );
    assert_eq!(seen[2], (None, Some(18_000), &Metadata::Klv(klv)));
    assert!(content(&calls).contains(&Call::Complete), "they are not waited for");
}

#[test]
fn captions_come_with_the_picture_that_carries_them() {
    let Some(path) = media().map(|m| m.join("ts/sintel-captions.ts")).filter(|p| p.is_file()) else { return };
    let data = std::fs::read(path).unwrap();
    let calls = demux(&data);
    let video = support::Recorder::of(&calls).tracks().find(|t| t.codec.starts_with("avc1")).unwrap().id;
    let times: Vec<_> =
        samples(&calls, video.0).iter().map(|(s, _)| Timescale::MPEG.seconds(s.pts)).collect();
    let mut muxer = Muxer::new();
    let mut captions = Vec::new();
    let mut demuxer = new();
    for chunk in data.chunks(20_000) {
        demuxer.push(chunk, &mut muxer).unwrap();
        captions.extend(muxer.take_asides().into_iter().filter_map(|aside| match aside {
            Aside::Data(at, data) => Some((at, data)),
            Aside::Sound { .. } => None,
        }));
    }
    captions.retain(|(_, d)| matches!(d, Metadata::Captions(_)));
    assert!(captions.len() > 50, "{}", captions.len());
    for (at, data) in captions {
        assert!(times.contains(&at.unwrap()));
        let Metadata::Captions(triplets) = data else { unreachable!() };
        assert!(triplets.len() % 3 == 0 && !triplets.is_empty());
    }
}

#[test]
fn splice_sections_of_real_streams_are_handed_on() {
    let Some(path) = media().map(|m| m.join("ts/sample_scte35.ts")).filter(|p| p.is_file()) else { return };
    let calls = demux(&std::fs::read(path).unwrap());
    let sections = metadata(&calls).into_iter().filter(|(_, _, d)| matches!(d, Metadata::Scte35(_))).count();
    assert_eq!(sections, 3);
    assert_eq!(codecs(&calls), ["mp2"]);
}

#[test]
fn a_pes_packet_of_unbounded_length_goes_on_for_megabytes() {
    const SPS: &[u8] = &[
        0x67, 0x64, 0x00, 0x0a, 0xac, 0xd9, 0x45, 0x27, 0x9a, 0x23, 0x0e, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
        0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x22, 0x59, 0x60,
    ];
    let picture: Vec<u8> = [0x65, 0x88].into_iter().chain((0..3_000_000).map(|i| i as u8 | 1)).collect();
    let mut mux = Mux::new(&[(0x1b, 0x100)]);
    mux.pes(
        0x100,
        Some((0, 0)),
        false,
        184,
        &annex_b(&[SPS, &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0], &picture], true),
    );
    mux.pes(0x100, Some((3600, 3600)), false, 184, &annex_b(&[&[0x41, 0x9a, 1]], true));
    let calls = support::demux(new().as_mut(), [&mux.out[..]]);
    let expected = [&(picture.len() as u32).to_be_bytes()[..], &picture].concat();
    assert_eq!(samples(&calls, 0x100)[0].1, crc32(&expected));
}

#[test]
fn damage_to_any_codec_never_panics_and_shows_no_split() {
    let mut random = Random(0x51ed_270b_9f00_1234);
    for (path, data) in support::fixtures("ts", &[".ts"]) {
        check_damage(&new, &path, &data, 24, &mut random);
    }
}

#[test]
fn mpeg_audio_in_free_format_has_the_times_of_its_packets_also_over_segments() {
    let mp2 = std::fs::read(fixture_path("packed").join("layer2.mp2")).unwrap();
    let sizes: Vec<usize> = {
        let calls = support::demux(&mut millrace::container::packed::PackedDemuxer::new(), [&mp2[..]]);
        samples(&calls, 1).iter().map(|(s, _)| s.size as usize).collect()
    };
    let segments = |free: bool| {
        let mut data = mp2.clone();
        let mut at = 0;
        for size in &sizes {
            data[at + 2] &= if free { 0x0f } else { 0xff };
            at += size;
        }
        let mut demuxer = new();
        let mut calls = Vec::new();
        let (mut at, mut next) = (0, 0);
        for frames in sizes.chunks(6) {
            let mut mux = Mux::new(&[(0x03, 0x100)]);
            for pair in frames.chunks(2) {
                let end = at + pair.iter().sum::<usize>();
                let pts = 90_000 + next * 1152 * 90_000 / 44_100;
                mux.pes(0x100, Some((pts, pts)), true, 150, &data[at..end]);
                next += pair.len() as u64;
                at = end;
            }
            let more = support::demux_again(demuxer.as_mut(), &calls, mux.out.chunks(77));
            calls.extend(more);
        }
        samples(&calls, 0x100)
    };
    let (free, plain) = (segments(true), segments(false));
    assert_eq!(free.iter().map(|s| s.0).collect::<Vec<_>>(), plain.iter().map(|s| s.0).collect::<Vec<_>>());
    assert_eq!(free.len(), sizes.len());
}
