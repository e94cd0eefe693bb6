//! MediaSource and SourceBuffers: one operation at a time per buffer, each answered once.

use super::messages::{self, describe};
use super::pump::{Pending, Shell};
use crate::error::{Code, PlayerError};
use crate::player::{BufferId, Command, Event};
use crate::time::TimeRanges;
use js_sys::{Array, Function, Reflect};
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::{MediaSource, MediaSourceReadyState, SourceBuffer};

// web-sys declares these setters as if they could not throw.
#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(extends = SourceBuffer)]
    type Buffer;
    #[wasm_bindgen(catch, method, structural, setter, js_name = timestampOffset)]
    fn try_set_timestamp_offset(this: &Buffer, seconds: f64) -> Result<(), JsValue>;
    #[wasm_bindgen(catch, method, structural, setter, js_name = appendWindowStart)]
    fn try_set_append_window_start(this: &Buffer, seconds: f64) -> Result<(), JsValue>;
    #[wasm_bindgen(catch, method, structural, setter, js_name = appendWindowEnd)]
    fn try_set_append_window_end(this: &Buffer, seconds: f64) -> Result<(), JsValue>;

    #[wasm_bindgen(extends = MediaSource)]
    type Media;
    #[cfg(feature = "live")]
    #[wasm_bindgen(catch, method, js_name = setLiveSeekableRange)]
    fn set_live_seekable_range(this: &Media, start: f64, end: f64) -> Result<(), JsValue>;
    #[wasm_bindgen(catch, method, structural, setter, js_name = duration)]
    fn try_set_duration(this: &Media, seconds: f64) -> Result<(), JsValue>;
}

/// An open (or opening) MediaSource. Dropping it detaches its handlers.
pub(super) struct Source {
    media: Media,
    slots: Vec<Slot>,
    /// The end was signalled, and nothing was appended since.
    complete: bool,
    _on_open: Closure<dyn FnMut()>,
    _on_close: Closure<dyn FnMut()>,
}

/// One SourceBuffer.
struct Slot {
    id: BufferId,
    buffer: Buffer,
    /// As last set: a getter is a call too.
    offset: f64,
    window: (f64, f64),
    /// An append or a removal is under way.
    busy: bool,
    /// `error` came; `updateend` follows.
    failed: bool,
    _on_end: Closure<dyn FnMut()>,
    _on_error: Closure<dyn FnMut()>,
}

/// The initial append window (Media Source Extensions §5.2, `appendWindowStart`, `appendWindowEnd`).
const WHOLE: (f64, f64) = (0.0, f64::INFINITY);

/// `MediaSource`, or `ManagedMediaSource` where there is only that (iPhone).
fn constructor() -> Option<Function> {
    let global = js_sys::global();
    ["MediaSource", "ManagedMediaSource"]
        .iter()
        .find_map(|name| Reflect::get(&global, &JsValue::from_str(name)).ok()?.dyn_into::<Function>().ok())
}

/// `isTypeSupported` for each.
pub(super) fn check_types(types: &[String]) -> Vec<bool> {
    let class = constructor();
    let check = class.as_ref().and_then(|class| {
        Reflect::get(class, &JsValue::from_str("isTypeSupported")).ok()?.dyn_into::<Function>().ok()
    });
    let supported = |mime: &String| {
        let (Some(class), Some(check)) = (&class, &check) else { return false };
        check.call1(class, &JsValue::from_str(mime)).is_ok_and(|answer| answer.is_truthy())
    };
    types.iter().map(supported).collect()
}

impl Source {
    fn slot(&mut self, id: BufferId) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.id == id)
    }

    /// A removal reopens an ended source (Media Source Extensions §5.2, `remove()`), and playback would then wait for more
    /// at the end: the signal is given again.
    fn stay_complete(&self) {
        if self.complete
            && self.slots.iter().all(|slot| !slot.busy)
            && self.media.ready_state() == MediaSourceReadyState::Open
        {
            let _ = self.media.end_of_stream();
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.media.set_onsourceopen(None);
        self.media.set_onsourceclose(None);
        for slot in &self.slots {
            slot.buffer.set_onupdateend(None);
            slot.buffer.set_onerror(None);
        }
    }
}

