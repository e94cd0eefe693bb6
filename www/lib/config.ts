// Checks a configuration at once, so that a wrong option throws where it is written; the engine takes it as it is.
import { failure } from './errors.ts';
import type { PlayerConfig } from './types.ts';

/** What a value must be, in words, and whether it is. */
type Rule = readonly [string, (value: unknown) => boolean];

const from = (least: number): Rule => [`a number from ${least} up`, (value) => Number.isFinite(value) && (value as number) >= least];
const orNull = ([words, fits]: Rule): Rule => [`${words} or null`, (value) => value === null || fits(value)];
const oneOf = (...all: unknown[]): Rule => [`one of ${all.join(', ')}`, (value) => all.includes(value)];
const flag = oneOf(true, false);
const auto = oneOf(true, false, 'auto');

const options: Record<keyof PlayerConfig, Rule> = {
  bufferAhead: from(1), bufferBehind: from(0), bufferBytes: from(1e6), maxBandwidth: orNull(from(1)), capToElement: flag, initialBandwidth: from(1),
  language: orNull(['a string', (value) => typeof value === 'string']), maxAttempts: from(1), requestTimeout: from(0.1), maxGap: from(0),
  statsInterval: from(0), icy: auto, liveLatency: orNull(from(0)), catchUp: auto, dataSaver: auto, abr: oneOf('default', 'throughput', 'bola'), worker: flag,
};

/** @internal Throws CONFIG_INVALID for an unknown key or a bad value. */
export function check(config: PlayerConfig): PlayerConfig {
  for (const [key, value] of Object.entries(config)) {
    const rule = Object.hasOwn(options, key) ? options[key as keyof PlayerConfig] : undefined;
    if (!rule) throw failure('CONFIG_INVALID', `\`${key}\` is not an option of the player.`);
    const [words, fits] = rule;
    if (value !== undefined && !fits(value)) throw failure('CONFIG_INVALID', `\`${key}\` must be ${words}.`);
  }
  return config;
}
