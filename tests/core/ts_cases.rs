//! MPEG-TS: streams built packet by packet, for what encoders at hand do not produce.

use std::iter;

use crate::ts::{Call, Recorder, demux, hash};
use millrace::container::ts::TsDemuxer;
use millrace::container::{Demuxer, Sample, TrackInfo};

const VIDEO: u16 = 0x100;
const AUDIO: u16 = 0x101;
const PMT: u16 = 0x1000;

/// x264, 70x50, High 1.0, 25 frames/s.
const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x0a, 0xac, 0xd9, 0x45, 0x27, 0x9a, 0x23, 0x0e, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
    0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x22, 0x59, 0x60,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];
const OTHER_PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc1];
const AUD: &[u8] = &[0x09, 0xf0];

/// Writes packets as a multiplexer does.
#[derive(Default)]
pub struct Mux {
    pub out: Vec<u8>,
    counters: Vec<(u16, u8)>,
}

impl Mux {
    pub fn new(streams: &[(u8, u16)]) -> Self {
        let mut mux = Self::default();
        mux.tables(0, streams);
        mux
    }

    pub fn tables(&mut self, version: u8, streams: &[(u8, u16)]) {
        self.section(0, 0, version, &[0, 1, 0xe0 | (PMT >> 8) as u8, PMT as u8]);
        let mut body = vec![0xe1, 0, 0xf0, 0];
        for &(kind, pid) in streams {
            body.extend([kind, 0xe0 | (pid >> 8) as u8, pid as u8, 0xf0, 0]);
        }
        self.section(PMT, 2, version, &body);
    }

    pub fn section(&mut self, pid: u16, table: u8, version: u8, body: &[u8]) {
        let len = body.len() + 9;
        let mut section = vec![table, 0xb0 | (len >> 8) as u8, len as u8, 0, 1, 0xc1 | version << 1, 0, 0];
        section.extend_from_slice(body);
        self.add_crc(pid, section);
    }

    fn add_crc(&mut self, pid: u16, mut section: Vec<u8>) {
        let mut crc = u32::MAX;
        for &b in &section {
            crc ^= u32::from(b) << 24;
            for _ in 0..8 {
                crc = if crc >> 31 == 1 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 };
            }
        }
        section.extend(crc.to_be_bytes());
        section.insert(0, 0);
        section.resize(184, 0xff);
        self.packet(pid, true, &section);
    }

    /// A section as it is, but for its CRC.
    pub fn section_raw(&mut self, pid: u16, section: &[u8]) {
        self.add_crc(pid, section.to_vec());
    }

    /// One packet; what the payload does not fill is adaptation field.
    pub fn packet(&mut self, pid: u16, start: bool, payload: &[u8]) {
        let counter = match self.counters.iter_mut().find(|(p, _)| *p == pid) {
            Some((_, c)) => {
                *c = (*c + 1) & 15;
                *c
            }
            None => {
                self.counters.push((pid, 0));
                0
            }
        };
        let stuffing = 184 - payload.len();
        let adaptation = if stuffing > 0 { 0x20 } else { 0 };
        self.out.extend([
            0x47,
            u8::from(start) << 6 | (pid >> 8) as u8,
            pid as u8,
            0x10 | adaptation | counter,
        ]);
        if stuffing > 0 {
            self.out.push(stuffing as u8 - 1);
            if stuffing > 1 {
                self.out.push(0);
                self.out.extend(iter::repeat_n(0xff, stuffing - 2));
            }
        }
        self.out.extend_from_slice(payload);
    }

    /// A PES packet in packets of at most `most` bytes of payload.
    pub fn pes(&mut self, pid: u16, time: Option<(u64, u64)>, bounded: bool, most: usize, data: &[u8]) {
        let stamp = |mark: u8, t: u64| {
            [
                mark << 4 | (t >> 29) as u8 & 14 | 1,
                (t >> 22) as u8,
                (t >> 14) as u8 | 1,
                (t >> 7) as u8,
                (t << 1) as u8 | 1,
            ]
        };
        let mut fields = Vec::new();
        if let Some((pts, dts)) = time {
            fields.extend(stamp(3, pts));
            fields.extend(stamp(1, dts));
        }
        let len = if bounded { (3 + fields.len() + data.len()) as u16 } else { 0 };
        let mut pes = vec![0, 0, 1, if pid == AUDIO { 0xc0 } else { 0xe0 }];
        pes.extend(len.to_be_bytes());
        pes.extend([0x80, if fields.is_empty() { 0 } else { 0xc0 }, fields.len() as u8]);
        pes.extend(&fields);
        pes.extend_from_slice(data);
        for (i, payload) in pes.chunks(most).enumerate() {
            self.packet(pid, i == 0, payload);
        }
    }
}

