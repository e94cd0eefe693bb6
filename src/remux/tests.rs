use std::io::Cursor;

use mp4::{BoxHeader, BoxType, MoofBox, MoovBox, ReadBox};

use super::*;
use crate::container::TrackKind;
use crate::time::Timescale;

const VIDEO: TrackId = TrackId(256);

/// `avc1` with an `avcC` of one SPS and one PPS.
fn avc1(profile: u8) -> Vec<u8> {
    let mut w = ByteWriter::new();
    w.boxed(b"avc1", |w| {
        w.zeros(6);
        w.u16(1);
        w.zeros(16);
        w.u16(640);
        w.u16(360);
        w.u32(0x48_0000);
        w.u32(0x48_0000);
        w.zeros(4);
        w.u16(1);
        w.zeros(32);
        w.u16(24);
        w.u16(0xffff);
        w.boxed(b"avcC", |w| {
            w.bytes(&[1, profile, 0, 31, 0xff, 0xe1, 0, 4, 0x67, profile, 0, 31, 1, 0, 2, 0x68, 0xce])
        });
    });
    w.into_vec()
}

fn info(kind: TrackKind, timescale: u32) -> TrackInfo {
    TrackInfo {
        codec: "avc1.64001f".into(),
        sample_entry: avc1(100),
        width: 640,
        height: 360,
        language: Some("deu".into()),
        ..TrackInfo::new(VIDEO, kind, Timescale::new(timescale).expect("not zero"))
    }
}

fn muxer() -> Muxer {
    let mut m = Muxer::new();
    m.track(info(TrackKind::Video, 90_000));
    m.tracks_complete();
    m
}

fn add(m: &mut Muxer, dts: Ticks, pts: Ticks, duration: Option<u32>, payload: &[u8]) {
    m.buffer(VIDEO).extend_from_slice(payload);
    m.sample(VIDEO, Sample { dts, pts, duration, sync: dts == 0, size: payload.len() as u32 });
}

/// A fragment as the `mp4` crate reads it.
struct ReadBack {
    tfdt: u64,
    default_duration: Option<u32>,
    first_flags: Option<u32>,
    durations: Vec<u32>,
    sizes: Vec<u32>,
    offsets: Vec<i32>,
    payload: Vec<u8>,
}

fn read_back(fragment: &Fragment) -> ReadBack {
    let bytes = fragment.bytes();
    let mut cursor = Cursor::new(bytes);
    let header = BoxHeader::read(&mut cursor).unwrap();
    assert_eq!(header.name, BoxType::MoofBox);
    let moof = MoofBox::read_box(&mut cursor, header.size).unwrap();
    let moof_end = header.size as usize;
    assert_eq!(&bytes[moof_end + 4..moof_end + 8], b"mdat");
    assert_eq!(bytes[moof_end..moof_end + 4], ((bytes.len() - moof_end) as u32).to_be_bytes());
    let traf = moof.trafs.into_iter().next().unwrap();
    let trun = traf.trun.unwrap();
    assert_eq!(trun.data_offset, Some(moof_end as i32 + 8));
    assert_eq!(trun.version, 1, "composition offsets are signed");
    ReadBack {
        tfdt: traf.tfdt.unwrap().base_media_decode_time,
        default_duration: traf.tfhd.default_sample_duration,
        first_flags: trun.first_sample_flags,
        durations: trun.sample_durations,
        sizes: trun.sample_sizes,
        offsets: trun.sample_cts.iter().map(|&v| v as i32).collect(),
        payload: bytes[moof_end + 8..].to_vec(),
    }
}

#[test]
fn init_segment_describes_the_one_track_to_another_reader() {
    let init = muxer().init_segment(VIDEO).unwrap();
    let mut cursor = Cursor::new(&init);
    let ftyp = BoxHeader::read(&mut cursor).unwrap();
    cursor.set_position(ftyp.size);
    let header = BoxHeader::read(&mut cursor).unwrap();
    assert_eq!(ftyp.size + header.size, init.len() as u64);
    let moov = MoovBox::read_box(&mut cursor, header.size).unwrap();
    let trak = &moov.traks[0];
    assert_eq!(trak.tkhd.track_id, 256);
    assert_eq!((trak.mdia.mdhd.timescale, trak.mdia.mdhd.language.as_str()), (90_000, "deu"));
    assert_eq!(trak.mdia.minf.stbl.stsd.avc1.as_ref().unwrap().width, 640);
    assert!(trak.edts.is_none());
    assert_eq!(moov.mvex.unwrap().trex.track_id, 256);
    assert!(init.windows(avc1(100).len()).any(|w| w == avc1(100)), "the sample entry is verbatim");
}

