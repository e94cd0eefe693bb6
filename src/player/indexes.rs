//! Indexes that are fetched by themselves: media playlists, sidx, Cues.

use super::io::FetchKind;
use crate::container::mp4::sidx;
#[cfg(feature = "webm")]
use crate::container::webm;
use crate::error::{Code, PlayerError, Result};
use crate::manifest::{ByteRange, IndexKind, IndexSource, InitRef, ListIndex, ListSegment};
use crate::time::Seconds;
use std::rc::Rc;

/// EXT-X-DEFINE variables of a multivariant playlist, for its media playlists.
#[cfg(feature = "hls")]
pub use crate::manifest::hls::Variables;
/// No protocol of this build has variables.
#[cfg(not(feature = "hls"))]
#[derive(Debug, Default)]
pub struct Variables;

/// Bytes asked for where the manifest does not tell where the index is: enough for `ftyp`, `moov` and the `sidx` of an hour.
const HEAD: u64 = 32 * 1024;
/// Bytes of head beyond which a file is not searched for its index.
const MAX_HEAD: u64 = 8 << 20;
/// Cues that begin before this are fetched together with the head of their file.
const CLOSE: u64 = 256 * 1024;
/// Indexes that a hierarchical one may have.
const MAX_NESTED: u32 = 4096;

/// An index that was read.
#[derive(Debug)]
pub enum Read {
    /// Complete; and where playback is to begin, as [`Session::wanted_start`](super::session::Session::wanted_start).
    List(ListIndex, Option<Seconds>),
    /// A playlist, which may grow.
    #[cfg(all(feature = "hls", feature = "live"))]
    Playlist(Box<crate::manifest::hls::MediaPlaylist>),
}

/// Reads one index, in as many requests as it takes.
pub struct IndexReader {
    source: IndexSource,
    range: Option<ByteRange>,
    /// The top of a hierarchical index, while indexes below it are fetched.
    top: Option<sidx::Index>,
    /// Of a WebM file whose Cues are somewhere else.
    #[cfg(feature = "webm")]
    head: Option<webm::Head>,
    requests: u32,
    #[cfg_attr(not(feature = "hls"), expect(dead_code, reason = "only playlists have variables"))]
    variables: Rc<Variables>,
}

impl IndexReader {
    /// Begins with a pending index.
    pub fn new(source: &IndexSource, variables: Rc<Variables>) -> Self {
        let range = match source.kind {
            IndexKind::MediaPlaylist => None,
            // Times and positions in Cues mean nothing without the head of the file: one request for both if they are close.
            IndexKind::Cues => {
                let last = source.range.filter(|r| r.first < CLOSE).and_then(|r| r.last).unwrap_or(HEAD - 1);
                Some(ByteRange { first: 0, last: Some(last) })
            }
            IndexKind::Sidx => match (source.range, source.init_range()) {
                (Some(range), Some(init)) if init.first < range.first && range.first - init.first < HEAD => {
                    Some(ByteRange { first: init.first, ..range })
                }
                (Some(range), _) => Some(range),
                (None, _) => Some(ByteRange { first: 0, last: Some(HEAD - 1) }),
            },
        };
        Self {
            source: source.clone(),
            range,
            top: None,
            #[cfg(feature = "webm")]
            head: None,
            requests: 0,
            variables,
        }
    }

    /// What is to be fetched next.
    pub fn request(&self) -> (FetchKind, String, Option<ByteRange>) {
        let kind = match self.source.kind {
            IndexKind::MediaPlaylist => FetchKind::Playlist,
            _ => FetchKind::Index,
        };
        (kind, self.source.url.clone(), self.range)
    }

    /// Whether a body is longer than what was asked for: a server that ignores Range sends everything.
    pub fn is_beyond(&self, body: &[u8]) -> bool {
        self.range.and_then(|r| r.len()).is_some_and(|asked| body.len() as u64 > asked)
    }

    /// The initialization segment, if it came along with what was asked for in the range `asked`.
    pub fn init_within(&self, asked: Option<ByteRange>, body: &[u8]) -> Option<(Rc<InitRef>, Rc<[u8]>)> {
        let range = self.source.init_range()?;
        let at = usize::try_from(range.first.checked_sub(asked?.first)?).ok()?;
        let bytes = body.get(at..)?.get(..usize::try_from(range.len()?).ok()?)?;
        Some((self.source.init.clone()?, bytes.into()))
    }

