//! What goes along with the media, told when it is heard rather than when it was fetched: timed metadata, captions, events, and of
//! radio stations titles and tags.

use super::io::*;
use super::session::{Ctx, Session};
use super::stream::HeldAside;
use crate::container::Metadata;
use crate::remux::Aside;
use crate::time::{Seconds, Timescale};
use std::collections::VecDeque;

/// Bytes of notes that are kept. Larger: memory, where a stream has more of them than are played.
const MAX_BYTES: usize = 4 << 20;
/// What a note counts besides its data: its parts and their allocations.
const NOTE_BYTES: usize = 200;
/// Scheme of the events by which segments tell that the MPD has changed (ISO/IEC 23009-1 §5.10.4).
const MPD_EVENT: &str = "urn:mpeg:dash:event:2012";
/// An element's clock and ours differ by less, in seconds.
const CLOSE: Seconds = 0.02;
/// Seconds by which more must lie behind before it is forgotten anew.
#[cfg(any(feature = "progressive", feature = "live"))]
const FORGET_EVERY: Seconds = 10.0;
/// Seconds behind the playhead for which an endless stream may be heard again.
#[cfg(feature = "progressive")]
const BEHIND: Seconds = 60.0;

/// Kinds of which stations say the same again and again.
const REPEATED: [&str; 3] = ["station", "icy", "comments"];

/// Times of one note that came twice differ by less, in seconds. Smaller than a picture: captions say the same twice in a row.
const SAME: Seconds = 0.005;

/// Notes of one load. They stay while there is room: the playhead may come to them again.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// In the order of their times.
    list: VecDeque<Entry>,
    bytes: usize,
    /// Where the playhead was put last: what lies before it is not told, unless it still lasts.
    from: Seconds,
    /// All before this time have been told, or are not to be.
    seen: Seconds,
    /// The longest of all events, in seconds.
    longest: Seconds,
    #[cfg(any(feature = "progressive", feature = "live"))]
    forgotten: Seconds,
    /// How many others notes were compared with.
    #[cfg(test)]
    compared: usize,
}

#[derive(Debug)]
struct Entry {
    note: Note,
    /// Until when it holds.
    until: Seconds,
    told: bool,
}

impl Entry {
    fn bytes(&self) -> usize {
        let values = self.note.values.iter().map(|(name, value)| name.len() + value.len());
        NOTE_BYTES + self.note.data.len() + values.sum::<usize>()
    }

    /// Whether another one tells the same.
    fn tells(&self, other: &Self) -> bool {
        let (a, b) = (&self.note, &other.note);
        if a.kind != b.kind || a.values != b.values {
            return false;
        }
        let near = (a.at - b.at).abs() < reach(a.kind);
        match a.kind {
            // Later segments tell of an event again, as long as it lasts.
            "emsg" => near || (a.at < other.until && b.at < self.until),
            _ => near && a.data == b.data,
        }
    }
}

/// Seconds by which the times of one note differ that came twice.
fn reach(kind: &str) -> Seconds {
    // Sections have no time of their own, but that of what comes before them, which each rendition has another of.
    if kind == "scte35" { 0.5 } else { SAME }
}

impl Notes {
    /// Nothing, before the playhead is at `from`.
    pub fn starting(from: Seconds) -> Self {
        Self { from, ..Self::default() }
    }

    /// Keeps a note until the playhead comes to it. One that is there already is dropped. It is also told where the playhead begins behind
    /// it, but before `until`.
    pub fn add(&mut self, note: Note, until: Seconds) {
        let entry = Entry { note, until, told: false };
        let (at, kind) = (entry.note.at, entry.note.kind);
        let place = self.before(at);
        // Said again and again.
        let known = if REPEATED.contains(&kind) {
            let last = self.list.range(..place).rev().find(|e| e.note.kind == kind);
            last.is_some_and(|last| last.note.values == entry.note.values)
        } else {
            // Captions come with every picture: only those are looked at that can be the same.
            let (back, ahead) = if kind == "emsg" { (self.longest, until.max(at)) } else { (0.0, at) };
            let near = self.before(at - back.max(reach(kind)))..self.before(ahead + reach(kind));
            #[cfg(test)]
            {
                self.compared += near.len();
            }
            self.list.range(near).any(|e| e.tells(&entry))
        };
        if known {
            return;
        }
        if kind == "emsg" {
            self.longest = self.longest.max(until - at);
        }
        self.seen = self.seen.min(at);
        self.bytes += entry.bytes();
        self.list.insert(place, entry);
        while self.bytes > MAX_BYTES
            && let Some(first) = self.list.pop_front()
        {
            self.bytes -= first.bytes();
        }
    }

