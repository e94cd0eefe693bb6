//! Fills the types of the `dash-mpd` crate from the element tree: a serde `Deserializer` beside the crate's own `parse`.
//!
//! `dash_mpd::parse` is serde-derive on raw XML. It lacks what a player needs: namespace prefixes are not resolved, one
//! malformed optional attribute rejects the whole manifest, attributes are not inherited from level to level, and
//! `S` elements are not run-length encoded. Its larger types also bring date, duration and URL readers with regular
//! expressions. Measured as a module that does nothing but parse (opt-level z, wasm-opt -Oz, brotli -11): the crate's `MPD`
//! filled by this deserializer 167 kB, its `Representation` alone 146 kB, all of this folder 58 kB. So single elements of the
//! crate are read, those that address segments, through a [`View`] in which the levels of the MPD are already merged
//! (ISO/IEC 23009-1 §5.3.9.1); what surrounds them is read from the tree.
//!
//! Nothing here is generic over the input, so that each of the crate's types is instantiated once.

use super::datatypes::{double, whole};
use super::xml::{Document, Namespace};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use std::cell::Cell;

/// One element as the levels of the MPD make it together: attributes and children of the first level win.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// The lowest level first.
    pub levels: Vec<usize>,
}

/// An attribute that is not of its type is dropped with a warning; after this many the MPD is not worth more time.
const MAX_DROPPED: u32 = 100;

/// Children of more names than this are not those of the specification.
const MAX_NAMES: usize = 64;

/// Reads `T` from a view. Malformed attributes are marked as dropped in the document, with a warning. `None`: hopeless.
pub(super) fn read<T: for<'de> Deserialize<'de>>(
    document: &mut Document<'_>,
    view: &View,
    warnings: &mut Vec<String>,
) -> Option<T> {
    for _ in 0..MAX_DROPPED {
        let last = Cell::new(None);
        let source = Source { document, last: &last };
        if let Ok(value) = T::deserialize(Elements { source, levels: &view.levels }) {
            return Some(value);
        }
        let attribute = document.attributes.get_mut(last.get()?)?;
        attribute.dropped = true;
        warnings.push(
            [
                "Attribute ",
                attribute.name,
                "=\"",
                clip(&attribute.value),
                "\" was left out: not a valid value.",
            ]
            .concat(),
        );
    }
    None
}

/// The start of a string that may be long.
fn clip(text: &str) -> &str {
    text.char_indices().nth(60).map_or(text, |(end, _)| &text[..end])
}

/// What is being read, and which attribute was handed out last: that one is to blame for an error.
#[derive(Clone, Copy)]
struct Source<'de> {
    document: &'de Document<'de>,
    last: &'de Cell<Option<usize>>,
}

/// The attribute handed out last is not of its type. Carries nothing: the place is known from [`Source`].
#[derive(Debug)]
pub(super) struct NotOfType;

impl std::fmt::Display for NotOfType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not of its type")
    }
}

impl std::error::Error for NotOfType {}

impl de::Error for NotOfType {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
    // The provided methods format messages that nobody reads: they would cost kilobytes.
    fn invalid_type(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self
    }
    fn invalid_value(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self
    }
    fn invalid_length(_: usize, _: &dyn de::Expected) -> Self {
        Self
    }
    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }
    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }
    fn missing_field(_: &'static str) -> Self {
        Self
    }
    fn duplicate_field(_: &'static str) -> Self {
        Self
    }
}

type Result<T> = std::result::Result<T, NotOfType>;

/// Elements of one name at several levels (a struct reads all, merged), or siblings (a sequence reads one by one).
#[derive(Clone, Copy)]
struct Elements<'de, 'l> {
    source: Source<'de>,
    levels: &'l [usize],
}

impl<'de> de::Deserializer<'de> for Elements<'de, '_> {
    type Error = NotOfType;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_map(Fields::new(self))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_str(self.levels.first().map_or("", |&e| self.source.document.text(e)))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_seq(Siblings { source: self.source, left: self.levels })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str bytes byte_buf unit unit_struct
        newtype_struct tuple tuple_struct map struct enum identifier
    }
}

