// The literal forms below are what plain browsers and bundlers both understand: see www/README.md.
import type { Build } from './host.ts';

export const full: Build = {
  name: 'full',
  wasm: new URL('./full/millrace_bg.wasm', import.meta.url),
  worker: () => new Worker(new URL('./full/worker.js', import.meta.url), { type: 'module' }),
  engine: () => import('build:engine/full'),
};
