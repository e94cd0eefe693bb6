//! The one error type that leaves the core: a stable code, whose fault it is, and what to do about it.

use std::borrow::Cow;
use std::fmt;

/// Whether playback can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The player goes on; a piece was skipped, retried or replaced.
    Recoverable,
    /// This load has ended. `load()` of another URL works.
    Fatal,
}

/// Whose fault it is, coarsely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// The caller: a bad URL, an unknown option.
    Usage,
    /// The network or the server.
    Network,
    /// The manifest cannot be read.
    Manifest,
    /// A media segment cannot be read.
    Media,
    /// The browser lacks something: a codec, Media Source Extensions.
    Browser,
    /// A defect of the player.
    Internal,
}

macro_rules! codes {
    ($( $(#[$doc:meta])* $variant:ident = $name:literal, $category:ident, $advice:literal; )*) => {
        /// Stable error codes. The string form (`as_str`) is public API and never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Code { $( $(#[$doc])* $variant, )* }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$( Self::$variant, )*];
            /// The stable public name.
            pub fn as_str(self) -> &'static str { match self { $( Code::$variant => $name, )* } }
            /// Whose fault it is.
            pub fn category(self) -> Category { match self { $( Code::$variant => Category::$category, )* } }
            /// What the reader of the message can do about it.
            pub fn advice(self) -> &'static str { match self { $( Code::$variant => $advice, )* } }
        }
    };
}

codes! {
    /// The string given to `load()` is no URL.
    UrlInvalid = "URL_INVALID", Usage, "Pass an absolute http(s) URL or one relative to the page.";
    /// None of several sources can be played. The page side raises it.
    NoSource = "NO_SOURCE", Usage, "See `causes`; offer one that plays everywhere, such as H.264 with AAC.";
    /// A scheme that browsers cannot fetch (`rtmp:`, `rtsp:`, `file:`, …).
    UrlScheme = "URL_SCHEME", Usage, "Pages reach http, https, ws and wss only: serve the stream over one of these.";
    /// The configuration has an unknown key or a value outside its range.
    ConfigInvalid = "CONFIG_INVALID", Usage, "Correct the named option; the API reference lists them all.";
    /// `load()` was ended by another `load()`, `destroy()` or its `signal`.
    LoadAborted = "LOAD_ABORTED", Usage, "Nothing to do: the load was replaced or cancelled.";
    /// The server answered with a 4xx status.
    HttpClient = "HTTP_CLIENT_ERROR", Network, "Check that the URL is right and that the server allows the request.";
    /// The server answered with a 5xx status, also after retries.
    HttpServer = "HTTP_SERVER_ERROR", Network, "The server fails at present: try again later or look at its log.";
    /// No answer: connection refused, reset, name not found, or a CORS refusal (browsers do not tell these apart).
    Network = "NETWORK_FAILED", Network, "Check the connection, and that the server sends Access-Control-Allow-Origin for this page.";
    /// No bytes arrived for too long.
    Timeout = "NETWORK_TIMEOUT", Network, "The server stopped sending: try again later.";
    /// Fewer bytes came than the server announced or the format needs.
    Truncated = "RESPONSE_TRUNCATED", Network, "The file is incomplete or the connection was cut: try again or upload it anew.";
    /// The content is of no known format.
    FormatUnknown = "FORMAT_UNKNOWN", Manifest, "Check the URL, or pass `type` if the server mislabels the content.";
    /// The format is known and not supported.
    FormatUnsupported = "FORMAT_UNSUPPORTED", Manifest, "This kind of stream is not supported by this version.";
    /// The manifest breaks its format's rules.
    ManifestMalformed = "MANIFEST_MALFORMED", Manifest, "Validate the manifest; the message names the place.";
    /// The manifest has nothing to play.
    ManifestEmpty = "MANIFEST_EMPTY", Manifest, "Check that the packager has finished.";
    /// A live manifest has not changed for too long.
    ManifestStale = "MANIFEST_STALE", Manifest, "The encoder or packager has stopped, or a cache serves an old copy: look at the origin.";
    /// A media segment breaks the rules of its container.
    MediaMalformed = "MEDIA_MALFORMED", Media, "Package the stream anew.";
    /// The segment holds no samples of a track that was expected.
    MediaEmpty = "MEDIA_EMPTY", Media, "Check the packager.";
    /// The container of the segments is not supported.
    ContainerUnsupported = "CONTAINER_UNSUPPORTED", Media, "Package the segments as fragmented MP4, MPEG-TS or WebM.";
    /// The browser can decode none of the representations.
    CodecUnsupported = "CODEC_UNSUPPORTED", Browser, "Add an H.264/AAC rendition.";
    /// The browser has no Media Source Extensions.
    MseUnavailable = "MSE_UNAVAILABLE", Browser, "This browser has no Media Source Extensions: use the element's own playback.";
    /// The media element or a SourceBuffer reported an error.
    Decode = "MEDIA_DECODE", Browser, "Check the encoding.";
    /// The browser's buffer stays full although all that can be evicted was.
    QuotaExceeded = "BUFFER_FULL", Browser, "Use shorter segments or a lower bitrate.";
    /// The content is encrypted and no key system is configured.
    Encrypted = "ENCRYPTED", Media, "Encrypted streams are not supported by this version.";
    /// Playback stalled and could not be recovered.
    Stalled = "PLAYBACK_STUCK", Media, "Playback stopped and no recovery helped: report the stream.";
    /// The WASM module or the worker could not be loaded.
    EngineLoad = "ENGINE_LOAD", Browser, "Serve the player's .wasm and worker files beside its script, and allow 'wasm-unsafe-eval', worker-src and connect-src for them in the CSP.";
    /// A defect of the player.
    Internal = "INTERNAL", Internal, "This is a bug in the player: please report it.";
}

/// An error as it reaches the user.
#[derive(Clone, Debug, PartialEq)]
pub struct PlayerError {
    /// Whether playback can go on.
    pub severity: Severity,
    /// The stable code; it implies the category and the advice.
    pub code: Code,
    /// What happened, in words, without the advice.
    pub message: Cow<'static, str>,
    /// The URL concerned.
    pub url: Option<String>,
    /// HTTP status, where a response came.
    pub status: Option<u16>,
    /// Byte offset in the resource, or line for text formats, where it is known.
    pub position: Option<u64>,
    /// What was tried before giving up ("3 attempts over 3.5 s", "720p, 540p").
    pub tried: Option<String>,
}

impl PlayerError {
    /// A fatal error with a code and what happened.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            severity: Severity::Fatal,
            code,
            message: message.into(),
            url: None,
            status: None,
            position: None,
            tried: None,
        }
    }

    /// The same error, not ending the load.
    pub fn recoverable(mut self) -> Self {
        self.severity = Severity::Recoverable;
        self
    }

    /// Adds the URL concerned.
    pub fn with_url(mut self, url: &str) -> Self {
        self.url = Some(url.to_owned());
        self
    }

    /// Adds the byte offset or the line.
    pub fn at(mut self, position: u64) -> Self {
        self.position = Some(position);
        self
    }
}

impl fmt::Display for PlayerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.as_str())?;
        f.write_str(": ")?;
        f.write_str(&self.message)?;
        f.write_str(" ")?;
        f.write_str(self.code.advice())
    }
}

impl std::error::Error for PlayerError {}

/// The result of everything that reads input.
pub type Result<T> = std::result::Result<T, PlayerError>;
