//! What MP4 does not carry, written as WebM and read back by our demuxer and by ffprobe.

use std::path::{Path, PathBuf};
use std::process::Command;

use millrace::container::mp4::FragmentDemuxer;
use millrace::container::webm::WebmDemuxer;
use millrace::container::{Demuxer, Sample, Sink, TrackId, TrackInfo, TrackKind};
use millrace::remux::{Fragment, Muxer, Wrapping};
use millrace::time::Timescale;

use crate::support::{Random, Recorder};
use crate::webm_files::{built, element, ffprobe, fixture, tracks, whole};

fn take(muxer: &mut Muxer, flush: bool, out: &mut Vec<(TrackId, Vec<u8>, Vec<Fragment>)>) {
    for info in muxer.tracks().to_vec() {
        let at = out.iter().position(|o| o.0 == info.id).unwrap_or_else(|| {
            out.push((info.id, Vec::new(), Vec::new()));
            out.len() - 1
        });
        while let Some(fragment) = muxer.take_fragment(info.id, flush) {
            if out[at].1.is_empty() {
                out[at].1 = muxer.init_segment(info.id).unwrap();
            }
            out[at].2.push(fragment);
        }
    }
}

/// Through the muxer; `wrap` is called once the tracks are known.
fn remux(
    data: &[u8],
    pieces: usize,
    mut wrap: impl FnMut(&mut Muxer),
) -> Vec<(TrackId, Vec<u8>, Vec<Fragment>)> {
    let (mut demuxer, mut muxer) = (WebmDemuxer::default(), Muxer::new());
    let mut out = Vec::new();
    let mut wrapped = false;
    for piece in Random(77).split(data, pieces) {
        demuxer.push(piece, &mut muxer).unwrap();
        if muxer.is_complete() && !std::mem::replace(&mut wrapped, true) {
            wrap(&mut muxer);
        }
        if wrapped {
            take(&mut muxer, false, &mut out);
        }
    }
    demuxer.finish(&mut muxer).unwrap();
    take(&mut muxer, true, &mut out);
    out
}

fn file(name: &str, id: TrackId, init: &[u8], fragments: &[Fragment]) -> (PathBuf, Vec<u8>) {
    let mut bytes = init.to_vec();
    for fragment in fragments {
        bytes.extend_from_slice(fragment.bytes());
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("remuxed-{name}-{}.webm", id.0));
    std::fs::write(&path, &bytes).unwrap();
    (path, bytes)
}

fn decodes(path: &Path) {
    let args = ["-v", "error", "-i", path.to_str().unwrap(), "-f", "null", "-"];
    if let Ok(decoded) = Command::new("ffmpeg").args(args).output() {
        let said = String::from_utf8_lossy(&decoded.stderr).into_owned();
        assert!(decoded.status.success() && said.is_empty(), "{}: {said}", path.display());
    }
}

#[test]
fn tracks_come_back_from_webm_with_the_same_bytes_and_times() {
    let mut through = 0;
    for name in [
        "vp8-vorbis.webm",
        "mm-webm.webm",
        "gst-vp8-vorbis-stream.webm",
        "vorbis-live.webm",
        "vp8-opus-cues-end.webm",
        "vp9-opus-live.webm",
        "av1.webm",
    ] {
        let data = fixture(name);
        let source = whole(&data);
        for pieces in [1_000_000, 4000, 300] {
            // Also of codecs that MP4 carries, after some samples have come.
            let out = remux(&data, pieces, |muxer| {
                for info in muxer.tracks().to_vec() {
                    assert!(muxer.set_wrapping(info.id, Wrapping::Webm), "{name}");
                }
            });
            for (id, init, fragments) in out {
                through += 1;
                let (path, bytes) = file(name, id, &init, &fragments);
                let info = tracks(&source).into_iter().find(|t| t.id == id).unwrap();
                let back = whole(&bytes);
                let read = back.tracks().last().unwrap().clone();
                assert_eq!(
                    (read.kind, &read.codec, read.timescale, read.width, read.sample_rate, read.channels),
                    (info.kind, &info.codec, info.timescale, info.width, info.sample_rate, info.channels),
                    "{name}"
                );
                assert_eq!(
                    (&read.sample_entry, &read.codec_private),
                    (&info.sample_entry, &info.codec_private)
                );
                let content = |r: &Recorder, id| -> Vec<_> {
                    r.samples(id).iter().map(|(s, crc)| (s.pts, s.sync, s.size, *crc)).collect()
                };
                let expected = content(&source, id);
                assert_eq!(content(&back, read.id), expected, "{name} track {}", id.0);
                assert_eq!(fragments.iter().map(|f| f.samples as usize).sum::<usize>(), expected.len());
                if pieces == 4000
                    && let Some(streams) = ffprobe(&path)
                {
                    let [(_, packets)] = &streams[..] else { panic!("one stream") };
                    assert_eq!(packets.len(), expected.len());
                    let delay = read.edit_start;
                    for (packet, (pts, sync, size, crc)) in packets.iter().zip(&expected) {
                        // It guesses inside of the first packet of Vorbis.
                        let (n, d) = packet.0;
                        assert_eq!(n * 1000, i128::from(pts - delay) * d, "{name}");
                        assert_eq!((packet.1, packet.2), (*size, *sync));
                        assert!(packet.3.is_none_or(|c| c == *crc));
                    }
                    decodes(&path);
                }
            }
        }
    }
    assert_eq!(through, 3 * 12);
}