struct Siblings<'de, 'l> {
    source: Source<'de>,
    left: &'l [usize],
}

impl<'de> SeqAccess<'de> for Siblings<'de, '_> {
    type Error = NotOfType;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some((one, rest)) = self.left.split_first() else { return Ok(None) };
        self.left = rest;
        seed.deserialize(Elements { source: self.source, levels: std::slice::from_ref(one) }).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.len())
    }
}

/// The fields of an element: `@attribute`, then children by name, then `$text`.
struct Fields<'de> {
    source: Source<'de>,
    /// Indexes of attributes, the first of each name.
    attributes: std::vec::IntoIter<usize>,
    children: std::vec::IntoIter<(&'de str, Vec<usize>)>,
    text: Option<&'de str>,
    next: Next<'de>,
}

enum Next<'de> {
    Nothing,
    Children(Vec<usize>),
    Text(&'de str),
}

impl<'de> Fields<'de> {
    fn new(of: Elements<'de, '_>) -> Self {
        let document = of.source.document;
        let mut attributes: Vec<usize> = Vec::new();
        let mut children: Vec<(&'de str, Vec<usize>)> = Vec::new();
        for (level, &element) in of.levels.iter().enumerate() {
            for i in document.attribute_range(element) {
                let attribute = &document.attributes[i];
                let known = attributes.iter().any(|&a| document.attributes[a].name == attribute.name);
                if !known && !attribute.dropped && attribute.namespace != Namespace::Other {
                    attributes.push(i);
                }
            }
            // Children of a name come from the lowest level that has any. A SegmentTimeline stays in the tree, as runs.
            let lower = children.len();
            for child in document.children(element) {
                let name = document.elements[child].name;
                match children.iter().position(|c| c.0 == name) {
                    _ if name == "SegmentTimeline" => {}
                    Some(at) if at < lower && level > 0 => {}
                    Some(at) => children[at].1.push(child),
                    None if children.len() < MAX_NAMES => children.push((name, vec![child])),
                    None => {}
                }
            }
        }
        let text = of.levels.first().map(|&e| document.text(e)).filter(|t| !t.is_empty());
        Self {
            source: of.source,
            attributes: attributes.into_iter(),
            children: children.into_iter(),
            text,
            next: Next::Nothing,
        }
    }

    // What does not depend on the type that is read is here, once for all types.

    fn next_key(&mut self) -> Option<Key> {
        if let Some(&index) = self.attributes.as_slice().first() {
            return Some(Key(["@", self.source.document.attributes[index].name].concat()));
        }
        let (name, next) = match self.children.next() {
            Some((name, elements)) => (name, Next::Children(elements)),
            None => ("$text", Next::Text(self.text.take()?)),
        };
        self.next = next;
        Some(Key(name.to_owned()))
    }

    fn next_value(&mut self) -> Next<'de> {
        if let Some(index) = self.attributes.next() {
            self.source.last.set(Some(index));
            return Next::Text(self.source.document.attributes[index].value.trim());
        }
        std::mem::replace(&mut self.next, Next::Nothing)
    }
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = NotOfType;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        self.next_key().map(|key| seed.deserialize(key)).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        match self.next_value() {
            Next::Nothing => Err(NotOfType),
            Next::Children(elements) => seed.deserialize(Elements { source: self.source, levels: &elements }),
            Next::Text(text) => seed.deserialize(Value(text)),
        }
    }
}

/// A name as serde's fields spell it: attributes begin with `@`.
struct Key(String);

impl<'de> de::Deserializer<'de> for Key {
    type Error = NotOfType;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_string(self.0)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Text of an attribute or element as the type that the field asks for.
struct Value<'de>(&'de str);

impl<'de> de::Deserializer<'de> for Value<'de> {
    type Error = NotOfType;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_str(self.0)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            "true" | "1" => visitor.visit_bool(true),
            "false" | "0" => visitor.visit_bool(false),
            _ => Err(NotOfType),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_u64(whole(self.0).parse().map_err(|_| NotOfType)?)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_i64(whole(self.0).parse().map_err(|_| NotOfType)?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_f64(double(self.0).ok_or(NotOfType)?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u128 f32 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier
    }
}