/// Decoding order I P B b b, as x264 has it with `bframes=3`: presentation times in frames, two more than the decoding times.
const REORDERED: [Ticks; 9] = [2, 6, 4, 3, 5, 10, 8, 7, 9];

#[test]
fn a_picture_waits_for_those_presented_before_it() {
    for told in [Some(3600), None] {
        let mut m = muxer();
        let mut sizes = Vec::new();
        for (i, frame) in REORDERED.into_iter().enumerate() {
            add(&mut m, i as Ticks * 3600, frame * 3600, told, b"x");
            sizes.push(m.take_fragment(VIDEO, false).map_or(0, |f| f.samples));
        }
        sizes.push(m.take_fragment(VIDEO, true).map_or(0, |f| f.samples));
        match told {
            // Each by itself leaves no hole in its fragment.
            Some(_) => assert_eq!(sizes, [1, 1, 1, 1, 1, 1, 1, 1, 1, 0]),
            None => assert_eq!(sizes, [0, 1, 0, 0, 0, 4, 0, 0, 0, 4]),
        }
    }
}

#[test]
fn flush_gives_what_is_presented_out_of_order() {
    let mut m = muxer();
    for (dts, pts, payload) in [(0, 6000, b"IDR".as_slice()), (3000, 12000, b"PPPP"), (6000, 3000, b"B")] {
        add(&mut m, dts, pts, None, payload);
    }
    assert_eq!(m.take_fragment(VIDEO, false), None);
    let all = m.take_fragment(VIDEO, true).unwrap();
    let read = read_back(&all);
    assert_eq!((read.tfdt, read.default_duration), (0, Some(3000)));
    assert_eq!((read.sizes, read.offsets), (vec![3, 4, 1], vec![6000, 9000, -3000]));
    assert_eq!(read.payload, b"IDRPPPPB");
    assert_eq!((all.first_pts, all.end, all.starts_with_sync), (3000, 15000, true));
}

#[test]
fn the_opening_leaves_no_hole_in_its_first_fragment() {
    let mut m = muxer();
    m.set_opens(f64::INFINITY);
    let mut fragments = Vec::new();
    for (i, frame) in REORDERED.into_iter().enumerate() {
        add(&mut m, i as Ticks * 3600, frame * 3600, Some(3600), b"x");
        fragments.extend(m.take_fragment(VIDEO, false).map(|f| (i, f.first_pts / 3600, f.end / 3600)));
    }
    assert_eq!(fragments, [(8, 2, 11)]);
}

#[test]
fn pictures_at_a_varying_rate_wait_until_no_other_can_come_between_them() {
    let times = [0, 700, 9000, 9100, 20_000, 21_000, 21_500, 40_000, 41_000, 41_100, 60_000];
    let mut m = muxer();
    let mut taken = 0;
    for (i, frame) in REORDERED.into_iter().enumerate() {
        add(&mut m, times[i], times[frame as usize], None, b"x");
        while let Some(f) = m.take_fragment(VIDEO, false) {
            taken += f.samples as usize;
            let end = times[REORDERED[..taken].iter().copied().max().unwrap() as usize];
            assert!(REORDERED[taken..].iter().all(|&later| times[later as usize] > end), "{taken} taken");
        }
    }
    assert!(taken >= 5, "{taken} taken");
}

#[test]
fn presentation_times_without_order_hold_nothing_up() {
    let mut m = muxer();
    let mut waiting = 0u32;
    for i in 0..200 {
        // One is damaged: nothing is presented so late.
        add(&mut m, i * 3600, if i == 20 { 1 << 40 } else { (i + 2) * 3600 }, Some(3600), b"x");
        waiting += 1;
        while let Some(f) = m.take_fragment(VIDEO, false) {
            waiting -= f.samples;
        }
        assert!(waiting <= 17, "{waiting} wait");
    }
}

