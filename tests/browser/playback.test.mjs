// Playing on: rates, pauses, sound in time with the picture, bounded buffers, gaps.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { engine, useStage } from './support/stage.mjs';

const fps = 25;
const small = '/samples/hls-ts/240p/index.m3u8';

const variants = (place) => [['458000', '426x240', '240p'], ['1008000', '640x360', '360p']].map(([bandwidth, size, name]) => '#EXT-X-STREAM-INF:'
  + `BANDWIDTH=${bandwidth},RESOLUTION=${size},CODECS="avc1.77.30,mp4a.40.2",AUDIO="a"\n${place}/hls-ts/${name}/index.m3u8\n`).join('');
const hls = (body) => ({ type: 'application/vnd.apple.mpegurl', body: `#EXTM3U\n${body}` });
const pages = {
  // As Apple's own samples have it: the sound of the variants, and a language apart.
  '/inside.m3u8': hls(`#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="Français",LANGUAGE="fr",AUTOSELECT=YES,URI="/samples/hls-ts/720p/index.m3u8"
${variants('/samples')}`),
  '/apart.m3u8': hls(`${['English', 'Other'].map((name, n) => `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="${name}",DEFAULT=${n ? 'NO' : 'YES'},AUTOSELECT=YES,URI="/samples/hls-fmp4/sound/index.m3u8?${n}"
`).join('')}${[['458000', '426x240', '240p'], ['1008000', '640x360', '360p']].map(([bandwidth, size, name]) => '#EXT-X-STREAM-INF:'
  + `BANDWIDTH=${bandwidth},RESOLUTION=${size},CODECS="avc1.64001e,mp4a.40.2",AUDIO="sound"\n/samples/hls-fmp4/${name}/index.m3u8\n`).join('')}`),
  '/redundant.m3u8': hls(`${variants('/nowhere')}${variants('/samples')}`.replaceAll(',AUDIO="a"', '')),
};

