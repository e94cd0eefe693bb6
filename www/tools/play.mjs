// npm run play -- URL: plays a stream in a real headless browser and reports what happened.
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { build } from '../build.mjs';
import { engines, launch } from './browsers.mjs';
import { openPlayerPage, playerPages } from './player-page.mjs';
import { files } from './sample-files.mjs';
import { makeSamples, samplesDir } from './samples.mjs';
import { startServer } from './server.mjs';
import { ensure } from './setup.mjs';
import { Told, isMain, main, root } from './steps.mjs';

const usage = `Usage: npm run play -- URL [--seconds N] [--browser ${engines.join('|')}] [--seek S]… [--json]
URL: any address, a file on this machine, or a sample's name (npm run samples).`;

const STARTUP_LIMIT_S = 30;
/** How often the latency of a live stream is read from its picture. */
const CLOCK_EVERY_MS = 500;
/** After a seek playback must go on for this long to count. */
const AFTER_SEEK_S = 0.5;

function parse(args) {
  const options = { seconds: 5, browser: 'chromium', seeks: [], json: false };
  const number = (text, name) => {
    if (text === undefined || text === '' || !(Number(text) >= 0)) throw new Told(`--${name} needs a number of seconds.\n${usage}`);
    return Number(text);
  };
  const rest = [...args];
  while (rest.length) {
    const [name, inline] = rest[0].startsWith('--') ? rest.shift().split(/=(.*)/s) : [undefined, rest.shift()];
    const value = () => inline ?? rest.shift();
    if (name === '--seconds') options.seconds = number(value(), 'seconds');
    else if (name === '--seek') options.seeks.push(number(value(), 'seek'));
    else if (name === '--browser') options.browser = value();
    else if (name === '--json') options.json = true;
    else if (name === undefined && options.url === undefined) options.url = inline;
    else throw new Told(usage);
  }
  if (options.url === undefined) throw new Told(usage);
  if (!engines.includes(options.browser)) throw new Told(`Unknown browser ${options.browser}.\n${usage}`);
  return options;
}

/** What to load for what was typed: a sample's name, a file (its folder is served), or the address as it stands. */
async function locate(text) {
  if (/^[a-z][a-z0-9+.-]*:/i.test(text)) return { url: text, mounts: {} };
  const file = path.resolve(process.env.INIT_CWD ?? process.cwd(), text);
  if (existsSync(file) && statSync(file).isFile()) {
    const inSamples = path.relative(samplesDir, file);
    if (!inSamples.startsWith('..')) return { url: `/samples/${inSamples}`, mounts: {} };
    return { url: `/file/${encodeURIComponent(path.basename(file))}`, mounts: { '/file': path.dirname(file) } };
  }
  await ensure(['samples']);
  const sample = [...await makeSamples(), ...files].find(({ id }) => id === text);
  return { url: sample ? `/samples/${sample.url}` : text, mounts: {} };
}

/** The least, the middle and the most of some numbers; null for none. */
function spread(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted.length ? { min: sorted[0], median: sorted[sorted.length >> 1], max: sorted.at(-1), count: sorted.length } : null;
}

