//! Inputs and outputs of the core as lines.

use super::{MAGIC, VERSION, digest};
use crate::error::{PlayerError, Severity};
use crate::player::{
    Command, Config, Event, FetchFailure, FetchKind, Input, MediaState, Now, Output, UserIntent,
};

/// A line under construction.
pub trait Line {
    /// Adds a text.
    fn text(&mut self, value: &str);
    /// Adds a number; what is not finite counts as infinite.
    fn number(&mut self, value: f64);
    /// Adds true or false.
    fn flag(&mut self, value: bool);
}

fn texts<'a>(line: &mut impl Line, values: impl IntoIterator<Item = &'a str>) {
    values.into_iter().for_each(|v| line.text(v));
}

fn numbers(line: &mut impl Line, values: impl IntoIterator<Item = f64>) {
    values.into_iter().for_each(|v| line.number(v));
}

fn maybe(line: &mut impl Line, value: Option<f64>) {
    match value {
        Some(value) => line.number(value),
        None => line.flag(false),
    }
}

fn maybe_text(line: &mut impl Line, value: Option<&str>) {
    match value {
        Some(value) => line.text(value),
        None => line.flag(false),
    }
}

fn maybe_flag(line: &mut impl Line, value: Option<bool>) {
    match value {
        Some(value) => line.flag(value),
        None => line.text("auto"),
    }
}

/// The first line.
pub fn header(line: &mut impl Line, config: &Config) {
    line.text(MAGIC);
    line.number(VERSION.into());
    line.text(env!("CARGO_PKG_VERSION"));
    configuration(line, config);
}

fn configuration(line: &mut impl Line, c: &Config) {
    numbers(line, [c.buffer_ahead, c.buffer_behind, c.buffer_bytes as f64]);
    maybe(line, c.max_bandwidth.map(|b| b as f64));
    line.flag(c.cap_to_element);
    line.number(c.initial_bandwidth);
    maybe_text(line, c.language.as_deref());
    numbers(line, [c.max_attempts.into(), c.request_timeout, c.max_gap, c.stats_interval]);
    maybe_flag(line, c.icy);
    maybe(line, c.live_latency);
    maybe_flag(line, c.catch_up);
    line.flag(c.data_saver);
    line.text(c.rule.as_str());
}

/// An input and when it came. The bytes of a body are told by their length and [`digest`].
pub fn input(line: &mut impl Line, now: Now, input: &Input) {
    line.number(now);
    match input {
        Input::Load(load) => {
            texts(line, [">load", &load.url]);
            maybe_text(line, load.kind.as_deref());
            maybe(line, load.start_time);
            line.number(load.wall);
        }
        Input::FetchHead { id, status, url, content_type, length, ranges, date, icy } => {
            line.text(">head");
            numbers(line, [id.0.into(), (*status).into()]);
            line.text(url);
            maybe_text(line, *content_type);
            maybe(line, length.map(|l| l as f64));
            line.flag(*ranges);
            maybe(line, *date);
            if let Some(icy) = icy {
                line.number(icy.interval.into());
                texts(line, icy.fields.iter().flat_map(|(name, value)| [name.as_str(), value]));
            }
        }
        Input::FetchBody { id, data } => {
            line.text(">body");
            numbers(line, [id.0.into(), data.len() as f64, digest(data).into()]);
        }
        Input::FetchEnd { id } => {
            line.text(">end");
            line.number(id.0.into());
        }
        Input::FetchFailed { id, failure, message } => {
            line.text(">failed");
            line.number(id.0.into());
            line.text(match failure {
                FetchFailure::Network => "network",
                FetchFailure::Truncated => "truncated",
            });
            line.text(message);
        }
        Input::SourceOpen => line.text(">open"),
        Input::SourceClosed => line.text(">closed"),
        Input::TypesChecked(supported) => {
            line.text(">types");
            supported.iter().for_each(|s| line.flag(*s));
        }
        Input::BufferDone { buffer, buffered } => {
            texts(line, [">done", buffer.as_str()]);
            numbers(line, buffered.iter().flat_map(|r| [r.start, r.end]));
        }
        Input::BufferFailed { buffer, quota, message } => {
            texts(line, [">refused", buffer.as_str()]);
            line.flag(*quota);
            line.text(message);
        }
        Input::MediaState(state) => media_state(line, state),
        Input::ElementError { code, message } => {
            line.text(">elementerror");
            line.number((*code).into());
            line.text(message);
        }
        Input::Intent(intent) => match intent {
            UserIntent::SelectQuality(id) | UserIntent::UseQuality(id) => {
                line.text(">quality");
                maybe_text(line, id.as_deref());
                line.flag(matches!(intent, UserIntent::UseQuality(_)));
            }
            UserIntent::SelectAudio(id) => texts(line, [">audio", id]),
            UserIntent::GoLive => line.text(">golive"),
            UserIntent::SeekToDate(date) => {
                line.text(">date");
                line.number(*date);
            }
            UserIntent::Configure(config) => {
                line.text(">configure");
                configuration(line, config);
            }
            UserIntent::Stop => line.text(">stop"),
        },
        Input::Timeout => line.text(">time"),
    }
}

