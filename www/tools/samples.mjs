// Sample streams for the demo page, the tests and the benchmark: one synthetic clip, encoded once per rung and packaged
// by stream copy in every way the player reads. They lie in .cache/samples; samples.json there says what each one is.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fingerprint, stamp } from './fingerprint.mjs';
import { strip } from './frame-strip.mjs';
import { files, packageFiles } from './sample-files.mjs';
import { ensure } from './setup.mjs';
import { cache, isMain, main, run, step } from './steps.mjs';

export const samplesDir = path.join(cache, 'samples');

const fps = 25;
const duration = 60;
const segment = 4;
/** A keyframe every two seconds: two per segment, so that a seek into a segment's second half needs not its first. */
const gop = 2 * fps;
const rungs = [
  { name: '240p', width: 426, height: 240, kbps: 300 },
  { name: '360p', width: 640, height: 360, kbps: 800 },
  { name: '540p', width: 960, height: 540, kbps: 1600 },
  { name: '720p', width: 1280, height: 720, kbps: 2900 },
];
const audioKbps = 128;
/** A copy of 20 s is cut by decode times, and the next keyframe is decoded two frames before it is shown. */
const cutVideo = '19.9';

const at = (...parts) => path.join(samplesDir, ...parts);
const source = (name) => at('source', `${name}.mp4`);
const read = (...parts) => readFileSync(at(...parts), 'utf8');
const write = (text, ...parts) => writeFileSync(at(...parts), text);
const ffmpeg = (args, options) => run('ffmpeg', ['-nostdin', '-y', '-v', 'error', ...args], options);

// ---- The clip -----------------------------------------------------------------------------------------------------

/** A moving picture with noise (so that the encoder spends its bits), the frame number in words and as a strip of blocks. */
function picture() {
  const { bits, height } = strip;
  const top = rungs.at(-1);
  const stripHeight = Math.round(top.height * height);
  // Block 0 is white and the last black: what a reader compares the bits between them with. High bit first.
  const block = `if(eq(X,0),255,if(eq(X,${bits + 1}),0,255*mod(floor(N/pow(2,${bits}-X)),2)))`.replaceAll(',', '\\,');
  const scaled = rungs.slice(0, -1);
  return [
    `testsrc2=s=${top.width}x${top.height}:r=${fps},noise=alls=14:allf=t,`
      + 'drawbox=x=0:y=ih*0.72:w=iw:h=ih*0.2:color=black@0.6:t=fill,'
      + 'drawtext=font=DejaVu Sans:text=\'%{frame_num}  %{pts\\:hms}\':fontsize=96:fontcolor=white:x=(w-tw)/2:y=h*0.76[picture]',
    `nullsrc=s=${bits + 2}x1:r=${fps},format=gray,geq=lum=${block},scale=${top.width}:${stripHeight}:flags=neighbor[strip]`,
    `[picture][strip]overlay=0:${top.height - stripHeight},format=yuv420p,split=${rungs.length}${scaled.map(({ name }) => `[in${name}]`).join('')}[v${top.name}]`,
    ...scaled.map(({ name, width, height: h }) => `[in${name}]scale=${width}:${h}[v${name}]`),
  ].join(';');
}

/** A chord that steps through notes, so that a jump or a repeat can be heard. */
const sound = '0.2*sin(2*PI*220*(1+mod(floor(t),8)/4)*t)*(0.6+0.4*sin(2*PI*t))|0.2*sin(2*PI*110*(1+mod(floor(t),5)/4)*t)'.replaceAll(',', '\\,');

