//! Packed audio: samples against golden dumps and ffprobe, tags of every kind, damage, seeking in MP3.

use millrace::container::packed::{Mp3Layout, PackedDemuxer};
use millrace::container::{Demuxer, Format, Metadata, SNIFFED, Sample, TrackId, open, sniff};

use crate::support::{
    Call, Random, Recorder, check_damage, check_golden, check_splits, demux, demux_again, ffprobe,
    fixture_path, fixtures, media, quiet,
};

const TRACK: TrackId = TrackId(1);

fn new() -> Box<dyn Demuxer> {
    Box::new(PackedDemuxer::new())
}

fn files() -> Vec<(std::path::PathBuf, Vec<u8>)> {
    fixtures("packed", &[".aac", ".mp3", ".mp2", ".ac3", ".eac3"])
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(fixture_path("packed").join(name)).unwrap()
}

fn samples(calls: &[Call]) -> Vec<(Sample, u32)> {
    Recorder::of(calls).samples(TRACK)
}

fn all(data: &[u8]) -> Vec<Call> {
    demux(new().as_mut(), [data])
}

fn warnings(calls: &[Call]) -> Vec<&'static str> {
    calls.iter().filter_map(|c| if let Call::Warning(_, what) = c { Some(*what) } else { None }).collect()
}

/// An ID3v2.4 tag with these frames.
fn tag(frames: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let sevens = |n: usize| [21, 14, 7, 0].map(|shift| (n >> shift & 0x7f) as u8);
    let mut body = Vec::new();
    for (id, content) in frames {
        body.extend_from_slice(*id);
        body.extend_from_slice(&sevens(content.len()));
        body.extend_from_slice(&[0, 0]);
        body.extend_from_slice(content);
    }
    [b"ID3\x04\0\0", &sevens(body.len())[..], &body].concat()
}

fn time_tag(time: u64) -> Vec<u8> {
    let content = [&b"com.apple.streaming.transportStreamTimestamp\0"[..], &time.to_be_bytes()].concat();
    tag(&[(b"PRIV", &content)])
}

#[test]
fn fixtures_give_the_samples_of_their_golden_dumps() {
    let files = files();
    assert!(files.len() >= 13);
    for (path, data) in files {
        let format = sniff(&data).unwrap();
        assert!(
            matches!(format, Format::PackedAudio | Format::Adts | Format::Mp3 | Format::Ac3),
            "{format:?}"
        );
        check_golden(&|| open(format).unwrap(), &path, &data);
    }
}

#[test]
fn any_split_of_the_input_gives_the_same_calls() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (path, data) in files() {
        check_splits(&new, &path, &data, &mut random);
    }
}

#[test]
fn damaged_input_never_panics_and_does_not_depend_on_how_it_is_split() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for (path, data) in files() {
        check_damage(&new, &path, &data, 120, &mut random);
    }
}

#[test]
fn every_packet_is_the_one_that_ffprobe_reads() {
    let clips = media().map(|m| m.join("audio"));
    let clips = clips.into_iter().flat_map(|m| {
        ["bear-vbr-xing-header.mp3", "test-aac-segment.aac", "sample.adts"].map(|name| m.join(name))
    });
    let clips = clips.filter_map(|p| Some((p.clone(), std::fs::read(p).ok()?)));
    // Libavformat does not read free format.
    let files = files().into_iter().filter(|(path, _)| !path.ends_with("lame-free.mp3"));
    for (path, data) in files.chain(clips) {
        let name = path.display();
        let Some(theirs) = ffprobe(&path, "a:0") else { return };
        let calls = all(&data);
        let ours = samples(&calls);
        let info = Recorder::of(&calls).tracks().next().unwrap().clone();
        let aac = info.codec.starts_with("mp4a");
        assert_eq!(ours.len(), theirs.len(), "{name}");
        // ffprobe leaves the headers of ADTS on, and has the times in units of its own.
        let base = match () {
            () if aac => 28_224_000,
            () if info.codec.starts_with("mp") => 14_112_000,
            () => 90_000,
        };
        for (i, ((s, crc), t)) in ours.iter().zip(&theirs).enumerate() {
            assert_eq!(s.size as usize + if aac { 7 } else { 0 }, t.size, "{name}: packet {i}");
            assert!(aac || *crc == t.crc, "{name}: packet {i}");
            let rate = i64::from(info.timescale.get());
            if let Some(pts) = t.pts {
                let first = theirs[0].pts.unwrap();
                let ours = s.pts - ours[0].0.pts;
                assert_eq!((ours * base).div_euclid(rate), pts - first, "{name}: packet {i}");
            }
        }
    }
}

