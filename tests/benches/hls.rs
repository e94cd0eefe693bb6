//! What it costs to read a media playlist of 10,000 segments for the first time, and again with one segment more. Prints milliseconds.
//!
//! `cargo bench --bench hls`

#![allow(clippy::disallowed_methods, reason = "a bench measures time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a bench that cannot go on says why")]

use std::fmt::Write;
use std::time::Instant;

use millrace::manifest::hls::{self, MediaPlaylist, Playlist, Reload, Variables};

const SEGMENTS: u64 = 10_000;
const ROUNDS: u64 = 40;
const URL: &str = "https://example.com/live/video.m3u8";

/// As live packagers write them: a date for each segment, and now and then a discontinuity. `token` goes with each URI.
fn playlist(first: u64, skipped: u64, token: &str) -> String {
    let mut out = format!(
        "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:4\n#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=24\n#EXT-X-MEDIA-SEQUENCE:{first}\n"
    );
    if skipped > 0 {
        let _ = writeln!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}");
    }
    for n in first + skipped..first + SEGMENTS {
        if n % 500 == 0 {
            out.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if n == first || n % 500 == 0 {
            let _ = writeln!(out, "#EXT-X-MAP:URI=\"init{}.mp4\"", n / 500 % 2);
        }
        let (h, m, s) = (n * 4 / 3600 % 24, n * 4 / 60 % 60, n * 4 % 60);
        let _ = write!(
            out,
            "#EXT-X-PROGRAM-DATE-TIME:2024-03-01T{h:02}:{m:02}:{s:02}.000Z\n#EXTINF:4.000000,\nvideo_{n:08}.m4s{token}\n"
        );
    }
    out
}

fn parse(text: &str) -> MediaPlaylist {
    match hls::parse(text.as_bytes(), URL, &Variables::default()) {
        Ok(Playlist::Media(list)) => *list,
        other => panic!("{other:?}"),
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let text = playlist(0, 0, "");
    println!("{SEGMENTS} segments, {} kB of text; medians of {ROUNDS}:", text.len() / 1000);
    let times = (0..ROUNDS).map(|_| {
        let from = Instant::now();
        let list = parse(&text);
        let time = from.elapsed().as_secs_f64() * 1e3;
        assert_eq!(list.index.segments.len() as u64, SEGMENTS);
        time
    });
    println!("{:8.3} ms  first reading", median(times.collect()));

    let first = parse(&text);
    let mut reload = Reload::new(URL, &first, 0.0);
    let mut index = first.index;
    let mut sequence = 0;
    for (what, skipped, token) in [
        ("again, one segment new", 0, false),
        ("delta update, one segment new", SEGMENTS - 6, false),
        ("again, with another token in each URI", 0, true),
    ] {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            sequence += 1;
            let token = if token { format!("?t={sequence:012}") } else { String::new() };
            let text = playlist(sequence, skipped, &token);
            let from = Instant::now();
            let new = reload.read(&index, text.as_bytes(), URL, &Variables::default()).expect("it is sound");
            let change = reload.update(&mut index, new, sequence as f64).expect("it follows");
            times.push(from.elapsed().as_secs_f64() * 1e3);
            assert!(change.grew && change.dropped == 1 && !change.restarted);
        }
        println!("{:8.3} ms  {what}", median(times));
    }
}
