//! DASH (ISO/IEC 23009-1): an MPD becomes a [`Presentation`].
//!
//! `xml` reads the text into a flat tree with run-length encoded timelines (`timeline`), `de` fills the segment types of the
//! `dash-mpd` crate from it with inheritance applied, `segments` turns these into indexes, `sets` classifies what is offered,
//! `service` reads what a live MPD tells of its clock and of its updates, `events` what happens when, and `patch` changes the text
//! of an MPD.

mod datatypes;
mod de;
mod events;
mod patch;
mod segments;
mod service;
mod sets;
mod timeline;
mod xml;

pub use events::validity;
pub use patch::patch;

use super::bases::{self, BaseUrl};
use super::{Period, Presentation, PresentationType, ProducerTime, Protocol, SegmentIndex, url};
use crate::bytes::split_once;
use crate::error::{Code, PlayerError, Result};
use crate::time::Seconds;
use segments::Unusable;
use std::borrow::Cow;
use std::rc::Rc;
use timeline::MAX_SEGMENTS;
use xml::Document;

/// Longest list of warnings that is kept.
const MAX_WARNINGS: usize = 50;
/// More places than this for one representation are left out.
const MAX_BASES: usize = 16;

/// Reads an MPD that was fetched from `base_url`. See [`parse_at`].
pub fn parse(xml: &[u8], base_url: &str) -> Result<Presentation> {
    parse_at(xml, base_url, None)
}

