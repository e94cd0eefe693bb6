//! Script data: values of AMF 0 (Action Message Format 0 specification), as far as they are told on or used.

use crate::bytes::ByteReader;

/// Objects within objects that are entered.
const MAX_DEPTH: u32 = 6;

/// Values told of one message.
const MAX_PAIRS: usize = 128;

/// Longest value that is told, in bytes.
const MAX_VALUE: usize = 8 << 10;

/// Keyframes taken from an index: one a second for a day.
const MAX_KEYFRAMES: usize = 86_400;

/// A script message: its name, and what is in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Script {
    /// `onMetaData`, `onCuePoint`, `onTextData`, …
    pub name: String,
    /// Names, with a dot for objects in objects, and values.
    pub values: Vec<(String, String)>,
    /// `duration` in seconds.
    pub duration: Option<f64>,
    /// `keyframes`: times in seconds and positions in the file.
    pub times: Vec<f64>,
    pub positions: Vec<f64>,
}

/// Reads the body of a script tag. What is cut or broken is read as far as it goes; `None`: no name.
pub(super) fn read(body: &[u8]) -> Option<Script> {
    let mut r = ByteReader::new(body);
    let mut script = Script::default();
    loop {
        if r.u8()? != 2 {
            return None;
        }
        script.name = text(&mut r, false)?;
        // What publishers send to have the server keep the message.
        if script.name != "@setDataFrame" {
            break;
        }
    }
    let mut path = String::new();
    while r.remaining() > 0 {
        if script.value(&mut r, &mut path, MAX_DEPTH).is_none() {
            break;
        }
    }
    Some(script)
}

fn text(r: &mut ByteReader<'_>, long: bool) -> Option<String> {
    let length = if long { r.u32()? as usize } else { r.u16()?.into() };
    Some(String::from_utf8_lossy(r.take(length)?).into_owned())
}

impl Script {
    fn tell(&mut self, path: &str, value: String) {
        // GStreamer leaves room with a kilobyte of spaces.
        let value = value.trim_ascii_end();
        if self.values.len() < MAX_PAIRS && path != "gstfiller" && value.len() <= MAX_VALUE {
            self.values.push((path.to_owned(), value.to_owned()));
        }
    }

    /// Reads one value, which is called `path`.
    fn value(&mut self, r: &mut ByteReader<'_>, path: &mut String, depth: u32) -> Option<()> {
        match r.u8()? {
            0 => {
                let number = f64::from_bits(r.u64()?);
                if path == "duration" {
                    self.duration = Some(number);
                }
                self.tell(path, decimal(number));
            }
            1 => {
                let value = if r.u8()? == 0 { "false" } else { "true" };
                self.tell(path, value.to_owned());
            }
            kind @ (2 | 12) => {
                let value = text(r, kind == 12)?;
                self.tell(path, value);
            }
            3 => self.object(r, path, depth.checked_sub(1)?)?,
            // The count of an ECMA array is a hint only.
            8 => {
                r.skip(4)?;
                self.object(r, path, depth.checked_sub(1)?)?;
            }
            10 => {
                let count = r.u32()? as usize;
                let depth = depth.checked_sub(1)?;
                for _ in 0..count {
                    self.element(r, path, depth)?;
                }
            }
            // Milliseconds since 1970, and a zone that is not used.
            11 => {
                let number = f64::from_bits(r.u64()?);
                r.skip(2)?;
                self.tell(path, decimal(number));
            }
            5 | 6 | 13 => {}
            7 => r.skip(2)?,
            // What its size is nobody knows.
            _ => return None,
        }
        Some(())
    }

    /// An element of a strict array: numbers of the index are kept, everything else is passed over.
    fn element(&mut self, r: &mut ByteReader<'_>, path: &mut String, depth: u32) -> Option<()> {
        if r.rest().first() != Some(&0) {
            let told = self.values.len();
            let result = self.value(r, path, depth);
            self.values.truncate(told);
            return result;
        }
        r.skip(1)?;
        let number = f64::from_bits(r.u64()?);
        let list = match path.as_str() {
            "keyframes.times" => &mut self.times,
            "keyframes.filepositions" => &mut self.positions,
            _ => return Some(()),
        };
        if list.len() < MAX_KEYFRAMES {
            list.push(number);
        }
        Some(())
    }

