//! MP4 files of synthetic samples that are not fragmented (ISO/IEC 14496-12 §8.5 to §8.7): a chunk of each track per half second.

use super::media::{Frame, Track};
use millrace::bytes::ByteWriter;
use millrace::container::TrackId;
use millrace::container::mp4::moov;

/// A file of these tracks, each with its frames in decoding order. `moov_last`: the index comes behind the media.
pub fn mp4(tracks: &[(Track, Vec<Frame>)], moov_last: bool) -> Vec<u8> {
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
    let mut mdat = Vec::new();
    let mut places: Vec<Vec<(u64, usize)>> = vec![Vec::new(); tracks.len()];
    for (_, i, frames) in &chunks {
        places[*i].push((mdat.len() as u64, frames.len()));
        for frame in frames {
            mdat.extend(frame.payload());
        }
    }
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
                trak(w, i as u32 + 1, track, frames, &places[i], base);
            }
        });
        w.into_vec()
    };
    let size = build(0).len() as u64;
    let header = [&(mdat.len() as u32 + 8).to_be_bytes()[..], b"mdat"].concat();
    let base = ftyp.len() as u64 + 8 + if moov_last { 0 } else { size };
    let index = build(base);
    if moov_last { [ftyp, header, mdat, index].concat() } else { [ftyp, index, header, mdat].concat() }
}

fn trak(w: &mut ByteWriter, id: u32, track: &Track, frames: &[Frame], places: &[(u64, usize)], base: u64) {
    // The sample entry as the init segment has it.
    let init = track.init_segment();
    let at = init.windows(4).position(|w| w == b"moov").unwrap() + 4;
    let end = at - 8 + u32::from_be_bytes(init[at - 8..at - 4].try_into().unwrap()) as usize;
    let parsed = moov::parse(&init[at..end]).unwrap();
    let info = &parsed.tracks[0].info;
    assert_eq!(info.id, TrackId(1));
    let video = track.is_video();
    w.boxed(b"trak", |w| {
        w.full_boxed(b"tkhd", 0, 3, |w| {
            w.zeros(8);
            w.u32(id);
            w.zeros(60);
            w.u32(info.width << 16);
            w.u32(info.height << 16);
        });
        w.boxed(b"mdia", |w| {
            w.full_boxed(b"mdhd", 0, 0, |w| {
                w.zeros(8);
                w.u32(track.timescale());
                w.u32(frames.iter().map(|f| f.duration).sum());
                w.u32(0x55c4_0000);
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
                    w.full_boxed(b"stco", 0, 0, |w| {
                        w.u32(places.len() as u32);
                        places.iter().for_each(|(at, _)| w.u32((base + at) as u32));
                    });
                });
            });
        });
    });
}
