//! AdaptationSets and Representations (ISO/IEC 23009-1 §5.3.3, §5.3.5): what is offered, and as what.

use super::segments::Context;
use super::{Mpd, Reader, datatypes};
use crate::error::{Code, Result};
use crate::manifest::{AdaptationSet, ContentType, Period, Representation, SegmentIndex, TemplateIndex};

/// Schemes of properties that make a set something else than a choice for normal playback.
const TRICK_MODE: [&str; 2] =
    ["http://dashif.org/guidelines/trickmode", "http://dashif.org/guidelines/trick-mode"];
const THUMBNAILS: [&str; 2] =
    ["http://dashif.org/thumbnail_tile", "http://dashif.org/guidelines/thumbnail_tile"];
/// More sets in a period, or representations in a set, than this are left out.
const MAX_CHOICES: usize = 500;
/// Prefix of the colour properties (ISO/IEC 23091-2), which the decoder knows from the stream.
const COLOUR: &str = "urn:mpeg:mpegB:cicp:";

impl Reader<'_> {
    /// The AdaptationSets of a period.
    pub(super) fn adaptation_sets(
        &mut self,
        mpd: &Mpd,
        period_element: usize,
        period: &mut Period,
    ) -> Result<()> {
        let (period_bases, own) = self.bases(period_element, &mpd.bases);
        let has_base = mpd.has_base || own;
        let elements = self.choices(period_element, "AdaptationSet");
        // Representations of one set share its timeline, and often those of all sets of a kind.
        let mut shared = None;
        for element in elements {
            if self.document.remote(element).is_some() {
                self.warn(&["A remote AdaptationSet (xlink) was not fetched."]);
            }
            if let Some(scheme) = self.unknown_essential_property(element) {
                self.unusable(element, Code::FormatUnsupported, &["An AdaptationSet needs ", &scheme]);
                continue;
            }
            let (set_bases, own) = self.bases(element, &period_bases);
            let has_base = has_base || own;
            let mut elements = self.choices(element, "Representation");
            // Those for trick modes among others are left out.
            if elements.iter().any(|r| self.special(*r).is_none()) {
                elements.retain(|r| self.special(*r).is_none());
            }
            let mut representations: Vec<Representation> = Vec::with_capacity(elements.len());
            for r in &elements {
                let (bases, own) = self.bases(*r, &set_bases);
                let Some(base) = bases.first() else { continue };
                let levels = [*r, element, period_element];
                let Some(mut representation) = self.representation(levels, representations.len()) else {
                    continue;
                };
                let context = Context {
                    levels,
                    id: &representation.id,
                    bandwidth: representation.bandwidth,
                    base,
                    has_base: has_base || own,
                    mime_type: &representation.mime_type,
                    period_start: period.start,
                    period_end: period.duration.map(|d| period.start + d),
                    dynamic: mpd.dynamic,
                };
                let Some(index) = self.segments(&context, &mut shared)? else { continue };
                if let SegmentIndex::Template(TemplateIndex { rule: Some(rule), .. }) = &index {
                    // What is there long before its time ("INF") was not made just now.
                    self.chunked |= !rule.complete || (rule.offset > 0.0 && rule.offset < 1e6);
                }
                representation.index = index;
                if bases.len() > 1 {
                    representation.bases.all = bases;
                }
                representation.id =
                    unique(&representation.id, |id| representations.iter().any(|r| r.id == id));
                // Few, and often in order: no sorting routine is worth its bytes here.
                let at = representations.partition_point(|r| r.bandwidth <= representation.bandwidth);
                representations.insert(at, representation);
            }
            if representations.is_empty() {
                continue;
            }
            let set = self.adaptation_set(element, &elements, representations, period);
            self.producer_times(element, &elements, &set);
            period.sets.push(set);
        }
        Ok(())
    }

    /// Children of a name, not absurdly many of them.
    fn choices(&mut self, element: usize, name: &str) -> Vec<usize> {
        let mut found: Vec<usize> =
            self.document.children_named(element, name).take(MAX_CHOICES + 1).collect();
        if found.len() > MAX_CHOICES {
            found.truncate(MAX_CHOICES);
            self.warn(&["There are too many ", name, " elements: some were left out."]);
        }
        found
    }

    fn adaptation_set(
        &mut self,
        element: usize,
        representation_elements: &[usize],
        representations: Vec<Representation>,
        period: &Period,
    ) -> AdaptationSet {
        let document = &self.document;
        let mut roles: Vec<String> = Vec::new();
        let mut add = |role: &str| {
            if !role.is_empty() && !roles.iter().any(|r| r == role) {
                roles.push(role.to_owned());
            }
        };
        for role in document.children_named(element, "Role") {
            add(document.attribute(role, "value").unwrap_or(""));
        }
        for a in document.children_named(element, "Accessibility") {
            let value = document.attribute(a, "value").unwrap_or("");
            match (document.attribute(a, "schemeIdUri").unwrap_or(""), value) {
                ("urn:mpeg:dash:role:2011", role) => add(role),
                // TV-Anytime AudioPurposeCS, as DVB-DASH uses it.
                ("urn:tva:metadata:cs:AudioPurposeCS:2007", "1") => add("description"),
                ("urn:tva:metadata:cs:AudioPurposeCS:2007", "2") => add("caption"),
                _ => {}
            }
        }
        // Of several components (§5.3.4), pictures make it video, and the language is that of the sound.
        let of_component = |kind, name| {
            let mut components = document.children_named(element, "ContentComponent");
            let of_kind = components.find(|&c| document.attribute(c, "contentType") == Some(kind));
            document.attribute(of_kind.or_else(|| document.child(element, "ContentComponent"))?, name)
        };
        let declared = document
            .attribute(element, "contentType")
            .or_else(|| representation_elements.iter().find_map(|&r| document.attribute(r, "contentType")));
        let mut content =
            content_type(declared.or_else(|| of_component("video", "contentType")), &representations);
        let mut elements = std::iter::once(element).chain(representation_elements.iter().copied());
        if let Some(role) = elements.find_map(|e| self.special(e)) {
            content = ContentType::Other;
            add(role);
        }
        let protected = |e: usize| document.child(e, "ContentProtection").is_some();
        let encrypted = protected(element) || representation_elements.iter().any(|&r| protected(r));
        let lang = document
            .attribute(element, "lang")
            .or_else(|| representation_elements.iter().find_map(|&r| document.attribute(r, "lang")))
            .or_else(|| of_component("audio", "lang"))
            .filter(|l| !l.is_empty() && *l != "und")
            .map(str::to_owned);
        let inband = self.inband_events(element, representation_elements);
        let label = document.child(element, "Label").map(|l| document.text(l));
        let label = label
            .or_else(|| document.attribute(element, "label"))
            .filter(|l| !l.is_empty())
            .map(str::to_owned);
        let id = match document.attribute(element, "id") {
            Some(id) if !id.is_empty() => id.to_owned(),
            _ => {
                let mut id = content.as_str().to_owned();
                for part in lang.iter().chain(roles.iter().filter(|r| *r != "main")) {
                    id.push('-');
                    id.push_str(part);
                }
                id
            }
        };
        AdaptationSet {
            id: unique(&id, |id| period.sets.iter().any(|s| s.id == id)),
            content,
            lang,
            label,
            default: roles.iter().any(|r| r == "main"),
            roles,
            autoselect: true,
            encrypted,
            inside: false,
            inband,
            representations,
        }
    }

    /// A Representation without its segments. `None`: left out.
    fn representation(&mut self, levels: [usize; 3], position: usize) -> Option<Representation> {
        let element = levels[0];
        let id = match self.document.attribute(element, "id") {
            Some(id) if !id.is_empty() => id.to_owned(),
            _ => {
                self.warn(&["A Representation has no @id."]);
                (position + 1).to_string()
            }
        };
        if let Some(scheme) = self.unknown_essential_property(element) {
            self.unusable(element, Code::FormatUnsupported, &["Representation ", &id, " needs ", &scheme]);
            return None;
        }
        if self.document.attribute(element, "dependencyId").is_some() {
            self.unusable(
                element,
                Code::FormatUnsupported,
                &["Representation ", &id, " depends on another (@dependencyId)"],
            );
            return None;
        }
        let bandwidth = self.number(&[element], "bandwidth");
        if bandwidth == 0 {
            self.warn(&["Representation ", &id, " has no usable @bandwidth."]);
        }
        // Common attributes (§5.3.7) come from the Representation, else from its AdaptationSet.
        let common = &levels[..2];
        let mime_type = self.text(common, "mimeType");
        let channels = common.iter().find_map(|&l| {
            self.document.children_named(l, "AudioChannelConfiguration").find_map(|c| {
                channel_count(
                    self.document.attribute(c, "schemeIdUri")?,
                    self.document.attribute(c, "value")?,
                )
            })
        });
        // "48000", or the least and the greatest rate.
        let sample_rate = self
            .text(common, "audioSamplingRate")
            .split_ascii_whitespace()
            .next_back()
            .and_then(|r| datatypes::whole(r).parse().ok());
        let codecs = self.text(common, "codecs").replace(' ', "");
        Some(Representation {
            bandwidth,
            average_bandwidth: None,
            mime_type: mime_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase(),
            width: u32::try_from(self.number(common, "width")).unwrap_or(0),
            height: u32::try_from(self.number(common, "height")).unwrap_or(0),
            frame_rate: datatypes::frame_rate(self.text(common, "frameRate")),
            sample_rate: sample_rate.unwrap_or(0),
            channels: channels.unwrap_or(0),
            audio_sets: Vec::new(),
            bases: Default::default(),
            index: crate::manifest::SegmentIndex::List(Default::default()),
            codecs,
            id,
        })
    }

    /// An attribute of the first level that has it; empty if none does.
    fn text(&self, levels: &[usize], name: &str) -> &str {
        levels.iter().find_map(|&l| self.document.attribute(l, name)).unwrap_or("")
    }

    /// The same as a number; 0 with a warning if it is none.
    fn number(&mut self, levels: &[usize], name: &str) -> u64 {
        let text = self.text(levels, name);
        match (text, datatypes::whole(text).parse()) {
            ("", _) => 0,
            (_, Ok(number)) => number,
            _ => {
                self.warn(&["Attribute ", name, " was left out: not a number."]);
                0
            }
        }
    }

    /// What an element is for if not normal playback, as a role. An EssentialProperty or a SupplementalProperty says so (DASH-IF IOP).
    fn special(&self, element: usize) -> Option<&'static str> {
        let document = &self.document;
        let properties = ["EssentialProperty", "SupplementalProperty"];
        let mut properties = properties.into_iter().flat_map(|name| document.children_named(element, name));
        properties.find_map(|p| role_of(document.attribute(p, "schemeIdUri")?))
    }

    /// Scheme of the first EssentialProperty that is not known: its parent must not be used (§5.8.4.8).
    pub(super) fn unknown_essential_property(&self, element: usize) -> Option<String> {
        let document = &self.document;
        let schemes = document
            .children_named(element, "EssentialProperty")
            .filter_map(|p| document.attribute(p, "schemeIdUri"));
        let known = |s: &str| role_of(s).is_some() || s.starts_with(COLOUR);
        schemes.into_iter().find(|s| !known(s)).map(|s| ["the unknown property ", s].concat())
    }
}

