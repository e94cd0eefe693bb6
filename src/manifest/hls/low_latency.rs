//! What Low-Latency HLS adds to media playlists (RFC 8216bis §4.4.3.7, §4.4.3.8, §4.4.4.9, §4.4.5), and their readers.

use super::attributes::{Attributes, byte_range, decimal, integer, to_range};
use super::media::{MAX_NUMBER, Reader};
use crate::error::Result;
use crate::manifest::index::READS_LIVE_TAGS;
use crate::manifest::{ByteRange, InitRef, ListPart, url};
use crate::time::Seconds;

/// The low-latency tags of a media playlist, but for those that become parts of its index: EXT-X-PART and EXT-X-PRELOAD-HINT:TYPE=PART.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LowLatency {
    /// EXT-X-SERVER-CONTROL.
    pub server_control: ServerControl,
    /// EXT-X-PART-INF: longest duration of a part.
    pub part_target: Option<Seconds>,
    /// EXT-X-PRELOAD-HINT:TYPE=MAP.
    pub map_hint: Option<InitRef>,
    /// EXT-X-RENDITION-REPORT.
    pub rendition_reports: Vec<RenditionReport>,
}

/// EXT-X-SERVER-CONTROL: what the server can do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServerControl {
    /// Age above which segments can be skipped.
    pub can_skip_until: Option<Seconds>,
    /// EXT-X-DATERANGE can be skipped too.
    pub can_skip_dateranges: bool,
    /// Distance to keep from the end.
    pub hold_back: Option<Seconds>,
    /// The same when playing parts.
    pub part_hold_back: Option<Seconds>,
    /// A request can wait for a segment or part that is not there yet.
    pub can_block_reload: bool,
}

/// EXT-X-RENDITION-REPORT: where another rendition is.
#[derive(Clone, Debug, PartialEq)]
pub struct RenditionReport {
    /// As written.
    pub uri: Box<str>,
    /// Media sequence number of its last segment or part.
    pub last_msn: Option<u64>,
    /// Index of its last part.
    pub last_part: Option<u64>,
}

/// Reports that are kept: one for each rendition, of which no presentation has more.
const MAX_REPORTS: usize = 1000;

