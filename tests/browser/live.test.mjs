// Live DASH and HLS from ffmpeg's own muxers: near the edge, shifted in time and back, to the end.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startLive } from '../../www/tools/live-sources.mjs';
import { engine, useStage } from './support/stage.mjs';

const names = ['ffmpeg-hls-ts', 'ffmpeg-hls-fmp4', 'ffmpeg-dash', 'ffmpeg-dash-timeline'];

describe(`live in ${engine}`, () => {
  const stage = useStage();
  const sources = {};
  before(async () => {
    await Promise.all(names.map(async (name) => { sources[name] = await startLive(name); }));
  });
  after(() => Promise.all(Object.values(sources).map((source) => source.end())));

  const state = (page) => page.run(() => window.page.player.live);

  for (const name of names) {
    test(`${name} plays near the edge`, async () => {
      const page = await stage.open();
      await page.load(sources[name].urlOn(stage.server));
      await page.plays(6);
      const { detail: loaded } = await page.event('loaded');
      assert.deepEqual([loaded.protocol, loaded.live], [name.includes('hls') ? 'hls' : 'dash', true]);
      const live = await state(page);
      assert.ok(Math.abs(live.latency - live.target) < 3, JSON.stringify(live));
      assert.ok(live.latency < (name.includes('hls') ? 10 : 7), JSON.stringify(live));
      assert.ok(live.atEdge && live.window.end > live.window.start + 6, JSON.stringify(live));
      // What is shown was made some seconds ago.
      const age = await page.run(() => (Date.now() - window.page.player.live.date) / 1000);
      assert.ok(age > 0.5 && age < 14, `${age} s`);
      const seekable = await page.run(() => { const { seekable: ranges } = window.page.video; return [ranges.start(0), ranges.end(ranges.length - 1)]; });
      assert.ok(seekable[0] <= live.window.start + 2.5 && Math.abs(seekable[1] - live.window.end) < 4.5, JSON.stringify([seekable, live.window]));
      assert.deepEqual((await page.events('error')).map(({ detail }) => detail), []);
      assert.deepEqual((await page.events('stall')).map(({ detail }) => detail), []);
      await page.isClean();
    });
  }

  for (const name of ['ffmpeg-hls-fmp4', 'ffmpeg-dash-timeline']) {
    test(`${name}: shifted in time, and back to the edge`, async () => {
      const page = await stage.open();
      await page.load(sources[name].urlOn(stage.server));
      await page.plays(1);
      // A source that has just begun has no past to speak of.
      const before = await page.until(() => { const { live } = window.page.player; return live.window.end - live.window.start > 10 && live; }, { what: 'a window to move in' });
      await page.seek(before.window.start + 3);
      await page.plays(1.5);
      const shifted = await page.until(() => window.page.player.live.atEdge === false && window.page.player.live, { what: 'a shifted playhead' });
      assert.ok(shifted.latency > before.latency + 2, JSON.stringify([before, shifted]));
      await page.run(() => window.page.player.goLive());
      await page.until((most) => window.page.player.live.atEdge && window.page.player.live.latency < most && !window.page.video.seeking, { args: [before.latency + 2.5], what: 'the edge' });
      await page.plays(1);
      const { at, latency } = await page.run(() => ({ at: Number(window.page.player.live.date), latency: window.page.player.live.latency }));
      await page.run((date) => window.page.player.seekToDate(new Date(date - 4000)), at);
      await page.until((least) => window.page.player.live.latency > least, { args: [latency + 2], what: 'an earlier date' });
      await page.plays(1);
      assert.deepEqual((await page.events('error')).map(({ detail }) => detail), []);
      await page.isClean();
    });
  }

  for (const name of ['ffmpeg-hls-ts', 'ffmpeg-dash-timeline']) {
    test(`${name} is played to its end`, async () => {
      const page = await stage.open();
      await page.load(sources[name].urlOn(stage.server));
      await page.plays(1);
      sources[name].finish();
      await page.event('ended', { timeoutMs: 40_000 });
      const { duration, time } = await page.state();
      assert.ok(duration > 5 && Math.abs(duration - time) < 0.3, JSON.stringify({ duration, time }));
      assert.deepEqual((await page.events('error')).map(({ detail }) => detail), []);
      await page.isClean();
    });
  }
});
