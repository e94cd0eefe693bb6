// Every sample stream plays, and shows the right pictures, in this engine.
import { describe, test } from 'node:test';
import { makeSamples } from '../../www/tools/samples.mjs';
import { engine, useStage } from './support/stage.mjs';

const samples = await makeSamples();

describe(`samples in ${engine}`, () => {
  const stage = useStage();
  for (const sample of samples) {
    test(`${sample.id} plays from the start, and from places never fetched`, async () => {
      const page = await stage.open();
      await page.load(`/samples/${sample.url}`);
      await page.plays(1.5);
      if (sample.audioOnly) {
        await page.seek(sample.duration * 0.75);
        await page.plays(0.5);
      } else {
        await page.showsFrameAt(sample.duration * 0.75 + 0.6, sample);
        await page.showsFrameAt(sample.duration * 0.3 + 0.2, sample);
        await page.run(() => window.page.video.play());
        await page.plays(0.5);
      }
      await page.isClean();
    });
  }
});
