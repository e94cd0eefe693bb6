//! Whole files of synthetic samples: MP4 with sample tables (ISO/IEC 14496-12 §8.5 to §8.7), Matroska as ffmpeg's `-live 1` writes it.

use super::media::{Frame, PPS, Track};
use super::site::Body;
use millrace::bytes::ByteWriter;
use millrace::container::TrackId;
use millrace::container::mp4::moov;

/// A file of these tracks, each with its frames in decoding order, in chunks of half a second. `moov_last`: the index comes behind the media.
pub fn mp4(tracks: &[(Track, Vec<Frame>)], moov_last: bool) -> Vec<u8> {
    let body = large_mp4(tracks, moov_last);
    body.read(0, body.length as usize)
}

/// The same, of any size: what of it is sent is made then.
pub fn large_mp4(tracks: &[(Track, Vec<Frame>)], moov_last: bool) -> Body {
    mp4_body(tracks, moov_last, false)
}

/// The start of a file whose index announces fragments behind these frames, as ffmpeg's `frag_keyframe` alone writes it.
pub fn mp4_to_be_continued(tracks: &[(Track, Vec<Frame>)]) -> Vec<u8> {
    let body = mp4_body(tracks, false, true);
    body.read(0, body.length as usize)
}

fn mp4_body(tracks: &[(Track, Vec<Frame>)], moov_last: bool, continued: bool) -> Body {
    // (time, track, frames) of the chunks, in order of time.
    let mut chunks: Vec<(f64, usize, Vec<Frame>)> = Vec::new();
    for (i, (track, frames)) in tracks.iter().enumerate() {
        let scale = f64::from(track.timescale());
        let chunk_of = |f: &Frame| (f.dts as f64 / scale * 2.0).floor();
        for run in frames.chunk_by(|a, b| chunk_of(a) == chunk_of(b)) {
            chunks.push((run[0].dts as f64 / scale, i, run.to_vec()));
        }
    }
    chunks.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ftyp = b"\0\0\0\x14ftypisom\0\0\0\0isom".to_vec();
    let mut places: Vec<Vec<(u64, usize)>> = vec![Vec::new(); tracks.len()];
    // Where each frame begins in the media.
    let (mut frames, mut media): (Vec<(u64, Frame)>, u64) = (Vec::new(), 0);
    for (_, i, chunk) in chunks {
        places[i].push((media, chunk.len()));
        for frame in chunk {
            frames.push((media, frame));
            media += u64::from(frame.size);
        }
    }
    let large = media > u64::from(u32::MAX / 2);
    let build = |base: u64| {
        let mut w = ByteWriter::new();
        w.boxed(b"moov", |w| {
            w.full_boxed(b"mvhd", 0, 0, |w| {
                w.zeros(8);
                w.u32(1000);
                w.u32(0);
                w.zeros(80);
            });
            for (i, (track, frames)) in tracks.iter().enumerate() {
                let places: Vec<_> = places[i].iter().map(|(at, n)| (base + at, *n)).collect();
                trak(w, i as u32 + 1, track, frames, &places, large);
            }
            if continued {
                w.boxed(b"mvex", |w| {
                    for id in 1..=tracks.len() as u32 {
                        w.full_boxed(b"trex", 0, 0, |w| [id, 1, 0, 0, 0].into_iter().for_each(|n| w.u32(n)));
                    }
                });
            }
        });
        w.into_vec()
    };
    let size = build(0).len() as u64;
    let header = if large {
        [b"\0\0\0\x01mdat", &(media + 16).to_be_bytes()[..]].concat()
    } else {
        [&(media as u32 + 8).to_be_bytes()[..], b"mdat"].concat()
    };
    let base = ftyp.len() as u64 + header.len() as u64 + if moov_last { 0 } else { size };
    let index = build(base);
    let (before, behind) = if moov_last {
        ([ftyp, header].concat(), index)
    } else {
        ([ftyp, index, header].concat(), Vec::new())
    };
    let end = base + media;
    Body::large(end + behind.len() as u64, move |at, count| {
        let to = at + count as u64;
        let mut bytes = Vec::with_capacity(count);
        let mut part = |from: u64, part: &[u8]| {
            let clip = |t: u64| (t.clamp(from, from + part.len() as u64) - from) as usize;
            bytes.extend_from_slice(&part[clip(at)..clip(to)]);
        };
        part(0, &before);
        let first = frames.partition_point(|(place, frame)| base + place + u64::from(frame.size) <= at);
        for (place, frame) in frames[first..].iter().take_while(|(place, _)| base + place < to) {
            part(base + place, &frame.payload());
        }
        part(end, &behind);
        bytes
    })
}

