//! A stream of segments: where it stands, what it downloads now. It fills one SourceBuffer, or two from muxed segments.

use super::buffer::Piece;
use super::indexes::IndexReader;
use super::io::{BufferId, Now, Reason};
use super::requests::Ticket;
use super::segment::Pipeline;
use crate::manifest::{AdaptationSet, ByteRange, ContentType, InitRef, SegmentRef};
use crate::remux::Aside;
use crate::time::Seconds;
use std::rc::Rc;

/// Position of a representation in the presentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RepKey {
    pub period: usize,
    pub set: usize,
    pub rep: usize,
}

/// An initialization segment on its way.
pub(super) struct InitFetch {
    pub ticket: Ticket,
    pub body: Vec<u8>,
}

/// A media segment on its way.
pub(super) struct Job {
    pub key: RepKey,
    pub segment: SegmentRef,
    pub ticket: Ticket,
    /// The initialization segment, while it is fetched.
    pub init: Option<InitFetch>,
    /// Media bytes that came before the initialization segment.
    pub held: Vec<u8>,
    /// All bytes of the segment are there.
    pub complete: bool,
    /// What was asked for at first: the whole segment, or what is needed of it.
    pub range: Option<ByteRange>,
    /// Bytes of that, from its start on, that this attempt and those before it have brought.
    pub received: u64,
    /// Bytes that attempts before this one have brought: they count once.
    pub known: u64,
    /// Where in it this attempt begins.
    pub begun: u64,
    /// This attempt asks for what is not known, and not for all of it.
    pub resumed: bool,
    pub length: Option<u64>,
    pub sent: Now,
    pub first_byte: Option<Now>,
    /// Media has come out of it.
    pub fruitful: bool,
    /// Where playback is to begin, if that is inside the segment: what decoding does not need need not come.
    pub wanted_from: Option<Seconds>,
    /// The media before this place was left out; another request fetches the rest of the segment.
    pub skipped_to: Option<Seconds>,
    /// Of a segment that comes as it is made: when the chunk began to come that is on its way, the bytes that came then, and all that
    /// had come for the player by then.
    pub chunk: Option<(Now, u64, u64)>,
    /// Pieces that came out of it.
    pub pieces: usize,
    /// Where its media began, per buffer, on the presentation's timeline.
    pub starts: Vec<(BufferId, Seconds)>,
    /// Seconds of media that came out of it.
    pub media: Seconds,
    /// Its pictures are in the buffer already.
    pub sound_only: bool,
    /// It is in the buffer already, in a lower quality, and the cursor behind it.
    pub again: bool,
}

/// A segment, or part of one, that was fed to the pipeline whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fed {
    /// `None`: it was a gap, without media.
    pub discontinuity: Option<u32>,
    pub number: u64,
    pub part: Option<u32>,
    pub end: Seconds,
}

impl Job {
    /// Of a request that was sent now, for a segment whose headers are there.
    pub fn new(key: RepKey, segment: SegmentRef, ticket: Ticket, now: Now) -> Self {
        Self {
            key,
            segment,
            ticket,
            init: None,
            held: Vec::new(),
            complete: false,
            range: None,
            received: 0,
            known: 0,
            begun: 0,
            resumed: false,
            length: None,
            sent: now,
            first_byte: None,
            fruitful: false,
            wanted_from: None,
            skipped_to: None,
            chunk: None,
            pieces: 0,
            starts: Vec::new(),
            media: 0.0,
            sound_only: false,
            again: false,
        }
    }

    /// Whether it is a hint at a part without an end: all that follows in its resource comes along (RFC 8216bis §4.4.5.3).
    fn is_open(&self) -> bool {
        self.segment.ahead && self.segment.range.is_some_and(|r| r.last.is_none())
    }

    /// Whether it comes at the pace of its making, which tells nothing of the link.
    pub fn is_paced(&self) -> bool {
        cfg!(feature = "live") && self.segment.ahead
    }

    /// An attempt has failed. What the next one asks for: the rest, where the server has `ranges`, unless this one did so in vain. And whether
    /// so much came that the attempts until now count no more.
    pub fn next_attempt(&mut self, ranges: bool) -> (Option<ByteRange>, bool) {
        /// The part of a segment that is worth an attempt: there are never more than ten for each that may fail.
        const MUCH: u64 = 10;
        let (came, fresh) = (self.received > self.begun, self.received.saturating_sub(self.known));
        self.known = self.known.max(self.received);
        let length = self.length.filter(|length| ranges && came && self.known < *length);
        (self.received, self.begun, self.first_byte, self.resumed) = (0, 0, None, length.is_some());
        let Some(length) = length else { return (self.range, false) };
        let first = self.range.map_or(0, |r| r.first).saturating_add(self.known);
        (Some(ByteRange { first, last: self.range.and_then(|r| r.last) }), fresh >= length / MUCH)
    }

