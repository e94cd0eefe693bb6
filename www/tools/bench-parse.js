// The manifest readers of each player by themselves, in the page: bundled by bench.mjs.
import initWasm, { bench_mpd, bench_playlist } from 'bench:wasm';
import { M3U8Parser } from 'hls.js';
import { MediaPlayer } from 'dashjs';
import { Parser } from 'm3u8-parser';

/** dash.js reads manifests only together with fetching them: from memory, and the same fetch is timed without it. */
async function dashManifest(bytes) {
  const url = URL.createObjectURL(new Blob([bytes], { type: 'application/dash+xml' }));
  const player = MediaPlayer().create();
  player.initialize();
  player.updateSettings({ debug: { logLevel: 0 } });
  const fetched = performance.now();
  await new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    Object.assign(request, { onload: resolve, onerror: reject });
    request.open('GET', url);
    request.send();
  });
  const started = performance.now();
  await new Promise((resolve, reject) => { player.retrieveManifest(url, (manifest, error) => (manifest ? resolve() : reject(error))); });
  const ms = performance.now() - started - (started - fetched);
  player.destroy();
  URL.revokeObjectURL(url);
  return ms;
}

const base = 'http://example.com/a/b.m3u8';
const timed = (work) => { const started = performance.now(); const segments = work(); return { ms: performance.now() - started, segments }; };

const readers = {
  playlist: {
    millrace: (bytes) => timed(() => bench_playlist(bytes, base)),
    // A string is what its loader gets from the browser, decoded there.
    'hls.js': (_, text) => timed(() => M3U8Parser.parseLevelPlaylist(text, base, 0, 'main', 0, null).fragments.length),
    'm3u8-parser': (_, text) => timed(() => { const parser = new Parser(); parser.push(text); parser.end(); return parser.manifest.segments.length; }),
  },
  timeline: {
    millrace: (bytes) => timed(() => bench_mpd(bytes, base)),
    'dash.js': async (bytes) => ({ ms: await dashManifest(bytes), segments: 10_000 }),
  },
};

window.bench = {
  async init(wasm) { await initWasm({ module_or_path: wasm }); },

  /** One reader on one text: the first run in this page, then the median of ten. */
  async read(kind, name, text) {
    const bytes = new TextEncoder().encode(text);
    const runs = [];
    for (let i = 0; i < 11; i++) runs.push(await readers[kind][name](bytes, text));
    if (runs.some(({ segments }) => segments !== 10_000)) throw new Error(`${name} read ${runs[0].segments} segments`);
    const warm = runs.slice(1).map(({ ms }) => ms).sort((a, b) => a - b);
    return { first: runs[0].ms, warm: (warm[4] + warm[5]) / 2 };
  },
};
window.pageReady = true;
