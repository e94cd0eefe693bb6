//! Streams as they lie on a server: what each URL answers. Segments are made when they are asked for.

use millrace::player::IcyHeaders;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Makes the bytes of a resource.
type Make = Rc<dyn Fn() -> Body>;

/// The bytes of a resource, or of a range of it: such as are never all there at once, too.
#[derive(Clone)]
pub struct Body {
    first: u64,
    pub length: u64,
    /// Gives so many bytes from a place on.
    read: Rc<dyn Fn(u64, usize) -> Vec<u8>>,
}

impl Body {
    /// Bytes that are all there.
    pub fn of(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes: Vec<u8> = bytes.into();
        Self::large(bytes.len() as u64, move |at, count| bytes[at as usize..][..count].to_vec())
    }

    /// Such as `read` gives: so many bytes from a place on.
    pub fn large(length: u64, read: impl Fn(u64, usize) -> Vec<u8> + 'static) -> Self {
        Self { first: 0, length, read: Rc::new(read) }
    }

    /// Parts of these lengths, one after the other; each is made when it is sent.
    pub fn of_parts(
        lengths: impl IntoIterator<Item = u64>,
        make: impl Fn(usize) -> Vec<u8> + 'static,
    ) -> Self {
        let mut length = 0;
        let mut end = |n| {
            length += n;
            length
        };
        let ends: Vec<u64> = lengths.into_iter().map(&mut end).collect();
        let last: RefCell<(usize, Vec<u8>)> = RefCell::new((usize::MAX, Vec::new()));
        Self::large(length, move |at, count| {
            let (mut bytes, mut last) = (Vec::with_capacity(count), last.borrow_mut());
            while bytes.len() < count {
                let at = at + bytes.len() as u64;
                let n = ends.partition_point(|end| *end <= at);
                if last.0 != n {
                    *last = (n, make(n));
                }
                let start = ends[n] - last.1.len() as u64;
                assert!(n == 0 || start == ends[n - 1], "part {n} has {} bytes", last.1.len());
                let part = &last.1[(at - start) as usize..];
                bytes.extend_from_slice(&part[..part.len().min(count - bytes.len())]);
            }
            bytes
        })
    }

    pub fn read(&self, at: u64, count: usize) -> Vec<u8> {
        let count = self.length.saturating_sub(at).min(count as u64) as usize;
        (self.read)(self.first + at, count)
    }

    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length as u64);
    }

    /// The bytes from `first` up to `end`.
    pub fn range(&self, first: u64, end: u64) -> Self {
        Self { first: self.first + first, length: end - first, read: self.read.clone() }
    }

    /// With every byte from `at` on changed.
    pub fn spoilt(self, at: u64, change: impl Fn(u8) -> u8 + 'static) -> Self {
        let length = self.length;
        Self::large(length, move |from, count| {
            let mut bytes = self.read(from, count);
            let sound = at.saturating_sub(from).min(count as u64) as usize;
            bytes[sound..].iter_mut().for_each(|b| *b = change(*b));
            bytes
        })
    }
}

/// What a server has at a moment.
pub struct Answer {
    pub content_type: &'static str,
    pub body: Body,
    /// The server waits until then.
    pub at: f64,
    /// So many bytes of it are made at these times, in order; empty: all of it is there.
    pub made: Vec<(f64, u64)>,
}

impl Answer {
    /// All of it, at once.
    pub fn new(content_type: &'static str, bytes: impl Into<Vec<u8>>, at: f64) -> Self {
        Self { content_type, body: Body::of(bytes), at, made: Vec::new() }
    }
}

/// Answers by URL and time.
type Serve = Rc<dyn Fn(&str, f64) -> Option<Answer>>;

/// Content by URL.
#[derive(Clone, Default)]
pub struct Site {
    entries: BTreeMap<String, (&'static str, Make)>,
    icy: BTreeMap<String, IcyHeaders>,
    live: Option<Serve>,
}

impl Site {
    /// Puts a resource.
    pub fn put(&mut self, url: &str, content_type: &'static str, bytes: impl Into<Vec<u8>>) {
        self.put_body(url, content_type, Body::of(bytes));
    }

    /// Puts a resource that is made when it is asked for.
    pub fn put_made(&mut self, url: &str, content_type: &'static str, make: impl Fn() -> Vec<u8> + 'static) {
        self.entries.insert(url.to_owned(), (content_type, Rc::new(move || Body::of(make()))));
    }

    /// Puts a resource whose bytes are made when they are sent.
    pub fn put_body(&mut self, url: &str, content_type: &'static str, body: Body) {
        self.entries.insert(url.to_owned(), (content_type, Rc::new(move || body.clone())));
    }

    /// Has the server of a URL tell of its station.
    pub fn put_icy(&mut self, url: &str, headers: IcyHeaders) {
        self.icy.insert(url.to_owned(), headers);
    }

    pub fn icy(&self, url: &str) -> Option<IcyHeaders> {
        self.icy.get(url).cloned()
    }

    /// Has all other URLs answered by what the time makes of them.
    pub fn serve(&mut self, serve: impl Fn(&str, f64) -> Option<Answer> + 'static) {
        self.live = Some(Rc::new(serve));
    }

    /// What a URL answers at a time.
    pub fn answer(&self, url: &str, now: f64) -> Option<Answer> {
        let fixed =
            self.body(url).map(|(content_type, body)| Answer { content_type, body, at: now, made: vec![] });
        fixed.or_else(|| self.live.as_ref()?(url, now))
    }

    /// What a URL answers.
    pub fn body(&self, url: &str) -> Option<(&'static str, Body)> {
        self.entries.get(url).map(|(content_type, make)| (*content_type, make()))
    }

    /// The same, with all its bytes.
    pub fn get(&self, url: &str) -> Option<(&'static str, Vec<u8>)> {
        self.body(url).map(|(content_type, body)| (content_type, body.read(0, body.length as usize)))
    }

    /// A text resource, to be changed and put again.
    pub fn text(&self, url: &str) -> String {
        String::from_utf8(self.get(url).unwrap().1).unwrap()
    }

    /// Replaces text in a resource; it must be there.
    pub fn edit(&mut self, url: &str, from: &str, to: &str) {
        let text = self.text(url);
        assert!(text.contains(from), "{url} has no {from:?}");
        let content_type = self.entries[url].0;
        self.put(url, content_type, text.replace(from, to));
    }

    /// Has all under one root under another, too.
    pub fn mirror(&mut self, root: &str, other: &str) {
        let under = |(url, entry): (&String, &(&'static str, Make))| {
            Some(([other, url.strip_prefix(root)?].concat(), (entry.0, entry.1.clone())))
        };
        let copies: Vec<_> = self.entries.iter().filter_map(under).collect();
        self.entries.extend(copies);
    }

    /// Adds what another site has.
    pub fn merge(&mut self, other: Site) {
        self.entries.extend(other.entries);
        self.live = other.live.or(self.live.take());
    }
}
