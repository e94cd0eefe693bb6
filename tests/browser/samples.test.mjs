// Every sample stream plays, shows the right pictures, ends, and begins again, in this engine.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { makeSamples } from '../../www/tools/samples.mjs';
import { engine, useStage } from './support/stage.mjs';

const samples = await makeSamples();

describe(`samples in ${engine}`, () => {
  const stage = useStage();
  for (const sample of samples) {
    test(`${sample.id} plays from the start, from places never fetched, to the end and again`, async () => {
      const page = await stage.open();
      await page.load(`/samples/${sample.url}`);
      await page.plays(1.5);
      const { detail: loaded } = await page.event('loaded');
      assert.deepEqual([loaded.protocol, loaded.live], [sample.protocol, false]);
      assert.ok(Math.abs(loaded.duration - sample.duration) < 0.2, `${loaded.duration}`);
      const { detail: tracks } = await page.event('tracks');
      assert.ok(tracks.qualities.length >= 1);
      if (sample.audioOnly) {
        await page.seek(sample.duration * 0.75);
        await page.plays(0.5);
      } else {
        await page.showsFrameAt(sample.duration * 0.75 + 0.6, sample);
        await page.showsFrameAt(sample.duration * 0.3 + 0.2, sample);
        await page.run(() => window.page.video.play());
        await page.plays(0.5);
      }
      await page.run((to) => { window.page.video.currentTime = to; }, sample.duration - 0.4);
      await page.event('ended', { timeoutMs: 30_000 }).catch(async (error) => assert.fail(`${error.message}: ${JSON.stringify(await page.state())}`));
      await page.until(() => window.page.video.ended && window.page.video.paused, { what: 'the element has ended' });
      const end = await page.state();
      assert.ok(end.ended && Math.abs(end.duration - sample.duration) < 0.2, `${end.duration}`);
      await page.run(() => { window.page.video.play().catch(() => {}); });
      // WebKitGTK 2.50 at times pauses by itself within 0.1 s of a play() after the end, where the start is not buffered any more; so it
      // does with bare MSE and no player. There the button is pressed again.
      await page.until((again) => {
        const { video } = window.page;
        if (again && video.paused) video.play().catch(() => {});
        return !video.ended && video.currentTime > 0.3 && video.currentTime < 10;
      }, { args: [engine === 'webkit'], what: 'it begins again' })
        .catch(async (error) => assert.fail(`${error.message}: ${JSON.stringify(await page.state())}`));
      assert.deepEqual((await page.events('error')).map(({ detail }) => detail.code), []);
      assert.deepEqual((await page.events('gap')).filter(({ detail }) => detail.to - detail.from > 0.3), []);
      await page.isClean();
    });
  }
});
