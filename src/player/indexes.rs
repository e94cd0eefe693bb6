//! Indexes that are fetched by themselves: media playlists, sidx, Cues.

use super::io::FetchKind;
use crate::container::mp4::sidx;
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
/// Indexes that a hierarchical one may have.
const MAX_NESTED: u32 = 4096;

/// Reads one index, in as many requests as it takes.
pub struct IndexReader {
    source: IndexSource,
    range: Option<ByteRange>,
    /// The top of a hierarchical index, while indexes below it are fetched.
    top: Option<sidx::Index>,
    requests: u32,
    #[cfg_attr(not(feature = "hls"), expect(dead_code, reason = "only playlists have variables"))]
    variables: Rc<Variables>,
}

impl IndexReader {
    /// Begins with a pending index.
    pub fn new(source: &IndexSource, variables: Rc<Variables>) -> Self {
        let range = match source.kind {
            IndexKind::MediaPlaylist => None,
            _ => source.range.or(Some(ByteRange { first: 0, last: Some(HEAD - 1) })),
        };
        Self { source: source.clone(), range, top: None, requests: 0, variables }
    }

    /// What is to be fetched next.
    pub fn request(&self) -> (FetchKind, String, Option<ByteRange>) {
        let kind = match self.source.kind {
            IndexKind::MediaPlaylist => FetchKind::Playlist,
            _ => FetchKind::Index,
        };
        (kind, self.source.url.clone(), self.range)
    }

    /// Reads what was fetched. `None`: [`IndexReader::request`] names what is still missing.
    pub fn read(&mut self, body: &[u8], url: &str) -> Result<Option<ListIndex>> {
        // A server that ignores Range sends everything.
        let asked = self.range.and_then(|r| r.len()).and_then(|l| usize::try_from(l).ok());
        let body = &body[..body.len().min(asked.unwrap_or(usize::MAX))];
        self.requests += 1;
        match self.source.kind {
            IndexKind::MediaPlaylist => self.playlist(body, url).map(Some),
            IndexKind::Sidx => self.sidx(body),
            IndexKind::Cues => self.cues(body),
        }
    }

    #[cfg(feature = "hls")]
    fn playlist(&self, body: &[u8], url: &str) -> Result<ListIndex> {
        use crate::manifest::hls::{Playlist, parse};
        match parse(body, url, &self.variables)? {
            Playlist::Media(list) => {
                let mut index = list.index;
                for segment in &mut index.segments {
                    segment.start += self.source.timestamp_offset;
                }
                Ok(index)
            }
            Playlist::Multivariant(..) => Err(PlayerError::new(
                Code::ManifestMalformed,
                "a multivariant playlist stands where a media playlist is expected",
            )),
        }
    }

    #[cfg(not(feature = "hls"))]
    fn playlist(&self, _: &[u8], _: &str) -> Result<ListIndex> {
        Err(PlayerError::new(Code::FormatUnsupported, "this build reads no playlists"))
    }

    fn sidx(&mut self, body: &[u8]) -> Result<Option<ListIndex>> {
        if let Some(mut top) = self.top.take() {
            let first = self.range.map_or(0, |r| r.first);
            top.replace(first, sidx::read(body, first)?)?;
            return self.descend(top);
        }
        if let Some(range) = self.source.range {
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
        let _ = body;
        Err(PlayerError::new(Code::FormatUnsupported, "WebM indexes are not read"))
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
            inits: init.into_iter().collect(),
            keys: Vec::new(),
            timestamp_offset: Some(self.source.timestamp_offset),
        }
    }
}
