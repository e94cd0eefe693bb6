//! H.264 and HEVC in PES packets: byte streams with start codes to samples with length prefixes (ISO/IEC 14496-10 and 23008-2 annex B,
//! ISO/IEC 14496-15 §5 and §8).
//!
//! Payload bytes go once from the pushed chunk into the sink's buffer. A start code becomes a length: four bytes are
//! written before each NAL unit and filled in when its end is found. Small units that come before a picture are
//! collected aside until its first slice tells what it is.

use super::sets::{Codec, MAX_SET, Sets};
use super::{PACKET, start_code};
use crate::codec::avc::{self, SliceStart};
use crate::codec::{hevc, sei};
use crate::container::{Sample, Sink, TrackId};
use crate::time::Ticks;

/// Bytes of a slice that tell the second field of a frame from a new frame; only asked for where fields may occur.
const FIELD_HEAD: usize = 16;
/// Largest access unit. Level 6.2 pictures stay far below; damaged streams must not fill the memory.
const MAX_ACCESS_UNIT: usize = 64 << 20;
/// Largest parameter set or SEI before a picture.
const MAX_ASIDE: usize = MAX_SET;
/// Longest duration of a picture that is believed, in ticks: ten seconds, as slide shows have.
const MAX_STEP: Ticks = 10 * 90_000;
/// Frame duration assumed where neither time stamps nor the SPS tell: 30 frames/s.
const DEFAULT_STEP: Ticks = 3000;

/// Where the bytes of the current NAL unit go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Nowhere,
    /// The sink's buffer, as part of the access unit.
    Sample,
    /// `prefix`: SEI before the first slice.
    Prefix,
    /// `set`: a parameter set.
    Set,
}

/// What is done with a NAL unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// A slice; `random_access` where decoding can start at its picture.
    Slice { random_access: bool },
    /// More of a picture that has begun, for the decoder.
    More,
    /// A parameter set.
    Set,
    /// SEI before a picture.
    Sei,
    /// Comes before the first slice of a picture and is left out.
    Before,
    /// Left out.
    Nothing,
}

fn classify(codec: Codec, head: &[u8]) -> Class {
    let Some(&first) = head.first().filter(|&&first| first & 0x80 == 0) else { return Class::Nothing };
    if !codec.is_hevc() {
        use avc::nal;
        return match first & 0x1f {
            kind @ (nal::SLICE | nal::PARTITION_A | nal::IDR) => {
                Class::Slice { random_access: kind == nal::IDR }
            }
            // Partitions B and C of the picture; the decoder wants them with A.
            3 | 4 => Class::More,
            nal::SPS | nal::PPS => Class::Set,
            nal::SEI => Class::Sei,
            // Delimiters have done their work with the start codes' end; SVC and MVC units are not for base decoders, and prefix
            // units come between slices too; filler and ends of sequence mean nothing in samples.
            nal::AUD | nal::SUBSET_SPS..=nal::RESERVED_18 => Class::Before,
            _ => Class::Nothing,
        };
    }
    use hevc::nal;
    // Extension layers are not for base decoders.
    match head.first_chunk().map(|&header| (hevc::nal_type(first), hevc::layer_id(header))) {
        Some((kind, 0)) if hevc::is_slice(kind) => {
            Class::Slice { random_access: hevc::is_random_access(kind) }
        }
        Some((nal::VPS..=nal::PPS, 0)) => Class::Set,
        Some((nal::PREFIX_SEI, 0)) => Class::Sei,
        // The end of a sequence changes how the next random access point is decoded.
        Some((nal::EOS | nal::EOB | nal::SUFFIX_SEI, 0)) => Class::More,
        // §7.4.2.4.4: what may begin an access unit.
        Some((nal::AUD | 41..=44 | 48..=55, 0)) => Class::Before,
        _ => Class::Nothing,
    }
}

/// The access unit in progress.
#[derive(Clone, Copy, Debug, Default)]
struct AccessUnit {
    /// A slice was taken: it has a time, and its track is known.
    open: bool,
    /// Bytes in the sink's buffer.
    size: usize,
    sync: bool,
    pts: Ticks,
    dts: Ticks,
    first: Option<SliceStart>,
    second_field: bool,
}

