// npm run bench [-- SECTION…] [--runs N] [--mb N]: the numbers that the README promises, measured side by side with other players on the
// same streams over the same imitated link. Players take turns (A B C A B C), each run has a new browser with a new profile,
// and every number is a median with the smallest and largest beside it.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { build, buildWasm, peerSizes, pkgDir, readConfig, sizeTable } from '../build.mjs';
import { abr, abrOptions, usage } from './bench-abr.mjs';
import { edge } from './bench-edge.mjs';
import { buildNative, makeInputs, timeProcess } from './bench-inputs.mjs';
import { launch } from './browsers.mjs';
import { startLiveOrigin } from './live-origin.mjs';
import { playerPages } from './player-page.mjs';
import { makeSamples, samplesDir } from './samples.mjs';
import { startServer } from './server.mjs';
import { ensure } from './setup.mjs';
import { Told, cache, main, root, step } from './steps.mjs';

const link = 'kbps=10000,rtt=40';
/** A segment's start, far behind what can be buffered: what a player waits for beyond the keyframe is its own doing. */
const seekTo = 40;
const cpuSeconds = 30;
/** A stay at the live edge, and how much of it counts as the way there. */
const liveSeconds = 60;
const settledAfter = 15;
const besideSeconds = 600;
/** Sections that run when none is named; what takes ten minutes and more by itself is asked for. */
const usual = (name) => !['beside', 'edge', 'abr'].includes(name);
/** Of each input that is rewritten. */
let megabytes = 50;
/** Of the section abr. */
let abrs;

const streams = {
  'HLS-TS': { protocol: 'hls', url: 'hls-ts/master.m3u8', top: 'hls-ts/720p.m3u8', players: ['millrace', 'hls.js', 'shaka'] },
  'HLS-fMP4': { protocol: 'hls', url: 'hls-fmp4/master.m3u8', top: 'hls-fmp4/720p.m3u8', players: ['millrace', 'hls.js', 'shaka'] },
  'DASH timeline': { protocol: 'dash', url: 'dash-timeline/manifest.mpd', top: 'dash-timeline/720p.mpd', players: ['millrace', 'dash.js', 'rx-player', 'shaka'] },
  'DASH sidx': { protocol: 'dash', url: 'dash-sidx/manifest.mpd', top: 'dash-sidx/720p.mpd', players: ['millrace', 'dash.js', 'rx-player', 'shaka'] },
};
const floor = { protocol: 'native', url: 'progressive/720p.mp4', top: 'progressive/720p.mp4' };

// ---- Measuring ----------------------------------------------------------------------------------------------------

/** The share of the machine that something else uses, over a fifth of a second. */
async function busy() {
  const read = () => {
    const fields = readFileSync('/proc/stat', 'latin1').split('\n')[0].split(/\s+/).slice(1).map(Number);
    return { idle: fields[3] + fields[4], all: fields.reduce((a, b) => a + b, 0) };
  };
  const before = read();
  await sleep(200);
  const after = read();
  return 1 - (after.idle - before.idle) / Math.max(1, after.all - before.all);
}

const noise = { waits: 0, noisy: 0, runs: 0 };

/** Waits for the machine to be quiet; a run on a busy one is counted as noisy, and said so in the end. */
async function quiet() {
  noise.runs++;
  for (let attempt = 0; attempt < 8; attempt++) {
    if (await busy() < 0.25) return;
    noise.waits++;
    await sleep(1_000);
  }
  noise.noisy++;
}

/** All results of one section by "case / player"; failures are kept, not dropped. */
class Results {
  rows = new Map();

  add(stream, player, result) {
    const key = `${stream}\0${player}`;
    if (!this.rows.has(key)) this.rows.set(key, { stream, player, results: [] });
    this.rows.get(key).results.push(result);
  }

  of(stream, player, field) {
    const values = (this.rows.get(`${stream}\0${player}`)?.results ?? []).map((result) => result[field]).filter((value) => Number.isFinite(value)).sort((a, b) => a - b);
    if (!values.length) return undefined;
    const middle = values.length >> 1;
    return { median: values.length % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2, min: values[0], max: values.at(-1) };
  }

