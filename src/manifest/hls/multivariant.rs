//! Multivariant playlists (RFC 8216bis §4.4.6): read by `m3u8-rs` after [`normalize`], here turned into the shared model.

use super::Variables;
use super::attributes::integer;
use super::normalize::normalize;
use crate::error::{Code, PlayerError, Result};
use crate::manifest::{
    AdaptationSet, BaseUrl, Bases, ContentType, IndexSource, ListIndex, Period, Presentation,
    PresentationType, Protocol, Representation, SegmentIndex, url,
};
use m3u8_rs::{AlternativeMedia, AlternativeMediaType, ClosedCaptionGroupId, MasterPlaylist, VariantStream};

pub(super) fn parse(text: &str, url: &str, parent: &Variables) -> Result<(Presentation, Variables)> {
    let normalized = normalize(text, url, parent)?;
    let Ok((_, master)) = m3u8_rs::parse_master_playlist(normalized.text.as_bytes()) else {
        return Err(PlayerError::new(Code::ManifestMalformed, "The multivariant playlist cannot be read."));
    };
    let audio_ids = audio_ids(&master.alternatives);
    let mut builder = Builder {
        master: &master,
        audio_ids: &audio_ids,
        pathway: normalized.pathway.as_deref(),
        url,
        warnings: normalized.warnings,
    };
    let mut sets = builder.sets();
    if !sets.iter().any(|s| matches!(s.content, ContentType::Video | ContentType::Audio)) {
        return Err(PlayerError::new(Code::ManifestEmpty, "The multivariant playlist has no variants."));
    }
    for set in &mut sets {
        set.encrypted = normalized.encrypted;
    }
    let presentation = Presentation {
        protocol: Protocol::Hls,
        // Only the media playlists tell; on demand until one of them says otherwise.
        kind: PresentationType::Static,
        duration: None,
        periods: vec![Period { id: "0".to_owned(), start: 0.0, duration: None, sets, events: Vec::new() }],
        start_hint: master.start.as_ref().map(|s| s.time_offset),
        live: None,
        warnings: builder.warnings,
    };
    Ok((presentation, normalized.variables))
}

/// Places of a stream that are kept: no more would be tried before the user has gone.
const MAX_PLACES: usize = 8;

struct Builder<'a> {
    master: &'a MasterPlaylist,
    /// Of all renditions, in their order; those of audio are of use.
    audio_ids: &'a [String],
    /// The one to begin with.
    pathway: Option<&'a str>,
    url: &'a str,
    warnings: Vec<String>,
}

/// A variant on its way to a representation.
struct Candidate<'a> {
    variant: &'a VariantStream,
    /// Names of the AUDIO groups that were listed with its URI, the one to prefer first.
    groups: Vec<&'a str>,
    /// The same stream from other places (redundant streams, other pathways).
    others: Vec<&'a VariantStream>,
}

impl<'a> Builder<'a> {
    fn sets(&mut self) -> Vec<AdaptationSet> {
        let master = self.master;
        let variants = || master.variants.iter().filter(|v| !v.is_i_frame && !v.uri.is_empty());
        let any_video = variants().any(|v| !is_audio_only(v));
        // Of HDR and SDR versions the latter: what the screen can show is not known here, and all can show this.
        let any_sdr = variants().any(|v| is_audio_only(v) != any_video && !is_hdr(v));
        let mut ladder: Vec<Candidate<'a>> = Vec::new();
        let fit = || variants().filter(|v| is_audio_only(v) != any_video && is_hdr(v) != any_sdr);
        // The pathway that playback is to begin with comes first (§7.1); "." is that of variants without one.
        let first =
            |v: &&VariantStream| self.pathway.is_none_or(|p| attribute(v, "PATHWAY-ID").unwrap_or(".") == p);
        for variant in fit().filter(first).chain(fit().filter(|v| !first(v))) {
            let group = variant.audio.as_deref();
            match ladder.iter_mut().find(|c| c.variant.uri == variant.uri || is_redundant(c.variant, variant))
            {
                Some(same) => same.merge(variant, group),
                None => ladder.push(Candidate {
                    variant,
                    groups: group.into_iter().collect(),
                    others: Vec::new(),
                }),
            }
        }
        // A rendition without URI is in the variants' own streams (§4.4.6.2.1), if each that names a group has one.
        let has_sound = |c: &Candidate| {
            c.groups.iter().any(|g| members((master, self.audio_ids), g).any(|(m, _)| m.uri.is_none()))
        };
        let inside = any_video
            && ladder.iter().any(has_sound)
            && ladder.iter().all(|c| c.groups.is_empty() || has_sound(c));
        let mut sets = Vec::new();
        if !ladder.is_empty() {
            sets.push(self.main_set(&ladder, any_video, inside));
        }
        self.audio_sets(&ladder, any_video, inside, &mut sets);
        self.angle_sets(&ladder, &mut sets);
        // The player shows none of these yet: they are told to tools.
        if cfg!(not(target_arch = "wasm32")) {
            self.text_sets(&ladder, &mut sets);
            self.trick_set(&mut sets);
        }
        sets
    }