#[test]
fn what_mp4_carries_is_mp4_unless_asked_and_what_nothing_carries_is_refused() {
    let mut muxer = Muxer::new();
    let mut info = TrackInfo::new(TrackId(3), TrackKind::Audio, Timescale::MPEG);
    info.codec = "A_DTS".into();
    muxer.track(info.clone());
    assert_eq!((Wrapping::of(&info), muxer.init_segment(info.id)), (None, None));
    assert!(!muxer.set_wrapping(info.id, Wrapping::Webm));
    let source = whole(&fixture("vp9-opus-live.webm"));
    for info in tracks(&source) {
        assert_eq!(Wrapping::of(&info), Some(Wrapping::Mp4));
        muxer.track(info.clone());
        assert_eq!(&muxer.init_segment(info.id).unwrap()[4..8], b"ftyp");
        assert!(muxer.set_wrapping(info.id, Wrapping::Webm));
        assert_eq!(muxer.init_segment(info.id).unwrap()[..4], [0x1a, 0x45, 0xdf, 0xa3]);
    }
    let source = whole(&fixture("vp8-vorbis.webm"));
    assert!(tracks(&source).iter().all(|t| Wrapping::of(t) == Some(Wrapping::Webm)));
}

/// Frames of 10 bytes at these times, through WebM and back; seconds.
fn times(timescale: u32, times: impl Iterator<Item = i64>) -> Vec<(f64, f64)> {
    let timescale = Timescale::new(timescale).unwrap();
    let mut info = TrackInfo::new(TrackId(1), TrackKind::Video, timescale);
    info.codec = "vp8".into();
    (info.width, info.height) = (16, 16);
    let mut muxer = Muxer::new();
    muxer.track(info.clone());
    muxer.tracks_complete();
    let mut expected = Vec::new();
    let mut out = Vec::new();
    for (i, time) in times.enumerate() {
        muxer.buffer(info.id).extend([i as u8; 10]);
        let sample = Sample { dts: time, pts: time, duration: None, sync: i % 50 == 0, size: 10 };
        muxer.sample(info.id, sample);
        expected.push(timescale.seconds(time));
        if i % 100 == 99 {
            take(&mut muxer, false, &mut out);
        }
    }
    take(&mut muxer, true, &mut out);
    let (_, init, fragments) = &out[0];
    let bytes = fragments.iter().fold(init.clone(), |mut all, f| {
        all.extend_from_slice(f.bytes());
        all
    });
    let back = whole(&bytes);
    let scale = back.tracks().last().unwrap().timescale;
    let read: Vec<_> = back.samples(TrackId(1)).iter().map(|s| scale.seconds(s.0.pts)).collect();
    assert_eq!(read.len(), expected.len());
    expected.into_iter().zip(read).collect()
}

#[test]
fn times_are_exact_where_the_scale_can_be_and_never_drift() {
    // An hour of pictures in milliseconds, and of sound in samples of 16 kHz.
    for (timescale, step) in [(1000, 40), (16_000, 320), (25, 1), (100_000, 3333)] {
        let all = times(timescale, (0..30_000).map(|i| i * step));
        assert!(all.iter().all(|(a, b)| (a - b).abs() < 1e-9), "{timescale}");
    }
    // Ticks that are no nanoseconds: within 5 microseconds of the truth, an hour later too.
    for (timescale, step) in [(90_000, 3003), (44_100, 1024), (48_000, 1024), (1_000_000_000, 41_666_667)] {
        let all = times(timescale, (0..100_000).map(|i| i * step));
        let worst = all.iter().map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst <= 5.1e-6, "{timescale}: {worst}");
        assert!(all.is_sorted_by(|a, b| a.1 < b.1));
    }
    // Times before 0 cannot be told; a jump back begins another cluster.
    let all = times(1000, [-40, 0, 40, 80, 100_000, 100_040, 60, 100].into_iter());
    let read: Vec<_> = all.iter().map(|t| (t.1 * 1000.0).round() as i64).collect();
    assert_eq!(read, [0, 0, 40, 80, 100_000, 100_040, 60, 100]);
}

#[test]
fn pictures_last_until_the_next_whatever_duration_the_header_names() {
    // The header names 30 pictures a second, as ffmpeg writes it of any rate.
    let nominal = element(&[0x23, 0xe3, 0x83], &33_333_333u32.to_be_bytes());
    let block = |time: u16| {
        let [high, low] = time.to_be_bytes();
        element(&[0xa3], &[0x81, high, low, 0x80, 1, 2, 3, 4])
    };
    let file = built(&fixture("av1-flac.mkv"), &nominal, &[0, 33, 67, 267, 300, 2300].map(block));
    let out = remux(&file, 10, |_| {});
    let [(id, init, fragments)] = &out[..] else { panic!("one track") };
    let bytes = fragments.iter().fold(init.clone(), |all, f| [&all, f.bytes()].concat());
    let mut back = Recorder::default();
    FragmentDemuxer::new().push(&bytes, &mut back).unwrap();
    let read: Vec<_> = back.samples(*id).iter().map(|(s, _)| (s.pts, s.duration.unwrap())).collect();
    assert_eq!(read, [(0, 33), (33, 34), (67, 200), (267, 33), (300, 2000), (2300, 2000)]);
}
