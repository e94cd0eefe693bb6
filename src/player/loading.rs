//! The manifest: fetched, recognized by its content, read.

use super::indexes::Variables;
use super::io::*;
#[cfg(feature = "progressive")]
use super::linear::{Adopted, Found};
use super::requests::{Requests, Ticket, Verdict};
use super::session::Ctx;
use crate::container::{Format, SNIFFED};
use crate::error::{Code, PlayerError};
use crate::manifest::{Presentation, url};

/// Bytes of a manifest above which it is taken for something else: the largest known, a day of 2-second segments without a
/// template, has a few megabytes.
const MAX_MANIFEST: usize = 64 << 20;

/// The head of a response.
pub(super) struct Head<'a> {
    pub status: u16,
    pub url: &'a str,
    pub content_type: Option<&'a str>,
    pub length: Option<u64>,
    #[cfg_attr(not(feature = "progressive"), expect(dead_code, reason = "only plain files ask"))]
    pub ranges: bool,
    pub date: Option<f64>,
}

/// A manifest that was read.
pub(super) struct Read {
    pub presentation: Presentation,
    pub kept: Kept,
}

/// What is kept of a manifest that will be read again.
pub(super) enum Kept {
    Nothing,
    /// The MPD, for the patches to come.
    #[cfg(all(feature = "dash", feature = "live"))]
    Text(Vec<u8>),
    /// The media playlist that was loaded by itself.
    #[cfg(all(feature = "hls", feature = "live"))]
    Playlist(Box<crate::manifest::hls::MediaPlaylist>),
}

/// What loading has come to.
pub(super) enum Outcome {
    Pending,
    Failed(PlayerError),
    /// Another build can read it.
    NeedsFeature(&'static str),
    Read {
        read: Box<Read>,
        url: String,
    },
    /// The URL is of a list of others.
    #[cfg(feature = "progressive")]
    Sources(Vec<String>),
    /// Nothing that is read here, but perhaps by the element.
    #[cfg(feature = "progressive")]
    LastResort {
        url: String,
        mime: String,
        error: PlayerError,
    },
    /// The URL is of media itself.
    #[cfg(feature = "progressive")]
    Media(Box<Found>),
}

/// What a manifest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Dash,
    Hls,
}

pub(super) struct Loading {
    pub request: LoadRequest,
    pub requests: Requests,
    pub started: Now,
    ticket: Ticket,
    /// The `Date` of the manifest, less the moment at which it came.
    #[cfg(feature = "live")]
    pub dated: Option<f64>,
    body: Vec<u8>,
    url: String,
    /// What was asked for last: redirects may lead elsewhere next time.
    #[cfg(feature = "progressive")]
    asked: String,
    content_type: Option<String>,
    #[cfg(feature = "progressive")]
    length: Option<u64>,
    #[cfg(feature = "progressive")]
    ranges: bool,
    /// The request for the stream of a radio server that did not let its page be read, once that was tried.
    #[cfg(feature = "progressive")]
    detour: Option<Ticket>,
    pub variables: Variables,
}

/// Tells what cannot be fetched before it is tried.
pub(super) fn check_url(text: &str) -> Result<(), PlayerError> {
    match url::scheme(text).map(str::to_ascii_lowercase).as_deref() {
        Some("http" | "https" | "blob" | "data") => Ok(()),
        #[cfg(feature = "progressive")]
        Some("ws" | "wss") => Ok(()),
        Some(scheme) => {
            Err(PlayerError::new(Code::UrlScheme, ["browsers cannot fetch ", scheme, ": URLs"].concat())
                .with_url(text))
        }
        None => Err(PlayerError::new(Code::UrlInvalid, "this is not a URL").with_url(text)),
    }
}

