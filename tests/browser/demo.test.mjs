// The demo page as a user sees it: samples, live, plots, menus, errors, at the width of a phone and of a desk.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { launch } from '../../www/tools/browsers.mjs';
import { liveSamples } from '../../www/tools/live-on-demand.mjs';
import { files } from '../../www/tools/sample-files.mjs';
import { makeSamples } from '../../www/tools/samples.mjs';
import { startServer } from '../../www/tools/server.mjs';
import { engine } from './support/stage.mjs';

const samples = await makeSamples();

/** Only Chromium's driver can make a window as narrow as a phone. */
const widths = engine === 'chromium' ? [['a desk', 1440, 900], ['a phone', 390, 844], ['a small phone', 360, 740]] : [['a desk', 1280, 900]];

describe(`the demo page in ${engine}`, () => {
  const live = liveSamples();
  let server;
  let browser;
  before(async () => {
    server = await startServer({ proxies: live.proxies, pages: live.pages });
    browser = await launch(engine);
  });
  after(async () => {
    await browser?.quit();
    await server?.close();
    await live.close();
  });
  beforeEach(() => { server.rules.length = 0; });

  const run = (script, ...args) => browser.run(script, ...args);
  const click = (selector) => run((where) => document.querySelector(where).click(), selector);
  const state = () => run(() => document.body.dataset.state);
  const becomes = async (wanted, timeoutMs = 20_000) => {
    try { await browser.until((name) => document.body.dataset.state === name, { args: [wanted], timeoutMs }); } catch {
      assert.fail(`the page is ${await state()}, not ${wanted}; its log: ${await run(() => document.querySelector('#log').innerText)}`);
    }
  };

  async function open(query = '') {
    await browser.goto(`${server.url}/${query}`);
    await run(() => {
      window.problems = [];
      addEventListener('error', (event) => window.problems.push(`error: ${event.message}`));
      addEventListener('unhandledrejection', (event) => window.problems.push(`unhandled rejection: ${event.reason}`));
      addEventListener('securitypolicyviolation', (event) => window.problems.push(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
      console.error = (...words) => window.problems.push(`console.error: ${words.join(' ')}`);
    });
    await browser.until((count) => document.querySelectorAll('#samples a').length === count, { args: [samples.length + files.length], what: 'the list of samples' });
  }

  async function isSound() {
    assert.deepEqual(await run(() => window.problems), []);
    const [over, who] = await run(() => {
      const { clientWidth, scrollWidth } = document.documentElement;
      // What scrolls by itself may be wider than the page.
      const wide = [...document.querySelectorAll('main *, header *')].filter((one) => one.getBoundingClientRect().right > clientWidth + 1 && !one.closest('.list, .mill, .race'));
      return [scrollWidth - clientWidth, wide.map(({ tagName, id, className }) => `${tagName} ${id} ${className}`)];
    });
    assert.deepEqual([over, who], [0, []], 'something is wider than the page');
  }

  const moves = async (length) => {
    const from = await run(() => document.querySelector('video').currentTime);
    await browser.until((past) => document.querySelector('video').currentTime > past, { args: [from + length], what: `${length} s played` });
  };

  /** A number for what the plots show. */
  const plotted = () => run(() => {
    const canvas = document.querySelector('#canvas');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let hash = 0;
    for (let i = 0; i < data.length; i += 4) hash = (Math.imul(hash, 31) + data[i] + data[i + 1] + data[i + 3]) | 0;
    return hash;
  });

  const resize = async (width, height) => {
    if (engine === 'chromium') await browser.cdp('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
  };

  for (const [name, width, height] of widths) {
    describe(`at the width of ${name}`, () => {
      before(() => resize(width, height));

      test('a sample plays, and plots, menus and log tell of it', async () => {
        await open();
        assert.equal(await state(), 'empty');
        await isSound();
        await click('#samples a[href*="hls-ts%2F"]');
        await becomes('playing');
        assert.match(await run(() => location.search), /url=samples%2Fhls-ts/);
        await run(() => document.querySelector('#chart').scrollIntoView());
        await moves(1);
        const before = await plotted();
        await moves(1.5);
        for (const end = performance.now() + 10_000; await plotted() === before;) assert.ok(performance.now() < end, 'the plots stand still');
        const menu = await run(() => [...document.querySelector('#quality').options].map(({ textContent }) => textContent));
        assert.equal(menu.length, 5);
        assert.match(menu[0], /^Auto · \d+p, [\d.]+ [kM]bit\/s$/);
        assert.match(menu[1], /^720p · 1280×720 · [\d.]+ Mbit\/s/);
        assert.match(await run(() => document.querySelector('#log').innerText), /Quality \d+p\s+start first choice of this load/);
        await isSound();
      });

      test('a refused manifest is told with code, URL and advice, and trying again plays', async () => {
        await open();
        server.rules.push({ match: 'hls-ts/master.m3u8', status: 404, times: 1 });
        await run(() => { document.querySelector('#url').value = 'samples/hls-ts/master.m3u8'; document.querySelector('#open').requestSubmit(); });
        await becomes('failed');
        const panel = await run(() => document.querySelector('#failure').innerText);
        for (const part of ['HTTP_CLIENT_ERROR', 'Check that the URL is right', `${server.url}/samples/hls-ts/master.m3u8`, '404', 'What to do', 'Tried', '1 attempt']) assert.ok(panel.includes(part), `${part} is missing in: ${panel}`);
        await isSound();
        await click('#failure .again');
        await becomes('playing');
        await moves(0.5);
        await isSound();
      });
    });
  }

  test('a link to a stream plays at once, and the quality can be fixed', async () => {
    await open('?url=samples/dash-timeline/manifest.mpd&type=dash');
    await becomes('playing');
    assert.equal(await run(() => document.querySelector('#type').value), 'dash');
    const id = await run(() => {
      const menu = document.querySelector('#quality');
    const now = /(\d+p)/.exec(menu.options[0].textContent)[1];
    menu.value = [...menu.options].find(({ value, textContent }) => value && !textContent.startsWith(now)).value;
    menu.dispatchEvent(new Event('change'));
    return menu.value;
    });
    await browser.until(() => /user chosen by hand/.test(document.querySelector('#log').innerText), { what: 'the reason "user" in the log' });
    assert.equal(await run(() => document.querySelector('#quality').value), id);
    await isSound();
  });

  test('a start on a page that has been open for long, and going on after a pause, are no standstill', async () => {
    await open();
    await new Promise((resolve) => { setTimeout(resolve, 2000); });
    await click('#samples a[href*="hls-ts%2F"]');
    await becomes('playing');
    await moves(1);
    await run(() => document.querySelector('video').pause());
    await becomes('paused');
    await new Promise((resolve) => { setTimeout(resolve, 2500); });
    await run(() => document.querySelector('video').play());
    await becomes('playing');
    await moves(1);
    assert.doesNotMatch(await run(() => document.querySelector('#log').innerText), /nudged/);
    await isSound();
  });

  test('keys: S shows the numbers, arrows step through the marks, and typing an s does neither', async () => {
    await open('?url=samples/hls-fmp4/master.m3u8');
    await becomes('playing');
    const press = (selector, key) => run((where, name) => { const target = document.querySelector(where); target.focus(); target.dispatchEvent(new KeyboardEvent('keydown', { key: name, bubbles: true })); }, selector, key);
    const shown = () => run(() => document.querySelector('#stats').getAttribute('aria-pressed'));
    await press('#url', 's');
    assert.equal(await shown(), 'false');
    await press('#chart', 's');
    await browser.until(() => document.querySelector('#stats').getAttribute('aria-pressed') === 'true', { what: 'the overlay' });
    await browser.until(() => /quality\d+×\d+.*estimate[\d.]+ [kM]bit\/s/.test(document.querySelector('#stage > div:last-child').shadowRoot.textContent), { what: 'numbers in the overlay' });
    await press('#chart', 'End');
    await press('#chart', 'Home');
    await browser.until(() => /Quality \d+p.*start: first choice/s.test(document.querySelector('#tip').textContent), { what: 'the reason of the first choice' });
    await isSound();
  });

  test('a log that was saved is drawn when it is opened, and what is none is told of', async () => {
    await open('?url=samples/hls-ts/master.m3u8');
    await becomes('playing');
    await moves(1);
    await run(() => {
      HTMLAnchorElement.prototype.click = function click() { window.saved = this; };
      document.querySelector('#save').click();
    });
    const savedAs = await browser.until(() => window.saved?.download, { what: 'a file to save' });
    assert.match(savedAs, /^millrace-[\dT-]+\.jsonl\.gz$/);
    // Without a text: what was saved.
    const openFile = (name, text) => run(async (as, given) => {
      const file = new File([given ?? await (await fetch(window.saved.href)).blob()], as);
      const transfer = new DataTransfer();
      transfer.items.add(file);
      const input = document.querySelector('#file');
      input.files = transfer.files;
      input.dispatchEvent(new Event('change'));
    }, name, text ?? null);
    const log = (pattern, what) => browser.until((source) => new RegExp(source).test(document.querySelector('#log').innerText), { args: [pattern.source], what });
    await openFile('saved.gz');
    await log(/The log ends\s+\d+ lines/, 'the end of the log');
    assert.equal(await state(), 'empty');
    const told = await run(() => document.querySelector('#log').innerText);
    for (const what of [/Quality \d+p\s+start first choice/, /HLS manifest read/, /Load\s+http/]) assert.match(told, what);
    assert.equal(await run(() => document.querySelector('#state').textContent), 'Log of master.m3u8');
    await run(() => document.querySelector('#chart').scrollIntoView());
    await browser.until(() => /estimate .*bit\/s.* marks/.test(document.querySelector('#canvas').textContent), { what: 'the plots of the log' });
    await openFile('cut.jsonl', '["millrace-log",1]\n[0,">load"');
    await log(/cut\.jsonl cannot be shown\s+Line 2: the log ends in the middle of a line/, 'a log that was cut short');
    await openFile('list.m3u8', '#EXTM3U');
    await log(/Line 1: this is no session log/, 'a file that is no log');
    await isSound();
  });

  test('live: latency against its target, places in the window, and faults at the press of a button', async () => {
    await open();
    await click('#live-samples a[href*="hls%2F"]');
    await becomes('playing');
    const part = (name) => run((which) => document.querySelector(`#live [data-part=${which}]`).textContent, name);
    const log = (pattern, what) => browser.until((source) => new RegExp(source).test(document.querySelector('#log').innerText), { args: [pattern.source], what });
    const edge = (is) => browser.until((wanted) => document.querySelector('#live').dataset.edge === String(wanted), { args: [is], what: is ? 'the edge' : 'a shifted playhead' });
    await log(/Live, [\d.]+ s behind/, 'the latency at the start in the log');
    await moves(1.5);
    for (const name of ['latency', 'target', 'buffer']) assert.match(await part(name), /^\d\.\d+ s$/, name);
    assert.match(await part('rate'), /^[01]\.\d\d×$/);
    for (const name of ['from', 'to', 'made']) assert.match(await part(name), /^\d\d:\d\d:\d\d$/, name);
    assert.ok(await run(() => document.querySelector('#chart').classList.contains('tall')), 'no lanes for latency and speed');
    for (const [, width, height] of widths) {
      await resize(width, height);
      await isSound();
    }
    await run(() => { const slider = document.querySelector('#live [role=slider]'); slider.dispatchEvent(new KeyboardEvent('keydown', { key: 'Home', bubbles: true })); });
    await edge(false);
    assert.match(await part('where'), /^0:\d\d behind the edge$/);
    await moves(0.5);
    await click('#live [data-part=go]');
    await edge(true);
    await moves(0.5);
    const orders = await run(() => [...document.querySelectorAll('#live .orders b')].map(({ textContent }) => textContent));
    assert.equal(orders.length, 8);
    await run(() => [...document.querySelectorAll('#live .orders button')].find(({ innerText }) => innerText.startsWith('Encoder stalls')).click());
    await log(/Fault: Encoder stalls/, 'the fault in the log');
    await log(/Goes on after [\d.]+ s/, 'the end of the stall that it causes');
    await moves(0.5);
    await isSound();
    // Leaving it ends the view.
    await click('#samples a[href*="hls-ts%2F"]');
    await becomes('playing');
    assert.ok(await run(() => document.querySelector('#live').hidden && !document.querySelector('#chart').classList.contains('tall')));
  });

  test('leaving a load by another one, or by Cancel, leaves no trace', async () => {
    await open();
    server.rules.push({ match: '540p/index.m3u8', delay: Infinity });
    await click('#samples a[href*="540p%2Findex"]');
    await becomes('loading');
    await click('#cancel');
    await becomes('empty');
    await click('#samples a[href*="540p%2Findex"]');
    await becomes('loading');
    await click('#samples a[href*="dash-number"]');
    await becomes('playing');
    await moves(0.5);
    assert.equal(await run(() => document.querySelectorAll('#samples a[aria-current]').length), 1);
    await isSound();
  });
});