/// A slice NAL unit; `first` for the first of its picture.
pub fn slice(kind: u8, first: bool, len: usize, seed: u8) -> Vec<u8> {
    let mut nal = vec![kind, if first { if kind == 0x65 { 0x88 } else { 0x9a } } else { 0x4a }];
    nal.extend((0..len).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed) | 1));
    nal
}

pub fn annex_b(nals: &[&[u8]], long: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for nal in nals {
        out.extend_from_slice(if long { &[0, 0, 0, 1] } else { &[0, 0, 1] });
        out.extend_from_slice(nal);
    }
    out
}

fn length_prefixed(nals: &[&[u8]]) -> Vec<u8> {
    nals.iter().flat_map(|nal| [&(nal.len() as u32).to_be_bytes()[..], nal].concat()).collect()
}

fn samples(calls: &[Call], pid: u16) -> Vec<(Sample, u64)> {
    calls
        .iter()
        .filter_map(|c| match c {
            Call::Sample(id, sample, hash) if id.0 == u32::from(pid) => Some((*sample, *hash)),
            _ => None,
        })
        .collect()
}

fn tracks(calls: &[Call]) -> Vec<&TrackInfo> {
    calls.iter().filter_map(|c| if let Call::Track(info) = c { Some(info) } else { None }).collect()
}

fn warnings(calls: &[Call]) -> Vec<&'static str> {
    calls.iter().filter_map(|c| if let Call::Warning(_, what) = c { Some(*what) } else { None }).collect()
}

/// Demuxes whole and byte by byte.
fn read(data: &[u8]) -> Vec<Call> {
    let calls = demux([data]);
    assert!(demux(data.chunks(1)) == calls, "the split of the input shows");
    calls
}

#[test]
fn pictures_are_split_by_their_slices_however_packets_and_start_codes_fall() {
    let idr = [slice(0x65, true, 400, 1), slice(0x65, false, 300, 2)];
    let p = [slice(0x41, true, 90, 3), slice(0x41, false, 5, 4)];
    let q = [slice(0x41, true, 1, 5)];
    let expected =
        [length_prefixed(&[&idr[0], &idr[1]]), length_prefixed(&[&p[0], &p[1]]), length_prefixed(&[&q[0]])];
    for with_aud in [false, true] {
        for long in [false, true] {
            // Every payload size moves the packet borders through the start codes.
            for most in 20..=184 {
                let mut mux = Mux::new(&[(0x1b, VIDEO)]);
                let aud: &[&[u8]] = if with_aud { &[AUD] } else { &[] };
                let first = [aud, &[SPS, PPS, &idr[0], &idr[1]]].concat();
                // Two pictures in one PES packet, the third over two of them.
                let second = [aud, &[&p[0], &p[1]], aud, &[&q[0][..1]]].concat();
                mux.pes(VIDEO, Some((9000, 3600)), false, most, &annex_b(&first, long));
                mux.pes(VIDEO, Some((12600, 7200)), long, most, &annex_b(&second, long));
                mux.pes(VIDEO, None, false, most, &q[0][1..]);
                let calls = demux([&mux.out[..]]);
                let got = samples(&calls, VIDEO);
                let context = format!("aud {with_aud} long {long} packets of {most}: {calls:?}");
                let times: Vec<_> = got.iter().map(|(s, _)| (s.dts, s.pts, s.sync)).collect();
                assert_eq!(
                    times,
                    [(3600, 9000, true), (7200, 12600, false), (10800, 16200, false)],
                    "{context}"
                );
                for ((sample, h), bytes) in got.iter().zip(&expected) {
                    assert_eq!((sample.size as usize, *h), (bytes.len(), hash(bytes)), "{context}");
                }
                assert!(warnings(&calls).is_empty(), "{context}");
            }
        }
    }
}

