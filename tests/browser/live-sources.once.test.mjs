// Each source of `npm run live` that live.test.mjs does not play, in Chromium: it starts, and plays near the edge by the clock in its picture.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { liveFamilies, needsOf, startLive } from '../../www/tools/live-sources.mjs';
import { ensure } from '../../www/tools/setup.mjs';
import { useStage } from './support/stage.mjs';

/** Seconds between the making of a picture and its showing that a source allows: how far the player stays away from what it lists, and how late it lists. */
const allowed = { 'ffmpeg-dash-ll': 4, 'nginx-hls': 12, 'nginx-dash': 12, 'gst-hls': 12, 'gst-dash': 10, 'shaka-hls': 14, 'shaka-dash': 8, 'll-hls': 3, 'll-dash': 3 };
/** What live.test.mjs plays. */
const elsewhere = ['ffmpeg-hls-ts', 'ffmpeg-hls-fmp4', 'ffmpeg-dash', 'ffmpeg-dash-timeline'];

describe('live sources', () => {
  const stage = useStage();
  const names = Object.keys(allowed);
  const sources = {};
  // Most need some segments before they can be played: all are made at once.
  before(async () => {
    const families = liveFamilies.filter(([first]) => !elsewhere.includes(first));
    assert.deepEqual(families.flat().sort(), names.toSorted());
    await ensure([...new Set(names.flatMap(needsOf))]);
    await Promise.all(families.map(async (family) => {
      const source = await startLive(family[0]);
      for (const name of family) sources[name] = source;
    }));
  });
  after(() => Promise.all(Object.values(sources).map((source) => source.end())));

  for (const name of names) {
    test(`${name} plays near the edge`, async () => {
      const page = await stage.open();
      await page.load(sources[name].urlOn(stage.server, name));
      const { detail: loaded } = await page.event('loaded');
      assert.deepEqual([loaded.protocol, loaded.live], [name.includes('hls') ? 'hls' : 'dash', true]);
      await page.plays(2);
      const latency = await page.run(() => window.page.latencyMs()) / 1000;
      const { live } = await page.state();
      assert.ok(latency > 0.1 && latency < allowed[name], `${latency} s behind by the picture: ${JSON.stringify(live)}`);
      assert.ok(live.atEdge && live.window.end > live.window.start + 4 && live.edge >= live.window.end - 0.1, JSON.stringify(live));
      assert.ok(Math.abs(live.latency - live.target) < 2.5, JSON.stringify(live));
      assert.deepEqual((await page.events('error')).map(({ detail }) => detail), []);
      await page.isClean();
    });
  }
});