    /// Reads what was fetched. `None`: [`IndexReader::request`] names what is still missing.
    pub fn read(&mut self, body: &[u8], url: &str) -> Result<Option<Read>> {
        // A server that ignores Range sends everything.
        let asked = self.range.and_then(|r| r.len()).and_then(|l| usize::try_from(l).ok());
        let body = &body[..body.len().min(asked.unwrap_or(usize::MAX))];
        self.requests += 1;
        match self.source.kind {
            IndexKind::MediaPlaylist => self.playlist(body, url).map(Some),
            // Only an MPD names the others.
            _ if !cfg!(feature = "dash") => Ok(None),
            IndexKind::Sidx => Ok(self.sidx(body)?.map(|list| Read::List(list, None))),
            IndexKind::Cues => Ok(self.cues(body)?.map(|list| Read::List(list, None))),
        }
    }

    #[cfg(feature = "hls")]
    fn playlist(&self, body: &[u8], url: &str) -> Result<Read> {
        use crate::manifest::hls::{Playlist, parse};
        match parse(body, url, &self.variables)? {
            #[cfg(feature = "live")]
            Playlist::Media(list) => Ok(Read::Playlist(list)),
            #[cfg(not(feature = "live"))]
            Playlist::Media(list) if list.is_complete() => {
                Ok(Read::List(list.index, list.start.map(|start| start.offset)))
            }
            #[cfg(not(feature = "live"))]
            Playlist::Media(_) => Err(PlayerError::new(Code::FormatUnsupported, super::on_demand::ABSENT)),
            Playlist::Multivariant(..) => Err(PlayerError::new(
                Code::ManifestMalformed,
                "a multivariant playlist in place of a media playlist",
            )),
        }
    }

    #[cfg(not(feature = "hls"))]
    fn playlist(&self, _: &[u8], _: &str) -> Result<Read> {
        Err(PlayerError::new(Code::FormatUnsupported, "this build reads no playlists"))
    }

    fn sidx(&mut self, body: &[u8]) -> Result<Option<ListIndex>> {
        if let Some(mut top) = self.top.take() {
            let first = self.range.map_or(0, |r| r.first);
            top.replace(first, sidx::read(body, first)?)?;
            return self.descend(top);
        }
        if let Some(range) = self.source.range {
            let ahead = range.first.saturating_sub(self.range.map_or(0, |r| r.first));
            let body = usize::try_from(ahead).ok().and_then(|ahead| body.get(ahead..)).unwrap_or_default();
            return self.descend(sidx::read(body, range.first)?);
        }
        let layout = sidx::scan(body);
        if let (Some(end), None) = (layout.init_end, &self.source.init)
            && let Some(last) = end.checked_sub(1)
        {
            let range = Some(ByteRange { first: 0, last: Some(last) });
            self.source.init = Some(Rc::new(InitRef { url: self.source.url.clone(), range }));
        }
        match (layout.sidx, layout.needs) {
            (Some((start, end)), _) if end <= body.len() as u64 => {
                let at = usize::try_from(start).unwrap_or(0);
                self.descend(sidx::read(&body[at..], start)?)
            }
            (_, Some(needs)) if layout.media.is_none() && needs > body.len() as u64 && needs < MAX_HEAD => {
                self.range = Some(ByteRange { first: 0, last: Some(needs + HEAD - 1) });
                Ok(None)
            }
            // No index at all: the file is one segment.
            _ => Ok(Some(self.single())),
        }
    }

    fn single(&self) -> ListIndex {
        let start = self.source.timestamp_offset.max(0.0);
        let end = self.source.end.unwrap_or(f64::INFINITY);
        self.list(vec![(None, start, end - start)], None)
    }