    /// How many belong to a time or to one before it.
    fn before(&self, time: Seconds) -> usize {
        self.list.partition_point(|e| e.note.at <= time)
    }

    /// Whether a radio server has told of its station, or of what it plays.
    #[cfg(feature = "progressive")]
    pub fn of_radio(&self) -> bool {
        self.list.iter().any(|e| matches!(e.note.kind, "station" | "icy"))
    }

    /// Forgets what lies before a time, but for events that last, and the last of each kind that is said again and again.
    #[cfg(any(feature = "progressive", feature = "live"))]
    pub fn forget(&mut self, before: Seconds) {
        if before < self.forgotten + FORGET_EVERY {
            return;
        }
        self.forgotten = before;
        let last = |kind| self.list.iter().rposition(|e| e.note.kind == kind && e.note.at < before);
        let last = REPEATED.map(last);
        let mut i = 0..;
        self.list.retain(|e| {
            let lasts = e.note.kind == "emsg" && e.until > before;
            let keep = e.note.at >= before || last.contains(&i.next()) || lasts;
            if !keep {
                self.bytes -= e.bytes();
            }
            keep
        });
    }

    /// The playhead is put at another place, and comes anew to what follows.
    pub fn restart(&mut self, from: Seconds) {
        self.from = from;
        self.seen = f64::NEG_INFINITY;
        for entry in &mut self.list {
            entry.told &= entry.note.at < from - CLOSE;
        }
    }
}

#[cfg(feature = "progressive")]
pub(super) fn value<'a>(values: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = values.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
    found.map(|(_, v)| v.trim()).filter(|v| !v.is_empty())
}

/// What a demuxer found, as it is told.
fn aside(data: Metadata, at: Seconds) -> Note {
    let mut note = Note::new("", at);
    (note.kind, note.data) = match data {
        Metadata::Id3(data) => ("id3", data),
        Metadata::Scte35(data) => ("scte35", data),
        Metadata::Klv(data) => ("klv", data),
        Metadata::Captions(data) => ("captions", data),
        Metadata::Event(event) => {
            note.duration = event.duration.map(|ticks| Timescale::MPEG.seconds(ticks));
            let named = [
                ("scheme_id_uri", event.scheme_id_uri),
                ("value", event.value),
                ("id", event.id.to_string()),
            ];
            note.values.extend(named.map(|(name, value)| (name.to_owned(), value)));
            ("emsg", event.data)
        }
        #[cfg(feature = "progressive")]
        Metadata::Comments(values) => {
            let of = |name| value(&values, name);
            note.title = match (of("ARTIST"), of("TITLE")) {
                (Some(artist), Some(title)) => Some([artist, " - ", title].concat()),
                (artist, title) => title.or(artist).map(str::to_owned),
            };
            note.values = values;
            ("comments", Vec::new())
        }
        #[cfg(feature = "progressive")]
        Metadata::Script(values) => {
            note.values = values;
            ("script", Vec::new())
        }
        #[cfg(not(feature = "progressive"))]
        Metadata::Comments(_) | Metadata::Script(_) => ("", Vec::new()),
    };
    note
}

/// Tells how sound was mended that does not follow what came before it: see [`Aside::Sound`].
fn uneven_sound(ctx: &mut Ctx, from: Seconds, to: Seconds) {
    let reason = if from < to { Reason::SoundFilled } else { Reason::SoundDropped };
    ctx.event(Event::Gap { reason, from: from.min(to), to: from.max(to) });
}

