//! Requests: the head, then the body as it arrives, each chunk copied once into WASM memory.

use super::messages::{Bag, describe};
use super::pump::{Pending, Shell};
use crate::manifest::ByteRange;
use crate::player::{FetchFailure, FetchId, FetchKind, IcyHeaders};
use js_sys::{ArrayBuffer, Object, Promise, Uint8Array};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{AbortController, Response, ResponseType};

#[wasm_bindgen]
extern "C" {
    /// The global `fetch`, on the page and in a worker.
    #[wasm_bindgen(catch, js_name = fetch)]
    fn global_fetch(url: &str, init: &Object) -> Result<Promise, JsValue>;

    /// `ReadableStream` with the one method that is used of it.
    type Body;
    #[wasm_bindgen(catch, method, structural, js_name = getReader)]
    fn get_reader(this: &Body, options: &JsValue) -> Result<Reader, JsValue>;

    /// `ReadableStreamBYOBReader`, or `ReadableStreamDefaultReader`, which takes no notice of `space`.
    type Reader;
    #[wasm_bindgen(catch, method, structural)]
    fn read(this: &Reader, space: &Uint8Array) -> Result<Promise, JsValue>;

    /// What `read()` resolves to.
    type Read;
    #[wasm_bindgen(method, structural, getter)]
    fn done(this: &Read) -> bool;
    #[wasm_bindgen(method, structural, getter)]
    fn value(this: &Read) -> Uint8Array;
}

/// How a request goes.
enum Way {
    Fetch(AbortController),
    #[cfg(feature = "progressive")]
    Socket(super::socket::Socket),
}

/// A request under way.
pub(super) struct Running {
    id: FetchId,
    way: Way,
    /// Its body is not read at present.
    paused: bool,
    /// The task that waits for that to end.
    waits: Option<Waker>,
}

impl Running {
    /// Ends it; nothing more is heard of it.
    pub(super) fn abort(self) {
        match self.way {
            Way::Fetch(controller) => controller.abort(),
            // Closed by being dropped.
            #[cfg(feature = "progressive")]
            Way::Socket(_) => {}
        }
        self.waits.inspect(Waker::wake_by_ref);
    }
}

/// Waits until a body may be read on, or is not wanted any more.
struct MayRead<'a>(&'a Weak<Shell>, FetchId);

