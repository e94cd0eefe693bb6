// What `npm run bench -- remux` rewrites, and the programs that rewrite it outside of a browser: `ffmpeg -c copy` and our core, each as a whole process.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { tool } from './setup.mjs';
import { Told, cache, root, run, step } from './steps.mjs';

const video = '-f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine=sample_rate=48000 -vf noise=alls=20:allf=t -pix_fmt yuv420p -c:v libx264 -preset ultrafast -bf 2 -g 60 '
  + '-sc_threshold 0 -b:v 8M -minrate 8M -maxrate 8M -bufsize 8M -c:a aac -b:a 128k -ac 2';
const noise = '-f lavfi -i anoisesrc=r=48000:a=0.3:seed=1 -ac 2';

/** Makes the inputs of about so many megabytes each, once. Resolves to { 'TS', 'FLV', … }: { whole, parts }, files below `folder`. */
export async function makeInputs(megabytes) {
  const folder = path.join(cache, 'bench', `inputs-${megabytes}`);
  const at = (name) => path.join(folder, name);
  const seconds = String(megabytes); // of 8 Mbit/s
  const list = {
    TS: { whole: 'whole.ts', make: (out) => ['-i', at('tables.mp4'), '-c', 'copy', '-f', 'mpegts', out] },
    FLV: { whole: 'whole.flv', make: (out) => ['-i', at('tables.mp4'), '-c', 'copy', '-f', 'flv', out] },
    'Ogg Opus': { whole: 'opus.ogg', make: (out) => [...noise.split(' '), '-t', String(megabytes * 8 / 0.256), '-c:a', 'libopus', '-b:a', '256k', '-vbr', 'off', '-compression_level', '0', '-f', 'ogg', out] },
    'Ogg FLAC': { whole: 'flac.ogg', make: (out) => [...noise.split(' '), '-t', String(megabytes * 8 / 1.45), '-c:a', 'flac', '-f', 'ogg', out] },
    'progressive MP4': { whole: 'tables.mp4' },
  };
  const ffmpeg = async (out, args) => {
    if (existsSync(out)) return;
    const made = `${out}.part`;
    await run(tool('ffmpeg'), ['-v', 'error', '-y', '-nostdin', ...args(made)]);
    renameSync(made, out);
  };
  mkdirSync(folder, { recursive: true });
  await step(`inputs of ${megabytes} MB`, async (note) => {
    note('encoding');
    await ffmpeg(at('tables.mp4'), (out) => [...video.split(' '), '-t', seconds, '-movflags', '+faststart', '-f', 'mp4', out]);
    for (const { whole, make } of Object.values(list)) {
      note(whole);
      if (make) await ffmpeg(at(whole), make);
    }
    // Players of HLS rewrite segment by segment.
    if (!existsSync(at('segments'))) {
      rmSync(at('segments.part'), { recursive: true, force: true });
      mkdirSync(at('segments.part'));
      await run(tool('ffmpeg'), ['-v', 'error', '-nostdin', '-i', at('tables.mp4'), '-c', 'copy', '-f', 'segment', '-segment_time', '4', '-segment_format', 'mpegts', path.join(at('segments.part'), '%05d.ts')]);
      renameSync(at('segments.part'), at('segments'));
    }
  });
  const parts = (whole) => (whole.endsWith('.ts') ? readdirSync(at('segments')).sort().map((name) => `segments/${name}`) : [whole]);
  return { folder, inputs: Object.fromEntries(Object.entries(list).map(([name, { whole }]) => [name, { whole: at(whole), parts: parts(whole) }])) };
}

/** Builds our core as a program that rewrites a file; resolves to its path. */
export async function buildNative() {
  let program;
  await step('the core as a program', async () => {
    const said = await run(tool('cargo'), ['bench', '--no-run', '--bench', 'remux', '--message-format=json-render-diagnostics'], { cwd: root });
    for (const line of said.split('\n')) if (line.startsWith('{')) program = JSON.parse(line).executable ?? program;
  });
  if (!program) throw new Told('cargo bench --no-run named no program');
  return program;
}

/** What the file comes to as fragmented MP4, one fragment a second. (FLAC in MP4 counts as an experiment with ffmpeg 5.) */
const copy = (file) => [tool('ffmpeg'), ['-v', 'error', '-nostdin', '-i', file, '-c', 'copy', ...(file.endsWith('.ts') ? ['-bsf:a', 'aac_adtstoasc'] : []), '-strict', '-2', '-f', 'mp4', '-movflags', '+empty_moov+default_base_moof', '-frag_duration', '1000000', 'pipe:1']];

/** A whole process over a file, its output thrown away; MB/s from its start to its end. */
export async function timeProcess(file, native) {
  const [program, args] = native ? [native, [file]] : copy(file);
  readFileSync(file); // from memory, for both
  const started = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text) => { said += text; });
  const code = await new Promise((resolve) => { child.on('error', (error) => { said += error.message; resolve(-1); }).on('close', resolve); });
  if (code !== 0) return { error: `${path.basename(program)}: exit code ${code} ${said.trim()}` };
  return { rate: statSync(file).size / 1e3 / (performance.now() - started) };
}