  seen(stream, player, field) {
    return [...new Set((this.rows.get(`${stream}\0${player}`)?.results ?? []).map((result) => result[field]).filter(Boolean))].sort((a, b) => a - b).join('/');
  }

  errors() { return [...this.rows.values()].flatMap(({ stream, player, results }) => results.filter(({ error }) => error).map(({ error }) => `${stream}, ${player}: ${error}`)); }
}

const told = (value, digits = 0) => (value ? `${value.median.toFixed(digits)} [${value.min.toFixed(digits)}–${value.max.toFixed(digits)}]` : '—');

/** Whether ours over the best peer is within `limit`; `less` is better unless told otherwise. */
function verdict(ours, peers, limit, more = false) {
  const best = peers.filter(Boolean).map(({ median }) => median);
  if (!ours || !best.length) return 'not measured';
  const ratio = ours.median / (more ? Math.max(...best) : Math.min(...best));
  const met = more ? ratio >= limit : ratio <= limit;
  return `${ratio.toFixed(2)} of the best peer (target ${more ? '≥' : '≤'} ${limit}) ${met ? 'met' : 'MISSED'}`;
}

let server;

/** A new browser on the bench page for one run. */
async function withPage(page, work, { alone = true } = {}) {
  if (alone) await quiet();
  const browser = await launch('chromium', { width: 1400, height: 900 });
  try {
    await browser.goto(`${server.url}/${page}.html`);
    await browser.until(() => window.pageReady === true, { what: 'the bench page' });
    return await work(browser);
  } catch (error) {
    return { error: error.message.split('\n')[0] };
  } finally { await browser.quit(); }
}

async function interleave(label, cases, runs, one) {
  const results = new Results();
  await step(label, async (note) => {
    for (let round = 1; round <= runs; round++) {
      for (const [stream, definition] of Object.entries(cases)) {
        for (const player of definition.players) {
          note(`round ${round} of ${runs}: ${stream}, ${player}`);
          results.add(stream, player, await one(definition, player));
        }
      }
    }
  });
  return results;
}

/** A table of players by streams, our ratio to the best of the others below. */
function table(title, results, cases, field, { limit, digits = 0, rung = false, more = false } = {}) {
  const lines = [`\n${title}`];
  for (const [stream, { players }] of Object.entries(cases)) {
    lines.push(`  ${stream}`);
    for (const player of players) {
      const rungs = rung ? `  first rung ${results.seen(stream, player, 'rung') || '—'}` : '';
      lines.push(`    ${player.padEnd(16)}${told(results.of(stream, player, field), digits).padStart(22)}${rungs}`);
    }
    if (limit) {
      const peers = players.filter((player) => player !== 'millrace' && player !== 'native');
      lines.push(`    ${verdict(results.of(stream, 'millrace', field), peers.map((player) => results.of(stream, player, field)), limit, more)}`);
    }
  }
  for (const error of results.errors()) lines.push(`  failed run: ${error}`);
  return lines.join('\n');
}

// ---- The sections -------------------------------------------------------------------------------------------------

const nativeName = 'millrace, native';
const withFloor = { ...streams, '<video src=mp4>, 720p': { ...floor, players: ['native'] } };

const liveStreams = {
  'LL-HLS, parts of 0.32 s': { protocol: 'hls', players: ['millrace', 'hls.js', 'shaka'] },
  'LL-DASH, a frame a chunk, 1 s asked for': { protocol: 'dash', players: ['millrace', 'dash.js', 'shaka'] },
};

const liveOrigin = () => startLiveOrigin({ chunkDuration: 0.04, latency: 1 });

/** Joins a live stream in a new browser, and tells what was seen in so many seconds. */
const stay = (player, protocol, url, seconds, options) => withPage('bench', async (browser) => {
  await browser.run((...args) => window.bench.joinLive(...args), player, protocol, url, settledAfter);
  await sleep(seconds * 1000);
  return browser.run(() => window.bench.leaveLive());
}, options);