/// Reads an MPD that was fetched from `base_url`. For a dynamic MPD `now` (seconds since 1970) tells which segments can be had, see
/// [`Presentation::advance`]; without it templates with `@duration` list none, timelines all. What cannot be used is left out with
/// a warning. Errors: `MANIFEST_MALFORMED` (with the line), `MANIFEST_EMPTY`, `FORMAT_UNSUPPORTED`.
pub fn parse_at(xml: &[u8], base_url: &str, now: Option<f64>) -> Result<Presentation> {
    let mut warnings = Vec::new();
    let text = decode(xml, &mut warnings);
    let document = xml::parse(&text, "MPD", &mut warnings).map_err(|e| e.with_url(base_url))?;
    // The clock's milliseconds are chance enough to spread viewers over places.
    let mix = |n: u64| (n ^ n >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let chance = now.map_or(0, |now| mix(mix((now * 1000.0) as u64)) >> 32);
    let reader = Reader {
        text: &text,
        document,
        warnings,
        first_fault: None,
        chance,
        chunked: false,
        producer: Vec::new(),
    };
    let mut presentation =
        reader.mpd(base_url).map_err(|e| if e.url.is_none() { e.with_url(base_url) } else { e })?;
    if let Some(now) = now {
        presentation.advance(now);
        let starts = presentation.live.as_ref().and_then(|l| l.epoch);
        if starts.is_some_and(|starts| starts > now) {
            presentation
                .warnings
                .push("The presentation starts in the future (@availabilityStartTime).".into());
        }
    }
    Ok(presentation)
}

/// The time in the answer of a time server (`urn:mpeg:dash:utc:http-xsdate:2014`, `http-iso`): seconds since 1970.
pub fn clock(body: &[u8]) -> Option<f64> {
    // Far longer than a date, and no web page is taken for one.
    datatypes::date_time(std::str::from_utf8(body.get(..body.len().min(100))?).ok()?)
}

/// Whether the first bytes of a resource are those of an MPD.
pub fn looks_like(prefix: &[u8]) -> bool {
    let text = decode(prefix, &mut Vec::new());
    let mut rest = text.trim_start();
    loop {
        let Some(tag) = rest.strip_prefix('<') else { return false };
        let end = match tag.as_bytes() {
            [b'?', ..] => "?>",
            [b'!', b'-', b'-', ..] => "-->",
            // Its internal subset may hold '>': what follows then is no '<', and the answer no.
            [b'!', ..] => ">",
            _ => {
                let name = tag
                    .split(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/')
                    .next()
                    .unwrap_or(tag);
                return name.rsplit(':').next() == Some("MPD");
            }
        };
        let Some((_, after)) = split_once(tag, end) else { return false };
        rest = after.trim_start();
    }
}

/// Text of any of the encodings that MPDs come in: UTF-8, UTF-16 (XML 1.0 §4.3.3), and Latin-1 if it says so.
fn decode<'a>(bytes: &'a [u8], warnings: &mut Vec<String>) -> Cow<'a, str> {
    match bytes {
        [0xfe, 0xff, rest @ ..] | rest @ [0, b'<', ..] => {
            return Cow::Owned(utf_16(rest, u16::from_be_bytes));
        }
        [0xff, 0xfe, rest @ ..] | rest @ [b'<', 0, ..] => {
            return Cow::Owned(utf_16(rest, u16::from_le_bytes));
        }
        _ => {}
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let declaration = bytes.split(|&b| b == b'>').next().unwrap_or_default().to_ascii_lowercase();
    let says = |name: &[u8]| declaration.windows(name.len()).any(|w| w == name);
    if says(b"iso-8859-1") || says(b"windows-1252") {
        return Cow::Owned(bytes.iter().map(|&b| char::from(b)).collect());
    }
    warnings.push("The MPD is not valid UTF-8: unreadable characters were replaced.".into());
    String::from_utf8_lossy(bytes)
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// What is known of the MPD as a whole while its periods are read.
struct Mpd {
    dynamic: bool,
    /// `@mediaPresentationDuration`.
    duration: Option<Seconds>,
    bases: Rc<[BaseUrl]>,
    has_base: bool,
}

struct Reader<'a> {
    text: &'a str,
    document: Document<'a>,
    warnings: Vec<String>,
    /// Why the first thing that had to be left out was.
    first_fault: Option<PlayerError>,
    /// Any number.
    chance: u64,
    /// Segments can be had before their end.
    chunked: bool,
    producer: Vec<ProducerTime>,
}

impl Reader<'_> {
    fn warn(&mut self, parts: &[&str]) {
        self.warnings.push(parts.concat());
    }

    fn seconds(&mut self, element: usize, name: &str) -> Option<Seconds> {
        let text = self.document.attribute(element, name)?;
        let value = datatypes::duration(text).filter(|d| *d >= 0.0);
        if value.is_none() {
            self.warnings.push(["Attribute ", name, " was left out: not a valid duration."].concat());
        }
        value
    }

    /// BaseURL (§5.6): all places that those of this level and of the level outside lead to, best first; and whether this level has any.
    fn bases(&self, element: usize, outer: &Rc<[BaseUrl]>) -> (Rc<[BaseUrl]>, bool) {
        let document = &self.document;
        let mut all: Vec<BaseUrl> = Vec::new();
        for outer in outer.iter() {
            for own in document.children_named(element, "BaseURL").take(MAX_BASES) {
                let url = url::resolve(&outer.url, document.text(own));
                if all.len() >= MAX_BASES || all.iter().any(|b| b.url == url) {
                    continue;
                }
                let offset = document.attribute(own, "availabilityTimeOffset").and_then(datatypes::double);
                let number = |name| document.any_attribute(own, name).and_then(|n| n.parse().ok());
                let location = document.attribute(own, "serviceLocation");
                all.push(BaseUrl {
                    location: location.unwrap_or(&outer.location).to_owned(),
                    offset: outer.offset + segments::finite(offset.unwrap_or(0.0)),
                    complete: match document.attribute(own, "availabilityTimeComplete") {
                        Some("false" | "0") => Some(false),
                        Some("true" | "1") => Some(true),
                        _ => outer.complete,
                    },
                    priority: number("priority").unwrap_or(outer.priority),
                    weight: number("weight").unwrap_or(outer.weight),
                    url,
                });
            }
        }
        match document.children_named(element, "BaseURL").count() {
            0 => (outer.clone(), false),
            // Those outside are in their order.
            1 => (all.into(), true),
            _ => (bases::order(all, self.chance), true),
        }
    }

    fn mpd(mut self, base_url: &str) -> Result<Presentation> {
        const ROOT: usize = 0;
        let dynamic = self.document.attribute(ROOT, "type") == Some("dynamic");
        let bases = Rc::from([BaseUrl { url: base_url.to_owned(), ..BaseUrl::default() }]);
        let (bases, has_base) = self.bases(ROOT, &bases);
        let mpd = Mpd {
            dynamic,
            duration: self.seconds(ROOT, "mediaPresentationDuration").filter(|d| *d > 0.0),
            bases,
            has_base,
        };
        let mut live = dynamic.then(|| self.live(base_url));
        let periods = self.periods(&mpd)?;
        if periods.is_empty() {
            return Err(self.nothing_to_play());
        }
        if let Some(live) = &mut live {
            live.low_latency = self.chunked;
            live.producer = std::mem::take(&mut self.producer);
        }
        let end = periods.last().and_then(|p| p.duration.map(|d| p.start + d));
        if self.warnings.len() > MAX_WARNINGS {
            let more = self.warnings.len() - MAX_WARNINGS;
            self.warnings.truncate(MAX_WARNINGS);
            self.warn(&["… and ", &more.to_string(), " more."]);
        }
        Ok(Presentation {
            protocol: Protocol::Dash,
            kind: if dynamic { PresentationType::Dynamic } else { PresentationType::Static },
            duration: mpd.duration.or(end.filter(|_| !dynamic)),
            periods,
            start_hint: None,
            live,
            warnings: self.warnings,
        })
    }

    fn nothing_to_play(self) -> PlayerError {
        let empty = || PlayerError::new(Code::ManifestEmpty, "The MPD has no Representation.");
        self.first_fault.unwrap_or_else(empty)
    }

    /// Periods with their times (§5.3.2.1).
    fn periods(&mut self, mpd: &Mpd) -> Result<Vec<Period>> {
        let elements: Vec<usize> = self.document.children_named(0, "Period").collect();
        let mut times: Vec<(usize, Seconds, Option<Seconds>)> = Vec::with_capacity(elements.len());
        for element in elements {
            if self.document.remote(element).is_some() {
                self.warn(&["A remote Period (xlink) was not fetched."]);
                if self.document.child(element, "AdaptationSet").is_none() {
                    continue;
                }
            }
            let follows = match times.last() {
                Some((_, start, duration)) => duration.map(|d| start + d),
                // For a dynamic MPD too, though it should say so: everybody takes it for 0.
                None => Some(0.0),
            };
            let Some(start) = self.seconds(element, "start").or(follows) else {
                // An "early available" period, or one that has not begun.
                self.warn(&["A Period was left out: nothing tells when it starts."]);
                continue;
            };
            let duration = self.seconds(element, "duration");
            // A period ends at the latest where the next begins.
            if let Some((_, before, length)) = times.last_mut() {
                let until = start - *before;
                if until < 0.0 {
                    self.warn(&["A Period was left out: it starts before the one that it follows."]);
                    continue;
                }
                *length = Some(length.map_or(until, |l| l.min(until)));
            }
            times.push((element, start, duration));
        }
        if let (Some((_, start, length @ None)), Some(total)) = (times.last_mut(), mpd.duration) {
            *length = Some(total - *start).filter(|d| *d > 0.0);
        }
        let mut periods = Vec::with_capacity(times.len());
        for (i, &(element, start, duration)) in times.iter().enumerate() {
            let id = match self.document.attribute(element, "id") {
                Some(id) if !id.is_empty() => id.to_owned(),
                _ => ["period-", &(i + 1).to_string()].concat(),
            };
            if duration.is_some_and(|d| d <= 0.0) {
                self.warn(&["Period ", &id, " was left out: it lasts no time."]);
                continue;
            }
            if let Some(scheme) = self.unknown_essential_property(element) {
                self.unusable(element, Code::FormatUnsupported, &["Period ", &id, " needs ", &scheme]);
                continue;
            }
            let events = self.events(element, start);
            let mut period = Period { id, start, duration, sets: Vec::new(), events };
            self.adaptation_sets(mpd, element, &mut period)?;
            if period.sets.is_empty() {
                self.warn(&["Period ", &period.id, " has nothing to play."]);
                continue;
            }
            if duration.is_none() && !mpd.dynamic {
                let ends = period.sets.iter().flat_map(|s| &s.representations).filter_map(|r| r.index.end());
                period.duration = ends.reduce(f64::max).map(|end| end - start);
            }
            periods.push(period);
        }
        Ok(periods)
    }

    /// Records that something was left out.
    fn unusable(&mut self, element: usize, code: Code, what: &[&str]) {
        let what = what.concat();
        if self.first_fault.is_none() {
            self.first_fault = Some(self.fault(element, code, &what));
        }
        self.warnings.push(what + ": left out.");
    }

    /// An error with the place of an element.
    fn fault(&self, element: usize, code: Code, what: &str) -> PlayerError {
        let offset = self.document.elements.get(element).map_or(0, |e| e.offset as usize);
        PlayerError { code, ..xml::malformed(self.text, offset, what) }
    }

    /// The segments of a Representation. `Err` only for what must end the load.
    fn segments(
        &mut self,
        context: &segments::Context<'_>,
        shared: &mut Option<segments::Shared>,
    ) -> Result<Option<SegmentIndex>> {
        let fault = match segments::index(&mut self.document, context, shared, &mut self.warnings) {
            Ok(index) if !context.dynamic && index.len() as u64 > MAX_SEGMENTS => {
                let what = ["Representation ", context.id, " has an absurd number of segments"].concat();
                return Err(self.fault(context.levels[0], Code::ManifestMalformed, &what));
            }
            Ok(index) => return Ok(Some(index)),
            Err(fault) => fault,
        };
        let (code, why) = match fault {
            Unusable::Malformed(why) => (Code::ManifestMalformed, why),
            Unusable::Unsupported(why) => (Code::FormatUnsupported, why),
            Unusable::Empty(why) => (Code::ManifestEmpty, why),
        };
        self.unusable(context.levels[0], code, &["Representation ", context.id, " cannot be used: ", why]);
        Ok(None)
    }
}
