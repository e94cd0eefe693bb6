// LL-HLS and LL-DASH from an encoder that runs: how old the picture is, read from the clock in it, and what faults of the origin do to it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startLiveOrigin } from '../../www/tools/live-origin.mjs';
import { engine, useStage } from './support/stage.mjs';

/** Seconds over the target that are granted on a busy machine; WebKitGTK does not always keep up with the rate that it is given. */
const SLACK = engine === 'webkit' ? 2 : 1;

const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];

describe(`low latency in ${engine}`, () => {
  const stage = useStage();
  let origin;
  before(async () => { origin = await startLiveOrigin({ chunkDuration: 0.04, latency: 1 }); });
  after(() => origin?.close());

  /** Plays so many seconds; resolves to what was seen twice a second: the age of the picture (`glass`), and what the player says. */
  async function watch(page, seconds) {
    await page.run(() => {
      window.seen = [];
      window.watch = setInterval(async () => {
        const ms = await window.page.latencyMs();
        if (ms !== null) window.seen.push({ glass: ms / 1000, ...window.page.player.live });
      }, 500);
    });
    await page.plays(seconds, { timeoutMs: (seconds + 20) * 1000 });
    return page.run(() => { clearInterval(window.watch); return window.seen; });
  }

  const details = async (page, name) => (await page.events(name)).map(({ detail }) => detail);

  for (const which of ['hls', 'dash']) {
    test(`${which} plays a second behind the camera`, async () => {
      const page = await stage.open();
      await page.load(origin[which]);
      const { detail: loaded } = await page.event('loaded');
      assert.deepEqual([loaded.protocol, loaded.live], [which, true]);
      const seen = await watch(page, 10);
      assert.ok(seen.length >= 8, `the picture was read ${seen.length} times`);
      const late = seen.slice(seen.length / 2);
      const [glass, latency, { target }] = [median(late.map((s) => s.glass)), median(late.map((s) => s.latency)), late[0]];
      assert.ok(target > 0.8 && target < 1.2, `target ${target}`);
      assert.ok(latency > target - 0.2 && latency < target + SLACK, `${latency} s behind the edge\n${JSON.stringify(seen)}`);
      // What the player says is true of the picture.
      assert.ok(Math.abs(glass - latency) < SLACK, `the picture is ${glass} s old, the player says ${latency} s`);
      assert.deepEqual([await details(page, 'error'), await details(page, 'stall'), await details(page, 'gap')], [[], [], []]);
      await page.isClean();
    });
  }

  test('an encoder that stands still for two seconds is waited for, and caught up with', async () => {
    const page = await stage.open();
    await page.load(origin.hls);
    await page.plays(2);
    await origin.control({ fault: 'stall', seconds: 2 });
    await page.event('stall');
    await page.event('recovered');
    const seen = await watch(page, 3);
    const rates = seen.map(({ rate }) => rate);
    assert.ok(Math.max(...rates) > 1.03, JSON.stringify(seen));
    assert.deepEqual([await details(page, 'error'), await details(page, 'gap')], [[], []]);
    await page.isClean();
  });

  test('parts that fail for a moment are asked for again', async () => {
    const page = await stage.open();
    await page.load(origin.hls);
    await page.plays(2);
    await origin.control({ fault: 'status', status: 503, times: 2 });
    const seen = await watch(page, 4);
    assert.ok(seen.at(-1).latency < seen[0].target + 2, JSON.stringify(seen));
    assert.deepEqual((await details(page, 'error')).filter(({ severity }) => severity === 'fatal'), []);
    await page.isClean();
  });
});
