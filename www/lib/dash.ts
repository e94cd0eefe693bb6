// npm: `millrace/dash`. Plays DASH only, and fetches the build for DASH only.
import { dash } from './build-dash.ts';
import { BasePlayer } from './player.ts';
import type { PlayerConfig } from './types.ts';

export { PlayerError } from './errors.ts';
export type { ErrorContext } from './errors.ts';
export type * from './types.ts';

/** Plays DASH in a media element. */
export class Player extends BasePlayer {
  /** `new Player(element, config)` is short for `new Player(config)` and `attach(element)`. */
  constructor(elementOrConfig?: HTMLMediaElement | PlayerConfig, config?: PlayerConfig) {
    super({ dash }, elementOrConfig, config);
  }
}
