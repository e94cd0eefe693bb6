//! URL references (RFC 3986 §5) and DASH templates. A full URL crate brings IDNA tables that would double the download;
//! the browser's fetch normalizes what is left.

use crate::time::Ticks;

/// Scheme of an absolute URL, lower-case letters as written, without the colon.
pub fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once(':')?;
    let mut chars = scheme.bytes();
    (chars.next()?.is_ascii_alphabetic() && chars.all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c)))
        .then_some(scheme)
}

/// Resolves a reference against an absolute base (RFC 3986 §5.2). Without a base the reference comes back as it is.
pub fn resolve(base: &str, reference: &str) -> String {
    let reference = reference.trim();
    if base.is_empty() || scheme(reference).is_some() {
        return reference.to_owned();
    }
    let base = base.split('#').next().unwrap_or(base);
    let Some(scheme_end) = scheme(base).map(|s| s.len() + 1) else { return reference.to_owned() };
    if reference.is_empty() {
        return base.to_owned();
    }
    if let Some(rest) = reference.strip_prefix("//") {
        return [base.get(..scheme_end).unwrap_or(""), "//", rest].concat();
    }
    let (root, path_query) = split_root(base, scheme_end);
    let path = path_query.split('?').next().unwrap_or("");
    if reference.starts_with('?') {
        return [root, path, reference].concat();
    }
    if reference.starts_with('#') {
        return [base, reference].concat();
    }
    let split = reference.find(['?', '#']).unwrap_or(reference.len());
    let (ref_path, tail) = reference.split_at_checked(split).unwrap_or((reference, ""));
    let merged = if ref_path.starts_with('/') {
        remove_dot_segments(ref_path)
    } else {
        let dir = path.rfind('/').and_then(|i| path.get(..=i)).unwrap_or("/");
        remove_dot_segments(&[dir, ref_path].concat())
    };
    [root, &merged, tail].concat()
}

/// Scheme with authority, and the rest.
fn split_root(url: &str, scheme_end: usize) -> (&str, &str) {
    let authority_end = match url.get(scheme_end..).and_then(|rest| rest.strip_prefix("//")) {
        Some(rest) => scheme_end + 2 + rest.find(['/', '?']).unwrap_or(rest.len()),
        None => scheme_end,
    };
    url.split_at_checked(authority_end).unwrap_or((url, ""))
}

/// What the reference that gave `url` from the base `old` gives from the base `new`, both absolute. References that were absolute
/// stay as they are; those that began at the root are taken for relative ones, which is the same where bases are as deep.
pub fn rebase(url: &str, old: &str, new: &str) -> String {
    if url == old {
        return new.to_owned();
    }
    let Some(scheme_end) = scheme(old).map(|s| s.len() + 1) else { return url.to_owned() };
    let (root, path) = split_root(old, scheme_end);
    let Some(target) = url.strip_prefix(root).filter(|t| t.starts_with(['/', '?'])) else {
        return url.to_owned();
    };
    let path = path.split(['?', '#']).next().unwrap_or("");
    let directory = path.rfind('/').and_then(|i| path.get(..=i)).unwrap_or("/");
    // As far as both go through the same directories.
    let same = directory.bytes().zip(target.bytes()).take_while(|(a, b)| a == b).count();
    let same = directory.get(..same).and_then(|s| s.rfind('/')).map_or(0, |i| i + 1);
    let up = directory.get(same..).map_or(0, |rest| rest.matches('/').count());
    let rest = target.get(same..).unwrap_or(target);
    resolve(new, &["./", &"../".repeat(up), rest].concat())
}

/// RFC 3986 §5.2.4.
fn remove_dot_segments(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(usize::from(path.starts_with('/'))).peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part {
            "." if last => out.push(""),
            "." => {}
            ".." => {
                out.pop();
                if last {
                    out.push("");
                }
            }
            p => out.push(p),
        }
    }
    let mut result = String::with_capacity(path.len());
    for part in out {
        result.push('/');
        result.push_str(part);
    }
    result
}

/// Fills `$Number$`, `$Time$` (with `%0Nd` widths) and `$$` (ISO/IEC 23009-1 §5.3.9.4.4). A `$` that begins none of them stays.
pub fn fill_template(template: &str, number: u64, time: Ticks) -> String {
    fill(template, "$", &|inside| match identifier(inside) {
        ("Number", Some(width)) => Some(padded(&number.to_string(), width)),
        ("Time", Some(width)) => Some(padded(&time.to_string(), width)),
        _ => None,
    })
}

