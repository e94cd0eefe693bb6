//! Where the segments of a WebM file are: SeekHead, Info and Cues (RFC 9559 §5.1.1, §5.1.2, §5.1.5).

use super::ebml::{self, Read, id};
use super::malformed;
use crate::error::Result;
use crate::time::Seconds;

/// What can be read so far.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress<T> {
    /// It is there.
    Done(T),
    /// At least this many bytes are needed, counted from the start of those that were given.
    Needs(u64),
}

/// What the start of a file tells. Offsets are in bytes from the start of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Where the content of the Segment begins: positions in the file count from here.
    pub segment_start: u64,
    /// Where the Segment ends, if it has a size.
    pub segment_end: Option<u64>,
    /// Nanoseconds per tick.
    pub timestamp_scale: u64,
    /// Of the whole file, where known.
    pub duration: Option<Seconds>,
    /// End of the initialization segment: EBML header, Info and Tracks lie before, clusters and cues after.
    pub init_end: u64,
    /// Where the Cues element begins; `None`: the file has none, or does not tell.
    pub cues: Option<u64>,
    /// Number of the first video track, whose cues count where other tracks have some too.
    pub video: Option<u64>,
}

/// Nanoseconds per tick where Info does not tell.
pub(super) const DEFAULT_SCALE: u64 = 1_000_000;

/// Reads the head of a file from its first bytes. `complete`: these are a whole initialization segment and end with it;
/// else the head goes on to the first Cluster or Cues.
pub fn read_head(bytes: &[u8], complete: bool) -> Result<Progress<Head>> {
    let mut at = 0u64;
    let mut head: Option<Head> = None;
    let (mut scale, mut duration, mut cues, mut has_tracks, mut video) = (None, None, None, false, None);
    loop {
        let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
        let header = match ebml::header(rest) {
            Read::Got(header) => header,
            Read::Short if complete && has_tracks && at == bytes.len() as u64 => {
                // As if a cluster followed.
                ebml::Header { id: id::CLUSTER, size: None, len: 0 }
            }
            Read::Short => return Ok(Progress::Needs(at.saturating_add(12))),
            Read::Bad => return Err(malformed("No EBML element where one must be", at)),
        };
        let start = at.saturating_add(header.len as u64);
        if at == 0 && header.id != id::EBML {
            return Err(malformed("The file does not begin with an EBML header", 0));
        }
        let is_master = header.id == id::SEGMENT;
        if is_master {
            head = Some(Head {
                segment_start: start,
                segment_end: header.size.map(|s| start.saturating_add(s)),
                timestamp_scale: DEFAULT_SCALE,
                duration: None,
                init_end: 0,
                cues: None,
                video: None,
            });
            at = start;
            continue;
        }
        if let Some(mut head) =
            head.take_if(|_| header.id == id::CLUSTER || (header.id == id::CUES && has_tracks))
        {
            let scale = scale.unwrap_or(DEFAULT_SCALE);
            head.timestamp_scale = scale;
            head.duration = duration.map(|d: f64| d * scale as f64 / 1e9);
            head.init_end = at;
            head.video = video;
            head.cues = if header.id == id::CUES { Some(at) } else { cues };
            return if has_tracks {
                Ok(Progress::Done(head))
            } else {
                Err(malformed("Clusters come before Tracks", at))
            };
        }
        let Some(size) = header.size else { return Err(malformed("An element of unknown size", at)) };
        let end = start.saturating_add(size);
        if let Some(head) = &head
            && matches!(header.id, id::SEEK_HEAD | id::INFO)
        {
            let Some(content) = usize::try_from(size).ok().and_then(|s| rest.get(header.len..)?.get(..s))
            else {
                return Ok(Progress::Needs(end));
            };
            if header.id == id::INFO {
                scale = ebml::unsigned_child(content, id::TIMESTAMP_SCALE).filter(|s| *s > 0).or(scale);
                duration = ebml::child(content, id::DURATION)
                    .and_then(ebml::float)
                    .filter(|d| *d > 0.0)
                    .or(duration);
            } else {
                cues = cues_position(content).map(|p| head.segment_start.saturating_add(p)).or(cues);
            }
        }
        if header.id == id::TRACKS {
            has_tracks = true;
            let content = usize::try_from(size).ok().and_then(|s| rest.get(header.len..)?.get(..s));
            video = content.and_then(first_video);
        }
        if header.id == id::CUES {
            cues = Some(at);
        }
        at = end;
    }
}

/// Position of the Cues that a SeekHead names.
fn cues_position(seek_head: &[u8]) -> Option<u64> {
    let seeks = ebml::children(seek_head).filter(|c| c.0 == id::SEEK);
    let mut cues =
        seeks.filter(|(_, seek)| ebml::unsigned_child(seek, id::SEEK_ID) == Some(u64::from(id::CUES)));
    cues.find_map(|(_, seek)| ebml::unsigned_child(seek, id::SEEK_POSITION))
}

/// `TrackNumber` of the first video track.
fn first_video(tracks: &[u8]) -> Option<u64> {
    let entries = ebml::children(tracks).filter(|c| c.0 == id::TRACK_ENTRY);
    let mut videos = entries.filter(|(_, e)| ebml::unsigned_child(e, id::TRACK_TYPE) == Some(1));
    videos.find_map(|(_, e)| ebml::unsigned_child(e, id::TRACK_NUMBER))
}

/// One entry of Cues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CuePoint {
    /// Nanoseconds from the start of the file's timeline.
    pub time: u64,
    /// Where the cluster begins, in bytes from the start of the file.
    pub cluster: u64,
}