impl Slot {
    fn done(&self) -> Pending {
        Pending::BufferDone { buffer: self.id, buffered: buffered(&self.buffer) }
    }

    fn append(&mut self, data: &mut [u8], offset: f64, window: (f64, f64)) -> Result<(), JsValue> {
        if offset != self.offset {
            self.buffer.try_set_timestamp_offset(offset)?;
            self.offset = offset;
        }
        if window != self.window {
            // At every moment the start must be below the end.
            if window.0 < self.window.1 {
                self.set_window_start(window.0)?;
                self.set_window_end(window.1)?;
            } else {
                self.set_window_end(window.1)?;
                self.set_window_start(window.0)?;
            }
        }
        // The view on WASM memory that the glue passes is copied before the call returns (segment parser loop input).
        self.buffer.append_buffer_with_u8_array(data)
    }

    fn set_window_start(&mut self, start: f64) -> Result<(), JsValue> {
        self.buffer.try_set_append_window_start(start)?;
        self.window.0 = start;
        Ok(())
    }

    fn set_window_end(&mut self, end: f64) -> Result<(), JsValue> {
        self.buffer.try_set_append_window_end(end)?;
        self.window.1 = end;
        Ok(())
    }
}

/// Empty if the buffer was removed from its source.
fn buffered(buffer: &SourceBuffer) -> TimeRanges {
    let Ok(ranges) = buffer.buffered() else { return TimeRanges::default() };
    TimeRanges::from_pairs(
        (0..ranges.length()).filter_map(|i| Some((ranges.start(i).ok()?, ranges.end(i).ok()?))),
    )
}

impl Shell {
    pub(super) fn open_source(self: &Rc<Self>) {
        self.source.take();
        let Some(media) = constructor().and_then(|class| Reflect::construct(&class, &Array::new()).ok())
        else {
            return self
                .emit(&Event::Error(PlayerError::new(Code::MseUnavailable, "MediaSource is missing.")));
        };
        let media: Media = media.unchecked_into();
        let shell = Rc::downgrade(self);
        let mut opened = false;
        let on_open = Closure::<dyn FnMut()>::new(move || {
            // It is fired again when an append reopens an ended source.
            let again = std::mem::replace(&mut opened, true);
            if let Some(shell) = shell.upgrade().filter(|_| !again) {
                shell.input(Pending::SourceOpen);
            }
        });
        let shell = Rc::downgrade(self);
        let on_close = Closure::<dyn FnMut()>::new(move || {
            if let Some(shell) = shell.upgrade() {
                shell.input(Pending::SourceClosed);
            }
        });
        media.set_onsourceopen(Some(on_open.as_ref().unchecked_ref()));
        media.set_onsourceclose(Some(on_close.as_ref().unchecked_ref()));
        let handle = messages::source_handle(&media);
        self.source.replace(Some(Source {
            media,
            slots: Vec::new(),
            complete: false,
            _on_open: on_open,
            _on_close: on_close,
        }));
        self.post(&messages::source(&handle));
    }

    pub(super) fn close_source(&self) {
        if self.source.take().is_some() {
            self.post(&messages::source(&JsValue::NULL));
        }
    }

    /// Carries out a command that concerns the buffers; what is done at once is answered at once.
    pub(super) fn buffer_command(self: &Rc<Self>, command: Command) {
        let id = match &command {
            Command::AddSourceBuffer { buffer, .. }
            | Command::ChangeType { buffer, .. }
            | Command::Append { buffer, .. }
            | Command::AbortBuffer { buffer }
            | Command::Remove { buffer, .. } => Some(*buffer),
            _ => None,
        };
        let result = self.try_buffer_command(command);
        // SetDuration and EndOfStream have no answer: a source that closed meanwhile says so itself.
        let Some(buffer) = id else { return };
        match result {
            Ok(Some(done)) => self.answer(done),
            Ok(None) => {}
            Err(e) => {
                let quota = messages::name(&e) == "QuotaExceededError";
                self.answer(Pending::BufferFailed { buffer, quota, message: describe(&e) });
            }
        }
    }