    /// Goes on to the next nested index, or makes the list.
    fn descend(&mut self, top: sidx::Index) -> Result<Option<ListIndex>> {
        let next = top.nested().next().copied();
        if let Some(entry) = next {
            if self.requests > MAX_NESTED {
                return Err(PlayerError::new(
                    Code::ManifestMalformed,
                    "the segment index is nested without end",
                ));
            }
            let last = entry.offset.saturating_add(u64::from(entry.size).min(MAX_HEAD)).saturating_sub(1);
            self.range = Some(ByteRange { first: entry.offset, last: Some(last) });
            self.top = Some(top);
            return Ok(None);
        }
        let segments = top
            .media()
            .map(|e| {
                let range = ByteRange {
                    first: e.offset,
                    last: Some(e.offset.saturating_add(e.size.into()).saturating_sub(1)),
                };
                let start = top.timescale.seconds(e.start) + self.source.timestamp_offset;
                (Some(range), start, top.timescale.seconds(e.duration.into()))
            })
            .collect();
        Ok(Some(self.list(segments, self.source.init.clone())))
    }

    #[cfg(feature = "webm")]
    fn cues(&mut self, body: &[u8]) -> Result<Option<ListIndex>> {
        use webm::Progress::{Done, Needs};
        let first = self.range.map_or(0, |r| r.first);
        let asked = self.range.and_then(|r| r.len()).unwrap_or(u64::MAX);
        let ended = (body.len() as u64) < asked;
        let (head, cues) = match self.head.take() {
            Some(head) => (head, body),
            None => match webm::read_head(body, false)? {
                Done(head) => {
                    if self.source.init.is_none() {
                        let range = Some(ByteRange { first: 0, last: head.init_end.checked_sub(1) });
                        self.source.init = Some(Rc::new(InitRef { url: self.source.url.clone(), range }));
                    }
                    let Some(at) = self.source.range.map(|r| r.first).or(head.cues) else {
                        // No index at all: the file is one segment.
                        return Ok(Some(self.single()));
                    };
                    let cues =
                        usize::try_from(at).ok().and_then(|at| body.get(at..)).filter(|c| !c.is_empty());
                    let Some(cues) = cues else {
                        let last =
                            self.source.range.and_then(|r| r.last).unwrap_or(at.saturating_add(HEAD - 1));
                        self.range = Some(ByteRange { first: at, last: Some(last) });
                        self.head = Some(head);
                        return Ok(None);
                    };
                    (head, cues)
                }
                Needs(n) if !ended && n < MAX_HEAD => {
                    self.range = Some(ByteRange { first: 0, last: Some(n.saturating_add(HEAD - 1)) });
                    return Ok(None);
                }
                Needs(_) => {
                    return Err(PlayerError::new(
                        Code::Truncated,
                        "The head of a WebM file is not complete.",
                    ));
                }
            },
        };
        let at = first.saturating_add((body.len() - cues.len()) as u64);
        match webm::read_cues(cues, &head)? {
            Done(cues) => {
                let end = self.source.end.unwrap_or(f64::INFINITY);
                let spans = webm::spans(&head, &cues).into_iter().map(|span| {
                    let start = span.start + self.source.timestamp_offset;
                    let range = ByteRange { first: span.first, last: span.last };
                    (Some(range), start, span.duration.unwrap_or(end - start))
                });
                Ok(Some(self.list(spans.collect(), self.source.init.clone())))
            }
            Needs(n) if n < MAX_HEAD && self.requests < 8 => {
                self.range = Some(ByteRange { first: at, last: Some(at.saturating_add(n - 1)) });
                self.head = Some(head);
                Ok(None)
            }
            Needs(_) => Err(PlayerError::new(Code::Truncated, "The cues of a WebM file are not complete.")),
        }
    }

    #[cfg(not(feature = "webm"))]
    fn cues(&mut self, _: &[u8]) -> Result<Option<ListIndex>> {
        Err(PlayerError::new(Code::FormatUnsupported, "this build reads no WebM indexes"))
    }

    fn list(
        &self,
        spans: Vec<(Option<ByteRange>, Seconds, Seconds)>,
        init: Option<Rc<InitRef>>,
    ) -> ListIndex {
        let end = self.source.end.unwrap_or(f64::INFINITY);
        let segments = spans
            .into_iter()
            .filter(|(_, start, _)| *start < end - 1e-3)
            .map(|(range, start, duration)| ListSegment {
                uri: "".into(),
                range,
                start,
                duration,
                discontinuity: 0,
                gap: false,
                init: init.is_some().then_some(0),
                keys: None,
            })
            .collect();
        ListIndex {
            base: self.source.url.clone(),
            segments,
            first: 0,
            parts: Vec::new(),
            inits: init.into_iter().collect(),
            keys: Vec::new(),
            timestamp_offset: Some(self.source.timestamp_offset),
        }
    }
}