fn media_state(line: &mut impl Line, state: &MediaState) {
    line.text(">state");
    numbers(line, [state.position, state.ready_state.into()]);
    [state.paused, state.seeking, state.ended].into_iter().for_each(|f| line.flag(f));
    numbers(line, [state.rate, state.width.into(), state.height.into()]);
    [state.first_frame, state.hidden].into_iter().for_each(|f| line.flag(f));
    line.number(state.wall);
}

/// What came out; nothing for [`Output::Wait`].
pub fn output(line: &mut impl Line, output: &Output) {
    match output {
        Output::Command(command) => self::command(line, command),
        Output::Event(event) => self::event(line, event),
        Output::Wait { .. } => {}
    }
}

fn kind(kind: FetchKind) -> &'static str {
    match kind {
        FetchKind::Manifest => "manifest",
        FetchKind::Playlist => "playlist",
        FetchKind::Index => "index",
        FetchKind::Init => "init",
        FetchKind::Segment => "segment",
        FetchKind::Stream => "stream",
        FetchKind::Clock => "clock",
        FetchKind::Head => "head",
    }
}

fn command(line: &mut impl Line, command: &Command) {
    match command {
        Command::Fetch { id, url, range, kind: what } => {
            line.text("<fetch");
            line.number(id.0.into());
            texts(line, [url, kind(*what)]);
            if let Some(range) = range {
                line.number(range.first as f64);
                maybe(line, range.last.map(|l| l as f64));
            }
        }
        Command::AbortFetch { id } => {
            line.text("<abort");
            line.number(id.0.into());
        }
        Command::PauseFetch { id } => {
            line.text("<pause");
            line.number(id.0.into());
        }
        Command::ResumeFetch { id } => {
            line.text("<resume");
            line.number(id.0.into());
        }
        Command::OpenSource => line.text("<open"),
        Command::CloseSource => line.text("<close"),
        Command::CheckTypes(types) => {
            line.text("<types");
            texts(line, types.iter().map(String::as_str));
        }
        Command::AddSourceBuffer { buffer, mime } => texts(line, ["<add", buffer.as_str(), mime]),
        Command::ChangeType { buffer, mime } => texts(line, ["<type", buffer.as_str(), mime]),
        Command::Append { buffer, data, timestamp_offset, window } => {
            texts(line, ["<append", buffer.as_str()]);
            numbers(line, [data.len() as f64, digest(data).into(), *timestamp_offset, window.0, window.1]);
        }
        Command::AbortBuffer { buffer } => texts(line, ["<reset", buffer.as_str()]),
        Command::Remove { buffer, start, end } => {
            texts(line, ["<remove", buffer.as_str()]);
            numbers(line, [*start, *end]);
        }
        Command::SetDuration(duration) => {
            line.text("<duration");
            line.number(*duration);
        }
        Command::EndOfStream => line.text("<end"),
        Command::Seek(to) => {
            line.text("<seek");
            maybe(line, *to);
        }
        #[cfg(feature = "live")]
        Command::SetLiveSeekableRange { start, end } => {
            line.text("<seekable");
            numbers(line, [*start, *end]);
        }
        Command::SetRate(rate) => {
            line.text("<rate");
            line.number(*rate);
        }
    }
}