const liveTables = (results, seconds) => ({ text: [
  table('Join: load() to first frame at the edge, ms', results, liveStreams, 'join', { limit: 1 }),
  table(`Age of the picture, s, the median from ${settledAfter} s after the join to ${seconds} s`, results, liveStreams, 'age', { digits: 2, limit: 1 }),
  table('and the oldest', results, liveStreams, 'worst', { digits: 2 }),
  table(`Stalls in ${seconds} s`, results, liveStreams, 'stalls'),
  table('their length, ms', results, liveStreams, 'stalled'),
  table('Changes of the rate', results, liveStreams, 'rates'),
].join('\n'), data: [...results.rows.values()] });

const sections = {
  async size() {
    const rows = await build({ gate: false });
    const peers = await peerSizes();
    return { text: `\n${sizeTable(rows)}\n${peers.map(({ name, total }) => `${name.padEnd(28)}${(total / 1000).toFixed(1).padStart(8)}`).join('\n')}`, data: { ours: rows, peers } };
  },

  async start(runs) {
    const results = await interleave('start, code loaded', withFloor, runs, ({ protocol, url }, player) => withPage('bench',
      (browser) => browser.run((...args) => window.bench.warmStart(...args), player, protocol, `/~${link}/samples/${url}`)));
    return { text: table('Start with the code loaded: load() to first frame, ms (10 Mbit/s, 40 ms)', results, withFloor, 'ms', { limit: 0.7, rung: true }), data: [...results.rows.values()] };
  },

  async cold(runs) {
    const results = await interleave('start, cold', streams, runs, ({ protocol, url }, player) => withPage('bench',
      (browser) => browser.run((...args) => window.bench.coldStart(...args), player, protocol, `/~${link}`, `/~${link}/samples/${url}`)));
    return { text: table('Cold start: code fetched first, then load(), to first frame, ms (10 Mbit/s, 40 ms)', results, streams, 'ms', { limit: 1, rung: true }), data: [...results.rows.values()] };
  },

  async seek(runs) {
    const results = await interleave('seek', withFloor, runs, ({ protocol, top }, player) => withPage('bench', async (browser) => {
      await browser.run((...args) => window.bench.warmStart(...args), player, protocol, `/~${link}/samples/${top}`);
      await browser.run((...args) => window.bench.play(...args), 1);
      return browser.run((...args) => window.bench.seek(...args), seekTo);
    }));
    return { text: table('Seek into media not buffered: to the picture, ms (720p alone, 3 Mbit/s of media; 10 Mbit/s, 40 ms)', results, withFloor, 'ms', { limit: 0.4 }), data: [...results.rows.values()] };
  },

  async live(runs) {
    const origin = await liveOrigin();
    try {
      const results = await interleave('live', liveStreams, runs, ({ protocol }, player) => stay(player, protocol, origin[protocol], liveSeconds));
      return liveTables(results, liveSeconds);
    } finally { await origin.close(); }
  },

  /** All players at once, for ten minutes: what one of them meets the others meet too, the busy machine included. */
  async beside() {
    const origin = await liveOrigin();
    try {
      const results = new Results();
      const stays = Object.entries(liveStreams).flatMap(([stream, { protocol, players }]) => players.map((player) => ({ stream, protocol, player })));
      await step(`${stays.length} players beside each other for ${besideSeconds / 60} minutes`, () => Promise.all(stays.map(async ({ stream, protocol, player }, i) => {
        await sleep(i * 3_000);
        results.add(stream, player, await stay(player, protocol, origin[protocol], besideSeconds, { alone: false }));
      })));
      return liveTables(results, besideSeconds);
    } finally { await origin.close(); }
  },

  edge: () => edge({ server, stay, ...abrs }),

  abr: () => abr({ server, withPage, options: abrs }),

  async thread(runs) {
    // A run takes half a minute: one stream of each protocol.
    const chosen = Object.fromEntries(['HLS-TS', 'DASH timeline'].map((name) => [name, streams[name]]));
    const cases = { '<video src=mp4>': { ...floor, players: ['native'] }, ...chosen };
    const results = await interleave('page thread', cases, runs, ({ protocol, top }, player) => withPage('bench', async (browser) => {
      await browser.run((...args) => window.bench.warmStart(...args), player, protocol, `/~${link}/samples/${top}`);
      await browser.cdp('Performance.enable');
      const metrics = async () => Object.fromEntries((await browser.cdp('Performance.getMetrics')).metrics.map(({ name, value }) => [name, value]));
      const time = () => browser.run(() => document.querySelector('video').currentTime);
      const from = await time();
      const before = await metrics();
      await sleep(cpuSeconds * 1000);
      const after = await metrics();
      if (await time() - from < cpuSeconds * 0.95) throw new Error(`played ${(await time() - from).toFixed(1)} s of ${cpuSeconds}`);
      const memory = browser.rendererMemory();
      await browser.cdp('HeapProfiler.collectGarbage');
      return { task: (after.TaskDuration - before.TaskDuration) * 1000, script: (after.ScriptDuration - before.ScriptDuration) * 1000,
        heap: (await metrics()).JSHeapUsedSize / 1e6, memory: memory / 1e6 };
    }));
    const ours = Object.keys(chosen).map((stream) => results.of(stream, 'millrace', 'task')).filter(Boolean);
    const base = results.of('<video src=mp4>', 'native', 'task');
    const ratios = base ? ours.map(({ median }) => (median / base.median).toFixed(2)).join(', ') : '—';
    return { text: [
      table(`Page thread over ${cpuSeconds} s of 720p, ms of tasks`, results, cases, 'task'),
      `  millrace is at ${ratios} of <video src=mp4> (target ≤ 1.15)`,
      table('of which script, ms (target < 10 for millrace)', results, cases, 'script', { digits: 1 }),
      table('JS heap of the page after collection, MB', results, cases, 'heap', { digits: 1, limit: 1 }),
      table('Resident memory of the page\'s process, MB', results, cases, 'memory', { limit: 1 }),
    ].join('\n'), data: [...results.rows.values()] };
  },

  async parse(runs) {
    await bundle('parse');
    const texts = { playlist: playlist(10_000), timeline: timeline(10_000) };
    const cases = { playlist: { players: ['millrace', 'hls.js', 'm3u8-parser'] }, timeline: { players: ['millrace', 'dash.js'] } };
    const results = await interleave('parsing', Object.fromEntries(Object.entries(cases).map(([kind, rest]) => [kind, { ...rest, kind }])), runs, ({ kind }, player) => withPage('parse', async (browser) => {
      await browser.run((url) => window.bench.init(url), '/bench-wasm/millrace_bg.wasm');
      return browser.run((...args) => window.bench.read(...args), kind, player, texts[kind]);
    }));
    return { text: [table('Reading 10,000 segments, ms, the first time in a page', results, cases, 'first', { digits: 1 }),
      table('and warm (median of ten)', results, cases, 'warm', { digits: 2 }),
      ...[['playlist', 0.5], ['timeline', 1]].flatMap(([kind, limit]) => ['first', 'warm'].map((field) =>
        `  ${kind}, ${field}: ${verdict(results.of(kind, 'millrace', field), cases[kind].players.slice(1).map((peer) => results.of(kind, peer, field)), limit)}`))].join('\n'), data: [...results.rows.values()] };
  },

  async remux(runs) {
    await bundle('remux');
    const native = await buildNative();
    const { folder, inputs } = await makeInputs(megabytes);
    server.mounts['/inputs'] = folder;
    // Who else reads it in a page; what ffmpeg and we do as whole processes takes turns with them.
    const peers = { TS: ['hls.js', 'mpegts.js', 'shaka', 'mux.js'], FLV: ['mpegts.js'] };
    const processes = { [nativeName]: native, 'ffmpeg -c copy': undefined };
    const cases = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, { ...input, players: ['millrace', ...peers[name] ?? [], ...Object.keys(processes)] }]));
    const results = await interleave('rewriting', cases, runs, async ({ whole, parts }, player) => {
      if (Object.hasOwn(processes, player)) {
        await quiet();
        return timeProcess(whole, processes[player]);
      }
      return withPage('remux', async (browser) => {
        await browser.run((url) => window.bench.init(url), '/bench-wasm/millrace_bg.wasm');
        return browser.run((...args) => window.bench.rewrite(...args), player, parts.map((part) => `/inputs/${part}`), 5);
      });
    });
    const of = (stream, player) => results.of(stream, player, 'rate');
    const lines = Object.keys(cases).flatMap((stream) => [
      ...(peers[stream] ? [`  ${stream}, in the browser: ${verdict(of(stream, 'millrace'), peers[stream].map((peer) => of(stream, peer)), 2, true)}`] : []),
      `  ${stream}, as a process, ffmpeg as the peer: ${verdict(of(stream, nativeName), [of(stream, 'ffmpeg -c copy')], 3, true)}`]);
    return { text: [table(`${megabytes} MB to fragmented MP4, MB/s: in the page warm, copies in and out included; programs from start to end`, results, cases, 'rate'), ...lines,
      '  Of the peers only mpegts.js reads FLV, and none Ogg or the tables of an MP4 file.'].join('\n'), data: [...results.rows.values()] };
  },
};

