// Seeking: into what is buffered, into what is not, forward and back, many times in a row; judged by the picture and by what the server was asked for.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { makeSamples } from '../../www/tools/samples.mjs';
import { engine, useStage } from './support/stage.mjs';

const samples = await makeSamples();
const sampleOf = (id) => samples.find((sample) => sample.id === id);
const fmp4 = '/samples/hls-fmp4/360p/index.m3u8';
const numbers = sampleOf('dash-number');
/** The index of a segment (from 0) in the paths of the samples that are asked for here. */
const indexOf = ({ path }) => (/dash-number/.test(path) ? Number(/(\d{5})\.m4s/.exec(path)[1]) - 1 : Number(/(\d{5})\./.exec(path)[1]));

describe(`seeks in ${engine}`, () => {
  const stage = useStage();
  const segments = () => stage.requests(/\d{5}\.(m4s|ts)$/);
  const bufferedFrom = (page, from, to) => page.until((...range) => {
    const { buffered } = window.page.video;
    for (let i = 0; i < buffered.length; i++) if (buffered.start(i) <= range[0] + 0.1 && buffered.end(i) >= range[1] - 0.1) return true;
    return false;
  }, { args: [from, to], what: `${from} to ${to} s buffered` });

  test('into what is buffered: shows the picture and asks for nothing that is there', async () => {
    const page = await stage.open();
    await page.load(fmp4, {}, { bufferAhead: 16 });
    await page.plays(0.3);
    await page.run(() => window.page.video.pause());
    await bufferedFrom(page, 0, 16);
    const before = segments().length;
    for (const to of [13.02, 2.02, 9.02]) await page.showsFrameAt(to, sampleOf('hls-fmp4'));
    assert.deepEqual(segments().slice(before).filter((request) => indexOf(request) < 4).map(({ path }) => path), []);
    await page.isClean();
  });

  for (const [way, startTime, to] of [['forward', 0, 42.5], ['back', 44, 10.5]]) {
    test(`${way} into what is not buffered: drops what is under way, fetches the target and no more`, async () => {
      const page = await stage.open();
      const target = Math.floor(to / 4);
      // Two segments on from the start nothing comes any more: a request is under way when the seek happens.
      const stuck = Math.floor(startTime / 4) + 2;
      const name = `${String(stuck + 1).padStart(5, '0')}.m4s`;
      stage.server.rules.push({ match: name, stall: 5000 });
      await page.load(`/samples/${numbers.url}`, { startTime });
      await page.plays(0.5);
      const pending = await stage.eventually(() => segments().find((request) => indexOf(request) === stuck), `a request for ${name}`);
      assert.equal(pending.ms, undefined, 'the request is under way');
      const before = stage.server.log.length;
      await page.showsFrameAt(to, numbers);
      await stage.eventually(() => pending.ms !== undefined && !pending.ended, 'the request is cancelled');
      const asked = stage.server.log.slice(before).filter(({ path }) => /\d{5}\.m4s$/.test(path));
      assert.equal(Math.min(...asked.map(indexOf)), target, asked.map(({ path }) => path).join(' '));
      const { played } = await page.state();
      await page.run(() => window.page.video.play());
      await page.plays(0.3);
      assert.ok(played < 10);
      await page.isClean();
    });
  }

  test('twenty within a second: the last one counts', async () => {
    const page = await stage.open();
    const sample = sampleOf('hls-ts');
    await page.load(`/samples/${sample.url}`);
    await page.plays(0.3);
    await page.run(async () => {
      for (let i = 0; i < 20; i++) {
        window.page.video.currentTime = (i * 17) % 58;
        await new Promise((resolve) => { setTimeout(resolve, 50); });
      }
    });
    // A pause() amid seeks leaves WebKitGTK 2.50 with a picture that runs on.
    await page.until(() => !window.page.video.seeking && window.page.video.currentTime >= 33, { what: 'the last of the seeks' });
    await page.showsFrameAt(33.02, sample);
    await page.run(() => window.page.video.play());
    await page.plays(0.5);
    assert.deepEqual(await page.events('error'), []);
    await page.isClean();
  });

  test('before a picture has come, to the very end, and back', async () => {
    const page = await stage.open();
    const sample = sampleOf('hls-ts');
    await page.load(`/samples/${sample.url}`);
    await page.run(() => { window.page.video.currentTime = 20.02; });
    await page.until(() => window.page.video.currentTime > 20.2, { what: 'playback at the target' });
    await page.run(() => { window.page.video.currentTime = 59.9; });
    await page.event('ended').catch(async (error) => assert.fail(`${error.message}: ${JSON.stringify(await page.state())}`));
    const { time, duration, error } = await page.state();
    assert.equal(error, null, error?.message);
    assert.ok(Math.abs(time - duration) < 0.3, `${time} of ${duration}`);
    // WebKit plays on by itself after a seek from the end; the others wait to be told.
    await page.seek(5.02);
    await page.run(() => window.page.video.play());
    await page.plays(0.5);
    assert.ok((await page.state()).time < 12);
    await page.isClean();
  });

  test('starts where it is told to: startTime, before the end, and EXT-X-START', async () => {
    const page = await stage.open();
    const starts = async (url, options, at) => {
      await page.run(() => { window.page.record.events.length = 0; });
      const before = stage.server.log.length;
      await page.load(url, options);
      await page.until((from) => { const { currentTime } = window.page.video; return currentTime > from + 0.05 && currentTime < from + 5; }, { args: [at], what: `a start at ${at} s` });
      const asked = stage.server.log.slice(before).filter(({ path }) => /\d{5}\.ts$/.test(path));
      assert.ok(asked.every((request) => indexOf(request) >= Math.floor(at / 4)), asked.map(({ path }) => path).join(' '));
    };
    await starts('/samples/hls-ts/360p/index.m3u8', { startTime: 30 }, 30);
    await starts('/samples/hls-ts/360p/index.m3u8', { startTime: -12 }, 48);
    await starts('/samples/hls-ts/360p/start.m3u8', {}, 20);
    await page.isClean();
  });
});
