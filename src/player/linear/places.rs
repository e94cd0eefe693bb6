//! Tables in files of where decoding can start: the Cues of Matroska, the keyframes in FLV's metadata, the segment index and the random access
//! table of fragmented MP4. They may lie: see `Session::look_around`.

use super::timeline::{BEFORE, OWN_START};
#[cfg(feature = "flv")]
use crate::container::flv;
use crate::container::mp4::{random_access, sidx};
#[cfg(feature = "webm")]
use crate::container::webm;
use crate::container::{Format, TrackInfo};
use crate::time::Seconds;

/// Time on the file's own timeline, and the byte to read from, ascending.
pub(super) type Table = Vec<(Seconds, u64)>;

/// From time to byte.
#[derive(Default)]
pub(super) struct Places {
    /// Of the track that decides, then of others whose media may begin in other places.
    tables: Vec<Table>,
    /// They tell nothing of what lies here and after.
    end: Seconds,
}

/// What was read of a table, the duration, and which bytes (first, how many) are needed for a table that lies elsewhere.
type Told = (Places, Option<Seconds>, Option<(u64, u64)>);

impl Places {
    fn new(table: Table, end: Seconds) -> Self {
        let tables = if table.is_empty() { Vec::new() } else { vec![table] };
        Self { tables, end }
    }

    /// Reads what the first bytes of a file tell. `cues`: those that were asked for; `length`: bytes of the file.
    pub fn read(format: Format, head: &[u8], cues: Option<&[u8]>, length: Option<u64>) -> Told {
        let _ = cues;
        match format {
            #[cfg(feature = "flv")]
            Format::Flv => match flv::Layout::read(head) {
                flv::Progress::Done(layout) => {
                    let keyframes = layout.keyframes.iter().map(|k| (k.time, k.position));
                    (Self::new(keyframes.collect(), f64::INFINITY), layout.duration, None)
                }
                flv::Progress::Needs(_) => Told::default(),
            },
            #[cfg(feature = "webm")]
            Format::Webm => match webm::layout(head, cues) {
                Ok(webm::Layout::Spans(head, spans)) => {
                    let spans = spans.iter().map(|s| (s.start, s.first));
                    (Self::new(spans.collect(), f64::INFINITY), head.duration, None)
                }
                Ok(webm::Layout::NeedsCues { offset, length }) if cues.is_none() => {
                    let duration = match webm::read_head(head, false) {
                        Ok(webm::Progress::Done(head)) => head.duration,
                        _ => None,
                    };
                    (Self::default(), duration, Some((offset, length)))
                }
                Ok(webm::Layout::Linear(head)) => (Self::default(), head.duration, None),
                _ => Told::default(),
            },
            Format::Mp4 => segment_index(head, length).unwrap_or_default(),
            _ => Told::default(),
        }
    }

    /// Reads what the last bytes of a fragmented MP4 file tell, if they tell anything. `tracks`: the one that decides comes first.
    pub fn of_tail(tail: &[u8], tracks: &[TrackInfo]) -> Option<Self> {
        let tables = random_access(tail, tracks);
        (!tables.is_empty()).then_some(Self { tables, end: f64::INFINITY })
    }

    /// Whether it is known where they end: of a segment index.
    pub fn has_end(&self) -> bool {
        self.end.is_finite()
    }

    /// Whether no place after this one is known.
    pub fn is_last(&self, told: Seconds) -> bool {
        self.tables.first().and_then(|t| t.last()).is_none_or(|p| p.0 <= told)
    }

    /// Where to read for what is presented at `time` (of the file's own timeline), and the time that is said to be found there.
    pub fn at(&self, time: Seconds) -> Option<(u64, Seconds)> {
        /// Tables have times in ticks of their own.
        const ROUNDING: Seconds = 1e-3;
        let last = |table: &Table, time: Seconds| {
            let after = table.partition_point(|p| p.0 <= time + ROUNDING);
            table.get(after.saturating_sub(1)).copied()
        };
        let (first, others) = self.tables.split_first().filter(|_| time < self.end)?;
        let (told, mut at) = last(first, time)?;
        for table in others {
            // One that ended long before takes no part.
            at = last(table, told).filter(|p| told - p.0 < BEFORE).map_or(at, |p| at.min(p.1));
        }
        Some((at, told))
    }
}

/// The `sidx` in front of the fragments. Written before each fragment, as ffmpeg's `dash` flag does, it tells of the first ones alone.
fn segment_index(head: &[u8], length: Option<u64>) -> Option<Told> {
    let from = sidx::scan(head).sidx?.0;
    let index = sidx::read(head.get(usize::try_from(from).ok()?..)?, from).ok()?;
    let mut table = Table::new();
    let (mut end, mut last) = (0, 0);
    for item in &index.items {
        let (sidx::IndexItem::Media(entry) | sidx::IndexItem::Nested(entry)) = item;
        if entry.starts_with_sap || matches!(item, sidx::IndexItem::Nested(_)) {
            table.push((index.timescale.seconds(entry.start), entry.offset));
        }
        end = entry.start.saturating_add(entry.duration.into());
        last = entry.offset.saturating_add(entry.size.into());
    }
    let end = index.timescale.seconds(end);
    // Behind the media there may be a table for its end; it has a few bytes per fragment.
    let whole = length.is_some_and(|l| last <= l && l - last <= l / 64);
    let start = table.first().map_or(0.0, |p| p.0);
    let duration = end - if start < OWN_START { 0.0 } else { start };
    Some((Places::new(table, end), whole.then_some(duration), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(tables: &[&[(Seconds, u64)]], end: Seconds) -> Places {
        Places { tables: tables.iter().map(|t| t.to_vec()).collect(), end }
    }

    #[test]
    fn reading_begins_where_both_tracks_have_what_is_sought() {
        let places =
            places(&[&[(0.0, 100), (4.0, 300), (8.0, 500)], &[(0.0, 90), (3.5, 250), (8.5, 510)]], 12.0);
        let at = [0.0, 3.9, 4.0, 8.0, 8.9].map(|t| places.at(t));
        assert_eq!(at, [(90, 0.0), (90, 0.0), (250, 4.0), (250, 8.0), (250, 8.0)].map(Some));
        assert_eq!(places.at(12.0), None);
        assert_eq!([4.0, 8.0].map(|t| places.is_last(t)), [false, true]);
    }

    #[test]
    fn a_track_that_ended_long_before_has_nothing_to_say() {
        let places = places(&[&[(0.0, 100), (40.0, 300)], &[(0.0, 90)]], f64::INFINITY);
        assert_eq!(places.at(50.0), Some((300, 40.0)));
    }

    #[test]
    fn times_before_the_first_place_get_that_one() {
        assert_eq!(places(&[&[(5.0, 100)]], f64::INFINITY).at(2.0), Some((100, 5.0)));
        assert_eq!(Places::default().at(2.0), None);
        assert!(places(&[&[(5.0, 100)]], f64::INFINITY).at(f64::NAN).is_none_or(|p| p.0 == 100));
    }
}
