// Bad input: one error with a stable code, the URL and what was tried; the page stays sound, and the same player then plays a good URL.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, describe, test } from 'node:test';
import { Household } from '../../www/tools/processes.mjs';
import { tool } from '../../www/tools/setup.mjs';
import { run } from '../../www/tools/steps.mjs';
import { engine, useStage } from './support/stage.mjs';

const good = '/samples/hls-ts/240p/index.m3u8';
/** Few attempts; and where something never answers, it is given up soon. Elsewhere a busy machine must not look like a server that is silent. */
const brief = { maxAttempts: 2 };
const impatient = { maxAttempts: 2, requestTimeout: 2 };
const patient = { requestTimeout: 10 };

const pages = {
  '/page.m3u8': { body: '<!doctype html><title>Sign in</title><p>Please sign in.' },
  '/picture.png': { type: 'image/png', body: '\u0089PNG\r\n\u001a\n and so on' },
  '/broken.wav': { type: 'audio/wav', body: `RIFF\u0001\u0001\u0000\u0000WAVEfmt ${'and so on '.repeat(20)}` },
  '/blank.m3u8': { type: 'application/vnd.apple.mpegurl', body: '' },
  '/no-segments.m3u8': { type: 'application/vnd.apple.mpegurl', body: '#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXT-X-ENDLIST\n' },
  '/no-periods.mpd': { type: 'application/dash+xml', body: '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" profiles="" mediaPresentationDuration="PT4S"/>' },
  '/codec.mpd': { type: 'application/dash+xml', body: `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" profiles="urn:mpeg:dash:profile:isoff-live:2011" mediaPresentationDuration="PT8S" minBufferTime="PT2S">
    <Period><AdaptationSet contentType="video" mimeType="video/mp4"><SegmentTemplate timescale="1" duration="4" media="$Number$.m4s" initialization="i.mp4"/>
    <Representation id="v" codecs="wxyz.1.2" bandwidth="100000" width="320" height="180"/></AdaptationSet></Period></MPD>` },
};

/** [what, URL, the rule for it, the code, what else the error says] */
const cases = [
  ['a missing manifest', '/samples/nothing.m3u8', {}, 'HTTP_CLIENT_ERROR', { status: 404, recovery: /^1 attempt$/ }],
  ['a server that fails for good', good, { status: 500 }, 'HTTP_SERVER_ERROR', { status: 500, recovery: /^2 attempts over [\d.]+ s$/ }],
  ['a refusal by CORS', (server) => `${server.otherOrigin}${good}`, { match: 'hls-ts', cors: false, times: 2 }, 'NETWORK_FAILED', { recovery: /^2 attempts/, message: /Access-Control-Allow-Origin/ }],
  ['a server that never answers', good, { delay: Infinity }, 'NETWORK_TIMEOUT', { recovery: /^2 attempts/ }],
  ['a manifest whose rest never comes', '/samples/dash-number/manifest.mpd', { stall: 600 }, 'NETWORK_TIMEOUT', { recovery: /^2 attempts/ }],
  ['a connection that breaks in the manifest', '/samples/dash-number/manifest.mpd', { reset: 600 }, /^(RESPONSE_TRUNCATED|NETWORK_FAILED)$/, { recovery: /^2 attempts/ }],
  ['an MPD cut short', '/samples/dash-number/manifest.mpd', { truncate: 900 }, 'MANIFEST_MALFORMED', {}],
  ['a corrupt MPD', '/samples/dash-number/manifest.mpd', { corrupt: [640, 400] }, 'MANIFEST_MALFORMED', {}],
  ['a corrupt playlist', good, { corrupt: [0, 400] }, /^(MANIFEST_MALFORMED|FORMAT_UNKNOWN)$/, {}],
  ['a playlist without segments', '/no-segments.m3u8', {}, 'MANIFEST_EMPTY', {}],
  ['an MPD without periods', '/no-periods.mpd', {}, 'MANIFEST_EMPTY', {}],
  ['an empty response', '/blank.m3u8', {}, 'MANIFEST_EMPTY', {}],
  ['HTML in place of a manifest', '/page.m3u8', {}, /^(FORMAT_UNKNOWN|MANIFEST_MALFORMED)$/, {}],
  ['a picture', '/picture.png', {}, 'FORMAT_UNKNOWN', {}],
  ['WAV that the element cannot play either', '/broken.wav', {}, 'FORMAT_UNSUPPORTED', {}],
  ['a codec that no browser has', '/codec.mpd', {}, 'CODEC_UNSUPPORTED', { recovery: /wxyz/ }],
  ['segments that are all missing', good, { match: '.ts', status: 404 }, 'HTTP_CLIENT_ERROR', { status: 404, url: /240p\/00000\.ts$/ }],
  ['segments that are all corrupt', good, { match: '.ts', corrupt: [0, 1e9] }, /^MEDIA_(MALFORMED|EMPTY)$|^CONTAINER_UNSUPPORTED$/, { url: /240p\/0000\d\.ts$/ }],
  ['an init segment that is missing', '/samples/hls-fmp4/240p/index.m3u8', { match: 'init.mp4', status: 404 }, 'HTTP_CLIENT_ERROR', { status: 404, url: /init\.mp4$/ }],
  ['rtmp:', 'rtmp://example.org/live/one', {}, 'URL_SCHEME', { url: /^rtmp:/ }],
  ['rtsp:', 'rtsp://example.org/one', {}, 'URL_SCHEME', { url: /^rtsp:/ }],
  ['file:', 'file:///etc/hosts', {}, 'URL_SCHEME', { url: /^file:/ }],
  ['no URL', 'http://', {}, 'URL_INVALID', { url: /^http:/ }],
  ['an empty string', '', {}, 'URL_INVALID', { url: /^$/ }],
];

