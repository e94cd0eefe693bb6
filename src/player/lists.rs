//! Media playlists that are read again, for as long as a stream uses them (RFC 8216bis §6.3.4).

use super::io::*;
use super::requests::Ticket;
use super::session::{Ctx, Session, StartAt};
use super::stream::RepKey;
use crate::error::{Code, PlayerError};
use crate::manifest::hls::{MediaPlaylist, Reload};
use crate::manifest::{ListIndex, Live, PresentationType, Protocol, SegmentIndex};
use crate::time::Seconds;

/// Seconds for which a playlist that cannot be had is left alone, while others can stand in.
const AVOID_FOR: f64 = 30.0;
/// Readings in a row that fail before another representation is tried.
const PATIENCE: u32 = 3;
/// The share by which the edge follows a playlist that comes late. Larger: a late playlist is taken for a new pace sooner.
const LATENESS: f64 = 0.05;

/// One media playlist that may grow.
struct List {
    key: RepKey,
    reload: Reload,
    ticket: Option<Ticket>,
    body: Vec<u8>,
    /// Where it comes from, after redirects.
    url: String,
    read_at: Now,
    /// When its times were guessed: as it came in, or after a break.
    placed_at: Now,
    /// Media has shown that it lies there.
    proven: bool,
    /// It did not: neither numbers nor dates are those of others.
    moved: bool,
    failures: u32,
    /// It was told that it moves no more.
    told_stale: bool,
    /// What it had, where it was left for the same stream from another place.
    left: Option<ListIndex>,
}

/// All that were read in this load.
#[derive(Default)]
pub(super) struct Lists {
    all: Vec<List>,
    /// End of the main playlist less the time at which it was read: where the edge is at any moment. A playlist that comes late moves it
    /// little, one that comes early at once.
    lead: Option<f64>,
}

impl Lists {
    pub fn holds(&self, ticket: Ticket) -> bool {
        self.all.iter().any(|l| l.ticket == Some(ticket))
    }

    fn by_ticket(&mut self, ticket: Ticket) -> Option<&mut List> {
        self.all.iter_mut().find(|l| l.ticket == Some(ticket))
    }

    pub fn head(&mut self, ticket: Ticket, url: &str) {
        if let Some(list) = self.by_ticket(ticket) {
            url.clone_into(&mut list.url);
            list.reload.redirected(url);
        }
    }

    pub fn bytes(&mut self, ticket: Ticket, data: &[u8]) {
        if let Some(list) = self.by_ticket(ticket) {
            list.body.extend_from_slice(data);
        }
    }

    pub fn again(&mut self, ticket: Ticket) {
        if let Some(list) = self.by_ticket(ticket) {
            list.body.clear();
        }
    }

    fn of(&self, key: RepKey) -> Option<&List> {
        self.all.iter().find(|l| l.key == key)
    }

    /// The end of a playlist was at `end` at the time `now`.
    fn saw_end(&mut self, end: Seconds, now: Now, target: Seconds) {
        let seen = end - now;
        self.lead = Some(match self.lead {
            // Later than that is no delay: the server has stood still.
            Some(lead) if seen < lead && seen > lead - 2.0 * target => lead + (seen - lead) * LATENESS,
            _ => seen,
        });
    }
}

impl Session {
    fn lists(&self) -> Option<&Lists> {
        self.live.as_ref().map(|l| &l.refresh.lists)
    }

    fn lists_mut(&mut self) -> Option<&mut Lists> {
        self.live.as_mut().map(|l| &mut l.refresh.lists)
    }

    /// The playlist of the main stream.
    fn main_list(&self) -> Option<&List> {
        let lists = self.lists()?;
        let main =
            self.streams.first().and_then(|s| Some(RepKey { period: s.period, set: s.set, rep: s.rep? }));
        main.and_then(|key| lists.of(key)).or_else(|| lists.all.first())
    }

    fn list_index(&self, key: RepKey) -> Option<&ListIndex> {
        match &self.set(key.period, key.set)?.representations.get(key.rep)?.index {
            SegmentIndex::List(list) => Some(list),
            _ => None,
        }
    }

