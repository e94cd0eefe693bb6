// npm: `millrace`. Plays DASH and HLS, each with the smallest build that can.
import { dash } from './build-dash.ts';
import { full } from './build-full.ts';
import { hls } from './build-hls.ts';
import { live } from './build-live.ts';
import { BasePlayer } from './player.ts';
import type { PlayerConfig } from './types.ts';

export { PlayerError } from './errors.ts';
export type { ErrorContext } from './errors.ts';
export type * from './types.ts';

/** Plays DASH and HLS in a media element. */
export class Player extends BasePlayer {
  /** `new Player(element, config)` is short for `new Player(config)` and `attach(element)`. */
  constructor(elementOrConfig?: HTMLMediaElement | PlayerConfig, config?: PlayerConfig) {
    super({ full, hls, dash, live }, elementOrConfig, config);
  }
}
