// npm run inspect: what the native core understands of manifests and media, held against what the packager was told and what
// ffprobe sees.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { samplesDir } from '../../www/tools/samples.mjs';
import { startServer } from '../../www/tools/server.mjs';
import { root } from '../../www/tools/steps.mjs';

const scratch = mkdtempSync(path.join(tmpdir(), 'inspect-'));
after(() => rmSync(scratch, { recursive: true }));

function inspect(...args) {
  const { status, stdout, stderr } = spawnSync('node', [path.join(root, 'www/tools/inspect.mjs'), ...args], { encoding: 'utf8', maxBuffer: 1 << 28 });
  return { status, stdout, stderr, json: args.includes('--json') ? JSON.parse(stdout) : undefined };
}

const sample = (name) => path.join(samplesDir, name);

// The first call builds the tool.
before(() => { assert.equal(inspect(sample('dash-number/manifest.mpd')).status, 0); }, { timeout: 600_000 });

test('every addressing of DASH gives the same segments', () => {
  for (const name of ['dash-number', 'dash-timeline', 'dash-list', 'dash-sidx']) {
    const { status, json } = inspect(sample(`${name}/manifest.mpd`), '--json');
    assert.equal(status, 0);
    assert.deepEqual([json.kind, json.protocol, json.type, json.duration, json.warnings], ['presentation', 'dash', 'static', 60, []]);
    const video = json.periods[0].sets.find(({ type }) => type === 'video');
    assert.deepEqual(video.representations.map(({ width, height }) => `${width}x${height}`), ['426x240', '640x360', '960x540', '1280x720']);
    for (const { segments, init } of video.representations) {
      assert.equal(segments.length, 15);
      segments.forEach(({ start, duration }, i) => assert.ok(Math.abs(start - 4 * i) < 1e-3 && Math.abs(duration - 4) < 1e-3, `${name} ${i}`));
      assert.ok(init.url.startsWith('file://'));
    }
  }
});

test('a multivariant playlist is read with its media playlists, over HTTP too', async () => {
  const server = await startServer();
  try {
    // Spawned without blocking, since this process serves.
    const { spawn } = await import('node:child_process');
    const child = spawn('node', [path.join(root, 'www/tools/inspect.mjs'), `${server.url}/samples/hls-fmp4/master.m3u8`, '--json']);
    let text = '';
    for await (const chunk of child.stdout) text += chunk;
    const json = JSON.parse(text);
    const [set] = json.periods[0].sets;
    assert.deepEqual([json.protocol, json.type, Math.round(json.duration), set.representations.length], ['hls', 'static', 60, 4]);
    for (const { playlist, segments } of set.representations) {
      assert.ok(playlist.startsWith(server.url));
      assert.equal(segments.length, 15);
    }
    assert.equal(json.periods[0].sets[1].lang, 'en');
  } finally {
    await server.close();
  }
});

test('samples of a media file are those that ffprobe sees', () => {
  const file = sample('progressive/720p.mp4');
  const { json } = inspect(file, '--json');
  const probe = spawnSync('ffprobe', ['-v', 'error', '-select_streams', 'v', '-show_entries', 'packet=pts,dts,size,flags', '-of', 'csv=p=0', file], { encoding: 'utf8', maxBuffer: 1 << 28 });
  const expected = probe.stdout.trim().split('\n').map((line) => line.split(','));
  const video = json.tracks.find(({ type }) => type === 'video');
  assert.deepEqual([json.kind, json.container, video.width, video.height], ['media', 'mp4', 1280, 720]);
  assert.equal(video.samples.length, expected.length);
  // ffprobe applies the edit list.
  const shift = video.samples[0].pts - Number(expected[0][0]);
  video.samples.forEach(({ pts, dts, size, sync, md5 }, i) => {
    assert.deepEqual([pts - shift, dts - shift, size, sync], [Number(expected[i][0]), Number(expected[i][1]), Number(expected[i][2]), expected[i][3].startsWith('K')]);
    assert.match(md5, /^[0-9a-f]{32}$/);
  });
});

test('what cannot be read is one typed error and exit code 1', () => {
  const cases = { 'empty.m3u8': ['#EXTM3U\n', 'MANIFEST_EMPTY'], 'cut.mpd': ['<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period>', 'MANIFEST_MALFORMED'], 'page.html': ['<!doctype html><p>no', 'FORMAT_UNKNOWN'] };
  for (const [name, [text, code]] of Object.entries(cases)) {
    writeFileSync(path.join(scratch, name), text);
    const { status, json } = inspect(path.join(scratch, name), '--json');
    assert.deepEqual([name, status, json.error.code], [name, 1, code]);
    assert.ok(json.error.url.endsWith(name));
  }
  const { status, stderr } = inspect(path.join(scratch, 'absent.mpd'));
  assert.equal(status, 1);
  assert.match(stderr, /NETWORK_FAILED/);
});
