// What live sources stand on: the clock in the picture, an origin that encoders push to, sources that run on demand. No browser is needed.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { clockFilters, clockStrip, wholeTime } from '../../www/tools/frame-strip.mjs';
import { startIngest } from '../../www/tools/ingest.mjs';
import { onDemand } from '../../www/tools/live-on-demand.mjs';
import { startServer } from '../../www/tools/server.mjs';
import { tool } from '../../www/tools/setup.mjs';

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

test('the clock strip survives an encoder and a scaler, and means the time nearest to now', () => {
  const { bits, height } = clockStrip;
  for (const epoch of [1_795_517_136_510, 2 ** 32 * 400 - 41]) {
    const raw = execFileSync(tool('ffmpeg'), ['-v', 'error', '-f', 'lavfi', '-i', `testsrc2=size=640x360:rate=25,settb=1/1000,setpts=${epoch}+N*40,${clockFilters()},settb=1/25,setpts=N,format=yuv420p`,
      '-t', '1', '-s', '320x180', '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-b:v', '150k', '-f', 'mpegts', 'pipe:1'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const rows = execFileSync(tool('ffmpeg'), ['-v', 'error', '-i', 'pipe:0', '-vf', `crop=iw:ih*${height / 2}:0:ih*${height / 4},scale=${bits + 2}:1:flags=area,format=gray`, '-f', 'rawvideo', 'pipe:1'], { input: raw });
    assert.equal(rows.length, 25 * (bits + 2));
    for (let frame = 0; frame < 25; frame++) {
      const row = [...rows.subarray(frame * (bits + 2), (frame + 1) * (bits + 2))];
      assert.ok(row[0] > 200 && row.at(-1) < 50);
      const shown = row.slice(1, -1).reduce((number, level) => number * 2 + (level > 127 ? 1 : 0), 0);
      // Read a little later, by a clock that is right, or wrong by minutes either way.
      for (const off of [50, 300_000, -300_000]) assert.equal(wholeTime(shown, epoch + frame * 40 + off), epoch + frame * 40);
    }
  }
});

describe('an origin that encoders push to', () => {
  let ingest;
  before(async () => { ingest = await startIngest(); });
  after(() => ingest.close());

  /** A request body that is sent piece by piece. */
  const slow = () => {
    let controller;
    const body = new ReadableStream({ start(made) { controller = made; } });
    return { body, send: (text) => controller.enqueue(Buffer.from(text)), end: () => controller.close(), fail: () => controller.error(new Error('gone')) };
  };
  const put = (name, body) => fetch(`${ingest.url}/${name}`, { method: 'PUT', body, duplex: 'half' });
  const get = async (name, headers = {}) => {
    const response = await fetch(`${ingest.url}/${name}`, { headers });
    return { status: response.status, text: await response.text(), headers: response.headers };
  };

  test('media is handed on while it comes, and whole, in ranges, afterwards', async () => {
    const { body, send, end } = slow();
    const stored = put('1.m4s', body);
    send('first ');
    while (!ingest.files.get('/1.m4s')?.size) await sleep(5);
    const response = await fetch(`${ingest.url}/1.m4s`);
    assert.deepEqual([response.status, response.headers.get('content-type'), response.headers.get('access-control-allow-origin')], [200, 'video/mp4', '*']);
    const reader = response.body.getReader();
    assert.equal(String(Buffer.from((await reader.read()).value)), 'first ');
    const ranged = get('1.m4s', { Range: 'bytes=6-' });
    send('second');
    assert.equal(String(Buffer.from((await reader.read()).value)), 'second');
    end();
    assert.equal((await reader.read()).done, true);
    assert.equal((await stored).status, 201);
    const part = await ranged;
    assert.deepEqual([part.status, part.text, part.headers.get('content-range')], [206, 'second', 'bytes 6-11/12']);
    const whole = await get('1.m4s');
    assert.deepEqual([whole.text, whole.headers.get('content-length')], ['first second', '12']);
    assert.equal((await get('1.m4s', { Range: 'bytes=12-' })).status, 416);
    assert.equal((await fetch(`${ingest.url}/1.m4s`, { method: 'DELETE' })).status, 200);
    assert.equal((await get('1.m4s')).status, 404);
  });

  test('a manifest changes all at once', async () => {
    await put('main.mpd', 'old');
    const { body, send, end } = slow();
    const stored = put('main.mpd', body);
    send('ne');
    await sleep(50);
    assert.equal((await get('main.mpd')).text, 'old');
    send('w');
    end();
    await stored;
    assert.equal((await get('main.mpd')).text, 'new');
  });

  test('an encoder that goes away in the middle breaks the download, too', async () => {
    const { body, send, fail } = slow();
    const stored = put('2.m4s', body).catch(() => 'broken');
    send('half');
    while (!ingest.files.get('/2.m4s')?.size) await sleep(5);
    const response = await fetch(`${ingest.url}/2.m4s`);
    const text = response.text();
    fail();
    await assert.rejects(text);
    assert.equal(await stored, 'broken');
  });

  test('it tells the time', async () => {
    const { text, headers } = await get('time');
    assert.ok(Math.abs(Date.parse(text) - Date.now()) < 1000 && headers.get('cache-control') === 'no-store');
  });
});

describe('a source on demand', () => {
  /** A source that counts; the n-th start fails where `fails` has n. */
  const counted = (url, fails = []) => {
    const count = { started: 0, closed: 0 };
    return { count, start: async () => {
      count.started++;
      await sleep(20);
      if (fails.includes(count.started)) throw new Error('no encoder');
      return { url, close: async () => { count.closed++; } };
    } };
  };

  test('starts once for many requests, rests after the last of them, and starts again', async () => {
    const { count, start } = counted('http://origin');
    const idle = 100;
    const source = onDemand(start, idle);
    const rests = async () => { while (source.runs) await sleep(10); };
    const responses = [new EventEmitter(), new EventEmitter(), new EventEmitter()];
    assert.deepEqual(await Promise.all(responses.slice(0, 2).map((one) => source.open(one))), ['http://origin', 'http://origin']);
    responses[0].emit('close');
    await sleep(2 * idle);
    assert.deepEqual([count.started, count.closed, source.runs], [1, 0, true], 'a request is still open');
    responses[1].emit('close');
    await source.open(responses[2]);
    await sleep(2 * idle);
    assert.deepEqual([count.started, count.closed], [1, 0], 'another one came in time');
    responses[2].emit('close');
    await rests();
    await sleep(1);
    assert.deepEqual([count.started, count.closed], [1, 1]);
    await source.open(new EventEmitter());
    assert.equal(count.started, 2);
    await source.close();
    assert.equal(count.closed, 2);
  });

  test('the server asks it for what follows the prefix, orders included, and says when it cannot start', async () => {
    const behind = await startServer({ mounts: {}, pages: { '/hls/list.m3u8': { body: '#EXTM3U', type: 'application/vnd.apple.mpegurl' } } });
    const { count, start } = counted(behind.url, [1]);
    const source = onDemand(start);
    const server = await startServer({ mounts: {}, proxies: { '/live/x': source } });
    try {
      assert.equal((await fetch(`${server.url}/live/x/hls/list.m3u8`)).status, 502);
      for (const shaped of ['', '/~kbps=1000,rtt=20']) {
        const response = await fetch(`${server.url}${shaped}/live/x/hls/list.m3u8?a=1`);
        assert.deepEqual([response.status, response.headers.get('content-type'), await response.text()], [200, 'application/vnd.apple.mpegurl', '#EXTM3U']);
      }
      assert.match(behind.log.at(-1).url, /^\/hls\/list\.m3u8\?a=1$/);
      assert.equal((await fetch(`${server.url}/live/x/~rules`, { method: 'POST', body: '[{"match":"list","status":404}]' })).status, 200);
      assert.equal((await fetch(`${server.url}/live/x/hls/list.m3u8`)).status, 404);
      assert.equal(count.started, 2);
    } finally {
      await source.close();
      await server.close();
      await behind.close();
    }
  });
});
