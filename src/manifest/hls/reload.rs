//! One media playlist that is read again and again (RFC 8216bis §6.2.5, §6.3.4, §6.3.7): when, by which URL, and what is known of it.

use super::dates::Dates;
use super::low_latency::{RenditionReport, ServerControl};
use super::media::{self, Known};
use super::{DateRange, MediaPlaylist, PlaylistType, Variables};
use crate::error::Result;
use crate::manifest::{InitRef, ListIndex, url};
use crate::time::Seconds;

/// What is to be read next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Absolute, with delivery directives.
    pub url: String,
    /// The server answers once there is something new: see [`Reload::blocked_timeout`].
    pub blocks: bool,
    /// The answer may leave out what is known.
    pub skips: bool,
}

/// State of a media playlist from one reading to the next. Times `now` are of any clock that never goes back, in seconds.
#[derive(Clone, Debug)]
pub struct Reload {
    /// Where it is read from, without directives.
    url: String,
    /// What was asked for at first, before redirects.
    asked_for: String,
    pub(super) target: Seconds,
    /// Of the segments that were listed.
    pub(super) longest: Seconds,
    pub(super) control: ServerControl,
    pub(super) part_target: Option<Seconds>,
    pub(super) event: bool,
    pub(super) complete: bool,
    /// What is added to media sequence numbers, so that no number comes twice where the server begins anew, and no segment under two.
    pub(super) shift: i64,
    /// What is added to the discontinuity numbers of the server.
    pub(super) discontinuity_shift: i64,
    /// Of the last segment or part.
    pub(super) discontinuity: u32,
    /// Number of the segment after the last whole one.
    pub(super) next: u64,
    /// Parts of that segment.
    pub(super) next_part: u32,
    /// Where that segment starts.
    pub(super) end: Seconds,
    pub(super) dates: Dates,
    pub(super) date_ranges: Vec<DateRange>,
    pub(super) reports: Vec<RenditionReport>,
    pub(super) map_hint: Option<InitRef>,
    pub(super) bitrate: Option<u64>,
    /// Since when all answers end before what is known, and the numbers where the first of them began and ended.
    pub(super) behind: Option<(f64, u64, u64)>,
    /// When the last request was sent.
    begun: f64,
    /// What was asked then. `None`: no request is under way.
    asked: Option<(bool, bool)>,
    /// When an answer came last, and when one with something new.
    updated: f64,
    changed: f64,
    /// Answers in a row that had nothing new.
    idle: u32,
    /// Failures in a row, and when the last one was.
    failures: u32,
    failed: f64,
    /// The last one was of a request with directives.
    fell_back: bool,
    /// Failures of requests that block, and of those that skip, since the last success of such a request.
    block_failures: u32,
    skip_failures: u32,
}

/// So many failures in a row show that a server does not do what it says.
const ENOUGH_FAILURES: u32 = 2;
/// Seconds between requests at the least and the most, whatever target durations playlists have.
const SHORTEST: Seconds = 0.05;
const LONGEST: Seconds = 120.0;

impl Reload {
    /// Begins with the first reading, whose loading began at `now`. `url` is what was asked for, before redirects.
    pub fn new(url: &str, first: &MediaPlaylist, now: f64) -> Self {
        let index = &first.index;
        let url = directed(url, None, None, None);
        let mut new = Self {
            asked_for: url.clone(),
            url,
            target: 0.0,
            longest: index.segments.iter().fold(0.0, |longest, s| s.duration.max(longest)),
            control: ServerControl::default(),
            part_target: None,
            event: false,
            complete: false,
            shift: 0,
            discontinuity_shift: 0,
            discontinuity: first.discontinuity_sequence,
            next: 0,
            next_part: 0,
            end: first.duration,
            dates: Dates::default(),
            date_ranges: first.date_ranges.clone(),
            reports: first.low_latency.rendition_reports.clone(),
            map_hint: first.low_latency.map_hint.clone(),
            bitrate: None,
            behind: None,
            begun: now,
            asked: None,
            updated: now,
            changed: now,
            idle: 0,
            failures: 0,
            failed: now,
            fell_back: false,
            block_failures: 0,
            skip_failures: 0,
        };
        new.take_header(first);
        new.take_dates(index, first.media_sequence, &first.dates);
        new.note_end(index);
        new
    }

