//! A movie as the simulator needs it: how large each segment is in each quality.

use super::error::{Fault, ReadError};
use super::trace::numbers;
use crate::time::Seconds;

/// Sizes of the segments of a movie.
#[derive(Clone, Debug, PartialEq)]
pub struct Movie {
    /// For people.
    pub name: String,
    /// Length of each segment, in milliseconds.
    pub segment_ms: u32,
    /// The ladder in kbit/s, ascending.
    pub kbps: Vec<f64>,
    /// Bytes by segment, then by rung.
    pub bytes: Vec<Vec<u64>>,
}

impl Movie {
    /// Checks what was read or made.
    ///
    /// # Errors
    /// [`Fault`], if there are no segments or qualities, their numbers differ, or the ladder does not ascend.
    pub fn new(name: &str, segment_ms: u32, kbps: Vec<f64>, bytes: Vec<Vec<u64>>) -> Result<Self, Fault> {
        if kbps.is_empty() || bytes.is_empty() {
            return Err(Fault::Empty);
        }
        if !(100..=60_000).contains(&segment_ms) {
            return Err(Fault::Impossible("segments last a tenth of a second to a minute"));
        }
        if kbps[0] < 1.0 || !kbps.iter().all(|k| k.is_finite()) || !kbps.is_sorted_by(|a, b| a < b) {
            return Err(Fault::Impossible("the bitrates do not ascend"));
        }
        if bytes.iter().any(|sizes| sizes.len() != kbps.len()) {
            return Err(Fault::Impossible("a segment has more or fewer sizes than there are bitrates"));
        }
        Ok(Self { name: name.to_owned(), segment_ms, kbps, bytes })
    }

    /// Reads `{"name":…,"segment_ms":3000,"bitrates_kbps":[230,…],"sizes_bits":[[segment 0 in quality 0, in quality 1, …], …]}`.
    ///
    /// # Errors
    /// What makes it unusable.
    pub fn read(file: &str, text: &str) -> Result<Self, ReadError> {
        if text.trim().is_empty() {
            return Err(ReadError::new(file, 0, Fault::Empty));
        }
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|e| ReadError::json(file, 1, &e))?;
        let wrong = |fault| ReadError::new(file, 0, fault);
        let field = |name| move || wrong(Fault::Field(name));
        let ms = value["segment_ms"].as_u64().and_then(|ms| u32::try_from(ms).ok());
        let sizes = value["sizes_bits"].as_array().ok_or_else(field("sizes_bits"))?;
        let sizes = sizes.iter().map(|s| numbers(s).ok_or_else(field("sizes_bits")));
        let bytes = sizes.map(|s| Ok(s?.into_iter().map(|bits| (bits / 8.0).round() as u64).collect()));
        Self::new(
            value["name"].as_str().unwrap_or(file),
            ms.ok_or_else(field("segment_ms"))?,
            numbers(&value["bitrates_kbps"]).ok_or_else(field("bitrates_kbps"))?,
            bytes.collect::<Result<_, ReadError>>()?,
        )
        .map_err(wrong)
    }

    /// The first segments only.
    #[must_use]
    pub fn shortened(mut self, segments: usize) -> Self {
        self.bytes.truncate(segments.max(1));
        self
    }

    /// Length of a segment.
    pub fn segment(&self) -> Seconds {
        f64::from(self.segment_ms) / 1000.0
    }

    /// Length of the whole.
    pub fn duration(&self) -> Seconds {
        self.segment() * self.bytes.len() as f64
    }

    /// The ladder in Mbit/s.
    pub fn mbps(&self, rung: usize) -> f64 {
        self.kbps.get(rung).map_or(0.0, |k| k / 1000.0)
    }
}
