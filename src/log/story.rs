//! A record in words: what the player knew, what it chose, and why.

use super::read::{Bodies, LogError};
use super::replay::{Replay, Step, drive};
use crate::player::{Now, Stats};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write;

/// Replays a record as [`Replay::of`] does, and tells what happens, an event a line: seconds from the first input, then words.
///
/// # Errors
/// As [`Replay::of`].
pub fn tell(log: &str, bodies: &Bodies, until: Now) -> Result<(Replay, String), LogError> {
    let mut story = Story::default();
    let replay = drive(log, bodies, until, &mut |step| story.step(step))?;
    Ok((replay, story.text))
}

struct Request {
    what: String,
    sent: Now,
    bytes: f64,
}

#[derive(Default)]
struct Story {
    text: String,
    requests: HashMap<u32, Request>,
    /// Names and bandwidths.
    ladder: String,
    state: Option<(bool, bool)>,
}

fn text(values: &[Value], at: usize) -> &str {
    values.get(at).and_then(Value::as_str).unwrap_or("nothing")
}

fn number(values: &[Value], at: usize) -> f64 {
    values.get(at).and_then(Value::as_f64).unwrap_or(f64::INFINITY)
}

fn flag(values: &[Value], at: usize) -> bool {
    values.get(at).and_then(Value::as_bool).unwrap_or(false)
}

/// The end of a URL, which tells one from another.
fn tail(url: &str) -> &str {
    let path = url.split('?').next().unwrap_or(url);
    let mut slashes = path.rmatch_indices('/').map(|(at, _)| at + 1);
    let (last, before) = (slashes.next(), slashes.next());
    path.get(before.or(last).unwrap_or(0)..).unwrap_or(path)
}

fn bits(per_second: f64) -> String {
    if per_second >= 1e6 {
        format!("{:.2} Mbit/s", per_second / 1e6)
    } else {
        format!("{:.0} kbit/s", per_second / 1e3)
    }
}

fn known(stats: &Stats) -> String {
    format!("estimate {}, buffer {:.1} s", bits(stats.estimate), stats.buffer)
}

