//! The browser shell: lends the core fetch, Media Source Extensions and a clock, and does nothing else.
//!
//! | file | holds |
//! | --- | --- |
//! | `mod.rs` | [`Engine`], the export |
//! | `pump.rs` | the one loop that carries inputs in and outputs out, and the deadline timer |
//! | `fetch.rs` | requests, their bodies chunk by chunk |
//! | `socket.rs` | the same over a WebSocket |
//! | `mse.rs` | MediaSource and its SourceBuffers |
//! | `log.rs` | the session log, line by line |
//! | `messages.rs` | what goes to the page as plain objects, and the configuration that comes from it |
//!
//! Import rule: `player`, `log`, `error`, `time`, `manifest::ByteRange`. Nothing imports this module.
//!
//! JavaScript exceptions must not unwind through Rust frames: every call that can throw is declared with `catch`.

#[cfg(feature = "bench")]
mod bench;
mod fetch;
#[cfg(feature = "log")]
mod log;
mod messages;
mod mse;
mod pump;
#[cfg(feature = "progressive")]
mod socket;

use crate::player::{LoadRequest, MediaState, UserIntent};
use js_sys::{Function, Object, Promise};
use pump::{Pending, Shell};
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// One player core with its shell. Runs in a dedicated worker or on the page alike; the page side talks to it with calls
/// and hears from it through the callback.
#[wasm_bindgen]
pub struct Engine {
    shell: Rc<Shell>,
}

#[wasm_bindgen]
impl Engine {
    /// `callback(message)` gets plain objects: `{type: 'source', handle}`, `{type: 'seek', value}`, `{type: 'rate', value}`,
    /// `{type: 'event', name, detail}`. It may call back into the engine.
    #[wasm_bindgen(constructor)]
    pub fn new(callback: Function, config: &Object) -> Engine {
        let config = messages::config(config);
        #[cfg(debug_assertions)]
        pump::explain_panics();
        let icy = config.icy;
        let shell = Shell::new(callback, config);
        shell.ask_icy.set(icy);
        Self { shell }
    }

    /// Has the session's log kept: `callback(line)` gets each line as an array (src/log/mod.rs), the first one at once. The bytes of a body follow
    /// the line that tells of them, where they are kept: those of media only with `media`. `config` is the constructor's.
    #[cfg(feature = "log")]
    pub fn record(&self, callback: Function, media: bool, config: &Object) {
        let config = messages::config(config);
        self.shell.recorder.replace(Some(log::Recorder::new(callback, media, &config)));
    }

    /// Starts another presentation. `prefetched` (a `Promise<Response>` for the same URL) serves its first request, unless it resolves to
    /// `undefined`.
    pub fn load(
        &self,
        url: String,
        kind: Option<String>,
        start_time: Option<f64>,
        prefetched: Option<Promise>,
    ) {
        self.shell.offer_prefetched(&url, prefetched);
        self.shell.input(Pending::Load(LoadRequest { url, kind, start_time, wall: wall_clock() }));
    }

    /// The element as it is now. `flags`: 1 paused, 2 seeking, 4 ended, 8 first frame shown, 16 hidden.
    #[allow(clippy::too_many_arguments, reason = "numbers cross the boundary without a single allocation")]
    pub fn media_state(&self, position: f64, ready_state: u8, flags: u8, rate: f64, width: u32, height: u32) {
        self.shell.input(Pending::State(MediaState {
            position,
            ready_state,
            paused: flags & 1 != 0,
            seeking: flags & 2 != 0,
            ended: flags & 4 != 0,
            rate,
            width,
            height,
            first_frame: flags & 8 != 0,
            hidden: flags & 16 != 0,
            wall: wall_clock(),
        }));
    }

    /// The element's `error`.
    pub fn element_error(&self, code: u8, message: String) {
        self.shell.input(Pending::ElementError { code, message });
    }

    /// Plays this video representation only; `undefined`: automatic. `keep`: from the next segment on, what is buffered stays.
    pub fn select_quality(&self, id: Option<String>, keep: bool) {
        let intent = if keep { UserIntent::UseQuality } else { UserIntent::SelectQuality };
        self.shell.input(Pending::Intent(intent(id)));
    }

    /// Plays this audio set.
    pub fn select_audio(&self, id: String) {
        self.shell.input(Pending::Intent(UserIntent::SelectAudio(id)));
    }

    /// Plays at the live edge.
    pub fn go_live(&self) {
        self.shell.input(Pending::Intent(UserIntent::GoLive));
    }

    /// Plays what was made at this time, in seconds since 1970.
    pub fn seek_to_date(&self, date: f64) {
        self.shell.input(Pending::Intent(UserIntent::SeekToDate(date)));
    }

    /// Replaces the configuration.
    pub fn configure(&self, config: &Object) {
        let config = messages::config(config);
        self.shell.ask_icy.set(config.icy);
        self.shell.input(Pending::Intent(UserIntent::Configure(Box::new(config))));
    }

    /// Ends the load; another may follow.
    pub fn stop(&self) {
        self.shell.input(Pending::Intent(UserIntent::Stop));
    }

    /// Cancels all work for good. Unlike `free()` it may be called from within the callback.
    pub fn destroy(&self) {
        self.shell.close();
    }
}

/// The machine's clock, in seconds since 1970.
fn wall_clock() -> f64 {
    js_sys::Date::now() / 1000.0
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shell.close();
    }
}

/// Half the code of the one in `std` (3 kB on the wire); it gives whole pages back to itself, never to the browser, as that one does.
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();