impl Reader<'_> {
    pub(super) fn low_latency(&mut self, name: &str, list: &str) -> Result<()> {
        let get = |name| Attributes::get(list, name);
        let yes = |name| get(name) == Some("YES");
        let seconds = |name| get(name).and_then(decimal);
        let number = |name| get(name).and_then(integer);
        match name {
            "SERVER-CONTROL" => {
                self.out.low_latency.server_control = ServerControl {
                    can_skip_until: seconds("CAN-SKIP-UNTIL"),
                    can_skip_dateranges: yes("CAN-SKIP-DATERANGES"),
                    hold_back: seconds("HOLD-BACK"),
                    part_hold_back: seconds("PART-HOLD-BACK"),
                    can_block_reload: yes("CAN-BLOCK-RELOAD"),
                };
            }
            "PART-INF" => self.out.low_latency.part_target = seconds("PART-TARGET").filter(|s| *s > 0.0),
            "SKIP" => {
                let count = number("SKIPPED-SEGMENTS").filter(|n| *n < MAX_NUMBER);
                let count = self.number(count, "EXT-X-SKIP has no SKIPPED-SEGMENTS.")?;
                self.out.removed_ranges = match get("RECENTLY-REMOVED-DATERANGES") {
                    Some(ids) => Some(self.expand(ids)?.into()),
                    None => None,
                };
                if self.out.index.segments.is_empty() && self.out.skipped == 0 {
                    self.skip(count);
                } else {
                    self.warn("EXT-X-SKIP comes after a segment and is ignored");
                }
            }
            "PRELOAD-HINT" => {
                let Some(uri) = get("URI") else {
                    self.warn("EXT-X-PRELOAD-HINT has no URI");
                    return Ok(());
                };
                let uri = self.expand(uri)?.into_owned();
                let (first, length) = (number("BYTERANGE-START"), number("BYTERANGE-LENGTH"));
                let range = match (first, length) {
                    (None, None) => None,
                    (first, None) => first.map(|first| ByteRange { first, last: None }),
                    (first, Some(length)) => to_range(length, first.unwrap_or(0)),
                };
                if length.is_some() && range.is_none() {
                    self.warn("the range of EXT-X-PRELOAD-HINT is empty");
                    return Ok(());
                }
                if get("TYPE") == Some("MAP") {
                    let url = url::resolve(self.url, &uri);
                    self.out.low_latency.map_hint = Some(InitRef { url, range });
                } else if self.hint.is_none() {
                    self.hint = Some((uri.into(), range));
                }
            }
            _ => {
                let Some(uri) = get("URI") else {
                    self.warn("EXT-X-RENDITION-REPORT has no URI");
                    return Ok(());
                };
                let uri = self.expand(uri)?.into();
                let (last_msn, last_part) = (number("LAST-MSN"), number("LAST-PART"));
                let reports = &mut self.out.low_latency.rendition_reports;
                if reports.len() < MAX_REPORTS {
                    reports.push(RenditionReport { uri, last_msn, last_part });
                }
            }
        }
        Ok(())
    }

    /// EXT-X-PART (§4.4.4.9). The number of its segment is its position in the playlist until [`Reader::place_parts`].
    pub(super) fn part(&mut self, list: &str) -> Result<()> {
        let get = |name| Attributes::get(list, name);
        let yes = |name| get(name) == Some("YES");
        let duration = get("DURATION").and_then(decimal).or(self.out.low_latency.part_target);
        let (Some(uri), Some(duration)) = (get("URI"), duration) else {
            self.warn("EXT-X-PART lacks URI or DURATION");
            return Ok(());
        };
        let uri = self.expand(uri)?;
        let range = match get("BYTERANGE") {
            None => None,
            Some(text) => {
                let read = byte_range(text).and_then(|(length, offset)| {
                    // Without an offset it goes on where the part before ended, in the same resource.
                    let before = self.out.index.parts.last().filter(|p| *p.uri == *uri);
                    let goes_on = || Some(before?.range?.last?.saturating_add(1));
                    to_range(length, offset.or_else(goes_on).unwrap_or(0))
                });
                Some(self.number(read, "The BYTERANGE of EXT-X-PART is not <n>[@<o>].")?)
            }
        };
        let uri = uri.into();
        self.push_part(uri, range, duration, yes("INDEPENDENT"), yes("GAP"), false);
        Ok(())
    }

    fn push_part(
        &mut self,
        uri: Box<str>,
        range: Option<ByteRange>,
        duration: Seconds,
        independent: bool,
        gap: bool,
        hint: bool,
    ) {
        let number = self.out.index.segments.len() as u64;
        let before = self.out.index.parts.last().filter(|p| p.number == number);
        let part = before.map_or(0, |p| p.part.saturating_add(1));
        let start = before.map_or(self.out.duration, |p| p.start + p.duration);
        // None is longer than its segment. A longer one would move the end of the playlist out of sight.
        let target = self.out.target_duration;
        let duration = if target > 0.0 { duration.min(target) } else { duration };
        let (init, keys, discontinuity) = (self.init, self.keys_in_force(), self.discontinuity);
        let part = ListPart {
            number,
            part,
            uri,
            range,
            start,
            duration,
            independent,
            gap,
            hint,
            discontinuity,
            init,
            keys,
        };
        self.out.index.parts.push(part);
    }

    /// The segment that the last parts belong to is complete. Unless they make it up they are of no use: a server that takes old ones
    /// away may do so one by one, and then the first that is listed is not the first that there was.
    pub(super) fn complete_parts(&mut self, duration: Seconds) {
        let number = self.out.index.segments.len() as u64;
        let Some(end) =
            self.out.index.parts.last().filter(|p| p.number == number).map(|p| p.start + p.duration)
        else {
            return;
        };
        let parts = &mut self.out.index.parts;
        let off = end - self.out.duration - duration;
        let tolerance = self.out.low_latency.part_target.unwrap_or(0.2) / 2.0;
        if off.abs() > tolerance {
            let from = parts.iter().rposition(|p| p.number != number).map_or(0, |i| i + 1);
            parts.truncate(from);
            self.warn("the parts of a segment do not add up to it and are ignored");
        }
    }

    /// Gives parts the numbers of their segments, and puts the hint behind them.
    pub(super) fn place_parts(&mut self) -> Result<()> {
        let first = self.out.media_sequence.checked_add(self.out.skipped).filter(|n| *n < MAX_NUMBER);
        let first = self.number(first, "EXT-X-SKIP skips too many segments.")?;
        if READS_LIVE_TAGS
            && let Some((uri, range)) = self.hint.take()
            && !self.out.is_complete()
        {
            let last = self.out.index.parts.last();
            let start = |range: Option<ByteRange>| range.map_or(0, |r| r.first);
            // It has come already, and a careless server left the hint.
            let came = last.is_some_and(|p| p.uri == uri && start(p.range) >= start(range));
            let duration = self.out.low_latency.part_target.or(last.map(|p| p.duration));
            if !came {
                self.push_part(uri, range, duration.unwrap_or(0.0), false, false, true);
            }
        }
        self.out.index.first = first;
        for part in &mut self.out.index.parts {
            part.number = part.number.saturating_add(first);
        }
        Ok(())
    }
}
