//! The browser shell with a real MediaSource, fetch and clock: `wasm-pack test --headless --chrome`.
//!
//! Streams are made of blob URLs, so that no server is needed. The engine runs on the page here; `tests/browser` has it in a worker.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::panic, reason = "clippy's own exception stops at functions marked `#[test]`")]

use js_sys::{Array, Function, Object, Promise, Reflect, Uint8Array};
use millrace::Engine;
use millrace::error::Code;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

const FMP4: &[u8] = include_bytes!("fixtures/web/two-fragments.mp4");
const TS: &[u8] = include_bytes!("fixtures/ts/bframes.ts");

#[wasm_bindgen(inline_js = "
    export function video() { const v = document.createElement('video'); v.muted = true; document.body.append(v); return v; }
    export function source(v, handle) { if (handle) v.src = URL.createObjectURL(handle); else { v.removeAttribute('src'); v.load(); } }
    export function seek(v, to) { v.currentTime = to; }
    export function play(v) { v.play().catch(() => {}); }
    export function state(v) {
        return [v.currentTime, v.readyState, (v.paused ? 1 : 0) | (v.seeking ? 2 : 0) | (v.ended ? 4 : 0) | (v.readyState > 1 ? 8 : 0),
            v.playbackRate, 640, 360];
    }
    export function frames(v) { return v.getVideoPlaybackQuality().totalVideoFrames; }
    export function blob(bytes) { return URL.createObjectURL(new Blob([bytes])); }
    export function revoke(url) { URL.revokeObjectURL(url); }
    export function sleep(ms) { return new Promise((resolve) => setTimeout(resolve, ms)); }
    export function response(bytes, url) { return Promise.resolve(Object.defineProperty(new Response(bytes), 'url', { value: url })); }
")]
extern "C" {
    fn video() -> JsValue;
    fn source(video: &JsValue, handle: &JsValue);
    fn seek(video: &JsValue, to: f64);
    fn play(video: &JsValue);
    fn state(video: &JsValue) -> Array;
    fn frames(video: &JsValue) -> u32;
    fn blob(bytes: &Uint8Array) -> String;
    fn revoke(url: &str);
    fn sleep(ms: u32) -> Promise;
    fn response(bytes: &Uint8Array, url: &str) -> Promise;
}

fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &key.into()).unwrap_or(JsValue::UNDEFINED)
}

fn code(error: &JsValue) -> u8 {
    get(error, "code").as_f64().map_or(u8::MAX, |code| code as u8)
}

fn text(object: &JsValue, key: &str) -> String {
    get(object, key).as_string().unwrap_or_default()
}

fn url_of(bytes: &[u8]) -> String {
    blob(&Uint8Array::from(bytes))
}

/// What a page does for an engine.
struct Page {
    engine: Engine,
    video: JsValue,
    /// Name and detail of each event.
    events: Rc<RefCell<Vec<(String, JsValue)>>>,
    _callback: Closure<dyn FnMut(JsValue)>,
}

impl Page {
    fn new(options: &[(&str, f64)]) -> Self {
        let video = video();
        let events = Rc::new(RefCell::new(Vec::new()));
        let (element, log) = (video.clone(), events.clone());
        let callback = Closure::<dyn FnMut(JsValue)>::new(move |message: JsValue| {
            match text(&message, "type").as_str() {
                "source" => source(&element, &get(&message, "handle")),
                "seek" => seek(&element, get(&message, "value").as_f64().expect("where to")),
                _ => log.borrow_mut().push((text(&message, "name"), get(&message, "detail"))),
            }
        });
        let config = Object::new();
        for (key, value) in options {
            Reflect::set(&config, &(*key).into(), &(*value).into())
                .expect("a plain object takes any property");
        }
        let function: Function = callback.as_ref().clone().unchecked_into();
        let engine = Engine::new(function, &config);
        Self { engine, video, events, _callback: callback }
    }

    fn load(&self, url: &str) {
        self.engine.load(url.to_owned(), None, None, None);
    }

    fn event(&self, name: &str) -> Option<JsValue> {
        self.events.borrow().iter().find(|(n, _)| n == name).map(|(_, detail)| detail.clone())
    }

    fn number(&self, index: u32) -> f64 {
        state(&self.video).get(index).as_f64().unwrap_or_default()
    }

    /// Reports the element's state until an event of this name has come.
    async fn until(&self, name: &str) -> JsValue {
        for _ in 0..200 {
            if let Some(detail) = self.event(name) {
                return detail;
            }
            let s = |i| self.number(i);
            self.engine.media_state(s(0), s(1) as u8, s(2) as u8, s(3), s(4) as u32, s(5) as u32);
            JsFuture::from(sleep(50)).await.expect("timers fire");
        }
        let seen: Vec<_> =
            self.events.borrow().iter().map(|(n, d)| format!("{n} {}", text(d, "message"))).collect();
        panic!("no `{name}` within 10 s, but {seen:?} at {} s", self.number(0));
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.engine.destroy();
        source(&self.video, &JsValue::NULL);
    }
}