    /// A playlist was read for the first time, from `url` where `asked_for` has led: from now on it is followed, unless nothing is live.
    /// One that is complete is put on the timeline of the others, too.
    pub fn follow_list(
        &mut self,
        ctx: &mut Ctx,
        key: RepKey,
        asked_for: &str,
        url: &str,
        playlist: MediaPlaylist,
    ) {
        let complete = playlist.is_complete();
        let main = self.streams.first().and_then(|s| self.set(s.period, s.set));
        // Where one of the main stream is complete, EXT-X-ENDLIST was left out of this one.
        let over = main.into_iter().flat_map(|set| &set.representations);
        let over = complete || over.into_iter().any(|r| matches!(r.index, SegmentIndex::List(_)));
        if over && self.live.is_none() {
            if let Some(place) = self.index_mut(key) {
                *place = SegmentIndex::List(playlist.index);
            }
            return;
        }
        let mut reload = Reload::new(asked_for, &playlist, ctx.now);
        reload.redirected(url);
        let mut index = playlist.index;
        if self.presentation.live.is_none() {
            self.presentation.live = Some(Box::new(Live::default()));
        }
        let undecided = self.live.is_none() && !self.streams.iter().any(|s| s.has_media || s.job().is_some());
        if !complete {
            self.presentation.kind = PresentationType::Dynamic;
        }
        self.begin_live(ctx);
        if undecided && (self.wanted_start.is_none_or(|at| at < 0.0)) {
            self.start = StartAt::Edge;
        }
        let before = self.lists().and_then(|lists| lists.of(key)).and_then(|l| Some((l, l.left.as_ref()?)));
        let other = || self.latest_but(key).and_then(|l| Some((l, self.list_index(l.key)?)));
        let beside = before.or_else(other);
        let proven = beside.is_none();
        if let Some((list, its)) = beside {
            reload.align(&mut index, &list.reload, its);
        }
        let index = SegmentIndex::List(index);
        let end = index.end();
        if let Some(place) = self.index_mut(key) {
            *place = index;
        }
        if let Some(live) = &mut self.presentation.live {
            live.low_latency |= reload.is_low_latency();
            live.epoch = live.epoch.or_else(|| reload.date_at(0.0));
        }
        let target = reload.target_duration();
        let Some(lists) = self.lists_mut() else { return };
        lists.all.retain(|l| l.key != key);
        let first = lists.all.is_empty();
        lists.all.push(List {
            key,
            reload,
            ticket: None,
            body: Vec::new(),
            url: url.to_owned(),
            read_at: ctx.now,
            placed_at: ctx.now,
            proven,
            moved: false,
            failures: 0,
            told_stale: false,
            left: None,
        });
        if first && let Some(end) = end {
            lists.saw_end(end, ctx.now, target);
        }
        self.end_as_told(ctx, key);
    }

    /// A complete playlist of the main stream tells that nothing will be added.
    fn end_as_told(&mut self, ctx: &mut Ctx, key: RepKey) {
        let of_main = self.streams.first().is_some_and(|s| (s.period, s.set) == (key.period, key.set));
        if of_main && self.list_is_open(key) == Some(false) {
            self.presentation.kind = PresentationType::Static;
            self.presentation_ended(ctx);
        }
    }

    /// The streams of a place are left for another one that has the same: what their playlists had tells where those of the other lie.
    pub fn keep_lists(&mut self, current: usize, count: usize) {
        let Self { live, presentation, .. } = self;
        for list in live.iter_mut().flat_map(|live| &mut live.refresh.lists.all) {
            let set = presentation.periods.get(list.key.period).and_then(|p| p.sets.get(list.key.set));
            let rep = set.and_then(|s| s.representations.get(list.key.rep));
            if let Some(rep) = rep.filter(|r| r.bases.current == current && r.bases.all.len() == count)
                && let SegmentIndex::List(index) = &rep.index
            {
                list.left = Some(index.clone());
            }
        }
    }

    fn list_and_index(&mut self, key: RepKey) -> Option<(&mut List, &mut ListIndex)> {
        let Self { live, presentation, .. } = self;
        let list = live.as_mut()?.refresh.lists.all.iter_mut().find(|l| l.key == key)?;
        let set = presentation.periods.get_mut(key.period)?.sets.get_mut(key.set)?;
        match &mut set.representations.get_mut(key.rep)?.index {
            SegmentIndex::List(index) => Some((list, index)),
            _ => None,
        }
    }

