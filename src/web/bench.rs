//! What `npm run bench` measures by itself, in a build of its own (feature `bench`): the readers and the rewriting of
//! transport streams, without the player around them. Nothing imports this module.

use crate::container::Demuxer;
use crate::container::ts::TsDemuxer;
use crate::manifest::{Presentation, dash, hls};
use crate::remux::Muxer;
use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;

/// Segments of all representations, with the last one of each asked for: indexes are computed when they are used.
fn count(presentation: &Presentation) -> usize {
    let sets = presentation.periods.iter().flat_map(|period| &period.sets);
    let indexes = sets.flat_map(|set| &set.representations).map(|r| &r.index);
    indexes
        .map(|index| {
            index.len().checked_sub(1).and_then(|last| index.segment(last)).map_or(0, |_| index.len())
        })
        .sum()
}

/// Reads a media playlist and returns its number of segments; 0 where it cannot be read.
#[wasm_bindgen]
pub fn bench_playlist(text: &[u8], url: &str) -> usize {
    match hls::parse(text, url, &Default::default()) {
        Ok(hls::Playlist::Media(playlist)) => count(&playlist.into_presentation()),
        _ => 0,
    }
}

/// Reads an MPD and returns its number of segments; 0 where it cannot be read.
#[wasm_bindgen]
pub fn bench_mpd(xml: &[u8], url: &str) -> usize {
    dash::parse(xml, url).map_or(0, |presentation| count(&presentation))
}

/// Rewrites transport stream segments of one variant.
#[wasm_bindgen]
#[derive(Default)]
pub struct BenchRemux {
    demuxer: TsDemuxer,
    muxer: Muxer,
}

#[wasm_bindgen]
impl BenchRemux {
    /// At the start of a stream.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a whole segment and returns its fragments as arrays that JavaScript owns; none where it is not a transport stream.
    pub fn segment(&mut self, bytes: &[u8]) -> Array {
        let out = Array::new();
        let read =
            self.demuxer.push(bytes, &mut self.muxer).and_then(|()| self.demuxer.finish(&mut self.muxer));
        if read.is_err() {
            return out;
        }
        let tracks: Vec<_> = self.muxer.tracks().iter().map(|track| track.id).collect();
        for track in tracks {
            while let Some(fragment) = self.muxer.take_fragment(track, true) {
                out.push(&Uint8Array::from(fragment.bytes()));
            }
        }
        out
    }
}
