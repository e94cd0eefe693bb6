//! Makes a multivariant playlist fit for `m3u8-rs`.
//!
//! The crate reads well-formed text well. What it lacks and is done here, before it sees the text: variables
//! (EXT-X-DEFINE); one malformed optional attribute makes it drop the whole tag, and then gives the URI that follows to the
//! variant before; a comment or an unknown tag on a last line without line ending becomes such a URI too; it stops without a
//! word at a byte that is not UTF-8; it refuses empty quoted strings and takes no byte order mark.

use super::attributes::{Attributes, decimal, integer, leading_integer, signed_decimal};
use super::{Variables, malformed};
use crate::error::Result;
use std::borrow::Cow;

/// The text for `m3u8-rs`, and what it cannot say.
pub(super) struct Normalized {
    pub text: String,
    pub variables: Variables,
    /// PATHWAY-ID of EXT-X-CONTENT-STEERING: the one to begin with.
    pub pathway: Option<String>,
    /// Some EXT-X-SESSION-KEY has a method.
    pub encrypted: bool,
    pub warnings: Vec<String>,
}

/// How `m3u8-rs` wants an attribute.
enum Form {
    /// In quotes.
    Quoted,
    /// In quotes; such text only.
    QuotedIf(fn(&str) -> bool),
    /// Without quotes; such text only.
    Plain(fn(&str) -> bool),
    /// As it is.
    Free,
}

fn form(name: &str) -> Form {
    match name {
        "URI" | "CODECS" | "AUDIO" | "VIDEO" | "SUBTITLES" | "GROUP-ID" | "LANGUAGE" | "ASSOC-LANGUAGE"
        | "NAME" | "CHARACTERISTICS" | "CHANNELS" => Form::Quoted,
        "BANDWIDTH" | "AVERAGE-BANDWIDTH" => Form::Plain(|v| integer(v).is_some()),
        "RESOLUTION" => Form::Plain(|v| {
            v.split_once('x').is_some_and(|(w, h)| integer(w).is_some() && integer(h).is_some())
        }),
        "FRAME-RATE" => Form::Plain(|v| decimal(v).is_some()),
        "TIME-OFFSET" => Form::Plain(|v| signed_decimal(v).is_some()),
        "DEFAULT" | "AUTOSELECT" | "FORCED" | "PRECISE" => Form::Plain(|v| v == "YES" || v == "NO"),
        "TYPE" | "HDCP-LEVEL" => Form::Plain(|_| true),
        "INSTREAM-ID" => Form::QuotedIf(|v| {
            let number = v.strip_prefix("CC").or_else(|| v.strip_prefix("SERVICE"));
            number.and_then(integer).is_some_and(|n| n <= 255)
        }),
        _ => Form::Free,
    }
}

/// Most variants, and most renditions, that are read. Each variant names all renditions of its group, so memory goes by the
/// product; the largest playlists seen have about a hundred of each.
const MAX_ENTRIES: usize = 500;

pub(super) fn normalize(text: &str, url: &str, parent: &Variables) -> Result<Normalized> {
    let mut out = Normalized {
        text: String::with_capacity(text.len() + 16),
        variables: Variables::default(),
        pathway: None,
        encrypted: false,
        warnings: Vec::new(),
    };
    out.text.push_str("#EXTM3U\n");
    // EXT-X-STREAM-INF that waits for its URI.
    let mut pending: Option<String> = None;
    let (mut variants, mut renditions) = (0, 0);
    for (line, number) in text.split('\n').zip(1..) {
        let line = line.trim_ascii();
        let Some(tag) = line.strip_prefix('#') else {
            if line.is_empty() || number == 1 {
                continue;
            }
            match pending.take() {
                Some(tag) => {
                    out.text.push_str(&tag);
                    let uri = out.variables.expand(line, number)?;
                    // A URI that begins with `#` after substitution would read as a comment.
                    out.text.push_str(uri.trim_start_matches('#'));
                    out.text.push('\n');
                }
                None => out.warn(number, "a URI has no EXT-X-STREAM-INF"),
            }
            continue;
        };
        let (name, list) = tag.split_once(':').unwrap_or((tag, ""));
        match name {
            "EXT-X-DEFINE" => out.variables.define(list, url, parent, number)?,
            "EXT-X-STREAM-INF" => {
                if pending.is_some() {
                    out.warn(number, "the EXT-X-STREAM-INF before has no URI");
                }
                variants += 1;
                pending = out.tag(name, list, number)?.filter(|_| variants <= MAX_ENTRIES);
            }
            "EXT-X-MEDIA" | "EXT-X-I-FRAME-STREAM-INF" | "EXT-X-START" => {
                renditions += 1;
                if renditions > MAX_ENTRIES {
                    continue;
                }
                if let Some(tag) = out.tag(name, list, number)? {
                    out.text.push_str(&tag);
                }
            }
            "EXT-X-SESSION-KEY" => {
                out.encrypted |= Attributes::get(list, "METHOD").is_some_and(|m| m != "NONE");
            }
            "EXT-X-CONTENT-STEERING" => {
                out.pathway = Attributes::get(list, "PATHWAY-ID").map(str::to_owned);
            }
            "EXTINF" => return Err(malformed(number, "EXTINF stands in a multivariant playlist.")),
            // Versions and session data change nothing that is played; comments nothing at all.
            _ => {}
        }
    }
    if pending.is_some() {
        out.warn(text.split('\n').count(), "the last EXT-X-STREAM-INF has no URI");
    }
    Ok(out)
}