/// Reads one elementary stream of H.264 or HEVC.
#[derive(Debug)]
pub struct NalReader {
    track: TrackId,
    language: Option<String>,
    codec: Codec,
    sets: Sets,
    announced: bool,

    /// First bytes of a NAL unit whose kind is not decided yet.
    head: [u8; FIELD_HEAD],
    /// `None` within a NAL unit, or before the first.
    head_len: Option<usize>,
    target: Target,
    /// Where the length of the current NAL unit is written: offset in the access unit or in `prefix`.
    length_at: usize,
    /// Zero bytes at the end of what was given, up to 2: a start code may go on in the next packet.
    zeros: usize,

    set: Vec<u8>,
    prefix: Vec<u8>,
    recovery_point: bool,

    unit: AccessUnit,
    /// Time stamps of the PES packet, for the first access unit that begins in it.
    next_time: Option<(Ticks, Ticks)>,
    last_time: Option<(Ticks, Ticks)>,
    step: Ticks,
    warned: bool,
}

impl NalReader {
    /// A reader that calls the sink with this track.
    pub fn new(codec: Codec, track: TrackId, language: Option<String>) -> Self {
        Self {
            track,
            language,
            codec,
            sets: Sets::new(codec),
            announced: false,
            head: [0; FIELD_HEAD],
            head_len: None,
            target: Target::Nowhere,
            length_at: 0,
            zeros: 0,
            set: Vec::new(),
            prefix: Vec::new(),
            recovery_point: false,
            unit: AccessUnit::default(),
            next_time: None,
            last_time: None,
            step: 0,
            warned: false,
        }
    }

    /// Whether the sink knows the track.
    pub fn announced(&self) -> bool {
        self.announced
    }

    /// A PES packet begins.
    pub fn begin_pes(&mut self, pts: Option<Ticks>, dts: Option<Ticks>, offset: u64, sink: &mut dyn Sink) {
        let header = self.codec.header();
        if let Some(len) = self.head_len.filter(|&len| len > header) {
            // A slice shorter than `FIELD_HEAD` begins in the packet before and takes its time stamp.
            self.decide_head(len, offset, sink);
        }
        if let Some(pts) = pts {
            self.next_time = Some((pts, dts.unwrap_or(pts)));
        }
    }

    /// Takes payload bytes.
    #[inline]
    pub fn push(&mut self, data: &[u8], offset: u64, sink: &mut dyn Sink) {
        let mut at = 0;
        loop {
            if self.head_len.is_some() {
                match self.collect_head(&data[at..], offset, sink) {
                    Some(used) => at += used,
                    None => return,
                }
            }
            let rest = &data[at..];
            // A start code that began in the bytes before.
            let straddling = match (self.zeros, rest) {
                (2.., [1, ..]) => Some(1),
                (1.., [0, 1, ..]) => Some(2),
                _ => None,
            };
            if let Some(used) = straddling {
                self.end_nal(sink);
                at += used;
            } else if let Some(found) = start_code::find(rest, 0) {
                self.write(&rest[..found], sink);
                self.end_nal(sink);
                at += found + 3;
            } else {
                self.write(rest, sink);
                self.zeros = match rest {
                    [.., 0, 0] => 2,
                    [0] => (self.zeros + 1).min(2),
                    [.., 0] => 1,
                    [] => self.zeros,
                    _ => 0,
                };
                return;
            }
            self.head_len = Some(0);
        }
    }