    /// The tags that apply to all of a playlist.
    pub(super) fn take_header(&mut self, new: &MediaPlaylist) {
        self.target = new.target_duration;
        self.control = new.low_latency.server_control;
        self.part_target = new.low_latency.part_target;
        self.event = new.kind == Some(PlaylistType::Event);
        self.complete |= new.is_complete();
        self.bitrate = new.bitrates.last().map(|b| b.1).or(self.bitrate);
    }

    /// What to read at `now`.
    pub fn request(&self, now: f64) -> Request {
        self.request_after(now, None)
    }

    /// The same where another rendition's playlist says of this one that it is further on (see [`Reload::report_for`]).
    pub fn request_after(&self, now: f64, report: Option<(u64, Option<u64>)>) -> Request {
        let healthy = self.failures == 0 && !self.complete;
        let blocks = healthy && self.blocks();
        let msn = self.next.checked_add_signed(-self.shift).filter(|_| blocks);
        let part = msn.and(self.part_target).map(|_| u64::from(self.next_part));
        let (msn, part) = match report.filter(|r| msn.is_some_and(|own| r.0 > own)) {
            Some((msn, part)) => (Some(msn), part),
            None => (msn, part),
        };
        // §6.3.7: a version that is older than half the skip boundary is too old for a delta.
        let young = self.control.can_skip_until.is_some_and(|until| now - self.updated <= until / 2.0);
        let skips = healthy && young && self.skip_failures < ENOUGH_FAILURES;
        let skip = if self.control.can_skip_dateranges { "v2" } else { "YES" };
        let url = directed(&self.url, msn, part, skips.then_some(skip));
        Request { url, blocks: msn.is_some(), skips }
    }

    fn blocks(&self) -> bool {
        self.control.can_block_reload && self.block_failures < ENOUGH_FAILURES
    }

    /// When to read it; infinity while a request is under way and when nothing will be added.
    pub fn due(&self) -> f64 {
        if self.complete || self.asked.is_some() {
            return f64::INFINITY;
        }
        let interval = self.interval();
        // What comes at once from a server that blocks.
        let step = self.part_target.unwrap_or(interval).clamp(SHORTEST, interval);
        if self.failures > 0 {
            // The plain request that takes the place of a special one need not wait; but a server that is ill is left alone, longer
            // each time.
            let longer = interval / 4.0 * f64::from(1 << self.failures.min(4));
            let wait = if self.fell_back { step / 2.0 } else { longer.min(LONGEST) };
            return self.failed + wait;
        }
        let wait = match (self.blocks(), self.idle) {
            // A quarter: answers to requests that were behind come faster than parts are made, and are to be caught up with.
            (true, 0) => step / 4.0,
            // The server does not wait, though it says so, or gave up to wait.
            (true, idle) => (step / 4.0 * f64::from(1 << idle.min(8))).min(interval / 2.0),
            // §6.3.4: a target duration, measured from when the loading began; half of that if nothing was new.
            (false, 0) => interval,
            (false, _) => interval / 2.0,
        };
        self.begun + wait
    }

    /// Seconds by which to go on from one reading to the next: the target duration, where it makes sense.
    fn interval(&self) -> Seconds {
        let target = if self.target > 0.0 { self.target } else { self.longest };
        if target > 0.0 { target.clamp(0.5, LONGEST) } else { 4.0 }
    }

    /// Seconds after which a blocking request that was not answered has failed (§6.2.5.2: three target durations).
    pub fn blocked_timeout(&self) -> Seconds {
        3.0 * self.interval()
    }

    /// The request of [`Reload::request`] was sent.
    pub fn begun(&mut self, now: f64) {
        let request = self.request(now);
        self.asked = Some((request.blocks, request.skips));
        self.begun = now;
    }

