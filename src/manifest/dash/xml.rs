//! XML (XML 1.0, Namespaces in XML 1.0) as far as an MPD needs it: a pull reader that fills a flat element tree.
//!
//! Written for size and speed: names and values borrow from the text, elements lie in one vector in document order, and the
//! `S` elements of a SegmentTimeline never become elements: they go straight into runs. The XML reader behind the
//! `dash-mpd` crate (quick-xml with serde) costs several times the bytes of this file in a build, does not resolve
//! namespace prefixes, and its `SegmentTimeline` holds one 72-byte struct per `S`.
//! Entities that a document defines itself are not expanded: no MPD needs them, and "entity bombs" do.

use super::datatypes::whole;
use super::timeline::Timeline;
use crate::error::{Code, PlayerError, Result};
use std::borrow::Cow;
use std::ops::Range;

/// Elements may nest this deep. MPDs need 8; SCTE-35 events inside of them some more.
const MAX_DEPTH: usize = 64;

/// Attributes of one element, and namespace declarations in force: far more than any schema has, and few enough to search
/// through one after the other.
const MAX_ATTRIBUTES: usize = 256;

/// Namespaces of MPDs begin with this: the year of the edition follows.
const MPD: &str = "urn:mpeg:dash:schema:mpd";

/// Whose vocabulary an element or attribute belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Namespace {
    /// ISO/IEC 23009-1: the namespace of the root element, those of its editions, and none.
    Dash,
    /// XLink: remote elements.
    Xlink,
    /// Common encryption, ISO/IEC 23001-7.
    Cenc,
    /// Anything else. Such elements are skipped with all that they contain.
    Other,
}

/// One attribute.
#[derive(Debug)]
pub(super) struct Attribute<'a> {
    pub namespace: Namespace,
    /// Without the prefix.
    pub name: &'a str,
    pub value: Cow<'a, str>,
    /// Set when the value turned out not to be of its type.
    pub dropped: bool,
}

/// One element.
#[derive(Debug)]
pub(super) struct Element<'a> {
    /// Without the prefix.
    pub name: &'a str,
    /// Indexes of its attributes.
    attributes: Range<u32>,
    /// Index after its last descendant.
    end: u32,
    /// Byte offset of its start tag in the text.
    pub offset: u32,
    /// Bytes between its tags; empty, behind the tag, if it has no end tag.
    pub content: Range<u32>,
    /// Byte offset after its end tag.
    pub after: u32,
    /// Character data, comments and children left out.
    pub text: Cow<'a, str>,
    /// For a SegmentTimeline: index of its runs.
    pub timeline: Option<u32>,
}

/// A whole document.
#[derive(Debug, Default)]
pub(super) struct Document<'a> {
    /// In document order; the root is the first.
    pub elements: Vec<Element<'a>>,
    pub attributes: Vec<Attribute<'a>>,
    pub timelines: Vec<Timeline>,
}