/// The role that a property of this scheme gives.
fn role_of(scheme: &str) -> Option<&'static str> {
    let roles = [(TRICK_MODE, "trickmode"), (THUMBNAILS, "thumbnails")];
    roles.into_iter().find(|(schemes, _)| schemes.contains(&scheme)).map(|(_, role)| role)
}

/// `id`, or with a number behind it the first that is not taken.
fn unique(id: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut candidate = id.to_owned();
    let mut n = 2u32;
    while taken(&candidate) {
        candidate = [id, "-", &n.to_string()].concat();
        n += 1;
    }
    candidate
}

/// Kind of content from `@contentType`, media types and codecs, in this order of trust.
fn content_type(declared: Option<&str>, representations: &[Representation]) -> ContentType {
    let mime_type = representations.first().map_or("", |r| r.mime_type.as_str());
    let any = |prefixes: &[&str]| {
        let mut codecs = representations.iter().flat_map(|r| r.codecs.split(','));
        codecs.any(|c| prefixes.iter().any(|p| c.starts_with(p)))
    };
    if any(&["stpp", "wvtt", "c608", "tx3g"]) {
        return ContentType::Text;
    }
    let video = any(&["avc", "hvc", "hev", "dvh", "vp8", "vp9", "vp08", "vp09", "av01", "mp4v"]);
    match declared.unwrap_or_else(|| mime_type.split('/').next().unwrap_or("")) {
        "video" => ContentType::Video,
        // Pictures that come with the sound are seen in sets that are declared as sound.
        "audio" if !video => ContentType::Audio,
        "text" => ContentType::Text,
        "image" => ContentType::Other,
        _ if mime_type == "application/ttml+xml" => ContentType::Text,
        _ if video => ContentType::Video,
        _ if any(&[
            "mp4a", "ac-3", "ec-3", "ac-4", "opus", "Opus", "vorbis", "flac", "fLaC", "mp3", "dts",
        ]) =>
        {
            ContentType::Audio
        }
        _ if representations.iter().any(|r| r.width > 0) => ContentType::Video,
        _ => ContentType::Other,
    }
}

