//! A model of the media element and its MediaSource: what is played, and what is reported of it.

use super::media::Mark;
use super::mse::{Refusal, SourceBuffer};
use millrace::player::{BufferId, Command, MediaState};
use millrace::time::TimeRanges;
use std::fmt;

/// A MediaSource.
pub struct Source {
    pub number: u32,
    pub open: bool,
    pub ended: bool,
    /// The shell's: the end was signalled, and nothing was appended since.
    complete: bool,
    pub duration: f64,
    pub buffers: Vec<(BufferId, SourceBuffer)>,
    /// `setLiveSeekableRange()`.
    pub live_range: Option<(f64, f64)>,
}

impl Source {
    pub fn new(number: u32) -> Self {
        Self {
            number,
            open: false,
            ended: false,
            complete: false,
            duration: f64::NAN,
            buffers: Vec::new(),
            live_range: None,
        }
    }

    pub fn buffer(&self, id: BufferId) -> Option<&SourceBuffer> {
        self.buffers.iter().find(|b| b.0 == id).map(|b| &b.1)
    }

    pub fn buffer_mut(&mut self, id: BufferId) -> Option<&mut SourceBuffer> {
        self.buffers.iter_mut().find(|b| b.0 == id).map(|b| &mut b.1)
    }

    /// Carries a command out. `Ok(true)`: done at once; `Ok(false)`: `updateend` will follow.
    pub fn execute(&mut self, command: Command, quota: usize) -> Result<bool, Refusal> {
        let misuse = |why: &str| Err(Refusal::Misuse(why.to_owned()));
        if !self.open {
            return misuse("the source is not open");
        }
        let updating = self.buffers.iter().any(|b| b.1.updating);
        match command {
            Command::AddSourceBuffer { buffer, mime } => {
                if self.buffers.iter().any(|b| b.1.has_init) {
                    return misuse("addSourceBuffer after media was appended");
                }
                if self.buffer(buffer).is_some() || self.ended {
                    return misuse("addSourceBuffer twice, or after the end");
                }
                self.buffers.push((buffer, SourceBuffer::new(&mime, quota)));
                return Ok(true);
            }
            Command::SetDuration(seconds) => {
                let highest = self.highest();
                if updating || self.ended {
                    return misuse("duration set while a buffer is updating, or after the end");
                }
                if seconds < highest {
                    return misuse("duration below what is buffered");
                }
                self.duration = seconds;
                return Ok(true);
            }
            Command::SetLiveSeekableRange { start, end } => {
                if self.ended || !(0.0..=end).contains(&start) {
                    return misuse("an impossible live seekable range, or after the end");
                }
                self.live_range = Some((start, end));
                return Ok(true);
            }
            Command::EndOfStream => {
                if updating {
                    return misuse("endOfStream while a buffer is updating");
                }
                // Said twice it throws, and the shell takes no notice.
                self.complete = true;
                self.ended = true;
                self.duration = self.highest();
                return Ok(true);
            }
            _ => {}
        }
        let id = match &command {
            Command::ChangeType { buffer, .. }
            | Command::Append { buffer, .. }
            | Command::AbortBuffer { buffer }
            | Command::Remove { buffer, .. } => *buffer,
            other => return misuse(&format!("not of a buffer: {other:?}")),
        };
        let removal = matches!(command, Command::Remove { .. });
        let duration = self.duration;
        let Some(buffer) = self.buffer_mut(id) else { return misuse("no such buffer") };
        if buffer.updating {
            return misuse("the buffer is updating");
        }
        let done = match command {
            Command::ChangeType { mime, .. } => {
                buffer.change_type(&mime);
                true
            }
            Command::Append { data, timestamp_offset, window, .. } => {
                if window.0 < 0.0 || window.0 >= window.1 || !timestamp_offset.is_finite() {
                    return misuse("an impossible append window or offset");
                }
                buffer.append(&data, timestamp_offset, window)?;
                false
            }
            Command::AbortBuffer { .. } => {
                // The shell opens an ended source first: abort() is refused there.
                buffer.abort();
                true
            }
            Command::Remove { start, end, .. } => {
                if duration.is_nan() || start < 0.0 || start > duration || end <= start {
                    return misuse("an impossible range to remove");
                }
                buffer.remove(start, end);
                false
            }
            _ => false,
        };
        self.ended = false;
        self.complete &= removal;
        // An append beyond the duration extends it (§3.5.7, coded frame processing at its end).
        if self.duration.is_nan() || self.highest() > self.duration {
            self.duration = self.highest();
        }
        Ok(done)
    }

