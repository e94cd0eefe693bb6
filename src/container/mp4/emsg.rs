//! Event messages (ISO/IEC 23009-1 §5.10.3.3).

use super::boxes::{FourCc, Mp4Box};
use crate::bytes::{ByteReader, decode_text};
use crate::container::{EventMessage, Metadata};
use crate::time::{Ticks, Timescale};

/// Name of the box.
pub(super) const NAME: FourCc = *b"emsg";
/// Largest box that is read, in bytes; others are passed over.
pub(super) const MAX_SIZE: u64 = 256 << 10;
/// Event messages of a segment that wait for the time at which it begins, at most.
pub(super) const MAX_WAITING: usize = 64;

pub(super) const PASSED_OVER: &str = "an event message was passed over";

/// An event message, and when it begins.
#[derive(Debug)]
pub(super) struct Emsg {
    /// In ticks of 90 kHz.
    pub time: Ticks,
    /// The time counts from the start of the segment.
    pub relative: bool,
    pub message: Metadata,
}

/// Reads the body of the box. `None`: it is malformed, or of a version to come.
pub(super) fn parse(body: &[u8]) -> Option<Emsg> {
    let (version, _, mut r) = Mp4Box { name: NAME, body, whole: body }.full()?;
    let mut texts = (String::new(), String::new());
    if version == 0 {
        texts = (text(&mut r)?, text(&mut r)?);
    } else if version > 1 {
        return None;
    }
    let scale = Timescale::new(r.u32()?)?;
    let ticks = |time: u64| Timescale::MPEG.ticks(scale.seconds(Ticks::try_from(time).unwrap_or(Ticks::MAX)));
    let time = if version == 0 { r.u32()?.into() } else { r.u64()? };
    let (duration, id) = (r.u32()?, r.u32()?);
    if version == 1 {
        texts = (text(&mut r)?, text(&mut r)?);
    }
    let (scheme_id_uri, value) = texts;
    let message = EventMessage {
        scheme_id_uri,
        value,
        id,
        duration: (duration != u32::MAX).then(|| ticks(duration.into())),
        data: r.rest().to_vec(),
    };
    Some(Emsg { time: ticks(time), relative: version == 0, message: Metadata::Event(Box::new(message)) })
}

/// A string up to its zero byte.
fn text(r: &mut ByteReader<'_>) -> Option<String> {
    let length = r.rest().iter().position(|&b| b == 0)?;
    let text = decode_text(r.take(length)?);
    r.skip(1)?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(parsed: &Emsg) -> &EventMessage {
        let Metadata::Event(message) = &parsed.message else { panic!("{parsed:?}") };
        message
    }

    #[test]
    fn both_versions_are_read() {
        let zero = b"\0\0\0\0urn:x\x001\0\0\0\x03\xe8\0\0\x01\xf4\0\0\x07\xd0\0\0\0\x07data";
        let one = b"\x01\0\0\0\0\0\x03\xe8\0\0\0\x01\0\0\0\0\xff\xff\xff\xff\0\0\0\x07urn:x\x001\0data";
        let a = parse(zero).unwrap();
        assert_eq!((a.time, a.relative, event(&a).duration), (45_000, true, Some(180_000)));
        let b = parse(one).unwrap();
        assert_eq!((b.time, b.relative, event(&b).duration), (386_547_056_640, false, None));
        for message in [event(&a), event(&b)] {
            assert_eq!(
                (message.scheme_id_uri.as_str(), message.value.as_str(), message.id),
                ("urn:x", "1", 7)
            );
            assert_eq!(message.data, b"data");
        }
        for body in [&zero[..], one] {
            for n in 0..body.len() - 4 {
                assert!(parse(&body[..n]).is_none(), "{n}");
            }
        }
        assert!(parse(b"\x02\0\0\0urn:x\x001\0\0\0\x03\xe8\0\0\x01\xf4\0\0\x07\xd0\0\0\0\x07").is_none());
        assert!(
            parse(b"\0\0\0\0urn:x\x001\0\0\0\0\0\0\0\x01\xf4\0\0\x07\xd0\0\0\0\x07").is_none(),
            "timescale 0"
        );
    }
}