// ---- What the parsing sections need -------------------------------------------------------------------------------

/** Texts in which no segment is like the one before, as encoders write them. */
function playlist(count) {
  const segments = Array.from({ length: count }, (_, i) => `#EXTINF:${(3.96 + (i % 7) * 0.01).toFixed(5)},\nsegments/video_720p_${String(i).padStart(6, '0')}.m4s`);
  return `#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:5\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MAP:URI="init.mp4"\n${segments.join('\n')}\n#EXT-X-ENDLIST\n`;
}

function timeline(count) {
  let t = 0;
  const entries = Array.from({ length: count }, (_, i) => {
    const d = 191_488 + (i % 3) * 1024;
    const line = `<S t="${t}" d="${d}"/>`;
    t += d;
    return line;
  });
  return `<?xml version="1.0" encoding="utf-8"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" profiles="urn:mpeg:dash:profile:isoff-live:2011" minBufferTime="PT4S" `
    + `mediaPresentationDuration="PT${(t / 48_000).toFixed(3)}S"><Period id="0" start="PT0S"><AdaptationSet id="0" contentType="audio" mimeType="audio/mp4" lang="en">`
    + '<SegmentTemplate timescale="48000" initialization="init-$RepresentationID$.mp4" media="$RepresentationID$-$Time$.m4s" startNumber="1">'
    + `<SegmentTimeline>${entries.join('')}</SegmentTimeline></SegmentTemplate>`
    + '<Representation id="a" codecs="mp4a.40.2" bandwidth="128000" audioSamplingRate="48000"/></AdaptationSet></Period></MPD>\n';
}

