// The public types, and the protocol between the page side and the engine (a worker or the page itself).
import type { ErrorCode, PlayerError } from './errors.ts';

/** Options of a player. All are optional; an unknown key is an error. */
export interface PlayerConfig {
  /** Seconds to keep buffered ahead of the playhead. Default 30. */
  bufferAhead?: number | undefined;
  /** Seconds kept behind the playhead. Default 30. */
  bufferBehind?: number | undefined;
  /** Bytes that the forward buffer may hold; time or bytes, whichever is reached first. Default 60,000,000. */
  bufferBytes?: number | undefined;
  /** Never choose a video quality above this many bit/s. Default `null`: no limit. */
  maxBandwidth?: number | null | undefined;
  /** Cap the quality by the element's size in device pixels. Default true. */
  capToElement?: boolean | undefined;
  /** Estimate before anything was measured, in bit/s. Default 2,000,000. */
  initialBandwidth?: number | undefined;
  /** Preferred language (BCP 47). Default `null`: the stream's own. */
  language?: string | null | undefined;
  /** Attempts per request, the first included. Default 4. */
  maxAttempts?: number | undefined;
  /** Seconds without a byte after which a request is given up. Default 10. */
  requestTimeout?: number | undefined;
  /** Gaps of up to this many seconds in the media are jumped. Default 2. */
  maxGap?: number | undefined;
  /** Seconds between `stats` events; 0: none. Default 1. */
  statsInterval?: number | undefined;
  /** Ask radio servers for titles (`Icy-MetaData: 1`). From another origin that takes a CORS preflight, which many refuse; `true` tries it, and
   * does without where it fails; `'auto'` asks the page's own origin only. Default `'auto'`. */
  icy?: boolean | 'auto' | undefined;
  /** Seconds to stay behind live; `null`: what the manifest asks for, or what is safe. Default `null`. */
  liveLatency?: number | null | undefined;
  /** Reach and keep that distance by playing up to 8 % faster or slower; `'auto'`: in low-latency streams. A `playbackRate` of your own is left
   * alone. Default `'auto'`. */
  catchUp?: boolean | 'auto' | undefined;
  /** Spend few bytes: no quality above 1 Mbit/s, half as much buffered ahead, nothing fetched twice for a better quality; `'auto'`: where the user has told
   * the browser so (`navigator.connection.saveData`). Default `'auto'`. */
  dataSaver?: boolean | 'auto' | undefined;
  /** How qualities are chosen: by throughput, buffer and the sizes of what comes next (`'default'`), by the throughput alone, or by the buffer
   * (`'bola'`: BOLA, with the throughput where little is buffered). Default `'default'`. */
  abr?: 'default' | 'throughput' | 'bola' | undefined;
  /** Run in a worker where the browser allows it. Only the constructor heeds it. Default true. */
  worker?: boolean | undefined;
}

/** Options of one load. */
export interface LoadOptions {
  /** Where to start, in seconds; negative: before the end. */
  startTime?: number | undefined;
  /** `'dash'`, `'hls'`, or a MIME type of theirs or of a media file: overrides what the content looks like. */
  type?: string | undefined;
  /** Ends the load when aborted before `load()` has resolved. */
  signal?: AbortSignal | undefined;
}

/** One of several places where the same can be had. */
export interface Source {
  /** Absolute, or relative to the page. */
  readonly src: string | URL;
  /** As in `LoadOptions`. A source whose type names codecs that this browser lacks is passed over unfetched. */
  readonly type?: string | undefined;
}

/** What `load()` takes: one URL, or several of which the first that can be played here is taken. */
export type Sources = string | URL | Source | readonly (string | URL | Source)[];

/** A video quality (an audio quality, where there is no video). */
export interface Quality {
  /** Stable; for `selectQuality`. */
  readonly id: string;
  /** Peak, bit/s. */
  readonly bandwidth: number;
  /** Pixels; 0 where unknown. */
  readonly width: number;
  /** Pixels; 0 where unknown. */
  readonly height: number;
  /** Frames per second; 0 where unknown. */
  readonly frameRate: number;
  /** RFC 6381. */
  readonly codecs: string;
}

