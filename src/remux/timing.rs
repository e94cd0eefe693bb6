//! Decoding times and durations of the samples of one track, as fragments can express them: `tfdt` is unsigned, and the
//! duration of a sample is the distance to the next one's decoding time.

use crate::container::{Sample, TrackInfo, TrackKind};
use crate::time::{Seconds, Ticks};

use super::Entry;

/// Remembers the sample before.
#[derive(Debug, Default)]
pub(super) struct Clock {
    last: Option<Last>,
    /// Sound is being dropped.
    dropping: bool,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    /// As written.
    dts: Ticks,
    /// Best known.
    duration: u32,
    /// Told with the sample.
    told: bool,
}

impl Clock {
    /// Whether a sample of sound is to be dropped, as it overlaps what came before it by half or more: so what follows neither
    /// moves in time nor overlaps. And where what came before ends and the sample begins, if a stretch begins that is dropped, or a
    /// short hole lies between, which decoders fill with silence as the sample before is drawn out.
    pub fn unevenness(&mut self, info: &TrackInfo, sample: &Sample) -> (bool, Option<(Ticks, Ticks)>) {
        let was_dropping = std::mem::take(&mut self.dropping);
        let Some(Last { dts, duration, told: true }) = self.last.filter(|_| info.kind == TrackKind::Audio)
        else {
            return (false, None);
        };
        let usual = Ticks::from(duration);
        let end = dts.saturating_add(usual);
        let off = sample.dts.saturating_sub(end);
        let half = Ticks::from(sample.duration.unwrap_or(duration) / 2).max(ROUNDED);
        // The priming of another link of a chain is not heard.
        let least = half.saturating_add(info.edit_start.max(0));
        self.dropping = off <= -least && off > -Ticks::from(info.timescale.get() / OVERLAP_PART);
        let tells = match self.dropping {
            true => !was_dropping,
            false => off >= half && !tears(info, off.saturating_add(usual), usual),
        };
        (self.dropping, tells.then_some((end, sample.dts)))
    }

    /// The entry for `sample` (its size excepted), and what had to be put right. Settles the duration of `previous`, the
    /// sample before it, if that has not been taken yet.
    pub fn place(
        &mut self,
        info: &TrackInfo,
        sample: &Sample,
        previous: Option<&mut Entry>,
    ) -> (Entry, Option<&'static str>) {
        let second = Ticks::from(info.timescale.get());
        let mut warning = (sample.dts < 0).then_some("a negative decoding time was moved to 0");
        let mut dts = sample.dts.max(0);
        let mut breaks = false;
        if let Some(last) = self.last {
            let usual = Ticks::from(last.duration);
            let distance = dts - last.dts;
            let told = previous.as_ref().is_none_or(|p| p.timed);
            let mut duration = distance;
            if distance <= -second {
                // Another time line. Moving all of it forward would tear decoding and presentation apart.
                warning = Some("decoding times jump back");
                breaks = true;
                duration = usual;
            } else if distance <= 0 {
                warning = warning.or(Some("decoding times do not increase"));
                dts = last.dts.saturating_add(1);
                duration = 1;
            } else if distance > 10 * second
                || (told && tears(info, distance, usual))
                || (info.kind == TrackKind::Audio && distance > 4 * usual + second / 10)
            {
                // A hole. The sample before must not be stretched over it: the player has to see it and jump. A picture
                // without a duration of its own, however, stays until the next one, if that is not another time line: its rate may vary.
                breaks = true;
                duration = usual;
            }
            if let Some(previous) = previous {
                previous.duration = u32::try_from(duration).unwrap_or(u32::MAX);
                previous.timed = true;
            }
        }
        let told = sample.duration.filter(|&ticks| ticks > 0);
        let duration = told.unwrap_or_else(|| match self.last {
            // The sample before has just been measured, or its own duration is the best guess.
            Some(last) if !breaks && dts - last.dts > 1 => u32::try_from(dts - last.dts).unwrap_or(u32::MAX),
            Some(last) => last.duration,
            None => default_duration(info),
        });
        self.last = Some(Last { dts, duration, told: told.is_some() });
        (
            Entry {
                dts,
                pts: sample.pts,
                duration,
                timed: told.is_some(),
                breaks,
                short: false,
                sync: sample.sync,
                size: 0,
            },
            warning,
        )
    }
}

