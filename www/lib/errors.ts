// Errors as users see them. The codes are those of the core (src/error.rs), which sends nothing of them but their number.
import type { ErrorDetail } from './types.ts';

/** Where and with what an error happened. */
export interface ErrorContext {
  /** The URL concerned. */
  readonly url?: string | undefined;
  /** HTTP status, where a response came. */
  readonly status?: number | undefined;
  /** Byte offset in the resource, or line for text formats. */
  readonly position?: number | undefined;
}

/** What `load()` rejects with and what `error` events carry. */
export class PlayerError extends Error {
  override readonly name = 'PlayerError';
  /** `'fatal'`: this load has ended; `'recoverable'`: the player goes on. */
  readonly severity: 'recoverable' | 'fatal';
  /** Whose fault it is: `usage`, `network`, `manifest`, `media`, `browser` or `internal`. */
  readonly category: string;
  /** Stable; see the API reference for the list. */
  readonly code: string;
  /** Where and with what it happened. */
  readonly context: ErrorContext;
  /** What the player tried before it gave up, in words. */
  readonly recovery: string | undefined;
  /** What you can do about it. Also the end of `message`. */
  readonly advice: string;
  /** For NO_SOURCE: why each of the sources was passed over, in their order. Empty otherwise. */
  readonly causes: readonly PlayerError[];

  /** @internal */
  constructor({ fatal, code, message, url, status, position, tried }: ErrorDetail, cause?: unknown, causes: readonly PlayerError[] = []) {
    const name = typeof code === 'number' ? codes[code]! : code;
    const [category, advice] = known[name];
    super(`${message[0]?.toUpperCase() ?? ''}${message.slice(1)}${/[.!?]$/.test(message) ? '' : '.'} ${advice}`, cause === undefined ? undefined : { cause });
    this.severity = fatal ? 'fatal' : 'recoverable';
    this.category = category;
    this.code = name;
    this.context = { url, status, position };
    this.recovery = tried;
    this.advice = advice;
    this.causes = causes;
  }
}

/** Category and advice of each code, in the order of src/error.rs: a test compares them. */
const known = {
  URL_INVALID: ['usage', 'Pass an absolute http(s) URL or one relative to the page.'],
  NO_SOURCE: ['usage', 'See `causes`; offer one that plays everywhere, such as H.264 with AAC.'],
  URL_SCHEME: ['usage', 'Pages reach http, https, ws and wss only: serve the stream over one of these.'],
  CONFIG_INVALID: ['usage', 'Correct the named option; the API reference lists them all.'],
  LOAD_ABORTED: ['usage', 'Nothing to do: the load was replaced or cancelled.'],
  HTTP_CLIENT_ERROR: ['network', 'Check that the URL is right and that the server allows the request.'],
  HTTP_SERVER_ERROR: ['network', 'The server fails at present: try again later or look at its log.'],
  NETWORK_FAILED: ['network', 'Check the connection, and that the server sends Access-Control-Allow-Origin for this page.'],
  NETWORK_TIMEOUT: ['network', 'The server stopped sending: try again later.'],
  RESPONSE_TRUNCATED: ['network', 'The file is incomplete or the connection was cut: try again or upload it anew.'],
  FORMAT_UNKNOWN: ['manifest', 'Check the URL, or pass `type` if the server mislabels the content.'],
  FORMAT_UNSUPPORTED: ['manifest', 'This kind of stream is not supported by this version.'],
  MANIFEST_MALFORMED: ['manifest', 'Validate the manifest; the message names the place.'],
  MANIFEST_EMPTY: ['manifest', 'Check that the packager has finished.'],
  MANIFEST_STALE: ['manifest', 'The encoder or packager has stopped, or a cache serves an old copy: look at the origin.'],
  MEDIA_MALFORMED: ['media', 'Package the stream anew.'],
  MEDIA_EMPTY: ['media', 'Check the packager.'],
  CONTAINER_UNSUPPORTED: ['media', 'Package the segments as fragmented MP4, MPEG-TS or WebM.'],
  CODEC_UNSUPPORTED: ['browser', 'Add an H.264/AAC rendition.'],
  MSE_UNAVAILABLE: ['browser', "This browser has no Media Source Extensions: use the element's own playback."],
  MEDIA_DECODE: ['browser', 'Check the encoding.'],
  BUFFER_FULL: ['browser', 'Use shorter segments or a lower bitrate.'],
  ENCRYPTED: ['media', 'Encrypted streams are not supported by this version.'],
  PLAYBACK_STUCK: ['media', 'Playback stopped and no recovery helped: report the stream.'],
  ENGINE_LOAD: ['browser', "Serve the player's .wasm and worker files beside its script, and allow 'wasm-unsafe-eval', worker-src and connect-src for them in the CSP."],
  INTERNAL: ['internal', 'This is a bug in the player: please report it.'],
} as const;

/** @internal */
export type ErrorCode = keyof typeof known;

const codes = Object.keys(known) as ErrorCode[];

/** @internal A fatal error of the page side. */
export function failure(code: ErrorCode, message: string, url?: string, cause?: unknown): PlayerError {
  return new PlayerError({ fatal: true, code, message, ...(url === undefined ? {} : { url }) }, cause);
}

/** @internal None of several sources can be played. */
export function noSource(causes: readonly PlayerError[]): PlayerError {
  const tried = causes.map(({ code, context }) => `${context.url}: ${code}`).join(', ');
  const message = causes.length ? `None of the ${causes.length} sources can be played here (${causes.map(({ code }) => code).join(', ')}).` : 'There is no source to play.';
  return new PlayerError({ fatal: true, code: 'NO_SOURCE', message, ...(tried && { tried }) }, causes.at(-1), causes);
}