    /// What was fed, now that all of it has come.
    pub fn fed(&self) -> Fed {
        /// All parts but the last of a segment have at least 85 % of the target duration (RFC 8216bis §4.4.3.7).
        const SHORT: f64 = 0.15;
        let mut fed = Fed::whole(&self.segment);
        if cfg!(feature = "live")
            && self.is_open()
            && let Some(part) = &mut fed.part
            && self.media > self.segment.duration
        {
            let count = (self.media / self.segment.duration - SHORT).ceil().clamp(1.0, 1000.0);
            *part = part.saturating_add(count as u32 - 1);
            fed.end = self.segment.start + self.media;
        }
        fed
    }
}

impl Fed {
    /// All of `segment` was fed.
    pub fn whole(segment: &SegmentRef) -> Self {
        Self {
            discontinuity: (!segment.gap).then_some(segment.discontinuity),
            number: segment.number,
            part: segment.part,
            end: segment.start + segment.duration,
        }
    }

    /// Whether the media of `segment` goes on where this ended.
    pub fn leads_to(&self, segment: &SegmentRef) -> bool {
        let next = match (self.part, segment.part) {
            (Some(before), Some(part)) if part > 0 => self.number == segment.number && part == before + 1,
            (_, None | Some(0)) => segment.number.checked_sub(1) == Some(self.number),
            _ => false,
        };
        next && self.discontinuity == Some(segment.discontinuity)
    }
}

/// What a stream does.
pub(super) enum Activity {
    /// Nothing is under way; the next step decides.
    Idle,
    /// The index of a representation is fetched.
    Index { key: RepKey, reader: Box<IndexReader>, ticket: Ticket, body: Vec<u8>, url: String },
    /// A segment is fetched.
    Segment(Box<Job>),
    /// There is no more media.
    Ended,
}

/// A piece that waits until the media timeline of its discontinuity is tied to the presentation.
pub(super) struct HeldPiece {
    pub piece: Piece,
    pub key: RepKey,
    pub segment: SegmentRef,
}

/// Metadata that waits for the same.
pub(super) struct HeldAside {
    pub aside: Aside,
    pub period: usize,
    pub segment: Rc<SegmentRef>,
}

/// What was wanted when a set was chosen: the sets of other periods are compared with it.
#[derive(Default)]
pub(super) struct Model {
    pub id: String,
    pub lang: Option<String>,
    pub roles: Vec<String>,
    pub label: Option<String>,
    /// By the user.
    pub chosen: bool,
}

impl Model {
    pub fn of(set: &AdaptationSet, chosen: bool) -> Self {
        let AdaptationSet { id, lang, roles, label, .. } = set;
        Self { id: id.clone(), lang: lang.clone(), roles: roles.clone(), label: label.clone(), chosen }
    }
}

pub(super) struct Stream {
    /// What the set holds; video where it is muxed.
    pub content: ContentType,
    /// The adaptation set, by id, as it was chosen; another period may have another one for it.
    pub set_id: String,
    pub model: Model,
    pub period: usize,
    pub set: usize,
    /// The representation of the last job.
    pub rep: Option<usize>,
    /// Where the next segment is wanted.
    pub cursor: Seconds,
    /// The cursor is the end of a segment, not a place that was sought: the next segment starts there, up to rounding.
    pub sequential: bool,
    pub activity: Activity,
    pub pipeline: Option<(RepKey, Pipeline)>,
    /// What the pipeline finished last.
    pub last_fed: Option<Fed>,
    pub last_init: Option<Rc<InitRef>>,
    pub inits: Vec<(Rc<InitRef>, Rc<[u8]>)>,
    /// Representations that failed, and until when they are avoided.
    pub failed: Vec<(RepKey, Now)>,
    pub held: Vec<HeldPiece>,
    pub asides: Vec<HeldAside>,
    /// The buffers that it fills, once known.
    pub buffers: Vec<(BufferId, Rc<str>)>,
    pub has_media: bool,
    /// Why the next choice of quality is made, where it is not the estimate.
    pub reason: Option<Reason>,
    /// The representation that must be taken next (after an abandoned download).
    pub forced: Option<usize>,
    /// Where the segment begins that was fetched again last. If it is to be found again, its media is not where the manifest says.
    pub again_at: Seconds,
    /// The pictures of muxed segments before this place are in the buffer already: of these the sound alone is wanted.
    pub sound_until: Seconds,
    /// Segments passed over in a row because no representation could give them.
    pub skipped: u32,
    /// Places that were left since a segment came.
    pub places: usize,
    /// The place that the last request went to, as [`Bases::current`](crate::manifest::Bases::current).
    pub place: usize,
    /// Live: it stands at the end of what the manifest tells of.
    pub starved: bool,
    /// Live: what is next was not to be had; it is asked for again then.
    pub blocked_until: Now,
    /// How often in a row that was so.
    pub blocked: u32,
    /// Since when it should have been there, where that is all that is wrong with it.
    pub late_since: Option<Now>,
    /// It was a hint, and the playlist tells what became of it.
    pub unkept: bool,
}

