//! MPD patches (ISO/IEC 23009-1 §5.15): RFC 5261 with the selectors that DASH allows, as edits of the text of an MPD.
//!
//! The text is read once into a tree of byte offsets, `S` elements left out. An edit moves the offsets behind it; the text is read again
//! only where a selector leads into what an edit brought. A timeline of ten thousand entries costs no more than to look for its end.

use super::{datatypes, decode, xml};
use crate::error::{Code, PlayerError, Result};
use std::ops::Range;

/// A patch with more operations is not worth it: the whole MPD is quicker.
const MAX_OPERATIONS: usize = 500;

/// How often the text is read again.
const MAX_READS: u32 = 50;

/// Applies an MPD patch to the text of the MPD that it was made for. Gives the text of the new MPD, in UTF-8. Errors:
/// `MANIFEST_MALFORMED` where it is no patch, is of another MPD or of another state of it, or names what is not there: the whole MPD
/// has to be fetched then.
pub fn patch(mpd: &[u8], patch: &[u8]) -> Result<Vec<u8>> {
    const ROOT: usize = 0;
    let text = decode(patch, &mut Vec::new());
    let document = xml::parse(&text, "Patch", &mut Vec::new())?;
    let mut target = Target { text: decode(mpd, &mut Vec::new()).into_owned(), nodes: Vec::new(), reads: 0 };
    target.read()?;
    let root = target.node(ROOT).ok_or_else(|| fault("The MPD is empty", ""))?;
    let attribute = |name| document.attribute(ROOT, name);
    let same = |name: &str, value: &str| target.value(&root, name).is_some_and(|v| v.trim() == value);
    if attribute("mpdId").is_some_and(|id| !same("id", id)) {
        return Err(fault("The MPD patch is for another MPD", ""));
    }
    let original = attribute("originalPublishTime");
    let at = |text: &str| datatypes::date_time(text);
    let published = target.value(&root, "publishTime").and_then(|t| at(&t));
    if published.is_none() || original.and_then(at) != published {
        return Err(fault("The MPD patch is for another state of the MPD", ""));
    }
    for (n, operation) in document.children(ROOT).enumerate() {
        let selector = document.attribute(operation, "sel").unwrap_or("");
        if n >= MAX_OPERATIONS {
            return Err(fault("The MPD patch is too long", ""));
        }
        let element = &document.elements[operation];
        let content = text.get(element.content.start as usize..element.content.end as usize).unwrap_or("");
        let change = Change {
            kind: element.name,
            // Of content that is a value.
            value: document.text(operation),
            content,
            only: document
                .elements
                .get(operation + 1)
                .filter(|child| {
                    child.offset < element.content.end
                        && child.after as usize - child.offset as usize == content.trim().len()
                })
                .map(|child| child.name),
            pos: document.attribute(operation, "pos").unwrap_or(""),
            node_type: document.attribute(operation, "type").unwrap_or(""),
        };
        target.apply(selector, &change)?;
    }
    if let Some(time) = attribute("publishTime")
        && let Some(root) = target.node(ROOT)
    {
        target.set_attribute(&root, "publishTime", time);
    }
    Ok(target.text.into_bytes())
}

fn fault(what: &str, selector: &str) -> PlayerError {
    let place = if selector.is_empty() { "" } else { ": " };
    PlayerError::new(Code::ManifestMalformed, [what, place, selector, "."].concat())
}

/// One operation.
struct Change<'p> {
    /// `add`, `replace`, `remove`.
    kind: &'p str,
    value: &'p str,
    /// As it is written.
    content: &'p str,
    /// The content is one element of this name.
    only: Option<&'p str>,
    pos: &'p str,
    /// `@name` of an attribute to add.
    node_type: &'p str,
}

/// An element of the text by its offsets, see [`xml::Element`].
#[derive(Clone, Debug)]
struct Node {
    offset: usize,
    content: Range<usize>,
    after: usize,
    /// Index after its last descendant.
    end: usize,
    /// Replaced: its descendants are not known.
    stale: bool,
}