fn trak(w: &mut ByteWriter, id: u32, track: &Track, frames: &[Frame], places: &[(u64, usize)], large: bool) {
    // The sample entry as the init segment has it.
    let init = track.init_segment();
    let at = init.windows(4).position(|w| w == b"moov").unwrap() + 4;
    let end = at - 8 + u32::from_be_bytes(init[at - 8..at - 4].try_into().unwrap()) as usize;
    let parsed = moov::parse(&init[at..end]).unwrap();
    let info = &parsed.tracks[0].info;
    assert_eq!(info.id, TrackId(1));
    let video = track.is_video();
    // Reordered pictures are presented so much later than decoded, and an edit list takes it back.
    let delay = frames.first().map_or(0, |f| f.pts - f.dts);
    w.boxed(b"trak", |w| {
        w.full_boxed(b"tkhd", 0, 3, |w| {
            w.zeros(8);
            w.u32(id);
            w.zeros(60);
            w.u32(info.width << 16);
            w.u32(info.height << 16);
        });
        if delay > 0 {
            w.boxed(b"edts", |w| {
                w.full_boxed(b"elst", 0, 0, |w| {
                    [1, 0, delay as u32, 1 << 16].into_iter().for_each(|n| w.u32(n))
                });
            });
        }
        w.boxed(b"mdia", |w| {
            w.full_boxed(b"mdhd", 0, 0, |w| {
                w.zeros(8);
                w.u32(track.timescale());
                w.u32(frames.iter().map(|f| f.duration).sum());
                // "deu" for the second track of sound, else "und".
                w.u32(if !video && track.rung == 1 { 0x10b5_0000 } else { 0x55c4_0000 });
            });
            w.full_boxed(b"hdlr", 0, 0, |w| {
                w.zeros(4);
                w.bytes(if video { b"vide" } else { b"soun" });
                w.zeros(13);
            });
            w.boxed(b"minf", |w| {
                if video {
                    w.full_boxed(b"vmhd", 0, 1, |w| w.zeros(8));
                } else {
                    w.full_boxed(b"smhd", 0, 0, |w| w.zeros(4));
                }
                w.boxed(b"dinf", |w| {
                    w.full_boxed(b"dref", 0, 0, |w| {
                        w.u32(1);
                        w.full_boxed(b"url ", 0, 1, |_| {});
                    });
                });
                w.boxed(b"stbl", |w| {
                    w.full_boxed(b"stsd", 0, 0, |w| {
                        w.u32(1);
                        w.bytes(&info.sample_entry);
                    });
                    w.full_boxed(b"stts", 0, 0, |w| {
                        w.u32(1);
                        w.u32(frames.len() as u32);
                        w.u32(frames[0].duration);
                    });
                    if delay > 0 {
                        w.full_boxed(b"ctts", 0, 0, |w| {
                            w.u32(frames.len() as u32);
                            for frame in frames {
                                w.u32(1);
                                w.u32((frame.pts - frame.dts) as u32);
                            }
                        });
                    }
                    if video {
                        let keys: Vec<u32> =
                            frames.iter().zip(1..).filter(|(f, _)| f.sync).map(|(_, n)| n).collect();
                        w.full_boxed(b"stss", 0, 0, |w| {
                            w.u32(keys.len() as u32);
                            keys.iter().for_each(|k| w.u32(*k));
                        });
                    }
                    w.full_boxed(b"stsc", 0, 0, |w| {
                        w.u32(places.len() as u32);
                        for ((_, count), n) in places.iter().zip(1..) {
                            w.u32(n);
                            w.u32(*count as u32);
                            w.u32(1);
                        }
                    });
                    w.full_boxed(b"stsz", 0, 0, |w| {
                        w.u32(0);
                        w.u32(frames.len() as u32);
                        frames.iter().for_each(|f| w.u32(f.size));
                    });
                    w.full_boxed(if large { b"co64" } else { b"stco" }, 0, 0, |w| {
                        w.u32(places.len() as u32);
                        places.iter().for_each(|(at, _)| if large { w.u64(*at) } else { w.u32(*at as u32) });
                    });
                });
            });
        });
    });
}

/// A frame of MPEG audio, 128 kbit/s and 48 kHz, that carries a name.
pub fn mpeg_audio_frame(mark: super::media::Mark) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xfb, 0x94, 0x64];
    bytes.resize(40, 0);
    bytes.extend(mark.text().into_bytes());
    bytes.resize(MPEG_AUDIO_FRAME, 0x55);
    bytes
}

/// Of x264, with pictures that are reordered by up to two.
const SPS: [u8; 26] = [
    0x67, 0x64, 0x00, 0x0a, 0xac, 0xd9, 0x45, 0x27, 0x9a, 0x23, 0x0e, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
    0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x22, 0x59, 0x60,
];

