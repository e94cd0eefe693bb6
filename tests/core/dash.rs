//! MPDs, each about one feature, and what must come out of them.

use millrace::manifest::dash::parse;
use millrace::manifest::*;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dash")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

const BASE: &str = "https://example.com/vod/movie/manifest.mpd?token=1";

fn read(name: &str) -> Presentation {
    parse(&bytes(name), BASE).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn template_with_duration_counts_segments_and_shortens_the_last() {
    let p = read("template-number.mpd");
    assert_eq!(p.warnings, Vec::<String>::new());
    assert_eq!((p.protocol, p.kind, p.duration), (Protocol::Dash, PresentationType::Static, Some(21.5)));
    let [period] = &p.periods[..] else { panic!("one period") };
    assert_eq!((period.id.as_str(), period.start, period.duration), ("period-1", 0.0, Some(21.5)));
    let [video, audio] = &period.sets[..] else { panic!("two sets") };
    assert_eq!((video.id.as_str(), video.content, video.default), ("video", ContentType::Video, true));
    assert_eq!((audio.id.as_str(), audio.content, audio.default), ("audio-en", ContentType::Audio, false));
    assert_eq!((audio.lang.as_deref(), audio.label.as_deref()), (Some("en"), Some("English")));
    let [low, high] = &video.representations[..] else { panic!("two representations") };
    assert_eq!((low.id.as_str(), low.bandwidth, low.width, low.height), ("240p", 400_000, 426, 240));
    assert_eq!(
        (low.codecs.as_str(), low.mime_type.as_str(), low.frame_rate),
        ("avc1.640015", "video/mp4", 15.0)
    );
    assert_eq!((high.id.as_str(), high.codecs.as_str()), ("720p", "avc1.64001f"));
    assert!((high.frame_rate - 29.97).abs() < 0.001);
    let a = &audio.representations[0];
    assert_eq!((a.sample_rate, a.channels), (48_000, 2));

    assert_eq!(high.index.len(), 6);
    let first = high.index.segment(0).unwrap();
    assert_eq!(first.url, "https://example.com/vod/movie/720p/03000000/seg-00000.m4s");
    assert_eq!(first.init.as_ref().unwrap().url, "https://example.com/vod/movie/720p/init.mp4");
    assert_eq!((first.start, first.duration, first.timestamp_offset), (0.0, 4.0, Some(0.0)));
    let last = high.index.segment(5).unwrap();
    assert_eq!(last.url, "https://example.com/vod/movie/720p/03000000/seg-00005.m4s");
    assert_eq!((last.start, last.duration), (20.0, 1.5));
    assert_eq!(high.index.segment(6), None);
    assert_eq!(
        (high.index.find(3.99), high.index.find(4.0), high.index.find(21.6)),
        (Some(0), Some(1), None)
    );
    assert_eq!(a.index.segment(0).unwrap().url, "https://example.com/vod/movie/a/1.m4s");
}
