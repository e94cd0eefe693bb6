//! The face of the core: what goes in, what comes out. The shell (browser or simulator) does nothing but carry these.

use crate::abr::Rule;
use crate::bytes::MediaBytes;
use crate::error::PlayerError;
use crate::manifest::ByteRange;
use crate::time::{Seconds, TimeRanges};

/// Seconds on the shell's monotonic clock. The core sees no other.
pub type Now = f64;

/// Names one request. Never reused, so replies to cancelled work are told apart and ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FetchId(pub u32);

/// Which SourceBuffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BufferId {
    /// Video.
    Video,
    /// Audio.
    Audio,
}

impl BufferId {
    /// `"video"` or `"audio"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
        }
    }
}

/// What the user asks to be played.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadRequest {
    /// Absolute URL (the shell resolves it against the page).
    pub url: String,
    /// `"dash"`, `"hls"` or a MIME type of theirs or of a media file: overrides what the content looks like.
    pub kind: Option<String>,
    /// Where to start, in seconds; negative: before the end.
    pub start_time: Option<Seconds>,
    /// The machine's clock now, in seconds since 1970.
    pub wall: f64,
}

/// Options that hold for the life of a player. See the API reference for units and defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Seconds to keep buffered ahead of the playhead.
    pub buffer_ahead: Seconds,
    /// Seconds kept behind the playhead.
    pub buffer_behind: Seconds,
    /// Bytes that the forward buffer may hold; whichever of time and bytes is reached first counts.
    pub buffer_bytes: u64,
    /// Never choose a video representation above this bandwidth (bit/s).
    pub max_bandwidth: Option<u64>,
    /// Cap the quality by the element's size in device pixels.
    pub cap_to_element: bool,
    /// Estimate before anything was measured (bit/s).
    pub initial_bandwidth: f64,
    /// Preferred audio and text language (BCP 47).
    pub language: Option<String>,
    /// Attempts per request, the first included.
    pub max_attempts: u32,
    /// Seconds without a byte after which a request is given up.
    pub request_timeout: Seconds,
    /// Gaps of up to this many seconds in the media are jumped.
    pub max_gap: Seconds,
    /// Seconds between `stats` events; 0: none.
    pub stats_interval: Seconds,
    /// Ask radio servers for titles; `None`: only where that needs no leave of another origin. The shell heeds it.
    pub icy: Option<bool>,
    /// Seconds to stay behind live; `None`: what the manifest asks for, or what is safe.
    pub live_latency: Option<Seconds>,
    /// Reach and keep that distance by playing a little faster or slower; `None`: in low-latency streams, and where the manifest tells
    /// the rates.
    pub catch_up: Option<bool>,
    /// Bytes are dear: no quality above [`Self::THRIFTY`], half as much ahead, and nothing twice.
    pub data_saver: bool,
    /// How qualities are chosen.
    pub rule: Rule,
}

impl Config {
    /// Bit/s: about half a gigabyte an hour.
    pub const THRIFTY: u64 = 1_000_000;
}

impl Default for Config {
    fn default() -> Self {
        Self {
            buffer_ahead: 30.0,
            buffer_behind: 30.0,
            buffer_bytes: 60_000_000,
            max_bandwidth: None,
            cap_to_element: true,
            initial_bandwidth: 2_000_000.0,
            language: None,
            max_attempts: 4,
            request_timeout: 10.0,
            max_gap: 2.0,
            stats_interval: 1.0,
            icy: None,
            live_latency: None,
            catch_up: None,
            data_saver: false,
            rule: Rule::Default,
        }
    }
}