impl Story {
    fn line(&mut self, time: Now, what: std::fmt::Arguments) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{time:9.3} {what}");
    }

    fn step(&mut self, step: Step) {
        let Step { time, name, fields, outputs, stats } = step;
        self.input(time, name, fields);
        for output in outputs {
            self.output(time, output, stats);
        }
    }

    fn input(&mut self, time: Now, name: &str, fields: &[Value]) {
        let id = number(fields, 0) as u32;
        match name {
            "load" => self.line(time, format_args!("load {}", text(fields, 0))),
            "body" => {
                if let Some(request) = self.requests.get_mut(&id) {
                    request.bytes += number(fields, 1);
                }
            }
            "head" if number(fields, 1) >= 400.0 => {
                let what = self.requests.get(&id).map_or("something", |r| &r.what).to_owned();
                self.line(time, format_args!("the server answers {what} with status {}", number(fields, 1)));
            }
            "end" => {
                if let Some(Request { what, sent, bytes }) = self.requests.remove(&id) {
                    let (kb, seconds) = (bytes / 1e3, time - sent);
                    let rate = bits(bytes * 8.0 / seconds.max(1e-3));
                    self.line(time, format_args!("{what} is there: {kb:.1} kB in {seconds:.3} s ({rate})"));
                }
            }
            "failed" => {
                if let Some(Request { what, .. }) = self.requests.remove(&id) {
                    self.line(time, format_args!("{what} fails: {} ({})", text(fields, 1), text(fields, 2)));
                }
            }
            "refused" => {
                self.line(time, format_args!("the browser refuses {}: {}", text(fields, 0), text(fields, 2)))
            }
            "state" => {
                let state = (flag(fields, 2), flag(fields, 3));
                let position = number(fields, 0);
                if self.state != Some(state) {
                    let what = match state {
                        (_, true) => "seeks to",
                        (true, false) => "is paused at",
                        (false, false) => "is to play at",
                    };
                    self.line(time, format_args!("the element {what} {position:.3} s"));
                }
                self.state = Some(state);
            }
            "elementerror" => self.line(time, format_args!("the element fails: {}", text(fields, 1))),
            "quality" => self.line(time, format_args!("the user wants quality {}", text(fields, 0))),
            "audio" => self.line(time, format_args!("the user wants sound {}", text(fields, 0))),
            "golive" => self.line(time, format_args!("the user wants to be at the live edge")),
            "date" => self.line(time, format_args!("the user wants what was made at {}", number(fields, 0))),
            "configure" => self.line(time, format_args!("the configuration changes")),
            "stop" => self.line(time, format_args!("the load ends")),
            _ => {}
        }
    }

    fn output(&mut self, time: Now, values: &[Value], stats: &mut dyn FnMut() -> Stats) {
        match text(values, 0) {
            "<fetch" => {
                let (url, kind) = (text(values, 2), text(values, 3));
                let range =
                    match (values.get(4).and_then(Value::as_u64), values.get(5).and_then(Value::as_u64)) {
                        (Some(first), Some(last)) => format!(", bytes {first} to {last}"),
                        (Some(first), None) if first > 0 => format!(", from byte {first}"),
                        _ => String::new(),
                    };
                let what = format!("{kind} {}{range}", tail(url));
                let why = match kind {
                    "segment" => {
                        let now = stats();
                        let quality =
                            now.quality.as_deref().map_or(String::new(), |q| format!("; quality {q}"));
                        format!(" ({}{quality})", known(&now))
                    }
                    _ => String::new(),
                };
                self.line(time, format_args!("ask for {what}{why}"));
                self.requests.insert(number(values, 1) as u32, Request { what, sent: time, bytes: 0.0 });
            }
            "<abort" => {
                if let Some(Request { what, bytes, .. }) = self.requests.remove(&(number(values, 1) as u32)) {
                    self.line(time, format_args!("give up {what} after {:.1} kB", bytes / 1e3));
                }
            }
            "<seek" => self.line(time, format_args!("move the playhead to {:.3} s", number(values, 1))),
            "<rate" => self.line(time, format_args!("play at rate {}", number(values, 1))),
            "<remove" => self.line(
                time,
                format_args!(
                    "remove {} from {:.3} s to {:.3} s",
                    text(values, 1),
                    number(values, 2),
                    number(values, 3)
                ),
            ),
            "!loaded" => self.line(
                time,
                format_args!(
                    "the presentation is {}, {} s{}",
                    text(values, 1),
                    number(values, 2),
                    if flag(values, 3) { ", live" } else { "" }
                ),
            ),
            "!tracks" => {
                let count = number(values, 1).min(1e3) as usize;
                let qualities = values.get(2..).unwrap_or_default().chunks(6).take(count);
                let named = qualities.map(|q| format!("{} ({})", text(q, 0), bits(number(q, 2))));
                self.ladder = named.collect::<Vec<_>>().join(", ");
                let ladder = self.ladder.clone();
                self.line(time, format_args!("qualities: {ladder}"));
            }
            "!qualitychange" => {
                let (from, to, reason) = (text(values, 1), text(values, 2), text(values, 3));
                let (estimate, high) = (bits(number(values, 5)), bits(number(values, 6)));
                let mut from_what =
                    format!("estimate {estimate} to {high}, buffer {:.1} s", number(values, 7));
                for one in values.get(8..).unwrap_or_default().chunks(3) {
                    let (id, seconds, lasts) = (text(one, 0), number(one, 1), number(one, 2));
                    // Writing to a string cannot fail.
                    let _ = write!(from_what, "; {id}: {seconds:.2} s a segment");
                    if lasts.is_finite() {
                        let _ = write!(from_what, ", buffer lasts {lasts:.1} s");
                    }
                }
                self.line(time, format_args!("QUALITY {from} -> {to}: {reason} ({from_what})"));
            }
            "!stall" => {
                let known = known(&stats());
                self.line(
                    time,
                    format_args!("STALL at {:.3} s: {} ({known})", number(values, 2), text(values, 1)),
                );
            }
            "!recovered" => self
                .line(time, format_args!("RECOVERED after {:.3} s: {}", number(values, 2), text(values, 1))),
            "!gap" => self.line(
                time,
                format_args!(
                    "GAP from {:.3} s to {:.3} s: {}",
                    number(values, 2),
                    number(values, 3),
                    text(values, 1)
                ),
            ),
            "!error" => {
                let how = if flag(values, 1) { "ERROR" } else { "error that is got over" };
                self.line(
                    time,
                    format_args!(
                        "{how}: {}: {} ({})",
                        text(values, 2),
                        text(values, 3),
                        tail(text(values, 4))
                    ),
                );
            }
            "!ended" => self.line(time, format_args!("THE END")),
            _ => {}
        }
    }
}
