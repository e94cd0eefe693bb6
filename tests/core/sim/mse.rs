//! A model of Media Source Extensions: what a SourceBuffer makes of the bytes that are appended, and what it refuses.
//! Section numbers are those of the W3C recommendation.

use super::media::Mark;
use millrace::codec::mpeg_audio::MpegAudioHeader;
use millrace::container::mp4::FragmentDemuxer;
#[cfg(feature = "webm")]
use millrace::container::webm::WebmDemuxer;
use millrace::container::{Demuxer, Sample, Sink, TrackId, TrackInfo};
use millrace::time::TimeRanges;

/// A sample in a buffer, on the presentation's timeline, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    pub mark: Mark,
    pub pts: f64,
    pub dts: f64,
    pub duration: f64,
    pub sync: bool,
    pub size: usize,
}

impl Stored {
    pub fn end(&self) -> f64 {
        self.pts + self.duration
    }
}

/// Why an operation throws or fires `error`.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// QuotaExceededError of `appendBuffer`.
    Quota,
    /// The bytes are not what they should be: `error` at the buffer, then at the element.
    Parse(String),
    /// The caller broke a rule: InvalidStateError and the like.
    Misuse(String),
}

#[derive(Default)]
struct Parsed {
    info: Option<TrackInfo>,
    tracks: usize,
    complete: bool,
    buffer: Vec<u8>,
    samples: Vec<(Sample, Option<Mark>)>,
}

impl Sink for Parsed {
    fn track(&mut self, info: TrackInfo) {
        self.tracks += 1;
        self.info = Some(info);
    }

    fn tracks_complete(&mut self) {
        self.complete = true;
    }

    fn buffer(&mut self, _: TrackId) -> &mut Vec<u8> {
        &mut self.buffer
    }

    fn sample(&mut self, _: TrackId, sample: Sample) {
        let start = self.buffer.len() - sample.size as usize;
        self.samples.push((sample, Mark::read(&self.buffer[start..])));
        self.buffer.clear();
    }

    fn warning(&mut self, _: u64, _: &'static str) {}
}

fn demuxer(mime: &str) -> Box<dyn Demuxer> {
    match mime {
        #[cfg(feature = "webm")]
        _ if mime.contains("webm") => Box::new(WebmDemuxer::default()),
        _ => Box::new(FragmentDemuxer::new()),
    }
}

/// One SourceBuffer.
pub struct SourceBuffer {
    pub mime: String,
    demuxer: Box<dyn Demuxer>,
    parsed: Parsed,
    /// In order of presentation.
    pub samples: Vec<Stored>,
    /// One has come: the element knows what it is to play, whatever type comes after (§3.2 does not touch `readyState`).
    pub has_init: bool,
    needs_init: bool,
    /// The codec of the last init segment; refused media has another than `mime` says.
    pub updating: bool,
    last: Option<(f64, f64)>,
    group_end: Option<f64>,
    need_sync: bool,
    pub quota: usize,
    bytes: usize,
    ranges: TimeRanges,
    /// Everything that was ever put in, in order.
    pub log: Vec<Stored>,
    /// Samples of a window that were dropped, or not decodable without a keyframe.
    pub dropped: Vec<Mark>,
    /// Frames without times (§4.2 of the byte stream format registry): the offset that was set, and the time of the next frame.
    counted: Option<(f64, f64)>,
}

impl SourceBuffer {
    pub fn new(mime: &str, quota: usize) -> Self {
        Self {
            mime: mime.to_owned(),
            demuxer: demuxer(mime),
            parsed: Parsed::default(),
            samples: Vec::new(),
            has_init: false,
            needs_init: true,
            updating: false,
            last: None,
            group_end: None,
            need_sync: true,
            quota,
            bytes: 0,
            ranges: TimeRanges::default(),
            log: Vec::new(),
            dropped: Vec::new(),
            counted: None,
        }
    }

    /// MPEG audio frames as they are, in sequence mode.
    fn append_raw(&mut self, mut data: &[u8], offset: f64, window: (f64, f64)) -> Result<(), Refusal> {
        // Setting the same offset again does nothing: the shell leaves it out.
        let mut next = match self.counted {
            Some((set, next)) if set == offset => next,
            _ => offset,
        };
        self.has_init = true;
        while !data.is_empty() {
            let header = data.first_chunk().and_then(MpegAudioHeader::parse);
            let size = header.map_or(0, |h| usize::from(h.frame_size));
            let Some((header, mark)) = header.zip(data.get(..size).and_then(Mark::read)) else {
                return Err(Refusal::Parse("not a frame".into()));
            };
            data = &data[size..];
            let duration = f64::from(header.samples()) / f64::from(header.sampling_rate);
            let pts = next;
            self.coded_frame(Stored { mark, pts, dts: pts, duration, sync: true, size }, window);
            next += duration;
        }
        self.counted = Some((offset, next));
        self.measure();
        Ok(())
    }