#[test]
fn samples_without_duration_wait_for_the_next_and_flush_gives_the_last() {
    let mut m = muxer();
    add(&mut m, 0, 6000, None, b"IDR");
    assert_eq!(m.take_fragment(VIDEO, false), None);
    add(&mut m, 3000, 9000, None, b"PPPP");
    add(&mut m, 6000, 12000, None, b"P");
    let first = m.take_fragment(VIDEO, false).unwrap();
    let read = read_back(&first);
    assert_eq!((read.tfdt, read.default_duration), (0, Some(3000)));
    assert_eq!(read.sizes, [3, 4]);
    assert_eq!(read.offsets, [6000, 6000]);
    assert_eq!(read.first_flags, Some(0x0200_0000));
    assert_eq!(read.payload, b"IDRPPPP");
    assert_eq!((first.first_pts, first.end, first.starts_with_sync), (6000, 12000, true));

    let last = m.take_fragment(VIDEO, true).unwrap();
    let read = read_back(&last);
    assert_eq!(
        (read.tfdt, read.default_duration, read.payload.as_slice()),
        (6000, Some(3000), b"P".as_slice())
    );
    assert_eq!(read.offsets, [6000]);
    assert!(!last.starts_with_sync);
    assert_eq!(m.take_fragment(VIDEO, true), None);
}

#[test]
fn a_started_sample_moves_on_to_the_next_fragment() {
    let mut m = muxer();
    add(&mut m, 0, 0, Some(3000), b"one");
    m.buffer(VIDEO).extend_from_slice(b"tw");
    let f = m.take_fragment(VIDEO, false).unwrap();
    assert_eq!(read_back(&f).payload, b"one");
    m.buffer(VIDEO).push(b'o');
    m.sample(VIDEO, Sample { dts: 3000, pts: 3000, duration: Some(3000), sync: false, size: 3 });
    assert_eq!(read_back(&m.take_fragment(VIDEO, false).unwrap()).payload, b"two");
}

#[test]
fn bytes_before_a_sample_that_are_not_part_of_it_are_dropped() {
    let mut m = muxer();
    m.buffer(VIDEO).extend_from_slice(b"junk");
    add(&mut m, 0, 0, Some(1), b"good");
    m.buffer(VIDEO).extend_from_slice(b"next");
    let f = m.take_fragment(VIDEO, false).unwrap();
    assert_eq!(read_back(&f).payload, b"good");
    assert_eq!(&m.buffer(VIDEO)[HEADROOM..], b"next");
}

#[test]
fn more_samples_than_the_headroom_holds_move_the_payload_once() {
    let mut m = muxer();
    for i in 0..2000i64 {
        let size = 1 + i as usize % 3;
        add(&mut m, i * 3000, i * 3000 + i % 2, Some(3000), &vec![i as u8; size]);
    }
    let f = m.take_fragment(VIDEO, false).unwrap();
    let read = read_back(&f);
    assert_eq!((f.samples, read.sizes.len()), (2000, 2000));
    assert_eq!(read.payload.len(), read.sizes.iter().sum::<u32>() as usize);
    assert_eq!(read.payload[..6], [0, 1, 1, 2, 2, 2]);
    assert!(m.states[0].runs[0].headroom >= 16_384);
    add(&mut m, 6_000_000, 6_000_000, Some(3000), b"later");
    assert_eq!(read_back(&m.take_fragment(VIDEO, false).unwrap()).payload, b"later");
}

#[test]
fn changed_parameters_end_a_fragment_and_begin_a_generation() {
    let mut m = muxer();
    add(&mut m, 0, 0, None, b"old");
    add(&mut m, 3000, 3000, None, b"old");
    m.buffer(VIDEO).extend_from_slice(b"ne");
    let mut changed = info(TrackKind::Video, 90_000);
    changed.sample_entry = avc1(77);
    m.track(changed.clone());
    m.track(changed);
    m.buffer(VIDEO).push(b'w');
    m.sample(VIDEO, Sample { dts: 6500, pts: 6500, duration: None, sync: true, size: 3 });
    let f = m.take_fragment(VIDEO, false).unwrap();
    assert_eq!((f.generation, f.samples, f.end), (0, 2, 6500));
    assert!(m.init_segment(VIDEO).unwrap().windows(avc1(100).len()).any(|w| w == avc1(100)));
    assert_eq!(m.take_fragment(VIDEO, false), None);
    let f = m.take_fragment(VIDEO, true).unwrap();
    assert_eq!((f.generation, f.first_dts, read_back(&f).payload.as_slice()), (1, 6500, b"new".as_slice()));
    assert!(m.init_segment(VIDEO).unwrap().windows(avc1(77).len()).any(|w| w == avc1(77)));
}