    /// `None`: the answer comes with `updateend`.
    fn try_buffer_command(self: &Rc<Self>, command: Command) -> Result<Option<Pending>, JsValue> {
        let mut source = self.source.borrow_mut();
        let source = source.as_mut().ok_or_else(|| JsValue::from_str("The media source is gone."))?;
        let missing = || JsValue::from_str("There is no such source buffer.");
        match command {
            Command::AddSourceBuffer { buffer: id, mime } => {
                let buffer: Buffer = source.media.add_source_buffer(&mime)?.unchecked_into();
                let slot = self.slot(id, buffer);
                let done = slot.done();
                source.slots.push(slot);
                return Ok(Some(done));
            }
            Command::ChangeType { buffer, mime } => {
                let slot = source.slot(buffer).ok_or_else(missing)?;
                slot.buffer.change_type(&mime)?;
                return Ok(Some(slot.done()));
            }
            Command::Append { buffer, mut data, timestamp_offset, window } => {
                let slot = source.slot(buffer).ok_or_else(missing)?;
                slot.append(&mut data, timestamp_offset, window)?;
                slot.busy = true;
                source.complete = false;
            }
            Command::AbortBuffer { buffer } => {
                let ended = source.media.ready_state() == MediaSourceReadyState::Ended;
                let slot = source.slot(buffer).ok_or_else(missing)?;
                if ended {
                    // abort() is refused after the end; to set the offset opens the source again (§5.1, `timestampOffset`).
                    slot.buffer.try_set_timestamp_offset(0.0)?;
                }
                slot.buffer.abort()?;
                // abort() resets the append window, not the offset (Media Source Extensions §5.2, `abort()`).
                slot.window = WHOLE;
                // Where the browser gives the times itself, the next append begins a new count, perhaps with the same offset.
                slot.offset = f64::NAN;
                slot.busy = false;
                let done = slot.done();
                source.complete &= !ended;
                return Ok(Some(done));
            }
            Command::Remove { buffer, start, end } => {
                let slot = source.slot(buffer).ok_or_else(missing)?;
                slot.buffer.remove(start, end)?;
                slot.busy = true;
            }
            #[cfg(feature = "live")]
            Command::SetLiveSeekableRange { start, end } => {
                source.media.set_live_seekable_range(start, end)?
            }
            Command::SetDuration(seconds) => source.media.try_set_duration(seconds)?,
            Command::EndOfStream => {
                source.complete = true;
                source.media.end_of_stream()?;
            }
            _ => {}
        }
        Ok(None)
    }

    fn slot(self: &Rc<Self>, id: BufferId, buffer: Buffer) -> Slot {
        let shell = Rc::downgrade(self);
        let on_end = Closure::<dyn FnMut()>::new(move || {
            if let Some(shell) = shell.upgrade() {
                shell.update_ended(id);
            }
        });
        let shell = Rc::downgrade(self);
        let on_error = Closure::<dyn FnMut()>::new(move || {
            let Some(shell) = shell.upgrade() else { return };
            if let Some(slot) = shell.source.borrow_mut().as_mut().and_then(|source| source.slot(id)) {
                slot.failed = true;
            }
        });
        buffer.set_onupdateend(Some(on_end.as_ref().unchecked_ref()));
        buffer.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Slot {
            id,
            buffer,
            offset: 0.0,
            window: WHOLE,
            busy: false,
            failed: false,
            _on_end: on_end,
            _on_error: on_error,
        }
    }

    fn update_ended(self: &Rc<Self>, id: BufferId) {
        let answer = {
            let mut source = self.source.borrow_mut();
            let Some(source) = source.as_mut() else { return };
            let Some(slot) = source.slot(id) else { return };
            // An aborted operation's `updateend` may come after the next operation has begun.
            if !slot.busy || slot.buffer.updating() {
                return;
            }
            slot.busy = false;
            let answer = if std::mem::take(&mut slot.failed) {
                let message = String::from("The browser could not read what was appended.");
                Pending::BufferFailed { buffer: id, quota: false, message }
            } else {
                slot.done()
            };
            source.stay_complete();
            answer
        };
        self.input(answer);
    }
}
