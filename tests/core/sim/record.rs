//! A session's log as the shell would keep it, and its replay.

use millrace::log::{Bodies, Outcome, Replay, header, input, output};
use millrace::player::{Config, Input, Output};
use serde_json::Value;

#[derive(Default)]
pub struct Record {
    pub log: String,
    pub bodies: Bodies,
}

impl Record {
    pub fn new(config: &Config) -> Self {
        let mut new = Self::default();
        new.add(|line| header(line, config));
        new
    }

    fn add(&mut self, write: impl FnOnce(&mut Vec<Value>)) {
        let mut line = Vec::new();
        write(&mut line);
        self.log.push_str(&Value::from(line).to_string());
        self.log.push('\n');
    }

    pub fn input(&mut self, now: f64, given: &Input) {
        self.add(|line| input(line, now, given));
        if let Input::FetchBody { id, data } = given {
            self.bodies.entry(id.0).or_default().extend_from_slice(data);
        }
    }

    pub fn output(&mut self, told: &Output) {
        if !matches!(told, Output::Wait { .. }) {
            self.add(|line| output(line, told));
        }
    }

    /// Asserts that another player does the same with the same inputs.
    pub fn assert_replays(&self, name: &str) {
        let replay =
            Replay::of(&self.log, &self.bodies, f64::INFINITY).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(replay.outcome, Outcome::Same, "{name}");
        assert_eq!(
            replay.inputs + replay.outputs + 1,
            self.log.lines().count(),
            "{name}: nothing is left out"
        );
    }
}
