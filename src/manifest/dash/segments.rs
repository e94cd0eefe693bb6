//! Where the segments of a Representation are: SegmentTemplate, SegmentList, SegmentBase (ISO/IEC 23009-1 §5.3.9).

use super::datatypes::{byte_range, double, whole};
use super::de::{self, View};
use super::timeline::{self, MAX_SEGMENTS, Timeline};
use super::xml::Document;
use crate::bytes::place_of;
use crate::manifest::index::truncate;
use crate::manifest::url::{fill_representation, fill_template, resolve};
use crate::manifest::{
    Availability, BaseUrl, ByteRange, IndexKind, IndexSource, InitRef, ListIndex, ListSegment, SegmentIndex,
    TemplateIndex, TimelineRun,
};
use crate::time::{Seconds, Ticks, Timescale};
use std::rc::Rc;

/// Durations in an MPD are rounded, often to milliseconds: a last segment shorter than this is no segment.
const SLIVER: Seconds = 0.002;

/// Why a Representation cannot be used.
#[derive(Debug)]
pub(super) enum Unusable {
    /// It breaks the rules.
    Malformed(&'static str),
    /// It uses something that this version lacks.
    Unsupported(&'static str),
    /// It has no segments, at present at least.
    Empty(&'static str),
}

/// What a Representation inherits and what its templates need.
#[derive(Clone, Copy)]
pub(super) struct Context<'c> {
    /// Representation, AdaptationSet, Period.
    pub levels: [usize; 3],
    pub id: &'c str,
    pub bandwidth: u64,
    /// The place that is tried first.
    pub base: &'c BaseUrl,
    /// Whether any level has a BaseURL.
    pub has_base: bool,
    pub mime_type: &'c str,
    /// On the presentation's timeline.
    pub period_start: Seconds,
    /// On the presentation's timeline; `None`: open or unknown.
    pub period_end: Option<Seconds>,
    /// Segments become available by the clock, and the period may be open.
    pub dynamic: bool,
}

/// The runs of a timeline after cutting, shared by the representations that inherit it.
#[derive(Debug)]
pub(super) struct Shared {
    timeline: u32,
    from: Ticks,
    to: Option<Ticks>,
    runs: Rc<Vec<TimelineRun>>,
    /// Segments before the first that is left.
    dropped: u64,
}

/// Finds the segments of a Representation.
pub(super) fn index(
    document: &mut Document<'_>,
    context: &Context<'_>,
    shared: &mut Option<Shared>,
    warnings: &mut Vec<String>,
) -> Result<SegmentIndex, Unusable> {
    const KINDS: [&str; 3] = ["SegmentTemplate", "SegmentList", "SegmentBase"];
    let kind =
        context.levels.iter().find_map(|&l| KINDS.into_iter().find(|k| document.child(l, k).is_some()));
    let levels =
        kind.map_or(Vec::new(), |k| context.levels.iter().filter_map(|&l| document.child(l, k)).collect());
    let view = View { levels };
    match kind {
        Some("SegmentTemplate") => template(document, &view, context, shared, warnings),
        Some("SegmentList") => list(document, &view, context, warnings),
        Some(_) => base(document, &view, context, warnings),
        None if !context.has_base => Err(Unusable::Malformed("it names no segments")),
        None if context.mime_type.starts_with("text/")
            || context.mime_type.starts_with("image/")
            || context.mime_type == "application/ttml+xml" =>
        {
            single_file(context)
        }
        None => Ok(SegmentIndex::Pending(pending(context, None, None, context.period_start))),
    }
}

/// `@timescale`, 1 by default (§5.3.9.2.2).
fn timescale(value: Option<u64>) -> Result<Timescale, Unusable> {
    let value = u32::try_from(value.unwrap_or(1)).ok();
    value.and_then(Timescale::new).ok_or(Unusable::Malformed("its @timescale is 0 or too large"))
}

fn ticks(value: Option<u64>) -> Result<Ticks, Unusable> {
    Ticks::try_from(value.unwrap_or(0))
        .map_err(|_| Unusable::Malformed("its @presentationTimeOffset is too large"))
}

/// A `@duration`. The specification has whole ticks; fractions are seen in practice and want a finer clock.
fn whole_ticks(duration: f64, timescale: &mut Timescale, offset: &mut Ticks) -> Result<f64, Unusable> {
    if duration.is_nan() || duration <= 0.0 {
        return Err(Unusable::Malformed("its @duration is not positive"));
    }
    if duration.fract() != 0.0
        && let Some(finer) = timescale.get().checked_mul(1000).and_then(Timescale::new)
        && let Some(finer_offset) = offset.checked_mul(1000)
    {
        (*timescale, *offset) = (finer, finer_offset);
        return Ok((duration * 1000.0).round());
    }
    Ok(duration.round().max(1.0))
}

fn init_ref(
    init: Option<dash_mpd::Initialization>,
    context: &Context<'_>,
    warnings: &mut Vec<String>,
) -> Option<Rc<InitRef>> {
    let init = init?;
    let range = range(init.range.as_deref(), warnings);
    let url = init.sourceURL.map_or_else(|| context.base.url.clone(), |u| resolve(&context.base.url, &u));
    Some(Rc::new(InitRef { url, range }))
}

fn range(text: Option<&str>, warnings: &mut Vec<String>) -> Option<ByteRange> {
    let text = text?;
    let range = byte_range(text);
    if range.is_none() {
        warnings.push("A byte range that is none was left out.".into());
    }
    range
}

/// SegmentTemplate (§5.3.9.4).
fn template(
    document: &mut Document<'_>,
    view: &View,
    context: &Context<'_>,
    shared: &mut Option<Shared>,
    warnings: &mut Vec<String>,
) -> Result<SegmentIndex, Unusable> {
    let template: dash_mpd::SegmentTemplate = de::read(document, view, warnings)
        .ok_or(Unusable::Malformed("its SegmentTemplate cannot be read"))?;
    let Some(media) = &template.media else {
        return Err(Unusable::Malformed("its SegmentTemplate has no @media"));
    };
    if place_of(media, "$SubNumber").is_some() {
        return Err(Unusable::Unsupported("it uses $SubNumber$"));
    }
    let fill = |text: &str| fill_representation(text, context.id, context.bandwidth);
    let init = match &template.initialization {
        Some(text) => Some(Rc::new(InitRef {
            url: resolve(&context.base.url, &fill_template(&fill(text), 0, 0)),
            range: None,
        })),
        None => init_ref(template.Initialization.clone(), context, warnings),
    };
    let complete = template.availabilityTimeComplete.or(context.base.complete);
    let mut rule = context.dynamic.then(|| Availability {
        offset: finite(template.availabilityTimeOffset.unwrap_or(0.0)) + context.base.offset,
        complete: complete.unwrap_or(true),
        period_start: context.period_start,
        period_end: context.period_end,
        listed: false,
    });
    let mut timescale = timescale(template.timescale)?;
    let mut offset = ticks(template.presentationTimeOffset)?;
    let mut start_number = template.startNumber.unwrap_or(1);
    let mut runs: Rc<Vec<TimelineRun>>;
    let mut carried_on = None;
    if let Some(at) = timeline_of(document, view) {
        let timeline = &document.timelines[at as usize];
        start_number = timeline.first_number.unwrap_or(start_number);
        let cut = cut_shared(at, timeline, shared, timescale, offset, context, warnings);
        start_number = start_number.saturating_add(cut.1);
        runs = cut.0;
        if let Some(rule) = &mut rule {
            rule.listed = !timeline.open;
            // Only `$Time$` names the segments, and @startNumber stays the same while the window moves on: numbers that need not
            // go below 0 when a later MPD begins earlier.
            if let (false, Some(first)) = (place_of(media, "$Number").is_some(), runs.first()) {
                carried_on = Some(u64::try_from(first.time / first.duration).unwrap_or(0));
            }
        }
    } else {
        let duration = template.duration.map(|d| whole_ticks(d, &mut timescale, &mut offset)).transpose()?;
        let early = template.eptDelta.unwrap_or(0);
        runs = Rc::new(by_duration(duration, timescale, offset.saturating_add(early), early, context)?);
    }
    if let Some(end) = template.endNumber {
        truncate(&mut runs, end.saturating_add(1).saturating_sub(start_number));
    }
    if runs.is_empty() && !context.dynamic {
        return Err(Unusable::Empty("none of its segments lies within its period"));
    }
    let total = runs.last().map_or(0, |r| r.first.saturating_add(r.count));
    // Of a dynamic MPD, what is listed depends on the clock; until it is known, what a timeline lists is believed.
    let listed = if rule.is_none_or(|r| r.listed) { total } else { 0 };
    Ok(SegmentIndex::Template(TemplateIndex {
        base: context.base.url.clone(),
        media: fill(media),
        init,
        timescale,
        start_number: carried_on.unwrap_or(start_number),
        runs,
        timestamp_offset: context.period_start - timescale.seconds(offset),
        rule,
        skip: 0,
        listed,
        whole: listed,
    }))
}

/// The lowest level's SegmentTimeline.
fn timeline_of(document: &Document<'_>, view: &View) -> Option<u32> {
    let child = view.levels.iter().find_map(|&l| document.child(l, "SegmentTimeline"))?;
    document.elements[child].timeline
}

/// `@availabilityTimeOffset`, which may be infinite, as a number that can be added and taken away again.
pub(super) fn finite(offset: Seconds) -> Seconds {
    offset.clamp(-1e9, 1e9)
}

/// The part of a timeline that lies in the period; computed once for representations that share it.
fn cut_shared(
    at: u32,
    timeline: &Timeline,
    shared: &mut Option<Shared>,
    timescale: Timescale,
    offset: Ticks,
    context: &Context<'_>,
    warnings: &mut Vec<String>,
) -> (Rc<Vec<TimelineRun>>, u64) {
    let sliver = timescale.ticks(SLIVER);
    let from = offset;
    let to = context.period_end.map(|e| offset.saturating_add(timescale.ticks(e - context.period_start)));
    if let Some(s) = shared
        && (s.timeline, s.from, s.to) == (at, from, to)
    {
        return (s.runs.clone(), s.dropped);
    }
    if timeline.open && to.is_none() && !context.dynamic {
        warnings.push("SegmentTimeline: @r=\"-1\" in a period without an end; taken for one segment.".into());
    }
    // The segments of an open end become available one after the other as the clock goes on.
    let to = to.or((timeline.open && context.dynamic).then_some(Ticks::MAX));
    let (runs, dropped) = cut(timeline, from.saturating_add(sliver), to.map(|t| t.saturating_sub(sliver)));
    let runs = Rc::new(runs);
    let to = context.period_end.and(to);
    *shared = Some(Shared { timeline: at, from, to, runs: runs.clone(), dropped });
    (runs, dropped)
}

/// Segments that end after `from` and start before `to`, and how many there are before them. An open end is filled.
fn cut(timeline: &Timeline, from: Ticks, to: Option<Ticks>) -> (Vec<TimelineRun>, u64) {
    let mut out: Vec<TimelineRun> = Vec::with_capacity(timeline.runs.len());
    let (mut dropped, mut kept) = (0u64, 0u64);
    for (i, run) in timeline.runs.iter().enumerate() {
        let mut run = *run;
        let is_open = timeline.open && i + 1 == timeline.runs.len();
        if let Some(to) = to {
            if run.time >= to {
                break;
            }
            if is_open || timeline::end_of(&run) > to {
                let until = timeline::segments_until(&run, to);
                run.count = if is_open { until } else { run.count.min(until) };
            }
        }
        if run.time < from {
            // Segments that end at or before `from`.
            let before = ((from.saturating_sub(run.time) / run.duration) as u64).min(run.count);
            dropped = dropped.saturating_add(before);
            run.count -= before;
            run.time = run.time.saturating_add(run.duration.saturating_mul(before as Ticks));
        }
        if run.count > 0 {
            run.first = kept;
            kept = kept.saturating_add(run.count);
            out.push(run);
        }
    }
    (out, dropped)
}

/// Segments of equal `@duration` (§5.3.9.5.3), the last one shorter. Those of an open period go on without an end.
fn by_duration(
    duration: Option<f64>,
    timescale: Timescale,
    start: Ticks,
    early: i64,
    context: &Context<'_>,
) -> Result<Vec<TimelineRun>, Unusable> {
    const NO_END: Unusable =
        Unusable::Malformed("it has a @duration, but nothing tells how long its period is");
    let rate = f64::from(timescale.get());
    let total = context.period_end.map(|end| (end - context.period_start) * rate - early as f64);
    let Some(duration) = duration else {
        // Neither @duration nor a timeline: one segment is the whole period.
        let ticks = total.map(|t| t.round() as Ticks).filter(|t| *t > 0).ok_or(NO_END)?;
        return Ok(vec![TimelineRun { time: start, duration: ticks, count: 1, first: 0, gaps: 0 }]);
    };
    let each = duration as Ticks;
    let most = Ticks::MAX.saturating_sub(start.max(0)) / each.max(1);
    let endless = TimelineRun { time: start, duration: each, count: most.unsigned_abs(), first: 0, gaps: 0 };
    let Some(total) = total else {
        return if context.dynamic { Ok(vec![endless]) } else { Err(NO_END) };
    };
    let sliver = (SLIVER * rate).min(duration / 2.0);
    let count = ((total - sliver) / duration).ceil().max(0.0) as u64;
    let Some(full) = count.checked_sub(1) else { return Ok(Vec::new()) };
    if full >= MAX_SEGMENTS {
        // The caller counts and refuses what is on demand. Of a live period as long as this the last segment does not matter.
        return Ok(vec![TimelineRun { count: count.min(endless.count), ..endless }]);
    }
    let last = (total - full as f64 * duration).round().min(duration).max(1.0) as Ticks;
    let mut runs = Vec::with_capacity(2);
    if full > 0 {
        runs.push(TimelineRun { count: full, ..endless });
    }
    match runs.last_mut() {
        Some(run) if last == each => run.count += 1,
        _ => {
            let time = start.saturating_add(each.saturating_mul(full as Ticks));
            runs.push(TimelineRun { time, duration: last, count: 1, first: full, gaps: 0 });
        }
    }
    Ok(runs)
}

/// SegmentList (§5.3.9.3).
fn list(
    document: &mut Document<'_>,
    view: &View,
    context: &Context<'_>,
    warnings: &mut Vec<String>,
) -> Result<SegmentIndex, Unusable> {
    if view.levels.iter().any(|&l| document.remote(l).is_some()) {
        return Err(Unusable::Unsupported("its SegmentList is remote (xlink)"));
    }
    let list: dash_mpd::SegmentList =
        de::read(document, view, warnings).ok_or(Unusable::Malformed("its SegmentList cannot be read"))?;
    let mut timescale = timescale(list.timescale)?;
    // The crate's SegmentList lacks @presentationTimeOffset.
    let offset = view.levels.iter().find_map(|&l| document.attribute(l, "presentationTimeOffset"));
    let mut offset = ticks(offset.and_then(|o| whole(o).parse().ok()))?;
    let timestamp_offset = context.period_start - timescale.seconds(offset);
    let timeline = timeline_of(document, view);
    // (Its @duration is a whole number.)
    let duration = view.levels.iter().find_map(|&l| document.attribute(l, "duration")).and_then(double);
    let times: Vec<TimelineRun> = match (timeline, duration) {
        (Some(at), _) => {
            // Cut by the list itself below: only an open end is filled.
            let timeline = &document.timelines[at as usize];
            let mut runs = timeline.runs.clone();
            if let Some(last) = runs.last_mut().filter(|_| timeline.open) {
                last.count = u64::MAX - last.first;
            }
            runs
        }
        (None, Some(duration)) => {
            let duration = whole_ticks(duration, &mut timescale, &mut offset)? as Ticks;
            // A live list moves: @startNumber, from 1, tells how many segments there were before it.
            let first = view.levels.iter().find_map(|&l| document.attribute(l, "startNumber"));
            let before: Ticks =
                first.filter(|_| context.dynamic).and_then(|n| whole(n).parse().ok()).unwrap_or(1);
            let before = duration.saturating_mul(before.saturating_sub(1).max(0));
            vec![TimelineRun {
                time: offset.saturating_add(before),
                duration,
                count: u64::MAX,
                first: 0,
                gaps: 0,
            }]
        }
        (None, None) if list.segment_urls.len() == 1 => by_duration(None, timescale, offset, 0, context)?,
        (None, None) => {
            return Err(Unusable::Malformed("its SegmentList has neither @duration nor a SegmentTimeline"));
        }
    };
    let spans = times.iter().flat_map(|run| {
        (0..run.count)
            .map(|i| (run.time.saturating_add(run.duration.saturating_mul(i as Ticks)), run.duration))
    });
    let limit = context.period_end.map(|end| end - SLIVER);
    let mut segments = Vec::with_capacity(list.segment_urls.len());
    for (url, (time, duration)) in list.segment_urls.into_iter().zip(spans) {
        let start = timescale.seconds(time) + timestamp_offset;
        let mut duration = timescale.seconds(duration);
        if limit.is_some_and(|limit| start >= limit) {
            break;
        }
        if start + duration <= context.period_start + SLIVER {
            continue;
        }
        if let (None, Some(end)) = (timeline, context.period_end) {
            duration = duration.min(end - start);
        }
        segments.push(ListSegment {
            uri: url.media.unwrap_or_default().into_boxed_str(),
            range: range(url.mediaRange.as_deref(), warnings),
            start,
            duration,
            discontinuity: 0,
            gap: false,
            init: None,
            keys: None,
        });
    }
    if segments.is_empty() {
        return Err(Unusable::Empty("none of its segments lies within its period"));
    }
    let first = segments.first().cloned();
    let inits: Vec<_> = init_ref(list.Initialization, context, warnings).into_iter().collect();
    if !inits.is_empty() {
        for segment in &mut segments {
            segment.init = Some(0);
        }
    }
    Ok(SegmentIndex::List(ListIndex {
        base: context.base.url.clone(),
        segments,
        // Live, numbers that need not go below 0 when a later list begins earlier.
        first: first.filter(|_| context.dynamic).map_or(0, |s| (s.start / s.duration) as u64),
        parts: Vec::new(),
        inits,
        keys: Vec::new(),
        timestamp_offset: Some(timestamp_offset),
    }))
}

/// SegmentBase (§5.3.9.2): the file holds its own index.
fn base(
    document: &mut Document<'_>,
    view: &View,
    context: &Context<'_>,
    warnings: &mut Vec<String>,
) -> Result<SegmentIndex, Unusable> {
    let base: dash_mpd::SegmentBase =
        de::read(document, view, warnings).ok_or(Unusable::Malformed("its SegmentBase cannot be read"))?;
    let timescale = timescale(base.timescale)?;
    let offset = ticks(base.presentationTimeOffset)?;
    if base.representation_index.as_ref().is_some_and(|i| i.sourceURL.is_some()) {
        return Err(Unusable::Unsupported("its index is in a file of its own (RepresentationIndex)"));
    }
    if !context.has_base {
        return Err(Unusable::Malformed("it has a SegmentBase, but no BaseURL"));
    }
    let index_range = base.indexRange.or(base.representation_index.and_then(|i| i.range));
    let index_range = range(index_range.as_deref(), warnings);
    let init = init_ref(base.Initialization, context, warnings);
    let timestamp_offset = context.period_start - timescale.seconds(offset);
    Ok(SegmentIndex::Pending(pending(context, index_range, init, timestamp_offset)))
}

fn pending(
    context: &Context<'_>,
    range: Option<ByteRange>,
    init: Option<Rc<InitRef>>,
    timestamp_offset: Seconds,
) -> IndexSource {
    let path = context.base.url.split(['?', '#']).next().unwrap_or("");
    let webm =
        context.mime_type.ends_with("/webm") || (context.mime_type.is_empty() && path.ends_with(".webm"));
    IndexSource {
        kind: if webm { IndexKind::Cues } else { IndexKind::Sidx },
        url: context.base.url.clone(),
        range,
        init,
        timestamp_offset,
        end: context.period_end,
    }
}

/// A text or image that is one file for the whole period.
fn single_file(context: &Context<'_>) -> Result<SegmentIndex, Unusable> {
    let end = context.period_end.ok_or(Unusable::Malformed("nothing tells how long its period is"))?;
    let segment = ListSegment {
        uri: Box::default(),
        range: None,
        start: context.period_start,
        duration: end - context.period_start,
        discontinuity: 0,
        gap: false,
        init: None,
        keys: None,
    };
    Ok(SegmentIndex::List(ListIndex {
        base: context.base.url.clone(),
        segments: vec![segment],
        timestamp_offset: Some(context.period_start),
        ..ListIndex::default()
    }))
}