    /// As the shell does: a removal reopens an ended source, which is then ended again.
    pub fn stay_complete(&mut self) {
        if self.complete && !self.ended && self.buffers.iter().all(|b| !b.1.updating) {
            self.ended = true;
            self.duration = self.highest();
        }
    }

    fn highest(&self) -> f64 {
        self.buffers.iter().filter_map(|b| b.1.buffered().bounds()).map(|b| b.end).fold(0.0, f64::max)
    }

    /// Intersection of the buffers; after the end each one's last range reaches to the longest (§3.15.3).
    pub fn buffered(&self) -> TimeRanges {
        let highest = self.highest();
        let mut all = self.buffers.iter().map(|b| {
            let ranges = b.1.buffered();
            if !self.ended {
                return ranges;
            }
            let count = ranges.iter().count();
            TimeRanges::from_pairs(
                ranges
                    .iter()
                    .enumerate()
                    .map(|(i, r)| (r.start, if i + 1 == count { highest } else { r.end }))
                    .collect::<Vec<_>>(),
            )
        });
        let Some(first) = all.next() else { return TimeRanges::default() };
        all.fold(first, |sum, ranges| sum.intersection(&ranges))
    }
}

/// The element.
pub struct Element {
    pub source: Option<Source>,
    pub position: f64,
    pub paused: bool,
    pub hidden: bool,
    pub rate: f64,
    pub ready_state: u8,
    pub seeking: bool,
    pub ended: bool,
    pub width: u32,
    pub height: u32,
    /// It has failed and plays no more.
    pub broken: bool,
    /// Names of samples played, in order, both kinds.
    pub played: Vec<Mark>,
    /// How it went: (position, time) at each report.
    pub reports: Vec<MediaState>,
    /// Positions at which the decoder fails, once each.
    pub decode_errors: Vec<f64>,
    /// Seconds before the media at which an engine begins all the same.
    pub leniency: f64,
    /// Seconds from media at the playhead to the picture, after a load or a seek.
    pub warm_up: f64,
    /// It waits at the end until it is sent there.
    pub sticks_at_end: bool,
    /// So many seeks that are to come never end, as now and then in WebKitGTK.
    pub lost_seeks: u32,
    lost: bool,
    /// Seconds for which it wants media that is there, just after a seek: decoders fill their queue so.
    pub gasps: f64,
    gasp_due: bool,
    gasp_at: Option<f64>,
    ready_at: Option<f64>,
    first_frame: bool,
    frames: u32,
    next_tick: f64,
    /// As in www/lib/media.ts: where it was at the last look, and whether that was left unreported.
    seen: f64,
    skipped: bool,
    /// Since when pictures that the decoder may have taken have been replaced by others: a seek has it begin anew.
    pub mixed_since: Option<f64>,
    /// A seek before there is metadata.
    start_at: Option<f64>,
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "position {:.3} ready {} paused {} seeking {} ended {} broken {}",
            self.position, self.ready_state, self.paused, self.seeking, self.ended, self.broken
        )?;
        for (id, b) in self.source.iter().flat_map(|s| &s.buffers) {
            let ranges: Vec<String> =
                b.buffered().iter().map(|r| format!("{:.3}-{:.3}", r.start, r.end)).collect();
            write!(f, "\n    {id:?} {} bytes {ranges:?}", b.bytes())?;
        }
        Ok(())
    }
}

/// Media beyond the playhead that HAVE_FUTURE_DATA needs.
const FUTURE: f64 = 0.05;

