//! Radio for days: servers come and go, titles change, and the core holds no more than in the first hours.

use super::*;
use crate::counting;
use crate::sim::site::Site;
use std::cell::Cell;
use std::rc::Rc;

const DAYS: u32 = 3;
const HOUR: f64 = 3600.0;
const RADIO: &str = "https://radio.test/listen";

/// Seconds that a connection has media for; most break before.
const CONNECTION: f64 = 2.0 * HOUR;
/// Seconds between titles.
const SONG: u32 = 180;

/// What becomes of one connection after the other, over and over; each but the refused ones begins with media of its own.
fn troubles(w: &mut World, bytes_per_hour: usize) {
    let here = |share: f64| (bytes_per_hour as f64 * share) as usize;
    let all = [
        (Fault::Endless, 1),
        (Fault::Refused, 2),
        (Fault::EndlessUntil(here(1.31) + 7), 1),
        (Fault::Status(503), 1),
        (Fault::EndlessUntil(here(0.02) + 31), 1),
        (Fault::EndlessSilence(here(0.77) + 3), 1),
        (Fault::Status(404), 2),
        (Fault::EndlessUntil(here(1.9) + 111), 1),
    ];
    for (fault, times) in std::iter::repeat_n(all, 24).flatten() {
        w.fault(RADIO, fault, times);
    }
}

/// One connection's share of a stream, by its number, with titles between the bytes, if it has any.
fn station(content_type: &'static str, icy: Option<u32>, make: impl Fn(u32) -> Vec<u8> + 'static) -> Site {
    let turn = Cell::new(0);
    let mut site = Site::default();
    site.put_made(RADIO, content_type, move || {
        turn.set(turn.get() + 1);
        make(turn.get() - 1)
    });
    let fields = vec![("name".to_owned(), "Test FM".to_owned())];
    site.put_icy(RADIO, IcyHeaders { interval: icy.unwrap_or(0), fields });
    site
}

/// Plays for days and looks at what the core holds, hour by hour. Returns how many were told.
fn play_for_days(site: Site, bytes_per_hour: usize) -> usize {
    let before = counting::held();
    let mut w = World::new(site);
    w.net.rates = vec![(0.0, 64_000.0)];
    troubles(&mut w, bytes_per_hour);
    w.load(RADIO);
    let mut last: Option<(u32, u32)> = None;
    let mut titles = 0;
    let mut frames = 0;
    let mut sizes = Vec::new();
    for hour in 0..DAYS * 24 {
        w.run_for(HOUR);
        for mark in w.played('a') {
            let (part, number) = (mark.part, mark.number);
            let follows = match last {
                None => number == 0,
                // Heard across the hour.
                Some(same) if same == (part, number) => continue,
                Some((p, n)) => (part, number) == (p, n + 1) || (part != p && number == 0),
            };
            assert!(follows, "hour {hour}: {part}/{number} after {last:?}\n{}", w.story());
            last = Some((part, number));
            frames += 1;
        }
        assert!(w.fatal().is_none(), "{}", w.story());
        let heard = |t: &&Told| matches!(&t.event, Event::Metadata(n) if n.kind != "station");
        titles += w.events.iter().filter(heard).count();
        w.forget();
        sizes.push(counting::held() - before);
    }
    println!("{frames} frames, {titles} titles, bytes held {sizes:?}");
    let (first, later) = sizes.split_at(24);
    let most = |sizes: &[isize]| sizes.iter().copied().max().unwrap_or(0);
    assert!(most(later) <= most(first) + most(first) / 4, "it grows: {sizes:?}");
    assert!(most(&sizes) < 1 << 20, "{sizes:?}");
    w.stop();
    drop(w);
    assert_eq!(counting::held(), before, "something outlives the player");
    titles
}

/// 8 kbit/s at 8 kHz: 72 bytes and 72 ms a frame.
fn mpeg(part: u32, seconds: f64) -> Vec<u8> {
    let count = (seconds / 0.072) as u32;
    let mut out = Vec::with_capacity(count as usize * 72);
    for number in 0..count {
        let mark = Mark { kind: 'a', part: part % 100, number, rung: 0 };
        out.extend_from_slice(&[0xff, 0xe3, 0x18, 0xc4]);
        out.extend_from_slice(mark.text().as_bytes());
        out.resize((number as usize + 1) * 72, 0x55);
    }
    out
}

#[test]
fn mp3_for_days() {
    const INTERVAL: usize = 4000;
    let media = |part: u32| mpeg(part, CONNECTION);
    let songs = Rc::new(Cell::new(0u32));
    let with_titles = move |part| {
        let mut out = Vec::new();
        for (i, bytes) in media(part).chunks(INTERVAL).enumerate() {
            out.extend_from_slice(bytes);
            if bytes.len() < INTERVAL {
                continue;
            }
            // 1000 bytes a second.
            if (i as u32 * 4).is_multiple_of(SONG) {
                songs.set(songs.get() + 1);
                let text = format!(
                    "StreamTitle='Somebody - Song {}';StreamUrl='https://radio.test/{i}';",
                    songs.get()
                );
                out.push(text.len().div_ceil(16) as u8);
                out.extend_from_slice(text.as_bytes());
                out.resize(out.len() + text.len().next_multiple_of(16) - text.len(), 0);
            } else {
                out.push(0);
            }
        }
        out
    };
    let titles = play_for_days(station("audio/mpeg", Some(INTERVAL as u32), with_titles), 3_600_000);
    assert!(titles > (DAYS * 24 * 60 * 60 / SONG) as usize, "{titles} titles");
}