impl Session {
    /// Takes what a demuxer found; `at` is where it belongs, `None`: it concerns all from `from` on.
    fn note_aside(&mut self, data: Metadata, at: Option<Seconds>, from: Seconds) {
        let note = aside(data, at.unwrap_or(from).max(0.0));
        let until = match note.kind {
            "emsg" => note.at + note.duration.unwrap_or(f64::INFINITY),
            "comments" => f64::INFINITY,
            _ if at.is_none() => f64::INFINITY,
            _ => note.at,
        };
        self.notes.add(note, until);
    }

    /// Takes what the demuxer of a plain stream found, for the place where it belongs.
    #[cfg(feature = "progressive")]
    pub fn note_asides(&mut self, ctx: &mut Ctx, i: usize, edge: Seconds) {
        let Some(linear) = &self.linear else { return };
        let offset = linear.offset();
        let Some((_, pipeline)) = &mut self.streams[i].pipeline else { return };
        for aside in pipeline.take_asides() {
            match (aside, offset) {
                (Aside::Data(at, data), _) => {
                    let at = at.zip(offset).map(|(at, offset)| at + offset);
                    self.note_aside(data, at, edge);
                }
                (Aside::Sound { from, to }, Some(offset)) => uneven_sound(ctx, from + offset, to + offset),
                _ => {}
            }
        }
    }

    /// Takes what the demuxer of a stream's segments found, as far as their timeline is tied to the presentation.
    pub fn note_held(&mut self, ctx: &mut Ctx, i: usize) {
        while let Some(held) = self.streams[i].asides.first() {
            let time = match held.aside {
                Aside::Data(at, _) => at,
                Aside::Sound { from, .. } => Some(from),
            };
            let Some(offset) = self.known_offset(i, held.period, &held.segment, time) else { return };
            let HeldAside { segment, aside, .. } = self.streams[i].asides.remove(0);
            match aside {
                // What belongs to no time comes at the start of its segment.
                Aside::Data(at, data) => {
                    if let Metadata::Event(event) = &data
                        && event.scheme_id_uri == MPD_EVENT
                    {
                        self.manifest_expires();
                    }
                    let at = at.map_or(segment.start, |at| at + offset);
                    self.note_aside(data, Some(at), segment.start);
                }
                Aside::Sound { from, to } => uneven_sound(ctx, from + offset, to + offset),
            }
        }
    }

    /// Takes the events that the manifest itself tells of.
    pub fn note_manifest_events(&mut self) {
        let events = self.presentation.periods.iter_mut().flat_map(|p| std::mem::take(&mut p.events));
        for event in events {
            let until = event.start + event.duration.unwrap_or(0.0);
            let named = [("scheme_id_uri", &*event.scheme), ("value", &*event.value), ("id", &event.id)];
            let values = named.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            let note =
                Note { duration: event.duration, values, data: event.data, ..Note::new("emsg", event.start) };
            self.notes.add(note, until);
        }
    }

    /// Tells what the playhead has come to.
    pub fn tell_notes(&mut self, ctx: &mut Ctx) {
        if !self.loaded {
            return;
        }
        let position = self.playhead.position(ctx.now);
        let (from, seen) = (self.notes.from, self.notes.seen);
        let first = self.notes.list.partition_point(|e| e.note.at < seen);
        let end = self.notes.before(position + CLOSE);
        self.notes.seen = seen.max(position + CLOSE);
        for entry in self.notes.list.range_mut(first.min(end)..end) {
            let passed = entry.note.at < from - CLOSE && entry.until <= position;
            if !passed && !std::mem::replace(&mut entry.told, true) {
                ctx.event(Event::Metadata(entry.note.clone()));
            }
        }
        // Other streams are asked for their media again when playback goes back, but the events of a manifest come once.
        #[cfg(feature = "progressive")]
        if self.linear.as_ref().is_some_and(|linear| linear.live()) {
            self.notes.forget(position - BEHIND);
        }
    }