/// The element as the shell last saw it. Sent at each of its events that matter, and while
/// it is to play once in two seconds, or once a second if it stands still.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MediaState {
    /// `currentTime`.
    pub position: Seconds,
    /// `readyState`, 0 to 4.
    pub ready_state: u8,
    /// `paused`.
    pub paused: bool,
    /// `seeking`.
    pub seeking: bool,
    /// `ended`.
    pub ended: bool,
    /// `playbackRate`.
    pub rate: f64,
    /// Size of the element in device pixels; 0 where it is not laid out.
    pub width: u32,
    /// See `width`.
    pub height: u32,
    /// The first frame of this load has been presented (or, for audio, time has moved).
    pub first_frame: bool,
    /// Nobody sees the page (`document.hidden`).
    pub hidden: bool,
    /// The machine's clock, in seconds since 1970; 0: not told.
    pub wall: f64,
}

/// What the user changes while playing.
#[derive(Clone, Debug, PartialEq)]
pub enum UserIntent {
    /// Play this video representation id only; `None`: automatic.
    SelectQuality(Option<String>),
    /// The same from the next segment on: what is buffered stays.
    UseQuality(Option<String>),
    /// Play this audio set id.
    SelectAudio(String),
    /// Play at the live edge.
    GoLive,
    /// Play what was made at this time (seconds since 1970).
    SeekToDate(f64),
    /// Replace the configuration.
    Configure(Box<Config>),
    /// End this load and free all.
    Stop,
}

/// Why a fetch failed without an HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchFailure {
    /// `fetch()` rejected: refused, reset, DNS, CORS.
    Network,
    /// The body ended before the announced length.
    Truncated,
}

/// What an internet radio server tells in its response headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IcyHeaders {
    /// `icy-metaint`: bytes of media between two pieces of text; 0: there is no text.
    pub interval: u32,
    /// The others that tell something of the station, names without `icy-`.
    pub fields: Vec<(String, String)>,
}

/// What goes into the core.
#[derive(Debug)]
pub enum Input<'a> {
    /// Starts another presentation; whatever was playing ends.
    Load(LoadRequest),
    /// The response's status line and headers are there.
    FetchHead {
        /// Which request.
        id: FetchId,
        /// HTTP status.
        status: u16,
        /// URL after redirects.
        url: &'a str,
        /// `Content-Type`, if exposed.
        content_type: Option<&'a str>,
        /// `Content-Length` of an unencoded body, if exposed.
        length: Option<u64>,
        /// Whether the server says that it answers Range requests (`Accept-Ranges: bytes`); other origins may hide it.
        ranges: bool,
        /// `Date`, in seconds since 1970, if exposed.
        date: Option<f64>,
        /// `icy-…` headers, where there are any and they are exposed.
        icy: Option<&'a IcyHeaders>,
    },
    /// Bytes of the body, in order.
    FetchBody {
        /// Which request.
        id: FetchId,
        /// The bytes; borrowed for the call.
        data: &'a [u8],
    },
    /// The body is complete.
    FetchEnd {
        /// Which request.
        id: FetchId,
    },
    /// No response, or the body broke off.
    FetchFailed {
        /// Which request.
        id: FetchId,
        /// How.
        failure: FetchFailure,
        /// In the browser's words.
        message: &'a str,
    },
    /// The MediaSource is open: SourceBuffers can be added.
    SourceOpen,
    /// The MediaSource was closed by the element (another source was set, or the element errored).
    SourceClosed,
    /// Reply to [`Command::CheckTypes`], in the same order.
    TypesChecked(&'a [bool]),
    /// A buffer command (AddSourceBuffer, ChangeType, Append, AbortBuffer, Remove) is done.
    BufferDone {
        /// Which buffer.
        buffer: BufferId,
        /// `buffered` now.
        buffered: TimeRanges,
    },
    /// A buffer command failed.
    BufferFailed {
        /// Which buffer.
        buffer: BufferId,
        /// QuotaExceededError: nothing was appended, the buffer is full.
        quota: bool,
        /// In the browser's words.
        message: &'a str,
    },
    /// The element as it is now.
    MediaState(MediaState),
    /// The element's `error`.
    ElementError {
        /// `MediaError.code`.
        code: u8,
        /// `MediaError.message`.
        message: &'a str,
    },
    /// The user wants something.
    Intent(UserIntent),
    /// The deadline of the last [`Output::Wait`] has come (early calls are harmless).
    Timeout,
}