/** Our readers or rewriters as they ship (same profile), with exports of their own, and the peers', in one script. */
async function bundle(name) {
  const config = await readConfig();
  const ours = { name: 'bench', features: [...config.builds.find(({ name }) => name === 'full').features, 'bench'] };
  await buildWasm(config, ours);
  server.mounts['/bench-wasm'] = pkgDir(ours);
  const { build: esbuild } = await import('esbuild');
  const flags = ['__USE_ALT_AUDIO__', '__USE_EME_DRM__', '__USE_SUBTITLES__', '__USE_CMCD__', '__USE_CONTENT_STEERING__', '__USE_VARIABLE_SUBSTITUTION__',
    '__USE_M2TS_ADVANCED_CODECS__', '__USE_MEDIA_CAPABILITIES__', '__USE_INTERSTITIALS__', '__USE_IFRAMES__'];
  await esbuild({ entryPoints: [path.join(root, `www/tools/bench-${name}.js`)], outfile: path.join(cache, `bench/${name}.js`), bundle: true, format: 'esm', target: 'es2022', minify: true,
    logLevel: 'error', tsconfigRaw: '{}', absWorkingDir: root,
    define: { ...Object.fromEntries(flags.map((flag) => [flag, 'true'])), __VERSION__: '"bench"', __IN_WORKER__: 'false', __HLS_WORKER_BUNDLE__: 'undefined' },
    plugins: [{ name: 'bench', setup(b) {
      b.onResolve({ filter: /^bench:wasm$/ }, () => ({ path: path.join(pkgDir(ours), 'millrace.js') }));
      b.onResolve({ filter: /^bench:(hls|mpegts)\.js\// }, ({ path: id }) => ({ path: path.join(root, 'node_modules', id.slice('bench:'.length)) }));
      // Node's, for which bundlers have a stand-in.
      b.onResolve({ filter: /^events$/ }, () => ({ path: path.join(root, 'node_modules/eventemitter3/index.mjs') }));
    } }] });
}

/** rx-player comes as modules only. */
async function bundleRxPlayer() {
  const { build: esbuild } = await import('esbuild');
  await esbuild({ stdin: { contents: "import RxPlayer from 'rx-player/minimal'; import { DASH } from 'rx-player/features'; RxPlayer.addFeatures([DASH]); window.RxPlayer = RxPlayer;", resolveDir: root },
    outfile: path.join(cache, 'bench/rx-player.js'), bundle: true, format: 'iife', target: 'es2022', minify: true, logLevel: 'error', tsconfigRaw: '{}' });
}

const html = (src) => ({ body: `<!doctype html><meta charset="utf-8"><title>bench</title><link rel="icon" href="data:,"><style>body { margin: 0 } video { width: 1280px; height: 720px }</style>
<video muted playsinline></video><script type="module" src="${src}"></script>` });

await main(async () => {
  const args = process.argv.slice(2);
  const at = args.indexOf('--runs');
  const runs = at < 0 ? 5 : Number(args.splice(at, 2)[1]);
  const size = args.indexOf('--mb');
  if (size >= 0) megabytes = Number(args.splice(size, 2)[1]);
  abrs = abrOptions(args);
  const unknown = args.find((name) => !Object.hasOwn(sections, name));
  if (unknown || !(runs >= 1) || !(megabytes >= 1)) throw new Told(`Usage: npm run bench -- [${Object.keys(sections).join('|')}]… [--runs N] [--mb N]\n       npm run bench -- edge [--traces FILE… [--first N]]\n       ${usage}`);
  const chosen = args.length ? args : Object.keys(sections).filter(usual);
  await ensure([...(abrs.noBuild ? [] : ['build']), 'samples', 'chromium']);
  // What is only read or rewritten needs no streams and no player.
  const plays = chosen.some((name) => ['start', 'cold', 'seek', 'live', 'beside', 'edge', 'thread', 'abr'].includes(name));
  if (plays) {
    await makeSamples();
    if (!abrs.noBuild) await build({ gate: false });
  }
  mkdirSync(path.join(cache, 'bench'), { recursive: true });
  server = await startServer({ compress: true,
    mounts: { '/dist': path.join(root, 'dist'), '/bench': path.join(cache, 'bench'), '/samples': samplesDir, '/peers': path.join(root, 'node_modules') },
    pages: { ...playerPages(), '/bench.html': html('/bench-page.js'), '/parse.html': html('/bench/parse.js'), '/remux.html': html('/bench/remux.js'),
      '/bench-page.js': { type: 'text/javascript', body: readFileSync(path.join(root, 'www/tools/bench-page.js'), 'utf8') } } });
  // Packing the code for the first time takes the server seconds: not on anyone's clock.
  if (plays) await bundleRxPlayer();
  const builds = ['hls', 'dash', 'live', ...(abrs.log ? ['log'] : [])];
  const scripts = ['/bench/rx-player.js', ...builds.map((name) => `/dist/${name}.js`), ...builds.flatMap((name) => ['worker.js', 'engine.js', 'millrace_bg.wasm'].map((file) => `/dist/${name}/${file}`)),
    '/peers/hls.js/dist/hls.min.js', '/peers/dashjs/dist/modern/umd/dash.mediaplayer.min.js', ...['hls', 'dash'].map((name) => `/peers/shaka-player/dist/shaka-player.${name}-es2021.js`)];
  if (plays) {
    await step('packing the code', async () => { for (const file of scripts) await (await fetch(server.url + file, { headers: { 'Accept-Encoding': 'br' } })).arrayBuffer(); });
  }
  const collected = {};
  for (const name of chosen) {
    const { text, data } = await sections[name](name === 'thread' ? Math.min(runs, 3) : runs);
    console.log(text);
    collected[name] = data;
    writeFileSync(path.join(cache, 'bench.json'), JSON.stringify(collected, null, 1));
  }
  // Not where JSON is printed.
  (abrs.json ? console.error : console.log)(`\n${noise.runs} runs on ${availableParallelism()} cores, load now ${loadavg()[0].toFixed(1)}; the machine was busy with other things in ${noise.noisy} of them.`
    + '\nAll results: .cache/bench.json');
  await server.close();
  return 0;
});
