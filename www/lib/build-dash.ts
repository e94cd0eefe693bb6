// The literal forms below are what plain browsers and bundlers both understand: see www/README.md.
import type { Build } from './host.ts';

export const dash: Build = {
  name: 'dash',
  wasm: new URL('./dash/millrace_bg.wasm', import.meta.url),
  worker: () => new Worker(new URL('./dash/worker.js', import.meta.url), { type: 'module' }),
  engine: () => import('build:engine/dash'),
};