async function encode(note) {
  const progress = (line) => { const m = /^out_time=00:00:(\d+)/.exec(line); if (m) note(`${m[1]} of ${duration} s`); };
  const video = rungs.flatMap(({ name, kbps }) => ['-map', `[v${name}]`, '-t', String(duration), '-c:v', 'libx264', '-preset', 'veryfast',
    '-b:v', `${kbps}k`, '-maxrate', `${Math.round(kbps * 1.1)}k`, '-bufsize', `${2 * kbps}k`, '-g', String(gop), '-keyint_min', String(gop),
    '-sc_threshold', '0', source(name)]);
  await ffmpeg(['-progress', 'pipe:1', '-filter_complex', picture(), ...video], { onLine: progress });
  await ffmpeg(['-f', 'lavfi', '-i', `aevalsrc=${sound}:s=48000:d=${duration}`, '-c:a', 'aac', '-b:a', `${audioKbps}k`, source('sound')]);
  // The second codec pair: 20 s of the clip from its 20th second on, for WebM and for a period with other codecs.
  const vp9 = (name, kbps) => ['-map', `[${name}]`, '-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-row-mt', '1', '-b:v', `${kbps}k`,
    '-g', String(gop), '-keyint_min', String(gop), '-f', 'webm', '-dash', '1', at('dash-webm', `${name}.webm`)];
  await ffmpeg(['-ss', '20', '-t', '20', '-i', source('720p'), '-filter_complex', '[0:v]split[a][b];[a]scale=640:360[360p];[b]scale=426:240[240p]',
    ...vp9('240p', 200), ...vp9('360p', 500)]);
  await ffmpeg(['-ss', '20', '-t', '20', '-i', source('sound'), '-c:a', 'libopus', '-b:a', '96k', '-f', 'webm', '-dash', '1', '-cluster_time_limit', '4000',
    at('dash-webm', 'sound.webm')]);
}

// ---- DASH ---------------------------------------------------------------------------------------------------------

const everything = [...rungs.flatMap(({ name }) => ['-i', source(name)]), '-i', source('sound'),
  ...[...rungs, 0].flatMap((_, index) => ['-map', String(index)]), '-c', 'copy'];
const dash = (...options) => ['-f', 'dash', '-seg_duration', String(segment), '-adaptation_sets', 'id=0,streams=v id=1,streams=a', ...options];
const template = (timeline, name) => ['-use_template', '1', '-use_timeline', timeline ? '1' : '0',
  '-init_seg_name', '$RepresentationID$/init.mp4', '-media_seg_name', `$RepresentationID$/${name}.m4s`];

/** Leaves only the top rung in a manifest. */
const topRungOnly = (mpd) => mpd.replace(/\s*<Representation (?![^>]*height="720")[^>]*height=[\s\S]*?<\/Representation>/g, '');

/** ffmpeg lists the segments even where it wrote a sidx: point at that instead, as on-demand packagers do. */
function segmentListToBase(mpd, folder) {
  return mpd.replace(/<BaseURL>(.*?)<\/BaseURL>\s*<SegmentList[\s\S]*?<\/SegmentList>/g, (_, file) => {
    const bytes = readFileSync(at(folder, file));
    let [offset, sidx] = [0, undefined];
    while (offset + 8 <= bytes.length && !sidx) {
      const size = bytes.readUInt32BE(offset);
      if (bytes.toString('latin1', offset + 4, offset + 8) === 'sidx') sidx = [offset, offset + size - 1];
      offset += size;
    }
    return `<BaseURL>${file}</BaseURL>\n\t\t\t\t<SegmentBase indexRange="${sidx.join('-')}">\n\t\t\t\t\t<Initialization range="0-${sidx[0] - 1}" />\n\t\t\t\t</SegmentBase>`;
  }).replace('isoff-live:2011', 'isoff-on-demand:2011');
}

async function packageDash() {
  for (const name of ['dash-timeline', 'dash-number']) for (let id = 0; id <= rungs.length; id++) mkdirSync(at(name, String(id)), { recursive: true });
  await ffmpeg([...everything, ...dash(...template(true, '$Time$')), at('dash-timeline/manifest.mpd')]);
  // The sound starts before 0 (the encoder's delay, 1024 samples): ffmpeg names the file so, and the manifest says 0.
  renameSync(at(`dash-timeline/${rungs.length}/-1024.m4s`), at(`dash-timeline/${rungs.length}/0.m4s`));
  await ffmpeg([...everything, ...dash(...template(false, '$Number%05d$')), at('dash-number/manifest.mpd')]);
  await ffmpeg([...everything, ...dash('-single_file', '1'), at('dash-list/manifest.mpd')]);
  await ffmpeg([...everything, ...dash('-single_file', '1', '-global_sidx', '1'), at('dash-sidx/manifest.mpd')]);
  write(segmentListToBase(read('dash-sidx/manifest.mpd'), 'dash-sidx'), 'dash-sidx/manifest.mpd');
  for (const name of ['dash-timeline', 'dash-number', 'dash-sidx']) write(topRungOnly(read(name, 'manifest.mpd')), name, '720p.mpd');
}