#[test]
fn what_lame_put_around_the_sound_is_left_out_as_ffprobe_does() {
    let data = file("lame-vbr.mp3");
    let calls = all(&data);
    let info = Recorder::of(&calls).tracks().next().unwrap().clone();
    assert_eq!(info.edit_start, 1105, "576 of the encoder and 529 of decoders");
    let samples = samples(&calls);
    assert_eq!(samples[0].0.pts, 0);
    let end = samples.iter().map(|(s, _)| s.pts + i64::from(s.duration.unwrap())).max().unwrap();
    assert_eq!(end - info.edit_start, 1_300 * 441 / 10, "exactly what was encoded");
    let layout = Mp3Layout::read(&data).unwrap();
    assert_eq!(layout.duration(None), Some(1.3));
    assert_eq!((layout.frames, layout.delay), (Some(51), 576));
}

/// `cat`, and stations that send one file after the other.
#[test]
fn what_is_joined_on_behind_a_counted_file_is_heard() {
    let data = file("lame-vbr.mp3");
    let single = samples(&all(&data));
    let end = |samples: &[(Sample, u32)]| samples.last().map(|(s, _)| s.pts + i64::from(s.duration.unwrap()));
    for other in ["lame-vbr.mp3", "mpeg2-cbr.mp3"] {
        let other = file(other);
        let layout = Mp3Layout::read(&data).unwrap();
        let length = (data.len() + other.len()) as u64;
        let mut demuxer = PackedDemuxer::new();
        let joined = [&data[..], &other].concat();
        let calls = demux(&mut demuxer, [&joined[..]]);
        let got = samples(&calls);
        assert_eq!(got[..single.len()], single, "the first one as it is alone");
        // Its header frame is silence.
        let plain = samples(&all(&other));
        let header = usize::from(other == data);
        let behind = &got[single.len() + header..];
        let sums = |samples: &[(Sample, u32)]| samples.iter().map(|(_, crc)| *crc).collect::<Vec<_>>();
        assert_eq!(sums(behind), sums(&plain));
        let timescale = |at| Recorder::of(&calls).tracks().nth(at).map(|t| t.timescale.get());
        let (before, after) = (end(&single).unwrap(), got[single.len()].0.pts);
        if header > 0 {
            assert_eq!(after, before, "without a gap");
        } else {
            let rates = [timescale(0), timescale(1)].map(|t| i64::from(t.unwrap()));
            assert_eq!(after, before * rates[1] / rates[0], "without a gap");
        }
        if header > 0 {
            let both = layout.duration(Some(length)).unwrap();
            assert!((both - 2.6).abs() < 0.2, "{both}");
            let at = layout.seek(2.0, Some(length));
            assert!(at.0 > data.len() as u64, "{at:?}");
            demuxer.resume_at(at.1);
            let again = demux_again_from(&mut demuxer, &calls, &joined[at.0 as usize..]);
            assert!(samples(&again).len() > 15);
        }
    }
    // A counted file with a tag behind is no more than it was.
    let layout = Mp3Layout::read(&data).unwrap();
    assert_eq!(layout.duration(Some(data.len() as u64 + 128)), Some(1.3));
}

#[test]
fn channels_that_an_element_of_the_first_frame_tells_are_in_the_configuration() {
    let data = file("ffmpeg-quad.adts");
    let mut demuxer = PackedDemuxer::new();
    let calls = demux(&mut demuxer, [&data[..]]);
    let track = Recorder::of(&calls).tracks().next().unwrap().clone();
    assert_eq!((track.codec.as_str(), track.channels), ("mp4a.40.2", 4));
    // As ffmpeg writes it to MP4, but for the comment.
    let config = [5, 9, 0x11, 0x80, 0x04, 0xc4, 0x40, 0x00, 0x21, 0x10, 0x00];
    assert!(track.sample_entry.windows(config.len()).any(|w| w == config), "{:02x?}", track.sample_entry);
    assert_eq!(samples(&calls).len(), 11);
    assert_eq!(warnings(&calls), [""; 0]);
    check_splits(&new, std::path::Path::new("ffmpeg-quad.adts"), &data, &mut Random(9));
    check_damage(&new, std::path::Path::new("ffmpeg-quad.adts"), &data, 60, &mut Random(9));
    // After a seek the element is not there again.
    let first = samples(&calls)[0].0.size as usize + 7;
    demuxer.reset();
    let again = demux_again(&mut demuxer, &calls, [&data[first..]]);
    assert_eq!(samples(&again).len(), 10);
    // Nor where a stream is joined: then nothing tells the channels.
    let Some(Call::Error(code, message, _)) = all(&data[first..]).pop() else { panic!("an error") };
    assert_eq!((code, message.contains("channels")), ("CODEC_UNSUPPORTED", true), "{message}");
}

