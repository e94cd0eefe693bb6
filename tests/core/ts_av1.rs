//! AV1 in MPEG-TS, as the specification has it and as muxers had it before: real pictures, whose temporal units come out as they were.

use crate::support::{self, Call, Random, check_damage, fixture_path};
use crate::ts_cases::Mux;
use millrace::codec::av1::{obu, obus};
use millrace::container::mp4::FragmentDemuxer;
use millrace::container::ts::TsDemuxer;
use millrace::container::{Demuxer, Sample, Sink, TrackId, TrackInfo};
use millrace::remux::Muxer;

const PID: u16 = 0x100;

/// What a file of MP4 has.
#[derive(Default)]
struct Units {
    info: Option<TrackInfo>,
    buffer: Vec<u8>,
    units: Vec<(Sample, Vec<u8>)>,
}

impl Sink for Units {
    fn track(&mut self, info: TrackInfo) {
        self.info = Some(info);
    }

    fn tracks_complete(&mut self) {}

    fn buffer(&mut self, _: TrackId) -> &mut Vec<u8> {
        &mut self.buffer
    }

    fn sample(&mut self, _: TrackId, sample: Sample) {
        self.units.push((sample, std::mem::take(&mut self.buffer)));
    }

    fn warning(&mut self, _: u64, _: &'static str) {}
}

fn source() -> Units {
    let mut units = Units::default();
    let file = std::fs::read(fixture_path("mp4").join("av1-cmaf.mp4")).unwrap();
    let mut demuxer = FragmentDemuxer::new();
    demuxer.push(&file, &mut units).unwrap();
    demuxer.finish(&mut units).unwrap();
    assert!(units.units.len() > 20);
    units
}

/// How the stream is written.
#[derive(Clone, Copy, Debug)]
struct Form {
    start_codes: bool,
    sizes: bool,
    delimiters: bool,
    /// A PES packet for each frame, also those that are not shown.
    split: bool,
    bounded: bool,
    registration: &'static [u8; 4],
}

const SPECIFIED: Form = Form {
    start_codes: true,
    sizes: true,
    delimiters: true,
    split: true,
    bounded: false,
    registration: b"AV01",
};

fn escape(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for &b in data {
        if b <= 3 && out.ends_with(&[0, 0]) {
            out.push(3);
        }
        out.push(b);
    }
    out
}

/// A temporal unit in parts of a frame each.
fn parts(unit: &[u8], form: Form) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut add = |whole: &[u8], begins: bool| {
        if begins && form.split {
            parts.push(Vec::new());
        }
        let part = parts.last_mut().unwrap();
        if form.start_codes {
            part.extend([0, 0, 1]);
            part.extend(escape(whole));
        } else {
            part.extend_from_slice(whole);
        }
    };
    if form.delimiters {
        add(&[0x12, 0], false);
    }
    let mut frames = 0;
    for found in obus(unit) {
        let frame = matches!(found.kind, obu::FRAME | obu::FRAME_HEADER);
        frames += u32::from(frame);
        let begins = frame && frames > 1;
        if form.sizes {
            add(found.whole, begins);
        } else {
            let bare = [&[found.whole[0] & !2][..], found.payload].concat();
            assert_eq!(found.whole[0] & 4, 0);
            add(&bare, begins);
        }
    }
    parts
}

fn tables(form: Form) -> Mux {
    let mut mux = Mux::default();
    mux.section(0, 0, 0, &[0, 1, 0xf0, 0]);
    let mut body = vec![0xe1, 0, 0xf0, 0, 0x06, 0xe0 | (PID >> 8) as u8, PID as u8, 0xf0, 12, 5, 4];
    body.extend(form.registration);
    body.extend([0x80, 4, 0x81, 0, 0x0c, 0]);
    mux.section(0x1000, 2, 0, &body);
    mux
}

fn stream(units: &Units, form: Form) -> Vec<u8> {
    let scale = i64::from(units.info.as_ref().unwrap().timescale.get());
    let mut mux = tables(form);
    for (sample, unit) in &units.units {
        let pts = ((sample.pts + scale) * 90_000 / scale) as u64;
        let parts = parts(unit, form);
        for (i, part) in parts.iter().enumerate() {
            // Of what is not shown the presentation time means nothing.
            let time = if i + 1 < parts.len() { pts - 7000 } else { pts };
            mux.pes(PID, Some((time, time)), form.bounded, 184, part);
        }
    }
    mux.out
}

fn new() -> Box<dyn Demuxer> {
    Box::new(TsDemuxer::new())
}

fn demux(data: &[u8]) -> Vec<Call> {
    let calls = support::demux(new().as_mut(), [data]);
    assert!(support::demux(new().as_mut(), data.chunks(61)) == calls, "the split of the input shows");
    calls
}

