//! What `npm run bench` measures by itself, in a build of its own (feature `bench`): the readers and the rewriting of
//! containers, without the player around them. Nothing imports this module.

use crate::container::{Demuxer, open, sniff};
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

/// Rewrites a file, or the segments of one variant, to fragmented MP4.
#[wasm_bindgen]
pub struct BenchRemux {
    demuxer: Box<dyn Demuxer>,
    muxer: Muxer,
}

#[wasm_bindgen]
impl BenchRemux {
    /// For what begins with these bytes; `undefined` where they are of no container.
    pub fn of(prefix: &[u8]) -> Option<Self> {
        let demuxer = open(sniff(prefix)?)?;
        Some(Self { demuxer, muxer: Muxer::new() })
    }

    /// Takes the next bytes and returns the fragments that are complete, as arrays that JavaScript owns; `undefined` where the bytes
    /// cannot be read. `last`: a segment, or the file, ends here.
    pub fn push(&mut self, bytes: &[u8], last: bool) -> Option<Array> {
        self.demuxer.push(bytes, &mut self.muxer).ok()?;
        if last {
            self.demuxer.finish(&mut self.muxer).ok()?;
        }
        let out = Array::new();
        let tracks: Vec<_> = self.muxer.tracks().iter().map(|track| track.id).collect();
        for track in tracks {
            while let Some(fragment) = self.muxer.take_fragment(track, last) {
                out.push(&Uint8Array::from(fragment.bytes()));
            }
        }
        Some(out)
    }
}