/** An audio track. */
export interface AudioTrack {
  /** Stable; for `selectAudio`. */
  readonly id: string;
  /** BCP 47. */
  readonly language?: string;
  /** For people. */
  readonly label?: string;
  /** DASH roles. */
  readonly roles: readonly string[];
  /** The one that plays. */
  readonly active: boolean;
}

/** Numbers of the running load. */
export interface Stats {
  /** Seconds from `load()` to the first frame. */
  readonly startupTime?: number;
  /** After the first frame, seeks not counted. */
  readonly stalls: { readonly count: number; readonly seconds: number };
  /** Changes of quality. */
  readonly switches: number;
  /** Of what was played, weighted by time, bit/s. */
  readonly averageBitrate: number;
  /** Received, manifests included. */
  readonly bytes: number;
  /** Present throughput estimate, bit/s. */
  readonly estimate: number;
  /** Seconds buffered ahead. */
  readonly buffer: number;
  /** `getVideoPlaybackQuality().totalVideoFrames`. */
  readonly totalFrames: number;
  /** `getVideoPlaybackQuality().droppedVideoFrames`. */
  readonly droppedFrames: number;
  /** Id of the present quality. */
  readonly quality?: string;
  /** Playhead, seconds. */
  readonly position: number;
  /** Whether the engine runs in a worker. */
  readonly inWorker: boolean;
}

/** Where a live presentation is now. Places on its timeline are seconds, as `currentTime`. */
export interface Live {
  /** Seconds from the making to the showing: of the server's clock where the manifest ties the presentation to it (DASH), else of the edge. */
  readonly latency: number;
  /** What is aimed at. */
  readonly target: number;
  /** End of what can be fetched. */
  readonly edge: number;
  /** What can be sought, as the element's `seekable`. */
  readonly window: { readonly start: number; readonly end: number };
  /** When what is shown was made, if the manifest tells. */
  readonly date?: Date;
  /** The rate by which the target is kept; 1 while it is not needed. */
  readonly rate: number;
  /** Playback is at the edge, not shifted in time. */
  readonly atEdge: boolean;
}

/** What goes along with the media. */
export interface Metadata {
  /**
   * `'station'`: headers of a radio server. `'icy'`: its titles. `'comments'`: Vorbis comments and tags. `'script'`: messages in FLV. `'emsg'`: an event message of MP4.
   * `'captions'`: CEA-608 and CEA-708 data of a picture. The others as they are in the stream.
   */
  readonly kind: 'station' | 'icy' | 'comments' | 'script' | 'id3' | 'scte35' | 'klv' | 'captions' | 'emsg';
  /** Seconds: where it belongs in what is played. */
  readonly time: number;
  /** Seconds that an event lasts, where it is told. */
  readonly duration?: number;
  /** What is played, or the name of the station. */
  readonly title?: string;
  readonly url?: string;
  /** All that was told, names as they came; of an event `scheme_id_uri`, `value` and `id`. */
  readonly values: Readonly<Record<string, string>>;
  /** As it came, where it is no text: an ID3v2 tag, a `splice_info_section`, KLV units, `message_data`, the triplets of `cc_data()`. */
  readonly data?: Uint8Array;
}

/** What a quality was chosen from. */
export interface Choice {
  /** The throughput that counted, bit/s: the lower of two averages, over the newest half segment and a longer one. */
  readonly estimate: number;
  /** The higher of them. */
  readonly estimateHigh: number;
  /** Seconds ahead of the playhead. */
  readonly buffer: number;
  /** The qualities that were allowed, by ascending bandwidth: `seconds` that the next segment was expected to take, and those that the buffer
   * would have lasted with it (infinite: the link carries it). Empty where there was no choice: one by hand, a failure, a hidden page. */
  readonly candidates: readonly { readonly id: string; readonly seconds: number; readonly lasts: number }[];
}