#[test]
fn a_station_goes_on_where_a_decoder_failed() {
    let mut w = World::new(station("audio/mpeg", None, |part| mpeg(part, 600.0)));
    w.fault(RADIO, Fault::Endless, ALWAYS);
    (w.net.rates, w.net.chunk) = (vec![(0.0, 9_000.0)], 500);
    w.element.decode_errors = vec![31.3];
    w.load(RADIO);
    assert!(w.run_until(40.0, |w| !w.errors().is_empty()), "{}", w.story());
    w.run_for(60.0);
    assert!(w.element.position > 80.0, "{}", w.story());
    let last = w.played('a').last().copied();
    assert!(last.is_some_and(|m| m.part == 1), "{last:?}");
    assert_eq!(w.errors(), [Code::Decode], "{}", w.story());
}

#[test]
fn a_station_that_has_only_a_page_left_is_not_asked_for_ever() {
    let page = |part| if part == 0 { mpeg(0, 30.0) } else { vec![b'<'; 3000] };
    let mut w = World::new(station("audio/mpeg", None, page));
    w.fault(RADIO, Fault::Endless, ALWAYS);
    w.net.rates = vec![(0.0, 64_000.0)];
    w.load(RADIO);
    w.run_for(600.0);
    assert!(w.has_ended(), "{}", w.story());
    assert!(w.requests().len() < 20, "{} requests", w.requests().len());
}

#[test]
fn a_station_that_comes_back_as_something_else_is_not_read_in_silence_for_ever() {
    let track = Stream::simple(3000.0).audio(0, 0);
    let aac = crate::sim::ts::packed(&track, 0, track.frames_until(3000.0), false, |_| true);
    let media = move |part| if part == 0 { mpeg(0, 30.0) } else { aac.clone() };
    let mut w = World::new(station("audio/mpeg", None, media));
    w.fault(RADIO, Fault::Endless, ALWAYS);
    w.net.rates = vec![(0.0, 64_000.0)];
    w.load(RADIO);
    w.run_for(600.0);
    assert!(w.has_ended() && w.errors().contains(&Code::MediaEmpty), "{}", w.story());
    assert!(w.played('a').iter().all(|m| m.part == 0));
}

/// Pages of one link of a chain: Opus of 120 ms a packet, with a title in the comments.
#[cfg(feature = "ogg")]
fn link(serial: u32, part: u32, first: u32, count: u32, title: &str) -> Vec<u8> {
    const PER_PAGE: u32 = 10;
    let table: [u32; 256] = std::array::from_fn(|i| {
        (0..8).fold((i as u32) << 24, |c, _| if c >> 31 == 1 { c << 1 ^ 0x04c1_1db7 } else { c << 1 })
    });
    let page = |out: &mut Vec<u8>, kind: u8, granule: u64, sequence: u32, packets: &[Vec<u8>]| {
        let start = out.len();
        out.extend_from_slice(b"OggS\0");
        out.push(kind);
        out.extend_from_slice(&granule.to_le_bytes());
        out.extend_from_slice(&serial.to_le_bytes());
        out.extend_from_slice(&sequence.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.push(packets.len() as u8);
        out.extend(packets.iter().map(|p| p.len() as u8));
        out.extend(packets.concat());
        let crc = out[start..].iter().fold(0u32, |c, b| c << 8 ^ table[usize::from((c >> 24) as u8 ^ b)]);
        out[start + 22..start + 26].copy_from_slice(&crc.to_le_bytes());
    };
    let mut out = Vec::new();
    page(&mut out, 2, 0, 0, &[b"OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0".to_vec()]);
    let mut tags = b"OpusTags\x04\0\0\0test\x01\0\0\0".to_vec();
    let comment = format!("TITLE={title}");
    tags.extend_from_slice(&(comment.len() as u32).to_le_bytes());
    tags.extend_from_slice(comment.as_bytes());
    page(&mut out, 0, 0, 1, &[tags]);
    // Two frames of 60 ms.
    let packet = |number| {
        let mark = Mark { kind: 'a', part, number, rung: 0 };
        let mut bytes = vec![0x19];
        bytes.extend(mark.text().into_bytes());
        bytes.resize(41, 0x55);
        bytes
    };
    let numbers: Vec<u32> = (0..count).collect();
    for (i, some) in numbers.chunks(PER_PAGE as usize).enumerate() {
        let packets: Vec<Vec<u8>> = some.iter().map(|n| packet(first + n)).collect();
        let end = (i as u32 * PER_PAGE + some.len() as u32).min(count);
        page(&mut out, if end == count { 4 } else { 0 }, u64::from(end) * 5760, i as u32 + 2, &packets);
    }
    out
}

#[test]
#[cfg(feature = "ogg")]
fn ogg_chains_for_days() {
    let serial = Cell::new(0u32);
    let connection = move |part: u32| {
        let per_link = (f64::from(SONG) / 0.12) as u32;
        let links = (CONNECTION / f64::from(SONG)) as u32;
        let mut out = Vec::new();
        for n in 0..links {
            serial.set(serial.get() + 1);
            let title = format!("Song {}", serial.get());
            out.extend_from_slice(&link(serial.get(), part % 100, n * per_link, per_link, &title));
        }
        out
    };
    let bytes = link(1, 0, 0, 1500, "Song 1").len() * 20;
    let titles = play_for_days(station("audio/ogg", None, connection), bytes);
    assert!(titles > (DAYS * 24 * 60 * 60 / SONG) as usize, "{titles} titles");
}
