// npm run bench -- abr: players in a real browser over recorded or made-up links, one session at a time, and the simulator's prediction of
// the same beside it. Nothing is asked of a player: what is measured is where the playhead is and how high the picture, ten times a second.
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { meansOf, metrics, metricsOf } from './bench-qoe.mjs';
import { fingerprint, stamp } from './fingerprint.mjs';
import { Link } from './link.mjs';
import { userPath } from './native.mjs';
import { makeSamples, samplesDir } from './samples.mjs';
import { Told, cache, root, run, step } from './steps.mjs';

/** Seconds in the buffer at most. */
const buffer = 25;
const segment = 4;
/** A session that lasts so much longer than its movie is ended. */
const patience = 120;
/** Names of the rules in the simulator, and the manifest in the browser. */
const players = {
  millrace: { rule: 'default', protocol: 'dash' }, 'hls.js': { rule: 'hls.js', protocol: 'hls' }, shaka: { rule: 'shaka', protocol: 'dash' }, 'dash.js': { rule: 'dash.js', protocol: 'dash' },
};

export const usage = 'npm run bench -- abr [--traces FILE… [--first N]] [--seconds N] [--players A,B] [--log FOLDER] [--real FILE] [--no-build] [--json]';

/** Takes the options of this section out of the arguments. */
export function abrOptions(args) {
  const value = (name) => { const at = args.indexOf(name); return at < 0 ? undefined : args.splice(at, 2)[1]; };
  const flag = (name) => { const at = args.indexOf(name); return at >= 0 && args.splice(at, 1).length > 0; };
  const files = [];
  const at = args.indexOf('--traces');
  if (at >= 0) {
    args.splice(at, 1);
    while (args[at] !== undefined && !args[at].startsWith('--')) files.push(userPath(args.splice(at, 1)[0]));
    if (!files.length) throw new Told('--traces needs a file');
  }
  const given = (name) => { const text = value(name); return text && userPath(text); };
  const chosen = value('--players')?.split(',') ?? Object.keys(players);
  const options = {
    files, chosen, first: Number(value('--first') ?? Infinity), seconds: Number(value('--seconds') ?? 180), log: given('--log'), real: given('--real'),
    noBuild: flag('--no-build'), json: flag('--json'),
  };
  if (chosen.some((name) => !Object.hasOwn(players, name)) || !(options.first >= 1) || !(options.seconds >= 2 * segment) || options.seconds % segment) throw new Told(`Usage: ${usage}`);
  return options;
}

// ---- The movie ----------------------------------------------------------------------------------------------------

/** Each has a height of its own: that is what tells it on the page. */
const rungs = [
  { width: 426, height: 240, kbps: 300 }, { width: 534, height: 300, kbps: 500 }, { width: 640, height: 360, kbps: 800 },
  { width: 800, height: 450, kbps: 1150 }, { width: 960, height: 540, kbps: 1600 }, { width: 1280, height: 720, kbps: 2900 },
];

/**
 * Video alone, the highest rung of the sample clip encoded anew and repeated, as DASH and HLS out of the same segments. Resolves to its folder, and to what
 * the simulator needs to know of it, as a file and read.
 */