    /// An answer comes from here, after redirects: it is asked itself from now on, as long as it answers.
    pub fn redirected(&mut self, url: &str) {
        self.url = directed(url, None, None, None);
    }

    /// It failed, or its answer could not be used: the next one asks for all, and is answered at once. It goes to who may redirect to
    /// another server, or with another token.
    pub fn failed(&mut self, now: f64) {
        self.url.clone_from(&self.asked_for);
        let (blocks, skips) = self.asked.take().unwrap_or_default();
        self.block_failures = self.block_failures.saturating_add(blocks.into());
        self.skip_failures = self.skip_failures.saturating_add(skips.into());
        self.failures = self.failures.saturating_add(1);
        self.fell_back = blocks || skips;
        self.failed = now;
    }

    /// An answer was taken over.
    pub(super) fn answered(&mut self, now: f64, changed: bool, stale: bool) {
        let (blocks, skips) = self.asked.take().unwrap_or_default();
        if blocks {
            self.block_failures = 0;
        }
        if skips {
            self.skip_failures = 0;
        }
        self.failures = 0;
        if !stale {
            self.updated = now;
        }
        if changed {
            self.changed = now;
            self.idle = 0;
        } else {
            self.idle = self.idle.saturating_add(1);
            // §6.2.5.2: there was nothing to answer with, so that requests that blocked have failed for good reason.
            if self.stale_for(now) > self.blocked_timeout() {
                (self.block_failures, self.skip_failures) = (0, 0);
            }
        }
    }

    /// Reads an answer for [`Reload::update`]: of what `index` has already, no more than is needed to know it again.
    ///
    /// `url` is where it came from after redirects. Errors as of [`super::parse`].
    pub fn read(
        &self,
        index: &ListIndex,
        body: &[u8],
        url: &str,
        variables: &Variables,
    ) -> Result<MediaPlaylist> {
        let known = index.first.checked_add_signed(-self.shift).map(|first| Known { index, first });
        super::text_of(body)
            .and_then(|text| media::parse(&text, url, variables, known))
            .map_err(|e| e.with_url(url))
    }

    /// EXT-X-TARGETDURATION; 0 where it is missing.
    pub fn target_duration(&self) -> Seconds {
        self.target
    }

    /// PART-TARGET.
    pub fn part_target(&self) -> Option<Seconds> {
        self.part_target
    }

    /// HOLD-BACK, three target durations by default: how far from the end of the last segment playback is to stay.
    pub fn hold_back(&self) -> Seconds {
        self.control.hold_back.unwrap_or(3.0 * self.interval())
    }

    /// PART-HOLD-BACK, three part targets by default and never below two (§4.4.3.8): the same from the end of the last part. `None`
    /// without parts.
    pub fn part_hold_back(&self) -> Option<Seconds> {
        let target = self.part_target?;
        Some(self.control.part_hold_back.unwrap_or(3.0 * target).max(2.0 * target))
    }

    /// CAN-BLOCK-RELOAD, as long as the server keeps to it. Without it parts are learnt of late (each target duration, §6.3.4), and
    /// are no means to a low latency.
    pub fn can_block(&self) -> bool {
        self.blocks()
    }

    /// Nothing will be added.
    pub fn complete(&self) -> bool {
        self.complete
    }

    /// EXT-X-PLAYLIST-TYPE:EVENT: it only grows.
    pub fn is_event(&self) -> bool {
        self.event
    }

    /// The clock time of a presentation time, in seconds since 1970.
    pub fn date_at(&self, time: Seconds) -> Option<f64> {
        self.dates.date_at(time)
    }

    /// The presentation time of a clock time; it may lie outside of the playlist.
    pub fn time_at(&self, date: f64) -> Option<Seconds> {
        self.dates.time_at(date)
    }

    /// Where it is read from, without directives: after redirects, until that fails.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether segments come in parts that are learnt of in time, by readings that wait for them.
    pub fn is_low_latency(&self) -> bool {
        self.part_target.is_some() && self.can_block()
    }

