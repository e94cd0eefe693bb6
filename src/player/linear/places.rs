//! Tables of keyframes that files carry: the Cues of Matroska, the keyframes in FLV's metadata.

use crate::container::Format;
#[cfg(feature = "flv")]
use crate::container::flv;
#[cfg(feature = "webm")]
use crate::container::webm;
use crate::time::Seconds;

/// From time to byte, exactly.
pub(super) enum Places {
    /// No table is known.
    None,
    #[cfg(feature = "flv")]
    Flv(flv::Layout),
    #[cfg(feature = "webm")]
    Clusters(Vec<webm::Span>),
}

/// The table, the duration, and which bytes (first, how many) are needed for a table that lies elsewhere.
type Told = (Places, Option<Seconds>, Option<(u64, u64)>);

impl Places {
    /// Reads what the first bytes of a file tell. `cues`: those that were asked for.
    pub fn read(format: Format, head: &[u8], cues: Option<&[u8]>) -> Told {
        let _ = (head, cues);
        match format {
            #[cfg(feature = "flv")]
            Format::Flv => match flv::Layout::read(head) {
                flv::Progress::Done(layout) => {
                    let duration = layout.duration;
                    (if layout.keyframes.is_empty() { Self::None } else { Self::Flv(layout) }, duration, None)
                }
                flv::Progress::Needs(_) => (Self::None, None, None),
            },
            #[cfg(feature = "webm")]
            Format::Webm => match webm::layout(head, cues) {
                Ok(webm::Layout::Spans(head, spans)) => (Self::Clusters(spans), head.duration, None),
                Ok(webm::Layout::NeedsCues { offset, length }) if cues.is_none() => {
                    let duration = match webm::read_head(head, false) {
                        Ok(webm::Progress::Done(head)) => head.duration,
                        _ => None,
                    };
                    (Self::None, duration, Some((offset, length)))
                }
                Ok(webm::Layout::Linear(head)) => (Self::None, head.duration, None),
                _ => (Self::None, None, None),
            },
            _ => (Self::None, None, None),
        }
    }

    /// Where to read for what is presented at `time` (of the file's own timeline).
    pub fn byte_at(&self, time: Seconds) -> Option<u64> {
        let _ = time;
        match self {
            Self::None => None,
            #[cfg(feature = "flv")]
            Self::Flv(layout) => Some(layout.keyframe(time)?.position),
            #[cfg(feature = "webm")]
            Self::Clusters(spans) => {
                let after = spans.partition_point(|s| s.start <= time + 1e-3);
                Some(spans.get(after.saturating_sub(1))?.first)
            }
        }
    }
}