    /// The variants themselves.
    fn main_set(&mut self, ladder: &[Candidate<'a>], video: bool, inside: bool) -> AdaptationSet {
        let all = (self.master, self.audio_ids);
        let content = if video { ContentType::Video } else { ContentType::Audio };
        let mut set = new_set(content.as_str().to_owned(), content);
        set.default = true;
        set.roles.push("main".to_owned());
        for candidate in ladder {
            let mut representation = self.representation(candidate.variant);
            let mut others = candidate.others.iter().map(|other| other.uri.as_str());
            representation.bases = self.places(&candidate.variant.uri, &mut others);
            for group in candidate.groups.iter().filter(|_| video) {
                let members = || members(all, group);
                if members().next().is_none() {
                    self.warnings.push(["the AUDIO group ", group, " does not exist"].concat());
                }
                // Where the default, or the first when none is, is in this stream and not in others, the stream plays as it is.
                let chosen = members().find(|(m, _)| m.default).or_else(|| members().next());
                if inside || chosen.is_none_or(|(m, _)| m.uri.is_some()) {
                    let fit = members().filter(|(m, _)| inside || m.uri.is_some());
                    representation.audio_sets.extend(fit.map(|(_, id)| id.clone()));
                }
            }
            insert(&mut set.representations, representation);
        }
        finish(&mut set);
        set
    }

    /// One set per rendition of the AUDIO groups that the variants name.
    fn audio_sets(
        &mut self,
        ladder: &[Candidate<'a>],
        any_video: bool,
        inside: bool,
        sets: &mut Vec<AdaptationSet>,
    ) {
        let master = self.master;
        for (media, id) in master.alternatives.iter().zip(self.audio_ids) {
            if media.media_type != AlternativeMediaType::Audio {
                continue;
            }
            let Some(uri) = media.uri.as_deref().or(inside.then_some("")) else { continue };
            let user = ladder.iter().find(|c| c.groups.contains(&media.group_id.as_str()));
            let Some(user) = user else { continue };
            // Audio alone: the variants are the main rendition already.
            if !any_video && ladder.iter().any(|c| c.variant.uri == uri) {
                continue;
            }
            let mut set = self.rendition_set(id.clone(), ContentType::Audio, media);
            if sets.iter().any(|s| s.id == set.id) {
                continue;
            }
            let mut representation = self.alternative(media, uri);
            let group_user =
                self.master.variants.iter().find(|v| v.audio.as_deref() == Some(&media.group_id));
            let codecs = group_user.unwrap_or(user.variant).codecs.as_deref().unwrap_or("");
            representation.codecs = of_kind(codecs, ContentType::Audio);
            // Each place has its own group, and the same renditions in it.
            let groups = ladder.iter().filter(|c| c.groups.contains(&media.group_id.as_str()));
            let groups = groups.flat_map(|c| &c.others).filter_map(|other| other.audio.as_deref());
            let same = groups.flat_map(|group| members((master, self.audio_ids), group)).filter(|(m, _)| {
                m.group_id != media.group_id && m.name == media.name && m.language == media.language
            });
            representation.bases = self.places(uri, &mut same.filter_map(|(m, _)| m.uri.as_deref()));
            set.inside = media.uri.is_none();
            if set.inside {
                representation.index = SegmentIndex::List(ListIndex::default());
            }
            set.representations.push(representation);
            sets.push(set);
        }
    }

    /// VIDEO groups: other camera angles. The rendition without URI, or with the variant's, is the main set.
    fn angle_sets(&mut self, ladder: &[Candidate<'a>], sets: &mut Vec<AdaptationSet>) {
        let (master, from) = (self.master, sets.len());
        for candidate in ladder {
            let Some(group) = &candidate.variant.video else { continue };
            for media in renditions(master, AlternativeMediaType::Video).filter(|m| m.group_id == *group) {
                let Some(uri) = media.uri.as_ref().filter(|u| **u != candidate.variant.uri) else { continue };
                let id = ["video-", &media.name].concat();
                let mut representation = self.representation(candidate.variant);
                representation.index = self.pending(uri);
                match sets.iter_mut().find(|s| s.id == id) {
                    Some(set) => insert(&mut set.representations, representation),
                    None => {
                        let mut set = self.rendition_set(id, ContentType::Video, media);
                        set.representations.push(representation);
                        sets.push(set);
                    }
                }
            }
        }
        sets.iter_mut().skip(from).for_each(finish);
    }

    /// Subtitles and captions. Groups differ by quality of the video only, so renditions of the same name are one set.
    fn text_sets(&mut self, ladder: &[Candidate<'a>], sets: &mut Vec<AdaptationSet>) {
        for media in &self.master.alternatives {
            let (representation, role) = match (&media.media_type, &media.uri) {
                (AlternativeMediaType::Subtitles, Some(uri)) => {
                    let used = ladder.iter().any(|c| c.variant.subtitles.as_deref() == Some(&media.group_id));
                    if !used {
                        continue;
                    }
                    (self.alternative(media, uri), "subtitle")
                }
                (AlternativeMediaType::ClosedCaptions, None) => {
                    let group = ClosedCaptionGroupId::GroupId(media.group_id.clone());
                    if !ladder.iter().any(|c| c.variant.closed_captions.as_ref() == Some(&group)) {
                        continue;
                    }
                    let mut representation = self.alternative(media, "");
                    if let Some(id) = &media.instream_id {
                        representation.id = id.to_string();
                    }
                    // In the video stream itself: there is nothing to fetch.
                    representation.index = SegmentIndex::List(ListIndex::default());
                    (representation, "caption")
                }
                _ => continue,
            };
            let kind = if role == "caption" { "captions-" } else { "text-" };
            let id = [kind, media.language.as_deref().unwrap_or("und"), "-", &media.name].concat();
            if sets.iter().any(|s| s.id == id) {
                continue;
            }
            let mut set = self.rendition_set(id, ContentType::Text, media);
            set.roles.push(role.to_owned());
            if media.forced {
                set.roles.push("forced-subtitle".to_owned());
            }
            set.representations.push(representation);
            sets.push(set);
        }
    }

    /// EXT-X-I-FRAME-STREAM-INF: pictures for fast winding.
    fn trick_set(&mut self, sets: &mut Vec<AdaptationSet>) {
        let variants = self.master.variants.iter().filter(|v| v.is_i_frame);
        let mut set = new_set("trick".to_owned(), ContentType::Other);
        set.roles.push("trick".to_owned());
        set.autoselect = false;
        for variant in variants {
            insert(&mut set.representations, self.representation(variant));
        }
        if !set.representations.is_empty() {
            finish(&mut set);
            sets.push(set);
        }
    }

    fn rendition_set(&self, id: String, content: ContentType, media: &AlternativeMedia) -> AdaptationSet {
        let mut set = new_set(id, content);
        set.lang = media.language.clone();
        set.label = Some(media.name.clone());
        set.default = media.default;
        set.autoselect = media.autoselect || media.default;
        if content != ContentType::Text {
            set.roles.push(if media.default { "main" } else { "alternate" }.to_owned());
        }
        let characteristics = media.characteristics.as_deref().unwrap_or("");
        for characteristic in characteristics.split(',').map(str::trim_ascii) {
            // The terms of DASH for Apple's (§4.4.6.1).
            match characteristic {
                "public.accessibility.describes-video" => set.roles.push("description".to_owned()),
                "public.accessibility.transcribes-spoken-dialog" => set.roles.push("caption".to_owned()),
                "public.easy-to-read" => set.roles.push("easyreader".to_owned()),
                _ => {}
            }
        }
        set
    }

    fn alternative(&self, media: &AlternativeMedia, uri: &str) -> Representation {
        let other = |name| media.other_attributes.as_ref().and_then(|o| o.get(name)).map(|v| v.as_str());
        Representation {
            id: other("STABLE-RENDITION-ID").unwrap_or(&media.name).to_owned(),
            bandwidth: 0,
            average_bandwidth: None,
            codecs: String::new(),
            mime_type: String::new(),
            width: 0,
            height: 0,
            frame_rate: 0.0,
            sample_rate: other("SAMPLE-RATE").map_or(0, small),
            // "6", "2/-/BINAURAL", "16/JOC".
            channels: media.channels.as_deref().and_then(|c| c.split('/').next()).map_or(0, small),
            audio_sets: Vec::new(),
            bases: Default::default(),
            index: self.pending(uri),
        }
    }

    fn representation(&self, v: &VariantStream) -> Representation {
        let size = |pixels| u32::try_from(pixels).unwrap_or(0);
        let (width, height) = v.resolution.map_or((0, 0), |r| (size(r.width), size(r.height)));
        let id = match attribute(v, "STABLE-VARIANT-ID") {
            Some(id) => id.to_owned(),
            None if height > 0 => [&height.to_string(), "p-", &v.bandwidth.to_string()].concat(),
            None => v.bandwidth.to_string(),
        };
        Representation {
            id,
            bandwidth: v.bandwidth,
            average_bandwidth: v.average_bandwidth,
            codecs: modern(v.codecs.as_deref().unwrap_or_default()),
            mime_type: String::new(),
            width,
            height,
            frame_rate: v.frame_rate.unwrap_or(0.0),
            sample_rate: 0,
            channels: 0,
            audio_sets: Vec::new(),
            bases: Default::default(),
            index: self.pending(&v.uri),
        }
    }

    fn pending(&self, uri: &str) -> SegmentIndex {
        SegmentIndex::Pending(IndexSource::playlist(url::resolve(self.url, uri)))
    }

    /// The playlists that stand in for one another, the first in use; none where there is but one.
    fn places<'u>(&self, first: &'u str, others: &mut dyn Iterator<Item = &'u str>) -> Bases {
        let mut all: Vec<BaseUrl> = Vec::new();
        for uri in std::iter::once(first).chain(others) {
            let url = url::resolve(self.url, uri);
            if all.len() < MAX_PLACES && all.iter().all(|known| known.url != url) {
                all.push(BaseUrl { url, ..BaseUrl::default() });
            }
        }
        if all.len() < 2 {
            return Bases::default();
        }
        Bases { all: all.into(), playlists: true, current: 0 }
    }
}

impl<'a> Candidate<'a> {
    /// Takes the same stream, listed again: with another AUDIO group, or as a second source of it. Browsers decode AAC
    /// everywhere and Dolby's codecs almost nowhere, so a listing with AAC leads.
    fn merge(&mut self, variant: &'a VariantStream, group: Option<&'a str>) {
        if variant.uri != self.variant.uri {
            return self.others.push(variant);
        }
        let leads = audio_rank(variant) < audio_rank(self.variant);
        if leads {
            self.variant = variant;
        }
        if let Some(group) = group.filter(|g| !self.groups.contains(g)) {
            let at = if leads { 0 } else { self.groups.len() };
            self.groups.insert(at, group);
        }
    }
}

/// The same content at the same rate behind another URI: redundant streams and the pathways of content steering.
fn is_redundant(a: &VariantStream, b: &VariantStream) -> bool {
    a.bandwidth == b.bandwidth
        && a.resolution == b.resolution
        && a.codecs == b.codecs
        && a.frame_rate == b.frame_rate
        && a.bandwidth > 0
        && (a.audio == b.audio || attribute(a, "PATHWAY-ID") != attribute(b, "PATHWAY-ID"))
}

/// How likely browsers decode the audio of a variant: lower is better.
fn audio_rank(variant: &VariantStream) -> usize {
    let codecs = of_kind(variant.codecs.as_deref().unwrap_or(""), ContentType::Audio);
    const ORDER: [&str; 4] = ["mp4a.40.2", "mp4a.40", "opus", "fLaC"];
    if codecs.is_empty() {
        return ORDER.len();
    }
    let known = ORDER.iter().position(|o| codecs.get(..o.len()).is_some_and(|c| c.eq_ignore_ascii_case(o)));
    known.unwrap_or(ORDER.len() + 1)
}

fn is_hdr(variant: &VariantStream) -> bool {
    attribute(variant, "VIDEO-RANGE").is_some_and(|range| range != "SDR")
}

/// Sound only: no resolution, and a list of codecs in which there is none for pictures.
fn is_audio_only(variant: &VariantStream) -> bool {
    let codecs = variant.codecs.as_deref().unwrap_or("");
    variant.resolution.is_none()
        && !of_kind(codecs, ContentType::Audio).is_empty()
        && of_kind(codecs, ContentType::Video).is_empty()
}

fn renditions(
    master: &MasterPlaylist,
    kind: AlternativeMediaType,
) -> impl Iterator<Item = &AlternativeMedia> {
    master.alternatives.iter().filter(move |m| m.media_type == kind)
}

/// The renditions of an AUDIO group, and their ids.
fn members<'m>(
    (master, ids): (&'m MasterPlaylist, &'m [String]),
    group: &str,
) -> impl Iterator<Item = (&'m AlternativeMedia, &'m String)> {
    let all = master.alternatives.iter().zip(ids);
    all.filter(move |(m, _)| m.media_type == AlternativeMediaType::Audio && m.group_id == group)
}

fn attribute<'v>(variant: &'v VariantStream, name: &str) -> Option<&'v str> {
    variant.other_attributes.as_ref()?.get(name).map(|v| v.as_str())
}

