//! How an MP3 file is laid out: its length and the way from a time to a position, for seeking.

use crate::codec::mpeg_audio::{DECODER_DELAY, MpegAudioHeader, Toc, VbrHeader};
use crate::container::framed::FrameReader;
use crate::container::frames::{Frames, TAG_HEADER, tag_size};
use crate::time::{Seconds, Ticks};

/// What the first frames of a file of MPEG audio tell about all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mp3Layout {
    /// Header of the first frame with sound.
    pub header: MpegAudioHeader,
    /// Position of the first frame, the one with Xing's or VBRI's header if there is one: behind ID3v2 tags.
    pub start: u64,
    /// Position of the first frame with sound.
    pub first: u64,
    /// Frames with sound, where it is told.
    pub frames: Option<u32>,
    /// Bytes from `start` on, where it is told.
    pub bytes: Option<u32>,
    /// From times to positions, where it is told.
    pub toc: Toc,
    /// Samples that the encoder put in front; what decoders add is not in it.
    pub delay: u32,
    /// Samples that the encoder added at the end.
    pub padding: u32,
    /// `delay` and `padding` are told.
    pub gapless: bool,
}

impl Mp3Layout {
    /// Reads the first bytes of a file. `None`: it is no MPEG audio, or the first frame is not all there. `prefix` must reach
    /// beyond ID3v2 tags.
    pub fn read(prefix: &[u8]) -> Option<Self> {
        let mut start = 0usize;
        while prefix.get(start..)?.starts_with(b"ID3") {
            start = start.checked_add(TAG_HEADER)?.checked_add(tag_size(prefix.get(start..)?)?)?;
        }
        let frame = prefix.get(start..)?;
        let header = MpegAudioHeader::parse_any(frame.first_chunk()?)?;
        let frame = frame.get(..Frames::Mpeg.measure(frame)??.size)?;
        Some(Self::from_frame(header, frame, start as u64))
    }

    /// From the first frame, whole, at `start`.
    pub(super) fn from_frame(header: MpegAudioHeader, frame: &[u8], start: u64) -> Self {
        let header = if header.frame_size == 0 { header.sized(frame.len() as u16) } else { header };
        let vbr = VbrHeader::parse(&header, frame);
        let first = if vbr.is_some() { start + frame.len() as u64 } else { start };
        let vbr = vbr.unwrap_or_default();
        let (delay, padding) = vbr.gapless.unwrap_or((0, 0));
        Self {
            header,
            start,
            first,
            frames: vbr.frames,
            bytes: vbr.bytes,
            toc: vbr.toc,
            delay,
            padding,
            gapless: vbr.gapless.is_some(),
        }
    }

    /// Media time, in samples, at which what is presented begins: what the encoder and the decoder put before it is left out.
    pub fn edit_start(&self) -> Ticks {
        if self.gapless { Ticks::from(self.delay + DECODER_DELAY) } else { 0 }
    }

    /// Media time, in samples, at which the frames end that the header counts.
    fn counted(&self) -> Option<Ticks> {
        Some(Ticks::from(self.frames?) * Ticks::from(self.header.samples()))
    }

    /// Media time, in samples, at which what is presented ends.
    pub fn end(&self) -> Option<Ticks> {
        let all = self.counted()?;
        let cut = if self.gapless { Ticks::from(self.padding) - Ticks::from(DECODER_DELAY) } else { 0 };
        Some((all - cut.max(0)).max(0))
    }

    /// Tells a reader what is left out.
    pub(super) fn trim(&self, reader: &mut FrameReader) {
        let end = self.end().zip(self.counted()).filter(|_| self.gapless);
        reader.set_edit(self.edit_start(), end);
    }

    /// Whether frames, bytes and table are those of the whole file, as far as can be told: another file may be joined on behind the one
    /// whose header it begins with. Tags at the end are not counted, so a sixteenth more is no sign.
    fn is_whole(&self, file_size: Option<u64>) -> bool {
        let rest = file_size.map(|size| size.saturating_sub(self.start));
        !matches!((rest, self.bytes), (Some(rest), Some(told)) if rest > u64::from(told) + u64::from(told / 16))
    }

    /// Bytes of a frame, on average or by the bit rate of the first one.
    fn frame_size(&self) -> f64 {
        match (self.frames, self.bytes) {
            (Some(frames), Some(bytes)) => f64::from(bytes) / f64::from(frames),
            _ => {
                f64::from(self.header.bitrate) / 8.0 * f64::from(self.header.samples())
                    / f64::from(self.header.sampling_rate)
            }
        }
    }

    /// Seconds that are presented; of files that do not tell, from the rate of bytes and the size of the file.
    pub fn duration(&self, file_size: Option<u64>) -> Option<Seconds> {
        let rate = f64::from(self.header.sampling_rate);
        if let Some(end) = self.end().filter(|_| self.is_whole(file_size)) {
            return Some((end - self.edit_start()).max(0) as f64 / rate);
        }
        let frames = file_size?.saturating_sub(self.first) as f64 / self.frame_size();
        Some(frames * f64::from(self.header.samples()) / rate)
    }

    /// Where to read for a time (seconds as presented): a position in the file and the media time, in samples, of the frame about
    /// there. With a table the time is as exact as that is, within a hundredth of the whole or so; without one it is exact for
    /// constant bit rates alone.
    pub fn seek(&self, time: Seconds, file_size: Option<u64>) -> (u64, Ticks) {
        let samples = Ticks::from(self.header.samples());
        let media = (time.max(0.0) * f64::from(self.header.sampling_rate)) as Ticks + self.edit_start();
        // A frame needs bits from the ones before it.
        let frame = (media / samples - 2).max(0);
        let told = match self.is_whole(file_size) {
            true => (&self.toc, self.frames, self.bytes),
            false => (&Toc::None, None, None),
        };
        let (position, frame) = match told {
            (Toc::Hundredths(toc), Some(frames), Some(bytes)) => {
                // A whole step back, so that the time of the place is known.
                let step = (frame.saturating_mul(100) / Ticks::from(frames)).clamp(0, 99);
                let part = u64::from(toc.get(step as usize).copied().unwrap_or(0));
                (self.start + part * u64::from(bytes) / 256, step * Ticks::from(frames) / 100)
            }
            (Toc::Sizes { frames, sizes }, ..) => {
                let entry = (frame / Ticks::from(*frames)).clamp(0, sizes.len() as Ticks) as usize;
                let bytes: u64 = sizes.iter().take(entry).map(|&size| u64::from(size)).sum();
                // Counted from the first frame with sound.
                (self.first.saturating_add(bytes), entry as Ticks * Ticks::from(*frames))
            }
            (_, Some(frames), bytes) if bytes.is_some() || file_size.is_some() => {
                let bytes = bytes.map_or_else(
                    || file_size.map_or(0, |size| size.saturating_sub(self.first)),
                    |b| u64::from(b).saturating_sub(self.first - self.start),
                );
                let frame = frame.min(Ticks::from(frames));
                (self.first + (bytes as f64 * frame as f64 / f64::from(frames)) as u64, frame)
            }
            _ => {
                // Padding bytes come and go: the frame that begins at the place or behind is searched for.
                (self.first + (frame as f64 * self.frame_size()) as u64, frame)
            }
        };
        if position <= self.first { (self.first, 0) } else { (position, frame * samples) }
    }
}
