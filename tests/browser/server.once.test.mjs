// The test server keeps its promises: what the end-to-end tests and the benchmark measure rests on them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { samplesDir } from '../../www/tools/samples.mjs';
import { parseRange, startServer } from '../../www/tools/server.mjs';

let server;
before(async () => { server = await startServer({ mounts: { '/samples': samplesDir } }); });
after(() => server.close());

const file = '/samples/hls-ts/720p/00003.ts';
const get = async (path, headers = {}) => {
  const started = performance.now();
  const response = await fetch(server.url + path, { headers });
  const bytes = new Uint8Array(await response.arrayBuffer());
  return { response, bytes, ms: performance.now() - started };
};

test('byte ranges: closed, open, suffix, out of reach, not understood', () => {
  assert.deepEqual(parseRange('bytes=0-9', 100), [0, 9]);
  assert.deepEqual(parseRange('bytes=90-', 100), [90, 99]);
  assert.deepEqual(parseRange('bytes=-10', 100), [90, 99]);
  assert.deepEqual(parseRange('bytes=95-200', 100), [95, 99]);
  assert.equal(parseRange('bytes=100-', 100), undefined);
  assert.equal(parseRange('bytes=5-4', 100), undefined);
  assert.equal(parseRange('lines=1-2', 100), null);
  assert.equal(parseRange(undefined, 100), null);
});

test('a range is that part of the file, and nothing outside the mounts is served', async () => {
  const whole = await get(file);
  const part = await get(file, { Range: 'bytes=188-375' });
  assert.equal(part.response.status, 206);
  assert.equal(part.response.headers.get('content-range'), `bytes 188-375/${whole.bytes.length}`);
  assert.deepEqual(part.bytes, whole.bytes.subarray(188, 376));
  assert.equal((await get('/samples/%2e%2e/%2e%2e/package.json')).response.status, 404);
});

test('a link has its rate and its round-trip time, and is shared', async () => {
  // Never faster; a busy machine makes it slower, but not each time.
  const takes = async (ideal, work) => {
    for (let attempt = 1; ; attempt++) {
      const took = await work();
      assert.ok(took > ideal * 0.93, `${took} ms where ${ideal} are right`);
      if (took < ideal * 1.25 + 60) return;
      assert.ok(attempt < 5, `${took} ms where ${ideal} are right`);
    }
  };
  const bits = (await get(file)).bytes.length * 8;
  await takes(bits / 20_000 + 100, async () => (await get(`/~kbps=20000,rtt=50${file}`)).ms);
  await takes(2 * bits / 20_000, async () => {
    const started = performance.now();
    await Promise.all([get(`/~kbps=20000${file}`), get(`/~kbps=20000${file}`)]);
    return performance.now() - started;
  });
});

test('rules spoil what they match, as often as they say', async () => {
  const { rules } = server;
  rules.push({ match: file, status: 503, skip: 1, times: 1 });
  assert.deepEqual([(await get(file)).response.status, (await get(file)).response.status, (await get(file)).response.status], [200, 503, 200]);
  rules.splice(0, 1, { match: /00003/, truncate: 1000, corrupt: [10, 2], type: 'text/html', cors: false });
  const clean = await get('/samples/hls-ts/720p/00004.ts');
  const spoilt = await get(file);
  assert.equal(spoilt.bytes.length, 1000);
  assert.equal(spoilt.response.headers.get('content-type'), 'text/html');
  assert.equal(spoilt.response.headers.get('access-control-allow-origin'), null);
  assert.equal(clean.response.headers.get('access-control-allow-origin'), '*');
  rules.length = 0;
  const whole = await get(file);
  assert.deepEqual([...spoilt.bytes.subarray(8, 14)], [...whole.bytes.subarray(8, 14)].map((byte, i) => (i === 2 || i === 3 ? byte ^ 0xff : byte)));
  rules.push({ match: file, reset: 2000 });
  await assert.rejects(get(file));
  rules.splice(0, 1, { match: file, stall: 3000 });
  await assert.rejects(fetch(server.url + file, { signal: AbortSignal.timeout(300) }).then((response) => response.arrayBuffer()), { name: 'TimeoutError' });
  rules.length = 0;
});