#[test]
fn unrepresentable_decoding_times_move_and_presentation_times_stay() {
    let mut m = muxer();
    for (dts, pts) in [(-6000, 0), (-3000, 6000), (0, 3000), (3000, 9000), (2500, 8000), (6000, 12000)] {
        add(&mut m, dts, pts, Some(3000), b"x");
    }
    let f = m.take_fragment(VIDEO, false).unwrap();
    let read = read_back(&f);
    let mut dts = read.tfdt as i64;
    let mut pts = Vec::new();
    for (offset, duration) in read.offsets.iter().zip(&read.durations) {
        pts.push(dts + i64::from(*offset));
        assert!(*duration > 0);
        dts += i64::from(*duration);
    }
    assert_eq!(pts, [0, 6000, 3000, 9000, 8000, 12000]);
    assert_eq!(read.tfdt, 0);
    let warnings = m.take_warnings();
    assert!(
        warnings.iter().any(|w| w.what.contains("negative"))
            && warnings.iter().any(|w| w.what.contains("increase"))
    );
}

#[test]
fn holes_and_jumps_back_split_fragments() {
    let mut m = muxer();
    for dts in [0, 3000, 900_000, 903_000, 9000] {
        add(&mut m, dts, dts, Some(3000), &dts.to_be_bytes());
    }
    let spans: Vec<_> = std::iter::from_fn(|| m.take_fragment(VIDEO, false))
        .map(|f| {
            assert_eq!(read_back(&f).payload.len(), 8 * f.samples as usize);
            (f.first_dts, f.end)
        })
        .collect();
    assert_eq!(spans, [(0, 6000), (900_000, 906_000), (9000, 12_000)]);
}

#[test]
fn reset_forgets_samples_and_keeps_tracks() {
    let mut m = muxer();
    add(&mut m, 90_000, 90_000, Some(3000), b"old");
    m.buffer(VIDEO).extend_from_slice(b"part");
    m.reset();
    assert_eq!(m.take_fragment(VIDEO, true), None);
    add(&mut m, 0, 0, Some(3000), b"new");
    assert_eq!(read_back(&m.take_fragment(VIDEO, true).unwrap()).payload, b"new");
    assert!(m.is_complete() && m.take_warnings().is_empty());
}

#[test]
fn misuse_is_survived_with_a_warning() {
    let mut m = muxer();
    m.buffer(TrackId(9)).extend_from_slice(b"stray");
    m.sample(TrackId(9), Sample { dts: 0, pts: 0, duration: None, sync: true, size: 5 });
    m.sample(
        VIDEO,
        Sample { dts: i64::MAX, pts: i64::MIN, duration: Some(u32::MAX), sync: true, size: u32::MAX },
    );
    m.sample(VIDEO, Sample { dts: i64::MIN, pts: i64::MAX, duration: None, sync: true, size: 7 });
    while m.take_fragment(VIDEO, true).is_some() {}
    assert!(m.take_warnings().len() >= 3);
    assert_eq!(m.init_segment(TrackId(9)), None);
}

