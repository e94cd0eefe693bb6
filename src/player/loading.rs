//! The manifest: fetched, recognized by its content, read.

use super::indexes::Variables;
use super::io::*;
use super::requests::{Requests, Ticket, Verdict};
use super::session::Ctx;
use crate::error::{Code, PlayerError};
use crate::manifest::{Presentation, url};

/// Bytes of a manifest above which it is taken for something else: the largest known, a day of 2-second segments without a
/// template, has a few megabytes.
const MAX_MANIFEST: usize = 64 << 20;
/// Bytes that are looked at before a response is taken for media that no manifest reader wants.
const SNIFF: usize = 1024;

/// What loading has come to.
pub(super) enum Outcome {
    Pending,
    Failed(PlayerError),
    /// Another build can read it.
    NeedsFeature(&'static str),
    Read {
        presentation: Box<Presentation>,
        url: String,
    },
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
    body: Vec<u8>,
    url: String,
    content_type: Option<String>,
    pub variables: Variables,
}

/// Tells what cannot be fetched before it is tried.
pub(super) fn check_url(text: &str) -> Result<(), PlayerError> {
    match url::scheme(text).map(str::to_ascii_lowercase).as_deref() {
        Some("http" | "https" | "blob" | "data") => Ok(()),
        Some(scheme) => {
            Err(PlayerError::new(Code::UrlScheme, ["browsers cannot fetch ", scheme, ": URLs"].concat())
                .with_url(text))
        }
        None => Err(PlayerError::new(Code::UrlInvalid, "this is not a URL").with_url(text)),
    }
}

impl Loading {
    pub fn new(ctx: &mut Ctx, request: LoadRequest, mut requests: Requests) -> Self {
        let url = request.url.clone();
        let ticket = requests.send(ctx.now, FetchKind::Manifest, url.clone(), None, ctx.out);
        Self {
            request,
            requests,
            started: ctx.now,
            ticket,
            body: Vec::new(),
            url,
            content_type: None,
            variables: Variables::default(),
        }
    }

    pub fn head(
        &mut self,
        ctx: &mut Ctx,
        id: FetchId,
        status: u16,
        url: &str,
        content_type: Option<&str>,
    ) -> Outcome {
        match self.requests.head(ctx.now, id, status, ctx.policy(), ctx.out) {
            Ok(Some(_)) => {
                self.url = url.to_owned();
                self.content_type = content_type.map(str::to_ascii_lowercase);
                Outcome::Pending
            }
            Ok(None) => Outcome::Pending,
            Err(verdict) => self.verdict(verdict),
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
        // Media never becomes a manifest: do not download all of it to say so.
        if self.request.kind.is_none()
            && self.body.len() >= SNIFF
            && self.by_content().is_none()
            && let Some(error) = self.media_instead()
        {
            return Outcome::Failed(error);
        }
        Outcome::Pending
    }

    pub fn end(&mut self, id: FetchId) -> Outcome {
        if self.requests.end(id) != Some(self.ticket) {
            return Outcome::Pending;
        }
        let kind = match self.kind() {
            Ok(kind) => kind,
            Err(error) => return Outcome::Failed(error),
        };
        match read(kind, &self.body, &self.url, &mut self.variables) {
            Some(Ok(presentation)) => {
                if presentation.periods.iter().all(|p| p.sets.iter().all(|s| s.representations.is_empty())) {
                    return Outcome::Failed(
                        PlayerError::new(Code::ManifestEmpty, "the manifest has nothing to play")
                            .with_url(&self.url),
                    );
                }
                Outcome::Read { presentation: Box::new(presentation), url: self.url.clone() }
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

    pub fn failed(&mut self, ctx: &Ctx, id: FetchId, failure: FetchFailure, message: &str) -> Outcome {
        match self.requests.failed(ctx.now, id, failure, message, ctx.policy()) {
            Some(verdict) => self.verdict(verdict),
            None => Outcome::Pending,
        }
    }

    pub fn tick(&mut self, ctx: &mut Ctx) -> Outcome {
        for verdict in self.requests.tick(ctx.now, ctx.policy(), ctx.out) {
            if let Outcome::Failed(error) = self.verdict(verdict) {
                return Outcome::Failed(error);
            }
        }
        Outcome::Pending
    }

    pub fn deadline(&self, ctx: &Ctx) -> Now {
        self.requests.deadline(ctx.policy())
    }

    fn verdict(&mut self, verdict: Verdict) -> Outcome {
        match verdict {
            Verdict::Again(_) => {
                self.body.clear();
                Outcome::Pending
            }
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
        if let Some(error) = self.media_instead() {
            return Err(error);
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

    /// The error for a URL of media itself.
    fn media_instead(&self) -> Option<PlayerError> {
        crate::container::sniff(&self.body)?;
        let error =
            PlayerError::new(Code::FormatUnsupported, "the URL is of a media file, not of a manifest");
        Some(error.with_url(&self.url))
    }
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

/// Reads a manifest; `None`: this build cannot.
#[cfg_attr(not(feature = "hls"), expect(unused_variables, reason = "only HLS has variables"))]
fn read(
    kind: Kind,
    body: &[u8],
    url: &str,
    variables: &mut Variables,
) -> Option<Result<Presentation, PlayerError>> {
    match kind {
        #[cfg(feature = "hls")]
        Kind::Hls => {
            use crate::manifest::hls::{Playlist, parse};
            Some(parse(body, url, &Variables::default()).map(|playlist| match playlist {
                Playlist::Multivariant(presentation, defined) => {
                    *variables = defined;
                    presentation
                }
                Playlist::Media(list) => list.into_presentation(),
            }))
        }
        #[cfg(feature = "dash")]
        Kind::Dash => Some(crate::manifest::dash::parse(body, url)),
        #[cfg(not(all(feature = "dash", feature = "hls")))]
        _ => None,
    }
}