/// Reads Cues from bytes that begin with the element: one entry for each cluster that is referred to, in order of time. Where the
/// video track has entries, those of other tracks are passed over: their clusters need not begin with a keyframe.
pub fn read_cues(bytes: &[u8], head: &Head) -> Result<Progress<Vec<CuePoint>>> {
    let header = match ebml::header(bytes) {
        Read::Got(header) if header.id == id::CUES => header,
        Read::Short => return Ok(Progress::Needs(12)),
        Read::Got(_) | Read::Bad => return Err(malformed("No Cues where they should be", 0)),
    };
    let Some(size) = header.size else { return Err(malformed("Cues of unknown size", 0)) };
    let Some(content) = usize::try_from(size).ok().and_then(|s| bytes[header.len..].get(..s)) else {
        return Ok(Progress::Needs(size.saturating_add(header.len as u64)));
    };
    let mut points = points(content, head, head.video);
    if points.is_empty() {
        points = self::points(content, head, None);
    }
    // Some writers give a point for each keyframe, several in one cluster; clusters lie in the order of time.
    if points.windows(2).any(|w| w[1].cluster < w[0].cluster) {
        points.sort_unstable_by_key(|p| (p.cluster, p.time));
    }
    points.dedup_by_key(|p| p.cluster);
    let mut last = None;
    points.retain(|p| last.replace(p.time).is_none_or(|last| last < p.time));
    Ok(Progress::Done(points))
}

/// The points of one track (`None`: of all, where the earliest cluster serves all).
fn points(cues: &[u8], head: &Head, track: Option<u64>) -> Vec<CuePoint> {
    let mut points = Vec::new();
    for (_, point) in ebml::children(cues).filter(|c| c.0 == id::CUE_POINT) {
        let Some(time) = ebml::unsigned_child(point, id::CUE_TIME) else { continue };
        let positions = ebml::children(point).filter(|c| c.0 == id::CUE_TRACK_POSITIONS);
        let positions =
            positions.filter(|(_, p)| track.is_none() || ebml::unsigned_child(p, id::CUE_TRACK) == track);
        let position = positions.filter_map(|(_, p)| ebml::unsigned_child(p, id::CUE_CLUSTER_POSITION)).min();
        let Some(position) = position else { continue };
        points.push(CuePoint {
            time: time.saturating_mul(head.timestamp_scale),
            cluster: head.segment_start.saturating_add(position),
        });
    }
    points
}

/// A stretch of clusters that can be fetched and appended by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// On the file's timeline.
    pub start: Seconds,
    /// `None` for the last one of a file that does not tell its duration.
    pub duration: Option<Seconds>,
    /// First byte.
    pub first: u64,
    /// Last byte; `None`: to the end of the file.
    pub last: Option<u64>,
}

/// The segments of a file: from each cluster that Cues refer to, up to the next.
pub fn spans(head: &Head, cues: &[CuePoint]) -> Vec<Span> {
    let seconds = |time: u64| time as f64 / 1e9;
    // Cues behind the clusters end the last one.
    let last_cluster = cues.last().map_or(0, |c| c.cluster);
    let end = head.cues.filter(|c| *c > last_cluster).or(head.segment_end).filter(|e| *e > last_cluster);
    let next = cues.iter().skip(1).map(|c| (Some(seconds(c.time)), Some(c.cluster)));
    cues.iter()
        .zip(next.chain(std::iter::once((head.duration, end))))
        .map(|(cue, (until, end))| {
            let start = seconds(cue.time);
            Span {
                start,
                duration: until.map(|u| u - start).filter(|d| *d > 0.0),
                first: cue.cluster,
                last: end.map(|e| e - 1),
            }
        })
        .collect()
}

/// Bytes of Cues at the end of a file that are asked for before their size is known.
const AT_ONCE: u64 = 512 << 10;

/// How a file is fetched.
#[derive(Clone, Debug, PartialEq)]
pub enum Layout {
    /// So many bytes from the start of the file are needed.
    NeedsHead(u64),
    /// The Cues are needed: at least `length` bytes from `offset` on.
    NeedsCues {
        /// First byte in the file.
        offset: u64,
        /// Bytes; more do no harm.
        length: u64,
    },
    /// The segments of the file.
    Spans(Head, Vec<Span>),
    /// The file has no Cues, or none that can be read: from start to end only.
    Linear(Head),
}

/// Looks for the segments of a file. `head`: bytes from its start; `cues`: those that [`Layout::NeedsCues`] asked for.
///
/// A segment begins with the cluster in which the keyframe of a cue lies, which need not be the first picture in it. The initialization
/// segment of all is `..init_end`.
pub fn layout(head: &[u8], cues: Option<&[u8]>) -> Result<Layout> {
    let read = match read_head(head, false)? {
        Progress::Done(head) => head,
        Progress::Needs(length) => return Ok(Layout::NeedsHead(length)),
    };
    let Some(offset) = read.cues else { return Ok(Layout::Linear(read)) };
    let near = usize::try_from(offset).ok().and_then(|at| head.get(at..)).unwrap_or_default();
    let points = match read_cues(cues.unwrap_or(near), &read) {
        Ok(Progress::Done(points)) if !points.is_empty() => points,
        Ok(Progress::Needs(length)) => {
            // Behind the clusters little follows them: one request may do.
            let rest = read.segment_end.filter(|_| cues.is_none() && offset > read.init_end);
            let rest = rest.map_or(0, |end| end.saturating_sub(offset)).min(AT_ONCE);
            return Ok(Layout::NeedsCues { offset, length: length.max(rest) });
        }
        _ => return Ok(Layout::Linear(read)),
    };
    let spans = spans(&read, &points);
    Ok(Layout::Spans(read, spans))
}
