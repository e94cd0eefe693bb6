//! ICY metadata of SHOUTcast and Icecast: text that a server puts between the bytes of a stream, every `icy-metaint` bytes, where the
//! request had `Icy-MetaData: 1`.
//!
//! There is no standard; this is what servers send: after each interval of media one byte, a sixteenth of the length of the text that follows, which
//! is padded with zeros. 0 means that nothing changed.

use crate::bytes::{decode_text, place_of};

/// Longest interval that is believed, in bytes. Servers use 8 to 64 kB.
const MAX_INTERVAL: u32 = 16 << 20;

/// What a block of text says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IcyMetadata {
    /// All fields in order, names as they stand: `StreamTitle`, `StreamUrl`, what stations add.
    pub fields: Vec<(String, String)>,
}

impl IcyMetadata {
    /// Reads the text of a block, `StreamTitle='…';StreamUrl='…';`. In UTF-8 or, where that is broken, Windows-1252. A title may have quotes
    /// and semicolons in it: a value ends where `';` is followed by another name or by nothing.
    pub fn parse(block: &[u8]) -> Self {
        let end = block.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
        let text = decode_text(block.get(..end).unwrap_or_default());
        let mut fields = Vec::new();
        let mut rest = text.as_str();
        while let Some((name, after)) = rest.split_once('=') {
            let name = name.trim();
            let (value, after) = match after.strip_prefix('\'') {
                Some(quoted) => quoted_value(quoted),
                None => after.split_once(';').unwrap_or((after, "")),
            };
            fields.push((name.to_owned(), value.trim().to_owned()));
            rest = after;
        }
        Self { fields }
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// `StreamTitle`; empty where a station has nothing to say.
    pub fn title(&self) -> Option<&str> {
        self.field("StreamTitle")
    }

    /// `StreamUrl`: of the station, or of a picture.
    pub fn url(&self) -> Option<&str> {
        self.field("StreamUrl")
    }
}

/// A value behind its opening quote, and what comes after its end.
fn quoted_value(text: &str) -> (&str, &str) {
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|t| place_of(t, "';")) {
        let at = from + found;
        let (value, after) = (text.get(..at).unwrap_or(text), text.get(at + 2..).unwrap_or(""));
        if begins_field(after) {
            return (value, after);
        }
        from = at + 2;
    }
    // Cut off, or without the semicolon.
    (text.strip_suffix('\'').unwrap_or(text), "")
}

/// Whether this is the end, or `Name=`.
fn begins_field(text: &str) -> bool {
    let text = text.trim_start();
    let name = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    text.is_empty() || (name > 0 && text.as_bytes().get(name) == Some(&b'='))
}

/// A piece of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes of media.
    Media(&'a [u8]),
    /// Text, which belongs to the media that comes after it. Repeated where a server repeats it.
    Metadata(IcyMetadata),
}

/// Where in a stream the next byte is.
#[derive(Clone, Copy, Debug)]
enum At {
    /// So many bytes of media before the next text.
    Media(usize),
    /// At the byte that tells the length.
    Length,
    /// So many bytes of text are missing.
    Text(usize),
}

/// Takes ICY metadata out of a stream. The bytes may come in any split.
#[derive(Clone, Debug)]
pub struct IcyReader {
    interval: usize,
    at: At,
    text: Vec<u8>,
    media: u64,
}

impl IcyReader {
    /// For the value of the response's `icy-metaint`. `None` for 0 and for what cannot be one: there is no metadata in the stream then.
    pub fn new(interval: u32) -> Option<Self> {
        let bytes = usize::try_from(interval).ok()?;
        (interval > 0 && interval <= MAX_INTERVAL).then_some(Self {
            interval: bytes,
            at: At::Media(bytes),
            text: Vec::new(),
            media: 0,
        })
    }

    /// Bytes of media given so far: where in the media the next metadata belongs.
    pub fn media_bytes(&self) -> u64 {
        self.media
    }

