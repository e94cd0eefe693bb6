// Real live sources from Debian's packages, each started by its name. All show the time at which a picture was made (frame-strip.mjs).
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { clockFilters } from './frame-strip.mjs';
import { startIngest } from './ingest.mjs';
import { startLiveOrigin } from './live-origin.mjs';
import { startRtmp, until } from './live-servers.mjs';
import { Household } from './processes.mjs';
import { packager, tool } from './setup.mjs';
import { Told, run } from './steps.mjs';

const fps = 25;
/** Seconds of a segment, each of which begins with a keyframe; and how many a manifest lists. */
const segment = 2;
const listed = 8;
/** Segments that there must be: players stay three of them behind the end of a playlist. */
const ENOUGH = 4;
const START_TIMEOUT_MS = 40_000;

// ---- What ffmpeg is told ------------------------------------------------------------------------------------------

/** In real time, from one input: ffmpeg would read several ahead, and the clock with them. */
const input = () => ['-hide_banner', '-loglevel', 'warning', '-nostdin', '-re', '-f', 'lavfi', '-i',
  `testsrc2=size=640x360:rate=${fps},settb=1/1000,setpts=RTCTIME/1000,${clockFilters()},settb=1/${fps},setpts=N,format=yuv420p[out0];sine=frequency=440:sample_rate=48000[out1]`];
const codecs = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', String(segment * fps), '-keyint_min', String(segment * fps), '-sc_threshold', '0',
  '-c:a', 'aac', '-b:a', '64k', '-ac', '2'];
const rung = (index, size, kbps) => [`-s:v:${index}`, size, `-b:v:${index}`, `${kbps}k`, `-maxrate:v:${index}`, `${kbps}k`, `-bufsize:v:${index}`, `${kbps}k`];
const large = [0, '640x360', 600];
const small = [1, '320x180', 200];
const single = ['-map', '0:v', '-map', '0:a', ...codecs, ...rung(...large)];
const ladder = ['-map', '0:v', '-map', '0:v', '-map', '0:a', ...codecs, ...rung(...large), ...rung(...small)];
const ffmpeg = (household, args, options) => household.spawn(tool('ffmpeg'), [...input(), ...args], options);

const hls = (...options) => [...ladder, '-f', 'hls', '-hls_time', String(segment), '-hls_list_size', String(listed), '-hls_delete_threshold', '4', '-master_pl_name', 'main.m3u8',
  '-var_stream_map', 'v:0,agroup:a v:1,agroup:a a:0,agroup:a,default:yes', '-hls_flags', 'delete_segments+program_date_time+independent_segments', ...options];
const dash = (...options) => [...ladder, '-f', 'dash', '-seg_duration', String(segment), '-window_size', String(listed), '-extra_window_size', '8',
  '-adaptation_sets', 'id=0,streams=v id=1,streams=a', ...options];

// ---- The sources --------------------------------------------------------------------------------------------------

/** What ffmpeg's own muxers write into the folder. */
const byFfmpeg = (args) => (household, folder) => ({ encoder: ffmpeg(household, args, { cwd: folder }) });

/** Segments are put to an origin of ours chunk by chunk: a file server would not know that they go on. */
async function pushed(household) {
  const ingest = await startIngest();
  const encoder = ffmpeg(household, dash('-use_timeline', '0', '-ldash', '1', '-streaming', '1', '-frag_type', 'duration', '-frag_duration', '0.2', '-write_prft', '1',
    '-target_latency', '1.5', '-utc_timing_url', `${ingest.url}/time`, '-method', 'PUT', '-http_persistent', '1', `${ingest.url}/main.mpd`));
  return { encoder, url: ingest.url, close: ingest.close };
}

/** ffmpeg over RTMP to nginx. */
async function nginx(household, folder) {
  // Each deletes what it does not know.
  const writes = ['hls', 'dash'].map((kind) => `${kind} on; ${kind}_path ${path.join(folder, kind)}; ${kind}_fragment ${segment}s; ${kind}_playlist_length ${listed * segment}s;`);
  const rtmp = await startRtmp(household, { writes: writes.join(' ') });
  return { encoder: ffmpeg(household, [...single, '-f', 'flv', rtmp.url('main')]) };
}

