// Quality: fixed by id, chosen by the link, capped by the element's size; and no seam to be seen where it changes.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Link } from '../../www/tools/link.mjs';
import { engine, useStage } from './support/stage.mjs';

const link = new Link();
const fps = 25;

/** Every picture is the one of its time, none comes twice or out of order, and none is missing for long enough to be seen as a jump. */
function isSeamless(frames) {
  assert.ok(frames.length > 20, `only ${frames.length} pictures were seen`);
  // WebKit hands an empty picture to the canvas at times, when the size changes.
  const read = frames.filter(([, number]) => number >= 0);
  assert.ok(frames.length - read.length <= frames.length / 50, `${frames.length - read.length} of ${frames.length} pictures cannot be read`);
  let [last, at] = [-1, read[0][0]];
  for (const [index, [mediaTime, number]] of read.entries()) {
    const around = () => `; pictures around it as [time, number, width]: ${JSON.stringify(read.slice(Math.max(index - 12, 0), index + 12))}`;
    assert.ok(mediaTime - at < 0.5, `no picture between ${at} and ${mediaTime} s${around()}`);
    at = mediaTime;
    assert.ok(Math.abs(number - mediaTime * fps) <= 2, `at ${mediaTime} s the picture has number ${number}${around()}`);
    assert.ok(number >= last, `picture ${number} came after ${last}${around()}`);
    last = number;
  }
}

describe(`quality in ${engine}`, () => {
  const stage = useStage({ link });
  const open = () => {
    Object.assign(link, { kbps: Infinity, rtt: 0 });
    return stage.open();
  };

  for (const url of ['/samples/dash-number/manifest.mpd', '/samples/hls-ts/master.m3u8']) {
    test(`${url.split('/')[2]}: a quality fixed by id is the one that shows, and auto is auto again`, async () => {
      const page = await open();
      await page.load(url, {}, { bufferAhead: 3, capToElement: false });
      const qualities = await page.run(() => window.page.player.qualities);
      assert.deepEqual(qualities.map(({ height }) => height), [240, 360, 540, 720]);
      await page.plays(0.3);
      const watched = await page.watchFrames();
      for (const { id, width } of [qualities[3], qualities[0], qualities[1]]) {
        await page.run((to) => window.page.player.selectQuality(to), id);
        // The samples' pixels are not quite square: 426 × 240 shows as 427 × 240.
        await page.until((wanted) => Math.abs(window.page.video.videoWidth - wanted) <= 2, { args: [width], what: `a picture ${width} wide` });
        await stage.eventually(async () => (await page.event('qualitychange')).detail.to === id, `a change to ${id} is told`);
        assert.deepEqual(await page.run(() => [window.page.player.quality.id, window.page.player.auto]), [id, false]);
      }
      const { detail } = await page.event('qualitychange');
      assert.deepEqual([detail.reason, detail.auto], ['user', false]);
      isSeamless(await watched({ atLeast: 21 }));
      await page.run(() => window.page.player.selectQuality(null));
      assert.equal(await page.run(() => window.page.player.auto), true);
      await page.until((fixed) => window.page.video.videoWidth > fixed, { args: [qualities[1].width], timeoutMs: 30_000, what: 'a better picture by itself' });
      assert.deepEqual((await page.events('stall')), []);
      await page.isClean();
    });
  }

  for (const url of ['/samples/dash-timeline/manifest.mpd', '/samples/hls-ts/master.m3u8']) {
    test(`${url.split('/')[2]}: what is buffered in a low quality is fetched again once the link is fast, without a seam`, async () => {
      const page = await open();
      Object.assign(link, { kbps: 900, rtt: 20 });
      await page.load(url, {}, { bufferAhead: 20, capToElement: false });
      await page.until(() => window.page.player.stats().buffer > 16, { timeoutMs: 60_000, what: 'a buffer of 16 s' });
      const watched = await page.watchFrames();
      const before = await page.run(() => window.page.video.currentTime);
      link.kbps = 20_000;
      await page.until(() => window.page.video.videoWidth >= 960, { timeoutMs: 30_000, what: 'a good picture' });
      const after = await page.run(() => window.page.video.currentTime);
      assert.ok(after - before < 14, `a good picture after ${(after - before).toFixed(1)} s, with 16 s buffered`);
      isSeamless(await watched({ atLeast: 21 }));
      assert.deepEqual([await page.events('gap'), await page.events('error'), await page.events('stall')], [[], [], []]);
      await page.isClean();
    });
  }

  test('follows the link down and up, without a seam and without a stop', async () => {
    const page = await open();
    Object.assign(link, { kbps: 5000, rtt: 20 });
    await page.load('/samples/dash-timeline/manifest.mpd', {}, { bufferAhead: 10, capToElement: false });
    const widthBecomes = (test, what) => page.until(new Function(`return window.page.video.videoWidth ${test}`), { timeoutMs: 40_000, what });
    await widthBecomes('>= 960', 'a good picture on a good link');
    const watched = await page.watchFrames();
    link.kbps = 700;
    await widthBecomes('< 600', 'a small picture on a bad link');
    link.kbps = 8000;
    await widthBecomes('>= 960', 'a good picture again');
    isSeamless(await watched({ atLeast: 21 }));
    const changes = (await page.events('qualitychange')).map(({ detail }) => detail);
    assert.ok(changes.every(({ auto }) => auto));
    assert.equal(changes[0].reason, 'start');
    assert.ok(changes.some(({ reason }) => ['throughput-down', 'buffer-low', 'abandoned'].includes(reason)), JSON.stringify(changes));
    assert.ok(changes.some(({ reason }) => ['throughput-up', 'buffer-high'].includes(reason)), JSON.stringify(changes));
    assert.deepEqual(await page.events('gap'), []);
    assert.deepEqual(await page.events('error'), []);
    const { stats } = await page.state();
    assert.ok(stats.switches >= 2 && stats.averageBitrate > 300_000 && stats.averageBitrate < 3_100_000, JSON.stringify(stats));
    await page.isClean();
  });

  test('is no larger than the element has pixels, and grows with it', async () => {
    const page = await open();
    await page.run(() => { Object.assign(window.page.video.style, { width: '400px', height: '225px' }); });
    await page.load('/samples/hls-fmp4/master.m3u8', {}, { bufferAhead: 3 });
    await page.plays(4.5);
    const ratio = await page.run(() => devicePixelRatio);
    const small = await page.state();
    if (ratio === 1) assert.ok(small.width < 600, `${small.width}`);
    assert.deepEqual(stage.requests(/\/(540p|720p)\/\d/).map(({ path }) => path), []);
    await page.run(() => { Object.assign(window.page.video.style, { width: '1280px', height: '720px' }); });
    await page.until(() => window.page.video.videoWidth === 1280, { timeoutMs: 30_000, what: 'the largest picture in a large element' });
    await page.isClean();
  });

  test('never goes above maxBandwidth, which can change while it plays', async () => {
    const page = await open();
    await page.load('/samples/hls-ts/master.m3u8', {}, { bufferAhead: 3, capToElement: false, maxBandwidth: 1_200_000 });
    await page.plays(1);
    assert.deepEqual(stage.requests(/\/(540p|720p)\/\d/).map(({ path }) => path), []);
    await page.run(() => window.page.player.configure({ maxBandwidth: null }));
    await page.until(() => window.page.video.videoWidth >= 960, { timeoutMs: 30_000, what: 'a better picture without the limit' });
    await page.isClean();
  });
});
