//! Plain objects for the page side, and the configuration that comes from there.

use crate::error::{PlayerError, Severity};
use crate::player::{AudioTrack, Choice, Config, Event, Quality, Rule, Stats};
use js_sys::{Array, Object, Reflect};
use wasm_bindgen::prelude::*;

/// An object under construction.
pub(super) struct Bag(Object);

impl Bag {
    pub(super) fn new() -> Self {
        Self(Object::new())
    }

    /// Adds a property; `None` gives `undefined`.
    pub(super) fn with(self, key: &str, value: impl Into<JsValue>) -> Self {
        self.put(key, &value.into());
        self
    }

    fn put(&self, key: &str, value: &JsValue) {
        // Setting a data property of a fresh object cannot fail.
        let _ = Reflect::set(&self.0, &JsValue::from_str(key), value);
    }
}

impl From<Bag> for Object {
    fn from(bag: Bag) -> Self {
        bag.0
    }
}

impl From<Bag> for JsValue {
    fn from(bag: Bag) -> Self {
        bag.0.into()
    }
}

fn text(value: Option<&str>) -> JsValue {
    value.map_or(JsValue::UNDEFINED, JsValue::from_str)
}

fn list(items: impl Iterator<Item = JsValue>) -> JsValue {
    let array = Array::new();
    for item in items {
        array.push(&item);
    }
    array.into()
}

fn message(kind: &str) -> Bag {
    Bag::new().with("type", kind)
}

/// What is to be set on the element: the transferable handle in a worker, the MediaSource itself on the page; `null`: nothing.
pub(super) fn source(handle: &JsValue) -> JsValue {
    message("source").with("handle", handle).into()
}

/// Where there is a document the object itself can be used, and browsers refuse the handle there.
pub(super) fn source_handle(media: &JsValue) -> JsValue {
    let on_page = Reflect::has(&js_sys::global(), &JsValue::from_str("document")).unwrap_or(false);
    if on_page {
        media.clone()
    } else {
        Reflect::get(media, &JsValue::from_str("handle")).unwrap_or(JsValue::NULL)
    }
}

/// Sets `currentTime` or `playbackRate`.
pub(super) fn number(kind: &str, value: f64) -> JsValue {
    message(kind).with("value", value).into()
}

/// An event with its public name and detail.
pub(super) fn event(event: &Event) -> JsValue {
    let (name, detail) = match event {
        Event::Loaded { protocol, duration, live } => {
            ("loaded", Bag::new().with("protocol", *protocol).with("duration", *duration).with("live", *live))
        }
        Event::Tracks { qualities, audio } => (
            "tracks",
            Bag::new()
                .with("qualities", list(qualities.iter().map(quality)))
                .with("audio", list(audio.iter().map(audio_track))),
        ),
        Event::QualityChange { from, to, reason, auto, choice } => (
            "qualitychange",
            self::choice(choice)
                .with("from", text(from.as_deref()))
                .with("to", to.as_str())
                .with("reason", reason.as_str())
                .with("auto", *auto),
        ),
        Event::Stall { reason, position } => {
            ("stall", Bag::new().with("reason", reason.as_str()).with("position", *position))
        }
        Event::Recovered { reason, seconds } => {
            ("recovered", Bag::new().with("reason", reason.as_str()).with("seconds", *seconds))
        }
        Event::Gap { reason, from, to } => {
            ("gap", Bag::new().with("reason", reason.as_str()).with("from", *from).with("to", *to))
        }
        Event::Error(e) => ("error", error(e)),
        Event::Ended => ("ended", Bag::new()),
        Event::Stats(s) => ("stats", stats(s)),
        #[cfg(feature = "live")]
        Event::Live(l) => ("live", live(l)),
        Event::Metadata(n) => ("metadata", note(n)),
        #[cfg(feature = "progressive")]
        Event::Sources(urls) => {
            ("sources", Bag::new().with("urls", list(urls.iter().map(|u| JsValue::from_str(u)))))
        }
        #[cfg(feature = "progressive")]
        Event::LastResort { url, mime, error: e } => {
            let why: JsValue = error(e).into();
            (
                "lastresort",
                Bag::new().with("url", url.as_str()).with("mime", mime.as_str()).with("error", why),
            )
        }
        Event::NeedsFeature(feature) => ("needsfeature", Bag::new().with("feature", *feature)),
    };
    message("event").with("name", name).with("detail", detail).into()
}

fn choice(c: &Choice) -> Bag {
    let candidate = |(id, seconds, lasts): &(String, f64, f64)| -> JsValue {
        Bag::new().with("id", id.as_str()).with("seconds", *seconds).with("lasts", *lasts).into()
    };
    Bag::new()
        .with("estimate", c.estimate.0)
        .with("estimateHigh", c.estimate.1)
        .with("buffer", c.buffer)
        .with("candidates", list(c.candidates.iter().map(candidate)))
}