    /// When the next is due.
    pub fn notes_deadline(&self, ctx: &Ctx) -> Now {
        let position = self.playhead.position(ctx.now);
        match self.notes.list.get(self.notes.before(position + CLOSE)) {
            Some(next) if self.loaded && self.playhead.moving() => {
                let rate = self.playhead.media().rate.max(0.1);
                ctx.now + ((next.note.at - position) / rate).max(CLOSE)
            }
            _ => f64::INFINITY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_notes_stays_within_its_bound() {
        let mut notes = Notes::default();
        for i in 0..30_000u32 {
            let data = vec![1; (i as usize * 7919) % 5000];
            notes.add(Note { data, ..Note::new("klv", f64::from(i * 7919 % 30_000)) }, 0.0);
        }
        let kept: usize = notes.list.iter().map(Entry::bytes).sum();
        assert!(kept == notes.bytes && kept <= MAX_BYTES && kept > MAX_BYTES / 2, "{kept}");
        assert!(notes.list.iter().map(|e| e.note.at).is_sorted());
        notes.add(Note { data: vec![0; 2 * MAX_BYTES], ..Note::new("id3", 0.0) }, 0.0);
        assert!(notes.bytes <= MAX_BYTES);
    }

    #[test]
    fn captions_of_an_hour_are_compared_with_their_neighbours_alone() {
        let mut notes = Notes::default();
        let captions = |i: u32| Note { data: vec![1, 2, 3], ..Note::new("captions", f64::from(i) / 25.0) };
        let event = |i: u32| Note {
            duration: Some(2.0),
            values: vec![("id".into(), i.to_string())],
            ..Note::new("emsg", f64::from(i))
        };
        const COUNT: u32 = 15_000;
        for i in 0..COUNT {
            notes.add(captions(i), f64::from(i) / 25.0);
            // Each again: of another rendition, and of the segment after.
            notes.add(captions(i), f64::from(i) / 25.0);
            if i.is_multiple_of(25) {
                notes.add(event(i / 25), f64::from(i / 25) + 2.0);
                notes.add(event(i / 25), f64::from(i / 25) + 2.0);
            }
        }
        assert_eq!(notes.list.len() as u32, COUNT + COUNT / 25);
        assert!(notes.compared < 12 * COUNT as usize, "{}", notes.compared);
    }

    #[test]
    #[cfg(any(feature = "progressive", feature = "live"))]
    fn what_lies_behind_a_window_is_forgotten_but_for_what_lasts() {
        let mut notes = Notes::default();
        for (kind, at, until) in
            [("captions", 1.0, 1.0), ("emsg", 2.0, 90.0), ("emsg", 3.0, 4.0), ("id3", 61.0, 61.0)]
        {
            notes.add(Note::new(kind, at), until);
        }
        notes.forget(60.0);
        let left: Vec<_> = notes.list.iter().map(|e| (e.note.kind, e.note.at)).collect();
        assert_eq!(left, [("emsg", 2.0), ("id3", 61.0)]);
        assert_eq!(notes.bytes, notes.list.iter().map(Entry::bytes).sum::<usize>());
    }

    #[test]
    fn titles_that_are_said_again_are_dropped_and_others_are_not() {
        let mut notes = Notes::default();
        for (at, title) in [(0.0, "a"), (1.0, "a"), (2.0, "b"), (3.0, "a"), (2.5, "b")] {
            let values = vec![("StreamTitle".to_owned(), title.to_owned())];
            notes.add(Note { values, ..Note::new("icy", at) }, f64::INFINITY);
        }
        assert_eq!(notes.list.iter().map(|e| e.note.at).collect::<Vec<_>>(), [0.0, 2.0, 3.0]);
    }

    #[test]
    #[cfg(feature = "progressive")]
    fn what_lies_behind_is_forgotten_but_for_the_last_title() {
        let mut notes = Notes::default();
        for (kind, at) in [("station", 0.0), ("icy", 0.0), ("id3", 5.0), ("icy", 10.0), ("icy", 70.0)] {
            notes.add(
                Note { data: vec![1], values: vec![("at".into(), at.to_string())], ..Note::new(kind, at) },
                at,
            );
        }
        notes.forget(60.0);
        let left: Vec<_> = notes.list.iter().map(|e| (e.note.kind, e.note.at)).collect();
        assert_eq!(left, [("station", 0.0), ("icy", 10.0), ("icy", 70.0)]);
        assert_eq!(notes.bytes, notes.list.iter().map(Entry::bytes).sum::<usize>());
    }
}
