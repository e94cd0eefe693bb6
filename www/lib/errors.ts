// Errors as users see them. The codes are those of the core (src/error.rs); the few that the page side raises itself have their texts here.
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
  constructor({ severity, category, code, message, advice, url, status, position, tried }: ErrorDetail, cause?: unknown, causes: readonly PlayerError[] = []) {
    super(`${message[0]?.toUpperCase() ?? ''}${message.slice(1)}${/[.!?]$/.test(message) ? '' : '.'} ${advice}`, cause === undefined ? undefined : { cause });
    this.severity = severity;
    this.category = category;
    this.code = code;
    this.context = { url, status, position };
    this.recovery = tried;
    this.advice = advice;
    this.causes = causes;
  }
}

const known = {
  URL_INVALID: ['usage', 'Pass an absolute http(s) URL or one relative to the page.'],
  URL_SCHEME: ['usage', 'Pages can reach http, https, ws and wss only: serve the stream over one of these.'],
  NO_SOURCE: ['usage', 'See `causes` for why each was passed over; offer one that plays everywhere, such as H.264 with AAC.'],
  CODEC_UNSUPPORTED: ['browser', 'This browser decodes none of the offered codecs: add an H.264/AAC rendition.'],
  CONFIG_INVALID: ['usage', 'Correct the named option; the API reference lists them all.'],
  LOAD_ABORTED: ['usage', 'Nothing to do: the load was replaced or cancelled.'],
  FORMAT_UNSUPPORTED: ['manifest', 'This kind of stream is not supported by this version.'],
  MSE_UNAVAILABLE: ['browser', "This browser has no Media Source Extensions: use the element's own playback."],
  ENGINE_LOAD: ['browser', "Serve the player's .wasm and worker files beside its script, and allow 'wasm-unsafe-eval' and worker-src in the CSP."],
  INTERNAL: ['internal', 'This is a bug in the player: please report it.'],
} as const;

/** @internal A fatal error of the page side. */
export function failure(code: keyof typeof known, message: string, url?: string, cause?: unknown): PlayerError {
  const [category, advice] = known[code];
  return new PlayerError({ severity: 'fatal', category, code, message, advice, ...(url === undefined ? {} : { url }) }, cause);
}

/** @internal None of several sources can be played. */
export function noSource(causes: readonly PlayerError[]): PlayerError {
  const [category, advice] = known.NO_SOURCE;
  const tried = causes.map(({ code, context }) => `${context.url}: ${code}`).join(', ');
  const message = causes.length ? `None of the ${causes.length} sources can be played here (${causes.map(({ code }) => code).join(', ')}).` : 'There is no source to play.';
  return new PlayerError({ severity: 'fatal', category, code: 'NO_SOURCE', message, advice, ...(tried && { tried }) }, causes.at(-1), causes);
}