/// What a request is for; decides its priority and how it is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchKind {
    /// MPD or multivariant playlist.
    Manifest,
    /// Media playlist.
    Playlist,
    /// sidx or Cues.
    Index,
    /// Initialization segment.
    Init,
    /// Media segment.
    Segment,
    /// A stream without an end, which is joined anew.
    Stream,
    /// The time, from the body.
    Clock,
    /// The time, from the `Date` header: the method is HEAD.
    Head,
}

/// What the shell is to do. Buffer commands come one at a time per buffer; each is answered by `BufferDone` or `BufferFailed`.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// Requests a resource.
    Fetch {
        /// Names it.
        id: FetchId,
        /// Absolute URL.
        url: String,
        /// `Range` to ask for.
        range: Option<ByteRange>,
        /// What for.
        kind: FetchKind,
    },
    /// Cancels a request. No reply is needed.
    AbortFetch {
        /// Which.
        id: FetchId,
    },
    /// Stops reading a response, so that its server has to wait. What was read already may still arrive.
    PauseFetch {
        /// Which.
        id: FetchId,
    },
    /// Goes on reading.
    ResumeFetch {
        /// Which.
        id: FetchId,
    },
    /// Creates a MediaSource and sets it on the element; answered by `SourceOpen`.
    OpenSource,
    /// Detaches and drops the MediaSource.
    CloseSource,
    /// Asks `MediaSource.isTypeSupported` for each; answered by `TypesChecked`.
    CheckTypes(Vec<String>),
    /// `addSourceBuffer(mime)`.
    AddSourceBuffer {
        /// New buffer.
        buffer: BufferId,
        /// With codecs.
        mime: String,
    },
    /// `changeType(mime)`.
    ChangeType {
        /// Which buffer.
        buffer: BufferId,
        /// With codecs.
        mime: String,
    },
    /// Sets `timestampOffset` and the append window where they differ, then appends.
    Append {
        /// Which buffer.
        buffer: BufferId,
        /// Whole boxes, or WebM bytes at any split.
        data: MediaBytes,
        /// Seconds.
        timestamp_offset: Seconds,
        /// `appendWindowStart`, `appendWindowEnd` (may be infinite).
        window: (Seconds, Seconds),
    },
    /// `abort()`: resets the segment parser after an append that broke off. An ended source is opened again.
    AbortBuffer {
        /// Which buffer.
        buffer: BufferId,
    },
    /// `remove(start, end)`.
    Remove {
        /// Which buffer.
        buffer: BufferId,
        /// Seconds.
        start: Seconds,
        /// Seconds; may be infinite.
        end: Seconds,
    },
    /// Sets `duration`. Only while no buffer command is under way. No reply.
    SetDuration(Seconds),
    /// `endOfStream()`. Only while no buffer command is under way. No reply.
    EndOfStream,
    /// Sets `currentTime`. `None`: to what it is, which empties the decoders.
    Seek(Option<Seconds>),
    /// `setLiveSeekableRange()`. Only while the source is open. No reply.
    #[cfg(feature = "live")]
    SetLiveSeekableRange {
        /// Seconds.
        start: Seconds,
        /// Seconds.
        end: Seconds,
    },
    /// Sets `playbackRate`.
    SetRate(f64),
}