impl Normalized {
    /// The tag as a line that `m3u8-rs` accepts; `None` if it lacks what it cannot be without.
    fn tag(&mut self, name: &str, list: &str, line: usize) -> Result<Option<String>> {
        let mut out = String::with_capacity(list.len() + name.len() + 16);
        out.push('#');
        out.push_str(name);
        out.push(':');
        let media_type = Attributes::get(list, "TYPE").unwrap_or("");
        let captions = media_type == "CLOSED-CAPTIONS";
        let mut has = Has::default();
        for a in Attributes::new(list) {
            let plain_name =
                !a.name.is_empty() && a.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            // The crate refuses the whole tag for these.
            let misplaced = name == "EXT-X-MEDIA"
                && match a.name {
                    "URI" => captions,
                    "FORCED" => media_type != "SUBTITLES",
                    "INSTREAM-ID" => !captions,
                    _ => false,
                };
            let value = if a.quoted { self.variables.expand(a.value, line)? } else { a.value.into() };
            let value = match (a.name, value) {
                // Some servers compute it, and send what they got.
                ("BANDWIDTH" | "AVERAGE-BANDWIDTH", Cow::Borrowed(value)) => leading_integer(value).into(),
                (_, value) => value,
            };
            if !plain_name || misplaced || value.is_empty() || value.contains('"') {
                continue;
            }
            let (quoted, valid) = match form(a.name) {
                Form::Quoted => (true, true),
                Form::QuotedIf(valid) => (true, valid(&value)),
                Form::Plain(valid) => (false, valid(&value) && !value.contains(',')),
                Form::Free => (a.quoted, true),
            };
            if !valid {
                self.warn(line, &["the attribute ", a.name, " is malformed and ignored"].concat());
                continue;
            }
            has.note(a.name);
            attribute(&mut out, a.name, &value, quoted);
        }
        let complete = match name {
            "EXT-X-MEDIA" => {
                if !has.name {
                    let name =
                        Attributes::get(list, "LANGUAGE").filter(|l| !l.is_empty() && !l.contains('{'));
                    attribute(&mut out, "NAME", name.unwrap_or("unnamed"), true);
                }
                has.media_type && has.group && (has.instream || !captions)
            }
            "EXT-X-I-FRAME-STREAM-INF" => has.uri,
            "EXT-X-START" => has.offset,
            _ => true,
        };
        if !complete {
            self.warn(line, &[name, " lacks a required attribute and is ignored"].concat());
            return Ok(None);
        }
        if name.ends_with("STREAM-INF") && !has.bandwidth {
            self.warn(line, "BANDWIDTH is missing; AVERAGE-BANDWIDTH or 0 is taken");
            let average = Attributes::get(list, "AVERAGE-BANDWIDTH").map(leading_integer);
            let average = average.filter(|v| integer(v).is_some());
            attribute(&mut out, "BANDWIDTH", average.unwrap_or("0"), false);
        }
        out.push('\n');
        Ok(Some(out))
    }

    pub(super) fn warn(&mut self, line: usize, what: &str) {
        if self.warnings.len() < super::MAX_WARNINGS {
            self.warnings.push(["line ", &line.to_string(), ": ", what].concat());
        }
    }
}

/// Which of the attributes that some tag cannot be without are there.
#[derive(Default)]
struct Has {
    uri: bool,
    bandwidth: bool,
    media_type: bool,
    group: bool,
    name: bool,
    instream: bool,
    offset: bool,
}

impl Has {
    fn note(&mut self, name: &str) {
        match name {
            "URI" => self.uri = true,
            "BANDWIDTH" => self.bandwidth = true,
            "TYPE" => self.media_type = true,
            "GROUP-ID" => self.group = true,
            "NAME" => self.name = true,
            "INSTREAM-ID" => self.instream = true,
            "TIME-OFFSET" => self.offset = true,
            _ => {}
        }
    }
}

fn attribute(out: &mut String, name: &str, value: &str, quoted: bool) {
    if !out.ends_with(':') {
        out.push(',');
    }
    let quote = if quoted { "\"" } else { "" };
    for part in [name, "=", quote, value, quote] {
        out.push_str(part);
    }
}
