// The readers and rewriters of each player by themselves, in the page: bundled by bench.mjs.
import initWasm, { BenchRemux, bench_mpd, bench_playlist } from 'bench:wasm';
import { M3U8Parser } from 'hls.js';
import { MediaPlayer } from 'dashjs';
import { Parser } from 'm3u8-parser';
import { hlsDefaultConfig } from 'bench:hls.js/src/config.ts';
import Transmuxer, { TransmuxConfig, TransmuxState } from 'bench:hls.js/src/demux/transmuxer.ts';
import { ChunkMetadata } from 'bench:hls.js/src/types/transmuxer.ts';

const quiet = Object.fromEntries(['trace', 'debug', 'log', 'warn', 'info', 'error'].map((name) => [name, () => {}]));
const observer = { on() {}, once() {}, off() {}, emit() {}, trigger() {}, removeAllListeners() {}, listenerCount: () => 0 };

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

function hlsRewriter() {
  const transmuxer = new Transmuxer(observer, { mpeg: true, mp3: true, ac3: false, m4a: true }, { ...hlsDefaultConfig }, '', 'main', quiet);
  let sn = 0;
  transmuxer.configure(new TransmuxConfig(undefined, undefined, undefined, 60, null));
  return (bytes) => {
    const meta = new ChunkMetadata(0, sn, sn, bytes.length);
    const results = [transmuxer.push(bytes.slice().buffer, null, meta, new TransmuxState(sn === 0, sn > 0, true, false, sn * 4, sn === 0)), ...transmuxer.flush(meta)];
    sn++;
    let out = 0;
    for (const { remuxResult } of results) {
      for (const track of [remuxResult.video, remuxResult.audio]) out += (track?.data1?.length ?? 0) + (track?.data2?.length ?? 0);
    }
    return out;
  };
}

const rewriters = {
  millrace: () => { const remux = new BenchRemux(); return (bytes) => remux.segment(bytes).reduce((sum, part) => sum + part.length, 0); },
  'hls.js': hlsRewriter,
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

  /** One rewriter over segments of transport stream, fetched before; MB/s, warm. */
  async rewrite(name, urls, rounds) {
    const segments = await Promise.all(urls.map(async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer())));
    const pass = () => {
      const rewrite = rewriters[name]();
      let [took, into, out] = [0, 0, 0];
      for (const bytes of segments) {
        const started = performance.now();
        out += rewrite(bytes);
        took += performance.now() - started;
        into += bytes.length;
      }
      if (out < into * 0.8) throw new Error(`${name} made ${out} bytes of ${into}`);
      return into / 1e3 / took;
    };
    pass();
    const rates = Array.from({ length: rounds }, pass).sort((a, b) => a - b);
    return { rate: rates[rates.length >> 1] };
  },
};
window.pageReady = true;