    fn object(&mut self, r: &mut ByteReader<'_>, path: &mut String, depth: u32) -> Option<()> {
        loop {
            // An empty name and the end marker; some writers forget them at the end of the message.
            if r.remaining() == 0 {
                return Some(());
            }
            let name = text(r, false)?;
            if name.is_empty() && r.rest().first() == Some(&9) {
                return r.skip(1);
            }
            let length = path.len();
            if length > 0 {
                path.push('.');
            }
            path.push_str(&name);
            let result = self.value(r, path, depth);
            path.truncate(length);
            result?;
        }
    }
}

/// A number for people: three digits after the point at most, no exponent. (Formatting of floats in the standard library weighs 7 kB on
/// the wire.)
fn decimal(number: f64) -> String {
    if !number.is_finite() || number.abs() > 9e15 {
        return String::new();
    }
    let whole = number.abs().trunc();
    let thousandths = ((number.abs() - whole) * 1000.0).round() as u64;
    let (whole, thousandths) = (whole as u64 + thousandths / 1000, thousandths % 1000);
    let mut out = String::new();
    if number < 0.0 {
        out.push('-');
    }
    out.push_str(&whole.to_string());
    if thousandths > 0 {
        out.push('.');
        let digits = (1000 + thousandths).to_string();
        out.push_str(digits.get(1..).unwrap_or_default().trim_end_matches('0'));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(v: f64) -> Vec<u8> {
        [&[0][..], &v.to_be_bytes()].concat()
    }

    fn message(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut out = b"\x02\0\x0aonMetaData\x08\0\0\0\x01".to_vec();
        for (name, value) in fields {
            out.extend_from_slice(&(name.len() as u16).to_be_bytes());
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(value);
        }
        out.extend_from_slice(&[0, 0, 9]);
        out
    }

    #[test]
    fn values_of_every_kind_are_told_or_passed_over() {
        let list = |values: &[f64]| {
            let all: Vec<u8> = values.iter().flat_map(|v| number(*v)).collect();
            [&[10][..], &(values.len() as u32).to_be_bytes(), &all].concat()
        };
        let index = [
            &b"\x03\0\x0dfilepositions"[..],
            &list(&[13.0, 900.0]),
            b"\0\x05times",
            &list(&[0.0, 2.5]),
            b"\0\0\x09",
        ]
        .concat();
        let body = message(&[
            ("duration", number(12.345)),
            ("stereo", vec![1, 1]),
            ("encoder", b"\x02\0\x03Lav".to_vec()),
            ("nothing", vec![5]),
            ("date", [&[11][..], &1e12f64.to_be_bytes(), &[0, 0]].concat()),
            ("inner", b"\x03\0\x01a\x0c\0\0\0\x01b\0\0\x09".to_vec()),
            ("keyframes", index),
            ("width", number(-1.5)),
        ]);
        let script = read(&body).unwrap();
        let pairs: Vec<_> = script.values.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("duration", "12.345"),
                ("stereo", "true"),
                ("encoder", "Lav"),
                ("date", "1000000000000"),
                ("inner.a", "b"),
                ("width", "-1.5")
            ]
        );
        assert_eq!((script.duration, script.name.as_str()), (Some(12.345), "onMetaData"));
        assert_eq!((script.times, script.positions), (vec![0.0, 2.5], vec![13.0, 900.0]));
        for cut in 0..body.len() {
            let _ = read(&body[..cut]);
        }
        let published = [b"\x02\0\x0d@setDataFrame", &body[..]].concat();
        assert_eq!(read(&published).map(|s| s.values.len()), Some(6));
    }

    #[test]
    fn nested_and_huge_messages_are_bounded() {
        let mut deep = b"\x02\0\x01x".to_vec();
        for _ in 0..10_000 {
            deep.extend_from_slice(b"\x03\0\x01a");
        }
        assert_eq!(read(&deep).unwrap().values.len(), 0);
        let huge = [&b"\x02\0\x01x\x0a\xff\xff\xff\xff"[..], &vec![5; 4000]].concat();
        assert!(read(&huge).unwrap().values.is_empty());
        let many: Vec<_> = (0..1000).map(|_| ("a", vec![1, 0])).collect();
        assert_eq!(read(&message(&many)).unwrap().values.len(), MAX_PAIRS);
    }

    #[test]
    fn numbers_are_written_without_the_standard_library() {
        let told = [0.0, 29.97, -2.0, 1e15, 0.9996, 59.94006, f64::NAN].map(decimal);
        assert_eq!(told, ["0", "29.97", "-2", "1000000000000000", "1", "59.94", ""]);
    }
}
