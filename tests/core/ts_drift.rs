//! An hour of MPEG-TS whose sound is uneven: what goes to the browser stays with the time stamps of the source, and what was mended is told.

use crate::ts_cases::{Mux, adts, annex_b};
use millrace::container::mp4::FragmentDemuxer;
use millrace::container::ts::TsDemuxer;
use millrace::container::{Demuxer, Sample, Sink, TrackId, TrackInfo};
use millrace::remux::{Aside, Muxer};

const VIDEO: u16 = 0x100;
const AUDIO: u16 = 0x101;
const HOUR: f64 = 3600.0;
/// Seconds.
const PICTURE: f64 = 1001.0 / 30_000.0;
const FRAME: f64 = 1024.0 / 44_100.0;
/// Sound begins this much before the pictures: the priming of an encoder.
const PRIMING: f64 = 2112.0 / 44_100.0;
/// The clocks of sound and stream run apart by so much: 0.07 s in an hour.
const SKEW: f64 = 20e-6;
/// The 33 bits of the clock end after 25 minutes.
const BASE: u64 = (1 << 33) - 25 * 60 * 90_000;
/// Frames of sound in a PES packet.
const GROUP: usize = 5;

/// How many frames of sound are missing (or, negative, come again) before the frame of this number.
const UNEVEN: [(usize, f64); 8] = [
    (15_000, 1.0),
    (30_000, 2.0),
    // Too long to be filled.
    (45_000, 21.5),
    (60_000, -2.0),
    (75_000, -10.3),
    (90_000, 0.9),
    (105_000, -0.9),
    (120_000, -1.0),
];

/// Times of the frames of sound, in seconds from the first picture.
fn sound(skew: f64) -> Vec<f64> {
    let mut clock = -PRIMING;
    let mut times = Vec::new();
    while clock < HOUR {
        if let Some((_, frames)) = UNEVEN.iter().find(|(n, _)| *n == times.len()) {
            clock += frames * FRAME;
        }
        times.push(clock);
        clock += FRAME * (1.0 + skew);
    }
    times
}

/// A name that is no start code.
fn name(number: usize) -> [u8; 5] {
    [28, 21, 14, 7, 0].map(|shift| (number >> shift) as u8 | 0x80)
}

fn number(sample: &[u8]) -> usize {
    sample.last_chunk::<5>().unwrap().iter().fold(0, |n, b| n << 7 | usize::from(b & 0x7f))
}

fn stamp(time: f64) -> u64 {
    (BASE as i64 + (time * 90_000.0).round() as i64) as u64 % (1 << 33)
}

/// What the browser gets of one track.
#[derive(Default)]
struct Heard {
    scale: f64,
    buffer: Vec<u8>,
    /// Number, time and end on the media's timeline, in seconds.
    samples: Vec<(usize, f64, f64)>,
}

impl Sink for Heard {
    fn track(&mut self, info: TrackInfo) {
        self.scale = f64::from(info.timescale.get());
    }

    fn tracks_complete(&mut self) {}

    fn buffer(&mut self, _: TrackId) -> &mut Vec<u8> {
        &mut self.buffer
    }

    fn sample(&mut self, _: TrackId, sample: Sample) {
        let time = |ticks: i64| ticks as f64 / self.scale - BASE as f64 / 90_000.0;
        let end = time(sample.pts + i64::from(sample.duration.unwrap()));
        self.samples.push((number(&self.buffer), time(sample.pts), end));
        self.buffer.clear();
    }

    fn warning(&mut self, _: u64, what: &'static str) {
        panic!("{what}");
    }
}

/// The player's way from the stream to the SourceBuffers.
struct Way {
    demuxer: TsDemuxer,
    muxer: Muxer,
    tracks: Vec<(TrackId, Option<u32>, FragmentDemuxer, Heard)>,
    mended: Vec<(f64, f64)>,
}

impl Way {
    fn push(&mut self, data: &[u8], end: bool) {
        self.demuxer.push(data, &mut self.muxer).unwrap();
        if end {
            self.demuxer.finish(&mut self.muxer).unwrap();
        }
        if !self.muxer.is_complete() {
            return;
        }
        for (id, generation, reader, heard) in &mut self.tracks {
            while let Some(fragment) = self.muxer.take_fragment(*id, end) {
                if *generation != Some(fragment.generation) {
                    *generation = Some(fragment.generation);
                    reader.push(&self.muxer.init_segment(*id).unwrap(), heard).unwrap();
                }
                reader.push(fragment.bytes(), heard).unwrap();
                reader.finish(heard).unwrap();
            }
        }
        for aside in self.muxer.take_asides() {
            let Aside::Sound { from, to } = aside else { panic!("{aside:?}") };
            let base = BASE as f64 / 90_000.0;
            self.mended.push((from - base, to - base));
        }
    }
}