impl<'a> Document<'a> {
    /// Indexes of the children of an element, in order.
    pub fn children(&self, of: usize) -> impl Iterator<Item = usize> + '_ {
        let end = self.end(of);
        let mut next = of + 1;
        std::iter::from_fn(move || {
            let at = next;
            (at < end).then(|| {
                // An element ends after it starts, so that this goes forward whatever the document holds.
                next = (self.elements[at].end as usize).max(at + 1);
                at
            })
        })
    }

    /// Index after the last descendant of an element.
    pub fn end(&self, of: usize) -> usize {
        self.elements.get(of).map_or(0, |e| e.end as usize)
    }

    /// Indexes of the children that bear a name, without those that their `xlink:href` removes (ISO/IEC 23009-1 §5.5).
    pub fn children_named<'d>(&'d self, of: usize, name: &'d str) -> impl Iterator<Item = usize> + 'd {
        let removed = |i| self.remote(i) == Some("urn:mpeg:dash:resolve-to-zero:2013");
        self.children(of).filter(move |&i| self.elements[i].name == name && !removed(i))
    }

    /// First child of a name.
    pub fn child(&self, of: usize, name: &str) -> Option<usize> {
        self.children(of).find(|&i| self.elements[i].name == name)
    }

    /// Indexes of the attributes of an element.
    pub fn attribute_range(&self, of: usize) -> Range<usize> {
        self.elements.get(of).map_or(0..0, |e| e.attributes.start as usize..e.attributes.end as usize)
    }

    /// Value of an attribute of no namespace, trimmed.
    pub fn attribute(&self, of: usize, name: &str) -> Option<&str> {
        let attributes = self.attributes.get(self.attribute_range(of))?;
        attributes.iter().find(|a| a.name == name && a.namespace == Namespace::Dash).map(|a| a.value.trim())
    }

    /// Value of an attribute, whatever its namespace, trimmed.
    pub fn any_attribute(&self, of: usize, name: &str) -> Option<&str> {
        let attributes = self.attributes.get(self.attribute_range(of))?;
        attributes.iter().find(|a| a.name == name).map(|a| a.value.trim())
    }

    /// The remote element that this one stands for (`xlink:href`), trimmed.
    pub fn remote(&self, of: usize) -> Option<&str> {
        let attributes = self.attributes.get(self.attribute_range(of))?;
        let mut all = attributes.iter().filter(|a| a.namespace == Namespace::Xlink && a.name == "href");
        all.next().map(|a| a.value.trim())
    }

    /// Character data of an element, trimmed.
    pub fn text(&self, of: usize) -> &str {
        self.elements.get(of).map_or("", |e| e.text.trim())
    }
}

/// An error at a byte of the text; its position is the line.
pub(super) fn malformed(text: &str, offset: usize, what: &str) -> PlayerError {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = 1 + before.iter().filter(|&&b| b == b'\n').count();
    PlayerError::new(Code::ManifestMalformed, format!("{what} at line {line} (byte {offset}) of the MPD."))
        .at(line as u64)
}

/// Reads a document whose root element is a `root` (`MPD`, `Patch`).
pub(super) fn parse<'a>(
    text: &'a str,
    root: &'static str,
    warnings: &mut Vec<String>,
) -> Result<Document<'a>> {
    let mut reader = Reader {
        text,
        root,
        bytes: text.as_bytes(),
        pos: 0,
        document: Document::default(),
        open: Vec::new(),
        prefixes: Vec::new(),
        dash_uri: None,
        timeline: None,
        foreign: None,
    };
    reader.document().map_err(|(offset, what)| malformed(text, offset, what))?;
    for timeline in &mut reader.document.timelines {
        timeline.report(warnings);
    }
    if let Some(name) = reader.foreign {
        warnings.push([name, " was left out: its namespace is not that of DASH."].concat());
    }
    Ok(reader.document)
}

/// What is wrong, and where.
type Fault = (usize, &'static str);

/// An element whose end tag has not been seen.
struct Open<'a> {
    /// As written, prefix included.
    raw: &'a str,
    /// `None` within an element that is skipped.
    element: Option<u32>,
    /// Declarations before its own.
    prefixes: usize,
}

/// A namespace declaration in force.
struct Prefix<'a> {
    prefix: &'a str,
    namespace: Namespace,
}

/// The open SegmentTimeline.
struct OpenTimeline<'a> {
    index: usize,
    /// How its `S` elements are written: `S`, or `mpd:S`.
    prefix: &'a str,
    depth: usize,
}

