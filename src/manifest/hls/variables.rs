//! Variables (RFC 8216bis §4.4.2.3, EXT-X-DEFINE) and their substitution (§4.3).

use super::attributes::Attributes;
use super::malformed;
use crate::error::Result;
use std::borrow::Cow;

/// Values by name, from EXT-X-DEFINE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables(Vec<(Box<str>, Box<str>)>);

/// Longest value with variables in it, in bytes: variables made of variables could else double 60 times over.
const MAX_LENGTH: usize = 8192;

/// Most variables of a playlist: they are searched one by one.
const MAX_COUNT: usize = 1000;

impl Variables {
    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| **n == *name).map(|(_, v)| &**v)
    }

    /// Takes one EXT-X-DEFINE. `url` is the playlist's, for QUERYPARAM; `parent` the multivariant playlist's variables, for
    /// IMPORT.
    pub(super) fn define(&mut self, list: &str, url: &str, parent: &Variables, line: usize) -> Result<()> {
        let get = |name| Attributes::get(list, name);
        let (name, value) = if let Some(name) = get("NAME") {
            let value =
                get("VALUE").ok_or_else(|| malformed(line, "EXT-X-DEFINE has NAME without VALUE."))?;
            (name, self.expand(value, line)?.into_owned())
        } else if let Some(name) = get("IMPORT") {
            let value = parent.get(name).ok_or_else(|| {
                malformed(line, "EXT-X-DEFINE imports a variable that the multivariant playlist lacks.")
            })?;
            (name, value.to_owned())
        } else if let Some(name) = get("QUERYPARAM") {
            let value = query_parameter(url, name)
                .ok_or_else(|| malformed(line, "EXT-X-DEFINE names a query parameter that the URL lacks."))?;
            (name, value)
        } else {
            return Err(malformed(line, "EXT-X-DEFINE has neither NAME nor IMPORT nor QUERYPARAM."));
        };
        let full = self.0.len() >= MAX_COUNT;
        match self.0.iter_mut().find(|(n, _)| **n == *name) {
            Some((_, v)) => *v = value.into(),
            None if full => {
                return Err(malformed(line, "There are too many EXT-X-DEFINE."));
            }
            None => self.0.push((name.into(), value.into())),
        }
        Ok(())
    }

    /// Replaces each `{$name}`. A name that is not defined is an error (§4.3).
    pub(super) fn expand<'t>(&self, text: &'t str, line: usize) -> Result<Cow<'t, str>> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let reference = after.strip_prefix('$').and_then(|after| {
                let is_name = |b: &u8| b.is_ascii_alphanumeric() || b"-_".contains(b);
                let (name, tail) = after.split_at_checked(after.bytes().take_while(is_name).count())?;
                Some((name, tail.strip_prefix('}')?)).filter(|_| !name.is_empty())
            });
            out.push_str(before);
            let Some((name, tail)) = reference else {
                out.push('{');
                rest = after;
                continue;
            };
            let value = self
                .get(name)
                .ok_or_else(|| malformed(line, ["The variable {$", name, "} is not defined."].concat()))?;
            out.push_str(value);
            if out.len() > MAX_LENGTH {
                return Err(malformed(line, "A value is too long after the substitution of variables."));
            }
            rest = tail;
        }
        if rest.len() == text.len() {
            return Ok(Cow::Borrowed(text));
        }
        out.push_str(rest);
        Ok(Cow::Owned(out))
    }
}

/// The value of a query parameter, percent-decoded. `None` where it is absent or has no value.
fn query_parameter(url: &str, name: &str) -> Option<String> {
    let query = url.split('#').next()?.split_once('?')?.1;
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(n, _)| percent_decoded(n) == name)
        .map(|(_, value)| percent_decoded(value))
}

fn percent_decoded(text: &str) -> String {
    let hex = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        bytes = rest;
        match (first, rest) {
            (b'%', [a, b, tail @ ..]) if hex(*a).is_some() && hex(*b).is_some() => {
                out.push(hex(*a).unwrap_or(0) << 4 | hex(*b).unwrap_or(0));
                bytes = tail;
            }
            _ => out.push(*first),
        }
    }
    String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_come_from_values_the_query_and_the_parent() {
        let (mut parent, mut own) = (Variables::default(), Variables::default());
        let url = "https://h/p.m3u8?token=a%2Fb&x=1#f";
        parent.define(r#"NAME="cdn",VALUE="//edge""#, url, &Variables::default(), 2).unwrap();
        own.define(r#"IMPORT="cdn""#, url, &parent, 2).unwrap();
        own.define(r#"QUERYPARAM="token""#, url, &parent, 3).unwrap();
        own.define(r#"NAME="both",VALUE="{$cdn}/{$token}""#, url, &parent, 4).unwrap();
        assert_eq!(own.expand("{$both}/s.ts?{x}{$", 5).unwrap(), "//edge/a/b/s.ts?{x}{$");
        assert_eq!(own.expand("plain", 5).unwrap(), "plain");
    }

    #[test]
    fn variables_made_of_variables_stay_bounded() {
        let (mut v, none) = (Variables::default(), Variables::default());
        v.define(r#"NAME="a",VALUE="0123456789""#, "", &none, 1).unwrap();
        let doubled = (0..60).try_for_each(|i| v.define(r#"NAME="a",VALUE="{$a}{$a}""#, "", &none, i));
        assert!(doubled.is_err() && v.get("a").is_some_and(|v| v.len() <= 8192));
    }

    #[test]
    fn what_is_not_defined_is_an_error_at_its_line() {
        let none = Variables::default();
        assert_eq!(none.expand("{$a}", 7).unwrap_err().position, Some(7));
        let mut v = Variables::default();
        for list in [r#"IMPORT="a""#, r#"QUERYPARAM="a""#, r#"NAME="a""#, ""] {
            assert_eq!(
                v.define(list, "https://h/p?b=1&a", &none, 9).unwrap_err().position,
                Some(9),
                "{list}"
            );
        }
    }
}
