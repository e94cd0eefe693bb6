//! The core on a record, its outputs compared with those that are there.

use super::read::{Bodies, Fields, Lines, LogError, Result, Source, Told, feed, is};
use super::write::{Line, output};
use crate::player::{Now, Output, Player, Stats};
use serde_json::Value;
use std::collections::HashMap;

/// Where the core does something else than the record says.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Line of the record, from 1; of the next input where the record has nothing more.
    pub line: usize,
    /// Seconds from the first input.
    pub time: Now,
    /// What the record has, as its line.
    pub recorded: Option<String>,
    /// What the core did, as a line.
    pub replayed: Option<String>,
}

/// How it went.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All outputs are the same, bit for bit.
    Same,
    /// The first that is not.
    Differs(Box<Difference>),
}

/// A replay that is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// Inputs that were handed in.
    pub inputs: usize,
    /// Outputs that were compared and are the same.
    pub outputs: usize,
    /// Seconds from the first input to the last one.
    pub seconds: Now,
    /// The record was full before the session ended.
    pub cut: bool,
    /// How it went.
    pub outcome: Outcome,
}

/// One input, and what came of it.
pub(super) struct Step<'a> {
    /// Seconds from the first input.
    pub time: Now,
    /// Name of the input, without `>`.
    pub name: &'a str,
    /// What belongs to it.
    pub fields: &'a [Value],
    pub outputs: &'a [Vec<Value>],
    /// Asks the player for its numbers.
    pub stats: &'a mut dyn FnMut() -> Stats,
}

impl Line for Vec<Value> {
    fn text(&mut self, value: &str) {
        self.push(value.into());
    }

    /// As JavaScript writes it.
    fn number(&mut self, value: f64) {
        let whole = value.fract() == 0.0 && value.abs() < 9e15;
        self.push(if whole { (value as i64).into() } else { value.into() });
    }

    fn flag(&mut self, value: bool) {
        self.push(value.into());
    }
}

impl Replay {
    /// Replays a record, up to `until` seconds after its first input. `bodies` are those of [`super::requests`].
    ///
    /// # Errors
    /// The first line that cannot be read, or whose bytes are not there.
    pub fn of(log: &str, bodies: &Bodies, until: Now) -> std::result::Result<Self, LogError> {
        drive(log, bodies, until, &mut |_| {})
    }
}

pub(super) fn drive(log: &str, given: &Bodies, until: Now, seen: &mut dyn FnMut(Step)) -> Result<Replay> {
    let lines = Lines::read(log)?;
    let (told, requests) = (Told::of(&lines)?, lines.requests()?);
    let mut source = Source { told, given, requests, served: HashMap::new() };
    let mut player = Player::new(lines.config.clone());
    let mut replay = Replay { inputs: 0, outputs: 0, seconds: 0.0, cut: lines.cut, outcome: Outcome::Same };
    let mut began = None;
    let mut rest = lines.all.iter().filter(|(_, v)| !is(v, "=")).peekable();
    while let Some((line, values)) = rest.next() {
        let mut fields = Fields::new(*line, values, 0);
        let now = fields.number()?;
        let time = now - *began.get_or_insert(now);
        if time > until {
            break;
        }
        let name = fields.text()?;
        feed(&mut player, (*line, values), &mut source)?;
        let mut outputs = Vec::new();
        loop {
            match player.poll_output() {
                Output::Wait { .. } => break,
                other => {
                    let mut values = Vec::new();
                    output(&mut values, &other);
                    outputs.push(values);
                }
            }
        }
        replay.inputs += 1;
        replay.seconds = time;
        seen(Step {
            time,
            name: name.trim_start_matches('>'),
            fields: values.get(2..).unwrap_or_default(),
            outputs: &outputs,
            stats: &mut || player.stats(now),
        });
        let mut replayed = outputs.iter();
        loop {
            // An input begins with its time.
            let recorded = rest.next_if(|(_, v)| v.first().is_some_and(Value::is_string));
            let own = replayed.next();
            match (recorded, own) {
                (None, None) => break,
                (Some((_, a)), Some(b)) if same(a, b) => replay.outputs += 1,
                (a, b) => {
                    let text = |v: &Vec<Value>| Value::from(v.clone()).to_string();
                    let line = a.map_or_else(|| rest.peek().map_or(line + 1, |next| next.0), |a| a.0);
                    let (recorded, replayed) = (a.map(|(_, v)| text(v)), b.map(text));
                    replay.outcome =
                        Outcome::Differs(Box::new(Difference { line, time, recorded, replayed }));
                    return Ok(replay);
                }
            }
        }
    }
    Ok(replay)
}

/// Queries may hold secrets that are masked.
fn same(a: &[Value], b: &[Value]) -> bool {
    let equal = |(a, b): (&Value, &Value)| match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::String(a), Value::String(b)) if a.contains("://") => {
            a.split('?').next() == b.split('?').next()
        }
        _ => a == b,
    };
    a.len() == b.len() && a.iter().zip(b).all(equal)
}
