// What an end-to-end test stands on: a server, one engine, and a page with a player on it.
//
//     const stage = useStage();
//     test('…', async () => {
//       const page = await stage.open();
//       await page.load('/samples/hls-ts/master.m3u8');
//       await page.plays(2);
//     });
//
// The engine is the one that MILLRACE_BROWSER names (chromium when unset). Run one file by hand with
//     MILLRACE_BROWSER=firefox node --test tests/browser/samples.test.mjs
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import path from 'node:path';
import { launch } from '../../../www/tools/browsers.mjs';
import { readFrame, strip } from '../../../www/tools/frame-strip.mjs';
import { openPlayerPage, playerPages } from '../../../www/tools/player-page.mjs';
import { samplesDir } from '../../../www/tools/samples.mjs';
import { startServer } from '../../../www/tools/server.mjs';
import { root } from '../../../www/tools/steps.mjs';

export const engine = process.env.MILLRACE_BROWSER ?? 'chromium';

/** A page with a player, seen from the test. */
export class Page {
  constructor(browser) { this.browser = browser; }

  run(script, ...args) { return this.browser.run(script, ...args); }
  until(script, options) { return this.browser.until(script, options); }

  /** Loads a URL and presses play; resolves to null, or to the fields of the error that load() rejected with. */
  tryLoad(url, options = {}, config = undefined) { return this.run((...args) => window.page.load(...args), url, options, config ?? null); }

  /** The same where it has to succeed. */
  async load(url, options, config) {
    const error = await this.tryLoad(url, options, config);
    assert.equal(error, null, `load() failed: ${error?.code}: ${error?.message}`);
  }

  state() { return this.run(() => window.page.state()); }

  /** The recorded events of the player, all or those of one name: [{name, at, position, detail}]. */
  events(name) { return this.run((only) => window.page.record.events.filter((event) => !only || event.name === only), name ?? null); }

  /** Waits until that event has come (`count` times) and resolves to the last one. */
  event(name, { count = 1, timeoutMs = 20_000 } = {}) {
    return this.until((only, wanted) => {
      const found = window.page.record.events.filter((event) => event.name === only);
      return found.length >= wanted && found.at(-1);
    }, { args: [name, count], timeoutMs, what: `event ${name}` });
  }

  /** Waits until the playhead has really moved on by so many seconds and, with a picture, frames were decoded meanwhile. */
  async plays(length, { timeoutMs = 30_000 } = {}) {
    const before = await this.state();
    const end = performance.now() + timeoutMs;
    for (;;) {
      const now = await this.state();
      assert.equal(now.error, null, `the player reported ${now.error?.code}: ${now.error?.message}`);
      assert.equal(now.mediaError, null);
      if (now.played - before.played >= length || now.ended) {
        if (now.width > 0) assert.ok(now.frames > before.frames, `time moved, but no frame was decoded: ${JSON.stringify(now)}`);
        return now;
      }
      assert.ok(performance.now() < end, `did not play ${length} s within ${timeoutMs / 1000} s: ${JSON.stringify(now)}`);
      await new Promise((resolve) => { setTimeout(resolve, 100); });
    }
  }

  /** Seeks and waits for the picture; resolves to milliseconds. */
  async seek(to, timeoutMs = 20_000) {
    const ms = await this.run((...args) => window.page.seek(...args), to, timeoutMs);
    // Where WebKitGTK's source is set up anew (another codec), its frame callback is lost: the place tells, and the picture is read by itself.
    const there = async () => { const { time, seeking, readyState } = await this.state(); return !seeking && readyState >= 3 && Math.abs(time - to) < 0.1; };
    if (ms === null && engine === 'webkit' && await there()) return timeoutMs;
    if (ms === null) assert.fail(`the seek to ${to} s was not done: ${JSON.stringify(await this.state())}`);
    return ms;
  }

  /** The number of the frame on the screen, read from the picture itself; -1: no sample's picture. */
  frame() { return this.run((source, layout) => new Function(`return ${source}`)()(window.page.video, layout), String(readFrame), strip); }

