//! Several places that have the same segments (`BaseURL`, ISO/IEC 23009-1 §5.6; redundant streams of HLS), and going from one to another.

use super::url::rebase;
use super::{IndexSource, InitRef, Representation, SegmentIndex};
use crate::time::Seconds;
use std::rc::Rc;

/// One of several places.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BaseUrl {
    /// Absolute.
    pub url: String,
    /// `@serviceLocation`: places of one location fail together. Empty: the URL itself stands for it.
    pub location: String,
    /// `@availabilityTimeOffset`, summed over the levels. Infinite values are large.
    pub offset: Seconds,
    /// `@availabilityTimeComplete`.
    pub complete: Option<bool>,
    /// `@dvb:priority`: the least comes first.
    pub priority: u32,
    /// `@dvb:weight` among those of a priority; 0: not given.
    pub weight: u32,
}

impl BaseUrl {
    /// What fails together has the same.
    pub fn place(&self) -> &str {
        if self.location.is_empty() { &self.url } else { &self.location }
    }
}

/// The places of a representation, best first, and which is in use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bases {
    /// Empty: there is only the one that the index names.
    pub all: Rc<[BaseUrl]>,
    /// They are media playlists, each of which names segments of its own.
    pub playlists: bool,
    /// Position in `all`.
    pub current: usize,
}

/// Puts places in the order in which they are to be tried (ETSI TS 103 285 §10.8.2.1): by priority, by chance according to their
/// weights, else as they are written. Those of a location that is in the list already come last: it has failed by then. `chance` is
/// any number; 0 takes the first as they are written.
#[cfg(feature = "dash")]
pub(super) fn order(mut left: Vec<BaseUrl>, mut chance: u64) -> Rc<[BaseUrl]> {
    let mut out: Vec<BaseUrl> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let rank = |b: &BaseUrl| (out.iter().any(|o| o.place() == b.place()), b.priority);
        let best = left.iter().map(rank).min();
        let candidates = || left.iter().enumerate().filter(|(_, b)| Some(rank(b)) == best);
        let mut at = candidates().next().map_or(0, |c| c.0);
        if candidates().any(|(_, b)| b.weight > 0) {
            let weight = |b: &BaseUrl| u64::from(b.weight.max(1));
            let total: u64 = candidates().map(|(_, b)| weight(b)).sum();
            let mut left_over = chance % total.max(1);
            chance /= total.max(1);
            for (i, b) in candidates() {
                at = i;
                match left_over.checked_sub(weight(b)) {
                    Some(rest) => left_over = rest,
                    None => break,
                }
            }
        }
        out.push(left.remove(at));
    }
    out.into()
}

impl Representation {
    /// Takes the segments from another place, the `n`th of [`Representation::bases`]. `false`: there is none such, nothing changed.
    pub fn switch_base(&mut self, n: usize) -> bool {
        let bases = &mut self.bases;
        let (Some(new), Some(old)) = (bases.all.get(n), bases.all.get(bases.current)) else { return false };
        if bases.playlists || !cfg!(feature = "dash") {
            self.index = SegmentIndex::Pending(IndexSource::playlist(new.url.clone()));
            bases.current = n;
            return true;
        }
        let go = |url: &mut String| *url = rebase(url, &old.url, &new.url);
        let go_init = |init: &mut Rc<InitRef>| go(&mut Rc::make_mut(init).url);
        match &mut self.index {
            SegmentIndex::Pending(source) => {
                go(&mut source.url);
                source.init.iter_mut().for_each(go_init);
            }
            SegmentIndex::Template(template) => {
                go(&mut template.base);
                template.init.iter_mut().for_each(go_init);
                if let Some(rule) = &mut template.rule {
                    rule.offset += new.offset - old.offset;
                    rule.complete = new.complete.unwrap_or(rule.complete);
                }
            }
            SegmentIndex::List(list) => {
                go(&mut list.base);
                list.inits.iter_mut().for_each(go_init);
            }
            #[cfg(feature = "progressive")]
            SegmentIndex::Continuous(url) => go(url),
        }
        bases.current = n;
        true
    }
}
