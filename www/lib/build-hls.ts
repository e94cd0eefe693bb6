// The literal forms below are what plain browsers and bundlers both understand: see www/README.md.
import type { Build } from './host.ts';

export const hls: Build = {
  name: 'hls',
  wasm: new URL('./hls/millrace_bg.wasm', import.meta.url),
  worker: () => new Worker(new URL('./hls/worker.js', import.meta.url), { type: 'module' }),
  engine: () => import('build:engine/hls'),
};