    /// The next piece of `chunk`, from which it is taken. `None`: the chunk is used up.
    pub fn next<'a>(&mut self, chunk: &mut &'a [u8]) -> Option<Piece<'a>> {
        while !chunk.is_empty() {
            match self.at {
                At::Media(left) => {
                    let (media, rest) = chunk.split_at(left.min(chunk.len()));
                    *chunk = rest;
                    self.media += media.len() as u64;
                    self.at = if media.len() == left { At::Length } else { At::Media(left - media.len()) };
                    return Some(Piece::Media(media));
                }
                At::Length => {
                    let (length, rest) = chunk.split_first()?;
                    *chunk = rest;
                    self.text.clear();
                    self.at = match usize::from(*length) * 16 {
                        0 => At::Media(self.interval),
                        n => At::Text(n),
                    };
                }
                At::Text(left) => {
                    let (text, rest) = chunk.split_at(left.min(chunk.len()));
                    *chunk = rest;
                    self.text.extend_from_slice(text);
                    if text.len() < left {
                        self.at = At::Text(left - text.len());
                        continue;
                    }
                    self.at = At::Media(self.interval);
                    let metadata = IcyMetadata::parse(&self.text);
                    if !metadata.fields.is_empty() {
                        return Some(Piece::Metadata(metadata));
                    }
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(block: &[u8]) -> Vec<(String, String)> {
        IcyMetadata::parse(block).fields
    }

    fn pairs<const N: usize>(list: [(&str, &str); N]) -> Vec<(String, String)> {
        list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn titles_keep_their_quotes_and_semicolons() {
        assert_eq!(
            fields(b"StreamTitle='It's; ''here''; now';StreamUrl='http://a/?b=c;d';\0\0\0"),
            pairs([("StreamTitle", "It's; ''here''; now"), ("StreamUrl", "http://a/?b=c;d")])
        );
        assert_eq!(fields(b"StreamTitle='';"), pairs([("StreamTitle", "")]));
        assert_eq!(fields(b"StreamTitle='cut of"), pairs([("StreamTitle", "cut of")]));
        assert_eq!(fields(b"StreamTitle='a = b'"), pairs([("StreamTitle", "a = b")]));
        assert_eq!(fields(b"StreamTitle=plain;x=1"), pairs([("StreamTitle", "plain"), ("x", "1")]));
        assert_eq!(fields(b"nothing"), []);
        assert_eq!(fields(&[0; 16]), []);
    }

    #[test]
    fn titles_are_utf_8_or_windows_1252() {
        let title = |block: &[u8]| IcyMetadata::parse(block).title().map(str::to_owned);
        assert_eq!(title("StreamTitle='Größe 東';".as_bytes()).as_deref(), Some("Größe 東"));
        assert_eq!(title(b"streamtitle='Gr\xf6\xdfe \x96 x';").as_deref(), Some("Größe – x"));
        assert_eq!(IcyMetadata::parse(b"StreamUrl='u';").url(), Some("u"));
    }

    #[test]
    fn any_split_gives_the_media_and_the_metadata_in_place() {
        let interval = 37;
        let media: Vec<u8> = (0..1000u32).map(|i| (i * 7) as u8).collect();
        let mut stream = Vec::new();
        for (i, part) in media.chunks(interval).enumerate() {
            stream.extend_from_slice(part);
            if part.len() < interval {
                break;
            }
            let text =
                if i % 3 == 0 { ["StreamTitle='", &"t".repeat(i), "';"].concat() } else { String::new() };
            stream.push(text.len().div_ceil(16) as u8);
            stream.extend_from_slice(text.as_bytes());
            stream.resize(stream.len() + text.len().next_multiple_of(16) - text.len(), 0);
        }
        let read = |size: usize| {
            let mut reader = IcyReader::new(interval as u32).unwrap();
            let (mut out, mut titles) = (Vec::new(), Vec::new());
            for mut chunk in stream.chunks(size) {
                while let Some(piece) = reader.next(&mut chunk) {
                    match piece {
                        Piece::Media(bytes) => out.extend_from_slice(bytes),
                        Piece::Metadata(m) => {
                            titles.push((reader.media_bytes(), m.title().map_or(0, str::len)));
                        }
                    }
                }
            }
            (out, titles)
        };
        let whole = read(stream.len());
        assert_eq!(whole.0, media);
        assert_eq!(whole.1[..3], [(37, 0), (4 * 37, 3), (7 * 37, 6)]);
        for size in [1, 2, 3, 16, 17, 36, 37, 38, 100] {
            assert_eq!(read(size), whole, "{size}");
        }
        assert!(IcyReader::new(0).is_none() && IcyReader::new(u32::MAX).is_none());
    }
}
