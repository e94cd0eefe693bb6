//! Text of unknown encoding, as old protocols of internet radio have it.

/// The characters of Windows-1252 for 0x80 to 0x9f; 0 where it has none.
const WINDOWS_1252: [u16; 32] = [
    0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0,
    0x017d, 0, 0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a,
    0x0153, 0, 0x017e, 0x0178,
];

/// UTF-8, or what browsers take for Latin-1 where it is none (Windows-1252, WHATWG Encoding §4.2). A byte order mark is left out.
pub fn decode_text(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let character = |&byte: &u8| match WINDOWS_1252.get(usize::from(byte).wrapping_sub(0x80)) {
        Some(&code) if code != 0 => char::from_u32(code.into()).unwrap_or('\u{fffd}'),
        _ => char::from(byte),
    };
    bytes.iter().map(character).collect()
}

/// Where `what` is in a text, in bytes. (The searches of the standard library are fast on megabytes, and 1 kB of code.)
pub fn place_of(text: &str, what: &str) -> Option<usize> {
    text.as_bytes().windows(what.len().max(1)).position(|bytes| bytes == what.as_bytes())
}

/// What is before and behind it.
pub fn split_once<'a>(text: &'a str, what: &str) -> Option<(&'a str, &'a str)> {
    let at = place_of(text, what)?;
    Some((text.get(..at)?, text.get(at + what.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_parted_where_another_stands() {
        assert_eq!(split_once("a-->b-->", "-->"), Some(("a", "b-->")));
        assert_eq!((split_once("a->b", "-->"), split_once("", "-->")), (None, None));
        assert_eq!(place_of("Größe';", "';"), Some(7));
    }

    #[test]
    fn utf_8_is_taken_as_such_and_all_else_for_windows_1252() {
        assert_eq!(decode_text("\u{feff}Größe – 1".as_bytes()), "Größe – 1");
        assert_eq!(decode_text(b"Gr\xf6\xdfe \x96 it\x92s \x81"), "Größe – it’s \u{81}");
        assert_eq!(decode_text(b""), "");
    }
}
