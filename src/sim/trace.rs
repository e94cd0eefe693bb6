//! A recorded link: capacity over time, and the round trip.

use super::error::{Fault, ReadError};
use crate::time::Seconds;
use serde_json::Value;

/// So long the link has one capacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Length.
    pub seconds: Seconds,
    /// Capacity in kbit/s (1 kbit = 1000 bit); 0: an outage.
    pub kbps: f64,
}

/// A recorded link. At its end it begins anew.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Its name; up to the first `/` that of its set.
    pub id: String,
    /// From a request to the first byte of its response.
    pub rtt: Seconds,
    /// Not empty; at least one has a capacity.
    pub steps: Vec<Step>,
}

impl Trace {
    /// A link of these steps (seconds, kbit/s).
    ///
    /// # Errors
    /// [`Fault`], if it has no steps, a step is impossible, or nothing would ever come through it.
    pub fn new(
        id: &str,
        rtt: Seconds,
        steps: impl IntoIterator<Item = (Seconds, f64)>,
    ) -> Result<Self, Fault> {
        let steps: Vec<Step> = steps.into_iter().map(|(seconds, kbps)| Step { seconds, kbps }).collect();
        if steps.is_empty() {
            return Err(Fault::Empty);
        }
        if steps.iter().any(|s| !(s.seconds > 0.0 && s.seconds.is_finite())) {
            return Err(Fault::Impossible("a step lasts no time"));
        }
        if steps.iter().any(|s| !(s.kbps >= 0.0 && s.kbps.is_finite())) {
            return Err(Fault::Impossible("a capacity is below 0"));
        }
        if steps.iter().all(|s| s.kbps <= 0.0) {
            return Err(Fault::Impossible("nothing ever comes through"));
        }
        if !(rtt >= 0.0 && rtt.is_finite()) {
            return Err(Fault::Impossible("the round trip is below 0"));
        }
        Ok(Self { id: id.to_owned(), rtt, steps })
    }

    /// Reads JSON lines, one trace each: `{"id":"set/name","rtt_ms":100,"ms":[1013,…],"kbps":[1285,…]}`; the first `most` of them.
    /// Empty lines are passed over, other fields ignored.
    ///
    /// # Errors
    /// The first line that cannot be used.
    pub fn read_all(file: &str, text: &str, most: usize) -> Result<Vec<Self>, ReadError> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let traces = lines.take(most).map(|(i, line)| {
            let value = serde_json::from_str(line).map_err(|e| ReadError::json(file, i + 1, &e))?;
            Self::from_json(&value).map_err(|fault| ReadError::new(file, i + 1, fault))
        });
        let traces: Vec<Self> = traces.collect::<Result<_, _>>()?;
        if traces.is_empty() { Err(ReadError::new(file, 0, Fault::Empty)) } else { Ok(traces) }
    }

    fn from_json(value: &Value) -> Result<Self, Fault> {
        let id = value["id"].as_str().ok_or(Fault::Field("id"))?;
        let rtt = value["rtt_ms"].as_f64().ok_or(Fault::Field("rtt_ms"))?;
        let ms = numbers(&value["ms"]).ok_or(Fault::Field("ms"))?;
        let kbps = numbers(&value["kbps"]).ok_or(Fault::Field("kbps"))?;
        if ms.len() != kbps.len() {
            return Err(Fault::Impossible("\"ms\" and \"kbps\" are not of one length"));
        }
        Self::new(id, rtt / 1000.0, ms.into_iter().map(|ms| ms / 1000.0).zip(kbps))
    }

    /// Until it begins anew.
    pub fn duration(&self) -> Seconds {
        self.steps.iter().map(|s| s.seconds).sum()
    }

    /// Mean capacity over time, in kbit/s.
    pub fn mean_kbps(&self) -> f64 {
        self.steps.iter().map(|s| s.seconds * s.kbps).sum::<f64>() / self.duration()
    }

    /// Name of the set: the id up to the first `/`.
    pub fn set(&self) -> &str {
        self.id.split('/').next().unwrap_or(&self.id)
    }
}

/// An array of numbers.
pub(super) fn numbers(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(Value::as_f64).collect()
}