async function makeMovie(seconds) {
  const folder = path.join(cache, 'bench', `abr-${seconds}`);
  const at = (...parts) => path.join(folder, ...parts);
  await makeSamples();
  const done = stamp(`bench-abr-${seconds}`, fingerprint(['www/tools/samples.mjs'], rungs, makeMovie.toString(), describe.toString()), [at('movie.json')]);
  if (!done.fresh) {
    done.invalidate();
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(at('source'), { recursive: true });
    await step(`a movie of ${seconds} s`, async (note) => {
      const ffmpeg = (...args) => run('ffmpeg', ['-nostdin', '-y', '-v', 'error', ...args]);
      const from = path.join(samplesDir, 'dash-number', '3');
      const files = ['init.mp4', ...readdirSync(from).filter((name) => name.endsWith('.m4s')).sort()];
      const source = (name) => at('source', `${name}.mp4`);
      writeFileSync(source('clip'), Buffer.concat(files.map((name) => readFileSync(path.join(from, name)))));
      for (const { width, height, kbps } of rungs) {
        note(`encoding ${height}p`);
        // As the samples are, but for frames that are decoded before they are shown: with those the media of ffmpeg begins after 0 unless a player
        // heeds edit lists.
        await ffmpeg('-i', source('clip'), '-vf', `scale=${width}:${height}`, '-c:v', 'libx264', '-preset', 'veryfast', '-bf', '0', '-b:v', `${kbps}k`, '-maxrate', `${Math.round(kbps * 1.1)}k`,
          '-bufsize', `${2 * kbps}k`, '-g', '50', '-keyint_min', '50', '-sc_threshold', '0', '-t', String(seconds), source(height));
      }
      note('packaging');
      for (const i of rungs.keys()) mkdirSync(at(String(i)));
      await ffmpeg(...rungs.flatMap(({ height }) => ['-stream_loop', '-1', '-i', source(height)]), ...rungs.flatMap((_, i) => ['-map', String(i)]), '-c', 'copy', '-t', String(seconds),
        '-f', 'dash', '-seg_duration', String(segment), '-adaptation_sets', 'id=0,streams=v', '-use_template', '1', '-use_timeline', '0',
        '-init_seg_name', '$RepresentationID$/init.mp4', '-media_seg_name', '$RepresentationID$/$Number%05d$.m4s', at('manifest.mpd'));
      rmSync(at('source'), { recursive: true });
      describe(at);
    });
    done.made();
  }
  return { folder, file: at('movie.json'), movie: JSON.parse(readFileSync(at('movie.json'), 'utf8')) };
}