struct Reader<'a> {
    text: &'a str,
    root: &'static str,
    bytes: &'a [u8],
    pos: usize,
    document: Document<'a>,
    open: Vec<Open<'a>>,
    prefixes: Vec<Prefix<'a>>,
    dash_uri: Option<Cow<'a, str>>,
    timeline: Option<OpenTimeline<'a>>,
    /// First element that has the name of something to play, but is in another namespace.
    foreign: Option<&'a str>,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> std::result::Result<(), Fault> {
        loop {
            let start = self.pos;
            let Some(tag) = find(&self.bytes[start..], b'<').map(|n| start + n) else {
                return self.end_of_text();
            };
            if tag > start {
                self.characters(start, tag)?;
            }
            self.pos = tag + 1;
            match self.bytes.get(self.pos) {
                Some(b'/') => self.end_tag(tag)?,
                Some(b'!') => self.markup_declaration(tag)?,
                Some(b'?') => self.skip_past(b"?>", tag)?,
                Some(_) => self.start_tag(tag)?,
                None => return Err((tag, "The document ends within a tag")),
            }
        }
    }

    fn end_of_text(&self) -> std::result::Result<(), Fault> {
        match (self.open.last(), self.document.elements.is_empty()) {
            (Some(_), _) => Err((self.bytes.len(), "The document is cut off")),
            (None, true) => Err((self.bytes.len(), "No MPD element")),
            (None, false) => Ok(()),
        }
    }

    /// Character data between tags.
    fn characters(&mut self, start: usize, end: usize) -> std::result::Result<(), Fault> {
        let raw = &self.text[start..end];
        if self.bytes[start..end].iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        if self.open.is_empty() {
            return Err((start, "Text outside of the root element"));
        }
        self.append_text(unescape(raw));
        Ok(())
    }

    fn append_text(&mut self, text: Cow<'a, str>) {
        let Some(index) = self.open.last().and_then(|o| o.element) else { return };
        let element = &mut self.document.elements[index as usize];
        if element.text.is_empty() {
            element.text = text;
        } else {
            element.text.to_mut().push_str(&text);
        }
    }

    /// `<!-- -->`, `<![CDATA[ ]]>`, `<!DOCTYPE >`.
    fn markup_declaration(&mut self, tag: usize) -> std::result::Result<(), Fault> {
        let rest = &self.bytes[tag..];
        if rest.starts_with(b"<!--") {
            self.pos = tag + 4;
            return self.skip_past(b"-->", tag);
        }
        if rest.starts_with(b"<![CDATA[") {
            self.pos = tag + 9;
            let start = self.pos;
            self.skip_past(b"]]>", tag)?;
            self.append_text(Cow::Borrowed(&self.text[start..self.pos - 3]));
            return Ok(());
        }
        if !rest.starts_with(b"<!DOCTYPE") || !self.open.is_empty() {
            return Err((tag, "Unexpected markup declaration"));
        }
        // The internal subset stands in brackets; its declarations are passed over, quoted strings as wholes.
        let (mut brackets, mut quote) = (0u32, None);
        for (i, &b) in self.bytes[tag..].iter().enumerate() {
            match (b, quote) {
                (b'"' | b'\'', None) => quote = Some(b),
                (_, Some(q)) if b == q => quote = None,
                (_, Some(_)) => {}
                (b'[', None) => brackets += 1,
                (b']', None) => brackets = brackets.saturating_sub(1),
                (b'>', None) if brackets == 0 => {
                    self.pos = tag + i + 1;
                    return Ok(());
                }
                _ => {}
            }
        }
        Err((tag, "A document type declaration does not end"))
    }

    fn skip_past(&mut self, end: &[u8], tag: usize) -> std::result::Result<(), Fault> {
        let mut from = self.pos;
        // All the ends that are sought finish with '>': jump from one to the next.
        while let Some(n) = find(&self.bytes[from..], b'>') {
            let after = from + n + 1;
            if after - self.pos >= end.len() && self.bytes[..after].ends_with(end) {
                self.pos = after;
                return Ok(());
            }
            from = after;
        }
        Err((tag, "A comment, CDATA section or processing instruction does not end"))
    }

    fn end_tag(&mut self, tag: usize) -> std::result::Result<(), Fault> {
        self.pos = tag + 2;
        let name = self.name();
        self.skip_space();
        if self.bytes.get(self.pos) != Some(&b'>') {
            return Err((tag, "An end tag is not closed"));
        }
        self.pos += 1;
        match self.open.last() {
            Some(open) if open.raw == name => {
                self.close(tag);
                Ok(())
            }
            _ => Err((tag, "An end tag does not match its start tag")),
        }
    }

    /// Ends the innermost element, whose content ends at `tag`; the position is behind its end tag.
    fn close(&mut self, tag: usize) {
        let Some(open) = self.open.pop() else { return };
        self.prefixes.truncate(open.prefixes);
        if let Some(index) = open.element {
            let end = self.document.elements.len() as u32;
            let element = &mut self.document.elements[index as usize];
            (element.end, element.content.end, element.after) = (end, tag as u32, self.pos as u32);
        }
        if self.timeline.as_ref().is_some_and(|t| t.depth > self.open.len()) {
            self.timeline = None;
        }
    }

    fn start_tag(&mut self, tag: usize) -> std::result::Result<(), Fault> {
        let raw = self.name();
        if let Some(timeline) = &self.timeline
            && timeline.depth == self.open.len()
            && let Some((prefix, "S")) = Some(split_name(raw))
            && prefix == timeline.prefix
        {
            let index = timeline.index;
            return self.timeline_entry(index, raw, tag);
        }
        if raw.is_empty() {
            return Err((tag, "'<' is not followed by a name"));
        }
        if self.open.is_empty() && !self.document.elements.is_empty() {
            return Err((tag, "A second root element"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err((tag, "Elements nest too deeply"));
        }
        let first_attribute = self.document.attributes.len();
        let prefixes = self.prefixes.len();
        let closed = self.attributes(tag, first_attribute)?;
        let (prefix, local) = split_name(raw);
        let in_skipped = self.open.last().is_some_and(|o| o.element.is_none());
        let namespace = if in_skipped { Namespace::Other } else { self.namespace(prefix) };
        if self.open.is_empty() && (local != self.root || namespace != Namespace::Dash) {
            return Err((tag, "The root element is not MPD but another"));
        }
        let content = self.pos;
        let element = if namespace == Namespace::Other {
            if !in_skipped && matches!(local, "Period" | "AdaptationSet" | "Representation") {
                self.foreign.get_or_insert(raw);
            }
            self.document.attributes.truncate(first_attribute);
            None
        } else {
            for i in first_attribute..self.document.attributes.len() {
                let (prefix, local) = split_name(self.document.attributes[i].name);
                let namespace = if prefix.is_empty() { Namespace::Dash } else { self.namespace(prefix) };
                let attribute = &mut self.document.attributes[i];
                (attribute.name, attribute.namespace) = (local, namespace);
            }
            let timeline = (local == "SegmentTimeline").then(|| {
                let index = self.document.timelines.len();
                self.document.timelines.push(Timeline::default());
                if !closed {
                    self.timeline = Some(OpenTimeline { index, prefix, depth: self.open.len() + 1 });
                    if prefix.is_empty() {
                        self.plain_timeline_entries(index);
                    }
                }
                index as u32
            });
            self.document.elements.push(Element {
                name: local,
                attributes: first_attribute as u32..self.document.attributes.len() as u32,
                end: self.document.elements.len() as u32 + 1,
                offset: tag as u32,
                content: content as u32..content as u32,
                after: content as u32,
                text: Cow::Borrowed(""),
                timeline,
            });
            Some(self.document.elements.len() as u32 - 1)
        };
        self.open.push(Open { raw, element, prefixes });
        if closed {
            self.close(content);
        }
        Ok(())
    }

    /// Reads attributes up to the end of the start tag; tells whether the element is empty (`/>`). Names keep their
    /// prefixes for the time being, since a declaration may follow its use.
    fn attributes(&mut self, tag: usize, first: usize) -> std::result::Result<bool, Fault> {
        let is_root = self.open.is_empty();
        let mut declared: Vec<(&'a str, Cow<'a, str>)> = Vec::new();
        let closed = loop {
            let before = self.pos;
            self.skip_space();
            match self.bytes.get(self.pos) {
                Some(b'>') => {
                    self.pos += 1;
                    break false;
                }
                Some(b'/') if self.bytes.get(self.pos + 1) == Some(&b'>') => {
                    self.pos += 2;
                    break true;
                }
                None => return Err((tag, "The document ends within a tag")),
                Some(_) if before == self.pos => {
                    return Err((before, "An attribute is not set apart by a space"));
                }
                Some(_) => {}
            }
            let (name, value) = self.attribute()?;
            let count = self.document.attributes.len() - first + declared.len() + self.prefixes.len();
            if count >= MAX_ATTRIBUTES {
                return Err((before, "Too many attributes or namespaces"));
            }
            if name == "xmlns" {
                declared.push(("", value));
            } else if let Some(prefix) = name.strip_prefix("xmlns:") {
                declared.push((prefix, value));
            } else if self.document.attributes[first..].iter().any(|a| a.name == name) {
                return Err((before, "An attribute is given twice"));
            } else {
                self.document.attributes.push(Attribute {
                    namespace: Namespace::Dash,
                    name,
                    value,
                    dropped: false,
                });
            }
        };
        if is_root && !declared.is_empty() {
            // Whatever namespace the MPD element is in counts as that of DASH: there are several in use (drafts, 3GPP).
            let raw_end = tag + 1 + name_length(&self.bytes[tag + 1..]);
            let prefix = split_name(&self.text[tag + 1..raw_end]).0;
            self.dash_uri = declared.iter().find(|d| d.0 == prefix).map(|d| d.1.clone());
        }
        for (prefix, uri) in declared {
            let namespace = match uri.as_ref() {
                // Tools that put an MPD together leave children without a namespace, or in that of another edition.
                uri if uri.is_empty() || Some(uri) == self.dash_uri.as_deref() => Namespace::Dash,
                uri if uri.get(..MPD.len()).is_some_and(|u| u.eq_ignore_ascii_case(MPD)) => Namespace::Dash,
                "http://www.w3.org/1999/xlink" => Namespace::Xlink,
                "urn:mpeg:cenc:2013" => Namespace::Cenc,
                _ => Namespace::Other,
            };
            self.prefixes.push(Prefix { prefix, namespace });
        }
        Ok(closed)
    }

    /// `name="value"`, the position at the name.
    fn attribute(&mut self) -> std::result::Result<(&'a str, Cow<'a, str>), Fault> {
        let start = self.pos;
        let name = self.name();
        if name.is_empty() {
            return Err((start, "Not an attribute name"));
        }
        self.skip_space();
        if self.bytes.get(self.pos) != Some(&b'=') {
            return Err((start, "An attribute has no value"));
        }
        self.pos += 1;
        self.skip_space();
        let quote = match self.bytes.get(self.pos) {
            Some(&q @ (b'"' | b'\'')) => q,
            _ => return Err((start, "An attribute value is not quoted")),
        };
        let from = self.pos + 1;
        let Some(length) = find(&self.bytes[from..], quote) else {
            return Err((start, "An attribute value does not end"));
        };
        let raw = &self.text[from..from + length];
        if find(raw.as_bytes(), b'<').is_some() {
            return Err((start, "An attribute value holds '<': its quote is missing"));
        }
        self.pos = from + length + 1;
        Ok((name, unescape(raw)))
    }

    /// One `S` of a SegmentTimeline (ISO/IEC 23009-1 §5.3.9.6), the position after its name.
    fn timeline_entry(&mut self, index: usize, raw: &'a str, tag: usize) -> std::result::Result<(), Fault> {
        let (mut time, mut duration, mut repeat, mut number) = (None, None, 0i64, None);
        let closed = loop {
            self.skip_space();
            match self.bytes[self.pos..] {
                [b'>', ..] => {
                    self.pos += 1;
                    break false;
                }
                [b'/', b'>', ..] => {
                    self.pos += 2;
                    break true;
                }
                [] => return Err((tag, "The document ends within a tag")),
                _ => {
                    let (name, value) = self.attribute()?;
                    let value = whole(value.trim());
                    match name {
                        "t" => time = value.parse().ok(),
                        "d" => duration = value.parse().ok(),
                        "n" => number = value.parse().ok(),
                        "r" => repeat = value.parse().unwrap_or(0),
                        _ => {}
                    }
                }
            }
        };
        self.document.timelines[index].push(time, duration, repeat, number);
        if closed {
            if raw == "S" {
                self.plain_timeline_entries(index);
            }
        } else {
            self.open.push(Open { raw, element: None, prefixes: self.prefixes.len() });
        }
        Ok(())
    }

    /// Takes `S` elements as long as they are written the usual way, `<S t="1" d="2" r="3"/>`, and stops before the first that is
    /// not. A timeline of a long stream has ten thousand of them: this loop is what its parsing time consists of.
    fn plain_timeline_entries(&mut self, index: usize) {
        let bytes = self.bytes;
        let timeline = &mut self.document.timelines[index];
        'entries: loop {
            let mut pos = self.pos;
            while matches!(bytes.get(pos), Some(b' ' | b'\n' | b'\r' | b'\t')) {
                pos += 1;
            }
            let Some([b'<', b'S', ..]) = bytes.get(pos..) else { return };
            pos += 2;
            let (mut time, mut duration, mut repeat) = (None, None, 0);
            loop {
                match bytes.get(pos..) {
                    Some([b' ', name @ (b't' | b'd' | b'r'), b'=', b'"', ..]) => {
                        pos += 4;
                        let from = pos;
                        let mut value = 0u64;
                        while let Some(&digit @ b'0'..=b'9') = bytes.get(pos) {
                            value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
                            pos += 1;
                        }
                        // 18 digits cannot overflow.
                        if pos == from || pos - from > 18 || bytes.get(pos) != Some(&b'"') {
                            return;
                        }
                        pos += 1;
                        match name {
                            b't' => time = Some(value),
                            b'd' => duration = Some(value),
                            _ => repeat = value as i64,
                        }
                    }
                    Some([b'/', b'>', ..]) => {
                        timeline.push(time, duration, repeat, None);
                        self.pos = pos + 2;
                        continue 'entries;
                    }
                    _ => return,
                }
            }
        }
    }

    fn namespace(&self, prefix: &str) -> Namespace {
        match self.prefixes.iter().rev().find(|p| p.prefix == prefix) {
            Some(p) => p.namespace,
            // No declaration at all: taken for DASH's, prefixed names for foreign ones.
            None if prefix.is_empty() => Namespace::Dash,
            None => Namespace::Other,
        }
    }

    /// Takes a name; empty if there is none.
    fn name(&mut self) -> &'a str {
        let start = self.pos;
        self.pos += name_length(&self.bytes[start..]);
        &self.text[start..self.pos]
    }

    fn skip_space(&mut self) {
        while self.bytes.get(self.pos).is_some_and(u8::is_ascii_whitespace) {
            self.pos += 1;
        }
    }
}

