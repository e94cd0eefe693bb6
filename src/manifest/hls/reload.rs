//! One media playlist that is read again and again (RFC 8216bis §6.2.5, §6.3.4).

use super::{MediaPlaylist, Variables};
use crate::error::Result;
use crate::manifest::{InitRef, ListIndex};
use crate::time::Seconds;

/// What is to be read next.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Absolute, with delivery directives.
    pub url: String,
    /// The server answers once there is something new: see [`Reload::blocked_timeout`].
    pub blocks: bool,
    /// The answer may leave out what is known.
    pub skips: bool,
}

/// What a reading brought.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Change {
    /// Segments or parts were added.
    pub grew: bool,
    /// The numbering or the timeline was broken: what is new does not follow on what was known, and has a discontinuity number of its own.
    pub restarted: bool,
    /// Nothing will be added.
    pub complete: bool,
    /// Older than what is known (a cache on the way, as a rule): nothing was taken over.
    pub stale: bool,
    /// Segments that slid out of the playlist.
    pub dropped: u64,
    /// The part that was hinted at has come under another number: (segment, part) then and now.
    pub renamed: Option<((u64, u32), (u64, u32))>,
}

/// State of a media playlist from one reading to the next.
#[derive(Clone, Debug)]
pub struct Reload {
    url: String,
}

impl Reload {
    /// Begins with the first reading at `now`.
    pub fn new(url: &str, first: &MediaPlaylist, now: f64) -> Self {
        let _ = (first, now);
        Self { url: url.to_owned() }
    }

    /// What to read at `now`.
    pub fn request(&self, now: f64) -> Request {
        let _ = now;
        Request { url: self.url.clone(), blocks: false, skips: false }
    }

    /// When to read it; infinity while a request is under way and when nothing will be added.
    pub fn due(&self) -> f64 {
        f64::INFINITY
    }

    /// Seconds after which a blocking request that was not answered has failed.
    pub fn blocked_timeout(&self) -> Seconds {
        0.0
    }

    /// A request was sent.
    pub fn begun(&mut self, now: f64) {
        let _ = now;
    }

    /// It failed, or its answer could not be used.
    pub fn failed(&mut self, now: f64) {
        let _ = now;
    }

    /// Reads an answer for [`Reload::update`]: of what `index` has already, no more than is needed to know it again.
    pub fn read(
        &self,
        index: &ListIndex,
        body: &[u8],
        url: &str,
        variables: &Variables,
    ) -> Result<MediaPlaylist> {
        let _ = index;
        match super::parse(body, url, variables)? {
            super::Playlist::Media(list) => Ok(*list),
            super::Playlist::Multivariant(..) => Err(super::malformed(1, "A multivariant playlist.")),
        }
    }

    /// Takes over an answer.
    pub fn update(&mut self, index: &mut ListIndex, new: MediaPlaylist, now: f64) -> Result<Change> {
        let _ = (index, new, now);
        Ok(Change::default())
    }

    /// Puts this playlist on the timeline of another one of the same presentation. Gives the seconds by which `index` was shifted.
    pub fn align(&mut self, index: &mut ListIndex, other: &Reload, other_index: &ListIndex) -> Seconds {
        let _ = (index, other, other_index);
        0.0
    }

    /// EXT-X-TARGETDURATION.
    pub fn target_duration(&self) -> Seconds {
        0.0
    }

    /// PART-TARGET.
    pub fn part_target(&self) -> Option<Seconds> {
        None
    }

    /// HOLD-BACK, three target durations by default.
    pub fn hold_back(&self) -> Seconds {
        0.0
    }

    /// PART-HOLD-BACK, three part targets by default; `None` without parts.
    pub fn part_hold_back(&self) -> Option<Seconds> {
        None
    }

    /// CAN-BLOCK-RELOAD.
    pub fn can_block(&self) -> bool {
        false
    }

    /// Nothing will be added.
    pub fn complete(&self) -> bool {
        false
    }

    /// EXT-X-PLAYLIST-TYPE:EVENT: it only grows.
    pub fn is_event(&self) -> bool {
        false
    }

    /// The clock time of a presentation time, in seconds since 1970.
    pub fn date_at(&self, time: Seconds) -> Option<f64> {
        let _ = time;
        None
    }

    /// The presentation time of a clock time.
    pub fn time_at(&self, date: f64) -> Option<Seconds> {
        let _ = date;
        None
    }

    /// Where another rendition is (EXT-X-RENDITION-REPORT): media sequence number and part, for [`directed`].
    pub fn report_for(&self, url: &str) -> Option<(u64, Option<u64>)> {
        let _ = url;
        None
    }

    /// An initialization segment that will be referred to (EXT-X-PRELOAD-HINT:TYPE=MAP).
    pub fn map_hint(&self) -> Option<&InitRef> {
        None
    }

    /// The latest EXT-X-BITRATE, in bit/s.
    pub fn bitrate(&self) -> Option<u64> {
        None
    }

    /// Seconds since the playlist last changed.
    pub fn stale_for(&self, now: f64) -> Seconds {
        let _ = now;
        0.0
    }
}

/// A playlist's URL with delivery directives (§6.2.5); those that it has already are replaced.
pub fn directed(url: &str, msn: Option<u64>, part: Option<u64>, skip: Option<&str>) -> String {
    let _ = (msn, part, skip);
    url.to_owned()
}
