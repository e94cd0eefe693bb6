// npm: `millrace/live`. Plays DASH and HLS, live or not, and fetches the one build that does.
import { live } from './build-live.ts';
import { BasePlayer } from './player.ts';
import type { PlayerConfig } from './types.ts';

export { PlayerError } from './errors.ts';
export type { ErrorContext } from './errors.ts';
export type * from './types.ts';

/** Plays DASH and HLS, live and on demand, in a media element. */
export class Player extends BasePlayer {
  /** `new Player(element, config)` is short for `new Player(config)` and `attach(element)`. */
  constructor(elementOrConfig?: HTMLMediaElement | PlayerConfig, config?: PlayerConfig) {
    super({ live }, elementOrConfig, config);
  }
}
