// Beginnings and ends: load() during load(), destroy() at any moment, several players, the element, a strict CSP; nothing is left behind.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { engine, useStage } from './support/stage.mjs';

const elementPage = `<!doctype html><meta charset="utf-8"><title>element</title><link rel="icon" href="data:,">
<script type="module" src="/element.js"></script>
<millrace-player src="/samples/hls-ts/240p/index.m3u8" muted controls style="width:320px"></millrace-player>`;
const elementScript = `
window.problems = [];
window.events = [];
addEventListener('error', (event) => problems.push(event.message ?? event.type));
addEventListener('unhandledrejection', (event) => problems.push(String(event.reason)));
addEventListener('securitypolicyviolation', (event) => problems.push(event.violatedDirective + ' ' + event.blockedURI));
const { Player } = await import('/dist/element.js');
window.isDefined = Boolean(Player && customElements.get('millrace-player'));
window.element = document.querySelector('millrace-player');
for (const name of ['loaded', 'tracks', 'error', 'play', 'playing', 'timeupdate', 'seeked', 'loadedmetadata', 'emptied']) element.addEventListener(name, () => events.push(name));
`;
const playlist = '/samples/hls-ts/240p/index.m3u8';
const numbers = '/samples/dash-number/manifest.mpd';

describe(`lifecycle in ${engine}`, () => {
  const stage = useStage({
    pages: { '/element.html': { body: elementPage }, '/element.js': { type: 'text/javascript', body: elementScript } },
    csp: "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; media-src blob:; connect-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:",
  });

  /** How many workers, object URLs and open requests there are. */
  const counting = (page) => page.run(() => {
    window.urls = new Set();
    const { createObjectURL, revokeObjectURL } = URL;
    URL.createObjectURL = (of) => { const url = createObjectURL.call(URL, of); window.urls.add(url); return url; };
    URL.revokeObjectURL = (url) => { window.urls.delete(url); revokeObjectURL.call(URL, url); };
    window.workers = 0;
    const { Worker } = window;
    window.Worker = class extends Worker {
      #alive = true;
      constructor(...args) { super(...args); window.workers++; }
      terminate() { if (this.#alive) window.workers--; this.#alive = false; super.terminate(); }
    };
  });
  async function nothingIsLeft(page) {
    await page.until(() => window.urls.size === 0 && window.workers === 0, { what: 'no object URL and no worker' });
    await stage.eventually(() => stage.server.log.every(({ ms }) => ms !== undefined), 'no request is open');
    const asked = stage.server.log.length;
    await new Promise((resolve) => { setTimeout(resolve, 400); });
    assert.equal(stage.server.log.length, asked, 'no request comes after the end');
    if (engine === 'chromium') {
      await stage.eventually(async () => !(await stage.browser.cdp('Target.getTargets', { filter: [{ type: 'worker' }, { exclude: true }] })).targetInfos.length, 'no worker runs');
    }
    assert.deepEqual(await page.run(() => [window.page.video.getAttribute('src'), window.page.video.srcObject]), [null, null]);
    await page.isClean();
  }

  test('destroy() while it plays leaves nothing', async () => {
    const page = await stage.open();
    await counting(page);
    await page.load(numbers);
    await page.plays(0.5);
    await page.run(() => window.page.player.destroy());
    await nothingIsLeft(page);
    const rejected = await page.run(() => window.page.player.load('/samples/hls-ts/master.m3u8').then(() => null, ({ code }) => code));
    assert.equal(rejected, 'LOAD_ABORTED');
  });

  test('while it plays the page is asked for little: bodies come into one space, numbers are made for those who look', async () => {
    const page = await stage.open();
    await page.run(() => {
      window.asked = { buffers: 0, frames: 0 };
      const watch = (of, name, count) => {
        const { [name]: was } = of;
        of[name] = function (...args) { window.asked[count]++; return was.apply(this, args); };
      };
      watch(ReadableStreamDefaultReader.prototype, 'read', 'buffers');
      watch(HTMLVideoElement.prototype, 'getVideoPlaybackQuality', 'frames');
    });
    await page.load(numbers, {}, { worker: false });
    await page.until(() => window.page.video.currentTime > 3, { what: 'three seconds' });
    const { buffers, frames } = await page.run(() => window.asked);
    // Where bodies are streams of bytes.
    if (await page.run(() => { try { return !!new Response('x').body.getReader({ mode: 'byob' }); } catch { return false; } })) assert.equal(buffers, 0);
    assert.equal(frames, 0, 'nobody listens for stats');
    const stats = await page.run(() => new Promise((resolve) => {
      window.page.player.addEventListener('stats', (event) => resolve({ ...event.detail, same: event.detail === event.detail, frames: window.asked.frames }), { once: true });
    }));
    assert.ok(stats.position > 3 && stats.buffer > 0 && stats.totalFrames >= 0, JSON.stringify(stats));
    assert.deepEqual([stats.same, stats.frames], [true, 1]);
    await page.isClean();
  });

  test('destroy() at any moment: at once, a little later, during a load that is stuck, twice', async () => {
    const page = await stage.open();
    await counting(page);
    stage.server.rules.push({ match: 'dash-list/manifest.mpd', stall: 500 });
    const outcomes = await page.run(async (url) => {
      const { Player } = (await import('/dist/index.js'));
      window.page.module = { Player };
      const results = [];
      for (const wait of [0, 1, 5, 20, 50, 100, 200, 400]) {
        const player = new Player(window.page.video);
        const loading = player.load(url);
        if (wait) await new Promise((resolve) => { setTimeout(resolve, wait); });
        await Promise.all([player.destroy(), player.destroy()]);
        results.push(await loading.then(() => 'loaded', ({ code }) => code));
      }
      const idle = new Player();
      await idle.destroy();
      const stuck = new Player(window.page.video);
      const loading = stuck.load('/samples/dash-list/manifest.mpd');
      await new Promise((resolve) => { setTimeout(resolve, 300); });
      await stuck.destroy();
      results.push(await loading.then(() => 'loaded', ({ code }) => code));
      return results;
    }, numbers);
    assert.equal(outcomes.at(-1), 'LOAD_ABORTED');
    assert.ok(outcomes.every((one) => one === 'loaded' || one === 'LOAD_ABORTED'), outcomes.join(' '));
    await nothingIsLeft(page);
  });

  test('load() during load(): the last one plays, the others end with LOAD_ABORTED and no error event', async () => {
    const page = await stage.open();
    stage.server.rules.push({ match: 'dash-list/manifest.mpd', delay: Infinity });
    await page.load(playlist);
    await page.plays(0.3);
    const outcomes = await page.run(async (last) => {
      const { player } = window.page;
      const all = ['/samples/dash-list/manifest.mpd', '/samples/hls-fmp4/master.m3u8', '/samples/dash-list/manifest.mpd', last]
        .map((url) => player.load(url).then(() => 'loaded', ({ code }) => code));
      return Promise.all(all);
    }, numbers);
    assert.deepEqual(outcomes, ['LOAD_ABORTED', 'LOAD_ABORTED', 'LOAD_ABORTED', 'loaded']);
    await page.run(() => window.page.video.play());
    await page.until(() => window.page.video.videoWidth > 0 && window.page.video.currentTime > 0.3 && window.page.player.qualities.length === 4, { what: 'the last one plays' });
    assert.equal((await page.events('loaded')).at(-1).detail.protocol, 'dash');
    assert.deepEqual(await page.events('error'), []);
    await page.isClean();
  });

  test('a signal ends a load; a bare detach() gives the element back, and attach() takes another', async () => {
    const page = await stage.open();
    await counting(page);
    stage.server.rules.push({ match: 'dash-list/manifest.mpd', delay: Infinity });
    await page.load(playlist);
    const code = await page.run(async () => {
      const stop = new AbortController();
      const loading = window.page.player.load('/samples/dash-list/manifest.mpd', { signal: stop.signal }).then(() => null, (error) => error.code);
      setTimeout(() => stop.abort(), 100);
      return loading;
    });
    assert.equal(code, 'LOAD_ABORTED');
    await page.load(playlist);
    await page.plays(0.4);
    const at = (await page.state()).time;
    await page.run(() => {
      const second = document.createElement('video');
      second.muted = true;
      document.body.append(second);
      window.second = second;
      window.page.player.attach(second);
      return second.play().catch(() => {});
    });
    await page.until((from) => window.second.currentTime > from && window.second.videoWidth > 0, { args: [at], what: 'playback goes on in the other element' });
    assert.deepEqual(await page.run(() => [window.page.video.getAttribute('src'), window.page.video.srcObject]), [null, null]);
    await page.run(() => { window.page.player.detach(); return window.page.player.destroy(); });
    await nothingIsLeft(page);
  });

  test('attach() during a load goes on with it, and after it with what was chosen', async () => {
    const page = await stage.open();
    const master = '/samples/hls-fmp4/master.m3u8';
    stage.server.rules.push({ match: 'master.m3u8', delay: 500, times: 1 });
    const code = await page.run(async (url) => {
      await window.page.open();
      const loading = window.page.player.load(url).then(() => 'loaded', (error) => error.code);
      const second = Object.assign(document.createElement('video'), { muted: true });
      document.body.append(second);
      window.page.player.attach(second);
      return loading;
    }, master);
    assert.equal(code, 'loaded');
    await page.run(() => {
      const { player, video } = window.page;
      player.selectQuality(player.qualities[0].id);
      player.attach(video);
      return video.play().catch(() => {});
    });
    await page.plays(0.4);
    assert.deepEqual(await page.run(() => { const { player } = window.page; return [player.auto, player.quality.id === player.qualities[0].id]; }), [false, true]);
    assert.deepEqual(await page.events('error'), []);
    await page.isClean();
  });

  test('what is done to the element before its source comes counts, and what it does is its own after load() within an event', async () => {
    const page = await stage.open();
    await counting(page);
    // The rate survives the source, and a second load() at once leaves nothing of the first.
    await page.run(async (first, second) => {
      await window.page.open();
      void window.page.player.load(first);
      const loading = window.page.player.load(second);
      window.page.video.playbackRate = 1.5;
      return loading;
    }, playlist, playlist);
    await page.run(() => window.page.video.play().catch(() => {}));
    await page.plays(0.4);
    assert.equal(await page.run(() => window.page.video.playbackRate), 1.5);
    // Each load is told of its own events alone, also where it began within one.
    const loaded = await page.run(async (first, second) => {
      const { player } = window.page;
      const told = [];
      player.addEventListener('loaded', ({ detail }) => told.push(detail.protocol));
      const next = new Promise((resolve) => {
        player.addEventListener('tracks', () => resolve(player.load(second).then(() => [...told])), { once: true });
      });
      await player.load(first).catch(() => {});
      return next;
    }, numbers, playlist);
    assert.deepEqual(loaded, ['hls']);
    await page.run(() => { window.page.player.detach(); return window.page.player.destroy(); });
    await nothingIsLeft(page);
  });

  test('numbers without events; the least quality for a page that nobody sees, unless its picture is seen by itself', async () => {
    const page = await stage.open();
    const supported = await page.run(() => {
      window.seen = { hidden: false, by: null };
      Object.defineProperty(document, 'hidden', { get: () => window.seen.hidden });
      const known = 'pictureInPictureElement' in document;
      if (known) Object.defineProperty(document, 'pictureInPictureElement', { get: () => window.seen.by });
      return known;
    });
    await page.load('/samples/hls-fmp4/master.m3u8', {}, { statsInterval: 0, bufferAhead: 8 });
    await page.run(() => { window.told = 0; window.page.player.addEventListener('stats', () => window.told++); });
    await page.plays(0.4);
    await page.until(() => window.page.player.stats().bytes > 0, { what: 'numbers' });
    assert.equal(await page.run(() => window.told), 0);
    const hide = (by, at) => page.run((inPicture, to) => {
      window.seen = { hidden: true, by: inPicture ? window.page.video : null };
      document.dispatchEvent(new Event('visibilitychange'));
      // What is there is fetched now.
      window.page.video.currentTime = to;
    }, by, at);
    const reasons = async () => (await page.events('qualitychange')).map(({ detail }) => detail.reason);
    await hide(true, 20);
    await page.plays(0.4);
    assert.ok(!(await reasons()).includes('hidden'));
    await hide(false, 40);
    await page.plays(0.4);
    assert.equal((await reasons()).includes('hidden'), supported);
    await page.isClean();
  });

  test('four players on a page play side by side', async () => {
    const page = await stage.open();
    await counting(page);
    await page.run(async (urls) => {
      const { Player } = await import('/dist/index.js');
      window.players = await Promise.all(urls.map(async (url) => {
        const video = Object.assign(document.createElement('video'), { muted: true });
        video.style.cssText = 'width:200px;height:112px';
        document.body.append(video);
        const player = new Player(video);
        await player.load(url);
        video.play().catch(() => {});
        return player;
      }));
    }, [playlist, numbers, '/samples/hls-fmp4/master.m3u8', '/samples/dash-sidx/manifest.mpd']);
    await page.until(() => window.players.every(({ element }) => element.currentTime > 1 && element.videoWidth > 0), { timeoutMs: 40_000, what: 'all four play' });
    await page.run(() => Promise.all(window.players.map((player) => player.destroy())));
    await nothingIsLeft(page);
  });

  test('<millrace-player> plays its src, is a media element to others, follows a new src, and ends with its removal', async () => {
    await stage.open();
    const { browser } = stage;
    await browser.goto(`${stage.server.url}/element.html`);
    await browser.until(() => window.isDefined, { what: 'the element is defined' });
    await browser.run(() => { window.element.play().catch(() => {}); });
    const plays = (what) => browser.until(() => window.element.currentTime > 0.3 && !window.element.paused && window.element.readyState >= 2, { what });
    await plays('the element plays');
    const [duration, width, controls, muted, volume, buffered] = await browser.run(() => [element.duration, element.videoWidth, element.controls, element.muted, element.volume, element.buffered.length]);
    assert.ok(Math.abs(duration - 60) < 0.2, `${duration}`);
    assert.ok(width > 400);
    assert.deepEqual([controls, muted, volume, buffered], [true, true, 1, 1]);
    assert.equal(await browser.run(() => window.element.video.controls), true);
    await browser.run(() => { window.element.currentTime = 30; });
    await browser.until(() => window.element.currentTime > 30.2 && window.events.includes('seeked'), { what: 'a seek through the element' });
    for (const name of ['loaded', 'tracks', 'playing', 'timeupdate', 'loadedmetadata']) assert.ok(await browser.run((one) => window.events.includes(one), name), name);
    await browser.run((url) => { window.events.length = 0; window.element.src = url; }, numbers);
    await browser.until(() => window.events.includes('loaded') && window.element.player.qualities.length === 4, { what: 'the new src' });
    await browser.run(() => window.element.play().catch(() => {}));
    await plays('the new src plays');
    await browser.run(() => { window.element.src = '/samples/nothing.m3u8'; });
    await browser.until(() => window.element.error !== null && window.events.includes('error'), { what: 'an error' });
    assert.deepEqual(await browser.run(() => [window.element.error.code, window.element.error.cause.code]), [2, 'HTTP_CLIENT_ERROR']);
    // Its size by attributes, as of <video>.
    assert.deepEqual(await browser.run(() => { element.style.width = ''; element.width = 400; element.setAttribute('height', '240'); return [element.clientWidth, element.clientHeight, element.width]; }), [400, 240, 400]);
    // Moved, it lives on; removed, it ends.
    await browser.run((url) => { window.element.src = url; }, playlist);
    await browser.until(() => window.element.error === null && window.element.readyState >= 2, { what: 'the good src' });
    assert.equal(await browser.run(async () => { const { player } = window.element; document.body.prepend(window.element); await Promise.resolve(); return player === window.element.player; }), true);
    await browser.run(() => window.element.remove());
    assert.equal(await browser.run(() => window.element.player ?? null), null);
    await stage.eventually(() => stage.server.log.every(({ ms }) => ms !== undefined), 'no request is open');
    assert.deepEqual(await browser.run(() => window.problems), []);
  });
});