/** ffmpeg through a pipe to a sink of GStreamer. */
const gstreamer = (sink) => async (household, folder) => {
  const child = household.spawn(tool('gst-launch-1.0'), [...`fdsrc fd=0 ! tsdemux name=d ${sink}`.split(' ')], { cwd: folder, stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => {}); // how it ended is told by its output
  // On a new machine it looks through its plugins first, for seconds. What ffmpeg made meanwhile would be as old for ever: the time of a
  // dashsink's presentation begins when its first segment is there, whatever the age of the pictures in it.
  await until(async () => child.output.includes('PREROLLING'), 'gst-launch-1.0 reads', child);
  const encoder = ffmpeg(household, [...single, '-f', 'mpegts', 'pipe:1'], { binary: true });
  encoder.stdout.pipe(child.stdin);
  return { encoder };
};
const sinkPads = (sink, video, audio) => `d. ! queue ! h264parse ! ${video} ${sink} d. ! queue ! aacparse ! ${audio}`;

/** ffmpeg through a named pipe to shaka-packager. */
async function shaka(household, folder) {
  const pipe = path.join(household.folder, 'pipe');
  await run('mkfifo', [pipe]);
  const stream = (index, name, ...more) => [`in=${pipe}`, `stream=${index}`, `init_segment=${name}-init.mp4`, `segment_template=${name}-$Number$.m4s`, `playlist_name=${name}.m3u8`, ...more].join(',');
  household.spawn(packager(), [stream(0, 'large'), stream(1, 'small'), stream(2, 'sound', 'hls_group_id=sound', 'hls_name=Tone'), '--segment_duration', String(segment),
    '--time_shift_buffer_depth', String(listed * segment), '--preserved_segments_outside_live_window', '6', '--minimum_update_period', String(segment),
    '--suggested_presentation_delay', String(2 * segment), '--hls_playlist_type', 'LIVE', '--io_block_size', '4096',
    '--mpd_output', 'main.mpd', '--hls_master_playlist_output', 'main.m3u8'], { cwd: folder });
  return { encoder: ffmpeg(household, [...ladder, '-f', 'mpegts', '-y', pipe]) };
}

/** The origin of ours. */
async function origin() {
  const { url, close } = await startLiveOrigin();
  return { url, close };
}

/**
 * What is started together, with the manifest of each name. `ends`: when its encoder ends, so does the presentation. `needs`: as setup.mjs has them.
 * `start` gets a household and a folder to write into.
 */
const families = {
  'ffmpeg-hls-ts': { manifests: { 'ffmpeg-hls-ts': 'main.m3u8' }, ends: true, start: byFfmpeg(hls('-hls_segment_filename', 'v%v-%d.ts', 'v%v.m3u8')) },
  'ffmpeg-hls-fmp4': { manifests: { 'ffmpeg-hls-fmp4': 'main.m3u8' }, ends: true,
    start: byFfmpeg(hls('-hls_segment_type', 'fmp4', '-hls_fmp4_init_filename', 'init%v.mp4', '-hls_segment_filename', 'v%v-%d.m4s', 'v%v.m3u8')) },
  'ffmpeg-dash': { manifests: { 'ffmpeg-dash': 'main.mpd' }, ends: true, start: byFfmpeg(dash('-use_timeline', '0', 'main.mpd')) },
  'ffmpeg-dash-timeline': { manifests: { 'ffmpeg-dash-timeline': 'main.mpd' }, ends: true, start: byFfmpeg(dash('-use_timeline', '1', 'main.mpd')) },
  'ffmpeg-dash-ll': { manifests: { 'ffmpeg-dash-ll': 'main.mpd' }, ends: true, start: pushed },
  nginx: { manifests: { 'nginx-hls': 'hls/main.m3u8', 'nginx-dash': 'dash/main.mpd' }, needs: ['servers'], start: nginx },
  'gst-hls': { manifests: { 'gst-hls': 'main.m3u8' }, needs: ['servers'], ends: true,
    start: gstreamer(sinkPads(`hlssink2 name=s location=s%05d.ts playlist-location=main.m3u8 target-duration=${segment} playlist-length=${listed} max-files=${listed + 4}`, 's.video', 's.audio')) },
  'gst-dash': { manifests: { 'gst-dash': 'main.mpd' }, needs: ['servers'],
    start: gstreamer(sinkPads(`dashsink name=s muxer=ts dynamic=true target-duration=${segment} minimum-update-period=${segment * 1000} mpd-root-path=. mpd-filename=main.mpd`, 's.video_0', 's.audio_0')) },
  shaka: { manifests: { 'shaka-hls': 'main.m3u8', 'shaka-dash': 'main.mpd' }, needs: ['shaka'], start: shaka },
  ll: { manifests: { 'll-hls': 'hls/master.m3u8', 'll-dash': 'dash/manifest.mpd' }, start: origin },
};

const familyOf = (name) => Object.keys(families).find((family) => name === family || families[family].manifests[name]);

/** All names. */
export const liveSources = Object.values(families).flatMap(({ manifests }) => Object.keys(manifests));

/** The names that one start serves. */
export const liveFamilies = Object.values(families).map(({ manifests }) => Object.keys(manifests));

/** What setup.mjs has to bring for a source. */
export const needsOf = (name) => ['samples', ...(families[familyOf(name)].needs ?? [])];

/** Whether a manifest lists enough to begin with; `read` gives the text of another file. */
async function isEnough(text, read) {
  if (text.startsWith('#EXTM3U')) {
    const [, variant] = /#EXT-X-STREAM-INF:.*\n(.+)/.exec(text) ?? [];
    return ((variant ? await read(variant) : text).match(/#EXTINF/g) ?? []).length >= ENOUGH;
  }
  const [, timeline] = /<SegmentTimeline>([\s\S]*?)<\/SegmentTimeline>/.exec(text) ?? [];
  if (timeline !== undefined) return [...timeline.matchAll(/<S\b([^>]*)/g)].reduce((sum, [, one]) => sum + 1 + Number(/\br="(\d+)"/.exec(one)?.[1] ?? 0), 0) >= ENOUGH;
  const [, begun] = /availabilityStartTime="([^"]+)"/.exec(text) ?? [];
  return Date.now() - Date.parse(begun) > (ENOUGH + 0.5) * segment * 1000;
}

/**
 * Starts the source of a name, in processes of its own. Resolves, once it can be played, to
 * - `urlOn(server, name)`: where to play it (or another name of its family), served by a server of server.mjs where it is a folder,
 * - `finish()`: ends the encoder in good order; undefined where that ends no presentation,
 * - `end()`: ends all of it.
 */
export async function startLive(name) {
  const family = familyOf(name);
  const { manifests, ends, start } = families[family];
  const household = new Household();
  const folder = path.join(household.folder, 'live');
  mkdirSync(folder);
  let made;
  const end = async () => {
    await household.end();
    await made?.close?.();
  };
  try {
    made = await start(household, folder);
    const { url, encoder } = made;
    const read = async (file) => (url ? (await fetch(`${url}/${file}`)).text() : readFileSync(path.join(folder, file), 'utf8'));
    const ready = async () => {
      const texts = await Promise.all(Object.values(manifests).map(read));
      return (await Promise.all(texts.map((text) => isEnough(text, read)))).every(Boolean);
    };
    for (const limit = performance.now() + START_TIMEOUT_MS; encoder && !await ready().catch(() => false);) {
      if (encoder.exitCode !== null || performance.now() > limit) throw new Told(`${name}: nothing to play${encoder.exitCode === null ? ` after ${START_TIMEOUT_MS / 1000} s` : ''}\n${household.output()}`);
      await new Promise((resolve) => { setTimeout(resolve, 100); });
    }
    return {
      end,
      urlOn(server, which = name) {
        const file = manifests[which] ?? Object.values(manifests)[0];
        if (url) return `${url}/${file}`;
        server.mounts[`/live/${family}`] = folder;
        return `${server.url}/live/${family}/${file}`;
      },
      finish: ends && encoder ? () => { encoder.kill('SIGINT'); } : undefined,
    };
  } catch (error) {
    await end();
    throw error;
  }
}