impl Loading {
    #[cfg_attr(
        not(feature = "hls"),
        expect(clippy::default_constructed_unit_structs, reason = "only HLS has variables")
    )]
    pub fn new(ctx: &mut Ctx, request: LoadRequest, mut requests: Requests) -> Self {
        let url = request.url.clone();
        let ticket = requests.send(ctx.now, FetchKind::Manifest, url.clone(), None, ctx.out);
        Self {
            request,
            requests,
            started: ctx.now,
            ticket,
            #[cfg(feature = "live")]
            dated: None,
            body: Vec::new(),
            #[cfg(feature = "progressive")]
            asked: url.clone(),
            url,
            content_type: None,
            #[cfg(feature = "progressive")]
            length: None,
            #[cfg(feature = "progressive")]
            ranges: false,
            #[cfg(feature = "progressive")]
            detour: None,
            variables: Variables::default(),
        }
    }

    pub fn head(&mut self, ctx: &mut Ctx, id: FetchId, head: &Head) -> Outcome {
        match self.requests.head(ctx.now, id, head.status, ctx.policy(), ctx.out) {
            Ok(Some(_)) => {
                self.url = head.url.to_owned();
                self.content_type = head.content_type.map(str::to_ascii_lowercase);
                #[cfg(feature = "live")]
                {
                    self.dated = head.date.map(|date| date - ctx.now);
                }
                #[cfg(feature = "progressive")]
                {
                    self.length = head.length;
                    self.ranges = head.ranges;
                }
                Outcome::Pending
            }
            Ok(None) => Outcome::Pending,
            Err(verdict) => self.verdict(ctx, verdict),
        }
    }

    pub fn body(&mut self, now: Now, id: FetchId, data: &[u8]) -> Outcome {
        if self.requests.body(now, id) != Some(self.ticket) {
            return Outcome::Pending;
        }
        self.body.extend_from_slice(data);
        if self.body.len() > MAX_MANIFEST {
            return Outcome::Failed(
                PlayerError::new(Code::FormatUnknown, "the response is too large for a manifest")
                    .with_url(&self.url),
            );
        }
        // Media never becomes a manifest: what has come is the start of its download.
        if self.body.len() >= SNIFFED {
            self.as_media(false).unwrap_or(Outcome::Pending)
        } else {
            Outcome::Pending
        }
    }

    /// What becomes of media itself, if it is that: the first bytes tell, else the type that the caller or the server names, else the
    /// extension of the URL.
    fn as_media(&mut self, complete: bool) -> Option<Outcome> {
        if self.request.kind.as_deref().is_some_and(|kind| named(kind).is_some())
            || self.by_content().is_some()
        {
            return None;
        }
        let format = self.media_format().filter(|f| *f != Format::WebVtt)?;
        self.play_media(format, complete)
    }

    fn media_format(&self) -> Option<Format> {
        let told = self.request.kind.as_deref().and_then(media_type);
        crate::container::sniff(&self.body)
            .or(told)
            .or_else(|| self.content_type.as_deref().and_then(media_type))
            .or_else(|| named_by(&self.url))
    }

    #[cfg(feature = "progressive")]
    fn play_media(&mut self, format: Format, complete: bool) -> Option<Outcome> {
        if crate::container::open(format).is_none() {
            let text = ["files of the format ", format.as_str(), " are not supported"].concat();
            let error = PlayerError::new(Code::FormatUnsupported, text).with_url(&self.url);
            let (url, mime) = (self.url.clone(), format.mime().to_owned());
            return Some(Outcome::LastResort { url, mime, error });
        }
        let adopted = Adopted { ticket: self.ticket, body: std::mem::take(&mut self.body), complete };
        let (url, asked) = (self.url.clone(), self.asked.clone());
        let (length, ranges) = (self.length, self.ranges);
        Some(Outcome::Media(Box::new(Found { format, url, asked, length, ranges, adopted })))
    }

    #[cfg(not(feature = "progressive"))]
    fn play_media(&mut self, _: Format, _: bool) -> Option<Outcome> {
        Some(Outcome::NeedsFeature("progressive"))
    }

    /// What is no manifest and no media, but leads to it: a list of stations, or the page that a radio server shows to browsers.
    #[cfg(feature = "progressive")]
    fn as_signpost(&mut self, ctx: &mut Ctx) -> Option<Outcome> {
        use crate::manifest::lists;
        if self.request.kind.as_deref().is_some_and(|kind| named(kind).is_some()) {
            return None;
        }
        if let Some(format) = lists::recognize(&self.body, self.content_type.as_deref(), &self.url) {
            let urls: Vec<String> =
                lists::read(format, &self.body, &self.url).into_iter().map(|entry| entry.url).collect();
            if urls.is_empty() {
                let error = PlayerError::new(Code::ManifestEmpty, "the list has no entries");
                return Some(Outcome::Failed(error.with_url(&self.url)));
            }
            return Some(Outcome::Sources(urls));
        }
        if self.body.trim_ascii_start().starts_with(b"<")
            && !looks_like_dash(&self.body)
            && let Some(url) = at_semicolon(&self.url)
        {
            self.ask(ctx, url);
            return Some(Outcome::Pending);
        }
        None
    }

    /// Asks for another URL in place of what was asked for.
    #[cfg(feature = "progressive")]
    fn ask(&mut self, ctx: &mut Ctx, url: String) {
        self.requests.cancel(self.ticket, ctx.out);
        self.asked.clone_from(&url);
        self.ticket = self.requests.send(ctx.now, FetchKind::Manifest, url, None, ctx.out);
        self.body.clear();
    }

    #[cfg(not(feature = "progressive"))]
    fn as_signpost(&mut self, _: &mut Ctx) -> Option<Outcome> {
        // A plain list of the kind that HLS grew from.
        let list = looks_like_hls(&self.body) && !self.body.windows(7).any(|w| w == b"#EXT-X-");
        (list && self.body.len() > 8).then_some(Outcome::NeedsFeature("progressive"))
    }

    pub fn end(&mut self, ctx: &mut Ctx, id: FetchId) -> Outcome {
        if self.requests.end(id) != Some(self.ticket) {
            return Outcome::Pending;
        }
        let outcome = self.whole(ctx);
        #[cfg(feature = "progressive")]
        if self.detour == Some(self.ticket) && matches!(outcome, Outcome::Failed(_)) {
            self.ask(ctx, self.request.url.clone());
            return Outcome::Pending;
        }
        outcome
    }

    /// What a response is that is complete.
    fn whole(&mut self, ctx: &mut Ctx) -> Outcome {
        if let Some(outcome) = self.as_signpost(ctx) {
            return outcome;
        }
        if let Some(outcome) = self.as_media(true) {
            return outcome;
        }
        let kind = match self.kind() {
            Ok(kind) => kind,
            Err(error) => return Outcome::Failed(error),
        };
        let clock = self.request.wall + ctx.now - self.started;
        match read(kind, std::mem::take(&mut self.body), &self.url, &mut self.variables, clock) {
            #[cfg(not(feature = "live"))]
            Some(Ok(read)) if read.presentation.kind == crate::manifest::PresentationType::Dynamic => {
                Outcome::NeedsFeature("live")
            }
            Some(Ok(read)) => {
                if read
                    .presentation
                    .periods
                    .iter()
                    .all(|p| p.sets.iter().all(|s| s.representations.is_empty()))
                {
                    return Outcome::Failed(
                        PlayerError::new(Code::ManifestEmpty, "the manifest has nothing to play")
                            .with_url(&self.url),
                    );
                }
                Outcome::Read { read: Box::new(read), url: self.url.clone() }
            }
            Some(Err(error)) => {
                let error = if error.url.is_some() { error } else { error.with_url(&self.url) };
                Outcome::Failed(error)
            }
            None => Outcome::NeedsFeature(match kind {
                Kind::Dash => "dash",
                Kind::Hls => "hls",
            }),
        }
    }

    pub fn failed(&mut self, ctx: &mut Ctx, id: FetchId, failure: FetchFailure, message: &str) -> Outcome {
        // Between origins the page of a SHOUTcast server may not be read, for want of CORS headers; the stream may, for it has them.
        #[cfg(feature = "progressive")]
        if self.detour.is_none()
            && failure == FetchFailure::Network
            && self.requests.ticket_of(id) == Some(self.ticket)
            && let Some(url) = at_semicolon(&self.request.url)
        {
            self.ask(ctx, url);
            self.detour = Some(self.ticket);
            return Outcome::Pending;
        }
        match self.requests.failed(ctx.now, id, failure, message, ctx.policy()) {
            Some(verdict) => self.verdict(ctx, verdict),
            None => Outcome::Pending,
        }
    }

    pub fn tick(&mut self, ctx: &mut Ctx) -> Outcome {
        for verdict in self.requests.tick(ctx.now, ctx.policy(), ctx.out) {
            if let Outcome::Failed(error) = self.verdict(ctx, verdict) {
                return Outcome::Failed(error);
            }
        }
        Outcome::Pending
    }

    pub fn deadline(&self, ctx: &Ctx) -> Now {
        self.requests.deadline(ctx.policy())
    }

    #[cfg_attr(not(feature = "progressive"), expect(unused_variables, reason = "nothing else is asked for"))]
    fn verdict(&mut self, ctx: &mut Ctx, verdict: Verdict) -> Outcome {
        #[cfg(feature = "progressive")]
        if self.detour == Some(self.ticket) && !matches!(verdict, Verdict::Sent(_)) {
            self.ask(ctx, self.request.url.clone());
            return Outcome::Pending;
        }
        match verdict {
            Verdict::Again(_) => {
                self.body.clear();
                Outcome::Pending
            }
            Verdict::Sent(_) => Outcome::Pending,
            Verdict::Failed(_, error) => Outcome::Failed(error),
        }
    }

    /// The kind: what the caller says, else the first bytes, else Content-Type, else the extension.
    fn kind(&self) -> Result<Kind, PlayerError> {
        if let Some(kind) = &self.request.kind {
            return named(kind).ok_or_else(|| {
                PlayerError::new(
                    Code::FormatUnsupported,
                    ["the type \"", kind, "\" is not supported"].concat(),
                )
                .with_url(&self.url)
            });
        }
        if let Some(kind) = self.by_content() {
            return Ok(kind);
        }
        if self.body.trim_ascii().is_empty() {
            return Err(PlayerError::new(Code::ManifestEmpty, "the response is empty").with_url(&self.url));
        }
        let path = self.url.split(['?', '#']).next().unwrap_or("");
        let by_type = self.content_type.as_deref().and_then(named);
        let by_extension = || match path.rsplit('.').next() {
            Some(e) if e.eq_ignore_ascii_case("mpd") => Some(Kind::Dash),
            Some(e) if e.eq_ignore_ascii_case("m3u8") => Some(Kind::Hls),
            _ => None,
        };
        by_type.or_else(by_extension).ok_or_else(|| {
            PlayerError::new(
                Code::FormatUnknown,
                "the content is neither a DASH manifest nor an HLS playlist",
            )
            .with_url(&self.url)
        })
    }

    fn by_content(&self) -> Option<Kind> {
        if looks_like_hls(&self.body) {
            Some(Kind::Hls)
        } else if looks_like_dash(&self.body) {
            Some(Kind::Dash)
        } else {
            None
        }
    }
}