    /// Something is not as the playlist says: it is read as soon as may be.
    pub fn hurry(&mut self) {
        if self.asked.is_none() && !self.complete {
            self.begun = f64::NEG_INFINITY;
        }
    }

    /// Another playlist could not be had either, and now can: so may this one.
    pub fn try_again(&mut self) {
        if self.failures > 0 {
            self.failed = f64::NEG_INFINITY;
        }
    }

    /// The media of the segment `number` begins `by` seconds later than was told, and so does all that follows.
    pub fn retime(&mut self, index: &mut ListIndex, number: u64, by: Seconds) {
        let at = usize::try_from(number.saturating_sub(index.first)).unwrap_or(usize::MAX);
        for segment in index.segments.iter_mut().skip(at) {
            segment.start += by;
        }
        for part in index.parts.iter_mut().filter(|p| p.number >= number) {
            part.start += by;
        }
        if number <= self.next {
            self.end += by;
        }
    }

    /// EXT-X-DATERANGE, all that are in the playlist.
    pub fn date_ranges(&self) -> &[DateRange] {
        &self.date_ranges
    }

    /// Where the rendition at the absolute URL `url` is (EXT-X-RENDITION-REPORT): its last media sequence number, and the last part of
    /// that. With [`directed`] they ask for a playlist that has at least these, which a cache on the way cannot answer with an older one.
    pub fn report_for(&self, base: &str, url: &str) -> Option<(u64, Option<u64>)> {
        let wanted = directed(url, None, None, None);
        let path = |url: &str| url.split(['?', '#']).next().unwrap_or_default().to_owned();
        let absolute = |r: &RenditionReport| directed(&url::resolve(base, &r.uri), None, None, None);
        let report = self
            .reports
            .iter()
            .find(|r| absolute(r) == wanted)
            .or_else(|| self.reports.iter().find(|r| path(&absolute(r)) == path(&wanted)))?;
        // What is left out is the same as of this playlist (§4.4.5.4).
        let next = self.next.saturating_add_signed(-self.shift);
        let own = match self.next_part.checked_sub(1) {
            Some(part) => (next, Some(u64::from(part))),
            None => (next.saturating_sub(1), None),
        };
        Some((report.last_msn.unwrap_or(own.0), report.last_part.or(own.1)))
    }

    /// An initialization segment that will be referred to (EXT-X-PRELOAD-HINT:TYPE=MAP).
    pub fn map_hint(&self) -> Option<&InitRef> {
        self.map_hint.as_ref()
    }

    /// The latest EXT-X-BITRATE, in bit/s.
    pub fn bitrate(&self) -> Option<u64> {
        self.bitrate
    }

    /// Seconds since the playlist last changed.
    pub fn stale_for(&self, now: f64) -> Seconds {
        (now - self.changed).max(0.0)
    }
}

/// A playlist's URL with delivery directives (§6.2.5), in alphabetical order behind the rest of the query, so that a cache on the way sees
/// the same URL from all players. Those that it has already are replaced.
pub fn directed(url: &str, msn: Option<u64>, part: Option<u64>, skip: Option<&str>) -> String {
    let url = url.split('#').next().unwrap_or(url);
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut out = path.to_owned();
    let mut mark = "?";
    let mut push = |name: &str, value: &str| {
        for piece in [mark, name, value] {
            out.push_str(piece);
        }
        mark = "&";
    };
    for pair in query.split('&') {
        let name = pair.split('=').next().unwrap_or(pair);
        if !pair.is_empty() && !matches!(name, "_HLS_msn" | "_HLS_part" | "_HLS_skip") {
            push(pair, "");
        }
    }
    let number = |n: Option<u64>| n.map(|n| n.to_string());
    let (msn, part) = (number(msn), number(part));
    for (name, value) in
        [("_HLS_msn=", msn.as_deref()), ("_HLS_part=", part.as_deref()), ("_HLS_skip=", skip)]
    {
        if let Some(value) = value {
            push(name, value);
        }
    }
    out
}
