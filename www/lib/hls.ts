// npm: `millrace/hls`. Plays HLS only, and fetches the build for HLS only.
import { hls } from './build-hls.ts';
import { BasePlayer } from './player.ts';
import type { PlayerConfig } from './types.ts';

export { PlayerError } from './errors.ts';
export type { ErrorContext } from './errors.ts';
export type * from './types.ts';

/** Plays HLS in a media element. */
export class Player extends BasePlayer {
  /** `new Player(element, config)` is short for `new Player(config)` and `attach(element)`. */
  constructor(elementOrConfig?: HTMLMediaElement | PlayerConfig, config?: PlayerConfig) {
    super({ hls }, elementOrConfig, config);
  }
}
