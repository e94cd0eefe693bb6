//! Layouts that no fixture has: boxes by hand.

use super::{FragmentDemuxer, moov};
use crate::bytes::ByteWriter;
use crate::container::{Demuxer, Sample, Sink, TrackId, TrackInfo, TrackKind};
use crate::error::{Code, Result};

/// Writes down samples with their bytes.
#[derive(Default)]
struct Log {
    tracks: Vec<TrackInfo>,
    complete: usize,
    samples: Vec<(u32, Sample, Vec<u8>)>,
    warnings: Vec<&'static str>,
    buffer: Vec<u8>,
}

impl Sink for Log {
    fn track(&mut self, info: TrackInfo) {
        self.tracks.push(info);
    }
    fn tracks_complete(&mut self) {
        self.complete += 1;
    }
    fn buffer(&mut self, _: TrackId) -> &mut Vec<u8> {
        &mut self.buffer
    }
    fn sample(&mut self, track: TrackId, sample: Sample) {
        self.samples.push((track.0, sample, std::mem::take(&mut self.buffer)));
    }
    fn warning(&mut self, _: u64, what: &'static str) {
        self.warnings.push(what);
    }
}

impl Log {
    /// Track, dts, pts, duration, sync, bytes as text.
    fn lines(&self) -> Vec<String> {
        let line = |(t, s, b): &(u32, Sample, Vec<u8>)| {
            let text = String::from_utf8_lossy(b);
            format!("{t} {} {} {} {} {text}", s.dts, s.pts, s.duration.unwrap_or(0), s.sync)
        };
        self.samples.iter().map(line).collect()
    }
}

fn written(body: impl FnOnce(&mut ByteWriter)) -> Vec<u8> {
    let mut w = ByteWriter::new();
    body(&mut w);
    w.into_vec()
}

/// A sample entry of audio or video with boxes in it.
fn entry(name: &[u8; 4], handler: &[u8; 4], boxes: &[u8]) -> Vec<u8> {
    written(|w| {
        w.boxed(name, |w| {
            w.zeros(7);
            w.u8(1);
            w.zeros(if handler == b"vide" { 70 } else { 20 });
            w.bytes(boxes);
        })
    })
}

fn trak(id: u32, handler: &[u8; 4], elst: &[u8], media: &[u8], entries: &[Vec<u8>]) -> Vec<u8> {
    written(|w| {
        w.boxed(b"trak", |w| {
            w.full_boxed(b"tkhd", 0, 3, |w| {
                w.zeros(8);
                w.u32(id);
                w.zeros(68);
            });
            w.boxed(b"edts", |w| w.bytes(elst));
            w.boxed(b"mdia", |w| {
                w.full_boxed(b"mdhd", 0, 0, |w| {
                    w.zeros(8);
                    w.u32(1000);
                    w.zeros(4);
                    // "deu"
                    w.u16(4 << 10 | 5 << 5 | 21);
                    w.u16(0);
                });
                w.full_boxed(b"hdlr", 0, 0, |w| {
                    w.u32(0);
                    w.bytes(handler);
                });
                w.bytes(media);
                w.boxed(b"minf", |w| {
                    w.boxed(b"stbl", |w| {
                        w.full_boxed(b"stsd", 0, 0, |w| {
                            w.u32(entries.len() as u32);
                            entries.iter().for_each(|e| w.bytes(e));
                        })
                    })
                });
            });
        })
    })
}

fn moov(traks: &[Vec<u8>], trex: &[(u32, [u32; 4])]) -> Vec<u8> {
    written(|w| {
        w.boxed(b"moov", |w| {
            w.full_boxed(b"mvhd", 0, 0, |w| {
                w.zeros(8);
                w.u32(600);
                w.zeros(84);
            });
            traks.iter().for_each(|t| w.bytes(t));
            w.boxed(b"mvex", |w| {
                for (id, defaults) in trex {
                    w.full_boxed(b"trex", 0, 0, |w| {
                        w.u32(*id);
                        defaults.iter().for_each(|v| w.u32(*v));
                    });
                }
            });
        })
    })
}

fn plain_init() -> Vec<u8> {
    let video = trak(1, b"vide", &[], &[], &[entry(b"avc1", b"vide", &[]), entry(b"hvc1", b"vide", &[])]);
    let audio = trak(2, b"soun", &[], &[], &[entry(b"mp4a", b"soun", &[])]);
    moov(&[video, audio], &[(1, [1, 40, 0, 0x0101_0000]), (2, [1, 20, 3, 0])])
}