    /// Takes as many packets as follow one another on this PID with nothing but payload, within one NAL unit of a sample:
    /// nearly all packets of a stream. `header` is the first four bytes of the next packet as it must be; its continuity
    /// counter goes on. Returns how many packets were taken; what stops it is for [`Self::push`].
    #[inline]
    pub fn push_run(&mut self, data: &[u8], mut header: u32, most: usize, sink: &mut dyn Sink) -> usize {
        if self.head_len.is_some() || self.target != Target::Sample || self.zeros != 0 {
            return 0;
        }
        let most = most.min((MAX_ACCESS_UNIT - self.unit.size.min(MAX_ACCESS_UNIT)) / start_code::PAYLOAD);
        let packets = data.as_chunks::<PACKET>().0;
        let fits = |packet: &[u8; PACKET], header: u32| packet.first_chunk() == Some(&header.to_be_bytes());
        // Most often after an access unit or a packet of another stream: no call of the sink for nothing.
        if most == 0 || !packets.first().is_some_and(|packet| fits(packet, header)) {
            return 0;
        }
        let out = sink.buffer(self.track);
        let mut taken = 0;
        for packet in packets.iter().take(most) {
            let Some(payload) = packet.last_chunk() else { break };
            if !fits(packet, header) || !start_code::append_unless_zero_pair(payload, out) {
                break;
            }
            taken += 1;
            header = header & !15 | (header + 1) & 15;
            if payload[start_code::PAYLOAD - 1] == 0 {
                self.zeros = 1;
                break;
            }
        }
        self.unit.size += taken * start_code::PAYLOAD;
        taken
    }

    /// Collects the bytes that decide on a NAL unit and begins it. `None` when `data` is used up before that, else how many
    /// bytes were taken.
    fn collect_head(&mut self, data: &[u8], offset: u64, sink: &mut dyn Sink) -> Option<usize> {
        let mut len = self.head_len.unwrap_or(0);
        for (i, &b) in data.iter().enumerate() {
            self.head[len] = b;
            len += 1;
            if self.head[..len].ends_with(&[0, 0, 1]) {
                // A unit shorter than what was asked for, or none at all.
                let end = self.head[..len - 3].iter().rposition(|&b| b != 0).map_or(0, |p| p + 1);
                self.begin_nal(end, offset, sink);
                self.end_nal(sink);
                len = 0;
                continue;
            }
            let header = self.codec.header();
            let wanted = match classify(self.codec, &self.head[..len]) {
                Class::Slice { .. } if self.sets.has_fields() => FIELD_HEAD,
                // And the byte that tells whether it is the first of its picture.
                Class::Slice { .. } => header + 1,
                _ => header,
            };
            if len >= wanted {
                self.decide_head(len, offset, sink);
                return Some(i + 1);
            }
        }
        self.head_len = Some(len);
        None
    }

    /// Begins the NAL unit that starts with the `len` bytes of `head`; its body follows.
    fn decide_head(&mut self, len: usize, offset: u64, sink: &mut dyn Sink) {
        self.begin_nal(len, offset, sink);
        self.head_len = None;
        self.zeros = self.head[..len].iter().rev().take(2).take_while(|&&b| b == 0).count();
    }

    /// Begins a NAL unit whose first `len` bytes are in `head`.
    fn begin_nal(&mut self, len: usize, offset: u64, sink: &mut dyn Sink) {
        let head = self.head;
        self.target = Target::Nowhere;
        let has_fields = self.sets.has_fields();
        match classify(self.codec, &head[..len]) {
            Class::Slice { random_access } => {
                self.begin_slice(&head[..len], random_access, offset, sink);
                return;
            }
            Class::More if self.unit.open => {
                self.begin_in_sample(&head[..len], sink);
                return;
            }
            Class::More | Class::Nothing => return,
            Class::Set => {
                self.target = Target::Set;
                self.set.clear();
            }
            Class::Sei => {
                self.target = Target::Prefix;
                if self.unit.open && !has_fields {
                    self.end_unit(sink);
                }
                if self.prefix.len() > MAX_ASIDE {
                    self.target = Target::Nowhere;
                } else {
                    self.length_at = self.prefix.len();
                    self.prefix.extend_from_slice(&[0; 4]);
                }
            }
            Class::Before => {}
        }
        // All of these come before the first slice of a picture (§7.4.1.2.3). Where fields occur, only its slices tell
        // whether the next one belongs to the same frame.
        if self.unit.open && !has_fields {
            self.end_unit(sink);
        }
        self.write(&head[..len], sink);
    }

