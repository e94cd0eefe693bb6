// npm run live -- NAME: starts a live source from Debian's packages, and plays it (or, with --keep, only serves it).
import path from 'node:path';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { build } from '../build.mjs';
import { engines, launch } from './browsers.mjs';
import { playAndReport } from './play.mjs';
import { openPlayerPage, playerPages } from './player-page.mjs';
import { Household } from './processes.mjs';
import { startServer } from './server.mjs';
import { ensure, tool } from './setup.mjs';
import { Told, isMain, main, root } from './steps.mjs';

/** Seconds of a segment. */
const segment = 2;
const input = (seconds) => ['-hide_banner', '-loglevel', 'error', '-nostdin', '-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=25', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000',
  ...(seconds ? ['-t', String(seconds)] : [])];
const rung = (i, size, rate) => [`-s:v:${i}`, size, `-b:v:${i}`, rate];
const encode = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', String(segment * 25), '-keyint_min', String(segment * 25), '-sc_threshold', '0', '-c:a', 'aac', '-b:a', '64k'];
const rungs = ['-map', '0:v', '-map', '0:v', '-map', '1:a', ...encode, ...rung(0, '640x360', '600k'), ...rung(1, '320x180', '200k')];
const hls = (...options) => [...rungs, '-f', 'hls', '-hls_time', String(segment), '-hls_list_size', '8', '-master_pl_name', 'main.m3u8', '-var_stream_map', 'v:0,agroup:a v:1,agroup:a a:0,agroup:a,default:yes',
  '-hls_flags', 'delete_segments+program_date_time+independent_segments', ...options];
const dash = (...options) => [...rungs, '-f', 'dash', '-seg_duration', String(segment), '-window_size', '8', '-extra_window_size', '8', '-adaptation_sets', 'id=0,streams=v id=1,streams=a', ...options, 'main.mpd'];

/** What each source writes, into a folder of its own, and the file to play. */
const sources = {
  'ffmpeg-hls-ts': { file: 'main.m3u8', args: hls('-hls_segment_filename', 'v%v-%d.ts', 'v%v.m3u8') },
  'ffmpeg-hls-fmp4': { file: 'main.m3u8', args: hls('-hls_segment_type', 'fmp4', '-hls_fmp4_init_filename', 'init%v.mp4', '-hls_segment_filename', 'v%v-%d.m4s', 'v%v.m3u8') },
  'ffmpeg-dash': { file: 'main.mpd', args: dash('-use_timeline', '0') },
  'ffmpeg-dash-timeline': { file: 'main.mpd', args: dash('-use_timeline', '1') },
};

export const liveSources = Object.keys(sources);

/** Starts a source, which writes into a folder of the household; `seconds`: then it ends. Resolves once it can be played. */
export async function startLive(household, name, { seconds } = {}) {
  const { file, args } = sources[name];
  const folder = path.join(household.folder, seconds ? `${name}-${seconds}` : name);
  mkdirSync(folder);
  const child = household.spawn(tool('ffmpeg'), [...input(seconds), ...args], { cwd: folder });
  // Some segments: players stay three of them behind the edge of a playlist.
  const enough = () => {
    const at = (one) => path.join(folder, one);
    if (!existsSync(at(file))) return false;
    if (file.endsWith('.mpd')) return /availabilityStartTime="([^"]+)"/.test(readFileSync(at(file), 'utf8')) && existsSync(at('chunk-stream0-00004.m4s'));
    return existsSync(at('v0.m3u8')) && (readFileSync(at('v0.m3u8'), 'utf8').match(/#EXTINF/g) ?? []).length >= 4;
  };
  for (const end = performance.now() + 30_000; !enough();) {
    if (child.exitCode !== null || performance.now() > end) throw new Told(`${name}: nothing to play after 30 s\n${child.output}`);
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  return { folder, file, child };
}

const usage = `Usage: npm run live -- NAME [--seconds N] [--browser ${engines.join('|')}] [--json] [--keep]
NAME: ${liveSources.join(', ')}`;

if (isMain(import.meta)) {
  await main(async () => {
    const options = { seconds: 20, browser: 'chromium', json: false, keep: false, name: undefined };
    const rest = process.argv.slice(2);
    while (rest.length) {
      const arg = rest.shift();
      if (arg === '--seconds' && Number(rest[0]) > 0) options.seconds = Number(rest.shift());
      else if (arg === '--browser' && engines.includes(rest[0])) options.browser = rest.shift();
      else if (arg === '--json' || arg === '--keep') options[arg.slice(2)] = true;
      else if (sources[arg]) options.name = arg;
      else throw new Told(usage);
    }
    if (!options.name) throw new Told(usage);
    await ensure(['build', 'samples', ...(options.keep ? [] : [options.browser])]);
    await build({ gate: false });
    const household = new Household();
    const { folder, file } = await startLive(household, options.name);
    const server = await startServer({ mounts: { '/dist': path.join(root, 'dist'), '/live': folder, '/': path.join(root, 'www/demo') }, pages: playerPages() });
    const url = `${server.url}/live/${file}`;
    if (options.keep) {
      console.log(`${url}\nOn the demo page: ${server.url}/?url=${encodeURIComponent(url)}\nCtrl-C ends it.`);
      await new Promise(() => {});
    }
    const browser = await launch(options.browser);
    try {
      await openPlayerPage(browser, server.url);
      const report = await playAndReport(browser, url, { seconds: options.seconds, seeks: [] });
      report.live = await browser.run(() => window.page.player.live ?? null);
      console.log(options.json ? JSON.stringify(report) : `${report.ok ? 'plays' : 'DOES NOT PLAY'} in ${report.browser}: ${report.playedSeconds} s, ${report.stalls} stalls, `
        + `${report.live?.latency.toFixed(1)} s behind (target ${report.live?.target.toFixed(1)})${report.error ? `\n${report.error.code}: ${report.error.message}` : ''}`);
      return report.ok ? 0 : 1;
    } finally {
      await browser.quit();
      await server.close();
      await household.end();
    }
  });
}
