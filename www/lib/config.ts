// Checks a configuration at once, so that a wrong option throws where it is written; the engine reads it again.
import { failure } from './errors.ts';
import type { PlayerConfig } from './types.ts';

/** A number: the smallest that is allowed. Otherwise the type; a `?` allows null, a `|` one more word. */
const options: Record<keyof PlayerConfig, number | string> = {
  bufferAhead: 1, bufferBehind: 0, bufferBytes: 1e6, maxBandwidth: 'number?', capToElement: 'boolean', initialBandwidth: 1,
  language: 'string?', maxAttempts: 1, requestTimeout: 0.1, maxGap: 0, statsInterval: 0, icy: 'boolean|auto', liveLatency: 'number?',
  catchUp: 'boolean|auto', dataSaver: 'boolean|auto', worker: 'boolean',
};

/** @internal Throws CONFIG_INVALID for an unknown key or a bad value. */
export function check(config: PlayerConfig): PlayerConfig {
  for (const [key, value] of Object.entries(config)) {
    const rule = Object.hasOwn(options, key) ? options[key as keyof PlayerConfig] : undefined;
    if (rule === undefined) throw failure('CONFIG_INVALID', `\`${key}\` is not an option of the player.`);
    if (value === undefined) continue;
    const fits = typeof rule === 'number' ? Number.isFinite(value) && value >= rule
      : value === null ? rule.endsWith('?') : value === rule.split('|')[1] || typeof value === rule.replace(/\?|\|.*/, '') && (rule !== 'number?' || value >= (key === 'liveLatency' ? 0 : 1));
    if (!fits) {
      const wanted = typeof rule === 'number' ? `a number from ${rule} up` : `a ${rule.replace('?', ' or null').replace('|', ' or ')}`;
      throw failure('CONFIG_INVALID', `\`${key}\` must be ${wanted}.`);
    }
  }
  return config;
}