async function packageWebm() {
  const webm = (name) => ['-f', 'webm_dash_manifest', '-i', at('dash-webm', `${name}.webm`)];
  await ffmpeg([...webm('240p'), ...webm('360p'), ...webm('sound'), '-map', '0', '-map', '1', '-map', '2', '-c', 'copy',
    '-f', 'webm_dash_manifest', '-adaptation_sets', 'id=0,streams=0,1 id=1,streams=2', at('dash-webm/manifest.mpd')]);
}

/** Two periods: H.264 and AAC, then VP9 and Opus in MP4 with media times that start at 20 s (presentationTimeOffset). */
async function packagePeriods() {
  const cut = ['-t', '20'];
  const picture = ['-t', cutVideo];
  const part = (id) => ['-seg_duration', String(segment), '-use_template', '1', '-use_timeline', '1', '-init_seg_name', `${id}-$RepresentationID$-init.mp4`,
    '-media_seg_name', `${id}-$RepresentationID$-$Number$.m4s`, '-adaptation_sets', 'id=0,streams=v id=1,streams=a'];
  await ffmpeg([...picture, '-i', source('360p'), ...picture, '-i', source('540p'), ...cut, '-i', source('sound'), '-map', '0', '-map', '1', '-map', '2', '-c', 'copy',
    '-f', 'dash', ...part('a'), at('dash-periods/a.mpd')]);
  await ffmpeg(['-i', at('dash-webm/360p.webm'), '-i', at('dash-webm/sound.webm'), '-map', '0', '-map', '1', '-c', 'copy',
    '-strict', 'experimental', '-output_ts_offset', '20', '-f', 'dash', '-dash_segment_type', 'mp4', ...part('b'), at('dash-periods/b.mpd')]);
  const [a, b] = ['a', 'b'].map((id) => read('dash-periods', `${id}.mpd`));
  const period = (mpd, id, start) => /<Period[^>]*>([\s\S]*<\/Period>)/.exec(mpd)[0].replace(/<Period[^>]*>/, `<Period id="${id}" start="PT${start}S" duration="PT20S">`);
  const second = period(b, 'b', 20).replace(/timescale="(\d+)"/g, (_, scale) => `timescale="${scale}" presentationTimeOffset="${20 * scale}"`);
  write(a.replace(/mediaPresentationDuration="[^"]*"/, 'mediaPresentationDuration="PT40S"').replace(/<Period[\s\S]*<\/Period>/, `${period(a, 'a', 0)}\n\t${second}`),
    'dash-periods/manifest.mpd');
  for (const id of ['a', 'b']) rmSync(at('dash-periods', `${id}.mpd`));
}

// ---- HLS ----------------------------------------------------------------------------------------------------------

const hls = (type, ...flags) => ['-f', 'hls', '-hls_time', String(segment), '-hls_playlist_type', 'vod', '-hls_segment_type', type,
  '-hls_flags', ['independent_segments', ...flags].join('+')];
const inputs = (...names) => [...names.flatMap((name) => ['-i', source(name)]), ...names.flatMap((_, index) => ['-map', String(index)]), '-c', 'copy'];

/** A multivariant playlist with the codecs that the encoder really used (ffmpeg leaves them out when it copies). */
function multivariant(codecs, { group, names = rungs.map(({ name }) => name) } = {}) {
  const media = group ? [`#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="${group}",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="sound/index.m3u8"`] : [];
  const variants = rungs.filter(({ name }) => names.includes(name)).flatMap(({ name, width, height, kbps }) => [
    `#EXT-X-STREAM-INF:BANDWIDTH=${Math.round(kbps * 1100 + audioKbps * 1000)},AVERAGE-BANDWIDTH=${(kbps + audioKbps) * 1000},RESOLUTION=${width}x${height},`
      + `FRAME-RATE=${fps}.000,CODECS="${codecs[name]},mp4a.40.2"${group ? `,AUDIO="${group}"` : ''}`, `${name}/index.m3u8`]);
  return `${['#EXTM3U', '#EXT-X-VERSION:7', '#EXT-X-INDEPENDENT-SEGMENTS', ...media, ...variants].join('\n')}\n`;
}

