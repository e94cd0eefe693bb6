//! Many sessions of some rules on some sets: as a table, as JSON, compared pair by pair. Plots are in `plots.rs`.

use super::error::{Fault, ReadError};
use super::metrics::{METRICS, Metrics, Summary, summarize};
use super::session::Session;
use super::trace::numbers;
use serde_json::{Value, json};
use std::fmt::Write;

/// One rule's sessions on one set.
#[derive(Clone, Debug)]
pub struct Run {
    /// Name of the rule.
    pub rule: String,
    /// In the order of the traces.
    pub metrics: Vec<Metrics>,
    /// What happened in them; empty if read from an earlier result.
    pub sessions: Vec<Session>,
}

/// One set with one movie.
#[derive(Clone, Debug)]
pub struct Group {
    /// Name of the set.
    pub set: String,
    /// Name of the movie, and how many segments of it.
    pub movie: String,
    /// Names of the traces.
    pub traces: Vec<String>,
    /// By rule.
    pub runs: Vec<Run>,
}

/// All sets.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How the sessions were played, for people.
    pub title: String,
    /// In the order of the command line.
    pub groups: Vec<Group>,
}

impl Run {
    /// The numbers of [`METRICS`] over all sessions, in their order.
    pub fn summaries(&self) -> Vec<Summary> {
        let all = METRICS.iter().enumerate();
        all.map(|(i, metric)| summarize(&self.values(i), metric.more_is_better)).collect()
    }

    fn values(&self, metric: usize) -> Vec<f64> {
        self.metrics.iter().map(|m| m.0[metric]).collect()
    }

    /// Sessions that did not play to the end.
    pub fn incomplete(&self) -> usize {
        self.sessions.iter().filter(|s| !s.complete).count()
    }

    /// This rule less another one, trace by trace.
    pub fn less(&self, other: &Self, metric: usize) -> Summary {
        let pairs = self.values(metric).into_iter().zip(other.values(metric));
        summarize(&pairs.map(|(a, b)| a - b).collect::<Vec<_>>(), METRICS[metric].more_is_better)
    }
}

/// Few digits that tell enough.
fn short(x: f64) -> String {
    match x.abs() {
        a if a >= 1000.0 => format!("{x:.0}"),
        a if a >= 100.0 => format!("{x:.1}"),
        a if a >= 10.0 => format!("{x:.2}"),
        _ => format!("{x:.3}"),
    }
}

impl Report {
    /// For a terminal: one line per set and rule, then the rules in pairs.
    pub fn text(&self) -> String {
        let mut out = format!("{}\n\n{:<14}{:<14}{:>5}", self.title, "set", "rule", "n");
        for m in &METRICS {
            let _ = write!(out, "{:>17}", m.name);
        }
        out.push('\n');
        for group in &self.groups {
            for run in &group.runs {
                let _ = write!(out, "{:<14}{:<14}{:>5}", group.set, run.rule, run.metrics.len());
                let summaries = run.summaries();
                let columns = |out: &mut String, value: fn(&Summary) -> f64| {
                    for summary in &summaries {
                        let _ = write!(out, "{:>17}", short(value(summary)));
                    }
                };
                columns(&mut out, |s| s.mean);
                if run.incomplete() > 0 {
                    let _ = write!(out, "  {} did not end", run.incomplete());
                }
                let line = |out: &mut String, name: &str, value: fn(&Summary) -> f64| {
                    let _ = write!(out, "\n{:<14}{:<19}", "", format!("  {name}"));
                    columns(out, value);
                };
                line(&mut out, "worst 10 %", |s| s.worst_tenth);
                line(&mut out, "95 % from", |s| s.interval.0);
                line(&mut out, "95 % to", |s| s.interval.1);
                out.push('\n');
            }
        }
        let paired = self.groups.iter().filter(|g| g.runs.len() > 1);
        for (i, group) in paired.enumerate() {
            if i == 0 {
                out.push_str("\nPairs: the rule less the first one, trace by trace (mean, 95 %)\n");
            }
            let Some((first, others)) = group.runs.split_first() else { continue };
            for run in others {
                let _ = write!(out, "{:<14}{:<14}", group.set, run.rule);
                for (i, metric) in METRICS.iter().enumerate().take(5) {
                    let s = run.less(first, i);
                    let [mean, from, to] = [s.mean, s.interval.0, s.interval.1].map(short);
                    let _ = write!(out, "  {} {mean} ({from} to {to})", metric.name);
                }
                out.push('\n');
            }
        }
        out
    }