    fn begin_slice(&mut self, head: &[u8], random_access: bool, offset: u64, sink: &mut dyn Sink) {
        let at = self.codec.header();
        let Some(&first_byte) = head.get(at) else { return };
        // `first_mb_in_slice` is 0, or `first_slice_segment_in_pic_flag` is set: the same bit.
        let starts_picture = avc::starts_picture(first_byte);
        if self.unit.open && starts_picture && !self.joins_as_second_field(head) {
            self.end_unit(sink);
        }
        if !self.unit.open {
            // The rest of a picture whose start was lost is of no use.
            if !starts_picture || !self.begin_unit(head, random_access, first_byte, offset, sink) {
                self.prefix.clear();
                return;
            }
        }
        if !self.sets.in_band.is_empty() || !self.prefix.is_empty() {
            let out = sink.buffer(self.track);
            out.extend_from_slice(&self.sets.in_band);
            out.extend_from_slice(&self.prefix);
            self.unit.size += self.sets.in_band.len() + self.prefix.len();
            self.sets.in_band.clear();
            self.prefix.clear();
        }
        self.begin_in_sample(head, sink);
    }

    fn begin_in_sample(&mut self, head: &[u8], sink: &mut dyn Sink) {
        self.target = Target::Sample;
        self.length_at = self.unit.size;
        let out = sink.buffer(self.track);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(head);
        self.unit.size += 4 + head.len();
    }

    /// Whether a slice with `first_mb_in_slice` 0 is of the second field of the frame in progress: both fields of a frame
    /// make one sample.
    fn joins_as_second_field(&mut self, head: &[u8]) -> bool {
        let (Some(first), Some(this)) = (self.unit.first, self.sets.slice_start(head)) else { return false };
        let opposite = matches!((first.field, this.field), (Some(a), Some(b)) if a != b);
        if self.unit.second_field || !opposite || first.frame_num != this.frame_num {
            return false;
        }
        self.unit.second_field = true;
        // Its own time stamp, if it has one, is within the frame.
        self.next_time = None;
        true
    }

    /// Starts an access unit with its first slice. `false` if it cannot be given out.
    fn begin_unit(
        &mut self,
        head: &[u8],
        random_access: bool,
        first_byte: u8,
        offset: u64,
        sink: &mut dyn Sink,
    ) -> bool {
        let gradual = !self.codec.is_hevc()
            && (self.recovery_point || (self.sets.saw_sps && avc::is_intra_start(first_byte)));
        let sync = random_access || gradual;
        (self.recovery_point, self.sets.saw_sps) = (false, false);
        let time = self.next_time.take().or_else(|| {
            // Not the first picture of its PES packet: one frame later (§2.4.3.7 leaves it to the decoder).
            let (pts, dts) = self.last_time?;
            let step = self.frame_step();
            Some((pts + step, dts + step))
        });
        if !self.sets.is_complete() {
            self.warn_once(offset, "picture before its parameter sets", sink);
            return false;
        }
        let Some((pts, dts)) = time else {
            self.warn_once(offset, "picture without time stamp", sink);
            return false;
        };
        if self.sets.changed {
            // A browser starts a new track at a key frame only: elsewhere changed sets stay in the stream.
            if sync || !self.announced {
                self.announce(sink);
                self.sets.in_band.clear();
            }
        } else {
            self.sets.in_band.clear();
        }
        if let Some((_, last)) = self.last_time {
            let step = dts - last;
            if (1..=MAX_STEP).contains(&step) {
                self.step = step;
            }
        }
        self.last_time = Some((pts, dts));
        let first = self.sets.slice_start(head);
        self.unit = AccessUnit { open: true, size: 0, sync, pts, dts, first, second_field: false };
        true
    }

    fn frame_step(&self) -> Ticks {
        if self.step > 0 {
            return self.step;
        }
        match self.sets.frame_duration() {
            Some((units, scale)) => (i64::from(units) * 90_000 / i64::from(scale)).clamp(1, MAX_STEP),
            None => DEFAULT_STEP,
        }
    }

    fn warn_once(&mut self, offset: u64, what: &'static str, sink: &mut dyn Sink) {
        if !self.warned {
            self.warned = true;
            sink.warning(offset, what);
        }
    }

    fn announce(&mut self, sink: &mut dyn Sink) {
        let Some(info) = self.sets.describe(self.track, self.language.as_ref()) else { return };
        sink.track(info);
        self.announced = true;
        self.sets.changed = false;
        self.warned = false;
    }

