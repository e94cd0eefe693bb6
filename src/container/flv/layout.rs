//! What a player wants to know of an FLV file to seek in it: duration, index of keyframes, times at places.

use super::amf;
use super::{AUDIO, POINTER, SCRIPT, TAG_HEADER, Tag, VIDEO};
use crate::time::Seconds;

/// Tags that are looked through for `onMetaData`: it is the first by custom.
const MAX_TAGS: usize = 16;

/// A keyframe of the index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keyframe {
    /// Seconds, as the tags count them.
    pub time: Seconds,
    /// Byte of the file at which its tag begins.
    pub position: u64,
}

/// What the head of a file tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// Seconds; `None` where it is not told, as in live streams.
    pub duration: Option<Seconds>,
    /// In order; empty where there is no index.
    pub keyframes: Vec<Keyframe>,
}

/// Whether the bytes were enough.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// They were.
    Done(Layout),
    /// So many bytes from the start of the file are needed.
    Needs(u64),
}

impl Layout {
    /// Reads the first bytes of a file. A file without `onMetaData` gives an empty layout.
    pub fn read(head: &[u8]) -> Progress {
        const HEADER: usize = 9;
        let n = head.len().min(3);
        if head[..n] != b"FLV"[..n] {
            return Progress::Done(Self::default());
        }
        let Some(offset) = head.get(5..HEADER).and_then(|b| b.first_chunk()) else {
            return Progress::Needs((HEADER + POINTER + TAG_HEADER) as u64);
        };
        let mut at = (u32::from_be_bytes(*offset).clamp(9, 1 << 16) as usize) + POINTER;
        for _ in 0..MAX_TAGS {
            let Some(rest) = head.get(at..).filter(|rest| rest.len() >= TAG_HEADER) else {
                return Progress::Needs((at + TAG_HEADER) as u64);
            };
            let Some(tag) = Tag::parse(rest) else { break };
            let end = TAG_HEADER + tag.size as usize;
            if tag.kind == SCRIPT && !tag.encrypted {
                let Some(body) = rest.get(TAG_HEADER..end) else { return Progress::Needs((at + end) as u64) };
                if let Some(script) = amf::read(body).filter(|s| s.name == "onMetaData") {
                    return Progress::Done(Self::of(&script));
                }
            }
            // Media has begun: there will be none.
            if matches!(tag.kind, AUDIO | VIDEO) && tag.time > 0 {
                break;
            }
            at += end + POINTER;
        }
        Progress::Done(Self::default())
    }

    fn of(script: &amf::Script) -> Self {
        let mut keyframes: Vec<Keyframe> = Vec::new();
        for (&time, &position) in script.times.iter().zip(&script.positions) {
            let follows = keyframes.last().is_none_or(|l| time >= l.time && position as u64 > l.position);
            if follows && time.is_finite() && (9.0..9e15).contains(&position) {
                keyframes.push(Keyframe { time, position: position as u64 });
            }
        }
        Self { duration: script.duration.filter(|d| d.is_finite() && *d > 0.0), keyframes }
    }

    /// The last keyframe of the index at `time` (seconds) or before; of those after it the first, if there is none.
    pub fn keyframe(&self, time: Seconds) -> Option<Keyframe> {
        let after = self.keyframes.partition_point(|k| k.time <= time);
        self.keyframes.get(after.saturating_sub(1)).copied()
    }

    /// Time stamp of the last tag in seconds, from the last bytes of a file, of which there are enough if the last tag is among them.
    pub fn end_time(tail: &[u8]) -> Option<Seconds> {
        let (_, pointer) = tail.split_last_chunk::<POINTER>()?;
        let size = u32::from_be_bytes(*pointer) as usize;
        let tag = Tag::parse(tail.get(tail.len().checked_sub(size.checked_add(POINTER)?)?..)?)?;
        (tag.pointer() as usize == size).then(|| Seconds::from(tag.time) / 1000.0)
    }
}

/// The first tag of audio or video in `bytes` from anywhere in a file: where it begins in them, and its time in seconds. For bisection
/// where there is no index.
pub fn time_in(bytes: &[u8]) -> Option<(usize, Seconds)> {
    (0..bytes.len()).find_map(|at| {
        let rest = bytes.get(at..)?;
        let tag = Tag::parse(rest).filter(|t| t.kind != SCRIPT)?.of(0)?;
        let end = TAG_HEADER + tag.size as usize;
        let confirmed = rest.get(end..end + POINTER)? == tag.pointer().to_be_bytes();
        confirmed.then(|| (at, Seconds::from(tag.time) / 1000.0))
    })
}
