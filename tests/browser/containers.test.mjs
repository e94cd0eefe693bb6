// Every container and codec as a plain file, in this engine: it plays, seeks to the right picture, ends at the right time and begins again where the
// engine has the codecs (isTypeSupported); where it has not, the player says so. What was seen goes to .cache/containers, from which the table in the
// README is made (`npm run table`).
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { files } from '../../www/tools/sample-files.mjs';
import { Household } from '../../www/tools/processes.mjs';
import { makeSamples, samplesDir } from '../../www/tools/samples.mjs';
import { tool } from '../../www/tools/setup.mjs';
import { cache, run } from '../../www/tools/steps.mjs';
import { engine, useStage } from './support/stage.mjs';

await makeSamples();

describe(`containers in ${engine}`, () => {
  const stage = useStage();
  const seen = {};
  after(() => {
    const file = path.join(cache, 'containers', `${engine}.json`);
    mkdirSync(path.dirname(file), { recursive: true });
    // A run of some of them leaves what others saw.
    const before = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
    writeFileSync(file, JSON.stringify({ ...before, ...seen }, null, 1));
  });

  for (const file of files) {
    test(`${file.id}: ${file.title}`, async () => {
      seen[file.id] = undefined;
      const page = await stage.open();
      const takes = await page.run((types) => types.map((some) => some.some((type) => (window.ManagedMediaSource ?? MediaSource).isTypeSupported(type))), file.types);
      const error = await page.tryLoad(`/samples/${file.url}`);
      if (!takes.some(Boolean)) {
        if (error) {
          assert.equal(error.code, 'CODEC_UNSUPPORTED', error.message);
          seen[file.id] = 'no codec';
          return;
        }
        await page.event('fallback');
      } else {
        assert.equal(error, null, `${error?.code}: ${error?.message}`);
      }
      await page.plays(1);
      const picture = !file.audioOnly && takes[0];
      const { detail: loaded } = await page.event('loaded');
      assert.deepEqual([loaded.protocol, loaded.live], [takes.some(Boolean) ? file.protocol : 'element', false]);
      if (picture) {
        await page.showsFrameAt(file.duration * 0.75 + 0.6, file);
        await page.showsFrameAt(file.duration * 0.3 + 0.2, file);
        await page.run(() => window.page.video.play());
      } else {
        await page.seek(file.duration * 0.75);
      }
      await page.plays(0.5);
      await page.run((to) => { window.page.video.currentTime = to; }, file.duration - 0.4);
      await page.event('ended', { timeoutMs: 30_000 }).catch(async (problem) => assert.fail(`${problem.message}: ${JSON.stringify(await page.state())}`));
      const end = await page.state();
      // ADTS has no time stamps: after a seek to a share of the bytes times are as near as its bitrate is constant.
      assert.ok(Math.abs(end.duration - file.duration) < (file.id === 'aac' ? 1 : 0.2), `it ended at ${end.duration} s`);
      const failures = (await page.events('error')).map(({ detail }) => detail.code);
      assert.deepEqual(failures, takes.every(Boolean) || !takes.some(Boolean) ? [] : ['CODEC_UNSUPPORTED']);
      assert.deepEqual((await page.events('stall')).map(({ detail }) => detail), []);
      await page.isClean();
      if (!takes.some(Boolean)) seen[file.id] = 'src';
      else if (takes.every(Boolean)) seen[file.id] = 'plays';
      else seen[file.id] = takes[0] ? 'picture only' : 'sound only';
    });
  }

  /** Makes a file of that name from front.mp4 with these options of ffmpeg, in a folder that is gone after the test. */
  const make = async (name, options) => {
    const household = new Household();
    after(() => household.end());
    await run(tool('ffmpeg'), ['-v', 'error', '-i', path.join(samplesDir, 'files/front.mp4'), '-map', '0:v', '-map', '0:a', ...options, path.join(household.folder, name)]);
    return household.folder;
  };

  for (const [name, second, label] of [['two.mp4', 'copy', 'Commentary'], ['two.ts', 'copy'], ['two.mkv', 'libopus', 'Commentary']]) {
    test(`${name} with two tracks of sound: one by its language, the other by choice`, async () => {
      const folder = await make(name, ['-map', '0:a', '-c', 'copy', '-c:a:1', second, '-metadata:s:a:0', 'language=eng', '-metadata:s:a:1', 'language=ger', '-metadata:s:a:1', 'title=Commentary']);
      const page = await stage.open();
      stage.server.mounts['/made'] = folder;
      await page.load(`/made/${name}`, {}, { language: 'de' });
      await page.plays(1);
      const tracks = () => page.run(() => window.page.player.audioTracks.map(({ language, active }) => [language, active]));
      assert.deepEqual(await tracks(), [['eng', false], ['ger', true]]);
      assert.deepEqual(await page.run(() => window.page.player.audioTracks.map((track) => track.label)), [null, label ?? null]);
      const choose = async (index) => {
        await page.run((chosen) => window.page.player.selectAudio(window.page.player.audioTracks[chosen].id), index);
        await stage.eventually(async () => (await tracks())[index][1], 'the choice is told');
        await page.plays(1.5);
      };
      await choose(0);
      await choose(1);
      // All of the rest is buffered.
      await page.seek(52);
      await page.plays(1);
      await choose(0);
      assert.deepEqual((await page.events('error')).map(({ detail }) => detail), []);
      await page.isClean();
    });
  }

  // Engines begin by themselves with media that comes late, up to some time that each has its own of; WebKitGTK must not be moved meanwhile.
  for (const late of [0.06, 0.3, 0.9]) {
    test(`media that begins ${late} s late, played from the start and from within its first pictures`, async () => {
      const folder = await make('late.mkv', ['-c', 'copy', '-t', '10', '-output_ts_offset', String(late)]);
      for (const options of [{}, { startTime: 1.5 }]) {
        const page = await stage.open();
        stage.server.mounts['/made'] = folder;
        await page.load('/made/late.mkv', options);
        const { time } = await page.plays(1);
        assert.ok(time < 5, `${time}`);
        assert.deepEqual((await page.events('error')).map(({ detail }) => detail), []);
        await page.isClean();
      }
    });
  }

  for (const name of ['two.mp4', 'two.ts', 'two.mkv']) {
    test(`${name}: sound that the engine does not have is passed over for another track`, async () => {
      const folder = await make(name, ['-map', '0:a', '-c', 'copy', '-c:a:0', 'ac3']);
      const page = await stage.open();
      stage.server.mounts['/made'] = folder;
      await page.load(`/made/${name}`);
      await page.plays(1);
      await page.seek(40);
      await page.plays(1);
      assert.deepEqual((await page.events('error')).map(({ detail }) => detail), []);
      await page.isClean();
    });
  }
});
