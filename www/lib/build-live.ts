// The literal forms below are what plain browsers and bundlers both understand: see www/README.md.
import type { Build } from './host.ts';

export const live: Build = {
  name: 'live',
  wasm: new URL('./live/millrace_bg.wasm', import.meta.url),
  worker: () => new Worker(new URL('./live/worker.js', import.meta.url), { type: 'module' }),
  engine: () => import('build:engine/live'),
};