/// Why something was decided. The string form is public API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// First choice of a load.
    Start,
    /// The estimate allows more.
    ThroughputUp,
    /// The estimate allows less.
    ThroughputDown,
    /// The buffer is full enough for more.
    BufferHigh,
    /// The buffer is too low for this much.
    BufferLow,
    /// A download that would not have made it was given up.
    Abandoned,
    /// The element is smaller or larger now.
    ElementSize,
    /// The user chose.
    User,
    /// The representation failed and another one stands in.
    Failure,
    /// Another period has other representations.
    Period,
    /// The media has a hole where playback stood.
    GapJumped,
    /// The manifest announced the hole (EXT-X-GAP).
    GapAnnounced,
    /// The sound has a short hole, which silence fills.
    SoundFilled,
    /// Sound overlaps what came before it, and is dropped up to the end of that.
    SoundDropped,
    /// Playback began again at the start of what is buffered.
    StartGap,
    /// Nothing was buffered at the playhead.
    BufferEmpty,
    /// Media was buffered and the element did not move; it was nudged.
    Nudged,
    /// Data came.
    Refilled,
    /// The browser's buffer was full.
    Quota,
    /// The window of a live stream has moved on past the playhead.
    WindowLeft,
    /// Playback was so far behind the live edge that no rate would have brought it back soon.
    CaughtUp,
    /// Nobody sees the page.
    Hidden,
}

impl Reason {
    /// The stable public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::ThroughputUp => "throughput-up",
            Self::ThroughputDown => "throughput-down",
            Self::BufferHigh => "buffer-high",
            Self::BufferLow => "buffer-low",
            Self::Abandoned => "abandoned",
            Self::ElementSize => "element-size",
            Self::User => "user",
            Self::Failure => "failure",
            Self::Period => "period",
            Self::GapJumped => "gap-jumped",
            Self::GapAnnounced => "gap-announced",
            Self::SoundFilled => "sound-filled",
            Self::SoundDropped => "sound-dropped",
            Self::StartGap => "start-gap",
            Self::BufferEmpty => "buffer-empty",
            Self::Nudged => "nudged",
            Self::Refilled => "refilled",
            Self::Quota => "quota",
            Self::WindowLeft => "window-left",
            Self::CaughtUp => "caught-up",
            Self::Hidden => "hidden",
        }
    }
}

/// A video quality or an audio rendition as the user sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// Stable id.
    pub id: String,
    /// Peak bit/s.
    pub bandwidth: u64,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames per second, 0 where unknown.
    pub frame_rate: f64,
    /// RFC 6381.
    pub codecs: String,
}

/// An audio track as the user sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioTrack {
    /// Stable id.
    pub id: String,
    /// BCP 47.
    pub language: Option<String>,
    /// For people.
    pub label: Option<String>,
    /// DASH roles.
    pub roles: Vec<String>,
    /// The one that plays.
    pub active: bool,
}

/// Numbers of the running load.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Seconds from `Load` to the first frame.
    pub startup: Option<Seconds>,
    /// Stalls after the first frame, seeks not counted.
    pub stalls: u32,
    /// Seconds spent in them.
    pub stall_time: Seconds,
    /// Changes of video quality (of audio quality, where there is no video).
    pub switches: u32,
    /// Average bandwidth of what was played, weighted by time, in bit/s.
    pub average_bandwidth: f64,
    /// Media and manifest bytes received.
    pub bytes: u64,
    /// Present estimate in bit/s.
    pub estimate: f64,
    /// Seconds buffered ahead.
    pub buffer: Seconds,
    /// Present quality, if chosen.
    pub quality: Option<String>,
    /// Playhead.
    pub position: Seconds,
}

/// A piece of metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// `"station"` (response headers of a radio server), `"icy"`, `"comments"` (Vorbis comments and tags), `"script"` (FLV), `"id3"`, `"scte35"`,
    /// `"klv"`, `"captions"` (CEA-608 and CEA-708 triplets of a picture) or `"emsg"` (event messages of MP4).
    pub kind: &'static str,
    /// Where in the presentation it belongs.
    pub at: Seconds,
    /// How long an event lasts, where that is known.
    pub duration: Option<Seconds>,
    /// For people: what is played.
    pub title: Option<String>,
    /// Of the station, or of what is played.
    pub url: Option<String>,
    /// All that was told, in order.
    pub values: Vec<(String, String)>,
    /// As it came, where it is no text.
    pub data: Vec<u8>,
}