fn event(line: &mut impl Line, event: &Event) {
    match event {
        Event::Loaded { protocol, duration, live } => {
            texts(line, ["!loaded", protocol]);
            maybe(line, *duration);
            line.flag(*live);
        }
        Event::Tracks { qualities, audio } => {
            line.text("!tracks");
            line.number(qualities.len() as f64);
            for q in qualities {
                texts(line, [q.id.as_str(), &q.codecs]);
                numbers(line, [q.bandwidth as f64, q.width.into(), q.height.into(), q.frame_rate]);
            }
            for track in audio {
                line.text(&track.id);
                maybe_text(line, track.language.as_deref());
                line.flag(track.active);
            }
        }
        Event::QualityChange { from, to, reason, auto, choice } => {
            line.text("!qualitychange");
            maybe_text(line, from.as_deref());
            texts(line, [to, reason.as_str()]);
            line.flag(*auto);
            numbers(line, [choice.estimate.0, choice.estimate.1, choice.buffer]);
            for (id, seconds, lasts) in &choice.candidates {
                line.text(id);
                numbers(line, [*seconds, *lasts]);
            }
        }
        Event::Stall { reason, position } => {
            texts(line, ["!stall", reason.as_str()]);
            line.number(*position);
        }
        Event::Recovered { reason, seconds } => {
            texts(line, ["!recovered", reason.as_str()]);
            line.number(*seconds);
        }
        Event::Gap { reason, from, to } => {
            texts(line, ["!gap", reason.as_str()]);
            numbers(line, [*from, *to]);
        }
        Event::Metadata(note) => {
            texts(line, ["!metadata", note.kind]);
            line.number(note.at);
            maybe_text(line, note.title.as_deref());
        }
        #[cfg(feature = "progressive")]
        Event::Sources(urls) => {
            line.text("!sources");
            texts(line, urls.iter().map(String::as_str));
        }
        #[cfg(feature = "progressive")]
        Event::LastResort { url, mime, error } => {
            texts(line, ["!lastresort", url, mime]);
            self::error(line, error);
        }
        Event::Error(error) => {
            line.text("!error");
            self::error(line, error);
        }
        Event::Ended => line.text("!ended"),
        Event::Stats(s) => {
            line.text("!stats");
            maybe(line, s.startup);
            numbers(line, [s.stalls.into(), s.stall_time, s.switches.into(), s.average_bandwidth]);
            numbers(line, [s.bytes as f64, s.estimate, s.buffer]);
            maybe_text(line, s.quality.as_deref());
            line.number(s.position);
        }
        #[cfg(feature = "live")]
        Event::Live(l) => {
            line.text("!live");
            numbers(line, [l.latency, l.target, l.edge, l.window.0, l.window.1]);
            maybe(line, l.date);
            line.number(l.rate);
            line.flag(l.at_edge);
        }
        Event::NeedsFeature(feature) => texts(line, ["!needsfeature", feature]),
    }
}

fn error(line: &mut impl Line, error: &PlayerError) {
    line.flag(error.severity == Severity::Fatal);
    line.text(error.code.as_str());
    line.text(&error.message);
    maybe_text(line, error.url.as_deref());
    maybe(line, error.status.map(f64::from));
    maybe_text(line, error.tried.as_deref());
}