fn forms() -> Vec<Form> {
    vec![
        SPECIFIED,
        Form { sizes: false, delimiters: false, ..SPECIFIED },
        Form { split: false, ..SPECIFIED },
        Form { start_codes: false, ..SPECIFIED },
        Form { start_codes: false, split: false, registration: b"AV1G", ..SPECIFIED },
        Form { start_codes: false, delimiters: false, bounded: true, ..SPECIFIED },
    ]
}

#[test]
fn temporal_units_come_out_as_mp4_has_them_from_every_form() {
    let units = source();
    let info = units.info.as_ref().unwrap();
    let scale = i64::from(info.timescale.get());
    assert!(
        units.units.iter().any(|(_, unit)| parts(unit, SPECIFIED).len() > 1),
        "frames that are not shown"
    );
    for form in forms() {
        let calls = demux(&stream(&units, form));
        let recorder = support::Recorder::of(&calls);
        let tracks: Vec<_> = recorder.tracks().collect();
        assert_eq!(tracks.len(), 1, "{form:?}");
        assert_eq!(
            (&tracks[0].codec, tracks[0].width, tracks[0].height),
            (&info.codec, info.width, info.height)
        );
        let got: Vec<_> = recorder
            .samples(TrackId(PID.into()))
            .iter()
            .map(|(s, crc)| (s.dts, s.pts, s.sync, *crc))
            .collect();
        let expected: Vec<_> = units
            .units
            .iter()
            .map(|(s, unit)| {
                let pts = (s.pts + scale) * 90_000 / scale;
                (pts, pts, s.sync, support::crc32(unit))
            })
            .collect();
        assert_eq!(got, expected, "{form:?}");
        assert!(calls.iter().all(|c| !matches!(c, Call::Warning(..) | Call::Error(..))), "{form:?}");
    }
}

#[test]
fn several_temporal_units_in_a_packet_get_times_a_picture_apart() {
    let units = source();
    let mut mux = tables(SPECIFIED);
    for (i, pair) in units.units[..20].chunks(2).enumerate() {
        let whole = Form { split: false, ..SPECIFIED };
        let data: Vec<u8> = pair.iter().flat_map(|(_, unit)| parts(unit, whole).concat()).collect();
        let pts = 90_000 + 7200 * i as u64;
        mux.pes(PID, Some((pts, pts)), false, 184, &data);
    }
    let samples = support::Recorder::of(&demux(&mux.out)).samples(TrackId(PID.into()));
    let crcs: Vec<_> = samples.iter().map(|(_, crc)| *crc).collect();
    let expected: Vec<_> = units.units[..20].iter().map(|(_, unit)| support::crc32(unit)).collect();
    assert_eq!(crcs, expected);
    assert!(samples.is_sorted_by(|a, b| a.0.pts < b.0.pts));
}

#[test]
fn a_stream_joined_in_the_middle_begins_at_its_sequence_header() {
    let units = source();
    let data = stream(&units, SPECIFIED);
    let first_sync = units.units.iter().skip(1).position(|(s, _)| s.sync);
    // Without the packets of the first picture's PES packet: its continuity counters tell the loss.
    let starts: Vec<usize> = data
        .chunks(188)
        .enumerate()
        .filter(|(_, p)| p[1] & 0x5f == 0x41 && p[2] == 0)
        .map(|(i, _)| i * 188)
        .collect();
    let calls = demux(&[&data[..starts[0]], &data[starts[1]..]].concat());
    let samples = support::Recorder::of(&calls).samples(TrackId(PID.into()));
    match first_sync {
        Some(at) => assert_eq!(samples.len(), units.units.len() - 1 - at),
        None => assert!(samples.is_empty()),
    }
    let warnings = calls.iter().filter(|c| matches!(c, Call::Warning(..))).count();
    assert_eq!(warnings, 1, "told once");
}

#[test]
fn it_is_written_as_fragments_of_av01() {
    let units = source();
    let mut muxer = Muxer::new();
    let mut demuxer = new();
    demuxer.push(&stream(&units, SPECIFIED), &mut muxer).unwrap();
    demuxer.finish(&mut muxer).unwrap();
    assert!(muxer.is_complete());
    let mut file = muxer.init_segment(TrackId(PID.into())).unwrap();
    while let Some(fragment) = muxer.take_fragment(TrackId(PID.into()), true) {
        file.extend_from_slice(fragment.bytes());
    }
    let mut again = Units::default();
    let mut demuxer = FragmentDemuxer::new();
    demuxer.push(&file, &mut again).unwrap();
    demuxer.finish(&mut again).unwrap();
    assert_eq!(again.info.unwrap().codec, units.info.unwrap().codec);
    let bytes = |units: &[(Sample, Vec<u8>)]| units.iter().map(|(_, unit)| unit.clone()).collect::<Vec<_>>();
    assert!(bytes(&again.units) == bytes(&units.units));
}

#[test]
fn damage_never_panics_and_shows_no_split() {
    let units = source();
    let mut random = Random(0x0a51_0b07_9f00_77aa);
    for form in forms() {
        check_damage(&new, std::path::Path::new("av1.ts"), &stream(&units, form), 16, &mut random);
    }
}