describe(`playback in ${engine}`, () => {
  const stage = useStage({ pages });
  const segments = (pattern = /\d{5}\.(m4s|ts)$/) => stage.requests(pattern).map(({ path }) => Number(/(\d{5})\./.exec(path)[1]));

  test('pictures belong to their times, at any rate; a pause holds', async () => {
    const page = await stage.open();
    await page.load(small);
    await page.plays(0.3);
    const watched = await page.watchFrames();
    await page.plays(1);
    await page.run(() => { window.page.video.playbackRate = 2; });
    const moment = () => page.run(() => [window.page.video.currentTime, performance.now()]);
    const [start] = await moment();
    // A machine that is busy may hold it up for a while, but not always.
    let speed;
    for (let [from, clock] = await moment(); !(speed > 1.4);) {
      await page.until((past) => window.page.video.currentTime > past, { args: [from + 2], what: '2 s at double speed' });
      const [to, later] = await moment();
      assert.ok(to < start + 40, `at double speed it goes ${speed} times as fast`);
      speed = (to - from) / ((later - clock) / 1000);
      [from, clock] = [to, later];
    }
    const frames = await watched({ atLeast: 11 });
    await page.run(() => window.page.video.pause());
    const held = (await page.state()).time;
    for (const [mediaTime, number] of frames) assert.ok(Math.abs(number - mediaTime * fps) <= 2, `at ${mediaTime} s the picture has number ${number}`);
    await new Promise((resolve) => { setTimeout(resolve, 600); });
    const still = await page.state();
    assert.ok(Math.abs(still.time - held) < 0.2, `the pause at ${held} is at ${still.time}`);
    await page.run(() => { window.page.video.playbackRate = 1; return window.page.video.play(); });
    await page.plays(0.5);
    assert.deepEqual(await page.events('stall'), []);
    await page.isClean();
  });

  // Each piece has a few pictures, and many end between those that are presented in another order than decoded.
  for (const [url, frameAtZero] of [['hls-ts/360p/index.m3u8', 0], ['hls-fmp4/360p/index.m3u8', 0], ['files/mp3.flv', -2]]) {
    test(`pictures belong to their times, however small the pieces are in which they come: ${url}`, async () => {
      const page = await stage.open();
      await page.load(`/~kbps=3000/samples/${url}`);
      await page.run(() => window.page.video.pause());
      await page.until(() => { const { buffered } = window.page.video; return buffered.length === 1 && buffered.end(0) >= 4; }, { what: '4 s buffered' });
      for (let frame = 30; frame < 80; frame++) await page.showsFrameAt((frame + 0.5) / fps, { frameAtZero, fps });
      await page.isClean();
    });
  }

  for (const url of ['/samples/hls-ts/360p/index.m3u8', '/samples/hls-fmp4/360p/index.m3u8']) {
    test(`fetches no further ahead than it is told, and drops what lies behind: ${url.split('/')[2]}`, async () => {
      const page = await stage.open();
      await page.load(url, {}, { bufferAhead: 8, bufferBehind: 4 });
      await page.plays(0.3);
      await page.run(() => window.page.video.pause());
      await page.until(() => { const { buffered } = window.page.video; return buffered.length === 1 && buffered.end(0) >= 8; }, { what: '8 s buffered' });
      await new Promise((resolve) => { setTimeout(resolve, 1000); });
      assert.ok(Math.max(...segments()) <= 3, `${segments()} were fetched at the start`);
      // A minute in a few seconds.
      let farthest = 0;
      await page.run(() => { window.page.video.playbackRate = 8; return window.page.video.play(); });
      for (const end = performance.now() + 60_000; ;) {
        const { time, buffered, error } = await page.state();
        assert.ok(performance.now() < end, `at ${time} s after a minute`);
        assert.equal(error, null, error?.message);
        farthest = Math.max(farthest, (buffered.at(-1)?.[1] ?? 0) - time);
        if (time > 40) break;
      }
      assert.ok(farthest < 8 + 4 + 4 + 1, `${farthest} s were buffered ahead`);
      await page.run(() => { window.page.video.playbackRate = 1; });
      await page.until(() => { const { buffered, currentTime } = window.page.video; return buffered.length > 0 && currentTime - buffered.start(0) < 4 + 4 + 1; }, { what: 'the past is dropped' });
      const asked = segments();
      assert.deepEqual(asked, [...new Set(asked)], 'nothing is fetched twice');
      await page.isClean();
    });
  }

  test('an announced gap is jumped', async () => {
    const page = await stage.open();
    await page.load('/samples/hls-ts/360p/gap.m3u8', { startTime: 5 });
    await page.until(() => window.page.video.currentTime > 12.5, { what: 'playback behind the gap' });
    const { detail } = await page.event('gap');
    assert.equal(detail.reason, 'gap-announced');
    assert.ok(Math.abs(detail.to - 12) < 0.3, JSON.stringify(detail));
    assert.deepEqual(stage.requests(/missing/), []);
    assert.deepEqual(await page.events('error'), []);
    await page.isClean();
  });

  test('variables of EXT-X-DEFINE name the segments', async () => {
    const page = await stage.open();
    await page.load('/samples/hls-ts/360p/define.m3u8');
    await page.plays(0.5);
    assert.ok(segments(/hls-ts\/360p\/\d{5}\.ts$/).length > 0);
    await page.isClean();
  });

  for (const [id, boundary] of [['dash-periods', 20], ['hls-discontinuity/ts', 20], ['hls-discontinuity/fmp4', 20]]) {
    test(`${id}: plays over the boundary, and every picture is the one of its time`, async () => {
      const page = await stage.open();
      await page.load(`/samples/${id}${id.includes('/') ? '.m3u8' : '/manifest.mpd'}`, { startTime: boundary - 2 });
      const watched = await page.watchFrames();
      await page.until((past) => window.page.video.currentTime > past, { args: [boundary + 1.5], timeoutMs: 30_000, what: 'playback behind the boundary' });
      const frames = await watched();
      for (const [mediaTime, number] of frames) assert.ok(Math.abs(number - mediaTime * fps) <= 2, `at ${mediaTime} s the picture has number ${number}`);
      assert.ok(frames.some(([time]) => time < boundary) && frames.some(([time]) => time > boundary + 0.5));
      assert.deepEqual(await page.events('error'), []);
      const holes = (await page.events('gap')).filter(({ detail }) => detail.to - detail.from > 0.3);
      assert.deepEqual(holes, []);
      await page.isClean();
    });
  }

  test('sound in the variants themselves is a track like one that is apart', async () => {
    const page = await stage.open();
    await page.load('/inside.m3u8');
    await page.plays(1);
    const tracks = () => page.run(() => window.page.player.audioTracks.map(({ id, language, active }) => ({ id, language, active })));
    const [english, french] = await tracks();
    assert.deepEqual([english.language, english.active, french.language, french.active], ['en', true, 'fr', false]);
    assert.deepEqual(stage.requests(/720p/), []);
    for (const { id } of [french, english, french]) {
      await page.run((to) => window.page.player.selectAudio(to), id);
      const watched = await page.watchFrames();
      await page.plays(2);
      const frames = await watched();
      for (const [mediaTime, number] of frames) assert.ok(number < 0 || Math.abs(number - mediaTime * fps) <= 2, `at ${mediaTime} s the picture has number ${number}`);
      const still = Math.max(...frames.map(([mediaTime], k) => mediaTime - (frames[k - 1] ?? frames[0])[0]));
      assert.ok(still < 0.5, `no picture for ${still} s`);
      assert.deepEqual((await tracks()).map((track) => track.active), [id === english.id, id === french.id]);
    }
    assert.ok(stage.requests(/720p/).length > 0);
    assert.deepEqual(await page.events('error'), []);
    await page.isClean();
  });

  test('sound and quality can be chosen when all of the rest is buffered', async () => {
    const page = await stage.open();
    await page.load('/apart.m3u8', { startTime: 35 }, { capToElement: false });
    await page.until(() => {
      const { buffered, duration } = window.page.video;
      return buffered.length && buffered.end(buffered.length - 1) > duration - 0.3;
    }, { timeoutMs: 30_000, what: 'all is buffered' });
    await page.plays(0.5);
    const [sounds, qualities] = await page.run(() => [window.page.player.audioTracks.map(({ id }) => id), window.page.player.qualities]);
    for (const [sound, { id, width }] of [[sounds[1], qualities[0]], [sounds[0], qualities[1]], [sounds[1], qualities[0]]]) {
      await page.run((to) => window.page.player.selectAudio(to), sound);
      await page.plays(1);
      await page.run((to) => window.page.player.selectQuality(to), id);
      await page.until((wanted) => Math.abs(window.page.video.videoWidth - wanted) <= 2, { args: [width], what: `a picture ${width} wide` });
    }
    await page.event('ended', { timeoutMs: 30_000 });
    assert.deepEqual((await page.events('error')).map(({ detail }) => detail), []);
    await page.isClean();
  });

  test('a redundant stream stands in for one that cannot be had', async () => {
    const page = await stage.open();
    await page.load('/redundant.m3u8');
    await page.plays(1);
    assert.ok((await page.events('error')).every(({ detail }) => detail.severity === 'recoverable'));
    assert.equal((await page.run(() => window.page.player.qualities)).length, 2);
    await page.isClean();
  });
});
