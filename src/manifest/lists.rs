//! Playlists of internet radio and of music players: PLS, M3U (not HLS) and XSPF. They name the stream, or several of the same station.

use super::url;
use crate::bytes::{decode_text, split_once};
use crate::time::Seconds;

/// Bytes of a list that are read; lists of radio stations have hundreds.
pub const MAX_SIZE: usize = 1 << 20;

/// Entries that are taken.
const MAX_ENTRIES: usize = 1000;

/// What a list is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFormat {
    /// `[playlist]` with `File1=…`.
    Pls,
    /// An address on each line, with `#EXTINF` lines perhaps.
    M3u,
    /// XML (xspf.org, version 1).
    Xspf,
}

/// One thing to play.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListEntry {
    /// Absolute, where the list's own URL is.
    pub url: String,
    /// As the list has it.
    pub title: Option<String>,
    /// Seconds; `None` where it is not told, as for endless streams.
    pub duration: Option<Seconds>,
}

/// Tells a list by its content and, as a plain list of addresses looks like any text, by type and name. HLS is none.
pub fn recognize(bytes: &[u8], content_type: Option<&str>, list_url: &str) -> Option<ListFormat> {
    let text = bytes.get(..bytes.len().min(4096)).unwrap_or_default();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    let begins = |with: &[u8]| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    let contains = |part: &[u8]| text.windows(part.len()).any(|w| w == part);
    if begins(b"[playlist]") {
        return Some(ListFormat::Pls);
    }
    if begins(b"<") {
        return (contains(b"xspf.org/ns/0") && (contains(b"<playlist") || contains(b":playlist")))
            .then_some(ListFormat::Xspf);
    }
    if contains(b"#EXT-X-") {
        return None;
    }
    // A header, or addresses under a type or name that says list.
    let kind = content_type.and_then(|t| t.split(';').next()).unwrap_or("").trim();
    let named = ["audio/x-mpegurl", "audio/mpegurl", "application/x-mpegurl", "audio/m3u", "audio/x-m3u"];
    let path = list_url.split(['?', '#']).next().unwrap_or("");
    let by_name =
        path.len() >= 4 && path.get(path.len() - 4..).is_some_and(|e| e.eq_ignore_ascii_case(".m3u"));
    let is_text = !text.is_empty() && !text.iter().any(|b| *b < 9);
    let says_list = named.iter().any(|n| kind.eq_ignore_ascii_case(n)) || by_name;
    (begins(b"#EXTM3U") || (says_list && is_text)).then_some(ListFormat::M3u)
}

/// The entries of a list in order. Addresses are resolved against the list's own; those that are none, or a file on a disk, are left out.
pub fn read(format: ListFormat, bytes: &[u8], list_url: &str) -> Vec<ListEntry> {
    let text = decode_text(bytes.get(..bytes.len().min(MAX_SIZE)).unwrap_or_default());
    let mut entries = match format {
        ListFormat::Pls => pls(&text),
        ListFormat::M3u => m3u(&text),
        ListFormat::Xspf => xspf(&text),
    };
    entries.retain_mut(|entry| {
        let address = entry.url.trim();
        // "C:\music": the scheme of nothing.
        let local = url::scheme(address).is_some_and(|s| s.len() == 1 || s.eq_ignore_ascii_case("file"));
        if address.is_empty() || local || address.starts_with('\\') {
            return false;
        }
        entry.url = url::resolve(list_url, address);
        true
    });
    entries
}

/// A title, unless it is empty.
fn told(title: &str) -> Option<String> {
    let title = title.trim();
    (!title.is_empty()).then(|| title.to_owned())
}

/// Seconds that are more than 0; lists have -1 for endless.
fn seconds(text: &str) -> Option<Seconds> {
    let text = text.trim();
    // Whole seconds and a fraction: the float parser of the standard library weighs more than this.
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: u32 = whole.parse().ok()?;
    let digits = fraction.get(..fraction.len().min(6)).filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
    let part = digits.unwrap_or("").bytes().rev().fold(0.0, |sum, b| (sum + f64::from(b - b'0')) / 10.0);
    Some(f64::from(whole) + part).filter(|s| *s > 0.0)
}

