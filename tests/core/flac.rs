//! Native FLAC: frames against golden dumps and ffprobe, times from any byte, seek tables, every split and damage.

use millrace::container::flac::FlacDemuxer;
use millrace::container::{Demuxer, Format, Metadata, Sample, TrackId, open, sniff};

use crate::support::{
    Call, Random, Recorder, check_damage, check_golden, check_splits, demux, demux_again, ffprobe,
    fixture_path, fixtures, quiet,
};

const TRACK: TrackId = TrackId(1);

fn new() -> Box<dyn Demuxer> {
    Box::new(FlacDemuxer::new())
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(fixture_path("flac").join(name)).unwrap()
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

#[test]
fn fixtures_give_the_samples_of_their_golden_dumps() {
    let files = fixtures("flac", &[".flac"]);
    assert!(files.len() >= 6);
    for (path, data) in files {
        assert_eq!(sniff(&data), Some(Format::Flac));
        check_golden(&|| open(Format::Flac).unwrap(), &path, &data);
    }
}

#[test]
fn any_split_of_the_input_gives_the_same_calls() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (path, data) in fixtures("flac", &[".flac"]) {
        check_splits(&new, &path, &data, &mut random);
    }
}

#[test]
fn damaged_input_never_panics_and_does_not_depend_on_how_it_is_split() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for (path, data) in fixtures("flac", &[".flac"]) {
        check_damage(&new, &path, &data, 60, &mut random);
    }
}

#[test]
fn every_frame_is_the_packet_that_ffprobe_reads() {
    for (path, data) in fixtures("flac", &[".flac"]) {
        let Some(theirs) = ffprobe(&path, "a:0") else { return };
        let ours: Vec<_> = samples(&all(&data))
            .into_iter()
            .map(|(s, crc)| (Some(s.pts), s.duration.map(i64::from), s.size as usize, crc))
            .collect();
        let theirs: Vec<_> = theirs.into_iter().map(|p| (p.pts, p.duration, p.size, p.crc)).collect();
        assert!(ours == theirs, "{}", path.display());
    }
}

#[test]
fn all_samples_of_the_encoder_come_and_duration_is_told() {
    for (name, samples_in) in
        [("flac.flac", 52_800), ("flac-576.flac", 19_200), ("ffmpeg-24bit.flac", 24_000)]
    {
        let mut demuxer = new();
        let calls = demux(demuxer.as_mut(), [&file(name)[..]]);
        let sum: u32 = samples(&calls).iter().map(|(s, _)| s.duration.unwrap()).sum();
        assert_eq!(sum, samples_in, "{name}");
        let rate = Recorder::of(&calls).tracks().next().unwrap().sample_rate;
        assert_eq!(demuxer.duration(None), Some(f64::from(samples_in) / f64::from(rate)), "{name}");
        assert_eq!(warnings(&calls), [""; 0]);
    }
}