/// A `traf` of `tfhd` fields after the track id, a `tfdt` and runs of (flags, words after the count).
fn traf(id: u32, tfhd: (u32, &[u32]), tfdt: Option<u32>, runs: &[(u32, u32, &[u32])]) -> Vec<u8> {
    written(|w| {
        w.boxed(b"traf", |w| {
            w.full_boxed(b"tfhd", 0, tfhd.0, |w| {
                w.u32(id);
                tfhd.1.iter().for_each(|v| w.u32(*v));
            });
            if let Some(time) = tfdt {
                w.full_boxed(b"tfdt", 0, 0, |w| w.u32(time));
            }
            for (flags, count, words) in runs {
                w.full_boxed(b"trun", 0, *flags, |w| {
                    w.u32(*count);
                    words.iter().for_each(|v| w.u32(*v));
                });
            }
        })
    })
}

fn moof(trafs: &[Vec<u8>]) -> Vec<u8> {
    written(|w| w.boxed(b"moof", |w| trafs.iter().for_each(|t| w.bytes(t))))
}

fn mdat(text: &str) -> Vec<u8> {
    written(|w| w.boxed(b"mdat", |w| w.bytes(text.as_bytes())))
}

fn demux(parts: &[Vec<u8>]) -> (Log, Result<()>) {
    let mut log = Log::default();
    let mut demuxer = FragmentDemuxer::new();
    let mut result = demuxer.push(&parts.concat(), &mut log);
    result = result.and(demuxer.finish(&mut log));
    (log, result)
}

const BASE_IS_MOOF: u32 = 0x02_0000;
const OFFSET: u32 = 1;
const DURATIONS: u32 = 0x100;
const SIZES: u32 = 0x200;

#[test]
fn track_defaults_fragment_defaults_and_run_fields_go_from_weak_to_strong() {
    let size_of_moof =
        moof(&[traf(1, (BASE_IS_MOOF | 0x08, &[50]), Some(7), &[(OFFSET | 4 | SIZES, 2, &[0, 0, 2, 1])])])
            .len();
    let fragment =
        |flags, words: &[u32]| traf(1, (BASE_IS_MOOF | 0x08, &[50]), Some(7), &[(flags, 2, words)]);
    let offset = size_of_moof as u32 + 8;
    // trex: 40 ticks, not sync. tfhd: 50 ticks. trun: the first one is sync.
    let (log, end) = demux(&[
        plain_init(),
        moof(&[fragment(OFFSET | 4 | SIZES, &[offset, 0x0200_0000, 2, 1])]),
        mdat("aab"),
    ]);
    assert_eq!(end, Ok(()));
    assert_eq!(log.lines(), ["1 7 7 50 true aa", "1 57 57 50 false b"]);
    assert_eq!(log.complete, 1);
}

#[test]
fn without_base_flags_the_second_track_fragment_begins_where_the_first_ends() {
    let video =
        |offset| traf(1, (0, &[]), Some(0), &[(OFFSET | SIZES, 2, &[offset, 2, 2]), (SIZES, 1, &[1])]);
    let audio = traf(2, (0, &[]), Some(0), &[(0, 2, &[])]);
    let size = moof(&[video(0), audio.clone()]).len() as u32;
    let (log, end) = demux(&[plain_init(), moof(&[video(size + 8), audio]), mdat("aabbcdddeee")]);
    assert_eq!(end, Ok(()));
    assert_eq!(
        log.lines(),
        [
            "1 0 0 40 false aa",
            "1 40 40 40 false bb",
            "1 80 80 40 false c",
            "2 0 0 20 true ddd",
            "2 20 20 20 true eee"
        ]
    );
}

#[test]
fn a_fragment_without_time_goes_on_from_the_last_one() {
    let audio = |offset, time| moof(&[traf(2, (BASE_IS_MOOF, &[]), time, &[(OFFSET, 1, &[offset])])]);
    let first = audio(audio(0, Some(0)).len() as u32 + 8, Some(500));
    let next = audio(audio(0, None).len() as u32 + 8, None);
    let (log, end) = demux(&[plain_init(), first, mdat("aaa"), next.clone(), mdat("bbb")]);
    assert_eq!(
        (end, log.lines()),
        (Ok(()), vec!["2 500 500 20 true aaa".into(), "2 520 520 20 true bbb".into()])
    );
    let (log, _) = demux(&[plain_init(), next, mdat("bbb")]);
    assert_eq!((log.lines(), log.warnings.len()), (vec!["2 0 0 20 true bbb".into()], 1));
}