/// Codecs as RFC 6381 writes them: early HLS had the profile and level of H.264 in decimals (`avc1.77.30`), which browsers do not take.
fn modern(codecs: &str) -> String {
    let decimals = |codec: &str| {
        let (profile, level) = codec.trim_ascii().strip_prefix("avc1.")?.split_once('.')?;
        Some((small(profile), small(level))).filter(|(profile, level)| *profile > 0 && *level > 0)
    };
    let mut out = String::new();
    for codec in codecs.split(',') {
        if !out.is_empty() {
            out.push(',');
        }
        match decimals(codec) {
            Some((profile, level)) => {
                out.push_str("avc1.");
                for digit in [profile >> 4, profile, 0, 0, level >> 4, level] {
                    out.push(b"0123456789abcdef"[(digit & 15) as usize] as char);
                }
            }
            None => out.push_str(codec),
        }
    }
    out
}

/// The codecs of one kind in an RFC 6381 list. What is unknown counts as video, so that it is not lost.
fn of_kind(codecs: &str, kind: ContentType) -> String {
    let mut out = String::new();
    for codec in codecs.split(',').map(str::trim_ascii).filter(|c| !c.is_empty()) {
        if kind_of(codec) == kind {
            if !out.is_empty() {
                out.push(',');
            }
            out.push_str(codec);
        }
    }
    out
}