#[test]
fn ogg_is_read_behind_a_tag_too() {
    let ogg = std::fs::read(fixture_path("ogg/ffmpeg.opus")).unwrap();
    let plain = demux(open(Format::Ogg).unwrap().as_mut(), [&ogg[..]]);
    let data = [tag(&[(b"TIT2", b"\x03Song")]), ogg].concat();
    let calls = demux(open(sniff(&data).unwrap()).unwrap().as_mut(), [&data[..]]);
    assert_eq!(samples(&calls), samples(&plain));
    assert!(samples(&calls).len() > 10);
}

#[test]
fn formats_are_told_by_what_is_not_their_usual_start_too() {
    let ts = std::fs::read(fixture_path("ts/bframes.ts")).unwrap();
    for before in [1, 7, 100, 187, 400] {
        let prefix = [&vec![0; before][..], &ts].concat();
        assert_eq!(sniff(&prefix[..SNIFFED]), Some(Format::Ts), "{before}");
    }
    for name in [b"wide", b"pnot", b"junk", b"meta"] {
        assert_eq!(sniff(&[&[0, 0, 0, 8], &name[..]].concat()), Some(Format::Mp4));
    }
    assert_eq!(sniff(&[0; SNIFFED]), None);
}

#[test]
fn a_tag_may_leave_much_room_behind_it() {
    let mp3 = file("mpeg2-cbr.mp3");
    let calls = all(&[&tag(&[(b"TIT2", b"\x03Song")]), &vec![0; 700_000][..], &mp3].concat());
    assert_eq!(samples(&calls), samples(&all(&mp3)));
    assert_eq!(warnings(&calls), ["no audio frame at the start"]);
}

#[test]
fn a_time_stamp_in_front_is_that_of_the_first_sample_also_past_33_bits() {
    let aac = file("aac.aac");
    let mut demuxer = PackedDemuxer::new();
    let near = (1 << 33) - 45_000;
    let first = demux(&mut demuxer, [&time_tag(near)[..], &aac]);
    let times = samples(&first);
    assert_eq!(times[0].0.pts, (near as i64 * 44_100 + 45_000) / 90_000);
    let end = times.last().unwrap().0.pts + 1024;
    // The next segment's stamp is rounded: no jump is made of it.
    let stamp = (end * 90_000 / 44_100) as u64 & ((1 << 33) - 1);
    assert!(stamp < near);
    let second = demux_more(&mut demuxer, &first, &[time_tag(stamp), aac.clone()].concat());
    assert_eq!(samples(&second)[times.len()].0.pts, end);
    // Half a second later it is one.
    let third = demux_more(&mut demuxer, &second, &[time_tag(stamp + 200_000), aac].concat());
    assert!(samples(&third)[2 * times.len()].0.pts > end + 44_100);
}

/// What the demuxer tells of one more segment, behind what it told before.
fn demux_more(demuxer: &mut PackedDemuxer, before: &[Call], data: &[u8]) -> Vec<Call> {
    let mut recorder = Recorder::of(before);
    demuxer.push(data, &mut recorder).unwrap();
    demuxer.finish(&mut recorder).unwrap();
    recorder.calls
}