#[test]
fn a_run_without_a_place_begins_with_the_data() {
    let (log, end) =
        demux(&[plain_init(), moof(&[traf(2, (BASE_IS_MOOF, &[]), Some(0), &[(0, 1, &[])])]), mdat("aaa")]);
    assert_eq!((end, log.lines(), log.warnings.len()), (Ok(()), vec!["2 0 0 20 true aaa".to_owned()], 1));
}

#[test]
fn two_fragments_before_their_data_are_both_read() {
    let build = |a, b| {
        let video =
            moof(&[traf(1, (BASE_IS_MOOF, &[]), Some(0), &[(OFFSET | SIZES | DURATIONS, 1, &[a, 33, 2])])]);
        let audio = moof(&[traf(2, (BASE_IS_MOOF, &[]), Some(0), &[(OFFSET, 1, &[b])])]);
        (video, audio)
    };
    let (video, audio) = build(0, 0);
    let (v, a) = (video.len() as u32, audio.len() as u32);
    let (video, audio) = build(v + a + 8, a + 8 + 2 + 8);
    let (log, end) = demux(&[plain_init(), video, audio, mdat("vv"), mdat("aaa")]);
    assert_eq!(end, Ok(()));
    assert_eq!(log.lines(), ["1 0 0 33 false vv", "2 0 0 20 true aaa"]);
}

#[test]
fn data_to_the_end_of_the_file_and_with_64_bit_sizes_is_read() {
    let fragment = |header: u32| {
        let build = |offset| moof(&[traf(2, (BASE_IS_MOOF, &[]), Some(0), &[(OFFSET, 1, &[offset])])]);
        build(build(0).len() as u32 + header)
    };
    let endless = b"\0\0\0\0mdataaa".to_vec();
    let (log, end) = demux(&[plain_init(), fragment(8), endless]);
    assert_eq!((end, log.lines().len()), (Ok(()), 1));
    let large = b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x13aaa".to_vec();
    let (log, end) = demux(&[plain_init(), fragment(16), large]);
    assert_eq!((end, log.lines().len()), (Ok(()), 1));
}

#[test]
fn a_new_init_segment_and_another_sample_entry_are_announced_before_their_samples() {
    let build =
        |offset| moof(&[traf(1, (BASE_IS_MOOF | 2, &[2]), Some(0), &[(OFFSET | SIZES, 1, &[offset, 1])])]);
    let fragment = build(build(0).len() as u32 + 8);
    let (log, end) = demux(&[plain_init(), fragment.clone(), mdat("x"), plain_init(), fragment, mdat("y")]);
    assert_eq!(end, Ok(()));
    let codecs: Vec<_> = log.tracks.iter().map(|t| t.codec.as_str()).collect();
    assert_eq!(codecs, ["avc1", "mp4a", "hvc1", "avc1", "mp4a", "hvc1"]);
    assert_eq!((log.complete, log.samples.len()), (2, 2));
}

#[test]
fn fragments_of_unknown_tracks_are_passed_over_with_their_data() {
    let build = |a, b| {
        let unknown = traf(9, (BASE_IS_MOOF | 0x10, &[2]), Some(0), &[(OFFSET, 1, &[a])]);
        moof(&[unknown, traf(2, (BASE_IS_MOOF, &[]), Some(0), &[(OFFSET, 1, &[b])])])
    };
    let size = build(0, 0).len() as u32;
    let (log, end) = demux(&[plain_init(), build(size + 8, size + 10), mdat("??aaa")]);
    assert_eq!((end, log.lines(), log.warnings.len()), (Ok(()), vec!["2 0 0 20 true aaa".to_owned()], 1));
}