#[test]
fn an_opening_decodes_nothing_before_its_first_sample_is_presented() {
    let mut m = muxer();
    m.set_opens(f64::INFINITY);
    // Two pictures of delay and a pyramid: I0 P4 B2 b1 b3.
    for (dts, pts) in
        [(90_000, 97_200), (93_600, 111_600), (97_200, 104_400), (100_800, 100_800), (104_400, 108_000)]
    {
        add(&mut m, dts, pts, Some(3600), b"x");
    }
    let read = read_back(&m.take_fragment(VIDEO, true).unwrap());
    assert_eq!(read.tfdt, 97_200);
    let mut dts = read.tfdt as i64;
    let mut times = Vec::new();
    for (i, offset) in read.offsets.iter().enumerate() {
        times.push((dts, dts + i64::from(*offset)));
        dts += i64::from(read.durations.get(i).copied().or(read.default_duration).unwrap());
    }
    let pts: Vec<_> = times.iter().map(|t| t.1).collect();
    assert_eq!(pts, [97_200, 111_600, 104_400, 100_800, 108_000], "presentation times stay");
    assert_eq!(
        times[3..],
        [(100_800, 100_800), (104_400, 108_000)],
        "and so do decoding times after a moment"
    );
    assert!(times.iter().all(|(dts, pts)| dts <= pts) && times.is_sorted_by_key(|t| t.0));
    assert!(m.take_warnings().is_empty());
}

#[test]
fn sound_that_overlaps_is_dropped_and_short_holes_are_drawn_out() {
    let mut m = Muxer::new();
    m.track(info(TrackKind::Audio, 48_000));
    m.tracks_complete();
    let mut dts = 96_000;
    // Frames that are missing, or come again, before each. Far back is another time line, and many missing ones are a hole.
    for step in [0.0, 0.0, 1.0, 0.0, -3.0, 0.0, 0.0, 0.0, 0.4, -0.4, -80.0, 10.0] {
        dts += (1024.0 * step) as i64;
        add(&mut m, dts, dts, Some(1024), b"frame");
        dts += 1024;
    }
    let mut times = Vec::new();
    while let Some(f) = m.take_fragment(VIDEO, true) {
        let read = read_back(&f);
        let mut at = read.tfdt as i64 - 96_000;
        for i in 0..f.samples as usize {
            let duration = read.durations.get(i).copied().or(read.default_duration).unwrap();
            times.push((at, duration));
            at += i64::from(duration);
        }
    }
    let first =
        [(0, 1024), (1024, 2048), (3072, 1024), (4096, 1024), (5120, 1433), (6553, 615), (7168, 1024)];
    let back = 8192 - 80 * 1024;
    assert_eq!(times[..7], first);
    assert_eq!(times[7..], [(back, 1024), (back + 11 * 1024, 1024)]);
    let told = m.take_asides().into_iter().map(|aside| match aside {
        Aside::Sound { from, to } => [from, to].map(|time| (time * 48_000.0).round() as i64 - 96_000),
        Aside::Data(..) => unreachable!(),
    });
    assert_eq!(told.collect::<Vec<_>>(), [[2048, 3072], [5120, 2048]]);
}

#[test]
fn short_sound_whose_times_are_rounded_to_milliseconds_is_not_dropped() {
    // Vorbis at 48 kHz: blocks of 256 and 2048 samples, as Matroska tells their times.
    let mut m = Muxer::new();
    m.track(info(TrackKind::Audio, 1000));
    m.tracks_complete();
    let mut at = 0.0_f64;
    for block in (0..600).map(|i| [2.667_f64, 2.667, 12.0, 21.333, 12.0, 2.667, 2.667, 5.333][i % 8]) {
        let dts = if at < 3000.0 { at.round() } else { at.floor() } as i64;
        add(&mut m, dts, dts, Some(f64::round(block) as u32), b"block");
        at += block;
    }
    let mut count = 0;
    while let Some(f) = m.take_fragment(VIDEO, true) {
        count += f.samples;
    }
    assert_eq!((count, m.take_asides().len()), (600, 0));
}

#[test]
fn sound_that_goes_on_in_other_ticks_is_not_dropped() {
    let mut m = Muxer::new();
    m.tracks_complete();
    // A jingle of three seconds, and the next link of the chain.
    for (rate, frames) in [(48_000, 0..150), (44_100, 150..200), (48_000, 200..250)] {
        m.track(info(TrackKind::Audio, rate));
        let ticks = rate / 50;
        for i in frames {
            let dts = i * Ticks::from(ticks);
            add(&mut m, dts, dts, Some(ticks), b"frame");
        }
    }
    let counts: Vec<_> = std::iter::from_fn(|| m.take_fragment(VIDEO, true)).map(|f| f.samples).collect();
    assert_eq!((counts, m.take_asides(), m.take_warnings()), (vec![150, 50, 50], vec![], vec![]));
}