impl Future for MayRead<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context) -> Poll<()> {
        let Some(shell) = self.0.upgrade() else { return Poll::Ready(()) };
        match shell.fetches.borrow_mut().iter_mut().find(|r| r.id == self.1) {
            Some(running) if running.paused => {
                running.waits = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

impl Shell {
    /// Keeps a response that is under way already for the first request of its URL.
    pub(super) fn offer_prefetched(&self, url: &str, response: Option<Promise>) {
        self.prefetched.replace(response.map(|promise| (url.to_owned(), promise)));
    }

    pub(super) fn fetch(self: &Rc<Self>, id: FetchId, url: &str, range: Option<ByteRange>, kind: FetchKind) {
        #[cfg(feature = "progressive")]
        if url.get(..2).is_some_and(|scheme| scheme.eq_ignore_ascii_case("ws")) {
            return self.open_socket(id, url);
        }
        let mut asked = false;
        let mut own = None;
        let started = AbortController::new().and_then(|controller| {
            let offered = if range.is_none() {
                self.prefetched.borrow_mut().take_if(|(for_url, _)| for_url == url)
            } else {
                None
            };
            let request = match offered {
                Some((_, promise)) => {
                    // The page may have found that it is none of its business.
                    asked = self.asks_icy(url, kind);
                    own = Some((url.to_owned(), init(&controller, kind, None, asked)));
                    promise
                }
                None => {
                    asked = range.is_none() && self.asks_icy(url, kind);
                    global_fetch(url, &init(&controller, kind, range, asked))?
                }
            };
            Ok((controller, request))
        });
        match started {
            Ok((controller, request)) => {
                // Asked across origins, a server may refuse the question, and then all of it.
                let again = (cfg!(feature = "progressive") && asked && !same_origin(url))
                    .then(|| (url.to_owned(), Object::from(Bag::new().with("signal", controller.signal()))));
                let way = Way::Fetch(controller);
                self.fetches.borrow_mut().push(Running { id, way, paused: false, waits: None });
                spawn_local(receive(Rc::downgrade(self), id, kind, request, [own, again]));
            }
            Err(e) => {
                self.answer(Pending::Failed { id, failure: FetchFailure::Network, message: describe(&e) });
            }
        }
    }

    /// Whether titles are asked for: of what may be a radio stream, and across origins only at the user's wish, since it takes a preflight that
    /// many radio servers refuse.
    fn asks_icy(&self, url: &str, kind: FetchKind) -> bool {
        let path = url.split(['?', '#']).next().unwrap_or(url);
        let manifest = [".m3u8", ".mpd", ".mp4"].iter().any(|end| path.ends_with(end));
        cfg!(feature = "progressive")
            && matches!(kind, FetchKind::Manifest | FetchKind::Stream)
            && !manifest
            && url.starts_with("http")
            && self.ask_icy.get().unwrap_or_else(|| same_origin(url))
    }

    /// The request's task finds its id gone and ends without a word.
    pub(super) fn abort_fetch(&self, id: FetchId) {
        if let Some(running) = self.forget_fetch(id) {
            running.abort();
        }
    }

    /// Stops or goes on reading a body. The browser stops taking bytes from the network once its own buffers are full.
    #[cfg(feature = "progressive")]
    pub(super) fn pause_fetch(&self, id: FetchId, paused: bool) {
        let waits = {
            let mut fetches = self.fetches.borrow_mut();
            let Some(running) = fetches.iter_mut().find(|r| r.id == id) else { return };
            running.paused = paused;
            if let Way::Socket(socket) = &running.way {
                socket.wake();
            }
            if paused { None } else { running.waits.take() }
        };
        waits.inspect(Waker::wake_by_ref);
    }

    #[cfg(feature = "progressive")]
    pub(super) fn add_socket(&self, id: FetchId, socket: super::socket::Socket) {
        let way = Way::Socket(socket);
        self.fetches.borrow_mut().push(Running { id, way, paused: false, waits: None });
    }

    /// Whether the response is not read at present; `None`: it is not wanted any more.
    #[cfg(feature = "progressive")]
    pub(super) fn is_paused(&self, id: FetchId) -> Option<bool> {
        self.fetches.borrow().iter().find(|r| r.id == id).map(|r| r.paused)
    }

    /// Hands on bytes of a body.
    pub(super) fn chunk_came(self: &Rc<Self>, id: FetchId, bytes: &Uint8Array) {
        let len = bytes.length() as usize;
        let mut data = self.chunk.take();
        if data.len() < len {
            data.resize(len, 0);
        }
        let Some(space) = data.get_mut(..len) else { return };
        bytes.copy_to(space);
        self.input(Pending::Body { id, data, len });
    }

    pub(super) fn forget_fetch(&self, id: FetchId) -> Option<Running> {
        let mut fetches = self.fetches.borrow_mut();
        let at = fetches.iter().position(|r| r.id == id)?;
        Some(fetches.swap_remove(at))
    }

    pub(super) fn fetch_failed(self: &Rc<Self>, id: FetchId, failure: FetchFailure, message: String) {
        self.forget_fetch(id);
        self.input(Pending::Failed { id, failure, message });
    }
}

/// Whether a URL needs no CORS.
fn same_origin(url: &str) -> bool {
    let origin = js_sys::Reflect::get(&js_sys::global(), &JsValue::from_str("origin"));
    let origin = origin.ok().and_then(|o| o.as_string()).unwrap_or_default();
    url.strip_prefix(origin.as_str()).is_some_and(|rest| !origin.is_empty() && rest.starts_with('/'))
}

/// Seconds since 1970 by the server's clock, where the response tells them and anybody asks.
fn date(response: &Response) -> Option<f64> {
    if !cfg!(feature = "live") {
        return None;
    }
    let text = response.headers().get("date").ok()??;
    Some(js_sys::Date::parse(&text) / 1000.0).filter(|seconds| seconds.is_finite())
}

/// `icy-…` headers of a response, as far as they are exposed.
fn icy_headers(response: &Response) -> Option<Box<IcyHeaders>> {
    if !cfg!(feature = "progressive") {
        return None;
    }
    let headers = response.headers();
    let get = |name: &str| headers.get(name).ok().flatten();
    let mut icy = IcyHeaders { interval: 0, fields: Vec::new() };
    icy.interval = get("icy-metaint").and_then(|v| v.trim().parse().ok()).unwrap_or(0);
    for name in ["icy-name", "icy-genre", "icy-br", "icy-url", "icy-description"] {
        if let Some(value) = get(name) {
            icy.fields.push((name.get(4..).unwrap_or(name).to_owned(), value));
        }
    }
    (icy.interval > 0 || !icy.fields.is_empty()).then(|| Box::new(icy))
}

/// `RequestInit`: signal, Range, and whether radio servers are asked for titles. Everything else is the browser's default (CORS, same-origin
/// credentials).
fn init(controller: &AbortController, kind: FetchKind, range: Option<ByteRange>, icy: bool) -> Object {
    let mut init = Bag::new().with("signal", controller.signal());
    // A time from a cache is none.
    if matches!(kind, FetchKind::Clock | FetchKind::Head) {
        init = init.with("cache", "no-store");
    }
    if kind == FetchKind::Head {
        init = init.with("method", "HEAD");
    }
    if icy {
        return init.with("headers", Bag::new().with("Icy-MetaData", "1")).into();
    }
    let Some(range) = range else { return init.into() };
    let mut value = String::from("bytes=");
    value.push_str(&range.first.to_string());
    value.push('-');
    if let Some(last) = range.last {
        value.push_str(&last.to_string());
    }
    init.with("headers", Bag::new().with("Range", value)).into()
}

/// The shell, while it lives and still wants this request.
fn wanted(shell: &Weak<Shell>, id: FetchId) -> Option<Rc<Shell>> {
    shell.upgrade().filter(|s| s.fetches.borrow().iter().any(|r| r.id == id))
}

async fn receive(
    shell: Weak<Shell>,
    id: FetchId,
    kind: FetchKind,
    request: Promise,
    [own, again]: [Option<(String, Object)>; 2],
) {
    let mut response = JsFuture::from(request).await;
    if let Some((url, init)) = own
        && response.as_ref().is_ok_and(JsValue::is_undefined)
    {
        if wanted(&shell, id).is_none() {
            return;
        }
        response = match global_fetch(&url, &init) {
            Ok(request) => JsFuture::from(request).await,
            Err(e) => Err(e),
        };
    }
    if cfg!(feature = "progressive")
        && response.is_err()
        && let Some((url, init)) = again
        && wanted(&shell, id).is_some()
        && let Ok(request) = global_fetch(&url, &init)
    {
        response = JsFuture::from(request).await;
    }
    let Some(live) = wanted(&shell, id) else { return };
    let response: Response = match response {
        Ok(response) => response.unchecked_into(),
        Err(e) => return live.fetch_failed(id, FetchFailure::Network, describe(&e)),
    };
    let length = length(&response);
    let exact = is_exact(&response, kind);
    let content_type = response.headers().get("content-type").ok().flatten();
    let ranges = response.headers().get("accept-ranges").ok().flatten();
    let ranges = ranges.is_some_and(|value| value.eq_ignore_ascii_case("bytes"));
    let (status, url) = (response.status(), response.url());
    let date = date(&response);
    let icy = icy_headers(&response);
    live.input(Pending::Head { id, status, url, content_type, length, ranges, date, icy });
    drop(live);

    let reader = match response.body().map(|body| reader(body.unchecked_ref())) {
        Some(Ok(reader)) => Some(reader),
        Some(Err(e)) => {
            let Some(live) = wanted(&shell, id) else { return };
            return live.fetch_failed(id, FetchFailure::Network, describe(&e));
        }
        // 204 and its like have no body.
        None => None,
    };
    let mut received = 0u64;
    let mut space = ArrayBuffer::new(SPACE);
    while let Some(reader) = &reader {
        MayRead(&shell, id).await;
        if wanted(&shell, id).is_none() {
            return;
        }
        let read = match reader.read(&Uint8Array::new(&space)) {
            Ok(promise) => JsFuture::from(promise).await,
            Err(e) => Err(e),
        };
        let Some(live) = wanted(&shell, id) else { return };
        match read {
            Ok(read) => {
                let read: Read = read.unchecked_into();
                if read.done() {
                    break;
                }
                let bytes = read.value();
                space = bytes.buffer();
                received += u64::from(bytes.length());
                live.chunk_came(id, &bytes);
            }
            // The connection broke after the head (Chromium: also when fewer bytes came than Content-Length said).
            Err(e) => return live.fetch_failed(id, FetchFailure::Truncated, describe(&e)),
        }
    }
    let Some(live) = wanted(&shell, id) else { return };
    if exact && length.is_some_and(|length| received < length) {
        return live.fetch_failed(id, FetchFailure::Truncated, String::from("The body ended early."));
    }
    live.forget_fetch(id);
    live.input(Pending::End(id));
}

/// Bytes that are read at once at most: as many as the browser's pipes hold, more or less.
const SPACE: u32 = 64 * 1024;

/// A reader that fills the same space again and again: V8 lets the buffers of its other kind of reader lie around by tens of megabytes
/// before it collects them. Not every browser has it for every body.
fn reader(body: &Body) -> Result<Reader, JsValue> {
    body.get_reader(&Bag::new().with("mode", "byob").into()).or_else(|_| body.get_reader(&JsValue::UNDEFINED))
}

/// `Content-Length`, unless the body is known to be encoded: then it counts other bytes.
fn length(response: &Response) -> Option<u64> {
    let headers = response.headers();
    if headers.has("content-encoding").unwrap_or(true) {
        return None;
    }
    headers.get("content-length").ok()??.trim().parse().ok()
}

/// Whether the length is that of the body for certain: responses from other origins do not say whether they are encoded. Servers compress
/// text, not media.
fn is_exact(response: &Response, kind: FetchKind) -> bool {
    let text = matches!(kind, FetchKind::Manifest | FetchKind::Playlist);
    !text || response.type_() == ResponseType::Basic
}
