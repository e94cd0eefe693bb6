//! The search for a tag in a stream that is joined in the middle, or damaged.

use super::{AUDIO, POINTER, SCRIPT, State, TAG_HEADER, Tag, VIDEO};

/// Places where a tag or a header may begin, relative to the bytes that are pending.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// Where it begins, and where the size behind it ends.
    candidates: Vec<(usize, usize)>,
    scanned: usize,
}

impl Search {
    /// With more than these the longest one is let go.
    const MAX: usize = 64;

    /// Looks at the bytes that came, for tags of a stream.
    pub fn scan(&mut self, rest: &[u8], stream: u32) {
        // A tag's header and the first byte of its body.
        while let Some(window) = rest.get(self.scanned..).filter(|w| w.len() > TAG_HEADER) {
            let last = window.len() - TAG_HEADER;
            let next = window[..last].iter().position(|b| matches!(*b, AUDIO | VIDEO | SCRIPT | b'F'));
            let Some(next) = next else {
                self.scanned += last;
                return;
            };
            if let Some(size) = Self::plausible(&window[next..], stream) {
                if self.candidates.len() >= Self::MAX
                    && let Some(longest) = (0..self.candidates.len()).max_by_key(|&i| self.candidates[i].1)
                {
                    self.candidates.swap_remove(longest);
                }
                let start = self.scanned + next;
                self.candidates.push((start, start + size));
            }
            self.scanned += next + 1;
        }
    }

    /// Bytes up to the end of the size behind what may be a tag or a header.
    fn plausible(bytes: &[u8], stream: u32) -> Option<usize> {
        if let [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, ..] = bytes {
            return (flags & !5 == 0).then_some(9 + POINTER);
        }
        let tag = Tag::parse(bytes)?.of(stream)?;
        let first = *bytes.get(TAG_HEADER)?;
        let known = match tag.kind {
            SCRIPT => first == 2,
            VIDEO => first & 0x80 != 0 || matches!(first & 15, 2..=7 | 12),
            _ => !matches!(first >> 4, 12 | 13),
        };
        (known && tag.size > 0).then_some(TAG_HEADER + tag.size as usize + POINTER)
    }

    /// Bytes that are of no use any more, and what begins behind them, if that is known.
    pub fn resolve(&mut self, rest: &[u8]) -> (usize, Option<State>) {
        let mut best: Option<(usize, usize)> = None;
        self.candidates.retain(|&(start, end)| {
            let Some(bytes) = rest.get(start..end) else { return true };
            let pointer = bytes.last_chunk::<POINTER>().map(|p| u32::from_be_bytes(*p));
            let expected = if bytes.first() == Some(&b'F') { 0 } else { bytes.len() - POINTER };
            if pointer == Some(expected as u32) && best.is_none_or(|b| end < b.1) {
                best = Some((start, end));
            }
            false
        });
        if let Some((start, _)) = best {
            let state = if rest.get(start) == Some(&b'F') { State::Start } else { State::Tag };
            return (start, Some(state));
        }
        let discard = self.candidates.iter().map(|c| c.0).min().unwrap_or(self.scanned);
        for (start, end) in &mut self.candidates {
            *start -= discard;
            *end -= discard;
        }
        self.scanned -= discard;
        (discard, None)
    }
}