    /// All playlists lie on the timeline of the one that was read last of the others with which they have something in common.
    fn latest_but(&self, key: RepKey) -> Option<&List> {
        let others = self.lists()?.all.iter().filter(|l| l.key != key);
        let rank = |l: &List| (!l.moved, l.read_at);
        others.reduce(|a, b| if rank(b) > rank(a) { b } else { a })
    }

    fn index_mut(&mut self, key: RepKey) -> Option<&mut SegmentIndex> {
        let set = self.presentation.periods.get_mut(key.period)?.sets.get_mut(key.set)?;
        Some(&mut set.representations.get_mut(key.rep)?.index)
    }

    /// Whether a stream plays from this playlist.
    fn is_in_use(&self, key: RepKey) -> bool {
        self.streams.iter().any(|s| (s.period, s.set, s.rep) == (key.period, key.set, Some(key.rep)))
    }

    /// Whether a playlist is too old to go on with: it was left when another quality was chosen.
    pub fn is_outdated(&self, ctx: &Ctx, key: RepKey) -> bool {
        let Some(list) = self.lists().and_then(|lists| lists.of(key)) else { return false };
        if list.reload.complete() || self.is_in_use(key) {
            return false;
        }
        let fresh = list.reload.part_target().unwrap_or(list.reload.target_duration() / 2.0);
        ctx.now > list.read_at + fresh
    }

    /// Reads a playlist that a stream waits for now, unless that is under way. After a failure it is left alone for as long as one that is
    /// in use.
    pub fn hurry_list(&mut self, ctx: &mut Ctx, i: usize, key: RepKey) {
        /// Seconds after which is looked again: what others have read may let this one be tried at once.
        const LOOK: f64 = 1.0;
        let Some(lists) = self.lists() else { return };
        let Some(at) = lists.all.iter().position(|l| l.key == key && l.ticket.is_none()) else { return };
        let list = &lists.all[at];
        let due = list.reload.due();
        if list.failures > 0 && ctx.now < due {
            self.streams[i].blocked_until = due.min(ctx.now + LOOK);
        } else {
            self.request_list(ctx, at);
        }
    }

    /// Reads all that are in use soon: something is not as they say.
    pub fn hurry_lists(&mut self) {
        for list in self.lists_mut().map(|lists| &mut lists.all).into_iter().flatten() {
            list.reload.hurry();
        }
    }

    /// Reads what is due.
    pub fn step_lists(&mut self, ctx: &mut Ctx) {
        for at in 0..self.lists().map_or(0, |lists| lists.all.len()) {
            let Some(list) = self.lists().and_then(|lists| lists.all.get(at)) else { return };
            let due = list.ticket.is_none() && ctx.now >= list.reload.due();
            if due && self.is_in_use(list.key) {
                self.request_list(ctx, at);
            }
        }
        self.tell_stale(ctx);
    }

    pub fn lists_due(&self, _: &Ctx) -> Now {
        let idle = self.lists().into_iter().flat_map(|lists| &lists.all);
        let due = idle.filter(|l| l.ticket.is_none() && self.is_in_use(l.key)).map(|l| l.reload.due());
        due.fold(f64::INFINITY, f64::min)
    }

    fn request_list(&mut self, ctx: &mut Ctx, at: usize) {
        let key = self.lists().and_then(|lists| lists.all.get(at)).map(|l| l.key);
        let Some(key) = key else { return };
        // What another rendition's playlist says of this one.
        let report = self.main_list().filter(|main| main.key != key).and_then(|main| {
            let url = self.lists()?.of(key)?.reload.url();
            main.reload.report_for(&main.url, url)
        });
        let Some(list) = self.live.as_mut().and_then(|live| live.refresh.lists.all.get_mut(at)) else {
            return;
        };
        let request = list.reload.request_after(ctx.now, report);
        let patience = request.blocks.then(|| list.reload.blocked_timeout());
        let ticket = self.requests.send(ctx.now, FetchKind::Playlist, request.url, None, ctx.out);
        if let Some(patience) = patience {
            self.requests.wait_once(ticket, patience);
        }
        list.reload.begun(ctx.now);
        list.body.clear();
        list.ticket = Some(ticket);
    }