#[test]
fn prefix_units_of_scalable_video_part_no_slices() {
    // In front of each slice of the base layer (H.264 §7.4.2.12).
    let prefix: &[u8] = &[0x6e, 0xc0, 0x80, 0x07];
    let (top, bottom) = (slice(0x65, true, 300, 1), slice(0x65, false, 300, 2));
    let mut mux = Mux::new(&[(0x1b, VIDEO)]);
    for time in [0, 3600] {
        let picture = annex_b(&[AUD, SPS, PPS, prefix, &top, prefix, &bottom], true);
        mux.pes(VIDEO, Some((time, time)), false, 184, &picture);
    }
    let hashes: Vec<_> = samples(&read(&mux.out), VIDEO).iter().map(|s| s.1).collect();
    assert_eq!(hashes, [hash(&length_prefixed(&[&top, &bottom])); 2]);
}

#[test]
fn a_picture_is_given_out_when_the_next_begins() {
    let mut mux = Mux::new(&[(0x1b, VIDEO)]);
    let idr = slice(0x65, true, 2000, 1);
    mux.pes(VIDEO, Some((0, 0)), false, 184, &annex_b(&[AUD, SPS, PPS, &idr], true));
    mux.pes(VIDEO, Some((3600, 3600)), false, 184, &annex_b(&[AUD], true));
    let mut recorder = Recorder::default();
    TsDemuxer::new().push(&mux.out, &mut recorder).unwrap();
    let got = samples(&recorder.calls, VIDEO);
    assert_eq!(got.len(), 1);
    assert_eq!(
        got[0].0.duration,
        Some(3600),
        "known from the next header: nothing waits for the next picture"
    );
}

#[test]
fn a_lost_packet_costs_one_picture_and_a_repeated_one_nothing() {
    let pictures: Vec<_> = (0..5u8).map(|i| slice(if i == 0 { 0x65 } else { 0x41 }, true, 700, i)).collect();
    let mut mux = Mux::new(&[(0x1b, VIDEO)]);
    let mut starts = Vec::new();
    for (i, picture) in pictures.iter().enumerate() {
        starts.push(mux.out.len());
        let t = i as u64 * 3600;
        mux.pes(VIDEO, Some((t, t)), false, 184, &annex_b(&[AUD, SPS, PPS, picture], true));
    }
    let whole = samples(&read(&mux.out), VIDEO);
    assert_eq!(whole.len(), 5);

    let mut lost = mux.out.clone();
    lost.drain(starts[2] + 188..starts[2] + 376);
    let calls = read(&lost);
    let got = samples(&calls, VIDEO);
    assert_eq!(got, [&whole[..2], &whole[3..]].concat());
    assert_eq!(warnings(&calls), ["packets are missing: the damaged access unit is dropped"]);

    let mut repeated = mux.out.clone();
    let packet = repeated[starts[2] + 188..starts[2] + 376].to_vec();
    repeated.splice(starts[2] + 376..starts[2] + 376, packet);
    let calls = read(&repeated);
    assert_eq!(samples(&calls, VIDEO), whole);
    assert!(warnings(&calls).is_empty());
}

#[test]
fn a_picture_goes_on_behind_the_length_that_its_packet_tells() {
    // Told modulo 65536, as some multiplexers do.
    let mut mux = Mux::new(&[(0x1b, VIDEO)]);
    let pictures = [slice(0x65, true, 70_000, 1), slice(0x41, true, 300, 2)];
    for (time, picture) in [0, 3600].into_iter().zip(&pictures) {
        mux.pes(VIDEO, Some((time, time)), true, 184, &annex_b(&[SPS, PPS, picture], true));
    }
    let calls = read(&mux.out);
    let hashes: Vec<_> = samples(&calls, VIDEO).iter().map(|s| s.1).collect();
    assert_eq!(hashes, pictures.map(|p| hash(&length_prefixed(&[&p]))));
    assert!(warnings(&calls).is_empty(), "{:?}", warnings(&calls));
}