#[cfg(all(test, feature = "webm"))]
mod tests {
    use super::*;

    /// Reads the index of a file, and tells the ranges that were fetched.
    fn read(file: &[u8], range: Option<ByteRange>) -> (ListIndex, Vec<ByteRange>) {
        let source = IndexSource {
            kind: IndexKind::Cues,
            url: "https://example.com/a.webm".into(),
            range,
            init: None,
            timestamp_offset: 10.0,
            end: Some(13.0),
        };
        let mut reader = IndexReader::new(&source, Rc::default());
        let mut fetched = Vec::new();
        loop {
            let range = reader.request().2.expect("indexes of files have ranges");
            fetched.push(range);
            let end = range.last.map_or(file.len(), |l| (l as usize + 1).min(file.len()));
            let body = &file[(range.first as usize).min(end)..end];
            if let Some(read) = reader.read(body, "").expect("the file is sound") {
                assert!(matches!(read, Read::List(..)), "files do not grow");
                if let Read::List(index, _) = read {
                    return (index, fetched);
                }
            }
        }
    }

    #[test]
    fn cues_are_read_with_one_request_in_front_and_two_behind() {
        let file = include_bytes!("../../tests/fixtures/webm/vp9-cues-front.webm");
        let cues = file.windows(4).rposition(|w| w == [0x1c, 0x53, 0xbb, 0x6b]).expect("it has cues") as u64;
        let range = ByteRange { first: cues, last: Some(cues + 60) };
        for range in [None, Some(range)] {
            let (index, fetched) = read(file, range);
            assert_eq!(fetched.len(), 1);
            let times: Vec<_> = index.segments.iter().map(|s| (s.start, s.duration)).collect();
            assert_eq!(times, [(10.0, 1.0), (11.0, 1.0), (12.0, 1.0)]);
            assert_eq!(index.segments[2].range.and_then(|r| r.last), Some(file.len() as u64 - 1));
            assert!(index.inits[0].range.is_some_and(|r| r.first == 0 && r.last.is_some_and(|l| l < cues)));
        }
        let file = include_bytes!("../../tests/fixtures/webm/vp8-opus-cues-end.webm");
        let (index, fetched) = read(file, None);
        assert_eq!((index.segments.len(), fetched.len()), (2, 1), "a file below the first request's size");

        // A large cluster in between: the seek head leads to the cues.
        let element = |id: &[u8], content: &[u8]| {
            [id, &[1], &(content.len() as u64).to_be_bytes()[1..], content].concat()
        };
        let cluster = element(&[0x1f, 0x43, 0xb6, 0x75], &[0; 400_000]);
        let head = |cues: u64, cluster: u64| {
            let seek = [
                element(&[0x53, 0xab], &[0x1c, 0x53, 0xbb, 0x6b]),
                element(&[0x53, 0xac], &cues.to_be_bytes()),
            ];
            let seek_head = element(&[0x11, 0x4d, 0x9b, 0x74], &element(&[0x4d, 0xbb], &seek.concat()));
            let (info, tracks) =
                (element(&[0x15, 0x49, 0xa9, 0x66], &[]), element(&[0x16, 0x54, 0xae, 0x6b], &[]));
            let positions = element(&[0xb7], &element(&[0xf1], &cluster.to_be_bytes()));
            let point = element(&[0xbb], &[element(&[0xb3], &[0]), positions].concat());
            ([seek_head, info, tracks].concat(), element(&[0x1c, 0x53, 0xbb, 0x6b], &point))
        };
        let start = head(0, 0).0.len() as u64;
        let (before, cues) = head(start + cluster.len() as u64, start);
        let segment = element(&[0x18, 0x53, 0x80, 0x67], &[before, cluster, cues].concat());
        let file = [element(&[0x1a, 0x45, 0xdf, 0xa3], &[]), segment].concat();
        let (index, fetched) = read(&file, None);
        assert_eq!(index.segments.iter().map(|s| (s.start, s.duration)).collect::<Vec<_>>(), [(10.0, 3.0)]);
        assert_eq!(index.segments[0].range.and_then(|r| r.len()), Some(400_012));
        assert_eq!(fetched.len(), 2);
    }
}