    /// For programs, and for a comparison with later runs ([`Report::add_earlier`]).
    pub fn json(&self) -> Value {
        let summary = |s: Summary| json!({ "mean": s.mean, "worst_tenth": s.worst_tenth, "interval": [s.interval.0, s.interval.1] });
        let run = |run: &Run| {
            let summaries = METRICS.iter().zip(run.summaries());
            let summaries: serde_json::Map<_, _> =
                summaries.map(|(m, s)| (m.name.to_owned(), summary(s))).collect();
            json!({
                "rule": run.rule,
                "incomplete": run.incomplete(),
                "summary": summaries,
                "sessions": run.metrics.iter().map(|m| m.0.to_vec()).collect::<Vec<_>>(),
                "errors": run.sessions.iter().filter_map(|s| {
                    s.error.as_ref().map(|e| json!({ "trace": s.trace, "error": e }))
                }).collect::<Vec<_>>(),
            })
        };
        let group = |g: &Group| {
            json!({
                "set": g.set,
                "movie": g.movie,
                "traces": g.traces,
                "runs": g.runs.iter().map(run).collect::<Vec<_>>(),
            })
        };
        json!({
            "title": self.title,
            "metrics": METRICS.iter().map(|m| m.name).collect::<Vec<_>>(),
            "groups": self.groups.iter().map(group).collect::<Vec<_>>(),
        })
    }

    /// Puts the runs of an earlier result, as [`Report::json`] wrote it, before those of the same sets and traces; their rules are
    /// named `earlier`, or `earlier NAME` where there are several.
    ///
    /// # Errors
    /// What makes the result unusable, or [`Fault::Impossible`] if it is of other traces or numbers.
    pub fn add_earlier(&mut self, file: &str, text: &str) -> Result<(), ReadError> {
        let value: Value = serde_json::from_str(text).map_err(|e| ReadError::json(file, 1, &e))?;
        let wrong = |fault| ReadError::new(file, 0, fault);
        let names = value["metrics"].as_array().ok_or_else(|| wrong(Fault::Field("metrics")))?;
        if !names.iter().map(Value::as_str).eq(METRICS.iter().map(|m| Some(m.name))) {
            return Err(wrong(Fault::Impossible("it has other numbers: it is of another version")));
        }
        let groups = value["groups"].as_array().ok_or_else(|| wrong(Fault::Field("groups")))?;
        for group in &mut self.groups {
            let same = groups.iter().find(|g| {
                let traces = g["traces"].as_array().map_or(&[][..], |t| t);
                g["set"] == group.set.as_str()
                    && g["movie"] == group.movie.as_str()
                    && traces.iter().map(Value::as_str).eq(group.traces.iter().map(|t| Some(t.as_str())))
            });
            let same = same.ok_or_else(|| wrong(Fault::Impossible("a set or its traces are not in it")))?;
            let runs = same["runs"].as_array().ok_or_else(|| wrong(Fault::Field("runs")))?;
            for (place, run) in runs.iter().enumerate() {
                let rule = run["rule"].as_str().ok_or_else(|| wrong(Fault::Field("rule")))?;
                let rule = if runs.len() == 1 { "earlier".to_owned() } else { format!("earlier {rule}") };
                let sessions = run["sessions"].as_array().ok_or_else(|| wrong(Fault::Field("sessions")))?;
                let metrics = sessions.iter().map(|s| Some(Metrics(numbers(s)?.try_into().ok()?)));
                let metrics: Option<Vec<_>> = metrics.collect();
                let metrics = metrics
                    .filter(|m| m.len() == group.traces.len())
                    .ok_or_else(|| wrong(Fault::Field("sessions")))?;
                group.runs.insert(place, Run { rule, metrics, sessions: Vec::new() });
            }
        }
        Ok(())
    }
}