/** Plays `url` on an opened player page for `seconds`, then seeks; resolves to the report. */
export async function playAndReport(browser, url, { seconds, seeks }) {
  const failed = await browser.run((...args) => window.page.load(...args), url);
  const read = () => browser.run(() => window.page.state());
  let state = await read();
  let problem = failed;
  const give = (message) => { problem ??= { code: 'NOT_PLAYING', severity: 'fatal', category: 'internal', message, url, status: null, recovery: null }; };
  // From making to showing, read from the picture where that has a clock.
  const glass = [];
  let nextClock = performance.now() + 2 * CLOCK_EVERY_MS;
  const readClock = async () => {
    if (!state.live || performance.now() < nextClock) return;
    nextClock = performance.now() + CLOCK_EVERY_MS;
    const ms = await browser.run(() => window.page.latencyMs());
    if (ms !== null) glass.push(ms);
  };
  /** Waits until the playhead has really moved on by `length` seconds, or the end. */
  const playFor = async (length, limit) => {
    const goal = state.played + length;
    const end = performance.now() + limit * 1000;
    while (!problem && state.played < goal && !state.ended) {
      if (performance.now() > end) return give(`Only ${state.played.toFixed(1)} s were played in ${limit.toFixed(0)} s (position ${state.time.toFixed(2)}, readyState ${state.readyState}).`);
      await new Promise((resolve) => { setTimeout(resolve, 100); });
      state = await read();
      await readClock();
      problem = state.error ?? problem;
      if (state.mediaError) give(`The media element failed: ${state.mediaError}`);
    }
    return undefined;
  };
  // A first frame has its own limit: what follows it goes at the speed of the clock, with room for stalls.
  await playFor(Math.min(0.1, seconds), STARTUP_LIMIT_S);
  await playFor(Math.max(0, seconds - 0.1), seconds * 2 + STARTUP_LIMIT_S);
  const sought = [];
  for (const to of seeks) {
    if (problem) break;
    const ms = await browser.run((at) => window.page.seek(at), to);
    sought.push({ to, ms: ms === null ? null : Math.round(ms) });
    state = await read();
    if (ms === null) give(`The seek to ${to} s was not done after 15 s.`);
    await playFor(AFTER_SEEK_S, STARTUP_LIMIT_S);
  }
  state = await read();
  problem = state.error ?? problem;
  const picture = state.width > 0;
  const { stats } = state;
  const moved = state.played > 0 && (!picture || state.frames > 1);
  if (!moved && seconds > 0) give(picture ? 'Time moved, but no frames were decoded.' : 'Playback did not move.');
  return {
    ok: !problem && moved, player: 'millrace', url, browser: browser.engine, worker: stats?.inWorker ?? false,
    startupMs: stats?.startupTime === undefined || stats.startupTime === null ? null : Math.round(stats.startupTime * 1000),
    playedSeconds: Number(state.played.toFixed(2)), framesDecoded: state.frames, framesDropped: state.dropped,
    stalls: stats?.stalls.count ?? 0, stallMs: Math.round((stats?.stalls.seconds ?? 0) * 1000), switches: stats?.switches ?? 0,
    ...(state.live && { live: state.live, latencyMs: spread(glass) }),
    averageBps: Math.round(stats?.averageBitrate ?? 0), bytes: stats?.bytes ?? 0, seeks: sought, error: problem ?? null,
    ...(state.problems.length > 0 && { problems: state.problems }),
  };
}

export function inWords(report) {
  const { ok, startupMs, playedSeconds, framesDecoded, framesDropped, stalls, stallMs, switches, averageBps, bytes, error, worker, browser, live, latencyMs } = report;
  return [
    `${ok ? 'plays' : 'DOES NOT PLAY'} in ${browser}${worker ? ', in a worker' : ''}`,
    startupMs === null ? 'no picture came' : `first picture after ${startupMs} ms`,
    `${playedSeconds} s played, ${framesDecoded} frames decoded, ${framesDropped} dropped, ${stalls} stalls (${stallMs} ms), ${switches} switches`,
    `${(averageBps / 1000).toFixed(0)} kbit/s on average, ${(bytes / 1e6).toFixed(2)} MB fetched`,
    ...(live ? [`live: ${live.latency.toFixed(2)} s behind, ${live.target.toFixed(2)} s aimed at, ${(live.window.end - live.window.start).toFixed(0)} s can be sought`
      + `${latencyMs ? `; ${(latencyMs.median / 1000).toFixed(2)} s by the clock in the picture (${(latencyMs.min / 1000).toFixed(2)} to ${(latencyMs.max / 1000).toFixed(2)})` : ''}`] : []),
    ...report.seeks.map(({ to, ms }) => `seek to ${to} s: ${ms === null ? 'not done' : `${ms} ms`}`),
    ...(error ? [`${error.code}: ${error.message}${error.url ? `\n  at ${error.url}` : ''}${error.recovery ? `\n  tried: ${error.recovery}` : ''}`] : []),
    ...(report.problems ?? []).map((text) => `page: ${text}`),
  ].join('\n');
}

if (isMain(import.meta)) {
  await main(async () => {
    const options = parse(process.argv.slice(2));
    await ensure(['build', options.browser]);
    const { url, mounts } = await locate(options.url);
    await build({ gate: false });
    const server = await startServer({ mounts: { '/dist': path.join(root, 'dist'), '/samples': samplesDir, ...mounts }, pages: playerPages() });
    const browser = await launch(options.browser);
    let report;
    try {
      await openPlayerPage(browser, server.url);
      report = await playAndReport(browser, url, options);
    } finally {
      await browser.quit();
      await server.close();
    }
    report.url = url.startsWith('/') ? options.url : url;
    console.log(options.json ? JSON.stringify(report) : inWords(report));
    return report.ok ? 0 : 1;
  });
}
