//! `ws:` and `wss:` URLs: the binary messages of a WebSocket stand for the body of a response that begins when it opens.
//!
//! A WebSocket cannot be told to wait. Messages that come while reading is stopped are kept, up to a bound; beyond it the connection is given
//! up, as if it had broken: a stream without an end is then joined anew.

use super::messages::describe;
use super::pump::{Pending, Shell};
use crate::player::{FetchFailure, FetchId};
use js_sys::{ArrayBuffer, Function, Uint8Array};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

/// Bytes that are kept while reading is stopped: minutes of most streams. Larger: memory.
const KEPT: usize = 32 << 20;

#[wasm_bindgen]
extern "C" {
    /// `WebSocket`, on the page and in a worker.
    type WebSocket;
    #[wasm_bindgen(catch, constructor)]
    fn new(url: &str) -> Result<WebSocket, JsValue>;
    #[wasm_bindgen(method, structural, setter, js_name = binaryType)]
    fn set_binary_type(this: &WebSocket, kind: &str);
    #[wasm_bindgen(method, structural, setter, js_name = onopen)]
    fn set_on_open(this: &WebSocket, listener: Option<&Function>);
    #[wasm_bindgen(method, structural, setter, js_name = onmessage)]
    fn set_on_message(this: &WebSocket, listener: Option<&Function>);
    #[wasm_bindgen(method, structural, setter, js_name = onclose)]
    fn set_on_close(this: &WebSocket, listener: Option<&Function>);
    #[wasm_bindgen(method, structural)]
    fn close(this: &WebSocket);

    /// Any of its events; the fields are those of `MessageEvent` and `CloseEvent`.
    type SocketEvent;
    #[wasm_bindgen(method, structural, getter, js_name = type)]
    fn kind(this: &SocketEvent) -> String;
    #[wasm_bindgen(method, structural, getter)]
    fn data(this: &SocketEvent) -> JsValue;
    #[wasm_bindgen(method, structural, getter, js_name = wasClean)]
    fn was_clean(this: &SocketEvent) -> bool;
    #[wasm_bindgen(method, structural, getter)]
    fn code(this: &SocketEvent) -> u16;
    #[wasm_bindgen(method, structural, getter)]
    fn reason(this: &SocketEvent) -> String;
}

enum Sign {
    Open,
    Bytes(Uint8Array),
    Closed { clean: bool, message: String },
}

/// What has come and was not handed on.
#[derive(Default)]
struct Inbox {
    signs: VecDeque<Sign>,
    bytes: usize,
    waits: Option<Waker>,
    closed: bool,
}

impl Inbox {
    fn add(&mut self, sign: Sign) {
        if self.closed {
            return;
        }
        self.closed = matches!(sign, Sign::Closed { .. });
        self.signs.push_back(sign);
        if let Some(waker) = self.waits.take() {
            waker.wake();
        }
    }
}

/// A WebSocket under way; closed when it is dropped.
pub(super) struct Socket {
    socket: WebSocket,
    inbox: Rc<RefCell<Inbox>>,
    _listener: Closure<dyn FnMut(SocketEvent)>,
}

impl Socket {
    fn open(url: &str) -> Result<Self, JsValue> {
        let socket = WebSocket::new(url)?;
        socket.set_binary_type("arraybuffer");
        let inbox = Rc::new(RefCell::new(Inbox::default()));
        let for_listener = inbox.clone();
        let listener = Closure::new(move |event: SocketEvent| {
            let mut inbox = for_listener.borrow_mut();
            match event.kind().as_str() {
                "open" => inbox.add(Sign::Open),
                "message" => {
                    // Text is none of ours: some servers greet with it.
                    let Ok(data) = event.data().dyn_into::<ArrayBuffer>() else { return };
                    let data = Uint8Array::new(&data);
                    inbox.bytes += data.length() as usize;
                    if inbox.bytes > KEPT {
                        let message = String::from("More came than can be kept while playback waits.");
                        inbox.add(Sign::Closed { clean: false, message });
                    } else {
                        inbox.add(Sign::Bytes(data));
                    }
                }
                // 1000: all was said; 1005: closed in good order without a code (RFC 6455 §7.4.1).
                _ => {
                    let clean = event.was_clean() && matches!(event.code(), 1000 | 1005);
                    let mut message = event.reason();
                    if message.is_empty() {
                        message = String::from("The WebSocket was closed with code ");
                        message.push_str(&event.code().to_string());
                        message.push('.');
                    }
                    inbox.add(Sign::Closed { clean, message });
                }
            }
        });
        let function: &Function = listener.as_ref().unchecked_ref();
        socket.set_on_open(Some(function));
        socket.set_on_message(Some(function));
        // An `error` is always followed by `close`, which says more.
        socket.set_on_close(Some(function));
        Ok(Self { socket, inbox, _listener: listener })
    }

    /// Wakes the task that hands on what has come.
    pub(super) fn wake(&self) {
        if let Some(waker) = self.inbox.borrow_mut().waits.take() {
            waker.wake();
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.socket.set_on_open(None);
        self.socket.set_on_message(None);
        self.socket.set_on_close(None);
        self.socket.close();
        self.wake();
    }
}

/// The next thing that has come, once it may be handed on. `None`: the request is not wanted any more.
struct Next<'a> {
    shell: &'a Weak<Shell>,
    id: FetchId,
    inbox: &'a Rc<RefCell<Inbox>>,
}

impl Future for Next<'_> {
    type Output = Option<Sign>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context) -> Poll<Option<Sign>> {
        let Some(shell) = self.shell.upgrade() else { return Poll::Ready(None) };
        let Some(paused) = shell.is_paused(self.id) else { return Poll::Ready(None) };
        let mut inbox = self.inbox.borrow_mut();
        if !paused && let Some(sign) = inbox.signs.pop_front() {
            if let Sign::Bytes(bytes) = &sign {
                inbox.bytes -= bytes.length() as usize;
            }
            return Poll::Ready(Some(sign));
        }
        inbox.waits = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Shell {
    pub(super) fn open_socket(self: &Rc<Self>, id: FetchId, url: &str) {
        match Socket::open(url) {
            Ok(socket) => {
                let inbox = socket.inbox.clone();
                self.add_socket(id, socket);
                spawn_local(receive(Rc::downgrade(self), id, url.to_owned(), inbox));
            }
            Err(e) => {
                self.answer(Pending::Failed { id, failure: FetchFailure::Network, message: describe(&e) });
            }
        }
    }
}

async fn receive(shell: Weak<Shell>, id: FetchId, url: String, inbox: Rc<RefCell<Inbox>>) {
    let mut opened = false;
    while let Some(sign) = (Next { shell: &shell, id, inbox: &inbox }).await {
        let Some(live) = shell.upgrade() else { return };
        match sign {
            Sign::Open => {
                opened = true;
                let url = url.clone();
                let (content_type, length) = (None, None);
                live.input(Pending::Head {
                    id,
                    status: 200,
                    url,
                    content_type,
                    length,
                    ranges: false,
                    date: None,
                    icy: None,
                });
            }
            Sign::Bytes(bytes) => live.chunk_came(id, &bytes),
            Sign::Closed { clean: true, .. } if opened => {
                live.forget_fetch(id);
                return live.input(Pending::End(id));
            }
            Sign::Closed { message, .. } => {
                let failure = if opened { FetchFailure::Truncated } else { FetchFailure::Network };
                return live.fetch_failed(id, failure, message);
            }
        }
    }
}