/// Initialization segments that are kept: a ladder of this many rungs needs none twice.
const INIT_CACHE: usize = 12;

impl Stream {
    /// Seconds from the start to the end of the media that waits.
    pub fn held_span(&self) -> Option<Seconds> {
        Some(self.held.last()?.piece.end - self.held.first()?.piece.start)
    }

    /// A part that was hinted at has turned out to be one of another segment, by number and part: it need not come twice.
    #[cfg(all(feature = "hls", feature = "live"))]
    pub fn rename(&mut self, then: (u64, u32), now: (u64, u32)) {
        let job = match &mut self.activity {
            Activity::Segment(job) => Some((&mut job.segment.number, &mut job.segment.part)),
            _ => None,
        };
        let fed = self.last_fed.as_mut().map(|fed| (&mut fed.number, &mut fed.part));
        for (number, part) in job.into_iter().chain(fed) {
            if (*number, *part) == (then.0, Some(then.1)) {
                (*number, *part) = (now.0, Some(now.1));
            }
        }
    }

    pub fn new(content: ContentType, set_id: String, period: usize, set: usize, cursor: Seconds) -> Self {
        Self {
            content,
            set_id,
            model: Model::default(),
            period,
            set,
            rep: None,
            cursor,
            sequential: false,
            activity: Activity::Idle,
            pipeline: None,
            last_fed: None,
            last_init: None,
            inits: Vec::new(),
            failed: Vec::new(),
            held: Vec::new(),
            asides: Vec::new(),
            buffers: Vec::new(),
            has_media: false,
            reason: None,
            forced: None,
            again_at: f64::NAN,
            sound_until: f64::NEG_INFINITY,
            skipped: 0,
            places: 0,
            place: 0,
            starved: false,
            blocked_until: f64::NEG_INFINITY,
            blocked: 0,
            late_since: None,
            unkept: false,
        }
    }

    /// The bytes of an initialization segment, if they are kept.
    pub fn cached_init(&self, init: &InitRef) -> Option<Rc<[u8]>> {
        self.inits.iter().find(|(r, _)| **r == *init).map(|(_, b)| b.clone())
    }

    /// Keeps an initialization segment.
    pub fn keep_init(&mut self, init: Rc<InitRef>, bytes: Rc<[u8]>) {
        if self.inits.len() >= INIT_CACHE {
            self.inits.remove(0);
        }
        self.inits.push((init, bytes));
    }

    /// Whether a representation is to be avoided at present.
    pub fn avoids(&self, key: RepKey, now: Now) -> bool {
        self.failed.iter().any(|(k, until)| *k == key && now < *until)
    }

    /// The job, while a segment is fetched.
    pub fn job(&self) -> Option<&Job> {
        match &self.activity {
            Activity::Segment(job) => Some(job),
            _ => None,
        }
    }

    /// Tickets of all that is under way.
    pub fn tickets(&self) -> Vec<Ticket> {
        match &self.activity {
            Activity::Index { ticket, .. } => vec![*ticket],
            Activity::Segment(job) => {
                let mut all = Vec::new();
                if !job.complete {
                    all.push(job.ticket);
                }
                all.extend(job.init.as_ref().map(|i| i.ticket));
                all
            }
            _ => Vec::new(),
        }
    }

    /// Drops what is held back of a segment.
    pub fn drop_held(&mut self, number: u64) {
        self.held.retain(|held| held.segment.number != number);
    }

    /// Moves the place where the next segment is wanted.
    pub fn move_to(&mut self, time: Seconds, sequential: bool) {
        self.cursor = time;
        self.sequential = sequential;
        self.activity = Activity::Idle;
        if !sequential {
            self.sound_until = f64::NEG_INFINITY;
            self.last_fed = None;
            self.held.clear();
            self.asides.clear();
            self.skipped = 0;
        }
    }
}