    /// Adds bytes to the current NAL unit.
    #[inline]
    fn write(&mut self, bytes: &[u8], sink: &mut dyn Sink) {
        match self.target {
            Target::Sample => {
                if self.unit.size + bytes.len() > MAX_ACCESS_UNIT {
                    self.damage(sink);
                    return;
                }
                sink.buffer(self.track).extend_from_slice(bytes);
                self.unit.size += bytes.len();
            }
            Target::Nowhere => {}
            Target::Prefix | Target::Set => {
                let aside = if self.target == Target::Set { &mut self.set } else { &mut self.prefix };
                if aside.len() + bytes.len() > 2 * MAX_ASIDE {
                    aside.clear();
                    self.target = Target::Nowhere;
                } else {
                    aside.extend_from_slice(bytes);
                }
            }
        }
    }

    /// The current NAL unit has ended: fills in its length and takes note of what it says.
    fn end_nal(&mut self, sink: &mut dyn Sink) {
        self.zeros = 0;
        match std::mem::replace(&mut self.target, Target::Nowhere) {
            Target::Nowhere => {}
            Target::Sample => {
                let out = sink.buffer(self.track);
                let Some(base) = out.len().checked_sub(self.unit.size) else { return };
                end_length_prefixed(out, base + self.length_at);
                self.unit.size = out.len() - base;
            }
            Target::Prefix => {
                end_length_prefixed(&mut self.prefix, self.length_at);
                self.take_sei();
            }
            Target::Set => {
                while self.set.last() == Some(&0) {
                    self.set.pop();
                }
                self.sets.take(&self.set);
            }
        }
    }

    /// Reads the SEI NAL unit at the end of `prefix`.
    fn take_sei(&mut self) {
        let header = self.codec.header();
        let body = self.prefix.get(self.length_at + 4 + header..).unwrap_or_default();
        sei::messages(body, |kind, _| self.recovery_point |= kind == sei::RECOVERY_POINT);
    }

    /// Gives out the access unit in progress.
    fn end_unit(&mut self, sink: &mut dyn Sink) {
        let unit = std::mem::take(&mut self.unit);
        if unit.open && unit.size > 0 {
            // The header of the next PES packet has come, its picture not yet: a muxer need not wait for that.
            let step = self.next_time.and_then(|(_, next)| next.checked_sub(unit.dts));
            let duration = step.filter(|step| (1..=MAX_STEP).contains(step)).map(|step| step as u32);
            let sample =
                Sample { dts: unit.dts, pts: unit.pts, duration, sync: unit.sync, size: unit.size as u32 };
            sink.sample(self.track, sample);
        }
    }

    /// Bytes were lost: gives up the access unit in progress and waits for the next start code.
    pub fn damage(&mut self, sink: &mut dyn Sink) {
        if self.unit.size > 0 {
            let out = sink.buffer(self.track);
            out.truncate(out.len().saturating_sub(self.unit.size));
        }
        self.forget_pending();
    }

    fn forget_pending(&mut self) {
        self.unit = AccessUnit::default();
        self.prefix.clear();
        self.set.clear();
        self.head_len = None;
        self.target = Target::Nowhere;
        self.zeros = 0;
        self.recovery_point = false;
        self.sets.saw_sps = false;
        self.next_time = None;
    }

    /// Forgets pending data and time, for a seek. What the sink has of an access unit in progress is not part of any sample.
    pub fn reset(&mut self) {
        self.forget_pending();
        self.last_time = None;
        self.warned = false;
    }

    /// The segment has ended: gives out the last access unit.
    pub fn finish(&mut self, sink: &mut dyn Sink) {
        if let Some(len) = self.head_len.take() {
            self.begin_nal(len, 0, sink);
        }
        self.end_nal(sink);
        self.end_unit(sink);
        self.forget_pending();
    }
}

/// Strips the zeros that belong to the next start code (`trailing_zero_8bits`, §B.1.1) and fills in the length at `at`. A NAL
/// unit itself never ends in a zero byte (§7.4.1).
fn end_length_prefixed(out: &mut Vec<u8>, at: usize) {
    while out.len() > at + 5 && out.last() == Some(&0) {
        out.pop();
    }
    let len = out.len().saturating_sub(at + 4) as u32;
    if let Some(field) = out.get_mut(at..at + 4) {
        field.copy_from_slice(&len.to_be_bytes());
    }
}
