//! Ogg: samples against golden dumps and ffprobe, chains, streams joined in the middle, every split and damage.

use millrace::container::ogg::{Layout, OggDemuxer, TAIL};
use millrace::container::{Demuxer, Format, Metadata, Sample, TrackId, open, sniff};

use millrace::remux::Muxer;

use crate::support::{
    Call, Random, Recorder, check_damage, check_golden, check_splits, demux, demux_again, ffprobe,
    fixture_path, fixtures, media, quiet,
};

const TRACK: TrackId = TrackId(1);

fn new() -> Box<dyn Demuxer> {
    Box::new(OggDemuxer::new())
}

fn files() -> Vec<(std::path::PathBuf, Vec<u8>)> {
    fixtures("ogg", &[".opus", ".ogg", ".oga", ".ogv"])
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(fixture_path("ogg").join(name)).unwrap()
}

fn samples(calls: &[Call]) -> Vec<(Sample, u32)> {
    Recorder::of(calls).samples(TRACK)
}

fn all(data: &[u8]) -> Vec<Call> {
    demux(new().as_mut(), [data])
}

#[test]
fn fixtures_give_the_samples_of_their_golden_dumps() {
    let files = files();
    assert!(files.len() >= 12);
    for (path, data) in files {
        assert_eq!(sniff(&data), Some(Format::Ogg));
        check_golden(&|| open(Format::Ogg).unwrap(), &path, &data);
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
fn what_the_end_looks_like_does_not_depend_on_the_split() {
    // Found by fuzzing: the start of a capture pattern, and then something else, at the end.
    let data = file("gstreamer.opus");
    for tail in [&b"O"[..], b"Og?", b"OggS", b"OggS\x01", b"OggO", b"O?????????"] {
        let bytes = [&data, tail].concat();
        assert_eq!(demux(new().as_mut(), bytes.chunks(1)), all(&bytes), "{tail:?}");
        assert_eq!(demux(new().as_mut(), [&data[..], &tail[..1], &tail[1..]]), all(&bytes), "{tail:?}");
    }
}

#[test]
fn every_packet_is_the_one_that_ffprobe_reads() {
    let clips = media().map(|m| m.join("audio"));
    let clips = clips.into_iter().flat_map(|m| [m.join("bear.opus"), m.join("bear_vorbis.ogg")]);
    let clips = clips.filter_map(|p| Some((p.clone(), std::fs::read(p).ok()?)));
    for (path, data) in files().into_iter().chain(clips) {
        let name = path.display();
        // ffprobe does not follow a chain into another codec.
        if path.ends_with("chained.ogg") || path.ends_with("theora.ogv") {
            continue;
        }
        let Some(theirs) = ffprobe(&path, "a:0") else { return };
        let calls = all(&data);
        let ours = samples(&calls);
        let payload: Vec<_> = ours.iter().map(|(s, crc)| (s.size as usize, *crc)).collect();
        assert_eq!(payload, theirs.iter().map(|t| (t.size, t.crc)).collect::<Vec<_>>(), "{name}");
        let info = Recorder::of(&calls).tracks().next().unwrap().clone();
        // In Opus ffprobe's zero is behind the pre-skip. In Vorbis it gives the first packet a duration, where decoders give nothing.
        let first = usize::from(info.codec == "vorbis");
        // The last packet may be cut off at its end: ffprobe 5.1 does not shorten it in all codecs.
        let middle = ours.iter().zip(&theirs).take(ours.len() - 1).skip(first);
        for (i, ((s, _), t)) in middle.enumerate() {
            let (start, duration) = (s.pts - info.edit_start, i64::from(s.duration.unwrap()));
            // ffprobe takes a short block of Vorbis after a long one for shorter than it is: its end is right, its start late.
            let end = Some(start + duration) == t.pts.zip(t.duration).map(|(p, d)| p + d);
            assert!(end && (Some(start) == t.pts || first == 1), "{name}: packet {i}: {s:?} for {t:?}");
        }
        let (last, theirs) = (ours.last().unwrap().0.pts - info.edit_start, theirs.last().unwrap().pts);
        assert_eq!(Some(last), theirs, "{name}");
    }
}

#[test]
fn times_are_those_of_another_player() {
    // What ExoPlayer gives for the same clips, in microseconds from the first packet: its zero is there, ours where the granules have it
    // (bear.opus begins at 1 ms: 255 packets of 10 ms end at granule 122,448; ffprobe agrees, see above).
    for name in ["bear.opus", "bear_vorbis.ogg"] {
        let Some(path) = media().map(|m| m.join("audio").join(name)).filter(|p| p.exists()) else { return };
        let calls = all(&std::fs::read(&path).unwrap());
        let rate = i64::from(Recorder::of(&calls).tracks().next().unwrap().timescale.get());
        let samples = samples(&calls);
        let first = samples.first().unwrap().0.pts;
        let ours: Vec<i64> = samples.iter().map(|(s, _)| (s.pts - first) * 1_000_000 / rate).collect();
        let dump = std::fs::read_to_string(path.with_extension(if name == "bear.opus" {
            "opus.extractor.0.dump"
        } else {
            "ogg.extractor.0.dump"
        }));
        let dump = dump.unwrap();
        let theirs: Vec<i64> =
            dump.lines().filter_map(|l| l.trim().strip_prefix("time = ")?.parse().ok()).collect();
        assert_eq!(ours, theirs, "{name}");
    }
}

/// Ticks from what is heard first to the end, by the track's last announcement before the samples.
fn heard(calls: &[Call]) -> i64 {
    let recorder = Recorder::of(calls);
    let edit = recorder.tracks().last().unwrap().edit_start;
    let samples = recorder.samples(TRACK);
    let (first, last) = (samples.first().unwrap().0, samples.last().unwrap().0);
    last.pts + i64::from(last.duration.unwrap()) - first.pts - edit
}

#[test]
fn priming_and_padding_are_cut_to_the_sample() {
    // 3.123 s and 1.777 s and 1.5 s went into the encoders.
    for (name, expected) in [
        ("opusenc.opus", 149_904),
        ("opusenc-surround.opus", 72_000),
        ("ffmpeg.opus", 85_296),
        ("gstreamer.opus", 85_296),
        ("oggenc.ogg", 137_724),
        ("ffmpeg-vorbis.ogg", 85_296),
        ("gstreamer-vorbis.ogg", 137_724),
        ("flac.oga", 24_000),
        ("ffmpeg-flac.oga", 33_600),
    ] {
        assert_eq!(heard(&all(&file(name))), expected, "{name}");
    }
}

#[test]
fn samples_follow_one_another_without_gap() {
    for (path, data) in files() {
        if path.ends_with("chained.ogg") || path.ends_with("theora.ogv") {
            continue;
        }
        let samples = samples(&all(&data));
        for pair in samples.windows(2) {
            assert_eq!(
                pair[0].0.pts + i64::from(pair[0].0.duration.unwrap()),
                pair[1].0.pts,
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn links_of_a_chain_are_heard_one_after_the_other() {
    let calls = all(&file("chained.ogg"));
    let mut heard_end = 0.0;
    let mut links = Vec::new();
    let mut edit = 0;
    let mut rate = 1.0;
    let mut first = true;
    let mut end = 0i64;
    for call in &calls {
        match call {
            Call::Track(info) => {
                if !links.is_empty() {
                    heard_end = (end - edit) as f64 / rate;
                }
                (edit, rate, first) = (info.edit_start, f64::from(info.timescale.get()), true);
                links.push((info.codec.clone(), info.timescale.get()));
            }
            Call::Sample(_, s, _) => {
                if std::mem::take(&mut first) {
                    // What is heard begins `edit` after the first sample.
                    let begins = s.pts as f64 / rate;
                    assert!((begins - heard_end).abs() < 1.5 / rate, "{begins} after {heard_end}: {links:?}");
                }
                end = s.pts + i64::from(s.duration.unwrap());
            }
            Call::Metadata(_, at, Metadata::Comments(list)) => {
                assert_eq!(at.is_some(), links.len() > 1);
                assert!(list.iter().any(|(name, _)| name == "TITLE"), "{list:?}");
            }
            Call::Complete => assert_eq!(links.len(), 1),
            other => panic!("{other:?}"),
        }
    }
    let names: Vec<_> = links.iter().map(|(name, rate)| (name.as_str(), *rate)).collect();
    assert_eq!(names, [("opus", 48_000), ("opus", 48_000), ("vorbis", 48_000), ("flac", 48_000)]);
    let total = (end - edit) as f64 / rate;
    assert!((total - (3.123 + 1.777 + 1.777 + 0.5)).abs() < 1e-4, "{total}");
    let sums: Vec<i64> = samples(&calls).iter().map(|(s, _)| s.dts).collect();
    assert!(sums.is_sorted(), "decoding times never go back");
}

#[test]
fn a_chain_of_one_stream_again_and_again_does_not_drift_and_can_be_muxed() {
    // The last packet is cut to 168 samples, less than the 312 of priming that overlap it.
    let data = file("ffmpeg.opus");
    let chain = data.repeat(20);
    let calls = all(&chain);
    let once = samples(&all(&data));
    let got = samples(&calls);
    assert_eq!(got.len(), 20 * once.len());
    for (link, part) in got.chunks(once.len()).enumerate() {
        for ((s, crc), (first, expected)) in part.iter().zip(&once) {
            // Each link is heard for 1.777 s.
            assert_eq!((s.pts, crc), (first.pts + link as i64 * 85_296, expected), "link {link}");
        }
    }
    assert_eq!(calls.iter().filter(|c| matches!(c, Call::Track(_))).count(), 1, "nothing changes");
    let mut muxer = Muxer::new();
    let mut demuxer = new();
    demuxer.push(&chain, &mut muxer).unwrap();
    demuxer.finish(&mut muxer).unwrap();
    let mut count = 0;
    while let Some(fragment) = muxer.take_fragment(TRACK, true) {
        count += fragment.samples as usize;
    }
    assert_eq!(count, got.len());
    assert!(muxer.take_warnings().iter().all(|w| w.what == "decoding times do not increase"));
}

/// Byte positions of the pages.
fn pages(data: &[u8]) -> Vec<usize> {
    let mut at = 0;
    let mut out = Vec::new();
    while at < data.len() {
        assert_eq!(&data[at..at + 4], b"OggS");
        out.push(at);
        let count = usize::from(data[at + 26]);
        at += 27 + count + data[at + 27..at + 27 + count].iter().map(|&b| usize::from(b)).sum::<usize>();
    }
    out
}

#[test]
fn after_a_reset_any_byte_will_do_and_times_are_exact() {
    let mut random = Random(77);
    for name in
        ["opusenc.opus", "ffmpeg.opus", "oggenc.ogg", "ffmpeg-vorbis.ogg", "flac.oga", "gstreamer.opus"]
    {
        let data = file(name);
        let whole_pages = pages(&data);
        let last_page = whole_pages[whole_pages.len() - 2];
        let mut demuxer = new();
        let calls = demux(demuxer.as_mut(), [&data[..]]);
        let whole = samples(&calls);
        for round in 0..40 {
            demuxer.reset();
            // In the last page, which is cut off at its end, the start cannot be known.
            let at = if round == 0 { 0 } else { random.below(last_page) };
            let got = samples(&demux_again(demuxer.as_mut(), &calls, random.split(&data[at..], 900)));
            assert!(!got.is_empty(), "{name} from {at}");
            let before = whole.len() - got.len();
            for (i, (got, whole)) in got.iter().zip(&whole[before..]).enumerate() {
                // The first block of Vorbis gives nothing where decoding begins: it ends where the next one starts.
                let same = got == whole
                    || (i == 0 && got.0.duration == Some(0) && {
                        let end = whole.0.pts + i64::from(whole.0.duration.unwrap());
                        (got.0.pts, got.1) == (end, whole.1)
                    });
                assert!(same, "{name} from {at}: {got:?} for {whole:?}");
            }
        }
    }
}

#[test]
fn a_seek_back_into_an_earlier_link_finds_its_headers() {
    let data = file("chained.ogg");
    let mut demuxer = new();
    let calls = demux(demuxer.as_mut(), [&data[..]]);
    let whole = samples(&calls);
    for page in pages(&data) {
        // Of a page that is cut off at its end, alone, the start cannot be known.
        if data[page + 5] & 4 != 0 {
            continue;
        }
        demuxer.reset();
        let got = samples(&demux_again(demuxer.as_mut(), &calls, [&data[page..]]));
        let tail: Vec<_> = got.iter().skip(1).map(|(s, crc)| (s.pts, *crc)).collect();
        let expected: Vec<_> =
            whole[whole.len() - tail.len()..].iter().map(|(s, crc)| (s.pts, *crc)).collect();
        assert!(tail == expected && !tail.is_empty(), "from {page}");
    }
}

/// Writes the checksum of each page anew.
fn sign(data: &mut [u8]) {
    for at in pages(data) {
        let end = pages(data).into_iter().find(|p| *p > at).unwrap_or(data.len());
        data[at + 22..at + 26].fill(0);
        let crc = data[at..end].iter().fold(0u32, |crc, &b| {
            (0..8).fold(
                crc ^ u32::from(b) << 24,
                |c, _| if c >> 31 == 1 { c << 1 ^ 0x04c1_1db7 } else { c << 1 },
            )
        });
        data[at + 22..at + 26].copy_from_slice(&crc.to_le_bytes());
    }
}

#[test]
fn a_station_that_is_joined_in_the_middle_has_its_own_times() {
    // As Icecast does: the headers, then the pages of now.
    let data = file("ffmpeg.opus");
    let at = pages(&data);
    let joined = [&data[..at[2]], &data[at[4]..]].concat();
    let whole = samples(&all(&data));
    let calls = all(&joined);
    let got = samples(&calls);
    assert!(got.len() + 10 < whole.len());
    assert_eq!(got, whole[whole.len() - got.len()..]);
    assert!(!calls.iter().any(|c| matches!(c, Call::Warning(..))), "nothing is amiss");
}

#[test]
fn a_lost_page_leaves_a_hole_and_no_drift() {
    for name in ["ffmpeg.opus", "ffmpeg-vorbis.ogg", "ffmpeg-flac.oga"] {
        let data = file(name);
        let at = pages(&data);
        let mut damaged = data.clone();
        let page = at[(at.len() / 2).max(3)];
        damaged[page + 60] ^= 1;
        let (whole, calls) = (samples(&all(&data)), all(&damaged));
        let got = samples(&calls);
        assert!(got.len() < whole.len() && got.len() > whole.len() / 2, "{name}");
        assert_eq!(got.last(), whole.last(), "{name}");
        for sample in &got {
            let found = whole
                .iter()
                .any(|w| w.1 == sample.1 && (w.0.pts == sample.0.pts || sample.0.duration == Some(0)));
            assert!(found, "{name}: {sample:?}");
        }
        let warnings: Vec<_> = calls
            .iter()
            .filter_map(|c| if let Call::Warning(_, what) = c { Some(*what) } else { None })
            .collect();
        assert_eq!(
            warnings,
            ["bytes that are no page, or a damaged one", "pages of the stream are missing"],
            "{name}"
        );
    }
}

#[test]
fn granules_that_go_back_a_little_do_not_move_samples_back() {
    let mut data = file("ffmpeg.opus");
    let at = pages(&data);
    let whole = samples(&all(&data));
    // From the fourth page on 100 samples less.
    for &page in &at[4..] {
        let granule = u64::from_le_bytes(data[page + 6..page + 14].try_into().unwrap());
        data[page + 6..page + 14].copy_from_slice(&(granule - 100).to_le_bytes());
    }
    sign(&mut data);
    let calls = all(&data);
    assert_eq!(samples(&calls), whole);
    assert_eq!(calls.iter().filter(|c| matches!(c, Call::Warning(..))).count(), 1, "said once");
}

#[test]
fn positions_before_zero_are_not_heard() {
    // 500 samples of the start of a Vorbis stream are cut: all granules are lower by that.
    let mut data = file("oggenc.ogg");
    let before = heard(&all(&data));
    for page in pages(&data).into_iter().skip(2) {
        let granule = u64::from_le_bytes(data[page + 6..page + 14].try_into().unwrap());
        data[page + 6..page + 14].copy_from_slice(&granule.saturating_sub(500).to_le_bytes());
    }
    sign(&mut data);
    let calls = all(&data);
    let recorder = Recorder::of(&calls);
    let edits: Vec<_> = recorder.tracks().map(|t| t.edit_start).collect();
    assert_eq!((edits, samples(&calls)[0].0.pts), (vec![0, 500], 0));
    assert_eq!(heard(&calls), before - 500);
}

#[test]
fn video_is_named_and_passed_over_and_fails_where_it_is_alone() {
    let calls = all(&file("theora-vorbis.ogv"));
    assert!(calls.contains(&Call::Warning(0, "Theora video is not supported")));
    assert_eq!(
        samples(&calls).len() as i64,
        calls.iter().filter(|c| matches!(c, Call::Sample(..))).count() as i64
    );
    assert_eq!(heard(&calls), 88_200);
    let calls = all(&file("theora.ogv"));
    let Some(Call::Error(code, message, _)) = calls.last() else { panic!("{calls:?}") };
    assert_eq!((*code, message.contains("Theora")), ("CODEC_UNSUPPORTED", true));
}

#[test]
fn a_cover_in_the_comments_is_not_held() {
    // OpusTags of 3 MB over many pages, as a tagger makes them.
    let data = file("opusenc.opus");
    let at = pages(&data);
    let mut tags = b"OpusTags\x02\0\0\0me\x02\0\0\0".to_vec();
    for comment in [b"TITLE=x".to_vec(), [&b"METADATA_BLOCK_PICTURE="[..], &vec![b'A'; 3 << 20]].concat()] {
        tags.extend_from_slice(&(comment.len() as u32).to_le_bytes());
        tags.extend_from_slice(&comment);
    }
    let mut out = data[..at[1]].to_vec();
    let pieces: Vec<&[u8]> = tags.chunks(255 * 255).collect();
    for (i, piece) in pieces.iter().enumerate() {
        let last = i + 1 == pieces.len();
        out.extend_from_slice(b"OggS\0");
        out.push(u8::from(i > 0));
        out.extend_from_slice(&if last { [0; 8] } else { [0xff; 8] });
        out.extend_from_slice(&data[14..18]);
        out.extend_from_slice(&(i as u32 + 1).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        let full = piece.len() / 255;
        out.push(if last { full as u8 + 1 } else { 255 });
        out.extend(std::iter::repeat_n(255, full));
        if last {
            out.push((piece.len() % 255) as u8);
        }
        out.extend_from_slice(piece);
    }
    let shift = pieces.len() as u32 - 1;
    for &page in &at[2..] {
        let end = at.iter().copied().find(|p| *p > page).unwrap_or(data.len());
        let sequence = u32::from_le_bytes(data[page + 18..page + 22].try_into().unwrap());
        out.extend_from_slice(&data[page..page + 18]);
        out.extend_from_slice(&(sequence + shift).to_le_bytes());
        out.extend_from_slice(&data[page + 22..end]);
    }
    sign(&mut out);
    let calls = all(&out);
    assert_eq!(samples(&calls), samples(&all(&data)));
    let title = vec![("TITLE".to_owned(), "x".to_owned())];
    assert!(calls.contains(&Call::Metadata(Some(TRACK), None, Metadata::Comments(title))));
    assert!(!calls.iter().any(|c| matches!(c, Call::Warning(..))));
}

/// A page of stream `serial` with full segments, whose packet goes on.
fn full_page(serial: u32, sequence: u32, continued: bool) -> Vec<u8> {
    let mut page = b"OggS\0".to_vec();
    page.push(u8::from(continued));
    page.extend_from_slice(&[0xff; 8]);
    page.extend_from_slice(&serial.to_le_bytes());
    page.extend_from_slice(&sequence.to_le_bytes());
    page.extend_from_slice(&[0; 4]);
    page.push(255);
    page.extend_from_slice(&[255; 255]);
    page.resize(page.len() + 255 * 255, 0x55);
    page
}

#[test]
fn a_packet_without_end_is_given_up() {
    let data = file("ffmpeg.opus");
    let at = pages(&data);
    let serial = u32::from_le_bytes(data[14..18].try_into().unwrap());
    // 20 MB between the third page and the fourth.
    let mut long: Vec<u8> = (0..300).flat_map(|i| full_page(serial, 3 + i, i > 0)).collect();
    sign(&mut long[..2 * (27 + 255 + 65_025)]);
    let second = long[27 + 255 + 65_025..][..27 + 255 + 65_025].to_vec();
    for (i, page) in long.chunks_mut(second.len()).enumerate().skip(2) {
        page.copy_from_slice(&second);
        page[18..22].copy_from_slice(&(3 + i as u32).to_le_bytes());
        sign(page);
    }
    let calls = demux(new().as_mut(), [&data[..at[3]], &long, &data[at[3]..]]);
    let count = |what| calls.iter().filter(|c| matches!(c, Call::Warning(_, w) if *w == what)).count();
    assert_eq!((count("a packet that is too long"), count("pages of the stream are missing")), (1, 1));
    assert_eq!(samples(&calls).last(), samples(&all(&data)).last());
}

#[test]
fn endless_garbage_is_refused_and_short_garbage_survived() {
    let mut random = Random(5);
    let garbage: Vec<u8> = (0..3 << 20).map(|_| random.below(256) as u8).collect();
    let mut demuxer = new();
    let calls = demux(demuxer.as_mut(), garbage.chunks(65_536));
    assert!(matches!(calls.last(), Some(Call::Error("MEDIA_MALFORMED", _, Some(at))) if *at < 1_200_000));
    let data = file("oggenc.ogg");
    let behind = [&garbage[..100_000], &data].concat();
    assert_eq!(quiet(&all(&behind)), quiet(&all(&data)));
    for nothing in [&b""[..], b"OggS", &data[..20], &data[..60]] {
        assert!(matches!(all(nothing).last(), Some(Call::Error("MEDIA_MALFORMED", ..))));
    }
}

#[test]
fn both_ends_of_a_file_tell_its_duration_and_where_a_time_is() {
    for (name, duration) in
        [("opusenc.opus", 3.123), ("oggenc.ogg", 3.123), ("flac.oga", 0.5), ("theora-vorbis.ogv", 2.0)]
    {
        let data = file(name);
        for tail in [data.len().saturating_sub(TAIL), data.len().saturating_sub(6000)] {
            let layout = Layout::read(&data, &data[tail..]).unwrap_or_else(|| panic!("{name}"));
            assert!((layout.duration() - duration).abs() < 1e-4, "{name}: {}", layout.duration());
            let size = data.len() as u64;
            assert!(layout.estimate(0.0, size) >= 40 && layout.estimate(duration, size) < size);
            // Times of the pages increase.
            let times: Vec<_> =
                (0..data.len()).step_by(500).filter_map(|at| Some(layout.time_in(&data[at..])?.1)).collect();
            assert!(
                times.is_sorted() && (times.last().unwrap() - duration).abs() < 1e-4,
                "{name}: {times:?}"
            );
        }
        assert_eq!(Layout::read(&data[..200], &data), None);
        assert_eq!(Layout::read(&data, b"garbage"), None);
    }
    let chained = file("chained.ogg");
    assert_eq!(Layout::read(&chained, &chained[chained.len() - 30_000..]), None, "it ends in another link");
    let mut random = Random(3);
    let data = file("oggenc.ogg");
    for _ in 0..300 {
        let mut bad = data.clone();
        for _ in 0..4 {
            let at = random.below(bad.len());
            bad[at] ^= 1 << random.below(8);
        }
        let _ = Layout::read(&bad[..random.below(bad.len())], &bad[random.below(bad.len())..]);
    }
}