/// The initialization segment and each `moof` + `mdat`.
fn split(file: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let mut starts = Vec::new();
    let mut at = 0;
    while let Some(header) = file.get(at..at + 8) {
        if &header[4..] == b"moof" {
            starts.push(at);
        }
        if &header[4..] == b"mfra" {
            break;
        }
        at += u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
    }
    let ends = starts.iter().skip(1).copied().chain([at]);
    (&file[..starts[0]], starts.iter().zip(ends).map(|(&start, end)| &file[start..end]).collect())
}

fn mpd() -> String {
    let (init, segments) = split(FMP4);
    assert_eq!(segments.len(), 2);
    let list: String = segments.iter().map(|s| format!(r#"<SegmentURL media="{}"/>"#, url_of(s))).collect();
    let text = format!(
        r#"<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT2S" minBufferTime="PT1S"
        profiles="urn:mpeg:dash:profile:full:2011"><Period><AdaptationSet mimeType="video/mp4" contentType="video"><Representation id="only"
        bandwidth="80000" width="128" height="72" codecs="avc1.64000b"><SegmentList duration="1"><Initialization sourceURL="{}"/>{list}
        </SegmentList></Representation></AdaptationSet></Period></MPD>"#,
        url_of(init)
    );
    text
}

#[wasm_bindgen_test]
async fn dash_plays_to_its_end() {
    let page = Page::new(&[]);
    page.load(&url_of(mpd().as_bytes()));
    let loaded = page.until("loaded").await;
    assert_eq!((text(&loaded, "protocol").as_str(), get(&loaded, "duration").as_f64()), ("dash", Some(2.0)));
    let qualities: Array = get(&page.until("tracks").await, "qualities").unchecked_into();
    assert_eq!(text(&qualities.get(0), "id"), "only");
    play(&page.video);
    page.until("ended").await;
    assert!(frames(&page.video) >= 45, "{} of 50 frames", frames(&page.video));
    assert!(page.number(0) > 1.9, "ended at {}", page.number(0));
    assert!(page.event("error").is_none());
    let stats = page.until("stats").await;
    assert!(get(&stats, "bytes").as_f64() > Some(1000.0));
}

#[wasm_bindgen_test]
async fn transport_streams_play_to_their_end() {
    let page = Page::new(&[]);
    let playlist =
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.6,\n{}\n#EXT-X-ENDLIST\n", url_of(TS));
    page.load(&url_of(playlist.as_bytes()));
    assert_eq!(text(&page.until("loaded").await, "protocol"), "hls");
    play(&page.video);
    page.until("ended").await;
    assert!(frames(&page.video) >= 35, "{} of 40 frames", frames(&page.video));
    assert!(page.event("error").is_none());
}

#[wasm_bindgen_test]
async fn a_prefetched_response_serves_the_first_request() {
    let page = Page::new(&[]);
    // Only the response can have told what is there.
    let url = "http://localhost/not/there.mpd";
    let given = response(&Uint8Array::from(mpd().as_bytes()), url);
    page.engine.load(url.to_owned(), None, Some(1.0), Some(given));
    page.until("loaded").await;
    play(&page.video);
    page.until("ended").await;
    assert!(frames(&page.video) < 40, "it began at 1 s");
}

#[wasm_bindgen_test]
async fn what_is_not_there_is_one_error_with_its_url() {
    let page = Page::new(&[("maxAttempts", 1.0)]);
    let url = url_of(b"gone");
    revoke(&url);
    page.load(&url);
    let error = page.until("error").await;
    assert_eq!(code(&error), Code::Network as u8);
    assert_eq!((get(&error, "fatal"), text(&error, "url")), (JsValue::TRUE, url));
    assert!(!text(&error, "message").is_empty());
    // And the same engine plays the next one.
    page.events.borrow_mut().clear();
    page.load(&url_of(mpd().as_bytes()));
    page.until("loaded").await;
}

#[wasm_bindgen_test]
async fn what_is_no_stream_is_told_so() {
    let page = Page::new(&[]);
    page.load(&url_of(b"<!doctype html><title>Not found</title>"));
    assert_eq!(code(&page.until("error").await), Code::FormatUnknown as u8);
}

#[wasm_bindgen_test]
async fn a_second_load_replaces_the_first() {
    let page = Page::new(&[]);
    page.load(&url_of(b"no stream at all"));
    page.load(&url_of(mpd().as_bytes()));
    page.until("loaded").await;
    play(&page.video);
    page.until("ended").await;
    assert!(page.event("error").is_none());
}

#[wasm_bindgen_test]
async fn a_destroyed_engine_is_silent() {
    for wait in [0, 1, 5, 20, 60] {
        let page = Page::new(&[]);
        page.load(&url_of(mpd().as_bytes()));
        JsFuture::from(sleep(wait)).await.expect("timers fire");
        page.engine.destroy();
        let told = page.events.borrow().len();
        page.load(&url_of(mpd().as_bytes()));
        page.engine.element_error(3, String::from("late"));
        JsFuture::from(sleep(100)).await.expect("timers fire");
        assert_eq!(page.events.borrow().len(), told);
    }
}