/// What a step of a selector leads to.
#[derive(Clone)]
struct Found {
    node: Node,
    /// Its index; `S` elements have none.
    index: Option<usize>,
}

/// What the end of a selector names of an element.
enum Part<'s> {
    Whole,
    Attribute(&'s str),
    Text,
}

/// The MPD that is changed.
struct Target {
    text: String,
    /// In document order.
    nodes: Vec<Node>,
    reads: u32,
}

impl Target {
    fn read(&mut self) -> Result<()> {
        self.reads += 1;
        if self.reads > MAX_READS {
            return Err(fault("The MPD patch changes too much", ""));
        }
        let document = xml::parse(&self.text, "MPD", &mut Vec::new())?;
        let nodes = document.elements.iter().enumerate().map(|(i, e)| Node {
            offset: e.offset as usize,
            content: e.content.start as usize..e.content.end as usize,
            after: e.after as usize,
            end: document.end(i),
            stale: false,
        });
        self.nodes = nodes.collect();
        Ok(())
    }

    fn node(&self, index: usize) -> Option<Found> {
        Some(Found { node: self.nodes.get(index)?.clone(), index: Some(index) })
    }

    /// Name as it is written, prefix included.
    fn name(&self, node: &Node) -> &str {
        let tag = self.text.get(node.offset + 1..).unwrap_or("");
        &tag[..xml::name_length(tag.as_bytes())]
    }

    /// Place of an attribute: with the space before it, and of its value.
    fn attribute(&self, node: &Node, name: &str) -> Option<(Range<usize>, Range<usize>)> {
        let mut at = node.offset + 1 + self.name(node).len();
        let bytes = self.text.as_bytes().get(..node.content.start)?;
        loop {
            let start = at;
            let space = |at: &mut usize| {
                while bytes.get(*at).is_some_and(u8::is_ascii_whitespace) {
                    *at += 1;
                }
            };
            space(&mut at);
            let from = at;
            at += xml::name_length(bytes.get(at..)?);
            let found = self.text.get(from..at).filter(|n| !n.is_empty())?;
            space(&mut at);
            // The reader has seen that '=' and a quote follow.
            at += 1;
            space(&mut at);
            let quote = *bytes.get(at)?;
            let value = at + 1;
            let end = value + bytes.get(value..)?.iter().position(|&b| b == quote)?;
            at = end + 1;
            if found == name || found.rsplit_once(':').is_some_and(|(_, local)| local == name) {
                return Some((start..at, value..end));
            }
        }
    }

    fn value(&self, of: &Found, name: &str) -> Option<String> {
        let (_, value) = self.attribute(&of.node, name)?;
        Some(xml::unescape(self.text.get(value)?).into_owned())
    }

    fn set_attribute(&mut self, of: &Found, name: &str, value: &str) {
        let value = escape(value);
        match self.attribute(&of.node, name) {
            Some((_, range)) => self.edit(range, &value),
            None => {
                let at = of.node.offset + 1 + self.name(&of.node).len();
                self.edit(at..at, &[" ", name, "=\"", &value, "\""].concat());
            }
        }
    }

    /// Replaces part of the text. Nodes within it are not looked after.
    fn edit(&mut self, range: Range<usize>, by: &str) {
        let (from, to) = (range.start, range.end);
        let (grown, shrunk) = (by.len(), to - from);
        let behind = |at: &mut usize| *at = *at + grown - shrunk;
        for node in &mut self.nodes {
            // What is put in between two tags lies in front of the second.
            for at in [&mut node.offset, &mut node.content.end] {
                if *at >= to {
                    behind(at);
                }
            }
            for at in [&mut node.content.start, &mut node.after] {
                if *at > to || (*at == to && from < to) {
                    behind(at);
                }
            }
        }
        self.text.replace_range(range, by);
    }