#[test]
fn tags_in_front_in_the_midst_and_behind_are_no_sound() {
    let mp3 = file("mpeg2-cbr.mp3");
    let plain = samples(&all(&mp3));
    let cover = vec![0xff; 5_000_000];
    let title = tag(&[(b"TIT2", b"\x03Song")]);
    let front = tag(&[(b"APIC", &cover), (b"TIT2", b"\x03Song")]);
    let (start, rest) = mp3.split_at(mp3.len() / 2 - 14);
    let joined = [start, rest].concat();
    assert_eq!(joined, mp3);
    let mut behind = vec![0; 128];
    behind[..3].copy_from_slice(b"TAG");
    let ape = [&b"APETAGEX"[..], &[0xff, 0xf3, 0, 0].repeat(20)].concat();
    for (name, data) in [
        ("a cover image", [&front[..], &mp3].concat()),
        ("two tags", [&title[..], &title, &mp3].concat()),
        ("ID3v1", [&mp3[..], &behind].concat()),
        ("APE and ID3v1", [&mp3[..], &ape, &behind].concat()),
    ] {
        let calls = all(&data);
        assert_eq!(samples(&calls), plain, "{name}");
        assert_eq!(warnings(&calls), [""; 0], "{name}");
        let tags =
            calls.iter().filter(|c| matches!(c, Call::Metadata(None, None, Metadata::Id3(t)) if *t == title));
        let expected = match name {
            "two tags" => 2,
            "a cover image" => 1,
            _ => 0,
        };
        assert_eq!(tags.count(), expected, "{name}");
    }
    // Two files joined: a tag where a frame is expected.
    let twice = all(&[&mp3[..], &title, &mp3].concat());
    assert_eq!(samples(&twice).len(), 2 * plain.len());
    assert_eq!(warnings(&twice), [""; 0]);
}

#[test]
fn garbage_costs_the_frames_that_it_hits_and_one_that_looks_like_a_header_is_not_taken() {
    for (path, data) in files() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let plain = samples(&all(&data));
        // Joined in the middle of a frame, as a stream is; what looks like headers stands in the way.
        let fake = [
            0xff, 0xfb, 0x90, 0x64, 0xff, 0xf1, 0x4c, 0x80, 0x2e, 0x7f, 0xfc, 0x0b, 0x77, 1, 2, 0x1c, 0x40,
            0xe1,
        ];
        let cut = if data.starts_with(b"ID3") { 1500 } else { 100 };
        let calls = all(&[&fake[..], &data[cut..]].concat());
        let got = samples(&calls);
        assert!(got.len() + 8 >= plain.len(), "{name}: {} of {}", got.len(), plain.len());
        let sums: Vec<_> = plain.iter().map(|(_, crc)| *crc).collect();
        assert!(got.iter().all(|(_, crc)| sums.contains(crc)), "{name}: only whole frames");
        assert_eq!(warnings(&calls).len(), 1, "{name}");
        // In the middle of a frame (in the midst of its header the garbage would become its size).
        let at = data.len() / 2 + 8;
        let calls = all(&[&data[..at], &fake, &[0x55; 300], &data[at..]].concat());
        let lost = plain.len() + 1 - samples(&calls).len();
        assert!(lost <= 3, "{name}: {lost} lost");
        assert!(!warnings(&calls).is_empty());
    }
}

#[test]
fn what_is_no_audio_is_refused_in_bounded_memory() {
    let mut random = Random(7);
    for data in [
        vec![],
        vec![0; 2_000_000],
        (0..300_000).map(|_| random.below(250) as u8).collect(),
        b"ID3\x04\0\0\x7f\x7f\x7f\x7f".to_vec(),
        vec![0xff; 100_000],
        file("aac.aac")[..80].to_vec(),
    ] {
        let calls = all(&data);
        assert!(matches!(calls.last(), Some(Call::Error("MEDIA_MALFORMED", ..))), "{:?}", calls.last());
        assert_eq!(demux(new().as_mut(), data.chunks(1000)), calls);
    }
}

#[test]
fn seeking_in_mp3_lands_on_the_frames_of_its_time() {
    let clip = media().map(|m| m.join("audio/bear-vbr-xing-header.mp3")).and_then(|p| std::fs::read(p).ok());
    let mut files = vec![("lame-vbr.mp3", file("lame-vbr.mp3")), ("mpeg2-cbr.mp3", file("mpeg2-cbr.mp3"))];
    files.extend(clip.map(|data| ("bear", data)));
    for (name, data) in files {
        let plain = samples(&all(&data));
        let layout = Mp3Layout::read(&data).unwrap();
        let seconds = layout.duration(Some(data.len() as u64)).unwrap();
        let mut demuxer = PackedDemuxer::new();
        let before = demux(&mut demuxer, [&data[..]]);
        assert_eq!(demuxer.layout(), Some(&layout), "{name}");
        for step in 0..10 {
            let time = seconds * f64::from(step) / 10.0;
            let (position, media) = layout.seek(time, Some(data.len() as u64));
            demuxer.resume_at(media);
            let calls = demux_again_from(&mut demuxer, &before, &data[position as usize..]);
            let got = samples(&calls);
            assert!(!got.is_empty(), "{name} at {time}");
            let wanted = (time * f64::from(layout.header.sampling_rate)) as i64 + layout.edit_start();
            assert!(got[0].0.pts <= wanted, "{name} at {time}: {} after {wanted}", got[0].0.pts);
            // How far the times of frames are from the true ones.
            let (sample, crc) = got[got.len() / 2];
            let error = plain
                .iter()
                .filter(|(_, c)| *c == crc)
                .map(|(s, _)| (s.pts - sample.pts).abs())
                .min()
                .unwrap();
            let limit = i64::from(layout.header.samples()) * 3;
            assert!(error <= limit, "{name} at {time}: {error} samples off");
        }
    }
}

