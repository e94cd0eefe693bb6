//! What a presentation that may still grow tells of its clock, its window, and how it is to be read again.

use crate::time::Seconds;

/// Of a dynamic presentation as a whole. Times "of the clock" are seconds since 1970; all others lie on the presentation's timeline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Live {
    /// Clock time of presentation time 0: DASH `@availabilityStartTime`, HLS from EXT-X-PROGRAM-DATE-TIME. `None`: not told.
    pub epoch: Option<f64>,
    /// Seconds behind the edge that can be played (`@timeShiftBufferDepth`). `None`: all that is listed.
    pub depth: Option<Seconds>,
    /// Seconds from one reading of the manifest to the next (`@minimumUpdatePeriod`, 0: whenever a segment is wanted that it does not
    /// tell of). `None`: it is not read again; HLS reads its media playlists again instead.
    pub refresh: Option<Seconds>,
    /// Clock time after which nothing is available any more (`@availabilityEndTime`).
    pub available_until: Option<f64>,
    /// Seconds to keep behind the edge, as the manifest asks (`@suggestedPresentationDelay`, HOLD-BACK, PART-HOLD-BACK).
    pub delay: Option<Seconds>,
    /// ServiceDescription, `Latency`: seconds behind the clock.
    pub latency: Option<Latency>,
    /// ServiceDescription, `PlaybackRate`: least and greatest.
    pub rates: Option<(f64, f64)>,
    /// Segments can be fetched while they are made (`@availabilityTimeComplete="false"`, parts).
    pub low_latency: bool,
    /// Absolute URL to read the manifest from next time (`Location`).
    pub location: Option<String>,
    /// Where changes to the manifest are told (`PatchLocation`).
    pub patch: Option<PatchSource>,
    /// How to learn the time of the server's clock (`UTCTiming`), best first.
    pub clocks: Vec<ClockSource>,
    /// `@publishTime` as it is written, by which a patch and an `emsg` name a state of the MPD.
    pub published: Option<Box<str>>,
    /// When the source says it was at a moment of the media (`ProducerReferenceTime`).
    pub producer: Vec<ProducerTime>,
    /// Clock time of the last [`super::Presentation::advance`].
    pub now: Option<f64>,
    /// How many manifests were refused since the last that was taken.
    pub refused: u32,
}

/// `ProducerReferenceTime` (ISO/IEC 23009-1 §5.12): the clock of the source at a moment of the media.
#[derive(Clone, Debug, PartialEq)]
pub struct ProducerTime {
    /// Id of the set.
    pub set: String,
    /// Id of the representation; `None`: of all in the set.
    pub representation: Option<String>,
    /// Seconds since 1970.
    pub wall: f64,
    /// On the presentation's timeline.
    pub time: Seconds,
}

/// Target and bounds of the latency, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latency {
    /// To be kept.
    pub target: Seconds,
    /// At least.
    pub min: Option<Seconds>,
    /// At most.
    pub max: Option<Seconds>,
}

/// ISO/IEC 23009-1 §5.15.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchSource {
    /// Absolute.
    pub url: String,
    /// Seconds after `@publishTime` for which the patch can be had.
    pub ttl: Option<Seconds>,
}

/// `UTCTiming` (ISO/IEC 23009-1 §5.8.5.7).
#[derive(Clone, Debug, PartialEq)]
pub enum ClockSource {
    /// The time was written into the manifest: seconds since 1970 when it was made.
    Direct(f64),
    /// The `Date` header of this URL.
    Head(String),
    /// The body of this URL: xs:dateTime or ISO 8601.
    Body(String),
}