/// `FileN`, `TitleN`, `LengthN` in any order; by number.
fn pls(text: &str) -> Vec<ListEntry> {
    let mut numbered: Vec<(u32, ListEntry)> = Vec::new();
    for line in text.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        let key = key.trim();
        let digits = key.bytes().rev().take_while(u8::is_ascii_digit).count();
        let (name, number) = key.split_at(key.len() - digits);
        let Ok(number) = number.parse::<u32>() else { continue };
        let at = match numbered.iter().position(|(n, _)| *n == number) {
            Some(at) => at,
            None if numbered.len() >= MAX_ENTRIES => continue,
            None => {
                // Lists are in order nearly always.
                let at = numbered.iter().rposition(|(n, _)| *n < number).map_or(0, |before| before + 1);
                numbered.insert(at, (number, ListEntry::default()));
                at
            }
        };
        let Some((_, entry)) = numbered.get_mut(at) else { continue };
        if name.eq_ignore_ascii_case("File") {
            value.trim().clone_into(&mut entry.url);
        } else if name.eq_ignore_ascii_case("Title") {
            entry.title = told(value);
        } else if name.eq_ignore_ascii_case("Length") {
            entry.duration = seconds(value);
        }
    }
    numbered.into_iter().map(|(_, entry)| entry).collect()
}

/// Lines of addresses; `#EXTINF:seconds attributes,title` belongs to the one that follows.
fn m3u(text: &str) -> Vec<ListEntry> {
    let mut entries = Vec::new();
    let mut next = ListEntry::default();
    for line in text.lines() {
        let line = line.trim();
        if let Some(info) = line.strip_prefix("#EXTINF:") {
            let (length, title) = info.split_once(',').unwrap_or((info, ""));
            next.duration = seconds(length.split_whitespace().next().unwrap_or(""));
            next.title = told(title);
        } else if !line.is_empty() && !line.starts_with('#') {
            next.url = line.to_owned();
            entries.push(std::mem::take(&mut next));
            if entries.len() >= MAX_ENTRIES {
                break;
            }
        }
    }
    entries
}

/// `location`, `title` and `duration` (milliseconds) of each `track`. The XML reader of DASH is not in every build, and more than this needs.
fn xspf(text: &str) -> Vec<ListEntry> {
    let mut entries = Vec::new();
    let mut track: Option<ListEntry> = None;
    let mut rest = text;
    let mut content = String::new();
    while let Some((before, after)) = rest.split_once('<') {
        unescape(before, &mut content);
        if let Some(data) = after.strip_prefix("![CDATA[") {
            let (data, after) = split_once(data, "]]>").unwrap_or((data, ""));
            content.push_str(data);
            rest = after;
            continue;
        }
        if let Some(comment) = after.strip_prefix("!--") {
            rest = split_once(comment, "-->").map_or("", |(_, after)| after);
            continue;
        }
        let Some((tag, after)) = after.split_once('>') else { break };
        rest = after;
        let (closing, tag) = tag.strip_prefix('/').map_or((false, tag), |tag| (true, tag));
        let name = tag.split([' ', '\t', '\r', '\n', '/']).next().unwrap_or("");
        let name = name.rsplit(':').next().unwrap_or(name);
        match (&mut track, closing, name) {
            (_, false, "track") => track = Some(ListEntry::default()),
            (Some(entry), true, "location") if entry.url.is_empty() => {
                content.trim().clone_into(&mut entry.url)
            }
            (Some(entry), true, "title") => entry.title = told(&content),
            (Some(entry), true, "duration") => entry.duration = seconds(&content).map(|ms| ms / 1000.0),
            (Some(_), true, "track") => {
                entries.extend(track.take());
                if entries.len() >= MAX_ENTRIES {
                    break;
                }
            }
            _ => {}
        }
        content.clear();
    }
    entries
}

