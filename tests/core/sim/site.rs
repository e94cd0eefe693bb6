//! Streams as they lie on a server: what each URL answers. Segments are made when they are asked for.

use millrace::player::IcyHeaders;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Makes the bytes of a resource.
type Make = Rc<dyn Fn() -> Vec<u8>>;

/// What a server has at a moment.
pub struct Answer {
    pub content_type: &'static str,
    pub bytes: Vec<u8>,
    /// The server waits until then.
    pub at: f64,
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
        let bytes: Vec<u8> = bytes.into();
        self.put_made(url, content_type, move || bytes.clone());
    }

    /// Puts a resource that is made when it is asked for.
    pub fn put_made(&mut self, url: &str, content_type: &'static str, make: impl Fn() -> Vec<u8> + 'static) {
        self.entries.insert(url.to_owned(), (content_type, Rc::new(make)));
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
        let fixed = self.get(url).map(|(content_type, bytes)| Answer { content_type, bytes, at: now });
        fixed.or_else(|| self.live.as_ref()?(url, now))
    }

    /// What a URL answers.
    pub fn get(&self, url: &str) -> Option<(&'static str, Vec<u8>)> {
        self.entries.get(url).map(|(content_type, make)| (*content_type, make()))
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

    /// Adds what another site has.
    pub fn merge(&mut self, other: Site) {
        self.entries.extend(other.entries);
        self.live = other.live.or(self.live.take());
    }
}