#[test]
fn comments_are_told_and_the_cover_is_not() {
    let calls = all(&file("flac.flac"));
    let comments: Vec<_> = calls
        .iter()
        .filter_map(|c| if let Call::Metadata(_, _, m) = c { Some(m.clone()) } else { None })
        .collect();
    let expected = [("TITLE", "one"), ("ARTIST", "Größe")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(comments, [Metadata::Comments(expected.to_vec())]);
}

#[test]
fn after_a_reset_any_byte_will_do_and_times_are_exact() {
    let mut random = Random(3);
    for (path, data) in fixtures("flac", &[".flac"]) {
        let mut demuxer = new();
        let calls = demux(demuxer.as_mut(), [&data[..]]);
        let whole = samples(&calls);
        for _ in 0..30 {
            demuxer.reset();
            let at = random.below(data.len() / 2);
            let got = samples(&demux_again(demuxer.as_mut(), &calls, random.split(&data[at..], 900)));
            assert!(
                !got.is_empty() && got[..] == whole[whole.len() - got.len()..],
                "{} from {at}",
                path.display()
            );
        }
    }
}

#[test]
fn the_seek_table_leads_to_frames() {
    let data = file("flac.flac");
    let mut demuxer = FlacDemuxer::new();
    let calls = demux(&mut demuxer, [&data[..]]);
    assert!(demuxer.seek_points().len() >= 3, "{:?}", demuxer.seek_points());
    let length = data.len() as u64;
    for time in [0.0, 0.1, 0.35, 0.7, 1.0, 5.0] {
        let at = demuxer.seek(time, length).unwrap();
        let first = samples(&demux_again(&mut demuxer, &calls, [&data[at as usize..]]))[0].0;
        let starts = first.pts as f64 / 48_000.0;
        assert!(starts <= time && time.min(1.0) - starts < 0.4, "{starts} for {time}");
    }
    assert_eq!(demuxer.seek(1.0, 100), None, "the file is shorter than its table says");
    let mut without = new();
    demux(without.as_mut(), [&file("ffmpeg-pipe.flac")[..]]);
    assert_eq!((without.seek(0.1, 20_000), without.duration(None)), (None, None));
}

#[test]
fn a_damaged_frame_is_dropped_and_the_next_one_found() {
    let data = file("flac-576.flac");
    let whole = samples(&all(&data));
    let first = data.len() - whole.iter().map(|(s, _)| s.size as usize).sum::<usize>();
    let at: usize = first + whole[..10].iter().map(|(s, _)| s.size as usize).sum::<usize>();
    // In its payload; in its header; in its header and the next one's.
    let size = whole[10].0.size as usize;
    for (flips, lost) in [(vec![at + 40], 1..2), (vec![at + 3], 1..3), (vec![at + 4, at + size + 4], 2..4)] {
        let mut damaged = data.clone();
        for flip in flips {
            damaged[flip] ^= 0x10;
        }
        let calls = all(&damaged);
        let got = samples(&calls);
        assert!(lost.contains(&(whole.len() - got.len())), "{} lost", whole.len() - got.len());
        assert!(got.iter().all(|s| whole.contains(s)));
        assert!(!warnings(&calls).is_empty());
    }
}

#[test]
fn tags_in_front_and_behind_are_passed_over() {
    let data = file("flac.flac");
    let plain = quiet(&all(&data));
    let id3 = [&b"ID3\x04\0\0\0\0\x08\0"[..], &[0xff; 1024]].concat();
    let behind = [&b"TAG"[..], &[0; 125]].concat();
    let tagged = [&id3, &data[..], &behind].concat();
    assert_eq!(all(&tagged), plain);
    // Through the demuxer of packed audio, which such a file is recognized as.
    assert_eq!(sniff(&tagged), Some(Format::PackedAudio));
    let calls = demux(open(Format::PackedAudio).unwrap().as_mut(), [&tagged[..]]);
    assert_eq!(samples(&calls), samples(&plain));
}

#[test]
fn what_is_no_flac_is_refused() {
    let data = file("flac.flac");
    for bad in [&b""[..], b"fLa", b"OggS", &data[..4], &data[..20], b"fLaC\x04\0\0\x01x"] {
        assert!(matches!(all(bad).last(), Some(Call::Error("MEDIA_MALFORMED", ..))), "{bad:?}");
    }
    let mut random = Random(5);
    let garbage: Vec<u8> = (0..3 << 20).map(|_| random.below(256) as u8).collect();
    let calls = demux(new().as_mut(), [&file("flac-576.flac")[..4000], &garbage]);
    assert!(matches!(calls.last(), Some(Call::Error("MEDIA_MALFORMED", ..))));
    // An empty block between others.
    let with_padding = [&data[..42], &[1, 0, 0, 0], &data[42..]].concat();
    assert_eq!(quiet(&all(&with_padding)), quiet(&all(&data)));
}