async function packageHls() {
  const listed = read('dash-number/manifest.mpd');
  const codecs = Object.fromEntries(rungs.map(({ name, height }) => [name, new RegExp(`codecs="([^"]+)"[^>]*height="${height}"`).exec(listed)[1]]));
  for (const { name } of rungs) {
    for (const folder of ['hls-fmp4', 'hls-ts']) mkdirSync(at(folder, name), { recursive: true });
    await ffmpeg([...inputs(name), ...hls('fmp4'), '-hls_fmp4_init_filename', 'init.mp4', '-hls_segment_filename', at('hls-fmp4', name, '%05d.m4s'),
      at('hls-fmp4', name, 'index.m3u8')]);
    await ffmpeg([...inputs(name, 'sound'), ...hls('mpegts'), '-hls_segment_filename', at('hls-ts', name, '%05d.ts'), at('hls-ts', name, 'index.m3u8')]);
  }
  mkdirSync(at('hls-fmp4/sound'), { recursive: true });
  await ffmpeg([...inputs('sound'), ...hls('fmp4'), '-hls_fmp4_init_filename', 'init.mp4', '-hls_segment_filename', at('hls-fmp4/sound/%05d.m4s'), at('hls-fmp4/sound/index.m3u8')]);
  for (const [file, names] of [['master', undefined], ['720p', ['720p']]]) {
    write(multivariant(codecs, { group: 'sound', names }), 'hls-fmp4', `${file}.m3u8`);
    write(multivariant(codecs, { names }), 'hls-ts', `${file}.m3u8`);
  }
  await ffmpeg([...inputs('540p', 'sound'), ...hls('mpegts', 'single_file'), '-hls_segment_filename', at('hls-bytes/all.ts'), at('hls-bytes/ts.m3u8')]);
  await ffmpeg([...inputs('540p', 'sound'), ...hls('fmp4', 'single_file'), '-hls_segment_filename', at('hls-bytes/all.mp4'), at('hls-bytes/fmp4.m3u8')]);
  await packageDiscontinuity();
  packageVariations();
}