/** Writes the manifests and the movie for the simulator: bitrates are those of the segments, the same in all three. */
function describe(at) {
  const files = readdirSync(at('0')).filter((name) => name.endsWith('.m4s')).sort();
  const bits = files.map((file) => rungs.map((_, i) => statSync(at(String(i), file)).size * 8));
  const kbps = rungs.map((_, i) => Math.round(bits.reduce((sum, sizes) => sum + sizes[i], 0) / (files.length * segment * 1000)));
  const listed = readFileSync(at('manifest.mpd'), 'utf8');
  const codecs = rungs.map(({ height }) => new RegExp(`codecs="([^"]+)"[^>]*height="${height}"`).exec(listed)[1]);
  writeFileSync(at('manifest.mpd'), listed.replace(/(<Representation id="(\d+)"[^>]*bandwidth=")\d+/g, (_, before, id) => `${before}${kbps[id] * 1000}`));
  writeFileSync(at('master.m3u8'), `${['#EXTM3U', '#EXT-X-VERSION:7', '#EXT-X-INDEPENDENT-SEGMENTS', ...rungs.flatMap(({ width, height }, i) => [
    `#EXT-X-STREAM-INF:BANDWIDTH=${kbps[i] * 1000},RESOLUTION=${width}x${height},FRAME-RATE=25.000,CODECS="${codecs[i]}"`, `${i}/index.m3u8`])].join('\n')}\n`);
  const list = ['#EXTM3U', '#EXT-X-VERSION:7', `#EXT-X-TARGETDURATION:${segment}`, '#EXT-X-PLAYLIST-TYPE:VOD', '#EXT-X-MAP:URI="init.mp4"',
    ...files.flatMap((file) => [`#EXTINF:${segment}.0,`, file]), '#EXT-X-ENDLIST'].join('\n');
  for (const i of rungs.keys()) writeFileSync(at(String(i), 'index.m3u8'), `${list}\n`);
  writeFileSync(at('movie.json.part'), JSON.stringify({ name: 'sample clip', segment_ms: segment * 1000, bitrates_kbps: kbps, heights: rungs.map(({ height }) => height), sizes_bits: bits }));
  renameSync(at('movie.json.part'), at('movie.json'));
}

// ---- The links ----------------------------------------------------------------------------------------------------

/** Links of the simulator's kinds, from a seed: one of each. */
function madeUp() {
  let state = 1;
  const random = () => { state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0; return state / 2 ** 32; };
  const kbps = () => Math.round(300 * 25 ** random());
  const steps = Array.from({ length: 12 }, () => [20_000 + Math.round(random() * 40_000), kbps()]);
  const ends = Array.from({ length: 11 }, kbps);
  const ramps = ends.slice(1).flatMap((to, i) => Array.from({ length: 30 }, (_, n) => [2_000, Math.round(ends[i] + ((to - ends[i]) * n) / 30)]));
  const outages = Array.from({ length: 6 }, () => [[30_000 + Math.round(random() * 60_000), Math.max(1_500, kbps())], [5_000 + Math.round(random() * 15_000), 0]]).flat();
  return Object.entries({ steps, ramps, outages }).map(([kind, list]) => ({ id: `${kind}/made-up`, rtt_ms: 60, ms: list.map(([ms]) => ms), kbps: list.map(([, rate]) => rate) }));
}

/** The first links of a file, one a line. */
export const linksIn = (file, first) => readFileSync(file, 'utf8').split('\n').filter((line) => line.trim()).slice(0, first).map((line) => JSON.parse(line));

/** The links of each file, and the files: what is made up has one, too. */
function readLinks({ files, first }) {
  const used = files.length ? files : [path.join(cache, 'bench', 'abr-links.jsonl')];
  if (!files.length) writeFileSync(used[0], madeUp().map((trace) => `${JSON.stringify(trace)}\n`).join(''));
  return used.map((file) => ({ file, traces: linksIn(file, first) }));
}

// ---- Both tables --------------------------------------------------------------------------------------------------

/** What was asked of the server over a link: seconds since the load, how long the answer took, its bytes, and whether it was given up. */
function requestsOf(server, spec, loaded) {
  const all = server.log.filter(({ url }) => url.startsWith(`/~${spec}/`));
  return all.map(({ at, path: file, bytes, ms, ended }) => ({ at: (at - loaded) / 1000, seconds: ms / 1000, file: file.replace('/abr/', ''), bytes, whole: ended }));
}

/** A session in a new browser; what was seen of it. */
function watch({ server, withPage }, { movie }, trace, name, { seconds, log }) {
  const { protocol } = players[name];
  // A link of its own for each session: its trace begins with the first request.
  const spec = `id=abr-${server.links.size}`;
  server.links.set(spec, new Link({ rtt: trace.rtt_ms, steps: trace.ms.map((ms, i) => [ms / 1000, trace.kbps[i]]) }));
  const url = `/~${spec}/abr/${protocol === 'hls' ? 'master.m3u8' : 'manifest.mpd'}`;
  return withPage('bench', async (browser) => {
    await browser.run((...args) => window.bench.watch(...args), name, protocol, url, buffer, segment, Boolean(log));
    const end = performance.now() + (seconds + patience) * 1000;
    const samples = [];
    let seen;
    do {
      await sleep(2_000);
      seen = await browser.run(() => window.bench.watched());
      samples.push(...seen.samples);
    } while (!seen.ended && !seen.error && performance.now() < end);
    if (log && name === 'millrace') {
      mkdirSync(log, { recursive: true });
      writeFileSync(path.join(log, `${trace.id.replaceAll('/', '_')}.log`), await browser.run(() => window.bench.log()));
    }
    const { startup, ended = false, error: failure, loaded } = seen;
    return { requests: requestsOf(server, spec, loaded), startup, ended, failure, samples, numbers: metricsOf({ samples, startup }, movie) };
  });
}

/** What the simulator makes of the same: { id of a trace: { player: numbers } }. */
async function simulate(sets, { file }, { first }) {
  const args = sets.flatMap((set) => ['--traces', set.file, '--movie', file, ...(Number.isFinite(first) ? ['--first', String(first)] : [])]);
  const rules = Object.values(players).map(({ rule }) => rule).join(',');
  // Numbered segments: nobody knows their sizes. Our links charge for new connections.
  const same = ['--listing', 'template', '--buffer', String(buffer), '--connections'];
  const text = await run(process.execPath, [path.join(root, 'www/tools/simulate.mjs'), ...args, '--rules', rules, ...same, '--json']);
  const { metrics: names, groups } = JSON.parse(text);
  const all = {};
  for (const { traces, runs } of groups) {
    for (const [i, id] of traces.entries()) {
      const numbers = ({ sessions }) => Object.fromEntries(names.map((name, n) => [name, sessions[i][n]]));
      all[id] = Object.fromEntries(Object.keys(players).map((player, at) => [player, numbers(runs[at])]));
    }
  }
  return all;
}

const cell = (value, digits, width = 11) => (Number.isFinite(value) ? value.toFixed(digits) : '—').padStart(width);

/** Numbers of each player, real and simulated: a block for each number. */
function sideBySide(title, rows) {
  const blocks = metrics.map(({ name, digits }) => [`  ${name.padEnd(18)}${['real', 'simulated', 'difference'].map((head) => head.padStart(11)).join('')}`,
    ...rows.map(({ player, real, simulated }) => `    ${player.padEnd(16)}${cell(real[name], digits)}${cell(simulated[name], digits)}${cell(real[name] - simulated[name], digits)}`)].join('\n'));
  return [`\n${title}`, ...blocks].join('\n');
}

/** Plays, simulates, and tells both. */
export async function abr({ server, withPage, options }) {
  const made = await makeMovie(options.seconds);
  server.mounts['/abr'] = made.folder;
  const sets = readLinks(options);
  const traces = sets.flatMap((set) => set.traces);
  const results = path.join(cache, 'bench-abr.json');
  // What was looked at before is measured anew.
  const again = (session) => (session.samples ? { ...session, numbers: metricsOf(session, made.movie) } : session);
  const sessions = options.real ? JSON.parse(readFileSync(options.real, 'utf8')).sessions.map(again) : [];
  const save = (simulated) => writeFileSync(results, JSON.stringify({ movie: made.movie, sessions, simulated }));
  if (!options.real) {
    await step(`${traces.length * options.chosen.length} sessions`, async (note) => {
      for (const trace of traces) {
        for (const player of options.chosen) {
          note(`${trace.id}, ${player}`);
          const seen = await watch({ server, withPage }, made, trace, player, options);
          sessions.push({ trace: trace.id, player, ...seen });
          save();
          const { qoe_log: qoe, avg_kbps: rate, stall_seconds: stalled } = seen.numbers ?? {};
          process.stderr.write(`\n${trace.id}, ${player}: ${seen.error ?? seen.failure ?? ''} QoE_log${cell(qoe, 3)}, kbit/s${cell(rate, 0)}, stalled${cell(stalled, 2)} s\n`);
        }
      }
    });
  }
  const simulated = await simulate(sets, made, options);
  save(simulated);
  const whole = sessions.filter(({ trace, numbers }) => numbers && simulated[trace]);
  const rowsOf = (chosen) => Object.keys(players).flatMap((player) => {
    const own = chosen.filter((session) => session.player === player);
    return own.length ? [{ player, real: meansOf(own.map(({ numbers }) => numbers)), simulated: meansOf(own.map(({ trace }) => simulated[trace][player])) }] : [];
  });
  const text = [
    ...traces.map(({ id }) => sideBySide(id, rowsOf(whole.filter(({ trace }) => trace === id)))),
    sideBySide(`Means of ${traces.length} links, sessions of ${options.seconds} s, at most ${buffer} s buffered`, rowsOf(whole)),
    ...sessions.filter(({ error, failure }) => error ?? failure).map(({ trace, player, error, failure }) => `  failed: ${trace}, ${player}: ${error ?? failure}`),
  ].join('\n');
  const data = { movie: made.movie, sessions, simulated };
  return { text: options.json ? JSON.stringify(data) : text, data: { ...data, sessions: sessions.map(({ samples, ...rest }) => rest) } };
}