pub const MPEG_AUDIO_FRAME: usize = 384;
/// Milliseconds of such a frame.
const MPEG_AUDIO_MS: u32 = 24;

/// An element with a size of four bytes.
fn element(id: &[u8], content: &[u8]) -> Vec<u8> {
    let size = (content.len() as u32 | 0x1000_0000).to_be_bytes();
    [id, &size, content].concat()
}

/// What precedes the clusters, in a Segment of unknown size.
fn matroska_head(doc_type: &[u8], tracks: &[Vec<u8>]) -> Vec<u8> {
    let mut file = element(&[0x1a, 0x45, 0xdf, 0xa3], &element(&[0x42, 0x82], doc_type));
    file.extend([0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    file.extend(element(
        &[0x15, 0x49, 0xa9, 0x66],
        &element(&[0x2a, 0xd7, 0xb1], &1_000_000u32.to_be_bytes()),
    ));
    file.extend(element(&[0x16, 0x54, 0xae, 0x6b], &tracks.concat()));
    file
}

fn track_entry(number: u8, kind: u8, codec: &[u8], rest: &[u8]) -> Vec<u8> {
    let content =
        [element(&[0xd7], &[number]), element(&[0x83], &[kind]), element(&[0x86], codec), rest.to_vec()];
    element(&[0xae], &content.concat())
}

fn picture_size() -> Vec<u8> {
    let size = [element(&[0xb0], &640u16.to_be_bytes()), element(&[0xba], &360u16.to_be_bytes())].concat();
    element(&[0xe0], &size)
}

/// The initialization segment of pictures in WebM.
pub fn webm_init() -> Vec<u8> {
    matroska_head(b"webm", &[track_entry(1, 1, b"V_VP8", &picture_size())])
}

/// A media segment of pictures in WebM: one cluster, of groups, which tell the durations that the model of the element asks for.
pub fn webm_segment(video: &Track, from: u32, to: u32) -> Vec<u8> {
    let ms = |ticks: i64| ticks * 1000 / i64::from(video.timescale());
    let frames = video.frames(from, to);
    let start = frames.first().map_or(0, |f| ms(f.pts));
    let mut content = element(&[0xe7], &start.to_be_bytes());
    for frame in &frames {
        let relative = ((ms(frame.pts) - start) as i16).to_be_bytes();
        let head = [0x81, relative[0], relative[1], 0];
        let mut group = element(&[0xa1], &[&head[..], &frame.payload()].concat());
        group.extend(element(&[0x9b], &ms(frame.duration.into()).to_be_bytes()));
        if !frame.sync {
            group.extend(element(&[0xfb], &[0xff]));
        }
        content.extend(element(&[0xa0], &group));
    }
    element(&[0x1f, 0x43, 0xb6, 0x75], &content)
}

/// Matroska without a duration and without Cues: pictures, and MPEG audio of the same length; clusters of at most 32 kB or a second, one begins
/// with each keyframe. Time stamps are milliseconds.
pub fn live_matroska(video: &Track, frames: &[Frame], seconds: f64) -> Vec<u8> {
    use super::media::Mark;
    let avc = [&[1, 0x64, 0, 10, 0xff, 0xe1, 0, SPS.len() as u8], &SPS[..], &[1, 0, PPS.len() as u8], &PPS]
        .concat();
    let picture = [element(&[0x63, 0xa2], &avc), picture_size()].concat();
    let rate = [element(&[0xb5], &48_000f64.to_be_bytes()), element(&[0x9f], &[2])].concat();
    let tracks = [
        track_entry(1, 1, b"V_MPEG4/ISO/AVC", &picture),
        track_entry(2, 2, b"A_MPEG/L3", &element(&[0xe1], &rate)),
    ];
    let mut file = matroska_head(b"matroska", &tracks);

    // (decoding time, track, presentation time, keyframe, bytes), in order.
    let mut all: Vec<(i64, u8, i64, bool, Vec<u8>)> = Vec::new();
    let ms = |ticks: i64| ticks * 1000 / i64::from(video.timescale());
    all.extend(frames.iter().map(|f| (ms(f.dts), 1, ms(f.pts), f.sync, coded_looks(f))));
    let count = (seconds * 1000.0 / f64::from(MPEG_AUDIO_MS)).ceil() as u32;
    all.extend((0..count).map(|number| {
        let time = i64::from(number * MPEG_AUDIO_MS);
        (time, 2, time, true, mpeg_audio_frame(Mark { kind: 'a', part: 0, number, rung: 0 }))
    }));
    all.sort_by_key(|f| (f.0, f.1));
    let mut cluster: (i64, Vec<u8>) = (0, Vec::new());
    let close = |(time, blocks): &(i64, Vec<u8>), file: &mut Vec<u8>| {
        if !blocks.is_empty() {
            let content = [element(&[0xe7], &time.to_be_bytes()), blocks.clone()].concat();
            file.extend(element(&[0x1f, 0x43, 0xb6, 0x75], &content));
        }
    };
    for (_, track, time, keyframe, bytes) in all {
        let key = track == 1 && keyframe;
        if key || cluster.1.len() + bytes.len() > 32_000 || time - cluster.0 > 1000 {
            close(&std::mem::replace(&mut cluster, (time, Vec::new())), &mut file);
        }
        let relative = ((time - cluster.0) as i16).to_be_bytes();
        let head = [0x80 | track, relative[0], relative[1], if keyframe { 0x80 } else { 0 }];
        cluster.1.extend(element(&[0xa3], &[&head[..], &bytes].concat()));
    }
    close(&cluster, &mut file);
    file
}

/// The name of a frame, then bytes as random as those of coded pictures: read from a wrong place they look like anything.
fn coded_looks(frame: &Frame) -> Vec<u8> {
    let mut random = crate::support::Random(u64::from(frame.mark.number) * 0x9e37_79b9 + 1);
    let mut bytes = frame.mark.text().into_bytes();
    bytes.resize_with(frame.size as usize, || random.below(256) as u8);
    bytes
}

/// What tells where the fragments of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    None,
    /// One `sidx` in front of all fragments.
    Sidx,
    /// One in front of each, of that one alone.
    SidxEach,
    /// `mfra` at the end.
    Mfra,
    /// The last two, as ffmpeg's `dash` flag writes them.
    SidxEachMfra,
}

/// What an index tells of a fragment: start and duration in ticks, bytes, first byte in the file.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub start: u64,
    pub ticks: u32,
    pub bytes: u32,
    pub place: u64,
}