  /** Pauses, seeks, and asserts that the picture really shown is the one that belongs to that time in this sample. */
  async showsFrameAt(time, sample) {
    await this.run(() => window.page.video.pause());
    await this.seek(time);
    const expected = sample.frameAtZero + Math.floor(time * sample.fps + 1e-6);
    // The engines hand a frame to the canvas a little after they report it; on a busy machine, later.
    let shown;
    const end = performance.now() + 5_000;
    for (let attempt = 0; attempt < 20 || performance.now() < end; attempt++) {
      shown = await this.frame();
      if (Math.abs(shown - expected) <= 1) return;
      // WebKitGTK 2.50 at times draws nothing where the size has just changed, until the next picture.
      if (engine === 'webkit' && shown < 0 && attempt === 10) await this.seek(time);
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
    assert.fail(`at ${time} s frame ${expected} belongs on the screen, and ${shown} is there: ${JSON.stringify(await this.state())}`);
  }

  /** Where the last range ends that is buffered; 0 where nothing is. */
  async bufferedEnd() { return (await this.state()).buffered.at(-1)?.[1] ?? 0; }

  /** Starts to note every picture presented as [mediaTime, number in the picture, width]; the function that comes back resolves to the list, once it has so many. */
  async watchFrames() {
    await this.run((source, layout) => {
      const { video } = window.page;
      const read = new Function(`return ${source}`)();
      const list = window.watched = [];
      const next = () => video.requestVideoFrameCallback((_, { mediaTime, width }) => { list.push([mediaTime, read(video, layout), width]); next(); });
      next();
    }, String(readFrame), strip);
    return async ({ atLeast = 1 } = {}) => {
      await this.until((wanted) => window.watched.length >= wanted, { args: [atLeast], what: `${atLeast} pictures` });
      const frames = await this.run(() => window.watched);
      // On a busy machine Firefox 153 tells of a picture, now and then, the time of a later one: with the next it goes back.
      const wrong = engine === 'firefox' ? frames.filter(([time], index) => frames[index + 1]?.[0] < time) : [];
      assert.ok(wrong.length <= frames.length / 20, `time went back after ${wrong.length} of ${frames.length} pictures: ${JSON.stringify(wrong)}`);
      return frames.filter((frame) => !wrong.includes(frame));
    };
  }

  /** Asserts that nothing went wrong on the page: uncaught errors, unhandled rejections, console.error. */
  async isClean() {
    const { problems } = await this.state();
    assert.deepEqual(problems, []);
  }
}

/** Registers hooks that start a server and an engine before the tests of this file and end them after. Options go to startServer. */
export function useStage(options = {}) {
  const stage = { server: undefined, browser: undefined };
  before(async () => {
    stage.server = await startServer({ mounts: { '/dist': path.join(root, 'dist'), '/samples': samplesDir }, ...options, pages: { ...playerPages(), ...options.pages } });
    stage.browser = await launch(engine);
  });
  after(async () => {
    await stage.browser?.quit();
    await stage.server?.close();
  });
  return Object.assign(stage, {
    /** The requests whose path matches, as the server saw them since the page was opened. */
    requests: (pattern) => stage.server.log.filter(({ path: asked }) => pattern.test(asked)),
    /** Waits until `check` gives something truthy and resolves to that. */
    async eventually(check, what, timeoutMs = 20_000) {
      for (const end = performance.now() + timeoutMs; ;) {
        const value = await check();
        if (value) return value;
        if (performance.now() > end) assert.fail(`not within ${timeoutMs / 1000} s: ${what}`);
        await new Promise((resolve) => { setTimeout(resolve, 50); });
      }
    },
    /** A newly loaded page; rules of earlier tests are gone. `origin` picks another name of the same server. */
    async open({ entry, origin = stage.server.url } = {}) {
      stage.server.rules.length = 0;
      // One test that hangs its browser must not take the others with it.
      if (stage.browser.hung) {
        await stage.browser.quit();
        stage.browser = await launch(engine);
      }
      await openPlayerPage(stage.browser, origin, { entry });
      // What the page before asked for to the last is not of this one.
      stage.server.log.length = 0;
      return new Page(stage.browser);
    },
  });
}