#[test]
fn changed_parameter_sets_make_a_new_track_at_a_key_frame_and_stay_in_band_elsewhere() {
    let mut mux = Mux::new(&[(0x1b, VIDEO)]);
    let (idr, p) = (slice(0x65, true, 50, 1), slice(0x41, true, 50, 2));
    let stream: [&[&[u8]]; 5] =
        [&[SPS, PPS, &idr], &[SPS, PPS, &p], &[OTHER_PPS, &p], &[SPS, OTHER_PPS, &idr], &[SPS, PPS, &idr]];
    for (i, nals) in stream.iter().enumerate() {
        let t = i as u64 * 3600;
        mux.pes(VIDEO, Some((t, t)), false, 184, &annex_b(nals, true));
    }
    let calls = read(&mux.out);
    let tracks = tracks(&calls);
    assert_eq!(tracks.len(), 3, "at the start, for the other PPS, and back");
    assert_eq!((tracks[0].width, tracks[0].height, &*tracks[0].codec), (70, 50, "avc1.64000a"));
    assert!(tracks[1].sample_entry.windows(PPS.len()).any(|w| w == OTHER_PPS));
    assert!(tracks[0] == tracks[2]);
    let hashes: Vec<_> = samples(&calls, VIDEO).iter().map(|(_, h)| *h).collect();
    let in_band = length_prefixed(&[OTHER_PPS, &p]);
    let (idr, p) = (length_prefixed(&[&idr]), length_prefixed(&[&p]));
    assert_eq!(hashes, [hash(&idr), hash(&p), hash(&in_band), hash(&idr), hash(&idr)]);
}

/// Bits, most significant first.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn put(mut self, value: u32, n: u32) -> Self {
        self.0.extend((0..n).rev().map(|i| value >> i & 1 == 1));
        self
    }

    fn ue(self, value: u32) -> Self {
        let len = (value + 1).ilog2();
        self.put(0, len).put(value + 1, len + 1)
    }

    fn bytes(self) -> Vec<u8> {
        let bits: Vec<bool> = self.0.into_iter().chain([true]).collect();
        bits.chunks(8).map(|c| (0..8).fold(0, |v, i| v << 1 | u8::from(c.get(i) == Some(&true)))).collect()
    }
}

#[test]
fn both_fields_of_a_frame_make_one_sample() {
    // Main profile 3.0, frame_num of 4 bits, 2x1 macroblocks of two fields, no cropping, no VUI.
    let sps = Bits::default().put(0x674d_001e, 32).ue(0).ue(0).ue(2).ue(1).put(0, 1).ue(1).ue(0).put(0, 1);
    let sps = sps.put(0b0100, 4).bytes();
    let field = |kind: u32, frame_num: u32, bottom: u32| {
        let head = Bits::default().put(kind, 8).ue(0).ue(7).ue(0).put(frame_num, 4).put(1, 1).put(bottom, 1);
        [&head.bytes()[..], &[0x55; 40]].concat()
    };
    let mut mux = Mux::new(&[(0x1b, VIDEO)]);
    let fields = [field(0x65, 0, 0), field(0x41, 0, 1), field(0x41, 1, 0), field(0x41, 1, 1)];
    for (i, nal) in fields.iter().enumerate() {
        let t = i as u64 * 1800;
        // The second fields in their own PES packets, with their own times.
        mux.pes(VIDEO, Some((t, t)), true, 184, &annex_b(&[AUD, &sps, PPS, nal], true));
    }
    let calls = read(&mux.out);
    assert_eq!((tracks(&calls)[0].width, tracks(&calls)[0].height), (32, 32));
    let got = samples(&calls, VIDEO);
    let expected = [length_prefixed(&[&fields[0], &fields[1]]), length_prefixed(&[&fields[2], &fields[3]])]
        .map(|b| hash(&b));
    assert_eq!(
        got.iter().map(|(s, h)| (s.pts, *h)).collect::<Vec<_>>(),
        [(0, expected[0]), (3600, expected[1])]
    );
}