/// Appends text with the entities of XML in place of their names.
fn unescape(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let named = after.split_once(';').filter(|(name, _)| name.len() <= 8);
        let character = named.and_then(|(name, _)| match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => {
                let number = name.strip_prefix('#')?;
                let code = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => number.parse(),
                };
                char::from_u32(code.ok()?)
            }
        });
        match (character, named) {
            (Some(c), Some((_, after))) => {
                out.push(c);
                rest = after;
            }
            _ => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://radio.test/dir/list";

    fn list(format: ListFormat, text: &[u8]) -> Vec<(String, Option<String>, Option<f64>)> {
        read(format, text, URL).into_iter().map(|e| (e.url, e.title, e.duration)).collect()
    }

    fn entry(url: &str, title: Option<&str>, duration: Option<f64>) -> (String, Option<String>, Option<f64>) {
        (url.to_owned(), title.map(str::to_owned), duration)
    }

    #[test]
    fn pls_is_read_by_number() {
        let text = b"[Playlist]\r\nNumberOfEntries=3\r\nFile2=/b.mp3\r\ntitle2=B\r\nLength2=12\r\nFile1=http://a/\r\n\
            Title1=Gr\xf6\xdfe = A\r\nLength1=-1\r\nFile10=c\r\nVersion=2\r\nTitle99=alone\r\n";
        assert_eq!(recognize(text, None, URL), Some(ListFormat::Pls));
        assert_eq!(
            list(ListFormat::Pls, text),
            [
                entry("http://a/", Some("Größe = A"), None),
                entry("http://radio.test/b.mp3", Some("B"), Some(12.0)),
                entry("http://radio.test/dir/c", None, None)
            ]
        );
        let many: String = (0..5000).map(|i| ["File", &i.to_string(), "=x\n"].concat()).collect();
        assert_eq!(list(ListFormat::Pls, many.as_bytes()).len(), MAX_ENTRIES);
    }

    #[test]
    fn m3u_is_read_with_and_without_extensions() {
        let text =
            b"\xef\xbb\xbf#EXTM3U\n#EXTINF:-1 tvg-id=\"x\",Station, the\nhttp://a:8000/;\n# a comment\n\n\
            #EXTINF:3.25,B\nb.ogg\nC:\\music\\c.mp3\nfile:///d.mp3\n";
        assert_eq!(recognize(text, None, URL), Some(ListFormat::M3u));
        assert_eq!(
            list(ListFormat::M3u, text),
            [
                entry("http://a:8000/;", Some("Station, the"), None),
                entry("http://radio.test/dir/b.ogg", Some("B"), Some(3.25))
            ]
        );
        let plain = b"http://a/stream\r\n";
        assert_eq!(recognize(plain, None, URL), None);
        assert_eq!(recognize(plain, Some("Audio/X-MpegURL; charset=utf-8"), URL), Some(ListFormat::M3u));
        assert_eq!(recognize(plain, None, "http://a/b.M3U?x"), Some(ListFormat::M3u));
        assert_eq!(list(ListFormat::M3u, plain), [entry("http://a/stream", None, None)]);
        let hls = b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n";
        assert_eq!(recognize(hls, Some("audio/mpegurl"), URL), None);
        assert_eq!(
            recognize(b"\xff\xfb\x90\x00\x00", Some("audio/mpegurl"), URL),
            None,
            "MP3 under a list's type"
        );
    }

    #[test]
    fn xspf_is_read_through_its_entities() {
        let text = "<?xml version=\"1.0\"?>\n<playlist version=\"1\" xmlns=\"http://xspf.org/ns/0/\"><title>no</title>
            <!-- <track> --><trackList><track><location>a?b=1&amp;c=2</location><title>Gr&#246;&#xdf;e <![CDATA[<1>]]></title>
            <duration>1500</duration><location>second</location></track>
            <x:track xmlns:x=\"y\"><x:location> http://b/ </x:location></x:track><track/></trackList></playlist>";
        assert_eq!(recognize(text.as_bytes(), None, URL), Some(ListFormat::Xspf));
        assert_eq!(
            list(ListFormat::Xspf, text.as_bytes()),
            [
                entry("http://radio.test/dir/a?b=1&c=2", Some("Größe <1>"), Some(1.5)),
                entry("http://b/", None, None)
            ]
        );
        assert_eq!(recognize(b"<html><playlist>", None, URL), None);
        for cut in 0..text.len() {
            let _ = read(ListFormat::Xspf, &text.as_bytes()[..cut], URL);
        }
        assert_eq!(
            list(ListFormat::Xspf, b"<track><title>&&amp;&#99999999;&x</title><location>u</track>"),
            []
        );
    }

    #[test]
    fn random_bytes_are_no_danger() {
        let mut seed = 1u32;
        let mut bytes = vec![0u8; 300];
        for _ in 0..2000 {
            for b in &mut bytes {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *b = b"<>/&;#=[]\n'xFile1Ttrack location\xf6\xff:\\."[(seed >> 24) as usize % 37];
            }
            for format in [ListFormat::Pls, ListFormat::M3u, ListFormat::Xspf] {
                let _ = read(format, &bytes, URL);
            }
            recognize(&bytes, None, URL);
        }
    }
}