/// Channels of an AudioChannelConfiguration, by its scheme (§5.8.5.4). `None`: unknown scheme or value.
fn channel_count(scheme: &str, value: &str) -> Option<u32> {
    match scheme {
        "urn:mpeg:dash:23003:3:audio_channel_configuration:2011"
        | "urn:dts:dash:audio_channel_configuration:2012" => value.parse().ok().filter(|n| *n <= 64),
        "urn:mpeg:mpegB:cicp:ChannelConfiguration" => {
            // ISO/IEC 23091-3 table 1: loudspeakers, low-frequency ones included.
            const CHANNELS: [u8; 21] = [0, 1, 2, 3, 4, 5, 6, 8, 2, 3, 4, 7, 8, 24, 8, 12, 10, 12, 14, 12, 14];
            value.parse().ok().and_then(|i: usize| CHANNELS.get(i).copied()).filter(|n| *n > 0).map(u32::from)
        }
        "tag:dolby.com,2014:dash:audio_channel_configuration:2011"
        | "urn:dolby:dash:audio_channel_configuration:2011" => {
            // ETSI TS 102 366 table E.1.8: a bit is one loudspeaker or a pair of them.
            const PAIRS: u16 = 0b0000_0110_0111_0100;
            let mask = u16::from_str_radix(value, 16).ok()?;
            Some(mask.count_ones() + (mask & PAIRS).count_ones())
        }
        _ => None,
    }
}