#[test]
fn samples_that_share_bytes_and_absurd_counts_are_refused() {
    let build =
        |a, b| moof(&[traf(2, (BASE_IS_MOOF, &[]), Some(0), &[(OFFSET, 1, &[a]), (OFFSET, 1, &[b])])]);
    let at = build(0, 0).len() as u32 + 8;
    let (log, end) = demux(&[plain_init(), build(at, at + 2), mdat("aaabbb")]);
    assert_eq!((end.unwrap_err().code, log.samples.len()), (Code::MediaMalformed, 1));
    let many = moof(&[traf(2, (BASE_IS_MOOF, &[]), Some(0), &[(OFFSET, u32::MAX, &[100])])]);
    assert_eq!(demux(&[plain_init(), many]).1.unwrap_err().code, Code::MediaMalformed);
    let short = moof(&[traf(2, (BASE_IS_MOOF, &[]), Some(0), &[(OFFSET | SIZES, 1000, &[100, 1, 2])])]);
    assert_eq!(demux(&[plain_init(), short]).1.unwrap_err().code, Code::MediaMalformed);
}

fn elst(version: u8, edits: &[(u32, i32)]) -> Vec<u8> {
    written(|w| {
        w.full_boxed(b"elst", version, 0, |w| {
            w.u32(edits.len() as u32);
            for (duration, time) in edits {
                if version == 1 {
                    w.u64((*duration).into());
                    w.i64((*time).into());
                } else {
                    w.u32(*duration);
                    w.i32(*time);
                }
                w.u32(0x1_0000);
            }
        })
    })
}

fn edited(elst: &[u8]) -> (i64, Vec<&'static str>) {
    let data = moov(&[trak(1, b"vide", elst, &[], &[entry(b"avc1", b"vide", &[])])], &[]);
    let moov = moov::parse(&data[8..]).unwrap();
    (moov.tracks[0].info.edit_start, moov.warnings)
}

#[test]
fn edit_lists_give_the_media_time_that_is_presented_first() {
    for version in [0, 1] {
        assert_eq!(edited(&elst(version, &[(0, 80)])).0, 80);
        // 300 of 600 ticks of the movie are 500 of the track's 1000.
        assert_eq!(edited(&elst(version, &[(300, -1), (900, 80)])).0, -420);
        assert_eq!(edited(&elst(version, &[(300, -1)])).0, -500);
        let (start, warnings) = edited(&elst(version, &[(300, 10), (300, 2000)]));
        assert_eq!((start, warnings.len()), (10, 1));
    }
    let mut lying = elst(0, &[(0, 80)]);
    lying[15] = 200;
    assert_eq!(edited(&lying).0, 0);
}

#[test]
fn encrypted_tracks_keep_their_original_format_and_languages_and_labels_are_read() {
    let sinf = written(|w| w.boxed(b"sinf", |w| w.boxed(b"frma", |w| w.bytes(b"avc1"))));
    let avcc = written(|w| w.boxed(b"avcC", |w| w.bytes(&[1, 0x64, 0, 0x1f])));
    let elng = written(|w| w.full_boxed(b"elng", 0, 0, |w| w.bytes(b"de-CH\0")));
    let video = trak(1, b"vide", &[], &[], &[entry(b"encv", b"vide", &[avcc, sinf].concat())]);
    let text = trak(2, b"subt", &[], &elng, &[entry(b"stpp", b"subt", &[])]);
    let mut sound = trak(3, b"soun", &[], &[], &[entry(b"mp4a", b"soun", &[])]);
    sound.extend(written(|w| {
        w.boxed(b"udta", |w| w.boxed(b"name", |w| w.bytes("Kommentar für Blinde".as_bytes())))
    }));
    let size = sound.len() as u32;
    sound[..4].copy_from_slice(&size.to_be_bytes());
    let data = moov(&[video, text, b"\0\0\0\x08trak".to_vec(), sound], &[]);
    let moov = moov::parse(&data[8..]).unwrap();
    let (video, text) = (&moov.tracks[0].info, &moov.tracks[1].info);
    assert_eq!(
        (video.codec.as_str(), video.encrypted, video.language.as_deref()),
        ("avc1.64001f", true, Some("deu"))
    );
    assert_eq!(
        (text.codec.as_str(), text.kind, text.language.as_deref()),
        ("stpp", TrackKind::Text, Some("de-CH"))
    );
    let labels: Vec<Option<&str>> = moov.tracks.iter().map(|t| t.info.label.as_deref()).collect();
    assert_eq!(labels, [None, None, Some("Kommentar für Blinde")]);
    assert_eq!(moov.warnings.len(), 1, "the empty trak is left out");
}