/// Where the stream of a SHOUTcast server is whose host is all that a URL names: it answers browsers with a page there, and with the stream where
/// the path is a semicolon.
#[cfg(feature = "progressive")]
fn at_semicolon(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once(':')?;
    let host = rest.strip_prefix("//")?;
    let bare = !host.is_empty() && host.find('/').is_none_or(|at| at + 1 == host.len());
    let slash = if host.ends_with('/') { ";" } else { "/;" };
    (bare && scheme.starts_with("http") && !host.contains(['?', '#'])).then(|| [url, slash].concat())
}

fn named(kind: &str) -> Option<Kind> {
    let essence = kind.split(';').next().unwrap_or(kind).trim().to_ascii_lowercase();
    match essence.as_str() {
        "dash" | "application/dash+xml" => Some(Kind::Dash),
        "hls"
        | "application/vnd.apple.mpegurl"
        | "application/x-mpegurl"
        | "audio/mpegurl"
        | "audio/x-mpegurl"
        | "application/mpegurl" => Some(Kind::Hls),
        _ => None,
    }
}

/// The format that a MIME type, or the extension of a file, names.
fn media_type(name: &str) -> Option<Format> {
    let essence = name.split(';').next().unwrap_or(name).trim().to_ascii_lowercase();
    let name = essence.strip_prefix("video/").or_else(|| essence.strip_prefix("audio/")).unwrap_or(&essence);
    Some(match name.strip_prefix("x-").unwrap_or(name) {
        "mp4" | "quicktime" | "m4a" | "m4v" | "mov" => Format::Mp4,
        "webm" | "matroska" | "mkv" => Format::Webm,
        "mp2t" | "mpegts" | "ts" | "m2ts" | "mts" => Format::Ts,
        "flv" => Format::Flv,
        "ogg" | "ogv" | "oga" | "opus" | "application/ogg" => Format::Ogg,
        "flac" => Format::Flac,
        "mpeg" | "mp3" => Format::Mp3,
        "aac" | "aacp" | "adts" => Format::Adts,
        "ac3" | "eac3" | "ec3" => Format::Ac3,
        "wav" | "wave" => Format::Wav,
        _ => return None,
    })
}