    /// A playlist has come.
    pub fn list_read(&mut self, ctx: &mut Ctx, ticket: Ticket) {
        let Some(list) = self.lists_mut().and_then(|lists| lists.by_ticket(ticket)) else { return };
        list.ticket = None;
        let (key, body, url) = (list.key, std::mem::take(&mut list.body), list.url.clone());
        let variables = self.variables.clone();
        let Some((list, index)) = self.list_and_index(key) else { return };
        let read = list.reload.read(index, &body, &url, &variables);
        if let Err(error) = read.and_then(|new| self.update_list(ctx, key, new)) {
            let error = if error.url.is_some() { error } else { error.with_url(&url) };
            self.list_trouble(ctx, key, error);
        }
    }

    fn update_list(&mut self, ctx: &mut Ctx, key: RepKey, new: MediaPlaylist) -> Result<(), PlayerError> {
        let main = self.main_list().map(|l| l.key) == Some(key);
        let Some((list, index)) = self.list_and_index(key) else { return Ok(()) };
        let change = list.reload.update(index, new, ctx.now)?;
        let before = std::mem::replace(&mut list.read_at, ctx.now);
        if change.restarted {
            list.placed_at = ctx.now;
        }
        let failed = std::mem::take(&mut list.failures) > 0;
        if change.grew {
            list.told_stale = false;
        }
        let target = list.reload.target_duration();
        let moved = list.moved;
        // After a sleep the first that is read guesses how long it was; the others follow it.
        let followed = self.latest_but(key).is_some_and(|other| other.placed_at > before);
        if !self.is_in_use(key) && (!moved || change.restarted) || change.restarted && followed {
            self.realign(key);
        }
        let end = self.set(key.period, key.set).and_then(|s| s.representations.get(key.rep)?.index.end());
        if main
            && change.grew
            && let Some(end) = end
            && let Some(lists) = self.lists_mut()
        {
            lists.saw_end(end, ctx.now, target);
        }
        for stream in &mut self.streams {
            stream.starved = false;
            if change.grew && std::mem::take(&mut stream.unkept) {
                stream.blocked_until = ctx.now;
            }
            if (stream.period, stream.set, stream.rep) == (key.period, key.set, Some(key.rep))
                && let Some((then, now)) = change.renamed
            {
                stream.rename(then, now);
            }
        }
        if failed {
            self.lists_mut().into_iter().flat_map(|lists| &mut lists.all).for_each(|l| l.reload.try_again());
        }
        self.end_as_told(ctx, key);
        Ok(())
    }

    /// What was not read for a while lies where those are that were: what was missed is only guessed at.
    fn realign(&mut self, key: RepKey) {
        let Some(other) = self.latest_but(key) else { return };
        let (reload, Some(its)) = (other.reload.clone(), self.list_index(other.key).cloned()) else { return };
        if let Some((list, index)) = self.list_and_index(key) {
            list.reload.align(index, &reload, &its);
            list.proven = false;
        }
    }

    /// A playlist cannot be had.
    pub fn list_failed(&mut self, ctx: &mut Ctx, ticket: Ticket, error: PlayerError) {
        let Some(list) = self.lists_mut().and_then(|lists| lists.by_ticket(ticket)) else { return };
        list.ticket = None;
        let key = list.key;
        self.list_trouble(ctx, key, error);
    }

    /// A reading brought nothing: another one follows, and another representation stands in where there is one.
    fn list_trouble(&mut self, ctx: &mut Ctx, key: RepKey, error: PlayerError) {
        let in_use = self.is_in_use(key);
        let Some(list) = self.lists_mut().and_then(|lists| lists.all.iter_mut().find(|l| l.key == key))
        else {
            return;
        };
        list.reload.failed(ctx.now);
        list.failures += 1;
        let failures = list.failures;
        let told = error.clone();
        if failures == 1 {
            ctx.event(Event::Error(error.recoverable()));
        }
        if in_use && failures < PATIENCE {
            return;
        }
        let user = self.streams.iter().position(|s| {
            (s.period, s.set) == (key.period, key.set) && s.rep.is_none_or(|rep| rep == key.rep)
        });
        if let Some(i) = user
            && self.switch_place(ctx, i, key, &told)
        {
            return;
        }
        let (now, others) =
            (ctx.now, self.set(key.period, key.set).map_or(0, |s| s.representations.len()) > 1);
        for stream in self.streams.iter_mut().filter(|s| others && (s.period, s.set) == (key.period, key.set))
        {
            stream.failed.push((key, now + AVOID_FOR));
            stream.reason = Some(Reason::Failure);
        }
    }