fn kind_of(codec: &str) -> ContentType {
    let name = codec.split('.').next().unwrap_or(codec);
    const AUDIO: [&str; 13] = [
        "mp4a", "ac-3", "ec-3", "ac-4", "opus", "flac", "mp3", "alac", "vorbis", "dtsc", "dtse", "dtsx",
        "mhm1",
    ];
    const TEXT: [&str; 3] = ["wvtt", "stpp", "tx3g"];
    if AUDIO.iter().any(|a| name.eq_ignore_ascii_case(a)) {
        ContentType::Audio
    } else if TEXT.iter().any(|t| name.eq_ignore_ascii_case(t)) {
        ContentType::Text
    } else {
        ContentType::Video
    }
}

/// Ids of sets. Of what is in the variants themselves the group tells nothing: each has it. Renditions that differ in their URI alone are not
/// told apart by name (§4.4.6.1 forbids them).
fn audio_ids(all: &[AlternativeMedia]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::with_capacity(all.len());
    for media in all {
        let language = media.language.as_deref().unwrap_or("und");
        let group = media.uri.as_ref().map_or("", |_| &media.group_id);
        let id = ["audio-", group, "-", language, "-", &media.name].concat();
        let twin =
            |(other, known): &(&AlternativeMedia, &String)| other.uri != media.uri && known.starts_with(&id);
        let twins = all.iter().zip(&ids).filter(twin).filter(|(m, _)| m.name == media.name).count();
        ids.push(if twins == 0 { id } else { [&id, "-", &(twins + 1).to_string()].concat() });
    }
    ids
}

