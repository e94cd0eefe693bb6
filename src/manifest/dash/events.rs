//! Events (ISO/IEC 23009-1 §5.10): those that the MPD lists, and where segments carry some.

use super::{Reader, datatypes};
use crate::manifest::Event;
use crate::time::Seconds;

impl Reader<'_> {
    /// The EventStreams of a period that starts at `start` (§5.10.2).
    pub(super) fn events(&mut self, period: usize, start: Seconds) -> Vec<Event> {
        let document = &self.document;
        let mut events = Vec::new();
        for stream in document.children_named(period, "EventStream") {
            let number = |element, name| {
                document.attribute(element, name).and_then(|n| datatypes::whole(n).parse::<u64>().ok())
            };
            let scale = number(stream, "timescale").filter(|t| *t > 0).unwrap_or(1) as f64;
            let offset = number(stream, "presentationTimeOffset").unwrap_or(0) as f64;
            let text = |name| document.attribute(stream, name).unwrap_or("");
            let (scheme, value) = (text("schemeIdUri").into(), text("value").into());
            for event in document.children_named(stream, "Event") {
                let time = number(event, "presentationTime").unwrap_or(0) as f64;
                events.push(Event {
                    scheme: std::rc::Rc::clone(&scheme),
                    value: std::rc::Rc::clone(&value),
                    id: document.attribute(event, "id").unwrap_or("").to_owned(),
                    start: start + (time - offset) / scale,
                    duration: number(event, "duration").map(|d| d as f64 / scale),
                    data: self.event_data(event),
                });
            }
        }
        events
    }

    /// `@messageData`, or else what stands in the element: text, or XML as it is written.
    fn event_data(&self, event: usize) -> Vec<u8> {
        let document = &self.document;
        let content = &document.elements[event].content;
        let inside = self.text.get(content.start as usize..content.end as usize).unwrap_or("").trim();
        let text = match document.attribute(event, "messageData") {
            Some(data) => data,
            None if inside.contains('<') && !inside.starts_with("<![CDATA[") => inside,
            None => document.text(event),
        };
        let is_base_64 = document.attribute(event, "contentEncoding") == Some("base64");
        let decoded = if is_base_64 { datatypes::base_64(text) } else { None };
        decoded.unwrap_or_else(|| text.as_bytes().to_vec())
    }

    /// InbandEventStream (§5.10.3) of a set and of its representations.
    pub(super) fn inband_events(&self, element: usize, representations: &[usize]) -> Vec<(String, String)> {
        let document = &self.document;
        let mut found: Vec<(String, String)> = Vec::new();
        for &level in std::iter::once(&element).chain(representations) {
            for stream in document.children_named(level, "InbandEventStream") {
                let text = |name| document.attribute(stream, name).unwrap_or("");
                let (scheme, value) = (text("schemeIdUri"), text("value"));
                if !found.iter().any(|f| f.0 == scheme && f.1 == value) {
                    found.push((scheme.to_owned(), value.to_owned()));
                }
            }
        }
        found
    }
}

/// What an `emsg` of scheme `urn:mpeg:dash:event:2012` says (§5.10.4): from the moment of the event on, only an MPD with this
/// `@publishTime` or a later one is valid. `None`: the message tells no such time.
pub fn validity(message_data: &[u8]) -> Option<&str> {
    // Values 2 and 3 have a patch or an MPD behind the time and a zero.
    let text = message_data.split(|&b| b == 0).next()?;
    let text = std::str::from_utf8(text).ok()?.trim();
    datatypes::date_time(text).map(|_| text)
}