/// Plays the hour in segments of so many seconds, or as one stream.
fn play(times: &[f64], segment: Option<f64>) -> (Way, Heard, Heard) {
    const SPS: &[u8] = &[
        0x67, 0x64, 0x00, 0x0a, 0xac, 0xd9, 0x45, 0x27, 0x9a, 0x23, 0x0e, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
        0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x22, 0x59, 0x60,
    ];
    const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];
    let track = |pid: u16| (TrackId(pid.into()), None, FragmentDemuxer::new(), Heard::default());
    let mut way = Way {
        demuxer: TsDemuxer::new(),
        muxer: Muxer::new(),
        tracks: vec![track(VIDEO), track(AUDIO)],
        mended: Vec::new(),
    };
    let streams = [(0x1b, VIDEO), (0x0f, AUDIO)];
    let mut mux = Mux::new(&streams);
    let mut groups = times.chunks(GROUP).enumerate().peekable();
    let mut next_segment = segment.unwrap_or(f64::INFINITY);
    for picture in 0.. {
        let time = f64::from(picture) * PICTURE;
        if time >= HOUR {
            break;
        }
        let sync = picture % 60 == 0;
        if sync && time >= next_segment {
            way.push(&mux.out, true);
            mux = Mux::new(&streams);
            next_segment += segment.unwrap_or(f64::INFINITY);
        } else if mux.out.len() > 100_000 {
            way.push(&mux.out, false);
            mux.out.clear();
        }
        while let Some((i, group)) = groups.next_if(|(_, group)| group[0] <= time) {
            let frame = |(k, _): (usize, &f64)| {
                adts(4, &[&[0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c][..], &name(i * GROUP + k)].concat())
            };
            let data: Vec<u8> = group.iter().enumerate().flat_map(frame).collect();
            let pts = stamp(group[0]);
            mux.pes(AUDIO, Some((pts, pts)), true, 184, &data);
        }
        let slice = [if sync { &[0x65, 0x88][..] } else { &[0x41, 0x9a] }, &name(picture as usize)].concat();
        let units = if sync { vec![SPS, PPS, &slice] } else { vec![&slice[..]] };
        mux.pes(VIDEO, Some((stamp(time), stamp(time))), false, 184, &annex_b(&units, true));
    }
    way.push(&mux.out, true);
    assert_eq!(way.muxer.take_warnings(), []);
    let audio = way.tracks.pop().unwrap().3;
    let video = way.tracks.pop().unwrap().3;
    (way, video, audio)
}

fn check(skew: f64, segment: Option<f64>) {
    let times = sound(skew);
    let (way, video, audio) = play(&times, segment);
    let pictures = (HOUR / PICTURE).ceil() as usize;
    assert_eq!(video.samples.len(), pictures);
    for (i, (number, time, _)) in video.samples.iter().enumerate() {
        assert_eq!(*number, i);
        assert!((time - i as f64 * PICTURE).abs() < 1.0 / 80_000.0, "picture {i} at {time}");
    }

    // Every frame that is heard is heard when the source says: half a frame off at most, to the end of the hour.
    let mut worst: f64 = 0.0;
    for (number, time, _) in &audio.samples {
        worst = worst.max((time - times[*number]).abs());
    }
    assert!(worst < 0.51 * FRAME, "{} of a frame", worst / FRAME);
    let (last, time, _) = audio.samples[audio.samples.len() - 1];
    assert!(last + GROUP >= times.len() && (time - times[last]).abs() < FRAME);

    // What is left out came twice, and is told.
    let missing: Vec<usize> = {
        let heard: std::collections::HashSet<usize> = audio.samples.iter().map(|s| s.0).collect();
        (0..=last).filter(|n| !heard.contains(n)).collect()
    };
    for number in &missing {
        let told =
            |(from, to): &(f64, f64)| to < from && (to - 0.51 * FRAME..*from).contains(&times[*number]);
        assert!(way.mended.iter().any(told), "frame {number} was dropped silently");
    }
    assert!(missing.len() > 2 + 10 + 1, "{missing:?}");

    // Nothing overlaps by half a frame, and where the sound does not go on at once, it is told or a hole that shows.
    for pair in audio.samples.windows(2) {
        let ((a, start, end), (b, next, _)) = (pair[0], pair[1]);
        assert!(a < b && (next - start) > 0.49 * FRAME, "frames {a} and {b}");
        let step = next - start - FRAME;
        if step.abs() > 0.49 * FRAME {
            let told = way
                .mended
                .iter()
                .any(|(from, to)| (from - start - FRAME).abs() < 1e-4 && (to - next).abs() < 1e-4);
            let hole = next - end > 3.0 * FRAME;
            assert!(told != hole, "frames {a} and {b}: {step} s");
        } else {
            assert!((next - end).abs() < 0.51 * FRAME);
        }
    }

    // And each is told once.
    for (number, frames) in UNEVEN.iter().filter(|u| u.1 < 20.0) {
        let at = times[*number];
        let near = way
            .mended
            .iter()
            .filter(|(from, to)| (to - at).abs() < FRAME && ((to - from) / FRAME - frames).abs() < 0.51);
        assert_eq!(near.count(), 1, "{frames} frames at {at}: {:?}", way.mended);
    }
    // The skew takes half a frame now and then; a frame that is dropped for it leaves half a frame of silence.
    let drifted = (HOUR * skew.abs() / (FRAME / 2.0)).ceil() as usize;
    assert!(way.mended.len() <= UNEVEN.len() + 2 * drifted + 2, "{:?}", way.mended);
}

#[test]
fn sound_and_pictures_stay_together_for_an_hour_of_one_stream() {
    check(SKEW, None);
}

#[test]
fn sound_and_pictures_stay_together_for_an_hour_of_segments() {
    check(-SKEW, Some(6.0));
}