    /// Forgets what was put in long ago.
    pub fn forget(&mut self) {
        self.log.drain(..self.log.len().saturating_sub(1000));
        self.dropped.clear();
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts anew after a change.
    fn measure(&mut self) {
        self.bytes = self.samples.iter().map(|s| s.size).sum();
        self.ranges = self.measured_ranges();
    }

    /// `buffered` (§4.2). Engines show ranges as one that are less than about a frame apart, the longest that they have met (Chromium: two
    /// such frames).
    pub fn buffered(&self) -> TimeRanges {
        self.ranges.clone()
    }

    fn measured_ranges(&self) -> TimeRanges {
        let longest = self.samples.iter().map(|s| s.duration).fold(0.0, f64::max);
        let mut ranges: Vec<(f64, f64)> = Vec::new();
        for s in &self.samples {
            match ranges.last_mut() {
                Some(last) if s.pts <= last.1 + longest => last.1 = last.1.max(s.end()),
                _ => ranges.push((s.pts, s.end())),
            }
        }
        TimeRanges::from_pairs(ranges)
    }

    /// `appendBuffer` (§3.5.5), all at once; the caller lets time pass.
    pub fn append(&mut self, data: &[u8], offset: f64, window: (f64, f64)) -> Result<(), Refusal> {
        if self.bytes() + data.len() > self.quota {
            return Err(Refusal::Quota);
        }
        if self.mime.starts_with("audio/mpeg") {
            return self.append_raw(data, offset, window);
        }
        self.parsed.complete = false;
        let parse = |e: millrace::error::PlayerError| Refusal::Parse(e.to_string());
        self.demuxer.push(data, &mut self.parsed).map_err(parse)?;
        if !self.mime.contains("webm") {
            // The player appends whole boxes: each append ends a fragment.
            self.demuxer.finish(&mut self.parsed).map_err(parse)?;
        }
        if self.parsed.complete {
            self.initialization_segment()?;
        }
        let samples = std::mem::take(&mut self.parsed.samples);
        let result = self.coded_frames(samples, offset, window);
        self.measure();
        result
    }

    fn coded_frames(
        &mut self,
        samples: Vec<(Sample, Option<Mark>)>,
        offset: f64,
        window: (f64, f64),
    ) -> Result<(), Refusal> {
        if !samples.is_empty() && self.needs_init {
            return Err(Refusal::Parse("media before an initialization segment".into()));
        }
        let scale = self.parsed.info.as_ref().map(|i| i.timescale);
        for (sample, mark) in samples {
            let Some(scale) = scale else { continue };
            let Some(mark) = mark else {
                return Err(Refusal::Parse("a sample is not what was encoded".into()));
            };
            let Some(duration) = sample.duration else {
                return Err(Refusal::Parse("a sample without duration".into()));
            };
            let seconds = |t: i64| t as f64 / f64::from(scale.get());
            self.coded_frame(
                Stored {
                    mark,
                    pts: seconds(sample.pts) + offset,
                    dts: seconds(sample.dts) + offset,
                    duration: seconds(duration.into()),
                    sync: sample.sync,
                    size: sample.size as usize,
                },
                window,
            );
        }
        Ok(())
    }

    /// §3.5.7.
    fn initialization_segment(&mut self) -> Result<(), Refusal> {
        let Some(info) = &self.parsed.info else { return Err(Refusal::Parse("no track".into())) };
        let family = info.codec.split('.').next().unwrap_or_default().to_owned();
        let named_otherwise = family == "mp3" && self.mime.contains("mp4a.6B");
        if !self.mime.contains(&family) && !named_otherwise {
            return Err(Refusal::Parse(format!("{} in a buffer of {}", info.codec, self.mime)));
        }
        self.has_init = true;
        self.needs_init = false;
        self.need_sync = true;
        Ok(())
    }

    /// Coded frame processing (§3.5.8), in its order.
    fn coded_frame(&mut self, frame: Stored, window: (f64, f64)) {
        if let Some((dts, duration)) = self.last
            && (frame.dts < dts - 1e-9 || frame.dts - dts > 2.0 * duration + 1e-9)
        {
            self.last = None;
            self.group_end = None;
            self.need_sync = true;
        }
        // Engines allow for rounding. WebKit 2.50 drops what is decoded before 0.
        if frame.pts < window.0 - 1e-6 || frame.end() > window.1 + 1e-3 || frame.dts < -1e-6 {
            self.need_sync = true;
            self.dropped.push(frame.mark);
            return;
        }
        if self.need_sync {
            if !frame.sync {
                self.dropped.push(frame.mark);
                return;
            }
            self.need_sync = false;
        }
        let (from, to) = match self.group_end {
            Some(end) if end <= frame.pts => (end, frame.end()),
            _ => (frame.pts, frame.end()),
        };
        // Half a millisecond: time stamps of one frame differ by rounding between encodings.
        self.remove_frames(from - 5e-4, to - 5e-4);
        let at = self.samples.partition_point(|s| s.pts < frame.pts);
        self.samples.insert(at, frame);
        self.log.push(frame);
        self.last = Some((frame.dts, frame.duration));
        self.group_end = Some(self.group_end.map_or(frame.end(), |e| e.max(frame.end())));
    }

    /// Removes frames that begin in a range, and those that cannot be decoded without them.
    fn remove_frames(&mut self, from: f64, to: f64) {
        let hit = |s: &Stored| s.pts >= from && s.pts < to;
        let first = self.samples.partition_point(|s| s.pts < from);
        let lost: Vec<f64> = self.samples[first..].iter().take_while(|s| s.pts < to).map(|s| s.dts).collect();
        if lost.is_empty() {
            return;
        }
        let mut syncs: Vec<f64> = self.samples.iter().filter(|s| s.sync).map(|s| s.dts).collect();
        syncs.sort_by(f64::total_cmp);
        let next =
            |dts: f64| syncs.get(syncs.partition_point(|s| *s <= dts)).copied().unwrap_or(f64::INFINITY);
        let mut lost: Vec<(f64, f64)> = lost.into_iter().map(|dts| (dts, next(dts))).collect();
        lost.sort_by(|a, b| a.0.total_cmp(&b.0));
        // One after the other they are one.
        let mut doomed: Vec<(f64, f64)> = Vec::new();
        for (from, to) in lost {
            match doomed.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => doomed.push((from, to)),
            }
        }
        // What was just appended in this group is not touched: it is newer than what it replaces.
        let group = self.group_start();
        self.samples.retain(|s| {
            let newer = group.is_some_and(|g| s.dts >= g.0 && s.dts <= g.1);
            !doomed.iter().any(|d| s.dts >= d.0 && s.dts < d.1) || (newer && !hit(s))
        });
    }