fn demux_again_from(demuxer: &mut PackedDemuxer, before: &[Call], data: &[u8]) -> Vec<Call> {
    demux_again(demuxer, &quiet(before), [data])
}

/// The same frames in free format: the headers do not tell their size.
fn freed(data: &[u8], calls: &[Call]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let start = data.len() - samples(calls).iter().map(|(s, _)| s.size as usize).sum::<usize>();
    let mut at = start;
    let mut frames = Vec::new();
    for (sample, _) in samples(calls) {
        let mut frame = data[at..at + sample.size as usize].to_vec();
        frame[2] &= 0x0f;
        at += frame.len();
        frames.push(frame);
    }
    ([&data[..start], &frames.concat()].concat(), frames)
}

#[test]
fn frames_in_free_format_are_measured_by_those_that_follow() {
    let mut random = Random(0xf4ee);
    for name in ["mpeg2-cbr.mp3", "layer2.mp2", "gst-cbr.mp3", "gst.mp2"] {
        let data = file(name);
        let plain = all(&data);
        let (free, frames) = freed(&data, &plain);
        let expected: Vec<_> =
            samples(&plain).iter().zip(&frames).map(|((s, _), f)| (*s, crate::support::crc32(f))).collect();
        let calls = all(&free);
        assert!(samples(&calls) == expected, "{name}");
        assert_eq!(warnings(&calls), [""; 0], "{name}");
        assert_eq!(sniff(&free), sniff(&data));
        let (a, b) = (Mp3Layout::read(&data).unwrap(), Mp3Layout::read(&free).unwrap());
        let seconds = |l: &Mp3Layout| l.duration(Some(data.len() as u64)).unwrap();
        assert!((seconds(&a) / seconds(&b) - 1.0).abs() < 0.01, "{name}: {} {}", seconds(&a), seconds(&b));
        check_splits(&new, std::path::Path::new(name), &free, &mut random);
        check_damage(&new, std::path::Path::new(name), &free, 24, &mut random);

        // A stream that is joined in the middle of a frame, and loses some bytes later.
        let cut = free.len() - frames[1..].concat().len() - 9;
        let calls = all(&free[cut..]);
        assert_eq!(samples(&calls).len(), frames.len() - 1, "{name}");
        let mut hurt = free.clone();
        let hole = free.len() - frames[8..].concat().len() - 20;
        hurt.drain(hole..hole + 5);
        let calls = all(&hurt);
        assert!(
            samples(&calls).len() >= frames.len() - 2,
            "{name}: {} of {}",
            samples(&calls).len(),
            frames.len()
        );
        assert_eq!(warnings(&calls), ["audio frame header expected"], "{name}");
    }
}

#[test]
fn free_format_of_lame_is_read_and_sought_in() {
    let data = file("lame-free.mp3");
    let calls = all(&data);
    let samples = samples(&calls);
    // 640 kbit/s, which no bitrate index tells.
    assert!(samples.iter().all(|(s, _)| (2089..=2090).contains(&s.size)), "{samples:?}");
    assert_eq!(samples.iter().map(|(s, _)| s.size as usize).sum::<usize>(), data.len());
    let layout = Mp3Layout::read(&data).unwrap();
    let (at, media) = layout.seek(0.3, Some(data.len() as u64));
    let mut demuxer = PackedDemuxer::new();
    demux(&mut demuxer, [&data[..]]);
    demuxer.resume_at(media);
    let again = demux_again(&mut demuxer, &calls, [&data[at as usize..]]);
    let first = Recorder::of(&again).samples(TRACK)[0];
    let same = samples.iter().find(|(_, crc)| *crc == first.1).unwrap();
    assert_eq!(same.0.pts, first.0.pts);
}
