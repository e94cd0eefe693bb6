// npm: `millrace/log`. Plays everything with the one build that keeps a log of the session.
import { log } from './build-log.ts';
import { failure } from './errors.ts';
import type { Build } from './host.ts';
import { BasePlayer } from './player.ts';
import type { FromEngine, LogOptions, PlayerConfig, ToEngine } from './types.ts';

export { PlayerError } from './errors.ts';
export type { ErrorContext } from './errors.ts';
export type * from './types.ts';

/** The configuration of a player that keeps a log. */
export interface LogPlayerConfig extends PlayerConfig {
  /** What the log keeps. */
  log?: LogOptions | undefined;
}

const kinds: Record<keyof LogOptions, string> = { media: 'boolean', secrets: 'boolean', limit: 'number' };

function check(options: LogOptions): LogOptions {
  for (const [key, value] of Object.entries(options)) {
    const kind = Object.hasOwn(kinds, key) ? kinds[key as keyof LogOptions] : undefined;
    if (!kind) throw failure('CONFIG_INVALID', `\`log.${key}\` is not an option of the player.`);
    if (value !== undefined && (typeof value !== kind || Number.isNaN(value))) throw failure('CONFIG_INVALID', `\`log.${key}\` must be a ${kind}.`);
  }
  return options;
}

/** Stands between the player and its engines, and asks the present one for the log. */
class Tap {
  readonly build: Build;
  #post: ((message: ToEngine) => void) | undefined;
  /** What came last: an engine that fails sends its log before it goes. */
  #last = '';
  #waiting: ((text: string) => void)[] = [];

  constructor(options: LogOptions) {
    const start: ToEngine = { type: 'record', options };
    this.build = {
      ...log,
      worker: () => {
        const worker = log.worker();
        const post = (message: ToEngine) => worker.postMessage(message);
        worker.addEventListener('message', ({ data }: MessageEvent<FromEngine>) => this.#hear(data));
        const terminate = worker.terminate.bind(worker);
        worker.terminate = () => {
          terminate();
          if (this.#post === post) this.#end();
        };
        this.#begin(post, start);
        return worker;
      },
      engine: async () => {
        const { connect } = await log.engine();
        return {
          connect: (send) => {
            const post = connect((message) => {
              this.#hear(message);
              send(message);
            });
            this.#begin(post, start);
            return post;
          },
        };
      },
    };
  }

  text(): Promise<string> {
    const post = this.#post;
    if (!post) return Promise.resolve(this.#last);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      post({ type: 'log' });
    });
  }

  #begin(post: (message: ToEngine) => void, start: ToEngine): void {
    this.#post = post;
    post(start);
  }

  #hear(message: FromEngine): void {
    if (message.type !== 'log') return;
    this.#last = message.text;
    this.#answer();
  }

  #end(): void {
    this.#post = undefined;
    this.#answer();
  }

  #answer(): void {
    for (const resolve of this.#waiting.splice(0)) resolve(this.#last);
  }
}

/** Plays everything in a media element, and keeps a log of what it did and why. */
export class Player extends BasePlayer {
  readonly #tap: Tap;

  /** `new Player(element, config)` is short for `new Player(config)` and `attach(element)`. */
  constructor(elementOrConfig: HTMLMediaElement | LogPlayerConfig = {}, config: LogPlayerConfig = {}) {
    const isElement = 'canPlayType' in elementOrConfig;
    const { log: options = {}, ...rest } = { ...(isElement ? undefined : elementOrConfig), ...config };
    const tap = new Tap(check(options));
    if (isElement) super({ full: tap.build }, elementOrConfig, rest);
    else super({ full: tap.build }, rest);
    this.#tap = tap;
  }

  /**
   * The log of the session so far: all that went into the player's core and came out of it, a JSON array a line. `npm run replay` plays it
   * again. Secrets in URLs are masked, and media is told by length and digest, unless `config.log` says otherwise. Of a session that has ended
   * with `destroy()` it is what was asked for before.
   */
  log(): Promise<string> {
    return this.#tap.text();
  }
}