impl Note {
    /// One that tells nothing yet.
    pub fn new(kind: &'static str, at: Seconds) -> Self {
        Self { kind, at, duration: None, title: None, url: None, values: Vec::new(), data: Vec::new() }
    }
}

/// Where a live presentation is now. Times on its own timeline are seconds, as `currentTime`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LiveState {
    /// Seconds from the making to the showing: of the clock where the manifest ties the presentation to it (DASH), else of the edge.
    pub latency: Seconds,
    /// What is aimed at.
    pub target: Seconds,
    /// End of what can be fetched.
    pub edge: Seconds,
    /// What can be sought.
    pub window: (Seconds, Seconds),
    /// When what is shown was made, in seconds since 1970, if the manifest tells.
    pub date: Option<f64>,
    /// The rate by which the target is kept; 1 while it is not needed.
    pub rate: f64,
    /// Playback is at the edge, not shifted in time.
    pub at_edge: bool,
}

/// What a quality was chosen from; nothing where there was no choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// Bit/s that count on, and what a less careful look at the same bytes gives.
    pub estimate: (f64, f64),
    /// Seconds ahead of the playhead.
    pub buffer: Seconds,
    /// Of each that is allowed, by ascending bandwidth: its id, the seconds that its next segment is expected to take, and those after
    /// which the buffer would be down to its reserve with it (infinite: the link carries it).
    pub candidates: Vec<(String, Seconds, Seconds)>,
}

/// What the user is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The manifest is read and the first segments are under way.
    Loaded {
        /// `"dash"`, `"hls"` or `"file"`.
        protocol: &'static str,
        /// Seconds; infinite for a stream without an end.
        duration: Option<Seconds>,
        /// Static (on demand) or not.
        live: bool,
    },
    /// What can be chosen.
    Tracks {
        /// Video qualities by ascending bandwidth (audio qualities, where there is no video).
        qualities: Vec<Quality>,
        /// Audio tracks.
        audio: Vec<AudioTrack>,
    },
    /// Segments of another quality are fetched from now on.
    QualityChange {
        /// From; `None` at the start.
        from: Option<String>,
        /// To.
        to: String,
        /// Why.
        reason: Reason,
        /// Whether the choice is automatic.
        auto: bool,
        /// What it was chosen from.
        choice: Choice,
    },
    /// Playback waits.
    Stall {
        /// Why.
        reason: Reason,
        /// Where.
        position: Seconds,
    },
    /// Playback goes on.
    Recovered {
        /// How.
        reason: Reason,
        /// How long it waited.
        seconds: Seconds,
    },
    /// The playhead was carried over a hole; or, where the reason says so, the sound did not follow what came before it, and was mended.
    Gap {
        /// Why.
        reason: Reason,
        /// From.
        from: Seconds,
        /// To.
        to: Seconds,
    },
    /// What goes along with the media, told when the playhead comes to it.
    Metadata(Note),
    /// The URL is of a list, and these are its entries: what plays is the first of them that can be played.
    #[cfg(feature = "progressive")]
    Sources(Vec<String>),
    /// The element itself may be able to play this file. If it cannot, the error stands. The load has ended.
    #[cfg(feature = "progressive")]
    LastResort {
        /// After redirects.
        url: String,
        /// For `canPlayType`.
        mime: String,
        /// Why the player cannot.
        error: PlayerError,
    },
    /// Something went wrong; see its severity.
    Error(PlayerError),
    /// The end was reached.
    Ended,
    /// Now and then, see [`Config::stats_interval`].
    Stats(Stats),
    /// Of a live presentation, once a second.
    #[cfg(feature = "live")]
    Live(LiveState),
    /// This build cannot read the content; a build with the named feature can.
    NeedsFeature(&'static str),
}

/// What comes out of the core.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// For the shell to do.
    Command(Command),
    /// For the user.
    Event(Event),
    /// Nothing more now; call with [`Input::Timeout`] at `until` (infinite: only when there is input).
    Wait {
        /// On the shell's clock.
        until: Now,
    },
}
