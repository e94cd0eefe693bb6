//! What the user is told: the start, tracks and qualities, numbers.

use super::io::*;
use super::session::{Ctx, Session};
use super::stream::RepKey;
use crate::manifest::{ContentType, Protocol};
use crate::time::Seconds;

impl Session {
    /// Tells the user, once there is something to tell: the main index is read.
    pub fn announce(&mut self, ctx: &mut Ctx) {
        if self.loaded || !self.start_known() {
            return;
        }
        let Some(main) = self.streams.first() else { return };
        if main.job().is_none() && !main.has_media {
            return;
        }
        #[cfg(feature = "progressive")]
        if self.linear.is_some() {
            if !self.linear.as_ref().is_some_and(|l| l.settled()) {
                return;
            }
            self.announce_tracks(ctx);
            self.note_quality(ctx, "file", Reason::Start);
        }
        self.loaded = true;
        let protocol = match self.presentation.protocol {
            Protocol::Dash => "dash",
            Protocol::Hls => "hls",
            Protocol::File => "file",
        };
        let live = self.live();
        let duration = if live { Some(f64::INFINITY) } else { self.duration() };
        ctx.event(Event::Loaded { protocol, duration, live });
    }

    pub fn announce_tracks(&self, ctx: &mut Ctx) {
        let Some(main) = self.streams.first() else { return };
        let qualities = match self.set(main.period, main.set) {
            Some(set) => set
                .representations
                .iter()
                .enumerate()
                .filter(|(rep, _)| {
                    self.is_supported(RepKey { period: main.period, set: main.set, rep: *rep })
                })
                .map(|(_, r)| Quality {
                    id: r.id.clone(),
                    bandwidth: r.bandwidth,
                    width: r.width,
                    height: r.height,
                    frame_rate: r.frame_rate,
                    codecs: r.codecs.clone(),
                })
                .collect(),
            None => Vec::new(),
        };
        let active = self.audio_set(main.period).map(|s| &s.id);
        let audio = self
            .presentation
            .periods
            .get(main.period)
            .into_iter()
            .flat_map(|p| p.sets.iter().enumerate())
            .filter(|(i, s)| s.content == ContentType::Audio && self.playable(main.period, *i))
            .map(|(_, s)| AudioTrack {
                id: s.id.clone(),
                language: s.lang.clone(),
                label: s.label.clone(),
                roles: s.roles.clone(),
                active: active == Some(&s.id),
            })
            .collect();
        #[cfg(feature = "progressive")]
        let audio = self.linear.as_ref().map_or(audio, |linear| linear.audio_tracks());
        ctx.event(Event::Tracks { qualities, audio });
    }

    /// Tells of a new quality.
    pub fn note_quality(&mut self, ctx: &mut Ctx, id: &str, reason: Reason) {
        if self.last_quality.as_deref() == Some(id) {
            return;
        }
        let from = self.last_quality.replace(id.to_owned());
        self.stats.switches += u32::from(from.is_some());
        self.stats.quality = Some(id.to_owned());
        let choice = std::mem::take(&mut self.choice);
        ctx.event(Event::QualityChange {
            from,
            to: id.to_owned(),
            reason,
            auto: self.fixed.is_none(),
            choice,
        });
    }

    /// Counts what was played, for the average.
    pub fn note_played(&mut self, from: Seconds, to: Seconds) {
        let main = self.buffers.iter().flatten().next();
        if let Some(bandwidth) = main.and_then(|b| b.bandwidth_at(from))
            && to > from
        {
            self.played_weight.0 += bandwidth as f64 * (to - from);
            self.played_weight.1 += to - from;
        }
    }

    /// The numbers now.
    pub fn stats_now(&self, ctx: &Ctx) -> Stats {
        let position = self.playhead.position(ctx.now);
        Stats {
            position,
            estimate: ctx.abr.estimate(ctx.now),
            buffer: (self.playable_ranges().end_from(position, super::buffer::SEAM) - position).max(0.0),
            average_bandwidth: if self.played_weight.1 > 0.0 {
                self.played_weight.0 / self.played_weight.1
            } else {
                0.0
            },
            startup: self.playhead.first_frame_at().map(|t| t - self.loaded_at),
            stall_time: self.stats.stall_time + self.playhead.stalled_for(ctx.now),
            ..self.stats.clone()
        }
    }

    pub fn report(&mut self, ctx: &mut Ctx) {
        let interval = ctx.config.stats_interval;
        if interval > 0.0 && ctx.now >= self.last_stats + interval && self.loaded {
            self.last_stats = ctx.now;
            let stats = self.stats_now(ctx);
            ctx.event(Event::Stats(stats));
        }
    }
}