/** What each event's `detail` holds. */
export interface PlayerEventDetails {
  /** The manifest or the headers of the file are read and the first media is under way. `duration` is infinite for a stream without an end. */
  loaded: { protocol: 'dash' | 'hls' | 'file' | 'element'; duration?: number; live: boolean };
  /** What can be chosen. */
  tracks: { qualities: readonly Quality[]; audio: readonly AudioTrack[] };
  /** Segments of another quality are fetched from now on. `reason`: see the API reference. */
  qualitychange: { from?: string; to: string; reason: string; auto: boolean } & Choice;
  /** Playback waits. */
  stall: { reason: string; position: number };
  /** Playback goes on after `seconds`. */
  recovered: { reason: string; seconds: number };
  /** The playhead was carried over a hole; or, with a reason `sound-…`, the sound was uneven and was mended. */
  gap: { reason: string; from: number; to: number };
  /** A source could not be played, and the next one is tried. `error` says why. */
  sourcechange: { from: string; to: string; error: PlayerError };
  /** Metadata, told when the playhead comes to it. */
  metadata: Metadata;
  /** The player cannot play this file, for the reason in `error`, and the element tries by itself (`src`). */
  fallback: { url: string; type: string; error: PlayerError };
  /** Something went wrong; `severity` tells whether playback goes on. */
  error: PlayerError;
  /** The end was reached. */
  ended: Record<string, never>;
  /** Now and then, see `statsInterval`. */
  stats: Stats;
  /** Of a live presentation, once a second. */
  live: Live;
}

/** The events of a player by name. */
export type PlayerEventMap = { [K in keyof PlayerEventDetails]: CustomEvent<PlayerEventDetails[K]> };

/** @internal The names of the builds. */
export type BuildName = 'full' | 'hls' | 'dash' | 'live';

/** @internal The element as numbers: position, readyState, flags (1 paused, 2 seeking, 4 ended, 8 first frame shown, 16 hidden), rate, width, height. */
export type State = readonly [number, number, number, number, number, number];

/** @internal A response that the page fetched while the engine was still loading. */
export interface Fetched {
  status: number;
  url: string;
  type: string | null;
  body: ArrayBuffer;
}

/** @internal From the page side to the engine. */
export type ToEngine =
  /** Before all others: keep a log. */
  | { type: 'record'; options: LogOptions }
  /** Answered by `log`. */
  | { type: 'log' }
  | { type: 'init'; module: WebAssembly.Module; config: object }
  | { type: 'load'; load: number; url: string; kind: string | undefined; startTime: number | undefined; prefetch: boolean }
  /** Neither response nor error: the engine is to fetch by itself. */
  | { type: 'prefetched'; load: number; response?: Fetched; error?: string }
  | { type: 'state'; state: State }
  | { type: 'elementerror'; code: number; message: string }
  | { type: 'quality'; id: string | undefined; keep: boolean }
  | { type: 'audio'; id: string }
  | { type: 'golive' }
  /** Seconds since 1970. */
  | { type: 'date'; date: number }
  | { type: 'configure'; config: object }
  | { type: 'stop' }
  | { type: 'destroy' };

/** What the log of a session keeps (`millrace/log`). */
export interface LogOptions {
  /** The bytes of media too, so that it replays where the media cannot be fetched again. Default false: their length and a digest. */
  media?: boolean | undefined;
  /** Leave the values of queries and the like in URLs as they are. Default false: others are in their place. */
  secrets?: boolean | undefined;
  /** Characters after which it is cut. Default 16,000,000; with `media` 64,000,000. */
  limit?: number | undefined;
}

/** @internal An error as the engine sends it. */
export interface ErrorDetail {
  fatal: boolean;
  /** A number from the core: its place among the codes. */
  code: ErrorCode | number;
  message: string;
  url?: string;
  status?: number;
  position?: number;
  tried?: string;
}

/** @internal What the engine tells; `load` names the load that it belongs to. */
export type FromEngine =
  | { type: 'ready' }
  | { type: 'failed'; message: string }
  | { type: 'source'; load: number; handle: MediaSourceHandle | MediaSource | null }
  | { type: 'seek' | 'rate'; load: number; value: number }
  | { type: 'event'; load: number; name: string; detail: unknown }
  | { type: 'log'; text: string };