    /// Children with a local name; of `S` elements not many more than `most`.
    fn children(&self, of: &Found, name: &str, most: usize) -> Vec<Found> {
        let Some(index) = of.index else { return Vec::new() };
        let is_named = |node: &Node| local(self.name(node)) == name;
        if name == "S" && local(self.name(&of.node)) == "SegmentTimeline" {
            return self.entries(&of.node, most);
        }
        let mut out = Vec::new();
        let mut next = index + 1;
        while next < of.node.end
            && let Some(found) = self.node(next)
        {
            next = found.node.end.max(next + 1);
            if is_named(&found.node) {
                out.push(found);
            }
        }
        out
    }

    /// The `S` elements of a SegmentTimeline, the first `most` at least.
    fn entries(&self, timeline: &Node, most: usize) -> Vec<Found> {
        let bytes = self.text.as_bytes();
        let mut out: Vec<Found> = Vec::new();
        let mut at = timeline.content.start;
        let find = |from: usize, what: &[u8]| {
            let within = bytes.get(from..timeline.content.end)?;
            within.windows(what.len()).position(|w| w == what).map(|n| from + n)
        };
        while out.len() <= most
            && let Some(tag) = find(at, b"<")
        {
            let rest = &bytes[tag..timeline.content.end];
            if rest.starts_with(b"<!--") {
                at = find(tag, b"-->").map_or(timeline.content.end, |end| end + 3);
                continue;
            }
            // No value of an `S` holds a '>'.
            let Some(end) = find(tag, b">").map(|end| end + 1) else { break };
            at = end;
            if rest.starts_with(b"</") {
                if let Some(last) = out.last_mut() {
                    (last.node.content.end, last.node.after) = (tag, end);
                }
            } else if !rest.starts_with(b"<!") && !rest.starts_with(b"<?") {
                let node = Node { offset: tag, content: end..end, after: end, end: 0, stale: false };
                out.push(Found { node, index: None });
            }
        }
        out
    }