/** Twenty seconds of one rung, then twenty of another with unrelated time stamps: an EXT-X-DISCONTINUITY between them. */
async function packageDiscontinuity() {
  for (const [type, extension] of [['mpegts', 'ts'], ['fmp4', 'm4s']]) {
    const part = async (id, rung, from, offset) => {
      const cut = (length) => ['-ss', String(from), '-t', length];
      await ffmpeg([...cut(cutVideo), '-i', source(rung), ...cut('20'), '-i', source('sound'), '-map', '0', '-map', '1', '-c', 'copy', '-output_ts_offset', String(offset), ...hls(type),
        '-hls_fmp4_init_filename', `${id}-init.mp4`, '-hls_segment_filename', at('hls-discontinuity', `${id}-%d.${extension}`), at('hls-discontinuity', `${id}.m3u8`)]);
      const text = read('hls-discontinuity', `${id}.m3u8`);
      rmSync(at('hls-discontinuity', `${id}.m3u8`));
      return text;
    };
    const first = await part('a', '540p', 0, 0);
    const second = await part('b', '360p', 20, 1000);
    const body = second.slice(second.search(/#EXT-X-MAP|#EXTINF/));
    write(first.replace('#EXT-X-ENDLIST\n', `#EXT-X-DISCONTINUITY\n${body}`), 'hls-discontinuity', `${type === 'fmp4' ? 'fmp4' : 'ts'}.m3u8`);
  }
}

/** Playlists over the same TS segments that use one more tag each. */
function packageVariations() {
  const plain = read('hls-ts/360p/index.m3u8');
  write(plain.replace('#EXTINF', '#EXT-X-START:TIME-OFFSET=20,PRECISE=YES\n#EXTINF'), 'hls-ts/360p/start.m3u8');
  write(plain.replace(/(#EXTINF:[^\n]*\n)00002\.ts/, '$1#EXT-X-GAP\nmissing.ts').replace('VERSION:6', 'VERSION:8'), 'hls-ts/360p/gap.m3u8');
  write(plain.replace('#EXT-X-VERSION:6', '#EXT-X-VERSION:8\n#EXT-X-DEFINE:NAME="end",VALUE="ts"').replaceAll(/^(\d+)\.ts$/gm, '$1.{$end}'), 'hls-ts/360p/define.m3u8');
}

// ---- All of it ----------------------------------------------------------------------------------------------------

/** What there is. `frameAtZero`: the number in the picture at time 0; frame = frameAtZero + time × fps. */
const samples = [
  { id: 'dash-timeline', title: 'DASH, SegmentTimeline', url: 'dash-timeline/manifest.mpd', duration },
  { id: 'dash-number', title: 'DASH, numbered segments', url: 'dash-number/manifest.mpd', duration },
  { id: 'dash-list', title: 'DASH, SegmentList of byte ranges', url: 'dash-list/manifest.mpd', duration },
  { id: 'dash-sidx', title: 'DASH on demand, one file per rung (sidx)', url: 'dash-sidx/manifest.mpd', duration },
  { id: 'dash-webm', title: 'DASH, WebM: VP9 and Opus (Cues)', url: 'dash-webm/manifest.mpd', duration: 20, frameAtZero: 500 },
  { id: 'dash-periods', title: 'DASH, two periods with different codecs', url: 'dash-periods/manifest.mpd', duration: 40 },
  { id: 'hls-fmp4', title: 'HLS, fMP4 with separate audio', url: 'hls-fmp4/master.m3u8', duration },
  { id: 'hls-ts', title: 'HLS, MPEG-TS', url: 'hls-ts/master.m3u8', duration },
  { id: 'hls-media', title: 'HLS, a media playlist alone', url: 'hls-ts/540p/index.m3u8', duration },
  { id: 'hls-bytes-ts', title: 'HLS, byte ranges of one TS file', url: 'hls-bytes/ts.m3u8', duration },
  { id: 'hls-bytes-fmp4', title: 'HLS, byte ranges of one MP4 file, muxed', url: 'hls-bytes/fmp4.m3u8', duration },
  { id: 'hls-discontinuity-ts', title: 'HLS, MPEG-TS with a discontinuity', url: 'hls-discontinuity/ts.m3u8', duration: 40 },
  { id: 'hls-discontinuity-fmp4', title: 'HLS, fMP4 with a discontinuity', url: 'hls-discontinuity/fmp4.m3u8', duration: 40 },
  { id: 'hls-audio', title: 'HLS, sound only', url: 'hls-fmp4/sound/index.m3u8', duration, audioOnly: true },
].map((sample) => ({ ...sample, protocol: sample.id.split('-')[0], fps, frameAtZero: sample.frameAtZero ?? 0, audioOnly: sample.audioOnly ?? false }));

/** Makes the samples if need be and resolves to their list (as in samples.json). */
export async function makeSamples() {
  const scripts = ['samples.mjs', 'sample-files.mjs', 'frame-strip.mjs'].map((name) => `www/tools/${name}`);
  const done = stamp('samples', fingerprint(scripts), [at('samples.json')]);
  if (done.fresh) return samples;
  await ensure(['samples']);
  done.invalidate();
  rmSync(samplesDir, { recursive: true, force: true });
  for (const folder of ['source', 'dash-list', 'dash-sidx', 'dash-webm', 'dash-periods', 'hls-bytes', 'hls-discontinuity', 'progressive']) mkdirSync(at(folder), { recursive: true });
  await step('sample streams: encoding', encode);
  await step('sample streams: packaging', async () => {
    await Promise.all([packageDash().then(packageHls), packageWebm().then(packagePeriods)]);
    await ffmpeg([...inputs('720p', 'sound'), '-movflags', '+faststart', at('progressive/720p.mp4')]);
    await packageFiles({ ffmpeg, source, at, mkdir: (name) => mkdirSync(at(name), { recursive: true }) });
    rmSync(at('source'), { recursive: true });
  });
  write(JSON.stringify([...samples, ...files], null, 2), 'samples.json');
  done.made();
  return samples;
}

if (isMain(import.meta)) {
  await main(async () => {
    for (const { id, url, title } of [...await makeSamples(), ...files]) console.log(`${id.padEnd(24)}${path.join('.cache/samples', url).padEnd(50)}${title}`);
  });
}