/// Bytes up to the first that cannot be in a name. All delimiters are ASCII, so that this ends on a character boundary.
pub(super) fn name_length(bytes: &[u8]) -> usize {
    let ends =
        |b: &u8| b.is_ascii_whitespace() || matches!(b, b'=' | b'/' | b'>' | b'<' | b'"' | b'\'' | b'&');
    bytes.iter().position(ends).unwrap_or(bytes.len())
}

/// Prefix (perhaps empty) and local name.
fn split_name(raw: &str) -> (&str, &str) {
    match raw.as_bytes().iter().position(|&b| b == b':') {
        Some(i) => (&raw[..i], &raw[i + 1..]),
        None => ("", raw),
    }
}

fn find(bytes: &[u8], byte: u8) -> Option<usize> {
    bytes.iter().position(|&b| b == byte)
}

/// A reference and its semicolon are no longer than this, or a stray `&` would be searched behind to the end of the text.
const MAX_ENTITY: usize = 12;

/// Replaces character references and the five predefined entities (XML 1.0 §4.6). Others stay as they are written.
pub(super) fn unescape(raw: &str) -> Cow<'_, str> {
    if find(raw.as_bytes(), b'&').is_none() {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let end = after.bytes().take(MAX_ENTITY).position(|b| b == b';');
        let entity = end.and_then(|end| Some((character(&after[..end])?, &after[end + 1..])));
        match entity {
            Some((c, tail)) => {
                out.push(c);
                rest = tail;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn character(entity: &str) -> Option<char> {
    Some(match entity {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    })
}