/// The format that the extension in a URL names.
pub(super) fn named_by(url: &str) -> Option<Format> {
    let path = url.split(['?', '#']).next()?;
    media_type(path.rsplit('/').next()?.rsplit_once('.')?.1)
}

/// First bytes of a playlist (RFC 8216bis §4.3.1.1), also known to builds that cannot read it.
fn looks_like_hls(body: &[u8]) -> bool {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    text.strip_prefix(b"#EXTM3U").is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

/// An `MPD` element early on, whatever its prefix; also known to builds that cannot read it.
fn looks_like_dash(body: &[u8]) -> bool {
    // UTF-16: every other byte is zero.
    let head: Vec<u8> = body.iter().take(8192).copied().filter(|b| *b != 0).collect();
    let start = head.iter().position(|b| *b == b'<').unwrap_or(head.len());
    if start > 8 {
        return false;
    }
    head.windows(4).enumerate().any(|(i, w)| {
        &w[..3] == b"MPD"
            && (w[3].is_ascii_whitespace() || w[3] == b'>')
            && i > 0
            && (head[i - 1] == b'<' || head[i - 1] == b':')
    })
}

/// Reads a manifest; `None`: this build cannot. `clock` in seconds since 1970.
#[cfg_attr(not(feature = "hls"), expect(unused_variables, reason = "only HLS has variables"))]
#[cfg_attr(not(feature = "dash"), expect(unused_variables, reason = "only DASH needs the time"))]
fn read(
    kind: Kind,
    body: Vec<u8>,
    url: &str,
    variables: &mut Variables,
    clock: f64,
) -> Option<Result<Read, PlayerError>> {
    match kind {
        #[cfg(feature = "hls")]
        Kind::Hls => {
            use crate::manifest::hls::{Playlist, parse};
            Some(parse(&body, url, &Variables::default()).map(|playlist| match playlist {
                Playlist::Multivariant(presentation, defined) => {
                    *variables = defined;
                    Read { presentation, kept: Kept::Nothing }
                }
                #[cfg(feature = "live")]
                Playlist::Media(list) if !list.is_complete() => {
                    let kept = Kept::Playlist(list.clone());
                    Read { presentation: list.into_presentation(), kept }
                }
                Playlist::Media(list) => Read { presentation: list.into_presentation(), kept: Kept::Nothing },
            }))
        }
        #[cfg(feature = "dash")]
        Kind::Dash => Some(crate::manifest::dash::parse_at(&body, url, Some(clock)).map(|presentation| {
            #[cfg(feature = "live")]
            if presentation.live.as_ref().is_some_and(|l| l.patch.is_some()) {
                return Read { presentation, kept: Kept::Text(body) };
            }
            Read { presentation, kept: Kept::Nothing }
        })),
        #[cfg(not(all(feature = "dash", feature = "hls")))]
        _ => None,
    }
}