    /// A playlist that does not move any more, though it is not complete: the user is told.
    fn tell_stale(&mut self, ctx: &mut Ctx) {
        /// Target durations without anything new.
        const STALE: f64 = 3.0;
        let now = ctx.now;
        let Some(key) = self.main_list().map(|l| l.key) else { return };
        let Some(list) = self.lists_mut().and_then(|lists| lists.all.iter_mut().find(|l| l.key == key))
        else {
            return;
        };
        let stale = list.reload.stale_for(now) > STALE * list.reload.target_duration().max(1.0);
        if !stale || list.told_stale || list.reload.complete() {
            return;
        }
        list.told_stale = true;
        let url = list.url.clone();
        let error =
            PlayerError::new(Code::ManifestStale, "the playlist has told of nothing new for too long");
        ctx.event(Event::Error(error.recoverable().with_url(&url)));
    }

    /// Whether segments may still come; `None`: it has no playlist that is followed.
    pub fn list_is_open(&self, key: RepKey) -> Option<bool> {
        Some(!self.lists()?.of(key)?.reload.complete())
    }

    /// The end of what can be had: it moves on with the clock, as the segments do that are being made.
    pub fn list_edge(&self, now: Now) -> Option<Seconds> {
        let lists = self.lists()?;
        let end = self.list_window(now)?.1;
        let most = self.main_list().map_or(0.0, |l| l.reload.target_duration());
        Some((now + lists.lead?).max(end).min(end + most))
    }

    pub fn list_window(&self, _: Now) -> Option<(Seconds, Seconds)> {
        let key = self.main_list()?.key;
        let index = &self.set(key.period, key.set)?.representations.get(key.rep)?.index;
        Some((index.span(0)?.0, index.end()?))
    }

    /// Seconds from the end of the playlist within which playback is not to begin.
    pub fn list_hold_back(&self) -> Option<Seconds> {
        let reload = &self.main_list()?.reload;
        let parts = reload.part_hold_back().filter(|_| reload.is_low_latency());
        Some(parts.unwrap_or_else(|| reload.hold_back()))
    }

    pub fn list_low_latency(&self) -> bool {
        self.main_list().is_some_and(|l| l.reload.is_low_latency())
    }

    pub fn list_time_at(&self, date: f64) -> Option<Seconds> {
        self.main_list()?.reload.time_at(date)
    }

    pub fn list_date_at(&self, time: Seconds) -> Option<f64> {
        self.main_list()?.reload.date_at(time)
    }

    /// The same of a playlist that was put beside another one, and whose media has not come before: by more than half a segment, all of it
    /// lies elsewhere, and what was wanted is another segment. Neither numbers nor dates of two playlists need have anything in common.
    pub fn is_misplaced(&mut self, key: RepKey, segment: Seconds, drift: Seconds) -> bool {
        let Some((list, index)) = self.list_and_index(key) else { return false };
        // By more than its length it is another timeline.
        let length = index.segments.iter().map(|s| s.duration).sum::<Seconds>();
        let unproven = !std::mem::replace(&mut list.proven, true);
        let misplaced = unproven && drift.abs() > segment / 2.0 && drift.abs() < length;
        if misplaced {
            list.moved = true;
            list.reload.move_by(index, drift);
        }
        misplaced
    }

    /// The media of a segment began `drift` seconds later than its playlist says: what follows does so, too. Durations in playlists are
    /// rounded, and over days that adds up.
    pub fn retime_list(&mut self, key: RepKey, number: u64, drift: Seconds) {
        /// Less is no drift but another frame.
        const WORTHWHILE: Seconds = 0.02;
        /// More is no drift but another timeline.
        const MOST: Seconds = 2.0;
        if self.presentation.protocol != Protocol::Hls || !(WORTHWHILE..MOST).contains(&drift.abs()) {
            return;
        }
        if let Some((list, index)) = self.list_and_index(key) {
            list.reload.retime(index, number, drift);
        }
    }
}