/// An ADTS frame of AAC-LC stereo around `payload`.
pub fn adts(rate_index: u8, payload: &[u8]) -> Vec<u8> {
    let len = payload.len() + 7;
    let mut frame = vec![
        0xff,
        0xf1,
        0x40 | rate_index << 2,
        0x80 | (len >> 11) as u8,
        (len >> 3) as u8,
        (len << 5) as u8 | 0x1f,
        0xfc,
    ];
    frame.extend_from_slice(payload);
    frame
}

/// Raw frames; with `sbr`, the last element before the end is an SBR extension payload of 20 bytes.
pub fn raw_frame(seed: u8, sbr: bool) -> Vec<u8> {
    let mut bits = Bits::default().put(0x20, 8);
    for i in 0..100u8 {
        bits = bits.put(u32::from(i.wrapping_mul(37) ^ seed), 8);
    }
    if sbr {
        bits = bits.put(6, 3).put(15, 4).put(6, 8).put(0b1101, 4);
        for i in 0..39u8 {
            bits = bits.put(u32::from(i ^ seed) & 15, 4);
        }
    }
    // ID_END: the stop bit of `bytes` is its last one.
    bits.put(3, 2).bytes()
}

#[test]
fn audio_frames_run_over_packet_and_segment_borders_with_counted_times() {
    let frames: Vec<_> = (0..24).map(|i| raw_frame(i, false)).collect();
    let stream: Vec<u8> = frames.iter().flat_map(|f| adts(3, f)).collect();
    for piece in [61, 109, 200, 333] {
        let mut segments = vec![Mux::new(&[(0x0f, AUDIO)])];
        let size = frames[0].len() + 7;
        for (i, data) in stream.chunks(piece).enumerate() {
            if i > 0 && i * piece / (stream.len() / 2) == 1 && segments.len() == 1 {
                segments.push(Mux::new(&[(0x0f, AUDIO)]));
            }
            // Time of the first frame that begins in the packet, at 48 kHz, jittered by up to 100 ticks.
            let first = (i * piece).div_ceil(size) as u64;
            let time = 90_000 + first * 1920 + (i as u64 * 77) % 200 - 100;
            segments.last_mut().unwrap().pes(AUDIO, Some((time, time)), true, 184, data);
        }
        let mut demuxer = TsDemuxer::new();
        let mut recorder = Recorder::default();
        for segment in &segments {
            demuxer.push(&segment.out, &mut recorder).unwrap();
            demuxer.finish(&mut recorder).unwrap();
        }
        let got = samples(&recorder.calls, AUDIO);
        let info = tracks(&recorder.calls)[0];
        assert_eq!((info.timescale.get(), info.channels, &*info.codec), (48000, 2, "mp4a.40.2"));
        assert_eq!(got.len(), frames.len(), "pieces of {piece}");
        let start = got[0].0.dts;
        assert!((start - 48000).abs() < 60);
        for (i, ((sample, h), frame)) in got.iter().zip(&frames).enumerate() {
            assert_eq!(
                (sample.dts, *h),
                (start + 1024 * i as i64, hash(frame)),
                "pieces of {piece}, frame {i}"
            );
        }
        assert!(warnings(&recorder.calls).is_empty(), "{:?}", warnings(&recorder.calls));
    }
}

#[test]
fn audio_follows_a_time_stamp_that_is_half_a_frame_off() {
    let mut mux = Mux::new(&[(0x0f, AUDIO)]);
    for (i, time) in [0u64, 1920 + 900, 3840, 5760 + 5000, 7680 + 5000].into_iter().enumerate() {
        mux.pes(AUDIO, Some((time, time)), true, 184, &adts(3, &raw_frame(i as u8, false)));
    }
    let times: Vec<_> = samples(&read(&mux.out), AUDIO).iter().map(|(s, _)| s.dts).collect();
    assert_eq!(times, [0, 1024, 2048, 3072 + 2667, 4096 + 2667]);
}

