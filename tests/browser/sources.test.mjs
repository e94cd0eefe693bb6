// Several sources: the first that can be played is taken; the error at the end says why each was passed over.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { engine, useStage } from './support/stage.mjs';

const good = '/samples/hls-ts/240p/index.m3u8';
const brief = { maxAttempts: 1 };
const wrongCodec = { src: '/never-asked-for.mp4', type: 'video/mp4; codecs="wxyz.1"' };

const element = (children) => ({ body: `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
  <millrace-player muted playsinline autoplay>${children}</millrace-player>
  <script type="module">
    const player = document.querySelector('millrace-player');
    window.told = [];
    for (const name of ['sourcechange', 'error', 'loaded']) player.addEventListener(name, ({ detail }) => window.told.push([name, detail.code ?? detail.error?.code ?? null]));
    await import('/dist/element.js');
    window.pageReady = true;
  </script>` });
const pages = {
  '/picture.png': { type: 'image/png', body: '\u0089PNG\r\n\u001a\n and so on' },
  '/element.html': element(`<source src="/nothing.mpd"><source src="/never-asked-for.mp4" type='video/mp4; codecs="wxyz.1"'><p>Text</p><source src="${good}" type="application/vnd.apple.mpegurl">`),
  '/element-none.html': element('<source src="/nothing.mpd"><source src="/picture.png">'),
};

describe(`sources in ${engine}`, () => {
  const stage = useStage({ pages });

  test('the first that can be played is taken, and the events say why the others were not', async () => {
    const page = await stage.open();
    await page.load(['/nothing.mpd', '/picture.png', 'rtmp://example.org/live', wrongCodec, good, '/not-needed.m3u8'], {}, brief);
    await page.plays(1);
    const passed = await page.events('sourcechange');
    assert.deepEqual(passed.map(({ detail }) => detail.error.code), ['HTTP_CLIENT_ERROR', 'FORMAT_UNKNOWN', 'URL_SCHEME', 'CODEC_UNSUPPORTED']);
    assert.deepEqual(passed.map(({ detail }) => new URL(detail.to, stage.server.url).pathname).at(-1), good);
    assert.deepEqual(await page.events('error'), []);
    assert.equal(await page.run(() => window.page.player.url), `${stage.server.url}${good}`);
    assert.equal(stage.requests(/never-asked-for|not-needed/).length, 0);
    await page.isClean();
  });

  test('media that fails before its first frame is passed over too, after load() has resolved', async () => {
    const page = await stage.open();
    stage.server.rules.push({ match: '360p', status: 404 });
    const error = await page.tryLoad(['/samples/hls-ts/360p/index.m3u8', good], {}, brief);
    assert.equal(error, null);
    stage.server.rules.length = 0;
    const second = await stage.open();
    stage.server.rules.push({ match: /360p\/.*ts$/, status: 404 });
    await second.load(['/samples/hls-ts/360p/index.m3u8', good], {}, brief);
    await second.plays(1);
    assert.deepEqual((await second.events('sourcechange')).map(({ detail }) => detail.error.code), ['HTTP_CLIENT_ERROR']);
    assert.deepEqual((await second.events('error')).filter(({ detail }) => detail.severity === 'fatal'), []);
  });

  test('where none can be played the error has the reasons in order', async () => {
    const page = await stage.open();
    const error = await page.tryLoad(['/nothing.mpd', wrongCodec, '/picture.png'], {}, brief);
    assert.equal(error.code, 'NO_SOURCE');
    assert.deepEqual(error.causes.map(({ code, url }) => [code, new URL(url).pathname]),
      [['HTTP_CLIENT_ERROR', '/nothing.mpd'], ['CODEC_UNSUPPORTED', '/never-asked-for.mp4'], ['FORMAT_UNKNOWN', '/picture.png']]);
    assert.match(error.recovery, /nothing\.mpd: HTTP_CLIENT_ERROR, .*picture\.png: FORMAT_UNKNOWN$/);
    const fatal = (await page.events('error')).filter(({ detail }) => detail.severity === 'fatal');
    assert.deepEqual(fatal.map(({ detail }) => detail), [error]);
    assert.equal((await page.tryLoad([])).code, 'NO_SOURCE');
    await page.run(() => { window.page.record.events.length = 0; });
    await page.load(good);
    await page.plays(0.3);
    await page.isClean();
  });

  test('what ends a load at the user\'s wish ends the whole of it', async () => {
    const page = await stage.open();
    stage.server.rules.push({ match: 'slow', delay: Infinity });
    const codes = await page.run(async (url) => {
      await window.page.open({});
      const { player } = window.page;
      const code = (promise) => promise.then(() => 'none', (error) => error.code);
      const controller = new AbortController();
      const aborted = code(player.load(['/slow.mpd', url], { signal: controller.signal }));
      controller.abort();
      const replaced = code(player.load(['/slow.mpd', url]));
      const listened = new Promise((resolve) => { player.addEventListener('sourcechange', () => resolve(player.detach()), { once: true }); });
      const detached = code(player.load(['/nothing.mpd', url]));
      await listened;
      const codes = [await aborted, await replaced, await detached];
      const last = code(player.load(['/slow.mpd', url]));
      await player.destroy();
      return [...codes, await last];
    }, good);
    assert.deepEqual(codes, ['LOAD_ABORTED', 'LOAD_ABORTED', 'LOAD_ABORTED', 'LOAD_ABORTED']);
    assert.equal(stage.requests(/index\.m3u8/).length, 0);
    await page.isClean();
  });

  test('<source> children of <millrace-player>', async () => {
    await stage.open();
    const { browser, server } = stage;
    await browser.goto(`${server.url}/element.html`);
    await browser.until(() => window.pageReady && document.querySelector('millrace-player').currentTime > 1, { what: 'the element plays', timeoutMs: 20_000 });
    assert.deepEqual(await browser.run(() => window.told), [['sourcechange', 'HTTP_CLIENT_ERROR'], ['sourcechange', 'CODEC_UNSUPPORTED'], ['loaded', null]]);
    assert.equal(await browser.run(() => new URL(document.querySelector('millrace-player').currentSrc).pathname), good);
    await browser.goto(`${server.url}/element-none.html`);
    await browser.until(() => window.pageReady && document.querySelector('millrace-player').error, { what: 'an error', timeoutMs: 20_000 });
    assert.deepEqual(await browser.run(() => { const { error } = document.querySelector('millrace-player'); return [error.code, error.cause.code, error.cause.causes.length]; }), [4, 'NO_SOURCE', 2]);
    // Later ones count while there is nothing to play.
    await browser.run((src) => {
      const old = document.querySelector('millrace-player');
      const fresh = document.createElement('millrace-player');
      fresh.muted = true;
      fresh.autoplay = true;
      old.replaceWith(fresh);
      const source = document.createElement('source');
      source.setAttribute('src', src);
      setTimeout(() => fresh.append(source), 50);
    }, good);
    await browser.until(() => document.querySelector('millrace-player').currentTime > 0.5, { what: 'the late source plays', timeoutMs: 20_000 });
  });
});