impl Element {
    pub fn new() -> Self {
        Self {
            source: None,
            position: 0.0,
            paused: false,
            hidden: false,
            rate: 1.0,
            ready_state: 0,
            seeking: false,
            ended: false,
            width: 0,
            height: 0,
            broken: false,
            played: Vec::new(),
            reports: Vec::new(),
            decode_errors: Vec::new(),
            leniency: 0.0,
            warm_up: 0.0,
            sticks_at_end: false,
            lost_seeks: 0,
            lost: false,
            gasps: 0.0,
            gasp_due: false,
            gasp_at: None,
            ready_at: None,
            first_frame: false,
            frames: 0,
            next_tick: 0.0,
            seen: 0.0,
            skipped: false,
            mixed_since: None,
            start_at: None,
        }
    }

    pub fn attach(&mut self, source: Source) {
        self.reset();
        self.source = Some(source);
    }

    pub fn detach(&mut self) {
        self.reset();
        self.source = None;
    }

    fn reset(&mut self) {
        self.position = 0.0;
        self.ready_state = 0;
        self.seeking = false;
        self.ended = false;
        self.broken = false;
        self.first_frame = false;
        self.start_at = None;
        self.mixed_since = None;
    }

    /// `play()`: at the end it begins anew (HTML §4.8.11.8).
    pub fn play(&mut self) {
        if self.ended {
            self.seek(0.0);
        }
        self.paused = false;
        self.report("play");
    }

    /// `currentTime = to`.
    pub fn seek(&mut self, to: f64) {
        if self.ready_state == 0 {
            self.start_at = Some(to);
            self.position = to;
            return;
        }
        let duration = self.source.as_ref().map_or(0.0, |s| s.duration);
        self.position = to.clamp(0.0, if duration.is_nan() { f64::INFINITY } else { duration });
        self.seeking = true;
        self.lost = self.lost_seeks > 0;
        self.lost_seeks = self.lost_seeks.saturating_sub(1);
        self.mixed_since = None;
        self.sticks_at_end &= to < duration - 1e-3;
        self.ended = false;
        self.ready_state = 1;
        self.report("seeking");
    }

    /// Something happened that the shell reports.
    pub fn report(&mut self, _why: &str) {
        if self.source.is_none() {
            return;
        }
        self.reports.push(MediaState {
            position: self.position,
            ready_state: self.ready_state,
            paused: self.paused,
            seeking: self.seeking,
            ended: self.ended,
            rate: self.rate,
            width: self.width,
            height: self.height,
            first_frame: self.first_frame,
            hidden: self.hidden,
            wall: 0.0,
        });
    }

    /// Pictures that the decoder may have taken: others in their place would lack the keyframe before them.
    pub fn decoded(&self) -> Vec<Mark> {
        let buffer = self.source.as_ref().and_then(|s| s.buffer(BufferId::Video));
        buffer.map_or_else(Vec::new, |b| b.decoded(self.position))
    }

    fn playing(&self) -> bool {
        !self.paused && !self.seeking && !self.ended && !self.broken && self.ready_state >= 3
    }

    /// Whether the page looks at it once a second: also while playback waits.
    fn ticks(&self) -> bool {
        self.source.is_some() && !self.paused && !self.ended
    }

    /// End of what can be played from here without a wait.
    fn edge(&self) -> f64 {
        let Some(source) = &self.source else { return self.position };
        source.buffered().find(self.position, self.leniency.max(1e-6)).map_or(self.position, |r| r.end)
    }

    /// When it will do something by itself.
    pub fn next(&self, now: f64) -> f64 {
        let gasp = self.gasp_at.map_or(f64::INFINITY, |at| if at > now { at } else { at + self.gasps });
        if !self.playing() {
            let tick = if self.ticks() { self.next_tick.max(now) } else { f64::INFINITY };
            return self.ready_at.filter(|t| *t > now).unwrap_or(f64::INFINITY).min(gasp).min(tick);
        }
        let source_ended = self.source.as_ref().is_some_and(|s| s.ended);
        let stop = if source_ended { self.edge() } else { self.edge() - FUTURE / 4.0 };
        let fails = self.decode_errors.iter().copied().filter(|t| *t >= self.position);
        let stop = fails.fold(stop, f64::min);
        let edge = now + (stop - self.position).max(0.0) / self.rate.max(1e-3) + 1e-6;
        edge.min(self.next_tick.max(now)).min(gasp)
    }

