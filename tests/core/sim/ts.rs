//! MPEG transport streams of synthetic samples (ISO/IEC 13818-1): PAT, PMT, one PES packet per frame.

use super::media::{Aside, Codec, Frame, PPS, SPS, Track};

const VIDEO_PID: u16 = 0x100;
const AUDIO_PID: u16 = 0x101;
const PMT_PID: u16 = 0x1000;
const ID3_PID: u16 = 0x102;
const SCTE_PID: u16 = 0x103;
const KLV_PID: u16 = 0x104;

/// A segment with the frames of both tracks that `keep` lets pass, in order of decoding time, and with what goes along with them at its
/// presentation time in ticks of 90 kHz.
pub fn segment(
    video: Option<(&Track, u32, u32)>,
    audio: Option<(&Track, u32, u32)>,
    keep: impl Fn(&Frame) -> bool,
    asides: &[(i64, Aside)],
) -> Vec<u8> {
    let mut units: Vec<(u16, i64, Frame, u32)> = Vec::new();
    for (pid, track) in [(VIDEO_PID, video), (AUDIO_PID, audio)] {
        let Some((track, from, to)) = track else { continue };
        assert!(matches!(track.codec, Codec::Avc(_) | Codec::Aac));
        let scale = track.timescale();
        let frames = track.frames(from, to).into_iter().filter(|f| keep(f));
        units.extend(frames.map(|f| (pid, f.dts * 90_000 / i64::from(scale), f, scale)));
    }
    units.sort_by_key(|u| (u.1, u.0));
    let mut out = Vec::new();
    let has = |pid| units.iter().any(|u| u.0 == pid);
    psi(&mut out, 0, &[0, 1, 0xe0 | (PMT_PID >> 8) as u8, PMT_PID as u8], 0);
    let mut program = vec![0xe0 | (VIDEO_PID >> 8) as u8, VIDEO_PID as u8, 0xf0, 0];
    for (pid, kind) in [(VIDEO_PID, 0x1b), (AUDIO_PID, 0x0f)] {
        if has(pid) {
            program.extend([kind, 0xe0 | (pid >> 8) as u8, pid as u8, 0xf0, 0]);
        }
    }
    if !asides.is_empty() {
        program.extend([0x15, 0xe0 | (ID3_PID >> 8) as u8, ID3_PID as u8, 0xf0, 0]);
        program.extend([0x86, 0xe0 | (SCTE_PID >> 8) as u8, SCTE_PID as u8, 0xf0, 0]);
        program.extend([0x06, 0xe0 | (KLV_PID >> 8) as u8, KLV_PID as u8, 0xf0, 6]);
        program.extend(b"\x05\x04KLVA");
    }
    psi(&mut out, PMT_PID, &program, 2);

    let mut sent = [0usize; 2];
    let mut told = [0usize; 3];
    let mut others: Vec<_> = asides.iter().filter(|(_, a)| !matches!(a, Aside::Captions(_))).collect();
    others.sort_by_key(|(at, _)| *at);
    let mut others = others.into_iter().peekable();
    for (i, (pid, dts, frame, scale)) in units.iter().enumerate() {
        while let Some((at, aside)) = others.next_if(|(at, _)| at <= dts) {
            let bytes = aside.bytes();
            match aside {
                Aside::Scte35(_) => section(&mut out, SCTE_PID, bytes, &mut told[1]),
                _ => {
                    let (pid, count) = match aside {
                        Aside::Id3(_) => (ID3_PID, &mut told[0]),
                        _ => (KLV_PID, &mut told[2]),
                    };
                    let pes = pes(pid, *at, *at, &bytes);
                    packetize(&mut out, pid, &pes, pes.len().div_ceil(184), count);
                }
            }
        }
        let pts = frame.pts * 90_000 / i64::from(*scale);
        let captions = asides.iter().find(|(at, a)| *at == pts && matches!(a, Aside::Captions(_)));
        let sei = captions.map(|(_, aside)| aside.bytes()).unwrap_or_default();
        let data = if *pid == VIDEO_PID { annex_b(frame, &sei) } else { adts(frame) };
        let pes = pes(*pid, pts, *dts, &data);
        let count = &mut sent[usize::from(*pid == AUDIO_PID)];
        let last = !units[i + 1..].iter().any(|u| u.0 == *pid);
        // Counters go on over segments: each segment has a multiple of 16 packets.
        let needs = pes.len().div_ceil(184);
        let packets = if last { needs + (16 - (*count + needs) % 16) % 16 } else { needs };
        packetize(&mut out, *pid, &pes, packets, count);
    }
    out
}

/// Packed audio (RFC 8216bis §3.4): the frames that `keep` lets pass, behind a tag with the time of the first.
pub fn packed(track: &Track, from: u32, to: u32, timed: bool, keep: impl Fn(&Frame) -> bool) -> Vec<u8> {
    let frames: Vec<Frame> = track.frames(from, to).into_iter().filter(|f| keep(f)).collect();
    let time = frames.first().map_or(0, |f| f.pts * 90_000 / i64::from(track.timescale()));
    let time = time.rem_euclid(1 << 33) as u64;
    let body = [&b"com.apple.streaming.transportStreamTimestamp\0"[..], &time.to_be_bytes()].concat();
    let mut out = b"ID3\x04\0\0\0\0\0".to_vec();
    out.push(body.len() as u8 + 10);
    out.extend_from_slice(b"PRIV\0\0\0");
    out.push(body.len() as u8);
    out.extend([0, 0]);
    out.extend(body);
    if !timed {
        out.clear();
    }
    for frame in &frames {
        out.extend(adts(frame));
    }
    out
}

