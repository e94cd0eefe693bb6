//! Every parser under libFuzzer. One binary, so that it is built and linked once: `MILLRACE_FUZZ` names the target.
#![no_main]

mod harness;

use std::sync::OnceLock;

use harness::{
    audio_headers, codecs, demuxer, flv_layout, hls_reloads, live, ogg_layout, patch, progressive, radio,
};
use libfuzzer_sys::{Corpus, fuzz_target};
use millrace::container::Format;
use millrace::manifest::{dash, hls};

type Target = fn(&[u8]);

/// A line for each target. Its seeds are the fixtures of the folder with the name before the first dash.
const TARGETS: &[(&str, Target)] = &[
    ("ts", |data| demuxer(Format::Ts, data)),
    ("packed", |data| demuxer(Format::PackedAudio, data)),
    ("mp4", |data| demuxer(Format::Mp4, data)),
    ("mp4-progressive", progressive),
    ("webm", |data| demuxer(Format::Webm, data)),
    ("flv", |data| demuxer(Format::Flv, data)),
    ("ogg", |data| demuxer(Format::Ogg, data)),
    ("flac", |data| demuxer(Format::Flac, data)),
    ("flv-layout", flv_layout),
    ("ogg-layout", ogg_layout),
    ("ogg-codecs", audio_headers),
    ("hls-lists", radio),
    ("hls-reloads", hls_reloads),
    ("ts-codecs", codecs),
    ("hls", |data| {
        let _ = hls::parse(data, "https://a.test/b/c.m3u8", &hls::Variables::default());
    }),
    ("dash", |data| {
        let _ = dash::parse_at(data, "https://a.test/b/c.mpd", Some(1.7e9));
    }),
    ("dash-live", live),
    ("dash-patch", patch),
];

fuzz_target!(|data: &[u8]| -> Corpus {
    static TARGET: OnceLock<Target> = OnceLock::new();
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("MILLRACE_FUZZ").unwrap_or_default();
        let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
        TARGETS
            .iter()
            .find(|(n, _)| *n == name)
            .unwrap_or_else(|| panic!("MILLRACE_FUZZ is one of {}", names.join(", ")))
            .1
    });
    target(data);
    Corpus::Keep
});