pub(super) fn new_set(id: String, content: ContentType) -> AdaptationSet {
    AdaptationSet {
        id,
        content,
        lang: None,
        label: None,
        roles: Vec::new(),
        default: false,
        autoselect: true,
        encrypted: false,
        inside: false,
        inband: Vec::new(),
        representations: Vec::new(),
    }
}

/// A number that fits into 32 bits, else 0 for unknown.
fn small(text: &str) -> u32 {
    integer(text).and_then(|v| v.try_into().ok()).unwrap_or(0)
}

/// Adds at its place by bandwidth; of equals the first stays first.
fn insert(into: &mut Vec<Representation>, representation: Representation) {
    let at = into.partition_point(|r| r.bandwidth <= representation.bandwidth);
    into.insert(at, representation);
}

/// Makes the ids unique.
fn finish(set: &mut AdaptationSet) {
    for i in 1..set.representations.len() {
        let (before, rest) = set.representations.split_at_mut(i);
        let Some(this) = rest.first_mut() else { continue };
        let taken = |id: &str| before.iter().any(|r| r.id == id);
        if taken(&this.id) {
            let unique = (2..).map(|n: usize| [&this.id, "-", &n.to_string()].concat()).find(|id| !taken(id));
            this.id = unique.unwrap_or_default();
        }
    }
}