/// Ticks by which times may be off that a muxer rounded: a start, a duration and the next start. Matroska's are milliseconds, and blocks of
/// Vorbis are as short as three of them.
const ROUNDED: Ticks = 3;

/// What comes again for longer than this part of a second is of another time line. Larger parts of a second (smaller numbers): a
/// stream that begins anew loses as much; smaller ones: sound that a packager repeats is heard twice.
const OVERLAP_PART: u32 = 2;

/// Whether the distance of two samples is too large for the usual one to be drawn out.
fn tears(info: &TrackInfo, distance: Ticks, usual: Ticks) -> bool {
    distance > 2 * usual + Ticks::from(info.timescale.get() / 20)
}

/// The first sample of a presentation, for [`super::Muxer::set_opens`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Opening {
    /// Its decoding and presentation time; inside `None`: it is not the first of the presentation.
    first: Option<Option<(Ticks, Ticks)>>,
}

impl Opening {
    /// Moves decoding times from `first dts ..` to `first pts ..`, ever less, and not at all from 1/60 s after the first
    /// presentation time on: nothing but the first sample is presented before that, up to 60 pictures a second.
    ///
    /// `before`: in seconds of the media, where the first samples of the presentation are presented. Returns whether it moved this one,
    /// which makes its duration too short.
    pub fn press(&mut self, info: &TrackInfo, sample: &mut Sample, before: Seconds) -> bool {
        let opens = || info.timescale.seconds(sample.pts.saturating_sub(info.edit_start)) < before;
        let first = self.first.get_or_insert_with(|| opens().then_some((sample.dts, sample.pts)));
        let Some((dts, pts)) = *first else { return false };
        let reach = Ticks::from(info.timescale.get() / 60).max(1);
        let (Some(delay), Some(since)) = (pts.checked_sub(dts), sample.dts.checked_sub(dts)) else {
            return false;
        };
        // A delay of more than some seconds is damage, not reordering.
        let moves = delay > 0 && delay < 300 * reach && (0..delay + reach).contains(&since);
        if moves {
            sample.dts = pts + since * reach / (delay + reach);
            // What is told is the distance of the unmoved times.
            sample.duration = None;
        }
        moves
    }
}

/// Pictures that may be decoded before one that is presented before them, at most: what H.264 and HEVC allow (their DPB).
const REORDERED: usize = 16;

/// How many of the first `count` samples may make a fragment: as many as there are without a hole that later ones will fill. Firefox
/// draws each picture out to the one presented next in its fragment (Moof.cpp), and shows it in place of those that come for that time.
pub(super) fn without_holes(samples: &[Entry], count: usize) -> usize {
    let newest = samples.last().map_or(0, |e| e.dts);
    let mut later = samples[count..].iter().map(|e| e.pts).min().unwrap_or(Ticks::MAX);
    for length in (1..=count).rev().take(REORDERED + 1) {
        let taken = &samples[..length];
        let Some(shown_last) = taken.iter().max_by_key(|e| e.pts) else { break };
        let last = shown_last.pts;
        let span = last.saturating_sub(taken.iter().map(|e| e.pts).min().unwrap_or(last));
        let longest = taken.iter().map(|e| Ticks::from(e.duration)).max().unwrap_or(0);
        let filled = span.saturating_mul(2) < longest.saturating_mul(2 * length as Ticks - 1);
        // One that is too short leaves a hole, unless others are shown after it.
        if last < later && (filled || last <= newest) && !shown_last.short {
            return length;
        }
        later = later.min(samples[length - 1].pts);
    }
    // No order at all: nothing is to be waited for.
    if count > REORDERED { count } else { 0 }
}

/// For a sample that is alone: 1024 samples of audio (an AAC frame), or 1/25 s.
fn default_duration(info: &TrackInfo) -> u32 {
    let scale = u64::from(info.timescale.get());
    let ticks = match info.sample_rate {
        0 => scale / 25,
        rate => 1024 * scale / u64::from(rate),
    };
    u32::try_from(ticks.max(1)).unwrap_or(u32::MAX)
}