describe(`errors in ${engine}`, () => {
  const stage = useStage({ pages });

  /** The promise and the one event say the same; then a good URL plays. */
  async function failsThenPlays(page, url, code, { status, recovery, message, url: where } = {}, rules = []) {
    stage.server.rules.push(...rules);
    const silent = rules.some(({ delay, stall }) => delay !== undefined || stall !== undefined);
    let error = await page.tryLoad(url, {}, silent ? impatient : brief);
    // What lies beyond the manifest fails after load() has resolved.
    error ??= (await page.event('error', { timeoutMs: 30_000 })) && (await stage.eventually(async () => (await page.state()).error, 'a fatal error'));
    const fatal = (await page.events('error')).filter(({ detail }) => detail.severity === 'fatal');
    assert.deepEqual(fatal.map(({ detail }) => detail), [error]);
    if (code instanceof RegExp) assert.match(error.code, code, error.message); else assert.equal(error.code, code, error.message);
    if (where) assert.match(error.url, where); else assert.equal(error.url, new URL(url, stage.server.url).href);
    if (status) assert.equal(error.status, status);
    if (recovery) assert.match(error.recovery ?? '', recovery);
    if (message) assert.match(error.message, message);
    assert.match(error.message, /^\S.* \S.*\.$/, 'a sentence that says what to do');
    stage.server.rules.length = 0;
    await page.run((config) => { window.page.record.events.length = 0; window.page.player.configure(config); }, patient);
    await page.load(good);
    await page.plays(0.2);
    await page.isClean();
  }

  for (const [what, at, rule, code, more] of cases) {
    test(`${what}: ${code instanceof RegExp ? 'a typed error' : code}`, async () => {
      const page = await stage.open();
      const url = typeof at === 'string' ? at : at(stage.server);
      const rules = Object.keys(rule).length ? [{ match: new URL(url, stage.server.url).pathname, ...rule }] : [];
      await failsThenPlays(page, url, code, more, rules);
    });
  }

  test('a refused connection: NETWORK_FAILED', async () => {
    const page = await stage.open();
    const probe = createServer();
    const port = await new Promise((resolve) => { probe.listen(0, '127.0.0.1', () => resolve(probe.address().port)); });
    await new Promise((resolve) => { probe.close(resolve); });
    await failsThenPlays(page, `http://127.0.0.1:${port}/master.m3u8`, 'NETWORK_FAILED', { recovery: /^2 attempts/ });
  });

  test('a manifest that fails twice is tried again and plays', async () => {
    const page = await stage.open();
    stage.server.rules.push({ match: good, status: 503, times: 2 });
    await page.load(good);
    await page.plays(0.3);
    assert.equal(stage.requests(/index\.m3u8/).length, 3);
    assert.deepEqual(await page.events('error'), []);
    await page.isClean();
  });

  test('segments that fail once are fetched again, those that break off from there on', async () => {
    const page = await stage.open();
    stage.server.rules.push({ match: '00000.ts', status: 500, times: 1 }, { match: '00001.ts', reset: 40_000, times: 1 }, { match: '00002.ts', delay: Infinity, times: 1 },
      { match: '00003.ts', stall: 40_000, times: 1 });
    await page.load(good, {}, impatient);
    await page.until(() => { const { buffered } = window.page.video; return buffered.length === 1 && buffered.end(0) >= 16; }, { timeoutMs: 30_000, what: '16 s without a hole' });
    assert.deepEqual((await page.events('error')).filter(({ detail }) => detail.severity === 'fatal'), []);
    const asked = ['00000', '00001', '00002', '00003'].map((name) => stage.requests(new RegExp(`${name}\\.ts`)));
    assert.deepEqual(asked.map(({ length }) => length), [2, 2, 2, 2]);
    // What has come of the last one is not fetched again.
    assert.deepEqual(asked[3].map(({ range }) => range), [undefined, 'bytes=40000-']);
    await page.isClean();
  });

  for (const [what, rule] of [['is missing', { status: 404 }], ['is corrupt', { corrupt: [0, 1e9] }], ['is cut short', { truncate: 20_000 }]]) {
    test(`one segment that ${what} is passed over, and playback goes on behind it`, async () => {
      const page = await stage.open();
      stage.server.rules.push({ match: '00001.ts', ...rule });
      await page.load(good, {}, brief);
      await page.run(() => { window.page.video.playbackRate = 4; });
      await page.until(() => window.page.video.currentTime > 9, { timeoutMs: 40_000, what: 'a position behind the hole' });
      const { error } = await page.state();
      assert.equal(error, null, error?.message);
      await page.isClean();
    });
  }

  test('a rung whose segments are all missing is left to another one', async () => {
    const page = await stage.open();
    await page.load('/samples/dash-number/manifest.mpd', {}, { ...brief, capToElement: false });
    const top = await page.run(() => window.page.player.qualities.at(-1).id);
    await page.plays(0.3);
    await page.run((id) => window.page.player.selectQuality(id), top);
    await page.until((id) => window.page.player.quality?.id === id, { args: [top], what: 'the top rung' });
    stage.server.rules.push({ match: `dash-number/${top}/0`, status: 404 });
    await page.run(() => { window.page.video.currentTime = 45; });
    await page.until(() => window.page.video.currentTime > 45.3, { timeoutMs: 40_000, what: 'playback at the target' });
    const { error, width } = await page.state();
    assert.equal(error, null, error?.message);
    assert.ok(width > 0 && width < 1280, `${width}`);
    assert.ok((await page.events('qualitychange')).some(({ detail }) => detail.reason === 'failure' && detail.from === top));
    assert.ok((await page.events('error')).every(({ detail }) => detail.severity === 'recoverable' && detail.status === 404));
    await page.isClean();
  });

  test('sound that is refused in spite of its type is left out, and a play() in that moment counts', async () => {
    // Channels told by a program_config_element: Chromium takes the type and refuses the first append.
    const household = new Household();
    after(() => household.end());
    await run(tool('ffmpeg'), ['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=25', '-f', 'lavfi', '-i', 'anoisesrc=r=48000,aformat=channel_layouts=5.1(side)', '-t', '6',
      '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-c:a', 'aac', '-movflags', '+faststart', `${household.folder}/side.mp4`]);
    const page = await stage.open();
    stage.server.mounts['/made'] = household.folder;
    const error = await page.run(async (url) => {
      const { page: stand } = window;
      await stand.open();
      stand.video.addEventListener('error', () => stand.video.play().catch(() => {}));
      return stand.player.load(url).then(() => { if (!stand.video.error) stand.video.play().catch(() => {}); return null; }, ({ message }) => message);
    }, '/made/side.mp4');
    assert.equal(error, null);
    // The element is in error until the source is set up anew, which may come after load() has resolved.
    if (engine === 'chromium') await page.until(() => window.page.record.events.some(({ detail }) => detail?.code === 'CODEC_UNSUPPORTED') && !window.page.video.error, { what: 'the source without the sound' });
    await page.plays(2);
    const told = (await page.events('error')).map(({ detail }) => `${detail.severity} ${detail.code}`);
    // Where the element's word comes before the buffer's, it does not say which of them it was: that is found out by another attempt.
    assert.deepEqual(told.filter((error) => error !== 'recoverable MEDIA_DECODE'), engine === 'chromium' ? ['recoverable CODEC_UNSUPPORTED'] : []);
    assert.ok(told.length <= 3, told.join());
    await page.isClean();
  });

  test('a trap in the module is told with its place, and another URL plays', async () => {
    const page = await stage.open();
    const told = await page.run(async (url) => {
      // (func (export "t") unreachable): what every call into the engine does once it is armed.
      const trap = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array([
        0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 116, 0, 0, 10, 5, 1, 3, 0, 0, 11]))).exports.t;
      let armed = false;
      const { instantiate } = WebAssembly;
      WebAssembly.instantiate = async (...args) => {
        const { exports } = await instantiate.apply(WebAssembly, args);
        return { exports: Object.fromEntries(Object.entries(exports).map(([name, value]) => [name, typeof value === 'function'
          ? (...values) => { if (armed) { armed = false; trap(); } return value(...values); } : value])) };
      };
      const { Player } = await import('/dist/index.js');
      const player = window.trapped = new Player(window.page.video, { worker: false });
      const errors = [];
      player.addEventListener('error', ({ detail }) => errors.push([detail.severity, detail.code, detail.message]));
      await player.load(url);
      armed = true;
      player.goLive();
      const during = [...errors];
      await player.load(url);
      await window.page.video.play();
      return { during, after: errors.length };
    }, good);
    assert.deepEqual(told.during.map(([severity, code]) => [severity, code]), [['fatal', 'INTERNAL']]);
    assert.match(told.during[0][2], /RuntimeError: .* < wasm-function\[0\]/);
    assert.equal(told.after, 1);
    await page.until(() => window.page.video.currentTime > 0.3 && window.page.video.videoWidth > 0, { what: 'the next load plays' });
    await page.run(() => window.trapped.destroy());
    await page.isClean();
  });

  test('an option that does not exist, or has a bad value, throws CONFIG_INVALID', async () => {
    const page = await stage.open();
    await page.load(good);
    const codes = await page.run(() => {
      const { Player } = window.page.module;
      const thrown = (make) => { try { make(); return null; } catch (error) { return [error.name, error.code, error.message]; } };
      return [thrown(() => new Player({ bufferAheda: 3 })), thrown(() => new Player({ bufferAhead: -1 })), thrown(() => new Player({ language: 5 })), thrown(() => new Player({ abr: 'best' })),
        thrown(() => new Player({ maxGap: '2' })), thrown(() => new Player({ maxAttempts: 0 })), thrown(() => new Player({ bufferAhed: 3 })),
        thrown(() => window.page.player.configure({ nonsense: true })), thrown(() => window.page.player.selectQuality('none such'))];
    });
    for (const [index, word] of ['bufferAheda', 'bufferAhead', 'language', 'abr', 'maxGap', 'maxAttempts', 'bufferAhed', 'nonsense', 'none such'].entries()) {
      assert.deepEqual(codes[index].slice(0, 2), ['PlayerError', 'CONFIG_INVALID']);
      assert.ok(codes[index][2].includes(word), codes[index][2]);
    }
    await page.plays(0.2);
    await page.isClean();
  });
});