#[test]
fn he_aac_is_told_from_aac_by_its_frames() {
    for (sbr, rate_index, codec, rate) in [
        (true, 6, "mp4a.40.5", 48000),
        (false, 6, "mp4a.40.2", 24000),
        (true, 7, "mp4a.40.5", 44100),
        (true, 3, "mp4a.40.2", 48000),
    ] {
        let mut mux = Mux::new(&[(0x0f, AUDIO)]);
        let data: Vec<u8> = (0..4).flat_map(|i| adts(rate_index, &raw_frame(i, sbr))).collect();
        mux.pes(AUDIO, Some((0, 0)), true, 184, &data);
        let calls = read(&mux.out);
        let info = tracks(&calls)[0];
        assert_eq!((&*info.codec, info.sample_rate), (codec, rate));
        assert_eq!(info.timescale.get() * if sbr && rate_index > 3 { 2 } else { 1 }, rate);
        assert!(samples(&calls, AUDIO).iter().all(|(s, _)| s.duration == Some(1024)));
    }
}

#[test]
fn sound_of_which_nothing_tells_the_channels_is_refused_by_name() {
    let frames = (0..9).map(|i| {
        let mut frame = adts(3, &raw_frame(i, false));
        frame[3] &= 0x3f;
        frame
    });
    let stream = frames.collect::<Vec<_>>().concat();
    let mut demuxer = TsDemuxer::new();
    let mut recorder = Recorder::default();
    // The end of a segment cuts a frame.
    for (i, data) in stream.chunks(stream.len() * 2 / 5).enumerate() {
        let mut mux = Mux::new(&[(0x0f, AUDIO)]);
        let time = i as u64 * 9000;
        mux.pes(AUDIO, Some((time, time)), true, 184, data);
        demuxer.push(&mux.out, &mut recorder).unwrap();
        demuxer.finish(&mut recorder).unwrap();
    }
    assert_eq!((samples(&recorder.calls, AUDIO).len(), tracks(&recorder.calls).len()), (0, 0));
    assert_eq!(warnings(&recorder.calls), ["AAC: the stream does not tell which channels it has"]);
}

#[test]
fn a_new_map_keeps_streams_that_stay_and_takes_up_new_ones() {
    let mut mux = Mux::new(&[(0x1b, VIDEO)]);
    let idr = slice(0x65, true, 300, 1);
    mux.pes(VIDEO, Some((0, 0)), false, 184, &annex_b(&[SPS, PPS, &idr], true));
    mux.tables(1, &[(0x1b, VIDEO), (0x0f, AUDIO), (0x86, 0x1f0), (0x10, 0x102)]);
    mux.pes(VIDEO, Some((3600, 3600)), false, 184, &annex_b(&[&slice(0x41, true, 300, 2)], true));
    for i in 0..2 {
        mux.pes(AUDIO, Some((i * 1920, 0)), true, 184, &adts(3, &raw_frame(0, false)));
    }
    mux.tables(2, &[(0x0f, AUDIO)]);
    let calls = read(&mux.out);
    assert_eq!(samples(&calls, VIDEO).len(), 2);
    assert_eq!(samples(&calls, AUDIO).len(), 2);
    assert_eq!(calls.iter().filter(|c| **c == Call::Complete).count(), 3, "once per map");
    assert_eq!(warnings(&calls), ["MPEG-4 part 2 video is not supported"]);
}

