//! What a dynamic MPD tells of its clock, of the service, and of how it is updated (ISO/IEC 23009-1 §5.3.1.2, §5.8.5.7, annex K).

use super::{Reader, datatypes};
use crate::manifest::{
    AdaptationSet, ClockSource, Latency, Live, PatchSource, ProducerTime, SegmentIndex, url,
};

const ROOT: usize = 0;

impl Reader<'_> {
    /// Of a dynamic MPD; relative references are to its own URL.
    pub(super) fn live(&mut self, base_url: &str) -> Box<Live> {
        let epoch = self.date(ROOT, "availabilityStartTime");
        if epoch.is_none() {
            self.warn(&["A dynamic MPD without a valid @availabilityStartTime: taken for 1970."]);
        }
        let refresh = self.seconds(ROOT, "minimumUpdatePeriod");
        let depth = self.seconds(ROOT, "timeShiftBufferDepth");
        let delay = self.seconds(ROOT, "suggestedPresentationDelay");
        let available_until = self.date(ROOT, "availabilityEndTime");
        let (latency, rates) = self.service_description();
        let clocks = self.clocks(base_url);
        let document = &self.document;
        let location = document.child(ROOT, "Location").map(|l| document.text(l)).filter(|l| !l.is_empty());
        let patch = document.child(ROOT, "PatchLocation").filter(|&p| !document.text(p).is_empty());
        Box::new(Live {
            epoch: Some(epoch.unwrap_or(0.0)),
            depth,
            refresh,
            available_until,
            delay,
            latency,
            rates,
            location: location.map(|l| url::resolve(base_url, l)),
            patch: patch.map(|p| PatchSource {
                url: url::resolve(base_url, document.text(p)),
                ttl: document.attribute(p, "ttl").and_then(datatypes::double).filter(|ttl| *ttl >= 0.0),
            }),
            clocks,
            published: document.attribute(ROOT, "publishTime").map(Into::into),
            ..Live::default()
        })
    }

    fn date(&mut self, element: usize, name: &str) -> Option<f64> {
        let text = self.document.attribute(element, name)?;
        let date = datatypes::date_time(text);
        if date.is_none() {
            self.warn(&["Attribute ", name, " was left out: not a valid date."]);
        }
        date
    }

    /// Latency and rates of the first ServiceDescription that is for all clients, else of the first.
    fn service_description(&mut self) -> (Option<Latency>, Option<(f64, f64)>) {
        let document = &self.document;
        let all = || document.children_named(ROOT, "ServiceDescription");
        let for_all = all().find(|&s| document.child(s, "Scope").is_none());
        let Some(service) = for_all.or_else(|| all().next()) else { return (None, None) };
        let number = |child: &str, name: &str| {
            let element = document.child(service, child)?;
            document.attribute(element, name).and_then(datatypes::double).filter(|n| *n > 0.0 && *n < 1e9)
        };
        let latency = |name| number("Latency", name).map(|milliseconds| milliseconds / 1000.0);
        let (min, max) = (latency("min"), latency("max"));
        let target = latency("target").or(min).or(max);
        let latency = target.map(|target| Latency { target, min, max });
        let rates = document.child(service, "PlaybackRate").map(|_| {
            let rate = |name| number("PlaybackRate", name).unwrap_or(1.0);
            (rate("min"), rate("max"))
        });
        let sensible = rates.filter(|(min, max)| *min <= 1.0 && *max >= 1.0);
        if rates != sensible {
            self.warn(&["PlaybackRate was left out: 1 does not lie between @min and @max."]);
        }
        (latency, sensible)
    }

    /// UTCTiming: best first, as they are written.
    fn clocks(&mut self, base_url: &str) -> Vec<ClockSource> {
        /// More would never be asked.
        const MAX_CLOCKS: usize = 16;
        let mut clocks = Vec::new();
        let mut unsupported: Vec<String> = Vec::new();
        let document = &self.document;
        for timing in document.children_named(ROOT, "UTCTiming") {
            let scheme = document.attribute(timing, "schemeIdUri").unwrap_or("");
            let value = document.attribute(timing, "value").unwrap_or("");
            let kind = scheme
                .strip_prefix("urn:mpeg:dash:utc:")
                .and_then(|s| s.rsplit_once(':'))
                .map_or("", |s| s.0);
            let urls = value.split_ascii_whitespace().map(|u| url::resolve(base_url, u));
            match kind {
                "direct" => match datatypes::date_time(value) {
                    Some(time) => clocks.push(ClockSource::Direct(time)),
                    None => unsupported.push(["UTCTiming: not a date: ", value].concat()),
                },
                "http-head" => clocks.extend(urls.map(ClockSource::Head)),
                "http-xsdate" | "http-iso" => clocks.extend(urls.map(ClockSource::Body)),
                // NTP is no HTTP, and http-ntp is used by nobody.
                _ => unsupported.push(["UTCTiming: scheme not supported: ", scheme].concat()),
            }
        }
        clocks.truncate(MAX_CLOCKS);
        self.warnings.extend(unsupported);
        clocks
    }

    /// ProducerReferenceTime of a set and of its representations (§5.12). Only those with a date are of use.
    pub(super) fn producer_times(&mut self, element: usize, representations: &[usize], set: &AdaptationSet) {
        let document = &self.document;
        for &level in std::iter::once(&element).chain(representations) {
            for reference in document.children_named(level, "ProducerReferenceTime") {
                let id = document.attribute(level, "id").filter(|_| level != element);
                let of = |r: &&crate::manifest::Representation| id.is_none_or(|id| r.id == id);
                let Some(SegmentIndex::Template(template)) =
                    set.representations.iter().find(of).map(|r| &r.index)
                else {
                    continue;
                };
                let wall = document.attribute(reference, "wallClockTime").and_then(datatypes::date_time);
                let time = document
                    .attribute(reference, "presentationTime")
                    .and_then(|t| datatypes::whole(t).parse().ok());
                if let (Some(wall), Some(time)) = (wall, time) {
                    self.producer.push(ProducerTime {
                        set: set.id.clone(),
                        representation: id.map(str::to_owned),
                        wall,
                        time: template.timescale.seconds(time) + template.timestamp_offset,
                    });
                }
            }
        }
    }
}