    /// Follows a selector: an absolute path of names, with positions and attributes as predicates.
    fn select<'s>(&mut self, selector: &'s str) -> Result<(Found, Part<'s>)> {
        let unclear = || fault("The MPD patch names what cannot be found", selector);
        let mut steps = steps(selector).ok_or_else(unclear)?;
        let part = match steps.last().copied() {
            Some("text()") => Part::Text,
            Some(last) => last.strip_prefix('@').map_or(Part::Whole, |name| Part::Attribute(local(name))),
            None => return Err(unclear()),
        };
        if !matches!(part, Part::Whole) {
            steps.pop();
        }
        let mut steps = steps.into_iter();
        let root = steps.next().filter(|s| local(s) == "MPD").and_then(|_| self.node(0));
        let mut found = vec![root.ok_or_else(unclear)?];
        for step in steps {
            let outer = std::mem::take(&mut found);
            for parent in &outer {
                found.extend(self.step(parent, step).ok_or_else(unclear)?);
            }
            if found.iter().any(|f| f.node.stale) {
                self.read()?;
                return self.select(selector);
            }
        }
        // "A single unique target node" (RFC 5261 §4.1).
        match <[Found; 1]>::try_from(found) {
            Ok([one]) => Ok((one, part)),
            Err(_) => Err(unclear()),
        }
    }

    /// Children that a step with its predicates leads to. `None`: it is not understood.
    fn step(&self, parent: &Found, step: &str) -> Option<Vec<Found>> {
        let (name, mut predicates) = step.split_at(step.find('[').unwrap_or(step.len()));
        let first = predicates.strip_prefix('[').and_then(split_predicate);
        let most = first.and_then(|p| p.0.parse().ok()).unwrap_or(usize::MAX);
        let mut found = self.children(parent, local(name), most);
        while !predicates.is_empty() {
            let (predicate, rest) = split_predicate(predicates.strip_prefix('[')?)?;
            predicates = rest;
            if let Some(test) = predicate.strip_prefix('@') {
                let (name, value) = test.split_once('=')?;
                let value = value.trim();
                let value = ['"', '\''].iter().find_map(|&q| value.strip_prefix(q)?.strip_suffix(q))?;
                found.retain(|c| self.value(c, local(name.trim())).is_some_and(|v| v == value));
            } else {
                let nth = predicate.parse::<usize>().ok()?.checked_sub(1)?;
                found = found.into_iter().skip(nth).take(1).collect();
            }
        }
        Some(found)
    }

    fn apply(&mut self, selector: &str, change: &Change<'_>) -> Result<()> {
        let (found, part) = self.select(selector)?;
        let Found { node, index } = &found;
        let (whole, no_end_tag) = (node.offset..node.after, node.content.start == node.after);
        match (change.kind, part) {
            ("add", Part::Whole) => return self.add(&found, change, no_end_tag),
            (kind @ ("replace" | "remove"), Part::Attribute(name)) => {
                let Some((range, _)) = self.attribute(node, name) else {
                    return Err(fault("The MPD patch names what cannot be found", selector));
                };
                match kind {
                    "remove" => self.edit(range, ""),
                    _ => self.set_attribute(&found, name, change.value),
                }
                return Ok(());
            }
            ("replace", Part::Text) if !no_end_tag => {
                self.edit(node.content.clone(), &escape(change.value));
            }
            ("replace", Part::Whole) => {
                let same = change.only == Some(local(self.name(node)));
                self.edit(whole, change.content.trim());
                if let (true, Some(node)) = (same, index.and_then(|i| self.nodes.get_mut(i))) {
                    node.stale = true;
                    return Ok(());
                }
            }
            ("remove", Part::Whole) if *index != Some(0) => self.edit(whole, ""),
            _ => return Err(fault("The MPD patch has an operation that is not supported", selector)),
        }
        // An `S` has no node that could be wrong now.
        if index.is_some() { self.read() } else { Ok(()) }
    }

    fn add(&mut self, to: &Found, change: &Change<'_>, no_end_tag: bool) -> Result<()> {
        let node = &to.node;
        if let Some(name) = change.node_type.strip_prefix('@') {
            self.set_attribute(to, local(name), change.value);
            return Ok(());
        }
        let at = match (change.node_type, change.pos) {
            ("", "") => node.content.end,
            ("", "prepend") => node.content.start,
            ("", "before") => node.offset,
            ("", "after") => node.after,
            _ => return Err(fault("The MPD patch adds in a way that is not supported", "")),
        };
        let inside = matches!(change.pos, "" | "prepend");
        if inside && no_end_tag {
            // `<a/>` becomes `<a>…</a>`.
            let with_tags = [">", change.content, "</", self.name(node), ">"].concat();
            self.edit(at - 2..at, &with_tags);
            return self.read();
        }
        let timeline = inside && local(self.name(node)) == "SegmentTimeline";
        self.edit(at..at, change.content);
        if timeline || to.index.is_none() { Ok(()) } else { self.read() }
    }
}

/// Steps of an absolute path; a `/` within a predicate is none.
fn steps(selector: &str) -> Option<Vec<&str>> {
    let selector = selector.trim().strip_prefix('/')?;
    let mut out = Vec::new();
    let (mut from, mut quote, mut brackets) = (0, None, 0u32);
    for (i, b) in selector.bytes().enumerate() {
        match (b, quote) {
            (b'"' | b'\'', None) => quote = Some(b),
            (_, Some(q)) if b == q => quote = None,
            (_, Some(_)) => {}
            (b'[', None) => brackets += 1,
            (b']', None) => brackets = brackets.saturating_sub(1),
            (b'/', None) if brackets == 0 => {
                out.push(&selector[from..i]);
                from = i + 1;
            }
            _ => {}
        }
    }
    out.push(&selector[from..]);
    Some(out)
}

/// A predicate without its brackets, and what follows it.
fn split_predicate(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (i, b) in text.bytes().enumerate() {
        match (b, quote) {
            (b'"' | b'\'', None) => quote = Some(b),
            (_, Some(q)) if b == q => quote = None,
            (b']', None) => return Some((text[..i].trim(), text[i + 1..].trim_start())),
            _ => {}
        }
    }
    None
}

/// Name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |n| n.1)
}

/// Text as it stands in an attribute or an element.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace('\'', "&apos;")
}
