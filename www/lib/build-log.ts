// The literal forms below are what plain browsers and bundlers both understand: see www/README.md.
import type { Build } from './host.ts';

export const log: Build = {
  // To the player it is one that plays everything.
  name: 'full',
  wasm: new URL('./log/millrace_bg.wasm', import.meta.url),
  worker: () => new Worker(new URL('./log/worker.js', import.meta.url), { type: 'module' }),
  engine: () => import('build:engine/log'),
};