fn psi(out: &mut Vec<u8>, pid: u16, body: &[u8], table: u8) {
    let length = 5 + body.len() + 4;
    let mut bytes = vec![table, 0xb0 | (length >> 8) as u8, length as u8, 0, 1, 0xc1, 0, 0];
    bytes.extend_from_slice(body);
    section(out, pid, bytes, &mut 0);
}

/// A section, but for its CRC.
fn section(out: &mut Vec<u8>, pid: u16, mut section: Vec<u8>, count: &mut usize) {
    let crc = crc32(&section);
    section.extend(crc.to_be_bytes());
    out.extend([0x47, 0x40 | (pid >> 8) as u8, pid as u8, 0x10 | (*count % 16) as u8, 0]);
    out.extend_from_slice(&section);
    out.resize(out.len().next_multiple_of(188), 0xff);
    *count += 1;
}

/// ISO/IEC 13818-1 annex A.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |mut crc, b| {
        crc ^= u32::from(*b) << 24;
        for _ in 0..8 {
            crc = if crc & 0x8000_0000 != 0 { (crc << 1) ^ 0x04c1_1db7 } else { crc << 1 };
        }
        crc
    })
}

fn stamp(prefix: u8, ticks: i64) -> [u8; 5] {
    let t = ticks.rem_euclid(1 << 33) as u64;
    [
        (prefix << 4) | ((t >> 29) as u8 & 0x0e) | 1,
        (t >> 22) as u8,
        ((t >> 14) as u8 & 0xfe) | 1,
        (t >> 7) as u8,
        ((t << 1) as u8 & 0xfe) | 1,
    ]
}

fn pes(pid: u16, pts: i64, dts: i64, data: &[u8]) -> Vec<u8> {
    let video = pid == VIDEO_PID;
    let length = if video { 0 } else { data.len() + 8 };
    let mut out = vec![0, 0, 1, if video { 0xe0 } else { 0xc0 }, (length >> 8) as u8, length as u8, 0x84];
    if video {
        out.extend([0xc0, 10]);
        out.extend(stamp(3, pts));
        out.extend(stamp(1, dts));
    } else {
        out.extend([0x80, 5]);
        out.extend(stamp(2, pts));
    }
    out.extend_from_slice(data);
    out
}

fn packetize(out: &mut Vec<u8>, pid: u16, pes: &[u8], packets: usize, count: &mut usize) {
    let mut rest = pes;
    for i in 0..packets {
        let left = packets - i;
        let take = rest.len().div_ceil(left).max(rest.len().saturating_sub(184 * (left - 1))).min(184);
        let (now, then) = rest.split_at(take);
        rest = then;
        let unit = if i == 0 { 0x40 } else { 0 };
        let stuffing = 184 - take;
        let adaptation = if stuffing > 0 { 0x30 } else { 0x10 };
        out.extend([0x47, unit | (pid >> 8) as u8, pid as u8, adaptation | (*count % 16) as u8]);
        if stuffing > 0 {
            out.push((stuffing - 1) as u8);
        }
        if stuffing > 1 {
            out.push(0);
            out.resize(out.len() + stuffing - 2, 0xff);
        }
        out.extend_from_slice(now);
        *count += 1;
    }
}

/// Access unit delimiter, parameter sets before an IDR picture, SEI, one slice.
fn annex_b(frame: &Frame, sei: &[u8]) -> Vec<u8> {
    const START: [u8; 4] = [0, 0, 0, 1];
    let mut out = Vec::new();
    out.extend(START);
    out.extend([0x09, 0xf0]);
    if frame.sync {
        out.extend(START);
        out.extend(SPS);
        out.extend(START);
        out.extend(PPS);
    }
    if !sei.is_empty() {
        out.extend(START);
        out.extend(sei);
    }
    out.extend(START);
    let order = (frame.mark.number * 2 % 256) as u8;
    if frame.sync {
        // first_mb 0, I slice, PPS 0, frame_num 0, idr_pic_id 0, order 0.
        out.extend([0x65, 0x88, 0x84, 0x03]);
    } else {
        // first_mb 0, P slice, PPS 0, frame_num 1, order.
        out.extend([0x41, 0x9a, 0x20 | (order >> 3), (order << 5) | 0x1f]);
    }
    out.extend(frame.payload());
    out
}

/// An AAC-LC frame of 48 kHz stereo.
fn adts(frame: &Frame) -> Vec<u8> {
    let payload = frame.payload();
    let length = payload.len() + 7;
    let mut out = vec![
        0xff,
        0xf1,
        0x4c,
        0x80 | (length >> 11) as u8,
        (length >> 3) as u8,
        ((length << 5) as u8) | 0x1f,
        0xfc,
    ];
    out.extend(payload);
    out
}
