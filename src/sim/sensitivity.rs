//! What each tuned number does: the rule with one of them larger or smaller, on all sets; and what would be chosen with one set left out.

use super::metrics::{METRICS, Metrics};
use super::session::{Options, Rule, play};
use super::site::Site;
use super::trace::Trace;
use crate::player::{self, TUNED, Tuned};
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Mutex;

/// What the numbers are multiplied by.
const FACTORS: [f64; 4] = [0.7, 0.85, 1.15, 1.3];

/// A set that is played.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its movie.
    pub site: &'a Site,
    /// Its links.
    pub traces: &'a [Trace],
}

/// A number changed, and what the sets were worth then.
#[derive(Clone, Debug)]
struct Variant {
    /// Place in [`TUNED`].
    place: usize,
    value: f64,
    /// Mean QoE_log and mean seconds of stalls of each set.
    sets: Vec<(f64, f64)>,
}

/// The result.
#[derive(Clone, Debug)]
pub struct Sensitivity {
    names: Vec<String>,
    /// Unchanged.
    base: Vec<(f64, f64)>,
    variants: Vec<Variant>,
}

impl Sensitivity {
    /// Plays the default rule as it is and with each number of [`TUNED`] changed, on as many threads as there are cores. `done` is told the share that
    /// is done.
    pub fn of(fields: &[Field], options: &Options, done: &(dyn Fn(f64) + Sync)) -> Self {
        let base = worth(fields, options, Vec::new());
        let number = |(_, tuned): &(&str, &Tuned)| tuned.get();
        let mut variants: Vec<Variant> = (0..TUNED.len())
            .flat_map(|place| FACTORS.map(|f| (place, f * number(&TUNED[place]))))
            .map(|(place, value)| Variant { place, value, sets: Vec::new() })
            .collect();
        let count = variants.len();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let rest = Mutex::new((0, variants.iter_mut()));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let Ok(mut rest) = rest.lock() else { return };
                        let Some(variant) = rest.1.next() else { return };
                        done(f64::from(rest.0) / count as f64);
                        rest.0 += 1;
                        drop(rest);
                        variant.sets = worth(fields, options, vec![(variant.place, variant.value)]);
                    }
                });
            }
        });
        Self { names: fields.iter().map(|f| f.name.to_owned()).collect(), base, variants }
    }

    /// QoE_log of a variant less that of the rule as it is, by set.
    fn less(&self, variant: &Variant) -> Vec<f64> {
        variant.sets.iter().zip(&self.base).map(|(a, b)| a.0 - b.0).collect()
    }

    /// With one set left out: the variant that is best on the others, if one is better than none; what it wins there, and on the set.
    fn left_out(&self, set: usize) -> Option<(&Variant, f64, f64)> {
        let others = |v: &Variant| {
            let all = self.less(v);
            let rest = all.iter().enumerate().filter(|(i, _)| *i != set).map(|(_, d)| d);
            rest.sum::<f64>() / (all.len() - 1).max(1) as f64
        };
        let best = self.variants.iter().max_by(|a, b| others(a).total_cmp(&others(b)))?;
        (others(best) > 0.0).then(|| (best, others(best), self.less(best)[set]))
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let mut out = String::from(
            "QoE_log with one number changed, less that of the rule as it is: mean of the sets (lowest to highest set)\n",
        );
        let _ = write!(out, "{:<18}{:>8}", "", "is");
        for factor in FACTORS {
            let _ = write!(out, "{:>27}", format!("× {factor}"));
        }
        for (place, (name, tuned)) in TUNED.iter().enumerate() {
            let _ = write!(out, "\n{name:<18}{:>8}", tuned.get());
            for variant in self.variants.iter().filter(|v| v.place == place) {
                let (mean, low, high) = range(&self.less(variant));
                let _ = write!(out, "{:>27}", format!("{mean:+.3} ({low:+.3} to {high:+.3})"));
            }
        }
        out.push_str("\n\nOne set left out: the change that is best on the others, what it wins there, and on the set\n");
        for (set, name) in self.names.iter().enumerate() {
            let _ = match self.left_out(set) {
                Some((best, there, here)) => {
                    let stalled = best.sets[set].1 - self.base[set].1;
                    writeln!(
                        out,
                        "{name:<18}{} = {:.3}: {there:+.3}, and {here:+.3} here (stalls {stalled:+.2} s)",
                        TUNED[best.place].0, best.value
                    )
                }
                None => writeln!(out, "{name:<18}none"),
            };
        }
        out
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let sets = |values: &[(f64, f64)]| -> Value {
            let named = self.names.iter().zip(values);
            named
                .map(|(name, (qoe, stalls))| {
                    (name.clone(), json!({ "qoe_log": qoe, "stall_seconds": stalls }))
                })
                .collect()
        };
        let variant =
            |v: &Variant| json!({ "name": TUNED[v.place].0, "value": v.value, "sets": sets(&v.sets) });
        json!({ "base": sets(&self.base), "variants": self.variants.iter().map(variant).collect::<Vec<_>>() })
    }
}

fn worth(fields: &[Field], options: &Options, changes: Vec<(usize, f64)>) -> Vec<(f64, f64)> {
    let options = Options { rule: Rule::Own(player::Rule::Default, changes), ..options.clone() };
    let place = |name| METRICS.iter().position(|m| m.name == name).unwrap_or_default();
    let (qoe, stalls) = (place("qoe_log"), place("stall_seconds"));
    let of = |field: &Field| {
        let all = field.traces.iter().map(|trace| {
            let metrics = Metrics::of(&play(field.site, trace, &options), field.site.movie(), options.live);
            (metrics.0[qoe], metrics.0[stalls])
        });
        let (sum, stalled) = all.fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
        let count = field.traces.len().max(1) as f64;
        (sum / count, stalled / count)
    };
    fields.iter().map(of).collect()
}

/// Mean, lowest and highest.
fn range(values: &[f64]) -> (f64, f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let fold = |with: fn(f64, f64) -> f64| values.iter().copied().reduce(with).unwrap_or(f64::NAN);
    (mean, fold(f64::min), fold(f64::max))
}