/// As where one stream is joined to another, by multiplexers that never change the version.
#[test]
fn a_map_that_moves_is_followed_also_to_the_pid_of_a_stream() {
    let idr = slice(0x65, true, 300, 1);
    let picture = annex_b(&[SPS, PPS, &idr], true);
    for map in [0x1001, VIDEO] {
        let mut mux = Mux::new(&[(0x1b, VIDEO), (0x0f, AUDIO)]);
        let sound = |mux: &mut Mux, time: u64| {
            for time in [time, time + 1920] {
                mux.pes(AUDIO, Some((time, time)), true, 184, &adts(3, &raw_frame(0, false)));
            }
        };
        mux.pes(VIDEO, Some((0, 0)), false, 184, &picture);
        sound(&mut mux, 0);
        mux.section(0, 0, 0, &[0, 1, 0xe0 | (map >> 8) as u8, map as u8]);
        let streams = [0x1b, 0xe1, 2, 0xf0, 0, 0x0f, 0xe0 | (AUDIO >> 8) as u8, AUDIO as u8, 0xf0, 0];
        mux.section(map, 2, 0, &[&[0xe1, 2, 0xf0, 0], &streams[..]].concat());
        mux.pes(0x102, Some((3600, 3600)), false, 184, &picture);
        sound(&mut mux, 3840);
        let calls = read(&mux.out);
        // The pictures are the same track, under another PID.
        assert_eq!([VIDEO, AUDIO].map(|pid| samples(&calls, pid).len()), [2, 4], "{map:#x}");
        let [first, _, again] = tracks(&calls)[..] else { panic!("{:?}", tracks(&calls)) };
        assert_eq!(first, again, "nothing has changed but the PIDs");
        assert!(warnings(&calls).is_empty(), "{:?}", warnings(&calls));
    }
}

#[test]
fn a_stream_that_never_comes_is_not_waited_for_long() {
    let mut mux = Mux::new(&[(0x1b, VIDEO), (0x0f, AUDIO)]);
    for i in 0..80u64 {
        let nal = slice(if i == 0 { 0x65 } else { 0x41 }, true, 60, i as u8);
        mux.pes(VIDEO, Some((i * 3600, i * 3600)), false, 184, &annex_b(&[SPS, PPS, &nal], true));
    }
    let calls = read(&mux.out);
    let before = calls.iter().position(|c| *c == Call::Complete).unwrap();
    assert!((48..56).contains(&before), "two seconds of pictures: {before}");
}

#[test]
fn a_segment_without_program_map_is_refused() {
    let mut mux = Mux::default();
    mux.pes(VIDEO, Some((0, 0)), false, 184, &[0; 500]);
    let mut demuxer = TsDemuxer::new();
    demuxer.push(&mux.out, &mut Recorder::default()).unwrap();
    let error = demuxer.finish(&mut Recorder::default()).unwrap_err();
    assert_eq!(error.code.as_str(), "MEDIA_MALFORMED");
}

#[test]
fn tables_whose_checksums_were_never_written_are_believed() {
    let mut mux = Mux::new(&[(0x1b, VIDEO)]);
    for table in mux.out.chunks_mut(188) {
        let end = 8 + usize::from(table[7]);
        table[end - 4..end].fill(0);
    }
    let idr = slice(0x65, true, 300, 1);
    mux.pes(VIDEO, Some((0, 0)), false, 184, &annex_b(&[SPS, PPS, &idr], true));
    assert_eq!(samples(&read(&mux.out), VIDEO).len(), 1);
}

#[test]
fn reset_forgets_what_is_pending_and_keeps_the_map() {
    let mut mux = Mux::new(&[(0x1b, VIDEO)]);
    let idr = slice(0x65, true, 300, 1);
    mux.pes(VIDEO, Some((0, 0)), false, 184, &annex_b(&[SPS, PPS, &idr], true));
    let mut demuxer = TsDemuxer::new();
    let mut recorder = Recorder::default();
    demuxer.push(&mux.out[..mux.out.len() - 100], &mut recorder).unwrap();
    demuxer.reset();
    recorder.buffers.clear();
    // From here on without PAT and PMT.
    let mut next = Mux::default();
    next.pes(VIDEO, Some((9000, 9000)), false, 184, &annex_b(&[SPS, PPS, &idr], true));
    demuxer.push(&next.out, &mut recorder).unwrap();
    demuxer.finish(&mut recorder).unwrap();
    let got = samples(&recorder.calls, VIDEO);
    assert_eq!(got.iter().map(|(s, _)| s.pts).collect::<Vec<_>>(), [9000]);
}