/// Fills `$RepresentationID$` and `$Bandwidth$` (with a `%0Nd` width); what is left is a template for [`fill_template`], in which every
/// `$` that begins no identifier is written `$$`.
pub fn fill_representation(template: &str, id: &str, bandwidth: u64) -> String {
    fill(template, "$$", &|inside| match identifier(inside) {
        ("RepresentationID", _) => Some(id.replace('$', "$$")),
        ("Bandwidth", Some(width)) => Some(padded(&bandwidth.to_string(), width)),
        ("Number" | "Time", Some(_)) => Some(["$", inside, "$"].concat()),
        _ => None,
    })
}

/// Name and width of what stands between two `$`. `None`: its format is none.
fn identifier(inside: &str) -> (&str, Option<usize>) {
    let (name, format) = inside.split_once('%').unwrap_or((inside, "d"));
    (name, parse_width(format))
}

fn padded(digits: &str, width: usize) -> String {
    ["0".repeat(width.saturating_sub(digits.len())).as_str(), digits].concat()
}

/// Replaces `$inside$` where `value` knows it. `dollar` takes the place of `$$` and of a `$` that begins nothing.
fn fill(template: &str, dollar: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(template.len() + 16);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let known = after.split_once('$').and_then(|(inside, tail)| match inside {
            "" => Some((None, tail)),
            _ => Some((Some(value(inside)?), tail)),
        });
        let (text, tail) = known.unwrap_or((None, after));
        out.push_str(text.as_deref().unwrap_or(dollar));
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// The width of `%0Nd`, capped so that a manifest cannot ask for megabytes of zeros.
fn parse_width(format: &str) -> Option<usize> {
    let digits = format.strip_suffix('d')?;
    if digits.is_empty() {
        return Some(1);
    }
    digits.parse::<usize>().ok().filter(|n| *n <= 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_resolve_as_rfc_3986_section_5_4_lists_them() {
        let base = "http://a/b/c/d;p?q";
        for (reference, expected) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q#s"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("http://x/y", "http://x/y"),
        ] {
            assert_eq!(resolve(base, reference), expected, "{reference}");
        }
        assert_eq!(resolve("https://host", "a.mpd"), "https://host/a.mpd");
        assert_eq!(resolve("https://host/x?u=/y/z", "a.ts"), "https://host/a.ts");
    }

    #[test]
    fn references_can_be_taken_from_another_base() {
        let old = "https://a.test/x/y/m.mpd?t=1";
        for (reference, new, expected) in [
            ("v/$Number$.m4s", "https://b.test/z/", "https://b.test/z/v/$Number$.m4s"),
            ("v/1.m4s?q=/a/b", "https://b.test/z/w?u=2", "https://b.test/z/v/1.m4s?q=/a/b"),
            ("../i.mp4", "https://b.test/p/q/r/", "https://b.test/p/q/i.mp4"),
            ("../../i.mp4", "https://b.test/p/q/", "https://b.test/i.mp4"),
            ("//c.test/i.mp4", "https://b.test/p/", "https://c.test/i.mp4"),
            ("https://a.test.example/x/y/i", "https://b.test/p/", "https://a.test.example/x/y/i"),
            ("yy:z/1", "https://b.test/p/", "yy:z/1"),
            ("./yy:z/1", "https://b.test/p/", "https://b.test/p/yy:z/1"),
        ] {
            assert_eq!(rebase(&resolve(old, reference), old, new), expected, "{reference}");
        }
        assert_eq!(rebase(old, old, "https://b.test/f.mp4"), "https://b.test/f.mp4");
        assert_eq!(rebase("https://a.test/1", "https://a.test", "https://b.test/p/"), "https://b.test/p/1");
    }

    #[test]
    fn templates_fill_numbers_with_widths_and_leave_what_they_do_not_know() {
        assert_eq!(fill_template("s-$Number%05d$.m4s", 42, 0), "s-00042.m4s");
        assert_eq!(fill_template("$Time$/$$/$Foo$", 1, 90_000), "90000/$/$Foo$");
        assert_eq!(fill_template("a$Number", 1, 2), "a$Number");
        let filled = fill_representation("$RepresentationID$/$$x$Bandwidth%08d$-$Number%03d$", "v$1", 5000);
        assert_eq!(filled, "v$$1/$$x00005000-$Number%03d$");
        assert_eq!(fill_template(&filled, 7, 0), "v$1/$x00005000-007");
    }

    #[test]
    fn a_dollar_that_begins_no_identifier_stands_for_itself() {
        for (template, expected) in [
            ("a$b/$Number$", "a$b/7"),
            ("a$b/$RepresentationID$-$Number$", "a$b/v$-7"),
            ("$Number$$RepresentationID$$Time$", "7v$9"),
            ("$a$$b$Time$$", "$a$b9$"),
            ("$Number%x$Number$", "$Number%x7"),
            ("$", "$"),
        ] {
            let filled = fill_representation(template, "v$", 1);
            assert_eq!(fill_template(&filled, 7, 9), expected, "{template}");
        }
    }
}