fn quality(q: &Quality) -> JsValue {
    Bag::new()
        .with("id", q.id.as_str())
        .with("bandwidth", q.bandwidth as f64)
        .with("width", q.width)
        .with("height", q.height)
        .with("frameRate", q.frame_rate)
        .with("codecs", q.codecs.as_str())
        .into()
}

fn audio_track(t: &AudioTrack) -> JsValue {
    Bag::new()
        .with("id", t.id.as_str())
        .with("language", text(t.language.as_deref()))
        .with("label", text(t.label.as_deref()))
        .with("roles", list(t.roles.iter().map(|role| JsValue::from_str(role))))
        .with("active", t.active)
        .into()
}

fn note(n: &crate::player::Note) -> Bag {
    let values = n.values.iter().fold(Bag::new(), |bag, (name, value)| bag.with(name, value.as_str()));
    let data = if n.data.is_empty() {
        JsValue::UNDEFINED
    } else {
        js_sys::Uint8Array::from(n.data.as_slice()).into()
    };
    Bag::new()
        .with("kind", n.kind)
        .with("time", n.at)
        .with("duration", n.duration)
        .with("title", text(n.title.as_deref()))
        .with("url", text(n.url.as_deref()))
        .with("values", JsValue::from(values))
        .with("data", data)
}

#[cfg(feature = "live")]
fn live(l: &crate::player::LiveState) -> Bag {
    Bag::new()
        .with("latency", l.latency)
        .with("target", l.target)
        .with("edge", l.edge)
        .with("start", l.window.0)
        .with("end", l.window.1)
        .with("date", l.date)
        .with("rate", l.rate)
        .with("atEdge", l.at_edge)
}

fn stats(s: &Stats) -> Bag {
    let stalls = Bag::new().with("count", s.stalls).with("seconds", s.stall_time);
    Bag::new()
        .with("startupTime", s.startup)
        .with("stalls", stalls)
        .with("switches", s.switches)
        .with("averageBitrate", s.average_bandwidth)
        .with("bytes", s.bytes as f64)
        .with("estimate", s.estimate)
        .with("buffer", s.buffer)
        .with("quality", text(s.quality.as_deref()))
        .with("position", s.position)
}

/// An error as `PlayerError` of the page side takes it.
pub(super) fn error(e: &PlayerError) -> Bag {
    Bag::new()
        .with("fatal", e.severity == Severity::Fatal)
        .with("code", e.code as u8)
        .with("message", e.message.as_ref())
        .with("url", text(e.url.as_deref()))
        .with("status", e.status)
        .with("position", e.position.map(|p| p as f64))
        .with("tried", text(e.tried.as_deref()))
}

#[wasm_bindgen]
extern "C" {
    /// An `Error` or a `DOMException`.
    type Thrown;
    #[wasm_bindgen(method, structural, getter)]
    fn name(this: &Thrown) -> JsValue;
    #[wasm_bindgen(method, structural, getter)]
    fn message(this: &Thrown) -> JsValue;
}

/// `name` of what was thrown, empty if it has none.
pub(super) fn name(thrown: &JsValue) -> String {
    if thrown.is_object() {
        thrown.unchecked_ref::<Thrown>().name().as_string().unwrap_or_default()
    } else {
        String::new()
    }
}

/// What was thrown, in the browser's words.
pub(super) fn describe(thrown: &JsValue) -> String {
    let said = if thrown.is_object() { thrown.unchecked_ref::<Thrown>().message() } else { thrown.clone() };
    said.as_string().filter(|s| !s.is_empty()).unwrap_or_else(|| name(thrown))
}

/// Reads the configuration, which the page has checked (www/lib/config.ts); what is not given keeps its default.
pub(super) fn config(given: &Object) -> Config {
    let mut config = Config::default();
    for entry in Object::entries(given).iter() {
        let entry: Array = entry.unchecked_into();
        let value = entry.get(1);
        if value.is_undefined() {
            continue;
        }
        // `null` and `'auto'` are neither a number nor a flag.
        let (some, flag, text) = (value.as_f64(), value.as_bool(), value.as_string());
        let number = some.unwrap_or_default();
        match entry.get(0).as_string().unwrap_or_default().as_str() {
            "bufferAhead" => config.buffer_ahead = number,
            "bufferBehind" => config.buffer_behind = number,
            "bufferBytes" => config.buffer_bytes = number as u64,
            "maxBandwidth" => config.max_bandwidth = some.map(|n| n as u64),
            "capToElement" => config.cap_to_element = flag == Some(true),
            "initialBandwidth" => config.initial_bandwidth = number,
            "language" => config.language = text,
            "maxAttempts" => config.max_attempts = number as u32,
            "requestTimeout" => config.request_timeout = number,
            "maxGap" => config.max_gap = number,
            "icy" => config.icy = flag,
            "liveLatency" => config.live_latency = some,
            "catchUp" => config.catch_up = flag,
            "dataSaver" => config.data_saver = flag == Some(true),
            "abr" => config.rule = Rule::named(&text.unwrap_or_default()).unwrap_or_default(),
            "statsInterval" => config.stats_interval = number,
            _ => {}
        }
    }
    config
}