/// A fragmented file, what of it is sent is made then, and where the fragments begin. `make`: the bytes of a fragment, as many as `told` says.
/// `change`: applied to what the index tells of it.
pub fn fragmented(
    init: Vec<u8>,
    timescale: u32,
    told: &[Told],
    make: impl Fn(usize) -> Vec<u8> + 'static,
    index: Index,
    change: impl Fn(Told) -> Told,
) -> (Body, Vec<u64>) {
    let sidx = |told: &[Told]| {
        let told: Vec<_> = told.iter().map(|t| change(*t)).collect();
        let mut w = ByteWriter::new();
        w.full_boxed(b"sidx", 1, 0, |w| {
            w.u32(1);
            w.u32(timescale);
            w.u64(told[0].start);
            w.u64(0);
            w.u16(0);
            w.u16(told.len() as u16);
            for told in &told {
                w.u32(told.bytes);
                w.u32(told.ticks);
                w.u32(0x9000_0000);
            }
        });
        w.into_vec()
    };
    let front = if index == Index::Sidx { [init, sidx(told)].concat() } else { init };
    let each = matches!(index, Index::SidxEach | Index::SidxEachMfra);
    let heads: Vec<_> = told.iter().map(|t| if each { sidx(&[*t]) } else { Vec::new() }).collect();
    let mut place = front.len() as u64;
    let placed = told.iter().zip(&heads).map(|(told, head)| {
        let at = place + head.len() as u64;
        place = at + u64::from(told.bytes);
        Told { place: at, ..*told }
    });
    let placed: Vec<Told> = placed.collect();
    let mut w = ByteWriter::new();
    if matches!(index, Index::Mfra | Index::SidxEachMfra) {
        w.boxed(b"mfra", |w| {
            w.full_boxed(b"tfra", 1, 0, |w| {
                w.u32(1);
                w.u32(0x3f);
                w.u32(told.len() as u32);
                for told in &placed {
                    let told = change(*told);
                    w.u64(told.start);
                    w.u64(told.place);
                    (0..3).for_each(|_| w.u32(1));
                }
            });
            // Header, then these 16 bytes, and the table.
            let size = 8 + 24 + 28 * told.len() as u32 + 16;
            w.full_boxed(b"mfro", 0, 0, |w| w.u32(size));
        });
    }
    let back = w.into_vec();
    let media = heads.iter().zip(told).map(|(head, told)| head.len() as u64 + u64::from(told.bytes));
    let lengths: Vec<u64> =
        [front.len() as u64].into_iter().chain(media).chain([back.len() as u64]).collect();
    let body = Body::of_parts(lengths, move |part| match part.checked_sub(1) {
        None => front.clone(),
        Some(n) if n == heads.len() => back.clone(),
        Some(n) => [heads[n].clone(), make(n)].concat(),
    });
    (body, placed.iter().map(|t| t.place).collect())
}