    /// Plays on.
    pub fn advance(&mut self, from: f64, to: f64) {
        if !self.playing() {
            return;
        }
        let before = self.position;
        self.position = (before + (to - from) * self.rate).min(self.edge()).max(before);
        self.note_played(before, self.position);
    }

    fn note_played(&mut self, from: f64, to: f64) {
        let Some(source) = &self.source else { return };
        for (id, buffer) in &source.buffers {
            let kind = if *id == BufferId::Video { 'v' } else { 'a' };
            let mut start = buffer.samples.partition_point(|s| s.pts < from - 1e-9);
            // What stands at the playhead is shown too, if playback begins in its middle.
            let last = self.played.iter().rfind(|m| m.kind == kind);
            if let Some(before) = start.checked_sub(1)
                && let s = &buffer.samples[before]
                && s.end() > from + 1e-9
                && last.is_none_or(|l| (l.part, l.number) != (s.mark.part, s.mark.number))
            {
                start = before;
            }
            for s in buffer.samples[start..].iter().take_while(|s| s.pts < to - 1e-9) {
                self.frames += u32::from(s.mark.kind == 'v');
                self.played.push(s.mark);
            }
        }
    }

    /// Looks at the buffers anew: what state does the element take, what does it report?
    pub fn update(&mut self, now: f64) {
        if self.ticks() && now >= self.next_tick {
            self.next_tick = now + 1.0;
            self.skipped = self.position != self.seen && !self.skipped;
            self.seen = self.position;
            if !self.skipped {
                self.report("tick");
            }
        }
        let Some(source) = &self.source else { return };
        if self.broken {
            return;
        }
        let metadata = !source.buffers.is_empty() && source.buffers.iter().all(|b| b.1.has_init);
        if !metadata {
            // changeType leaves the element as it is.
            if self.ready_state == 0 || source.buffers.is_empty() {
                return;
            }
        }
        let before = (self.ready_state, self.seeking);
        let ranges = source.buffered();
        let begins = self.seeking || !self.first_frame;
        let here = ranges.find(self.position, self.leniency);
        let ready_at = here.map(|_| self.ready_at.unwrap_or(now + self.warm_up));
        self.ready_at = if begins { ready_at } else { None };
        let here = here.filter(|_| self.ready_at.is_none_or(|t| t <= now));
        let at_end = source.ended && self.position >= source.duration - 1e-3;
        let ready = match here {
            _ if at_end && self.sticks_at_end => 2,
            _ if at_end => 4,
            Some(r) if source.ended && r.end >= source.duration - 1e-6 => 4,
            Some(r) if r.end - self.position > 2.0 => 4,
            Some(r) if r.end - self.position > FUTURE => 3,
            Some(_) => 2,
            None => 1,
        };
        self.gasp_at = self.gasp_at.filter(|at| now < at + self.gasps);
        let ready = if self.gasp_at.is_some_and(|at| now >= at) { ready.min(2) } else { ready };
        let ready = if self.lost && !self.first_frame { 1 } else { ready };
        if self.ready_state == 0 {
            self.ready_state = 1;
            if let Some(to) = self.start_at.take() {
                self.seek(to);
            }
            self.report("loadedmetadata");
        }
        self.ready_state = ready;
        if self.seeking && ready >= 2 && !self.lost {
            self.seeking = false;
            self.gasp_due = self.gasps > 0.0;
            self.report("seeked");
        }
        if self.gasp_due && ready >= 3 {
            self.gasp_due = false;
            self.gasp_at = Some(now + 0.002);
        }
        if ready >= 2 && !self.first_frame {
            self.first_frame = true;
            self.frames += 1;
            self.report("frame");
        }
        if at_end && !self.sticks_at_end && !self.ended && !self.paused && !self.seeking {
            self.ended = true;
            self.report("ended");
        }
        if (before.0 >= 3) != (ready >= 3) || (before.0 >= 2) != (ready >= 2) {
            self.report("waiting or playing");
        }
    }
}
