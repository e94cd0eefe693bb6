// The log of a session, kept in this engine, replays: the native core does the same, bit for bit.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { startLive } from '../../www/tools/live-sources.mjs';
import { root } from '../../www/tools/steps.mjs';
import { engine, useStage } from './support/stage.mjs';

const scratch = mkdtempSync(path.join(tmpdir(), 'log-'));

/** Resolves to { status, stdout, stderr }. The server of the media runs in this process, which must not be blocked. */
const replay = (...args) => new Promise((resolve) => {
  execFile('node', [path.join(root, 'www/tools/replay.mjs'), ...args], { maxBuffer: 1 << 28 },
    (error, stdout, stderr) => resolve({ status: error ? error.code : 0, stdout, stderr }));
});

describe(`logs in ${engine}`, () => {
  const stage = useStage();
  after(() => rmSync(scratch, { recursive: true }));
  // The first call builds the tool.
  before(async () => assert.match((await replay('--help')).stdout, /--explain/), { timeout: 900_000 });

  /** Takes the page's log, plays it again, and resolves to its text. */
  async function replays(page, name, { packed = false } = {}) {
    const text = await page.run(() => window.page.player.log());
    const file = path.join(scratch, name);
    writeFileSync(file, packed ? gzipSync(text) : text);
    const { status, stdout, stderr } = await replay(file, '--json');
    assert.equal(status, 0, `${stdout}\n${stderr}`);
    const result = JSON.parse(stdout);
    assert.deepEqual([result.same, result.cut, result.difference], [true, false, null], stdout);
    assert.ok(result.inputs > 20 && result.outputs > 10, stdout);
    return { text, file };
  }

  const open = () => stage.open({ entry: '/dist/log.js' });

  test('HLS with a seek, a choice and secrets in its URL; the log tells why', async () => {
    const page = await open();
    const secret = 'aVerySecretToken.0123456789';
    await page.load(`/samples/hls-ts/master.m3u8?who=7&token=${secret}`);
    await page.plays(1);
    await page.seek(12.2);
    await page.run(() => window.page.player.selectQuality(window.page.player.qualities[0].id));
    await page.plays(1);
    const { text, file } = await replays(page, 'hls');
    assert.ok(!text.includes(secret) && text.includes('master.m3u8?who=7&token='), text.slice(0, 2000));
    assert.ok(text.length < 300_000, `${text.length} characters`);
    const { stdout } = await replay(file, '--explain');
    for (const told of [/ load http.*master\.m3u8/, /qualities: .*kbit\/s/, /QUALITY nothing -> .*: start \(estimate/, /the element seeks to 12\.200 s/,
      /QUALITY .*: user/, /ask for segment .* \(estimate .*buffer/, /is there: .* kB in/, /the same: \d+ inputs/]) assert.match(stdout, told);
    assert.match((await replay(file, '--until', '0.5')).stdout, /the same: \d+ inputs and \d+ outputs in 0\.\d+ s/);
  });

  test('DASH with an index, without a worker, packed', async () => {
    const page = await open();
    await page.load('/samples/dash-sidx/manifest.mpd', {}, { worker: false });
    await page.plays(2);
    await page.run(() => { window.page.video.playbackRate = 1.5; });
    await page.plays(1);
    await replays(page, 'dash.gz', { packed: true });
  });

  test('a file, with its media in the log', async () => {
    const page = await open();
    await page.load('/samples/progressive/720p.mp4', {}, { log: { media: true } });
    await page.plays(1);
    await page.seek(14);
    await page.plays(0.5);
    const { file } = await replays(page, 'file');
    assert.deepEqual(JSON.parse((await replay(file, '--requests')).stdout), []);
  });

  test('a live stream, whose playlist is kept as what changed', async () => {
    const source = await startLive('ffmpeg-hls-ts');
    try {
      const page = await open();
      await page.load(source.urlOn(stage.server));
      await page.plays(5);
      const { text } = await replays(page, 'live');
      assert.match(text, /\{"from":\[\[0,/);
    } finally { await source.end(); }
  });

  test('an element with autoplay counts as one that is to play, before it does', async () => {
    const page = await open();
    await page.run(async () => {
      await window.page.open();
      window.page.video.autoplay = true;
      await window.page.player.load('/samples/hls-ts/master.m3u8');
    });
    await page.plays(1);
    const text = await page.run(() => window.page.player.log());
    const states = text.trim().split('\n').map((line) => JSON.parse(line)).filter(([, name]) => name === '>state').map(([, , , ready, paused]) => ({ ready, paused }));
    const before = states.slice(0, states.findIndex(({ ready }) => ready >= 3));
    assert.ok(before.length > 0 && before.every(({ paused }) => !paused), JSON.stringify(states));
    // After that it is what it says.
    await page.run(() => window.page.video.pause());
    await page.until(async () => /">state",[^,]+,[34],true/.test((await window.page.player.log()).split('\n').filter((line) => line.includes('>state')).at(-1)), { what: 'a pause that is told' });
  });

  test('errors are in it, and what is told of it is checked', async () => {
    const page = await open();
    const error = await page.tryLoad('/samples/nothing.mpd');
    assert.equal(error.code, 'HTTP_CLIENT_ERROR');
    const text = await page.run(() => window.page.player.log());
    assert.match(text, /\["!error",true,"HTTP_CLIENT_ERROR"/);
    const wrong = await page.run(() => { try { return String(new window.page.module.Player({ log: { all: true } })); } catch (e) { return e.code; } });
    assert.equal(wrong, 'CONFIG_INVALID');
    // It is there after the end; nothing hangs.
    assert.ok(await page.run(async () => { await window.page.player.destroy(); return (await window.page.player.log()).length; }) >= text.length);
  });
});