    /// Decoding times of the group of frames that is being appended.
    fn group_start(&self) -> Option<(f64, f64)> {
        let (last, _) = self.last?;
        let mut start = last;
        for s in self.log.iter().rev() {
            if s.dts > start + 1e-9 {
                break;
            }
            start = s.dts;
        }
        Some((start, last))
    }

    /// What a decoder may have taken that stands at `position`.
    pub fn decoded(&self, position: f64) -> Vec<Mark> {
        /// Seconds: Chromium takes some frames, WebKitGTK more.
        const AHEAD: f64 = 0.5;
        let taken = |s: &&Stored| s.end() > position && s.pts < position + AHEAD;
        self.samples.iter().filter(taken).map(|s| s.mark).collect()
    }

    /// `remove` (§3.5.6 range removal): up to the random access point after the end.
    pub fn remove(&mut self, start: f64, end: f64) {
        let until = self.samples.iter().find(|s| s.sync && s.pts >= end).map_or(f64::INFINITY, |s| s.pts);
        let last = self.last.take();
        self.remove_frames(start, until);
        self.measure();
        let kept = last.filter(|(dts, _)| self.samples.iter().any(|s| (s.dts - dts).abs() < 1e-6));
        self.last = kept;
        if kept.is_none() {
            self.group_end = None;
            self.need_sync = true;
        }
    }

    /// `abort()` (§3.2): reset parser state.
    pub fn abort(&mut self) {
        self.counted = None;
        self.demuxer.reset();
        self.parsed.samples.clear();
        self.parsed.buffer.clear();
        self.last = None;
        self.group_end = None;
        self.need_sync = true;
    }

    /// `changeType` (§3.2).
    pub fn change_type(&mut self, mime: &str) {
        self.abort();
        self.mime = mime.to_owned();
        self.needs_init = true;
        self.demuxer = demuxer(mime);
        self.parsed = Parsed::default();
    }
}
